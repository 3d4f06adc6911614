// Package supervisor cannot tell a beat at once from none: with a ResetAfter of zero every run is healthy.
//
//kata:caught-by TestBackoffKept
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
// any goroutine. One call of it is a run.
type Worker func(ctx context.Context, beat func()) error

// A Config says when a worker is taken to be stalled, and how long to wait between runs.
type Config struct {
	Timeout    time.Duration // a run without a beat for this long is stalled
	MinBackoff time.Duration // the first wait before a restart; it doubles from one to the next
	MaxBackoff time.Duration // and grows no further than this
	ResetAfter time.Duration // a run whose last beat came this long after its start, or later, makes it MinBackoff again
}

// Run runs work until it is done, then it returns nil, or until ctx is cancelled, then it returns the cause. A run that
// fails or stalls is followed by another. When Run returns, no run is going on. It panics on a senseless Config.
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

// once makes one run and returns when work has returned: two runs never overlap, even if work is slow to stop. What makes
// it healthy is the time from its start to its last beat. It does not matter how long a dying worker took to die.
func (c Config) once(ctx context.Context, work Worker) (healthy bool, err error) {
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	// Beats only leave their time behind: a store cannot block the worker, whoever calls, however often, however late.
	// Each run has its own place, so that a beat from an earlier run says nothing about this one.
	started := time.Now()
	var lastBeat atomic.Int64 // time since started
	beat := func() {
		lastBeat.Store(int64(time.Since(started)))
	}
	wasHealthy := func() bool { return time.Duration(lastBeat.Load()) >= c.ResetAfter }

	done := make(chan error, 1)
	go func() { done <- work(runCtx, beat) }()

	silence := time.NewTimer(c.Timeout)
	defer silence.Stop()
	for {
		select {
		case err := <-done:
			if ctx.Err() != nil {
				// Both cases were ready: the worker returned because it was told to, and its nil is not "done".
				err = context.Cause(ctx)
			}
			return wasHealthy(), err
		case <-ctx.Done():
			<-done
			return false, context.Cause(ctx)
		case <-silence.C:
			// The timer was set for the earliest moment at which the run could be stalled. Beats may have moved it.
			silent := time.Since(started) - time.Duration(lastBeat.Load())
			if silent < c.Timeout {
				silence.Reset(c.Timeout - silent)
				continue
			}
			healthy := wasHealthy() // before it can beat once more
			cancel(ErrStalled)
			<-done // a stalled run may return nil, too: that does not make it done
			return healthy, ErrStalled
		}
	}
}

// sleep reports whether it was left to sleep for all of d.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
