// Sorts stably by count only: equally frequent words stay in the order in which
// the text brought them.
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
	counts := []Count{}
	at := map[string]int{}
	for _, line := range lines {
		for word := range strings.FieldsFuncSeq(strings.ToLower(line), separates) {
			if _, ok := at[word]; !ok {
				at[word] = len(counts)
				counts = append(counts, Count{Word: word})
			}
			counts[at[word]].N++
		}
	}
	slices.SortStableFunc(counts, func(a, b Count) int { return cmp.Compare(b.N, a.N) })
	return counts
}

func separates(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r)
}
