// Package errgroup runs tasks in goroutines as one piece of work: it waits for all of them, keeps the first
// error, cancels a context when something goes wrong, and hands a task's panic to whoever waits.
package errgroup

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// A Group is a set of tasks that belong together. The limit is a weighted semaphore, the first error and the first
// panic are claimed by compare-and-swap. Only the count of the tasks has a lock: a sync.WaitGroup would forbid Go from 0
// beside Wait.
type Group struct {
	cancel   context.CancelCauseFunc
	slots    *semaphore.Weighted
	tasks    counter
	err      atomic.Pointer[error]
	panicked atomic.Pointer[PanicError]
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
	if g.tasks.running() > 0 {
		panic("errgroup: SetLimit while tasks are running")
	}
	g.slots = nil
	if n >= 0 {
		g.slots = semaphore.NewWeighted(int64(n))
	}
}

// Go runs f in a goroutine. At the limit it blocks until a task has ended.
func (g *Group) Go(f func() error) {
	if g.slots != nil {
		// With a context that is never cancelled Acquire cannot fail, but a limit of 0 makes it wait forever, as it should.
		_ = g.slots.Acquire(context.Background(), 1)
	}
	g.tasks.add(1)
	go g.run(f)
}

// TryGo starts f if the limit allows it right now, and reports whether it did.
func (g *Group) TryGo(f func() error) bool {
	if g.slots != nil && !g.slots.TryAcquire(1) {
		return false
	}
	g.tasks.add(1)
	go g.run(f)
	return true
}

func (g *Group) run(f func() error) {
	defer func() {
		if v := recover(); v != nil {
			p := &PanicError{Value: v, Stack: debug.Stack()}
			if g.panicked.CompareAndSwap(nil, p) { // only the first: the panic and the cause are of one task
				g.stop(p)
			}
		}
		if g.slots != nil {
			g.slots.Release(1)
		}
		g.tasks.add(-1)
	}()
	if err := f(); err != nil && g.err.CompareAndSwap(nil, &err) {
		g.stop(err)
	}
}

func (g *Group) stop(cause error) {
	if g.cancel != nil {
		g.cancel(cause)
	}
}

// Wait blocks until every task has ended. It returns the first error, or panics with the first *PanicError.
func (g *Group) Wait() error {
	g.tasks.wait()
	g.stop(nil)
	if p := g.panicked.Load(); p != nil {
		panic(p)
	}
	if err := g.err.Load(); err != nil {
		return *err
	}
	return nil
}

// counter counts the tasks that run, and tells when there are none.
type counter struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n falls to 0; nil while nobody waits for that
}

func (c *counter) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += n
	if c.n == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

func (c *counter) running() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func (c *counter) wait() {
	c.mu.Lock()
	for c.n > 0 {
		if c.idle == nil {
			c.idle = make(chan struct{})
		}
		idle := c.idle
		c.mu.Unlock()
		<-idle
		c.mu.Lock()
	}
	c.mu.Unlock()
}
