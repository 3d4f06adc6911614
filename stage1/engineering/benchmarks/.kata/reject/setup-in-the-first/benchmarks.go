// Sets the text up when it is first needed: within the first iteration, and measured.
//
//kata:caught-by TestSetupNotMeasured
package benchmarks

import (
	"bytes"
	"fmt"
	"testing"
)

// Measure benchmarks the Work of s on a text of size bytes: nothing else is
// measured. It reports the throughput, the allocations, and the mean number of
// lines dropped as "dropped/op". If Work fails, so does the benchmark.
func Measure(b *testing.B, s Subject, size int) {
	b.ReportAllocs()
	b.SetBytes(int64(size))
	var text []byte

	// Loop runs this function once only and starts the clock at its first call,
	// so what stands above is neither repeated nor measured.
	dropped, fresh := 0, true
	for b.Loop() {
		if fresh {
			text = s.Setup(b, size)
		} else {
			b.StopTimer()
			s.Reset(text)
			b.StartTimer()
		}
		fresh = false
		n, err := s.Work(text)
		if err != nil {
			b.Fatalf("Work on %d bytes: %v", size, err)
		}
		dropped += n
	}

	// Not earlier: the start of the clock discards metrics.
	b.ReportMetric(float64(dropped)/float64(b.N), "dropped/op")
}

// Scale runs Measure for each size, in order, as a sub-benchmark called
// "size=16384" or the like.
func Scale(b *testing.B, s Subject, sizes ...int) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) { Measure(b, s, size) })
	}
}

// Uniq does what [Old] does, in place: the result lies in the array of text,
// from its beginning. It allocates nothing.
func Uniq(text []byte) ([]byte, int) {
	end, dropped := 0, 0 // of what is kept
	var before []byte    // the last line of that
	for rest := text; len(rest) > 0; {
		n := bytes.IndexByte(rest, '\n') + 1
		if n == 0 {
			n = len(rest)
		}
		line := rest[:n]
		rest = rest[n:]
		if end > 0 && bytes.Equal(line, before) {
			dropped++
			continue
		}
		before = text[end : end+n]
		end += copy(before, line)
	}
	return text[:end], dropped
}
