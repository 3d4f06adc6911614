// Lowers A to Z by hand: the letters of other alphabets keep their case.
//
//kata:caught-by TestIgnoresCase
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
		for word := range strings.FieldsFuncSeq(strings.Map(lower, line), separates) {
			n[word]++
		}
	}

	counts := make([]Count, 0, len(n))
	for word, n := range n {
		counts = append(counts, Count{word, n})
	}
	slices.SortFunc(counts, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Word, b.Word))
	})
	return counts
}

func lower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

func separates(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r)
}
