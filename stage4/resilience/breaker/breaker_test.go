package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadkata/roadkata/stage4/resilience/breaker"
)

// Half of the calls fail: the breaker opens, tries one call after a minute, and closes.
func TestExample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{
			Window:      10 * time.Second,
			MinCalls:    4,
			FailureRate: 0.5,
			SlowCall:    time.Second,
			SlowRate:    1,
			OpenFor:     time.Minute,
			Probes:      1,
			OnChange:    func(from, to breaker.State) { fmt.Println(from, "→", to) },
		})
		boom := errors.New("boom")
		do := func(err, want error) {
			t.Helper()
			if got := b.Do(t.Context(), func(context.Context) error { return err }); got != want {
				t.Fatalf("Do of a call that returns %v = %v, want %v", err, got, want)
			}
		}
		do(nil, nil)
		do(boom, boom)
		do(nil, nil)
		do(boom, boom)
		do(nil, breaker.ErrOpen)
		time.Sleep(time.Minute)
		do(nil, nil)
		if s := b.State(); s != breaker.Closed {
			t.Errorf("the probe succeeded: State() = %v, want closed", s)
		}
	})
}
