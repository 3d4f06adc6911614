// Starts from a nil slice and never makes one: no words, no slice, and JSON says
// null.
//
//kata:caught-by TestEmptyInput
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
func Frequencies(lines []string) []Count {
	n := map[string]int{}
	for _, line := range lines {
		for word := range strings.FieldsFuncSeq(strings.ToLower(line), separates) {
			n[word]++
		}
	}

	var counts []Count
	for word, n := range n {
		counts = append(counts, Count{word, n})
	}
	slices.SortFunc(counts, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Word, b.Word))
	})
	return counts
}

func separates(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r)
}
