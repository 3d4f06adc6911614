// Package slicegrow has capacities that are powers of two, and copies backward where it overlaps.
package slicegrow

import "math/bits"

// Append appends values to s and returns the extended slice: in the array of s if its capacity suffices, else in
// a larger one.
func Append[S ~[]E, E any](s S, values ...E) S {
	held, n := len(s), len(s)+len(values)
	if n > cap(s) {
		grown := make(S, n, 1<<bits.Len(uint(n-1)))
		for i := range s {
			grown[i] = s[i]
		}
		for i, v := range values {
			grown[held+i] = v
		}
		return grown
	}
	// Values that overlap their place begin before it, never behind it or they would begin beyond the length of s,
	// in which case going backward would be wrong; so look which it is.
	s = s[:n]
	if behind(s[held:], values) {
		for i, v := range values {
			s[held+i] = v
		}
		return s
	}
	for i := len(values) - 1; i >= 0; i-- {
		s[held+i] = values[i]
	}
	return s
}

// behind reports whether values begins inside room.
func behind[E any](room, values []E) bool {
	for i := range room {
		if len(values) > 0 && &room[i] == &values[0] {
			return true
		}
	}
	return false
}
