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
type Breaker struct {
	config Config

	turn   chan struct{} // holds one token: whoever has it may touch what follows
	state  State
	period int // how many changes of state there have been: a result counts in the period of its call only

	window              []outcome // closed: what counts, the oldest first
	failed, slow        int       // how many of these were
	reopen              time.Time // open: when probes may begin
	admitted, succeeded int       // half-open: probes

	changes    []change // not yet announced
	announcing bool     // by some goroutine, which will also announce what is added meanwhile
}

type change struct{ from, to State }

// An outcome is what came of a call.
type outcome struct {
	ended        time.Time
	failed, slow bool
}

// New returns a closed Breaker.
func New(c Config) *Breaker {
	b := &Breaker{config: c, turn: make(chan struct{}, 1)}
	b.turn <- struct{}{}
	return b
}

// locked runs f while nobody else does.
func (b *Breaker) locked(f func()) {
	<-b.turn
	defer func() { b.turn <- struct{}{} }()
	f()
}

// State returns the state. It changes nothing.
func (b *Breaker) State() State {
	<-b.turn
	defer func() { b.turn <- struct{}{} }()
	return b.state
}

// Do runs call in the caller's goroutine and returns its error, or it returns ErrOpen and does not run it. If ctx has
// ended already, it returns context.Cause(ctx), and nothing happens.
func (b *Breaker) Do(ctx context.Context, call func(context.Context) error) (err error) {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	period, ok := b.admit()
	if !ok {
		return ErrOpen
	}
	b.announce() // the breaker may just have become half-open
	began, returned := time.Now(), false
	defer func() { // also when call panics or ends its goroutine
		now := time.Now()
		failed := !returned || err != nil
		if returned && failed && ctx.Err() == context.Canceled {
			b.forget(period)
			return
		}
		b.record(period, outcome{now, failed, now.Sub(began) >= b.config.SlowCall})
		b.announce()
	}()
	err = call(ctx)
	returned = true
	return err
}

// admit says whether a call may pass, and in which period.
func (b *Breaker) admit() (period int, ok bool) {
	<-b.turn
	defer func() { b.turn <- struct{}{} }()
	if b.state == Open && !time.Now().Before(b.reopen) {
		b.change(HalfOpen)
	}
	switch {
	case b.state == Closed:
		return b.period, true
	case b.state == HalfOpen && b.admitted < b.config.Probes:
		b.admitted++
		return b.period, true
	}
	return 0, false
}

// forget takes note that a caller has left, which says nothing about the dependency.
func (b *Breaker) forget(period int) {
	<-b.turn
	defer func() { b.turn <- struct{}{} }()
	if period == b.period && b.state == HalfOpen {
		b.admitted--
	}
}

// record takes note of an outcome. One of an earlier period is no news of the dependency as it is now.
func (b *Breaker) record(period int, o outcome) {
	<-b.turn
	defer func() { b.turn <- struct{}{} }()
	switch {
	case period != b.period:
	case b.state == Closed:
		b.count(o)
		if b.bad() {
			b.change(Open)
		}
	case o.failed || o.slow:
		b.change(Open)
	default:
		if b.succeeded++; b.succeeded == b.config.Probes {
			b.change(Closed)
		}
	}
}

// count adds an outcome to the window and drops those that have left it.
func (b *Breaker) count(o outcome) {
	b.window = append(b.window, o)
	b.failed += number(o.failed)
	b.slow += number(o.slow)
	gone := 0
	for ; o.ended.Sub(b.window[gone].ended) >= b.config.Window; gone++ {
		b.failed -= number(b.window[gone].failed)
		b.slow -= number(b.window[gone].slow)
	}
	b.window = b.window[gone:]
}

// bad says whether the calls in the window are reason enough to open.
func (b *Breaker) bad() bool {
	calls := float64(len(b.window))
	return len(b.window) >= b.config.MinCalls &&
		(float64(b.failed)/calls >= b.config.FailureRate || float64(b.slow)/calls >= b.config.SlowRate)
}

// change begins a period in another state, with nothing counted.
func (b *Breaker) change(to State) {
	b.changes = append(b.changes, change{b.state, to})
	b.state = to
	b.period++
	b.window, b.failed, b.slow = nil, 0, 0
	b.admitted, b.succeeded = 0, 0
	if to == Open {
		b.reopen = time.Now().Add(b.config.OpenFor)
	}
}

// announce tells OnChange what it has not been told yet. The lock is not held meanwhile, so that OnChange may use the
// breaker; the order is kept because only one goroutine announces at a time.
func (b *Breaker) announce() {
	first := false
	b.locked(func() { first, b.announcing = !b.announcing, true })
	for first {
		var todo []change
		b.locked(func() {
			todo, b.changes = b.changes, nil
			first = len(todo) > 0
			b.announcing = first
		})
		for _, c := range todo {
			if b.config.OnChange != nil {
				b.config.OnChange(c.from, c.to)
			}
		}
	}
}

func number(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
