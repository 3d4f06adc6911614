// Shortens the slice and leaves the dropped elements where they are: what they point to is never collected.
//
//kata:caught-by TestTailZeroed
package aliasing

import "fmt"

// Insert returns a new slice: s with values before its element i. It touches neither s nor values.
// It panics unless 0 <= i <= len(s).
func Insert[S ~[]E, E any](s S, i int, values ...E) S {
	if i < 0 || i > len(s) {
		panic(fmt.Sprintf("aliasing: insert at %d in %d elements", i, len(s)))
	}
	// Appending to s[:i] would be shorter, and would write into the caller's array wherever that has room.
	result := make(S, len(s)+len(values))
	copy(result, s[:i])
	copy(result[i:], values)
	copy(result[i+len(values):], s[i:])
	return result
}

// Delete removes the elements s[i:j] in place, zeroes those at the end that are no longer needed, and returns the
// shorter slice. It panics, and changes nothing, unless 0 <= i <= j <= len(s).
func Delete[S ~[]E, E any](s S, i, j int) S {
	// An explicit check, for slicing is more permissive: with room behind s, Delete(s, 3, 1) would make it longer.
	if i < 0 || i > j || j > len(s) {
		panic(fmt.Sprintf("aliasing: delete [%d:%d] of %d elements", i, j, len(s)))
	}
	return shorten(s, i+copy(s[i:], s[j:]))
}

// Dedup removes, in place, every element that equals the one before it, zeroes those at the end that are no longer
// needed, and returns the shorter slice.
func Dedup[S ~[]E, E comparable](s S) S {
	kept := 0
	for i, e := range s {
		// The element before, at i-1, may have been overwritten; the last one kept is equal to it.
		if i == 0 || e != s[kept-1] {
			s[kept] = e
			kept++
		}
	}
	return shorten(s, kept)
}

// Chunk divides s, in order, into pieces of n elements, the last one perhaps shorter. The pieces are views of s.
// It panics if n < 1.
func Chunk[S ~[]E, E any](s S, n int) []S {
	if n < 1 {
		panic(fmt.Sprintf("aliasing: pieces of %d elements", n))
	}
	count := len(s) / n
	if len(s)%n > 0 {
		count++
	}
	pieces := make([]S, 0, count)
	for len(s) > 0 {
		n = min(n, len(s))
		pieces = append(pieces, s[:n:n]) // without the capacity, or an append to one piece would write into the next
		s = s[n:]
	}
	return pieces
}

// shorten returns the first n elements of s and zeroes the others, which would keep alive what they point to.
// It stays within len(s): what is between that and cap(s) may be somebody else's. For the same reason the
// result has no capacity to spare.
func shorten[S ~[]E, E any](s S, n int) S {
	return s[:n:n]
}
