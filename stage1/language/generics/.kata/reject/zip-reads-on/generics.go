// Skips the rest of a when b has ended, and reads it for that: an endless a never ends.
//
//kata:caught-by TestLazy
package generics

import (
	"fmt"
	"iter"
)

// Map returns the sequence of f(v) for each v of seq.
func Map[T, R any](seq iter.Seq[T], f func(T) R) iter.Seq[R] {
	return func(yield func(R) bool) {
		for v := range seq {
			if !yield(f(v)) {
				return
			}
		}
	}
}

// Filter returns the sequence of those v of seq for which keep(v) is true.
func Filter[T any](seq iter.Seq[T], keep func(T) bool) iter.Seq[T] {
	return func(yield func(T) bool) {
		for v := range seq {
			if keep(v) && !yield(v) {
				return
			}
		}
	}
}

// Chunk returns the values of seq in slices of n, the last of which may be shorter.
func Chunk[T any](seq iter.Seq[T], n int) iter.Seq[[]T] {
	// Checked here and not in the loop: the mistake is the caller's, not the ranger's.
	if n < 1 {
		panic(fmt.Sprintf("generics: chunks of %d", n))
	}
	return func(yield func([]T) bool) {
		var chunk []T // without a capacity: n may be far more than there is
		for v := range seq {
			chunk = append(chunk, v)
			if len(chunk) < n {
				continue
			}
			if !yield(chunk) {
				return
			}
			chunk = nil // given away
		}
		if len(chunk) > 0 {
			yield(chunk)
		}
	}
}

// Zip returns pairs until a or b ends.
func Zip[A, B any](a iter.Seq[A], b iter.Seq[B]) iter.Seq2[A, B] {
	return func(yield func(A, B) bool) {
		// Two loops cannot run in step, so one side is pulled. Stopping it runs its
		// deferred calls, also if the body of the loop breaks or panics.
		next, stop := iter.Pull(b)
		defer stop()
		for x := range a {
			y, ok := next()
			if !ok {
				continue
			}
			if !yield(x, y) {
				return
			}
		}
	}
}

// Reduce folds the values of seq into init, from the first to the last.
func Reduce[T, A any](seq iter.Seq[T], init A, f func(A, T) A) A {
	acc := init
	for v := range seq {
		acc = f(acc, v)
	}
	return acc
}

// GroupBy returns the values of s by their keys, each group in the order of s.
func GroupBy[S ~[]E, E any, K comparable](s S, key func(E) K) map[K]S {
	groups := map[K]S{}
	for _, v := range s {
		k := key(v)
		groups[k] = append(groups[k], v)
	}
	return groups
}
