// A renewal that hangs does not hide the end of the lease.
//
// The bug: the end of the lease is looked at between the renewals only.
//
//kata:zh 续约调用卡住也不能掩盖租约到期。
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
	lost := func() { lose(ErrLost) }

	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		renew(renewing, store, ttl, begun, lost)
	}()

	err = work(working)
	stop()
	<-stopped
	if errors.Is(context.Cause(working), ErrLost) {
		return ErrLost
	}
	return errors.Join(err, store.Release(context.WithoutCancel(ctx)))
}

func renew(ctx context.Context, store Store, ttl time.Duration, begun time.Time, lost func()) {
	next := begun.Add(ttl / 3)
	for {
		select {
		case <-time.After(min(time.Until(next), time.Until(begun.Add(ttl)))):
		case <-ctx.Done():
			return
		}
		if ctx.Err() != nil {
			return
		}
		now, end := time.Now(), begun.Add(ttl)
		if !now.Before(end) {
			lost()
			return
		}
		err := store.Renew(ctx, ttl)
		switch {
		case err != nil:
			next = time.Now().Add(ttl / 12)
		case !time.Now().Before(end):
			lost()
			return
		default:
			begun = now
			next = begun.Add(ttl / 3)
		}
	}
}
