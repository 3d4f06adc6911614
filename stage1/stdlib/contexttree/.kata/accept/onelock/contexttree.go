// Package contexttree keeps one lock for all trees, and walks them.
package contexttree

import (
	"context"
	"sync"
	"time"
)

// mu guards all trees: contexts end seldom, and then for a moment.
var mu sync.Mutex

// WithCancelCause returns a child of parent that is done when cancel is called or when parent is done.
func WithCancelCause(parent context.Context) (context.Context, context.CancelCauseFunc) {
	n := &tree{Context: parent, end: make(chan struct{})}
	n.enter()
	return n, func(cause error) { n.finish(context.Canceled, cause) }
}

// WithTimeout returns a child of parent that is done when d has passed.
func WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	n := &tree{Context: parent, end: make(chan struct{})}
	at := time.Now().Add(d)
	if t, ok := parent.Deadline(); !ok || at.Before(t) {
		n.at = &at
	}
	n.enter()
	if d > 0 {
		mu.Lock()
		if n.err == nil {
			timer := time.AfterFunc(d, func() { n.finish(context.DeadlineExceeded, nil) })
			n.atEnd = append(n.atEnd, func() { timer.Stop() })
		}
		mu.Unlock()
	} else {
		n.finish(context.DeadlineExceeded, nil)
	}
	return n, func() { n.finish(context.Canceled, nil) }
}

// WithoutCancel returns a context with the values of parent, and nothing else of it.
func WithoutCancel(parent context.Context) context.Context {
	return valuesOf{context.Background(), parent}
}

type valuesOf struct {
	context.Context
	values context.Context
}

func (v valuesOf) Value(key any) any { return v.values.Value(key) }

// AfterFunc calls f in a goroutine of its own once ctx is done.
func AfterFunc(ctx context.Context, f func()) func() bool {
	if n := find(ctx); n != nil {
		return n.AfterFunc(f)
	}
	return context.AfterFunc(valuesOf{ctx, ctx}, f)
}

// Cause says why ctx is done.
func Cause(ctx context.Context) error {
	n := find(ctx)
	switch {
	case ctx.Err() == nil:
		return nil
	case n == nil:
		return context.Cause(ctx)
	}
	mu.Lock()
	defer mu.Unlock()
	return n.cause
}

// tree is a node in a list of siblings. A leaf with run is a function to call, not a context.
type tree struct {
	context.Context
	at  *time.Time
	end chan struct{}
	run func()

	above, first, prev, next *tree
	err, cause               error
	atEnd                    []func()
}

type self struct{}

func find(ctx context.Context) *tree {
	n, _ := ctx.Value(self{}).(*tree)
	if n != nil && ctx.Done() == n.Done() {
		return n
	}
	return nil
}

func (n *tree) enter() {
	if up := find(n.Context); up != nil {
		mu.Lock()
		defer mu.Unlock()
		up.insert(n)
		return
	}
	follow := func() { n.finish(n.Context.Err(), context.Cause(n.Context)) }
	select {
	case <-n.Context.Done():
		follow()
		return
	default:
	}
	// Wrapped, so that nobody sees a method AfterFunc that n.Context may have: it is not for us to call.
	stop := context.AfterFunc(valuesOf{n.Context, n.Context}, follow)
	mu.Lock()
	defer mu.Unlock()
	n.atEnd = append(n.atEnd, func() { stop() })
}

// insert, take and sweep are called with the lock held.
func (n *tree) insert(c *tree) {
	if n.err != nil {
		c.sweep(n.err, n.cause)
		return
	}
	c.above, c.next = n, n.first
	if n.first != nil {
		n.first.prev = c
	}
	n.first = c
}

func (n *tree) take() {
	switch {
	case n.above == nil:
		return
	case n.prev == nil:
		n.above.first = n.next
	default:
		n.prev.next = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	}
	n.above, n.prev, n.next = nil, nil, nil
}

func (n *tree) sweep(err, cause error) {
	if n.err != nil {
		return
	}
	n.err, n.cause = err, cause
	n.take()
	if n.run != nil {
		go n.run()
		return
	}
	close(n.end)
	for n.first != nil {
		n.first.sweep(err, cause)
	}
}

func (n *tree) finish(err, cause error) {
	if cause == nil {
		cause = err
	}
	mu.Lock()
	n.sweep(err, cause)
	clean := n.atEnd
	n.atEnd = nil
	mu.Unlock()
	for _, f := range clean { // not under the lock: they take those of others
		f()
	}
}

func (n *tree) AfterFunc(f func()) func() bool {
	leaf := &tree{run: f}
	mu.Lock()
	defer mu.Unlock()
	n.insert(leaf)
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		if leaf.err != nil {
			return false
		}
		leaf.err = context.Canceled
		leaf.take()
		return true
	}
}

func (n *tree) Deadline() (time.Time, bool) {
	if n.at != nil {
		return *n.at, true
	}
	return n.Context.Deadline()
}

func (n *tree) Done() <-chan struct{} { return n.end }

func (n *tree) Err() error {
	mu.Lock()
	defer mu.Unlock()
	return n.err
}

func (n *tree) Value(key any) any {
	if key == (self{}) {
		return n
	}
	return n.Context.Value(key)
}
