// Sorts by count only: equally frequent words stay in the map's random order.
//
//kata:caught-by TestOrder
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

	counts := make([]Count, 0, len(n))
	for word, n := range n {
		counts = append(counts, Count{word, n})
	}
	slices.SortStableFunc(counts, func(a, b Count) int { return cmp.Compare(b.N, a.N) })
	return counts
}

func separates(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r)
}
