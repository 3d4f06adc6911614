// Package errgroup lets Wait return as soon as a task has failed, while the others are still
// running.
//
//kata:caught-by TestWaitsForAll
package errgroup

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// A Group is a set of tasks that belong together. The zero Group is ready to use: no limit, no context.
type Group struct {
	cancel context.CancelCauseFunc
	slots  chan struct{}

	failed  chan struct{} // closed by the first error
	tasks   counter
	running atomic.Int64

	mu       sync.Mutex
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

// WithContext returns a Group and a context derived from ctx. The context is cancelled as soon as a task fails or
func WithContext(ctx context.Context) (*Group, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	return &Group{cancel: cancel, failed: make(chan struct{})}, ctx
}

// SetLimit allows at most n tasks at a time from now on; a negative n means no limit, and with 0 no task starts.
func (g *Group) SetLimit(n int) {
	if running := g.running.Load(); running > 0 {
		panic(fmt.Sprintf("errgroup: SetLimit(%d) while %d tasks are running", n, running))
	}
	if n < 0 {
		g.slots = nil
		return
	}
	g.slots = make(chan struct{}, n)
}

// Go runs f in a goroutine. At the limit it blocks until a task has ended.
func (g *Group) Go(f func() error) {
	if g.slots != nil {
		g.slots <- struct{}{}
	}
	g.start(f)
}

// TryGo starts f like Go if the limit allows it right now, and reports whether it did. It never blocks.
func (g *Group) TryGo(f func() error) bool {
	if g.slots != nil {
		select {
		case g.slots <- struct{}{}:
		default:
			return false
		}
	}
	g.start(f)
	return true
}

// start runs f, for which a slot is taken already.
func (g *Group) start(f func() error) {
	g.running.Add(1)
	g.tasks.Add(1)
	go func() {
		defer g.end()
		defer func() {
			if v := recover(); v != nil {
				g.crash(&PanicError{Value: v, Stack: debug.Stack()})
			}
		}()
		if err := f(); err != nil {
			g.fail(err)
		}
	}()
}

// end frees what start took. The slot comes first: whoever returns from Wait finds all of them free.
func (g *Group) end() {
	if g.slots != nil {
		<-g.slots
	}
	g.running.Add(-1)
	g.tasks.Done()
}

func (g *Group) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = err
		if g.failed != nil {
			close(g.failed)
		}
	}
	g.stop(err)
}

func (g *Group) crash(p *PanicError) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.panicked == nil {
		g.panicked = p
	}
	g.stop(p)
}

// stop cancels the group's context. The first cause stays: a context keeps it, and fail and crash call with mu held,
func (g *Group) stop(cause error) {
	if g.cancel != nil {
		g.cancel(cause)
	}
}

// Wait blocks until every task has ended and returns the first error, or nil. If a task has panicked, Wait panics
func (g *Group) Wait() error {
	done := make(chan struct{})
	go func() {
		g.tasks.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-g.failed:
	}

	g.mu.Lock()
	defer g.mu.Unlock()
	g.stop(nil)
	if g.panicked != nil {
		panic(g.panicked)
	}
	return g.err
}

// counter is a WaitGroup that may be counted up from 0 while others wait.
type counter struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n falls to 0; nil while nobody waits for that
}

func (c *counter) Add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += n
	if c.n == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

func (c *counter) Done() { c.Add(-1) }

func (c *counter) Wait() {
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
