// Package slicegrow makes room first, in a function of its own, and then only writes.
package slicegrow

// Append appends values to s and returns the extended slice: in the array of s if its capacity suffices, else in
// a larger one.
func Append[S ~[]E, E any](s S, values ...E) S {
	held := len(s)
	s = extend(s, len(values))
	copy(s[held:], values)
	return s
}

// extend returns s with n more elements.
func extend[S ~[]E, E any](s S, n int) S {
	if free := cap(s) - len(s); n <= free {
		return s[:len(s)+n]
	}
	// A half more, or just enough.
	grown := make(S, len(s)+n, max(len(s)+n, cap(s)+cap(s)/2+1))
	copy(grown, s)
	return grown
}
