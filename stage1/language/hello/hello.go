// Package hello counts words.
//
// A word is a longest run of letters, marks and digits (unicode.IsLetter,
// unicode.IsMark, unicode.IsDigit); every other rune separates words. Case does
// not matter: words are counted and reported in lower case (strings.ToLower).
package hello

// Count is a word and how often it occurs.
type Count struct {
	Word string
	N    int
}

// Frequencies counts the words of all lines together.
//
// The most frequent word comes first; words that are equally frequent are in
// ascending order, as Go's < compares strings. Without words the result is
// empty but not nil. Neither lines nor the array behind it is written to.
func Frequencies(lines []string) []Count {
	panic("TODO: count the words")
}
