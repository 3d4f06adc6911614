// Package supervisor receives beats from a channel, and only while it watches: a beat at any other
// time blocks the worker for ever.
//
//kata:caught-by TestBeatNeverBlocks
package supervisor

import (
	"context"
	"errors"
	"time"
)

// ErrStalled is the cause with which the context of a silent worker is cancelled.
var ErrStalled = errors.New("supervisor: no heartbeat")

// A Worker works until it is done (nil), fails, or its context is cancelled.
type Worker func(ctx context.Context, beat func()) error

// A Config says when a worker is taken to be stalled, and how long to wait between runs.
type Config struct {
	Timeout    time.Duration
	MinBackoff time.Duration
	MaxBackoff time.Duration
	ResetAfter time.Duration
}

// run is one run of a worker: the channels by which it is heard of.
type run struct {
	started time.Time
	beats   chan struct{}
	ended   chan struct{}
	err     error
	cancel  context.CancelCauseFunc
}

func start(ctx context.Context, work Worker) *run {
	ctx, cancel := context.WithCancelCause(ctx)
	r := &run{started: time.Now(), beats: make(chan struct{}), ended: make(chan struct{}), cancel: cancel}
	go func() {
		defer close(r.ended)
		r.err = work(ctx, func() {
			r.beats <- struct{}{}
		})
	}()
	return r
}

// watch returns when the run has ended, and whether the last beat came late enough.
func (r *run) watch(timeout, enough time.Duration) (healthy bool) {
	silence := time.NewTimer(timeout)
	defer silence.Stop()
	for {
		select {
		case <-r.beats:
			healthy = time.Since(r.started) >= enough
			silence.Reset(timeout)
		case <-silence.C:
			r.cancel(ErrStalled)
			<-r.ended
			r.err = ErrStalled
			return healthy
		case <-r.ended:
			select {
			case <-r.beats:
				healthy = time.Since(r.started) >= enough
			default:
			}
			return healthy
		}
	}
}

// Run runs work until it is done or ctx is cancelled.
func Run(ctx context.Context, c Config, work Worker) error {
	if c.Timeout <= 0 || c.MinBackoff <= 0 || c.MaxBackoff < c.MinBackoff {
		panic("supervisor: senseless Config")
	}
	failures := 0
	for ctx.Err() == nil {
		r := start(ctx, work)
		healthy := r.watch(c.Timeout, c.ResetAfter)
		r.cancel(nil)
		if ctx.Err() != nil {
			break
		}
		if r.err == nil {
			return nil
		}
		if healthy {
			failures = 0
		}
		wait := c.MinBackoff
		for range failures {
			wait = min(2*wait, c.MaxBackoff)
		}
		failures++
		pause, cancel := context.WithTimeout(ctx, wait)
		<-pause.Done()
		cancel()
	}
	return context.Cause(ctx)
}
