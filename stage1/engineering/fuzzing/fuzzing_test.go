package fuzzing_test

import (
	"testing"

	"github.com/roadkata/roadkata/stage1/engineering/fuzzing"
)

// FuzzSimple is how a project uses a property. `go test` runs the seeds only; to search, run
//
//	go test -fuzz FuzzSimple -fuzztime 10s ./stage1/engineering/fuzzing
func FuzzSimple(f *testing.F) {
	for _, seed := range fuzzing.Seeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := fuzzing.Check(fuzzing.Simple{}, data); err != nil {
			t.Error(err)
		}
	})
}

func TestExampleRight(t *testing.T) {
	for _, seed := range fuzzing.Seeds() {
		if err := fuzzing.Check(fuzzing.Simple{}, seed); err != nil {
			t.Errorf("Check(Simple, %q) = %q, want nil: Simple is right", seed, err)
		}
	}
}

// forgetful loses the last byte.
type forgetful struct{ fuzzing.Simple }

func (c forgetful) Encode(plain []byte) []byte {
	return c.Simple.Encode(plain[:max(0, len(plain)-1)])
}

func TestExampleWrong(t *testing.T) {
	for _, seed := range fuzzing.Seeds() {
		if fuzzing.Check(forgetful{}, seed) != nil {
			return
		}
	}
	t.Error("Check returned nil for every seed, want an error for one of them: the codec loses the last byte")
}
