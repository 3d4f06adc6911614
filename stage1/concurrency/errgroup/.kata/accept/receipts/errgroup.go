// Package errgroup runs tasks in goroutines as one piece of work: it waits for all of them, keeps the first
// error, cancels a context when something goes wrong, and hands a task's panic to whoever waits.
package errgroup

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// A Group is a set of tasks that belong together. Every task leaves a receipt that it closes at its end; Wait works
// through them, those included that come in while it waits. Free slots lie in a channel to be taken.
type Group struct {
	cancel   context.CancelCauseFunc
	free     chan struct{}
	mu       sync.Mutex
	receipts []*receipt
	first    *receipt // of the first task that failed
	crashed  *receipt // of the first task that panicked
}

type receipt struct {
	ended chan struct{}
	err   error
}

// A PanicError is what Wait panics with after a task has panicked.
type PanicError struct {
	Value any    // what the task panicked with
	Stack []byte // the stack of the task's goroutine at the panic, as runtime/debug.Stack prints it
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

// SetLimit allows at most n tasks at a time; a negative n means no limit. It panics while tasks are running.
func (g *Group) SetLimit(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.receipts {
		select {
		case <-r.ended:
		default:
			panic("errgroup: SetLimit while tasks are running")
		}
	}
	if n < 0 {
		g.free = nil
		return
	}
	g.free = make(chan struct{}, n)
	for range n {
		g.free <- struct{}{}
	}
}

// Go runs f in a goroutine. At the limit it blocks until a task has ended.
func (g *Group) Go(f func() error) {
	if g.free != nil {
		<-g.free
	}
	g.start(f)
}

// TryGo starts f if the limit allows it right now, and reports whether it did.
func (g *Group) TryGo(f func() error) bool {
	if g.free != nil {
		select {
		case <-g.free:
		default:
			return false
		}
	}
	g.start(f)
	return true
}

func (g *Group) start(f func() error) {
	r := &receipt{ended: make(chan struct{})}
	g.mu.Lock()
	g.receipts = append(g.receipts, r)
	g.mu.Unlock()
	go func() {
		defer close(r.ended)
		defer func() {
			if g.free != nil {
				g.free <- struct{}{}
			}
		}()
		r.err = call(f)
		if r.err == nil {
			return
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		slot := &g.first
		if isPanic(r.err) {
			slot = &g.crashed
		}
		if *slot == nil {
			*slot = r
		}
		if g.cancel != nil {
			g.cancel(plain(r.err))
		}
	}()
}

// raised sets a *PanicError of this group's apart from one that a task returned as its error.
type raised struct{ *PanicError }

func isPanic(err error) bool {
	_, ok := err.(raised)
	return ok
}

func plain(err error) error {
	if r, ok := err.(raised); ok {
		return r.PanicError
	}
	return err
}

// call runs f on a goroutine of its own, so that runtime.Goexit in f ends only that one.
func call(f func() error) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if v := recover(); v != nil {
				err = raised{&PanicError{Value: v, Stack: debug.Stack()}}
			}
		}()
		err = f()
	}()
	<-done
	return err
}

// Wait blocks until every task has ended. It returns the first error, or panics with the first *PanicError.
func (g *Group) Wait() error {
	for i := 0; ; i++ {
		g.mu.Lock()
		if i == len(g.receipts) {
			break
		}
		r := g.receipts[i]
		g.mu.Unlock()
		<-r.ended
	}
	defer g.mu.Unlock()
	if g.cancel != nil {
		g.cancel(nil)
	}
	if g.crashed != nil {
		panic(g.crashed.err.(raised).PanicError)
	}
	if g.first != nil {
		return g.first.err
	}
	return nil
}
