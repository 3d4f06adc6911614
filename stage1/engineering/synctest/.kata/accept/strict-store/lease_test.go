// The store itself knows the contract and complains where it is broken; the
// tests only make things happen to it.
package lease_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/roadkata/roadkata/stage1/engineering/synctest"
)

const ttl = time.Minute

var errStore = errors.New("no answer from the store")

// A strictStore is used inside a bubble by one goroutine at a time, and says
// so if that is not true.
type strictStore struct {
	t    *testing.T
	next func(n int) (takes time.Duration, err error) // the n-th Renew, from 0

	stubborn bool // grants what its context has ended

	calls       int
	busy, given bool
	begun       time.Time // the last successful Renew
	tried       time.Time // the end of a failed Renew since; else zero
}

func (s *strictStore) end() time.Time { return s.begun.Add(ttl) }

func (s *strictStore) enter(what string) func() {
	if s.busy {
		s.t.Errorf("%s while another call is under way", what)
	}
	if s.given {
		s.t.Errorf("%s after Release", what)
	}
	s.busy = true
	return func() { s.busy = false }
}

func (s *strictStore) Renew(ctx context.Context, got time.Duration) error {
	defer s.enter("Renew")()
	now, n := time.Now(), s.calls
	s.calls++
	if got != ttl {
		s.t.Errorf("Renew(%v), want %v", got, ttl)
	}
	if n > 0 {
		s.punctual(now)
		if deadline, ok := ctx.Deadline(); !ok || deadline.After(s.end()) {
			s.t.Errorf("Renew has until %v, but the lease ends at %v", deadline, s.end())
		}
	}

	takes, err := s.next(n)
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		time.Sleep(time.Millisecond) // "soon"
		if s.stubborn {
			return nil // and nobody may count on it
		}
		return ctx.Err()
	}
	if err != nil {
		s.tried = time.Now()
		return err
	}
	s.begun, s.tried = now, time.Time{}
	return nil
}

func (s *strictStore) punctual(now time.Time) {
	low, high := s.begun.Add(ttl/4), s.begun.Add(ttl/2)
	if !s.tried.IsZero() {
		low, high = s.tried.Add(ttl/16), s.tried.Add(ttl/8)
	}
	if now.Before(low) || now.After(high) {
		s.t.Errorf("renewal %v after the last good one, want it %v to %v after", now.Sub(s.begun), low.Sub(s.begun), high.Sub(s.begun))
	}
	if now.After(s.end()) {
		s.t.Errorf("renewal %v after the lease was lost", now.Sub(s.end()))
	}
}

func (s *strictStore) Release(ctx context.Context) error {
	defer s.enter("Release")()
	if err := ctx.Err(); err != nil {
		s.t.Errorf("Release with a context that has ended: %v", err)
	}
	if time.Now().After(s.end()) {
		s.t.Error("Release of a lost lease")
	}
	s.given = true
	return nil
}

// scenario runs Keep with work that lasts so long, and stays a little longer
// when its context ends.
type scenario struct {
	next     func(n int) (time.Duration, error)
	lasts    time.Duration
	stubborn bool
	lately   time.Duration // work needs that long to notice the end of its context
	cancel   time.Duration // when ctx is cancelled; 0: never
	lost     time.Duration // when the lease is lost; 0: never
}

func (c scenario) run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &strictStore{t: t, next: c.next, stubborn: c.stubborn}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if c.cancel > 0 {
			defer time.AfterFunc(c.cancel, cancel).Stop()
		}
		start, working := time.Now(), false

		err := Keep(ctx, s, ttl, func(ctx context.Context) error {
			working = true
			defer func() { working = false }()
			select {
			case <-time.After(c.lasts):
				return nil
			case <-ctx.Done():
			}
			ended, cause := time.Since(start), context.Cause(ctx)
			time.Sleep(c.lately)
			switch {
			case c.lost > 0 && c.cancel == 0 && (ended != c.lost || !errors.Is(cause, ErrLost)):
				t.Errorf("work was stopped at %v by %v, want at %v by %v", ended, cause, c.lost, ErrLost)
			case c.cancel > 0 && ended != c.cancel:
				t.Errorf("work was stopped at %v by %v, want at %v", ended, cause, c.cancel)
			case c.cancel == 0 && c.lost == 0:
				t.Errorf("work was stopped at %v by %v", ended, cause)
			}
			return nil
		})

		if working {
			t.Error("Keep returned before work")
		}
		if lost := errors.Is(err, ErrLost); lost != (c.lost > 0) {
			t.Errorf("Keep = %v", err)
		}
		if s.given != (c.lost == 0) {
			t.Errorf("Release called: %v", s.given)
		}
		time.Sleep(10 * ttl) // nobody may call the store now
		synctest.Wait()
	})
}

func always(takes time.Duration, err error) func(int) (time.Duration, error) {
	return func(int) (time.Duration, error) { return takes, err }
}

func after(good int, takes time.Duration, err error) func(int) (time.Duration, error) {
	return func(n int) (time.Duration, error) {
		if n < good {
			return 2 * time.Second, nil
		}
		return takes, err
	}
}

func TestKept(t *testing.T) {
	scenario{next: always(0, nil), lasts: time.Hour}.run(t)
	scenario{next: always(2*time.Second, nil), lasts: time.Hour}.run(t)
}

func TestEverySecondRenewalFails(t *testing.T) {
	next := func(n int) (time.Duration, error) {
		if n%2 == 1 {
			return time.Second, errStore
		}
		return time.Second, nil
	}
	scenario{next: next, lasts: 20*time.Minute + time.Millisecond}.run(t)
}

func TestCancelled(t *testing.T) {
	scenario{next: always(0, nil), lasts: time.Hour, cancel: time.Second, lately: 5 * time.Minute}.run(t)
	scenario{next: always(0, nil), lasts: time.Hour, cancel: 90 * time.Second}.run(t)
}

func TestLost(t *testing.T) {
	scenario{next: after(1, 0, errStore), lasts: time.Hour, lost: ttl, lately: time.Minute}.run(t)
	scenario{next: after(1, 24*time.Hour, nil), lasts: time.Hour, lost: ttl, lately: time.Minute}.run(t)
}

func TestLostAfterCancel(t *testing.T) {
	scenario{next: after(1, 0, errStore), lasts: time.Hour, cancel: 5 * time.Second, lost: ttl, lately: 2 * ttl}.run(t)
}

func TestWorkReturnsDuringARenewal(t *testing.T) {
	scenario{next: after(1, 24*time.Hour, nil), lasts: ttl * 2 / 3}.run(t)
}

func TestGrantedTooLate(t *testing.T) {
	scenario{next: after(1, 24*time.Hour, nil), stubborn: true, lasts: time.Hour, lost: ttl, lately: time.Minute}.run(t)
}

func TestErrorOfWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errWork := errors.New("no paper")
		s := &strictStore{t: t, next: always(0, nil)}
		if err := Keep(t.Context(), s, ttl, func(context.Context) error { return errWork }); !errors.Is(err, errWork) {
			t.Errorf("Keep = %v, want %v", err, errWork)
		}
	})
}

func TestTooShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		called := func(context.Context) error { t.Error("called"); return nil }
		s := &strictStore{t: t, next: always(0, nil)}
		if err := Keep(t.Context(), s, MinTTL-1, called); !errors.Is(err, ErrShort) {
			t.Errorf("Keep = %v, want %v", err, ErrShort)
		}
		if err := Retry(t.Context(), Policy{1, MinDelay - 1, MinDelay}, called); !errors.Is(err, ErrShort) {
			t.Errorf("Retry = %v, want %v", err, ErrShort)
		}
	})
}

func TestNothingWithoutALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &strictStore{t: t, next: always(0, errStore)}
		err := Keep(t.Context(), s, ttl, func(context.Context) error { t.Error("work"); return nil })
		if !errors.Is(err, errStore) || s.calls != 1 || s.given {
			t.Errorf("Keep = %v after %d Renew; Release: %v", err, s.calls, s.given)
		}
	})
}

// TestRetry runs each policy twice: once to the end, and once cancelled a
// moment after each call.
func TestRetry(t *testing.T) {
	for _, p := range []Policy{
		{Attempts: 1, Base: time.Second, Max: time.Second},
		{Attempts: 7, Base: 2 * time.Second, Max: 13 * time.Second},
		{Attempts: 4, Base: time.Minute, Max: time.Hour},
	} {
		for stop := 1; stop <= p.Attempts; stop++ {
			synctest.Test(t, func(t *testing.T) { retried(t, p, stop) })
		}
	}
}

func retried(t *testing.T, p Policy, stop int) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	var last time.Time
	calls, delay := 0, p.Base
	err := Retry(ctx, p, func(context.Context) error {
		if calls++; calls > 1 {
			if d := time.Since(last); d < delay/2 || d > delay {
				t.Errorf("%+v: delay %d is %v, want %v to %v", p, calls-1, d, delay/2, delay)
			}
			delay = min(delay*2, p.Max)
		}
		last = time.Now()
		if calls == stop && stop < p.Attempts {
			time.AfterFunc(time.Millisecond, func() { cancel(cause) })
		}
		return errStore
	})

	took, want, wait := time.Since(last), errStore, time.Duration(0)
	if stop < p.Attempts {
		want, wait = cause, time.Millisecond
	}
	if calls != stop || !errors.Is(err, want) || took != wait {
		t.Errorf("%+v: %v after %d calls and another %v; want %v after %d calls and %v", p, err, calls, took, want, stop, wait)
	}
}
