// Wants no renewal in the first third of the lease; the contract allows a quarter.
//
//kata:caught-by accepts/early
package lease_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// sleep waits for d, or for ctx to end.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
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

// wantReleased checks what holds of every lease that was kept to the end.
func (s *store) wantReleased(t *testing.T, err, want error, at time.Duration) {
	t.Helper()
	wantError(t, "Keep", err, want)
	if !slices.Equal(s.releases, []time.Duration{at}) {
		t.Fatalf("Release at %v, want once at %v", s.releases, at)
	}
	s.wantNoOverlap(t)
}

func (s *store) wantNoOverlap(t *testing.T) {
	t.Helper()
	if s.overlaps != 0 {
		t.Errorf("%d calls of the store began while another was running", s.overlaps)
	}
}

func TestLeaseIsKept(t *testing.T) {
	bubble(t, "for ten times its length", func(t *testing.T) {
		s := newStore()
		err := lease.Keep(t.Context(), s, ttl, func(ctx context.Context) error { return sleep(ctx, 10*ttl+time.Second/2) })

		s.wantReleased(t, err, nil, 10*ttl+time.Second/2)
		if len(s.odd) != 0 {
			t.Errorf("renewals for %v, want all for %v", s.odd, ttl)
		}
		wantAt(t, "first renewal", s.renewals[0], 0)
		for i := range s.renewals[1:] {
			wantWithin(t, fmt.Sprintf("renewal %d after the one before", i+1), s.renewals[i+1]-s.renewals[i], ttl/3, ttl/2)
		}
	})
	bubble(t, "over a failed renewal", func(t *testing.T) {
		s := newStore(granted, failed, granted)
		err := lease.Keep(t.Context(), s, ttl, func(ctx context.Context) error { return sleep(ctx, ttl+time.Second/2) })

		s.wantReleased(t, err, nil, ttl+time.Second/2)
		wantWithin(t, "renewal after the failed one", s.renewals[2]-s.renewals[1], 0, ttl/8)
	})
	bubble(t, "while work winds down", func(t *testing.T) {
		s := newStore()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		err := lease.Keep(ctx, s, ttl, func(ctx context.Context) error {
			<-ctx.Done()
			wantAt(t, "context of work ended", time.Since(s.start), time.Second)
			time.Sleep(3 * ttl)
			return nil
		})

		s.wantReleased(t, err, nil, 3*ttl+time.Second)
	})
}
