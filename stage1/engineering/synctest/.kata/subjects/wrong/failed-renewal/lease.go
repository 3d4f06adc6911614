// A failed renewal is tried again while the lease lasts.
//
// The bug: the first failure counts as the loss of the lease.
//
//kata:zh 续约失败后，只要租约还在就继续尝试。
package lease

import (
	"context"
	"errors"
	"time"
)

const (
	MinTTL   = 10 * time.Second
	MinDelay = time.Second
)

var (
	ErrLost  = errors.New("lease: lost")
	ErrShort = errors.New("lease: duration too short")
)

type Policy struct {
	Attempts int
	Base     time.Duration
	Max      time.Duration
}

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

type Store interface {
	Renew(ctx context.Context, ttl time.Duration) error
	Release(ctx context.Context) error
}

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

func renew(ctx context.Context, store Store, ttl time.Duration, begun time.Time, expiry *time.Timer) {
	next := begun.Add(ttl / 3)
	for {
		select {
		case <-time.After(time.Until(next)):
		case <-ctx.Done():
			return
		}
		now, end := time.Now(), begun.Add(ttl)
		if ctx.Err() != nil || !now.Before(end) {
			return
		}
		call, cancel := context.WithDeadline(ctx, end)
		err := store.Renew(call, ttl)
		cancel()
		switch {
		case err != nil:
			expiry.Reset(0)
			return
		case !expiry.Stop():
			return
		default:
			begun = now
			next = begun.Add(ttl / 3)
			expiry.Reset(time.Until(begun.Add(ttl)))
		}
	}
}
