// Calls the built-in append.
//
//kata:caught-by forbid
package slicegrow

// Append appends values to s and returns the extended slice: in the array of s if its capacity suffices, else in
// a larger one.
func Append[S ~[]E, E any](s S, values ...E) S {
	return append(s, values...)
}
