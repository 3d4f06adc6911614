package batcher_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadkata/roadkata/stage1/concurrency/batcher"
)

// In the bubble of package synctest time is virtual: an hour passes as soon as
// every goroutine waits.
func TestExampleBatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var got []string
		b := batcher.New(2, 10*time.Second, func(batch []string) {
			got = append(got, fmt.Sprint(time.Since(start), " ", batch))
		})
		for _, item := range []string{"a", "b", "c"} {
			if err := b.Add(t.Context(), item); err != nil {
				t.Fatalf("Add(ctx, %q) = %v, want nil", item, err)
			}
		}
		time.Sleep(time.Hour)
		b.Close()
		want := []string{"0s [a b]", "10s [c]"} // full at once; then by age
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("New(2, 10s, flush), Add a, b, c: flushes %q, want %q", got, want)
		}
	})
}
