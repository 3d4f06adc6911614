// Appends the values one by one: each may grow, and those that still fit go into the old array.
//
//kata:caught-by TestOneGrowth TestNewArray
package slicegrow

// Append appends values to s and returns the extended slice: in the array of s if its capacity suffices, else in
// a larger one.
func Append[S ~[]E, E any](s S, values ...E) S {
	for _, v := range values {
		if len(s) == cap(s) {
			grown := make(S, len(s), capacity(len(s)+1, cap(s)))
			copy(grown, s)
			s = grown
		}
		s = s[:len(s)+1]
		s[len(s)-1] = v
	}
	return s
}

// capacity returns the size of a new array for n elements, where old did not suffice.
//
// Growing by a factor makes n appends copy only a multiple of n elements. The factor is a trade of copies for unused
// room: 2 copies each element once, on average, and leaves up to half of the array unused; 1.25 copies four times
// and leaves a fifth. So small arrays double, and large ones grow by a quarter.
func capacity(n, old int) int {
	const small = 256
	grown := 2 * old
	if old > small {
		grown = old + old/4 + small/2
	}
	return max(n, grown)
}
