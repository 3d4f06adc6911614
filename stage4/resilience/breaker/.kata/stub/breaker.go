// Package breaker stops calling a dependency that fails or has become slow, and finds out when it is well again.
package breaker

import (
	"context"
	"errors"
	"time"
)

// ErrOpen is what Do returns for a call that it did not let through.
var ErrOpen = errors.New("breaker: open")

// A State is what a Breaker does with calls.
type State int

// The states.
const (
	Closed   State = iota // lets calls through, and counts
	Open                  // lets none through
	HalfOpen              // lets a few through, as probes
)

func (s State) String() string { return [...]string{"closed", "open", "half-open"}[s] }

// A Config says when a Breaker changes its state. All values are positive, the rates at most 1.
type Config struct {
	Window      time.Duration // a call counts for so long after it has ended
	MinCalls    int           // with fewer calls in the window the Breaker does not open
	FailureRate float64       // it opens when this share of the calls failed, or more
	SlowCall    time.Duration // a call is slow if it took this long, or longer
	SlowRate    float64       // it opens when this share of the calls was slow, or more
	OpenFor     time.Duration // how long no call is let through
	Probes      int           // how many calls are let through then, to be judged by

	// OnChange, if not nil, is told of each change of state: once, one at a time, in order.
	OnChange func(from, to State)
}

// A Breaker guards the calls of one dependency. Its methods may be called by several goroutines at once.
type Breaker struct{}

// New returns a closed Breaker.
func New(c Config) *Breaker {
	panic("TODO: remember the configuration")
}

// Do runs call in the caller's goroutine and returns its error, or it returns ErrOpen and does not run it. If ctx has
// ended already, it returns context.Cause(ctx), and nothing happens.
func (b *Breaker) Do(ctx context.Context, call func(context.Context) error) error {
	panic("TODO: ask whether the call may pass, run it, count what came of it")
}

// State returns the state. It changes nothing.
func (b *Breaker) State() State {
	panic("TODO: return the state")
}
