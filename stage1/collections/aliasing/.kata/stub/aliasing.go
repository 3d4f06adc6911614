// Package aliasing has functions on slices that say, and keep, which elements of the caller's arrays they touch.
package aliasing

// Insert returns a new slice: s with values before its element i. It touches neither s nor values.
// It panics unless 0 <= i <= len(s).
func Insert[S ~[]E, E any](s S, i int, values ...E) S {
	panic("TODO: copy the three parts into a new array")
}

// Delete removes the elements s[i:j] in place, zeroes those at the end that are no longer needed, and returns the
// shorter slice. It panics, and changes nothing, unless 0 <= i <= j <= len(s).
func Delete[S ~[]E, E any](s S, i, j int) S {
	panic("TODO: close the gap in place")
}

// Dedup removes, in place, every element that equals the one before it, zeroes those at the end that are no longer
// needed, and returns the shorter slice.
func Dedup[S ~[]E, E comparable](s S) S {
	panic("TODO: keep the first of each run, in place")
}

// Chunk divides s, in order, into pieces of n elements, the last one perhaps shorter. The pieces are views of s.
// It panics if n < 1.
func Chunk[S ~[]E, E any](s S, n int) []S {
	panic("TODO: slice s, without copying elements")
}
