// Package hello counts words, which a regular expression finds.
package hello

import (
	"regexp"
	"sort"
	"strings"
)

// Count is a word and how often it occurs.
type Count struct {
	Word string
	N    int
}

var word = regexp.MustCompile(`[\p{L}\p{M}\p{Nd}]+`)

// Frequencies counts the words of all lines together.
func Frequencies(lines []string) []Count {
	counts := []Count{}
	at := map[string]int{}
	for _, w := range word.FindAllString(strings.Join(lines, "\n"), -1) {
		w = strings.ToLower(w)
		i, ok := at[w]
		if !ok {
			i = len(counts)
			at[w] = i
			counts = append(counts, Count{Word: w})
		}
		counts[i].N++
	}
	sort.Slice(counts, func(i, j int) bool {
		if counts[i].N != counts[j].N {
			return counts[i].N > counts[j].N
		}
		return counts[i].Word < counts[j].Word
	})
	return counts
}
