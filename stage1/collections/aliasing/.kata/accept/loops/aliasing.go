// Package aliasing moves elements by hand, one at a time, and counts before it makes anything.
package aliasing

// Insert returns a new slice.
func Insert[S ~[]E, E any](s S, i int, values ...E) S {
	head, tail := s[:i:len(s)], s[i:] // panics if i is out of range
	result := make(S, 0, len(s)+len(values))
	for _, part := range [...][]E{head, values, tail} {
		for _, e := range part {
			result = append(result, e)
		}
	}
	return result
}

// Delete removes elements in place.
func Delete[S ~[]E, E any](s S, i, j int) S {
	gone := s[i:j:len(s)] // panics if the range is not within s
	s = s[:len(s):len(s)]
	for k := j; k < len(s); k++ {
		s[k-len(gone)] = s[k]
	}
	end := len(s) - len(gone)
	var zero E
	for k := end; k < len(s); k++ {
		s[k] = zero
	}
	return s[:end:end]
}

// Dedup deletes one run after the other, from the end.
func Dedup[S ~[]E, E comparable](s S) S {
	for i := len(s) - 1; i > 0; i-- {
		first := i
		for first > 0 && s[first-1] == s[i] {
			first--
		}
		if first < i {
			s = Delete(s, first+1, i+1)
			i = first
		}
	}
	return s[:len(s):len(s)]
}

// Chunk returns views of s.
func Chunk[S ~[]E, E any](s S, n int) []S {
	if n < 1 {
		panic("aliasing: a piece has at least one element")
	}
	var pieces []S
	if len(s) > 0 {
		pieces = make([]S, (len(s)-1)/n+1)
	}
	for i := range pieces {
		from := i * n
		to := min(len(s)-from, n) + from
		pieces[i] = s[from:to:to]
	}
	return pieces
}
