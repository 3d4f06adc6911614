// Asks the nearest context of ours for the cause, though WithoutCancel stands in between.
//
//kata:caught-by TestWithoutCancel TestForeignParent
package contexttree

import (
	"context"
	"sync"
	"time"
)

// WithCancelCause returns a child of parent that is done when cancel is called or when parent is done. The first
// of these decides Err and [Cause]; cancel(nil) is cancel(context.Canceled).
func WithCancelCause(parent context.Context) (ctx context.Context, cancel context.CancelCauseFunc) {
	c := newNode(parent)
	c.link()
	return c, func(cause error) { c.cancel(true, context.Canceled, cause) }
}

// WithTimeout returns a child of parent that is done, with context.DeadlineExceeded, when d has passed; earlier if
// parent is, or if cancel is called. A deadline that parent has, and that is earlier, stays.
func WithTimeout(parent context.Context, d time.Duration) (ctx context.Context, cancel context.CancelFunc) {
	c := newNode(parent)
	deadline := time.Now().Add(d)
	if earlier, ok := parent.Deadline(); !ok || !earlier.Before(deadline) {
		c.deadline = deadline // before anybody else can see c
	}
	c.link()
	if d <= 0 {
		c.expire()
		return c, c.stop
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.timer = time.AfterFunc(d, c.expire)
	}
	return c, c.stop
}

// WithoutCancel returns a context with the values of parent, which is never done and has no deadline.
func WithoutCancel(parent context.Context) context.Context { return detached{parent} }

// AfterFunc calls f in a goroutine of its own once ctx is done. stop reports whether it has kept f from being called.
func AfterFunc(ctx context.Context, f func()) (stop func() bool) {
	if c := nearest(ctx); c != nil {
		return c.AfterFunc(f)
	}
	return context.AfterFunc(interfaceOnly{ctx}, f)
}

// Cause says why ctx is done; nil if it is not. For contexts that are not of this package it is context.Cause.
func Cause(ctx context.Context) error {
	if c, ok := ctx.Value(nodeKey{}).(*node); ok {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.cause
	}
	if ctx.Err() == nil {
		return nil
	}
	return context.Cause(ctx)
}

// node is a context that can be cancelled. Locks are taken downwards only: a parent's, then its child's.
type node struct {
	parent   context.Context
	deadline time.Time // zero: that of parent
	done     chan struct{}

	mu       sync.Mutex
	err      error
	cause    error
	children map[child]struct{}
	unlink   func() // takes the node away from its parent
	timer    *time.Timer
}

// child is what is told when a node is done: another node, or a hook.
type child interface {
	cancel(unlink bool, err, cause error)
}

func newNode(parent context.Context) *node {
	return &node{parent: parent, done: make(chan struct{}), children: map[child]struct{}{}}
}

// nodeKey is the key under which a node answers itself, through whatever carries its values on.
type nodeKey struct{}

// nearest returns the node whose end is that of ctx, or nil. A context that has a Done of its own may well hand on
// the values of a node; the two are the same only as long as their channels are.
func nearest(ctx context.Context) *node {
	c, ok := ctx.Value(nodeKey{}).(*node)
	if !ok || ctx.Done() != (<-chan struct{})(c.done) {
		return nil
	}
	return c
}

// interfaceOnly hides what else a foreign context has: package context would call a method AfterFunc, whatever it
// does. A standard one it finds all the same, by its value and its Done.
type interfaceOnly struct{ context.Context }

// link makes c end when its parent does.
func (c *node) link() {
	if p := nearest(c.parent); p != nil {
		c.unlink = func() { p.remove(c) }
		p.add(c)
		return
	}
	end := func() { c.cancel(false, c.parent.Err(), context.Cause(c.parent)) }
	select {
	case <-c.parent.Done():
		end() // AfterFunc would do so too, but later
		return
	default:
	}
	stop := context.AfterFunc(interfaceOnly{c.parent}, end)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.unlink = func() { stop() }
	}
}

// add puts a child below c; one that comes too late is cancelled at once.
func (c *node) add(ch child) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		ch.cancel(false, c.err, c.cause)
		return
	}
	c.children[ch] = struct{}{}
}

func (c *node) remove(ch child) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.children, ch)
}

// cancel ends c and all below. unlink is false when it comes from the parent, which holds its own lock and forgets
// all its children by itself.
func (c *node) cancel(unlink bool, err, cause error) {
	if cause == nil {
		cause = err
	}
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err, c.cause = err, cause
	close(c.done)
	if c.timer != nil {
		c.timer.Stop() // it holds c, and all that c holds, until it fires
	}
	// Under the lock: whoever cancels a second time must not return before all below are done.
	for ch := range c.children {
		ch.cancel(false, err, cause)
	}
	c.children = nil
	away := c.unlink
	c.mu.Unlock()
	if unlink && away != nil {
		away()
	}
}

func (c *node) stop()   { c.cancel(true, context.Canceled, nil) }
func (c *node) expire() { c.cancel(true, context.DeadlineExceeded, nil) }

func (c *node) Deadline() (time.Time, bool) {
	if !c.deadline.IsZero() {
		return c.deadline, true
	}
	return c.parent.Deadline()
}

func (c *node) Done() <-chan struct{} { return c.done }

func (c *node) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *node) Value(key any) any {
	if key == (nodeKey{}) {
		return c
	}
	return c.parent.Value(key)
}

// AfterFunc is what package context looks for in a parent that is not its own. Without it, each standard child
// of a node would cost a goroutine.
func (c *node) AfterFunc(f func()) (stop func() bool) {
	h := &hook{f: f}
	c.add(h)
	return func() bool {
		stopped := false
		h.once.Do(func() { stopped = true })
		if stopped {
			c.remove(h)
		}
		return stopped
	}
}

// hook is the child that calls a function: once, or never if it was stopped.
type hook struct {
	once sync.Once
	f    func()
}

// cancel leaves f to another goroutine: the caller holds locks, and f may take any time.
func (h *hook) cancel(bool, error, error) { h.once.Do(func() { go h.f() }) }

// detached has a parent's values and nothing else of it.
type detached struct{ parent context.Context }

func (detached) Deadline() (time.Time, bool) { return time.Time{}, false }
func (detached) Done() <-chan struct{}       { return nil }
func (detached) Err() error                  { return nil }
func (d detached) Value(key any) any         { return d.parent.Value(key) }
