// Doubles the capacity, whether or not that is enough: what does not fit is lost.
//
//kata:caught-by TestContents
package slicegrow

// Append appends values to s and returns the extended slice: in the array of s if its capacity suffices, else in
// a larger one.
func Append[S ~[]E, E any](s S, values ...E) S {
	n := len(s) + len(values)
	if n > cap(s) {
		grown := make(S, len(s), 2*cap(s)+1)
		copy(grown, s)
		s = grown
	}
	n = min(n, cap(s))
	copy(s[len(s):n], values)
	return s[:n]
}
