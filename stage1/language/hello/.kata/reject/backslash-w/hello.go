// Trusts \w, which in Go's regular expressions is ASCII only, and takes in the
// underscore.
//
//kata:caught-by TestUnicodeWords
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

var word = regexp.MustCompile(`\w+`)

// Frequencies counts the words of all lines together.
func Frequencies(lines []string) []Count {
	n := map[string]int{}
	for _, line := range lines {
		for _, w := range word.FindAllString(strings.ToLower(line), -1) {
			n[w]++
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
