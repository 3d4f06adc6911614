// Package supervisor sleeps through the backoff and notices a cancellation only then.
//
//kata:caught-by TestCancelDuringBackoff
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrStalled is the cause with which the context of a silent worker is cancelled.
var ErrStalled = errors.New("supervisor: no heartbeat")

// A Worker works until it is done (nil), fails, or its context is cancelled. While it is all right it calls beat, from
type Worker func(ctx context.Context, beat func()) error

// A Config says when a worker is taken to be stalled, and how long to wait between runs.
type Config struct {
	Timeout    time.Duration
	MinBackoff time.Duration
	MaxBackoff time.Duration
	ResetAfter time.Duration
}

// Run runs work until it is done, then it returns nil, or until ctx is cancelled, then it returns the cause. A run that
func Run(ctx context.Context, c Config, work Worker) error {
	if c.Timeout <= 0 || c.MinBackoff <= 0 || c.MaxBackoff < c.MinBackoff {
		panic(fmt.Sprintf("supervisor: Run with %+v", c))
	}
	backoff := c.MinBackoff
	for ctx.Err() == nil {
		healthy, err := c.once(ctx, work)
		if err == nil {
			return nil
		}
		if healthy {
			backoff = c.MinBackoff
		}
		if !sleep(ctx, backoff) {
			break
		}
		if backoff > c.MaxBackoff/2 {
			backoff = c.MaxBackoff
		} else {
			backoff *= 2
		}
	}
	return context.Cause(ctx)
}

// once makes one run and returns when work has returned: two runs never overlap, even if work is slow to stop. healthy
func (c Config) once(ctx context.Context, work Worker) (healthy bool, err error) {
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	started := time.Now()
	var lastBeat atomic.Int64
	var beaten atomic.Bool
	beat := func() {
		lastBeat.Store(int64(time.Since(started)))
		beaten.Store(true)
	}
	wasHealthy := func() bool { return beaten.Load() && time.Duration(lastBeat.Load()) >= c.ResetAfter }

	done := make(chan error, 1)
	go func() { done <- work(runCtx, beat) }()

	silence := time.NewTimer(c.Timeout)
	defer silence.Stop()
	for {
		select {
		case err := <-done:
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return wasHealthy(), err
		case <-ctx.Done():
			<-done
			return false, context.Cause(ctx)
		case <-silence.C:
			silent := time.Since(started) - time.Duration(lastBeat.Load())
			if silent < c.Timeout {
				silence.Reset(c.Timeout - silent)
				continue
			}
			healthy := wasHealthy()
			cancel(ErrStalled)
			<-done
			return healthy, ErrStalled
		}
	}
}

// sleep reports whether it was left to sleep for all of d.
func sleep(ctx context.Context, d time.Duration) bool {
	time.Sleep(d)
	return ctx.Err() == nil
}
