// Compares errors with !=, where the contract promises errors.Is.
//
//kata:caught-by accepts/wrapping
package lease_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	lease "github.com/roadkata/roadkata/stage1/engineering/synctest"
)

// ttl divides into whole seconds by all that the contract divides it by, which
// keeps failures readable.
const ttl = 48 * time.Second

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
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestRetryDelays(t *testing.T) {
	bubble(t, "of calls that all fail", func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		var calls []error
		policy := lease.Policy{Attempts: 6, Base: time.Second, Max: 5 * time.Second}
		err := lease.Retry(t.Context(), policy, func(context.Context) error {
			at = append(at, time.Since(start))
			calls = append(calls, fmt.Errorf("call %d: %w", len(at), errDown))
			return calls[len(calls)-1]
		})

		wantError(t, "Retry", err, calls[len(calls)-1])
		if len(at) != policy.Attempts {
			t.Fatalf("calls at %v, want %d of them", at, policy.Attempts)
		}
		wantAt(t, "first call", at[0], 0)
		for i, delay := range []time.Duration{1, 2, 4, 5, 5} {
			delay *= time.Second
			wantWithin(t, fmt.Sprintf("delay %d", i+1), at[i+1]-at[i], delay/2, delay)
		}
		wantAt(t, "Retry returned", time.Since(start), at[5])
	})
}

// A store records when it is called. Its n-th renewal is answered by
// answers[n], the ones after the last by the last.
type store struct {
	start   time.Time
	answers []answer
	release error // the answer of Release

	mu       sync.Mutex
	busy     bool
	overlaps int
	renewals []time.Duration
	releases []time.Duration
	odd      []time.Duration // what Renew was asked for instead of ttl
}

type answer func(context.Context) error

func granted(context.Context) error { return nil }

func failed(context.Context) error { return errDown }

func newStore(answers ...answer) *store {
	return &store{start: time.Now(), answers: append(answers, granted)[:max(len(answers), 1)]}
}

func (s *store) enter(log *[]time.Duration) (n int, leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy {
		s.overlaps++
	}
	s.busy = true
	*log = append(*log, time.Since(s.start))
	return len(*log) - 1, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.busy = false
	}
}

func (s *store) Renew(ctx context.Context, asked time.Duration) error {
	n, leave := s.enter(&s.renewals)
	defer leave()
	if asked != ttl {
		s.odd = append(s.odd, asked)
	}
	return s.answers[min(n, len(s.answers)-1)](ctx)
}

func (s *store) Release(ctx context.Context) error {
	_, leave := s.enter(&s.releases)
	defer leave()
	return errors.Join(ctx.Err(), s.release)
}

func TestKeepReportsErrors(t *testing.T) {
	bubble(t, "of work and of Release", func(t *testing.T) {
		s := newStore()
		s.release = errDown
		errWork := errors.New("out of paper")
		err := lease.Keep(t.Context(), s, ttl, func(context.Context) error { return errWork })

		if !errors.Is(err, errWork) || !errors.Is(err, errDown) {
			t.Errorf("Keep: %v, want both errors", err)
		}
	})
	bubble(t, "of the first Renew", func(t *testing.T) {
		s := newStore(failed)
		err := lease.Keep(t.Context(), s, ttl, func(context.Context) error { t.Error("work was called"); return nil })

		wantError(t, "Keep", err, errDown)
		if len(s.renewals) != 1 || len(s.releases) != 0 {
			t.Errorf("renewals at %v, releases at %v; want one renewal only", s.renewals, s.releases)
		}
	})
}
