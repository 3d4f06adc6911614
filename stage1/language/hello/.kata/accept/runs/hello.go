// Package hello counts words without a map: sorted, equal words stand in runs.
package hello

import (
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
	var words []string
	for _, line := range lines {
		words = appendWords(words, line)
	}
	slices.Sort(words)

	counts := make([]Count, 0)
	for _, w := range words {
		if last := len(counts) - 1; last >= 0 && counts[last].Word == w {
			counts[last].N++
			continue
		}
		counts = append(counts, Count{w, 1})
	}
	// The words are in order already: a stable sort keeps them so among equals.
	slices.SortStableFunc(counts, func(a, b Count) int { return b.N - a.N })
	return counts
}

func appendWords(words []string, line string) []string {
	var word strings.Builder
	flush := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	for _, r := range line {
		if unicode.In(r, unicode.L, unicode.M, unicode.Nd) {
			word.WriteRune(unicode.ToLower(r))
		} else {
			flush()
		}
	}
	flush()
	return words
}
