// Starts with room for 128 elements: a thousand short slices pay for it.
//
//kata:caught-by TestCapacity
package slicegrow

// Append appends values to s and returns the extended slice: in the array of s if its capacity suffices, else in
// a larger one.
func Append[S ~[]E, E any](s S, values ...E) S {
	n := len(s) + len(values)
	if n > cap(s) {
		// All growing is done here, at once. Nothing is written into the old array, be there ever so much
		// room: the caller asked for a slice that does not fit there.
		grown := make(S, len(s), capacity(n, cap(s)))
		copy(grown, s)
		s = grown
	}
	// copy, unlike a loop, is right when values overlaps the place that it is copied to.
	copy(s[len(s):n], values)
	return s[:n]
}

// capacity returns the size of a new array for n elements.
func capacity(n, old int) int { return max(n, 2*old, 128) }
