// Splits at each separator: between two of them, and in an empty line, there is
// an empty string, and it is counted.
//
//kata:caught-by TestEmptyInput
package hello

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// Count is a word and how often it occurs.
type Count struct {
	Word string
	N    int
}

var separators = regexp.MustCompile(`[^\p{L}\p{M}\p{Nd}]`)

// Frequencies counts the words of all lines together.
func Frequencies(lines []string) []Count {
	n := map[string]int{}
	for _, line := range lines {
		for _, word := range separators.Split(strings.ToLower(line), -1) {
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
