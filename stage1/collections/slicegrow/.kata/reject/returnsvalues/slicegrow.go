// Returns the values themselves where there is nothing in front of them.
//
//kata:caught-by TestValuesStayApart
package slicegrow

// Append appends values to s and returns the extended slice: in the array of s if its capacity suffices, else in
// a larger one.
func Append[S ~[]E, E any](s S, values ...E) S {
	n := len(s) + len(values)
	if s == nil && n > 0 {
		return values
	}
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

// capacity returns the size of a new array for n elements, where old did not suffice.
//
// Growing by a factor makes n appends copy only a multiple of n elements. The factor is a trade of copies for unused
// room: 2 copies each element once, on average, and leaves up to half of the array unused; 1.25 copies four times
// and leaves a fifth. So small arrays double, and large ones grow by a quarter.
func capacity(n, old int) int {
	const small = 256
	grown := 2 * old
	if old > small {
		grown = old + old/4 + small/2
	}
	return max(n, grown)
}
