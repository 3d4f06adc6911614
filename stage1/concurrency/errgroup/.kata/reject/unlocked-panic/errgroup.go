// Package errgroup guards the first error, but not the first panic: two tasks that panic at once race.
//
//kata:caught-by TestAtTheSameTime
package errgroup

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// A Group is a set of tasks that belong together. The zero Group is ready to use: no limit, no context.
// Go, TryGo and Wait may be called from any goroutine, tasks included; SetLimit may not be called beside them.
type Group struct {
	cancel context.CancelCauseFunc // nil without a context
	slots  chan struct{}           // holds one element per running task; nil without a limit

	tasks   counter
	running atomic.Int64 // a WaitGroup does not tell its count, and SetLimit needs it

	mu       sync.Mutex // guards err and panicked
	err      error
	panicked *PanicError
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

// WithContext returns a Group and a context derived from ctx. The context is cancelled as soon as a task fails or
// panics, with the error or the *PanicError as its cause, and at the latest when Wait returns.
func WithContext(ctx context.Context) (*Group, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	return &Group{cancel: cancel}, ctx
}

// SetLimit allows at most n tasks at a time from now on; a negative n means no limit, and with 0 no task starts.
// It panics while tasks are running.
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
		// Deferred, because a task may also end by a panic or by runtime.Goexit (a failed assertion in a test).
		defer g.end()
		defer func() {
			// After Goexit recover returns nil, as after a plain return. After panic(nil) it does not.
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
	}
	g.stop(err)
}

func (g *Group) crash(p *PanicError) {
	if g.panicked == nil {
		g.panicked = p
	}
	g.stop(p)
}

// stop cancels the group's context. The first cause stays: a context keeps it, and fail and crash call with mu held,
// so that cause and err cannot come from two different tasks.
func (g *Group) stop(cause error) {
	if g.cancel != nil {
		g.cancel(cause)
	}
}

// Wait blocks until every task has ended and returns the first error, or nil. If a task has panicked, Wait panics
// with a *PanicError instead.
func (g *Group) Wait() error {
	g.tasks.Wait()

	g.mu.Lock()
	defer g.mu.Unlock()
	g.stop(nil) // a context that nobody cancels stays registered with its parent for as long as that lives
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
