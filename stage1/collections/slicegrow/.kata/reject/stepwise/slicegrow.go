// Doubles until the values fit, and makes and copies an array each time.
//
//kata:caught-by TestOneGrowth
package slicegrow

// Append appends values to s and returns the extended slice: in the array of s if its capacity suffices, else in
// a larger one.
func Append[S ~[]E, E any](s S, values ...E) S {
	n := len(s) + len(values)
	for n > cap(s) {
		grown := make(S, len(s), 2*cap(s)+1)
		copy(grown, s)
		s = grown
	}
	// copy, unlike a loop, is right when values overlaps the place that it is copied to.
	copy(s[len(s):n], values)
	return s[:n]
}
