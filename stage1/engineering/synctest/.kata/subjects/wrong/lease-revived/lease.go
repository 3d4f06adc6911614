// A lease that is lost stays lost.
//
// The bug: a renewal that is granted after the end of the lease brings it back.
//
//kata:zh 租约一旦丢失，就不会再回来。
package lease

import (
	"context"
	"errors"
	"sync"
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
	for attempt := range p.Attempts - 1 {
		if err := f(ctx); err == nil {
			return nil
		}
		pause, cancel := context.WithTimeout(ctx, p.delay(attempt))
		<-pause.Done()
		cancel()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return f(ctx)
}

func (p Policy) delay(attempt int) time.Duration {
	delay := p.Base
	for range attempt {
		delay = min(delay+delay, p.Max)
	}
	return delay
}

type Store interface {
	Renew(ctx context.Context, ttl time.Duration) error
	Release(ctx context.Context) error
}

func Keep(ctx context.Context, store Store, ttl time.Duration, work func(context.Context) error) error {
	if ttl < MinTTL {
		return ErrShort
	}
	k := &keeper{store: store, ttl: ttl}
	start := time.Now()
	if err := store.Renew(ctx, ttl); err != nil {
		return err
	}
	k.prolong(start)

	working, lose := context.WithCancelCause(ctx)
	working, cancel := context.WithCancel(working)
	defer cancel()
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { k.watch(renewing, lose) })
	wg.Go(func() { k.renew(renewing) })

	err := work(working)
	stop()
	wg.Wait()
	if k.lost || k.left() <= 0 {
		return ErrLost
	}
	return errors.Join(err, store.Release(context.WithoutCancel(ctx)))
}

type keeper struct {
	store Store
	ttl   time.Duration

	mu   sync.Mutex
	end  time.Time
	next time.Time
	lost bool
}

func (k *keeper) prolong(start time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.end, k.next = start.Add(k.ttl), start.Add(k.ttl/2)
}

// watch waits for the end of the lease, however often that is put off.
func (k *keeper) watch(ctx context.Context, lose context.CancelCauseFunc) {
	for k.left() > 0 {
		if !sleep(ctx, k.left()) {
			return
		}
	}
	k.mu.Lock()
	k.lost = true
	k.mu.Unlock()
	lose(ErrLost)
}

func (k *keeper) left() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Until(k.end)
}

func (k *keeper) renew(ctx context.Context) {
	for sleep(ctx, time.Until(k.next)) && ctx.Err() == nil && k.left() > 0 {
		start := time.Now()
		call, cancel := context.WithDeadline(ctx, k.end)
		err := k.store.Renew(call, k.ttl)
		cancel()
		if err != nil {
			k.next = time.Now().Add(k.ttl / 8)
			continue
		}
		k.prolong(start)
	}
}

// sleep reports whether it was not ctx that ended it.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
