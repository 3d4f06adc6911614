// Package generics transforms sequences, lazily: nothing is done before somebody asks.
package generics

import "iter"

// pulled makes a sequence of what step returns. A step takes what it needs of seq, and is made anew for each range.
func pulled[T, R any](seq iter.Seq[T], step func(next func() (T, bool)) (R, bool)) iter.Seq[R] {
	return func(yield func(R) bool) {
		next, stop := iter.Pull(seq)
		defer stop()
		for {
			v, ok := step(next)
			if !ok || !yield(v) {
				return
			}
		}
	}
}

// Map takes one value at a time.
func Map[T, R any](seq iter.Seq[T], f func(T) R) iter.Seq[R] {
	return pulled(seq, func(next func() (T, bool)) (r R, ok bool) {
		v, ok := next()
		if ok {
			r = f(v)
		}
		return r, ok
	})
}

// Filter takes values until one is to be kept.
func Filter[T any](seq iter.Seq[T], keep func(T) bool) iter.Seq[T] {
	return pulled(seq, func(next func() (T, bool)) (T, bool) {
		for {
			if v, ok := next(); !ok || keep(v) {
				return v, ok
			}
		}
	})
}

// Chunk takes n values at a time.
func Chunk[T any](seq iter.Seq[T], n int) iter.Seq[[]T] {
	if n < 1 {
		panic("generics: chunks of less than 1")
	}
	return pulled(seq, func(next func() (T, bool)) (chunk []T, ok bool) {
		for len(chunk) < n {
			v, ok := next()
			if !ok {
				break
			}
			chunk = append(chunk, v)
		}
		return chunk, len(chunk) > 0
	})
}

// Zip pulls b and ranges over a.
func Zip[A, B any](a iter.Seq[A], b iter.Seq[B]) iter.Seq2[A, B] {
	return func(yield func(A, B) bool) {
		next, stop := iter.Pull(b)
		defer stop()
		a(func(x A) bool {
			y, ok := next()
			return ok && yield(x, y)
		})
	}
}

// Reduce folds from the first to the last.
func Reduce[T, A any](seq iter.Seq[T], init A, f func(A, T) A) A {
	for v := range seq {
		init = f(init, v)
	}
	return init
}

// GroupBy appends to the groups.
func GroupBy[S ~[]E, E any, K comparable](s S, key func(E) K) map[K]S {
	groups := make(map[K]S)
	for i := range s {
		k := key(s[i])
		groups[k] = append(groups[k], s[i])
	}
	return groups
}
