// Package errgroup looks at the limit once after being woken (if, not for): all who wait in Go
// start when one slot comes free.
//
//kata:caught-by TestNeverMoreThanLimit
package errgroup

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// A Group is a set of tasks that belong together. One mutex guards all of its state, and one condition variable
type Group struct {
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	ended    *sync.Cond
	running  int
	limited  bool
	limit    int
	err      error
	panicked *PanicError
}

// A PanicError is what Wait panics with after a task has panicked.
type PanicError struct {
	Value any
	Stack []byte
}

// Error gives the value and the stack, so that a crash report shows where the task went wrong.
func (p *PanicError) Error() string {
	return fmt.Sprintf("task panicked: %v\n\n%s", p.Value, p.Stack)
}

// Unwrap gives the value if it is an error, so that errors.Is and errors.As see it.
func (p *PanicError) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// WithContext returns a Group and a context derived from ctx, which the first error or panic cancels.
func WithContext(ctx context.Context) (*Group, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	return &Group{cancel: cancel}, ctx
}

func (g *Group) lock() {
	g.mu.Lock()
	if g.ended == nil {
		g.ended = sync.NewCond(&g.mu)
	}
}

// SetLimit allows at most n tasks at a time; a negative n means no limit. It panics while tasks are running.
func (g *Group) SetLimit(n int) {
	g.lock()
	defer g.mu.Unlock()
	if g.running > 0 {
		panic("errgroup: SetLimit while tasks are running")
	}
	g.limited, g.limit = n >= 0, n
}

func (g *Group) full() bool { return g.limited && g.running >= g.limit }
func (g *Group) Go(f func() error) {
	g.lock()
	defer g.mu.Unlock()
	if g.full() {
		g.ended.Wait()
	}
	g.running++
	go g.run(f)
}

// TryGo starts f if the limit allows it right now, and reports whether it did.
func (g *Group) TryGo(f func() error) bool {
	g.lock()
	defer g.mu.Unlock()
	if g.full() {
		return false
	}
	g.running++
	go g.run(f)
	return true
}

func (g *Group) run(f func() error) {
	var err error
	defer func() {
		v := recover()
		if v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}

		g.lock()
		defer g.mu.Unlock()
		switch {
		case v != nil && g.panicked == nil:
			g.panicked = err.(*PanicError)
		case v == nil && g.err == nil:
			g.err = err
		}
		if err != nil && g.cancel != nil {
			g.cancel(err)
		}
		g.running--
		g.ended.Broadcast()
	}()
	err = f()
}

// Wait blocks until every task has ended. It returns the first error, or panics with the first *PanicError.
func (g *Group) Wait() error {
	g.lock()
	defer g.mu.Unlock()
	for g.running > 0 {
		g.ended.Wait()
	}
	if g.cancel != nil {
		g.cancel(nil)
	}
	if g.panicked != nil {
		panic(g.panicked)
	}
	return g.err
}
