package benchmarks

import (
	"bytes"
	"strconv"
	"testing"
)

// batch is how many copies of the text are used up before the clock is stopped
// to make them as new: stopping it stops the world.
const batch = 16

// Measure benchmarks the Work of s on a text of size bytes.
func Measure(b *testing.B, s Subject, size int) {
	texts := make([][]byte, batch)
	texts[0] = s.Setup(b, size)
	for i := range texts[1:] {
		texts[1+i] = bytes.Clone(texts[0])
	}

	calls, dropped := 0, 0
	for b.Loop() {
		if calls > 0 && calls%batch == 0 {
			b.StopTimer()
			for _, text := range texts {
				s.Reset(text)
			}
			b.StartTimer()
		}
		n, err := s.Work(texts[calls%batch])
		if err != nil {
			b.Fatal(err)
		}
		dropped += n
		calls++
	}
	b.ReportAllocs()
	b.SetBytes(int64(size))
	b.ReportMetric(float64(dropped)/float64(calls), "dropped/op")
}

// Scale runs Measure for each size.
func Scale(b *testing.B, s Subject, sizes ...int) {
	for _, size := range sizes {
		b.Run("size="+strconv.Itoa(size), func(b *testing.B) { Measure(b, s, size) })
	}
}

// Uniq does what [Old] does, in place, byte by byte.
func Uniq(text []byte) ([]byte, int) {
	kept := text[:0]
	last, start, dropped := -1, 0, 0 // where the last line kept begins in kept
	for i, c := range text {
		if c != '\n' && i < len(text)-1 {
			continue
		}
		line := text[start : i+1]
		start = i + 1
		if last >= 0 && string(kept[last:]) == string(line) {
			dropped++
			continue
		}
		last = len(kept)
		kept = append(kept, line...)
	}
	return kept, dropped
}
