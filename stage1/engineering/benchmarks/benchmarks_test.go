package benchmarks_test

import (
	"testing"

	"github.com/roadkata/roadkata/stage1/engineering/benchmarks"
)

// Compare the two, from stage1:
//
//	go test -bench . -count 10 ./engineering/benchmarks | tee new.txt
//	benchstat -col .name new.txt
func BenchmarkOld(b *testing.B) {
	benchmarks.Scale(b, benchmarks.SubjectOf(benchmarks.Old), 16<<10, 256<<10)
}

func BenchmarkUniq(b *testing.B) {
	benchmarks.Scale(b, benchmarks.SubjectOf(benchmarks.Uniq), 16<<10, 256<<10)
}

func TestExampleUniq(t *testing.T) {
	const text = "ready\nretry\nretry\nretry\nready\n"
	got, dropped := benchmarks.Uniq([]byte(text))
	if want := "ready\nretry\nready\n"; string(got) != want || dropped != 2 {
		t.Errorf("Uniq(%q) = %q, %d, want %q, 2", text, got, dropped, want)
	}
}
