// Wants the delays that the given implementation happens to have.
//
//kata:caught-by accepts/early accepts/wrapping
package lease_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	lease "github.com/roadkata/roadkata/stage1/engineering/synctest"
)

var errDown = errors.New("store is down")

// bubble runs f in virtual time. The bubble itself complains if f leaves
// anything running.
func bubble(t *testing.T, name string, f func(*testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

func wantWithin(t *testing.T, what string, got, low, high time.Duration) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s: %v, want %v to %v", what, got, low, high)
	}
}

func wantAt(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got != want {
		t.Errorf("%s at %v, want %v", what, got, want)
	}
}

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestRetryDelays(t *testing.T) {
	bubble(t, "of calls that all fail", func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		policy := lease.Policy{Attempts: 6, Base: time.Second, Max: 5 * time.Second}
		err := lease.Retry(t.Context(), policy, func(context.Context) error {
			at = append(at, time.Since(start))
			return fmt.Errorf("call %d: %w", len(at), errDown)
		})

		wantError(t, "Retry", err, errDown)
		if len(at) != policy.Attempts {
			t.Fatalf("calls at %v, want %d of them", at, policy.Attempts)
		}
		wantAt(t, "first call", at[0], 0)
		for i, delay := range []time.Duration{1, 2, 4, 5, 5} {
			delay *= time.Second
			wantWithin(t, fmt.Sprintf("delay %d", i+1), at[i+1]-at[i], delay, delay)
		}
		wantAt(t, "Retry returned", time.Since(start), at[5])
	})
}

func TestRetrySucceeds(t *testing.T) {
	bubble(t, "with the second call", func(t *testing.T) {
		calls := 0
		policy := lease.Policy{Attempts: 9, Base: time.Second, Max: time.Second}
		err := lease.Retry(t.Context(), policy, func(context.Context) error {
			if calls++; calls < 2 {
				return errDown
			}
			return nil
		})
		if err != nil || calls != 2 {
			t.Errorf("Retry = %v after %d calls, want nil after 2", err, calls)
		}
	})
}
