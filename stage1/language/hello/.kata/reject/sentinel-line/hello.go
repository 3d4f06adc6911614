// Appends an empty last line to end the last word: append writes into the
// caller's array when it has room.
//
//kata:caught-by TestInputUntouched
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
	var word strings.Builder
	for _, line := range append(lines, "") {
		for _, r := range line + "\n" {
			if !separates(r) {
				word.WriteRune(unicode.ToLower(r))
			} else if word.Len() > 0 {
				n[word.String()]++
				word.Reset()
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
