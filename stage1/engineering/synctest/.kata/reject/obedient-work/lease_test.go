// Has work that is done the moment it loses the lease.
//
//kata:caught-by catches/waits-for-work
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
			wantWithin(t, fmt.Sprintf("delay %d", i+1), at[i+1]-at[i], delay/2, delay)
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

func TestRetryIsCancelled(t *testing.T) {
	bubble(t, "during a delay", func(t *testing.T) {
		start, calls := time.Now(), 0
		cause := errors.New("shutdown")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(10*time.Second, func() { cancel(cause) })

		policy := lease.Policy{Attempts: 9, Base: time.Minute, Max: time.Minute}
		err := lease.Retry(ctx, policy, func(context.Context) error { calls++; return errDown })

		wantError(t, "Retry", err, cause)
		wantAt(t, "Retry returned", time.Since(start), 10*time.Second)
		if calls != 1 {
			t.Errorf("%d calls, want 1", calls)
		}
	})
}

func TestTooShort(t *testing.T) {
	bubble(t, "durations are refused", func(t *testing.T) {
		unwanted := func(context.Context) error { t.Error("called"); return nil }
		policy := lease.Policy{Attempts: 1, Base: lease.MinDelay - 1, Max: time.Hour}
		wantError(t, "Retry", lease.Retry(t.Context(), policy, unwanted), lease.ErrShort)
		wantError(t, "Keep", lease.Keep(t.Context(), newStore(), lease.MinTTL-1, unwanted), lease.ErrShort)
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
func failed(context.Context) error  { return errDown }

// hangs waits for the end of its context, and then needs a second to return.
func hangs(ctx context.Context) error {
	<-ctx.Done()
	time.Sleep(time.Second)
	return ctx.Err()
}

// grantsLate is granted a second after its context has ended, or the lease.
func grantsLate(ctx context.Context) error {
	_ = sleep(ctx, ttl)
	time.Sleep(time.Second)
	return nil
}

func slow(d time.Duration) answer {
	return func(ctx context.Context) error { return sleep(ctx, d) }
}

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

// wantLost checks what holds of every lost lease.
func (s *store) wantLost(t *testing.T, err error, end time.Duration) {
	t.Helper()
	wantError(t, "Keep", err, lease.ErrLost)
	if len(s.releases) != 0 {
		t.Errorf("a lost lease was released at %v", s.releases)
	}
	if last := s.renewals[len(s.renewals)-1]; last > end {
		t.Errorf("renewal at %v, after the lease was lost at %v", last, end)
	}
	s.wantNoOverlap(t)
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
			wantWithin(t, fmt.Sprintf("renewal %d after the one before", i+1), s.renewals[i+1]-s.renewals[i], ttl/4, ttl/2)
		}
	})
	bubble(t, "over a failed renewal", func(t *testing.T) {
		s := newStore(granted, failed, granted)
		err := lease.Keep(t.Context(), s, ttl, func(ctx context.Context) error { return sleep(ctx, ttl+time.Second/2) })

		s.wantReleased(t, err, nil, ttl+time.Second/2)
		wantWithin(t, "renewal after the failed one", s.renewals[2]-s.renewals[1], ttl/16, ttl/8)
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

func TestLeaseIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		answers []answer
		end     time.Duration
	}{
		"renewals fail":              {[]answer{granted, failed}, ttl},
		"renewals hang":              {[]answer{granted, hangs}, ttl},
		"first renewal was slow":     {[]answer{slow(3 * time.Second), failed}, ttl},
		"renewals are never granted": {[]answer{granted, slow(time.Hour)}, ttl},
	} {
		bubble(t, name, func(t *testing.T) {
			s := newStore(c.answers...)
			err := lease.Keep(t.Context(), s, ttl, func(ctx context.Context) error {
				<-ctx.Done()
				wantAt(t, "context of work ended", time.Since(s.start), c.end)
				wantError(t, "its cause", context.Cause(ctx), lease.ErrLost)
				return ctx.Err()
			})

			s.wantLost(t, err, c.end)
		})
	}
}

func TestLostForGood(t *testing.T) {
	bubble(t, "whatever a renewal says later", func(t *testing.T) {
		s := newStore(granted, grantsLate)
		err := lease.Keep(t.Context(), s, ttl, func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(ttl)
			return nil
		})
		time.Sleep(2 * ttl) // no call may come now, either

		s.wantLost(t, err, ttl)
	})
}

func TestReleaseWaitsForTheRenewal(t *testing.T) {
	bubble(t, "that is under way", func(t *testing.T) {
		s := newStore(granted, hangs)
		err := lease.Keep(t.Context(), s, ttl, func(ctx context.Context) error { return sleep(ctx, ttl*3/4) })

		s.wantReleased(t, err, nil, ttl*3/4+time.Second)
	})
}

func TestReleaseAfterCancel(t *testing.T) {
	bubble(t, "has a context of its own", func(t *testing.T) {
		s := newStore()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := lease.Keep(ctx, s, ttl, func(ctx context.Context) error { <-ctx.Done(); return nil })

		s.wantReleased(t, err, nil, time.Second)
	})
}

func TestKeepReportsErrors(t *testing.T) {
	bubble(t, "of work and of Release", func(t *testing.T) {
		s := newStore()
		s.release = errDown
		errWork := errors.New("out of paper")
		err := lease.Keep(t.Context(), s, ttl, func(context.Context) error { return errWork })

		s.wantReleased(t, err, errWork, 0)
		wantError(t, "Keep", err, errDown)
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
