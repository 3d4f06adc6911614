// Package breaker stops calling a dependency that fails or has become slow, and finds out when it is well again.
package breaker

import (
	"context"
	"errors"
	"slices"
	"sync"
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
	mu     sync.Mutex
	phase  phase
	told   []func()
	busy   bool // some goroutine works off told
}

// A phase is the time between two changes of state. A call gives its result to the phase in which it began; one that is
// over may still count, but nobody asks it any more. Its methods return the phase that follows, or itself.
type phase interface {
	state() State
	admit(c Config) (next phase, ok bool)
	result(c Config, failed, slow bool) (next phase)
	giveBack()
}

type closedPhase struct {
	ends []end
}

type end struct {
	at           time.Time
	failed, slow bool
}

func (*closedPhase) state() State                 { return Closed }
func (p *closedPhase) admit(Config) (phase, bool) { return p, true }
func (*closedPhase) giveBack()                    {}
func (p *closedPhase) result(c Config, failed, slow bool) phase {
	now := time.Now()
	p.ends = append(p.ends, end{now, failed, slow})
	p.ends = slices.DeleteFunc(p.ends, func(e end) bool { return !e.at.After(now.Add(-c.Window)) })
	var failures, slows float64
	for _, e := range p.ends {
		if e.failed {
			failures++
		}
		if e.slow {
			slows++
		}
	}
	n := float64(len(p.ends))
	if len(p.ends) >= c.MinCalls && (failures >= c.FailureRate*n || slows >= c.SlowRate*n) {
		return openFor(c)
	}
	return p
}

type openPhase struct{ until time.Time }

func openFor(c Config) *openPhase { return &openPhase{time.Now().Add(c.OpenFor)} }

func (*openPhase) state() State                      { return Open }
func (*openPhase) giveBack()                         {}
func (p *openPhase) result(Config, bool, bool) phase { return p }
func (p *openPhase) admit(c Config) (phase, bool) {
	if time.Until(p.until) > 0 {
		return p, false
	}
	return &halfOpenPhase{places: c.Probes - 1, missing: c.Probes}, true
}

type halfOpenPhase struct{ places, missing int }

func (*halfOpenPhase) state() State { return HalfOpen }
func (p *halfOpenPhase) giveBack()  { p.places++ }
func (p *halfOpenPhase) admit(Config) (phase, bool) {
	if p.places == 0 {
		return p, false
	}
	p.places--
	return p, true
}

func (p *halfOpenPhase) result(c Config, failed, slow bool) phase {
	if failed || slow {
		return openFor(c)
	}
	if p.missing--; p.missing == 0 {
		return &closedPhase{}
	}
	return p
}

// New returns a closed Breaker.
func New(c Config) *Breaker { return &Breaker{config: c, phase: &closedPhase{}} }

// State returns the state. It changes nothing.
func (b *Breaker) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.phase.state()
}

// Do runs call in the caller's goroutine and returns its error, or it returns ErrOpen and does not run it. If ctx has
// ended already, it returns context.Cause(ctx), and nothing happens.
func (b *Breaker) Do(ctx context.Context, call func(context.Context) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var mine phase
	passes := false
	b.step(func() phase {
		mine, passes = b.phase.admit(b.config)
		return mine
	})
	if !passes {
		return ErrOpen
	}
	start := time.Now()
	failed, left := true, false
	defer func() {
		slow := time.Since(start) >= b.config.SlowCall
		b.step(func() phase {
			if left {
				mine.giveBack()
				return b.phase
			}
			next := mine.result(b.config, failed, slow)
			if mine != b.phase {
				return b.phase
			}
			return next
		})
	}()
	err := call(ctx)
	failed = err != nil
	left = failed && errors.Is(ctx.Err(), context.Canceled)
	return err
}

// step moves to the phase that f returns, and tells OnChange afterwards.
func (b *Breaker) step(f func() phase) {
	b.mu.Lock()
	defer b.mu.Unlock()
	from := b.phase
	b.phase = f()
	if from != b.phase && b.config.OnChange != nil {
		to := b.phase.state()
		b.told = append(b.told, func() { b.config.OnChange(from.state(), to) })
	}
	if b.busy {
		return
	}
	b.busy = true
	for len(b.told) > 0 {
		tell := b.told[0]
		b.told = b.told[1:]
		b.mu.Unlock()
		tell()
		b.mu.Lock()
	}
	b.busy = false
}
