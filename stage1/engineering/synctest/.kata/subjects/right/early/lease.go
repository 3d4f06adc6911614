// Short delays and frequent renewals are right, as far as the contract lets them.
//
// One loop hears of everything: work and each renewal run beside it.
//
//kata:zh 约定范围之内，等得短、续得勤也是对的。
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
	err := f(ctx)
	for delay, left := p.Base, p.Attempts-1; err != nil && left > 0; left-- {
		timer := time.NewTimer(delay / 2)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
		if delay *= 2; delay > p.Max {
			delay = p.Max
		}
		err = f(ctx)
	}
	return err
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
	if err := store.Renew(ctx, ttl); err != nil {
		return err
	}

	working, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	worked := make(chan error, 1)
	go func() { worked <- work(working) }()

	var (
		expiry  = time.NewTimer(time.Until(begun.Add(ttl)))
		next    = time.NewTimer(time.Until(begun.Add(ttl / 4)))
		renewed chan error // not nil while a renewal is under way
		start   time.Time  // of that renewal
		cancel  = func() {}
	)
	defer expiry.Stop()
	defer next.Stop()
	for {
		select {
		case <-next.C:
			if !time.Now().Before(begun.Add(ttl)) {
				continue
			}
			renewed, start = make(chan error, 1), time.Now()
			var call context.Context
			call, cancel = context.WithDeadline(context.WithoutCancel(ctx), begun.Add(ttl))
			go func(done chan<- error) { done <- store.Renew(call, ttl) }(renewed)
		case err := <-renewed:
			cancel()
			renewed = nil
			if err != nil {
				next.Reset(ttl / 16)
				continue
			}
			begun = start
			expiry.Reset(time.Until(begun.Add(ttl)))
			next.Reset(time.Until(begun.Add(ttl / 4)))
		case <-expiry.C:
			lose(ErrLost)
			cancel()
			if renewed != nil {
				<-renewed
			}
			return errors.Join(ErrLost, <-worked)
		case err := <-worked:
			cancel()
			if renewed != nil && <-renewed == nil && time.Now().Before(begun.Add(ttl)) {
				begun = start
			}
			if !time.Now().Before(begun.Add(ttl)) {
				return errors.Join(ErrLost, err)
			}
			return errors.Join(err, store.Release(context.WithoutCancel(ctx)))
		}
	}
}
