// Package generics transforms sequences, lazily: nothing is done before somebody asks.
package generics

import "iter"

// Map calls seq with a yield of its own.
func Map[T, R any](seq iter.Seq[T], f func(T) R) iter.Seq[R] {
	return func(yield func(R) bool) {
		seq(func(v T) bool { return yield(f(v)) })
	}
}

// Filter calls seq with a yield of its own.
func Filter[T any](seq iter.Seq[T], keep func(T) bool) iter.Seq[T] {
	return func(yield func(T) bool) {
		seq(func(v T) bool { return !keep(v) || yield(v) })
	}
}

// Chunk calls seq with a yield of its own.
func Chunk[T any](seq iter.Seq[T], n int) iter.Seq[[]T] {
	if n <= 0 {
		panic("generics: chunks of less than 1")
	}
	return func(yield func([]T) bool) {
		buf, more := []T(nil), true
		seq(func(v T) bool {
			buf = append(buf, v)
			if len(buf) == n {
				more = yield(append([]T(nil), buf...))
				buf = buf[:0]
			}
			return more
		})
		if more && len(buf) > 0 {
			yield(buf)
		}
	}
}

// Zip pulls both sides.
func Zip[A, B any](a iter.Seq[A], b iter.Seq[B]) iter.Seq2[A, B] {
	return func(yield func(A, B) bool) {
		nextA, stopA := iter.Pull(a)
		defer stopA()
		nextB, stopB := iter.Pull(b)
		defer stopB()
		for {
			x, ok := nextA()
			if !ok {
				return
			}
			y, ok := nextB()
			if !ok || !yield(x, y) {
				return
			}
		}
	}
}

// Reduce calls seq with a yield of its own.
func Reduce[T, A any](seq iter.Seq[T], init A, f func(A, T) A) A {
	seq(func(v T) bool {
		init = f(init, v)
		return true
	})
	return init
}

// GroupBy counts first, so that each group is allocated once.
func GroupBy[S ~[]E, E any, K comparable](s S, key func(E) K) map[K]S {
	keys := make([]K, len(s))
	sizes := make(map[K]int)
	for i, v := range s {
		keys[i] = key(v)
		sizes[keys[i]]++
	}
	groups := make(map[K]S, len(sizes))
	for i, v := range s {
		g, ok := groups[keys[i]]
		if !ok {
			g = make(S, 0, sizes[keys[i]])
		}
		groups[keys[i]] = append(g, v)
	}
	return groups
}
