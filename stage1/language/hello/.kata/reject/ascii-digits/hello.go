// Takes 0 to 9 for all digits there are: other scripts have their own.
//
//kata:caught-by TestUnicodeWords
package hello

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

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
	n := map[string]int{}
	for _, line := range lines {
		for word := range strings.FieldsFuncSeq(strings.ToLower(line), separates) {
			n[word]++
		}
	}

	counts := make([]Count, 0, len(n))
	for word, n := range n {
		counts = append(counts, Count{word, n})
	}
	// Maps are ranged over in random order, so ties need an order of their own.
	slices.SortFunc(counts, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Word, b.Word))
	})
	return counts
}

// separates reports whether r stands between words. Marks belong to words:
// in many scripts, and in decomposed text, a letter carries its accent or vowel
// as a rune of its own.
func separates(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsMark(r) && (r < '0' || r > '9')
}
