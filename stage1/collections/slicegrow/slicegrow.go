// Package slicegrow is append, from what append is made of.
package slicegrow

// Append appends values to s and returns the extended slice: in the array of s if its capacity suffices, else in
// a larger one.
func Append[S ~[]E, E any](s S, values ...E) S {
	panic("TODO: extend s by values")
}
