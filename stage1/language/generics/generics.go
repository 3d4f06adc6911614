// Package generics transforms sequences, lazily: nothing is done before somebody asks.
package generics

import "iter"

// Map returns the sequence of f(v) for each v of seq.
func Map[T, R any](seq iter.Seq[T], f func(T) R) iter.Seq[R] {
	panic("TODO: map lazily")
}

// Filter returns the sequence of those v of seq for which keep(v) is true.
func Filter[T any](seq iter.Seq[T], keep func(T) bool) iter.Seq[T] {
	panic("TODO: filter lazily")
}

// Chunk returns the values of seq in slices of n, the last of which may be shorter.
// Each slice is the receiver's to keep and to change. Chunk panics if n is less than 1.
func Chunk[T any](seq iter.Seq[T], n int) iter.Seq[[]T] {
	panic("TODO: chunk lazily")
}

// Zip returns the pairs of the first values of a and b, of the second ones, and so
// on, until one of the two ends. It asks a before b, and stops the other one.
func Zip[A, B any](a iter.Seq[A], b iter.Seq[B]) iter.Seq2[A, B] {
	panic("TODO: zip lazily")
}

// Reduce returns f(… f(f(init, v1), v2) …, vn) for the values of seq, and init if it has none.
func Reduce[T, A any](seq iter.Seq[T], init A, f func(A, T) A) A {
	panic("TODO: reduce")
}

// GroupBy returns the values of s by their keys, each group in the order of s and of
// the type of s. Groups share no memory with s nor with each other. The map is never nil.
func GroupBy[S ~[]E, E any, K comparable](s S, key func(E) K) map[K]S {
	panic("TODO: group")
}
