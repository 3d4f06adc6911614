// Package supervisor keeps a worker going: it stops one whose heartbeat fails and starts it anew.
package supervisor

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrStalled is the cause with which the context of a silent worker is cancelled.
var ErrStalled = errors.New("supervisor: no heartbeat")

// A Worker works until it is done (nil), fails, or its context is cancelled.
type Worker func(ctx context.Context, beat func()) error

// A Config says when a worker is taken to be stalled, and how long to wait between runs.
type Config struct {
	Timeout, MinBackoff, MaxBackoff, ResetAfter time.Duration
}

// Run calls work itself, in the caller's goroutine: it waits for it anyway. The heartbeat is a timer that every beat
// sets back, and that cancels the run if it ever goes off.
func Run(ctx context.Context, c Config, work Worker) error {
	if c.Timeout <= 0 || c.MinBackoff <= 0 || c.MaxBackoff < c.MinBackoff {
		panic("supervisor: senseless Config")
	}
	wait := c.MinBackoff
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		runCtx, cancel := context.WithCancelCause(ctx)
		started := time.Now()
		var mu sync.Mutex
		healthy := false
		watchdog := time.AfterFunc(c.Timeout, func() { cancel(ErrStalled) })
		err := work(runCtx, func() {
			mu.Lock()
			defer mu.Unlock()
			if runCtx.Err() == nil && watchdog.Reset(c.Timeout) {
				healthy = time.Since(started) >= c.ResetAfter
			}
		})
		watchdog.Stop()
		stalled := context.Cause(runCtx) == ErrStalled
		cancel(nil)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil && !stalled {
			return nil
		}

		mu.Lock()
		if healthy {
			wait = c.MinBackoff
		}
		mu.Unlock()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(c.MaxBackoff, wait+wait)
	}
}
