// Counts a word when its separator comes: the last word of a line has none.
//
//kata:caught-by TestCounts
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
		start := -1
		line = strings.ToLower(line)
		for i, r := range line {
			switch {
			case !separates(r) && start < 0:
				start = i
			case separates(r) && start >= 0:
				n[line[start:i]]++
				start = -1
			}
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

func separates(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r)
}
