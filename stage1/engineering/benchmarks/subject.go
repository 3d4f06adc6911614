// Package benchmarks measures code that uses up its input, and makes such code
// faster: the removal of lines that repeat the line before.
package benchmarks

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// A Subject is code to be measured.
type Subject struct {
	// Setup makes a text of size bytes. It is slow.
	Setup func(tb testing.TB, size int) []byte

	// Work is what is to be measured. It says how many lines it dropped, and it
	// uses the text up: another call needs a text as Setup made it.
	Work func(text []byte) (dropped int, err error)

	// Reset makes a text that Setup made as it was before Work. So it does with a
	// copy of such a text.
	Reset func(text []byte)
}

// SubjectOf returns the Subject that measures uniq, which is [Old] or [Uniq].
func SubjectOf(uniq func([]byte) ([]byte, int)) Subject {
	var original []byte
	return Subject{
		Setup: func(tb testing.TB, size int) []byte {
			var text []byte
			for i := 0; len(text) < size; i++ {
				line := fmt.Sprintf("GET /item/%d 200\n", i)
				text = append(text, strings.Repeat(line, 1+i%4)...)
			}
			original = bytes.Clone(text[:size])
			return text[:size]
		},
		Work: func(text []byte) (int, error) {
			_, dropped := uniq(text)
			return dropped, nil
		},
		Reset: func(text []byte) { copy(text, original) },
	}
}

// Old returns the text without the lines that are equal to the line before,
// and how many it dropped. A line ends with its "\n", which belongs to it; the
// last one may have none. The result is of the same lines as a text of its own.
func Old(text []byte) ([]byte, int) {
	var kept []string
	dropped := 0
	for _, line := range strings.SplitAfter(string(text), "\n") {
		if len(kept) > 0 && kept[len(kept)-1] == line {
			dropped++
			continue
		}
		kept = append(kept, line)
	}
	return []byte(strings.Join(kept, "")), dropped
}
