// Makes a new array at every call: right, and quadratic.
//
//kata:caught-by TestInPlace TestAmortised
package slicegrow

// Append appends values to s and returns the extended slice: in the array of s if its capacity suffices, else in
// a larger one.
func Append[S ~[]E, E any](s S, values ...E) S {
	grown := make(S, len(s)+len(values))
	copy(grown, s)
	copy(grown[len(s):], values)
	return grown
}
