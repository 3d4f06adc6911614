package benchmarks

import "testing"

// Measure benchmarks the Work of s on a text of size bytes: nothing else is
// measured. It reports the throughput, the allocations, and the mean number of
// lines dropped as "dropped/op". If Work fails, so does the benchmark.
func Measure(b *testing.B, s Subject, size int) {
	panic("TODO: measure Work")
}

// Scale runs Measure for each size, in order, as a sub-benchmark called
// "size=16384" or the like.
func Scale(b *testing.B, s Subject, sizes ...int) {
	panic("TODO: run sub-benchmarks")
}

// Uniq does what [Old] does, in place: the result lies in the array of text,
// from its beginning. It allocates nothing.
func Uniq(text []byte) ([]byte, int) {
	panic("TODO: drop the lines that repeat")
}
