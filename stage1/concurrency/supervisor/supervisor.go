// Package supervisor keeps a worker going: it stops one whose heartbeat fails and starts it anew.
package supervisor

import (
	"context"
	"errors"
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
	panic("TODO: run, watch the heartbeat, wait, run again")
}
