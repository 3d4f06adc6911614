// Package lease keeps a lease alive while work is done under it, and retries
// calls with backoff.
//
// This documentation is the contract. A test suite for the package must
// accept everything that the contract leaves open, and nothing that it
// forbids. The implementation below is one right answer of many.
//
// Everything happens at its instant by the clock of package time: where the
// contract names no delay there is none. What falls on the same instant may
// happen in any order. Errors are recognised with errors.Is and context.Cause;
// they may match more than the contract says.
package lease

import (
	"context"
	"errors"
	"time"
)

// MinTTL is the shortest lease, MinDelay the shortest delay between retries.
const (
	MinTTL   = 10 * time.Second
	MinDelay = time.Second
)

var (
	ErrLost  = errors.New("lease: lost")
	ErrShort = errors.New("lease: duration too short")
)

// A Policy says how often Retry tries and how long it waits.
type Policy struct {
	Attempts int           // at most so many calls; at least 1
	Base     time.Duration // the first delay; at least MinDelay
	Max      time.Duration // no delay is longer; at least Base
}

// Retry calls f until it returns nil, at most p.Attempts times, and returns
// nil or an error that matches the last one of f.
//
// The first call is made at once. The delays between the calls are p.Base,
// then twice as much each time, but never more than p.Max. So that clients do
// not retry in step, a delay d may be shortened, to d/2 at most. There is no
// delay after the last call.
//
// If ctx ends during a delay, Retry returns at that instant, without another
// call, an error that matches context.Cause(ctx). A p.Base below MinDelay is
// refused with ErrShort.
func Retry(ctx context.Context, p Policy, f func(context.Context) error) error {
	if p.Base < MinDelay {
		return ErrShort
	}
	delay := p.Base
	for attempt := 1; ; attempt++ {
		err := f(ctx)
		if err == nil || attempt == p.Attempts {
			return err
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		delay = min(2*delay, p.Max)
	}
}

// A Store grants one lease. Its methods return soon after their context ends.
type Store interface {
	// Renew takes the lease or prolongs it. If it returns nil, the lease ends
	// ttl after the instant at which Renew was called.
	Renew(ctx context.Context, ttl time.Duration) error
	// Release gives the lease back.
	Release(ctx context.Context) error
}

// Keep takes the lease of store, calls work, keeps the lease while work runs,
// and gives it back.
//
// If the first Renew fails, Keep returns its error; work is not called and
// nothing is released. A ttl below MinTTL is refused with ErrShort.
//
// While work runs, also after ctx has ended, Keep renews the lease. A renewal
// begins ttl/4 to ttl/2 after the last successful Renew began (if that one
// took longer: as soon as it has returned); after a failed one ttl/16 to ttl/8
// after it returned. The context of the first Renew ends with ctx; that of a
// later one does not, but it ends with the lease that it is to prolong.
//
// The context of work ends with ctx. It also ends, with the cause ErrLost, at
// the instant at which the lease ends. From then on the lease is lost for
// good: neither Renew nor Release is called again, and once work has returned
// Keep returns an error that matches ErrLost.
//
// Otherwise, once work has returned, Keep ends the context of a renewal that
// is still under way and waits for it to return, then calls Release once, with
// a context that has not ended, and returns an error that matches those of
// work and of Release, or nil if there is none.
//
// Keep calls the store from one goroutine at a time, and nothing that it
// started still runs when it returns.
func Keep(ctx context.Context, store Store, ttl time.Duration, work func(context.Context) error) error {
	if ttl < MinTTL {
		return ErrShort
	}
	begun := time.Now()
	first, cancel := context.WithDeadline(ctx, begun.Add(ttl))
	err := store.Renew(first, ttl)
	cancel()
	if err != nil {
		return err
	}

	working, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	expiry := time.AfterFunc(time.Until(begun.Add(ttl)), func() { lose(ErrLost) })

	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		renew(renewing, store, ttl, begun, expiry)
	}()

	err = work(working)
	stop()
	<-stopped
	if !expiry.Stop() {
		return ErrLost
	}
	return errors.Join(err, store.Release(context.WithoutCancel(ctx)))
}

// renew prolongs the lease that began at begun, and expiry with it, until ctx
// or the lease ends.
func renew(ctx context.Context, store Store, ttl time.Duration, begun time.Time, expiry *time.Timer) {
	next := begun.Add(ttl / 3)
	for {
		select {
		case <-time.After(time.Until(next)):
		case <-ctx.Done():
			return
		}
		now, end := time.Now(), begun.Add(ttl)
		// Both cases above may be ready, if a slow renewal ended with work.
		if ctx.Err() != nil || !now.Before(end) {
			return
		}
		call, cancel := context.WithDeadline(ctx, end)
		err := store.Renew(call, ttl)
		cancel()
		switch {
		case err != nil:
			next = time.Now().Add(ttl / 12)
		case !expiry.Stop():
			return // too late
		default:
			begun = now
			next = begun.Add(ttl / 3)
			expiry.Reset(time.Until(begun.Add(ttl)))
		}
	}
}
