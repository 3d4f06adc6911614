// Package errgroup runs tasks in goroutines as one piece of work: it waits for all of them, keeps the first
// error, cancels a context when something goes wrong, and hands a task's panic to whoever waits.
package errgroup

import (
	"context"
	"fmt"
)

// A Group is a set of tasks that belong together. The zero Group is ready to use: no limit, no context.
// Go, TryGo and Wait may be called from any goroutine, tasks included; SetLimit may not be called beside them.
type Group struct {
	// TODO: your fields
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
	panic("TODO: derive a context that the group can cancel with a cause")
}

// SetLimit allows at most n tasks at a time from now on; a negative n means no limit, and with 0 no task starts.
// It panics while tasks are running.
func (g *Group) SetLimit(n int) {
	panic("TODO: set the limit")
}

// Go runs f in a goroutine. At the limit it blocks until a task has ended.
func (g *Group) Go(f func() error) {
	panic("TODO: wait for a slot, then start f")
}

// TryGo starts f like Go if the limit allows it right now, and reports whether it did. It never blocks.
func (g *Group) TryGo(f func() error) bool {
	panic("TODO: start f if there is a slot")
}

// Wait blocks until every task has ended and returns the first error, or nil. If a task has panicked, Wait panics
// with a *PanicError instead.
func (g *Group) Wait() error {
	panic("TODO: wait for every task, then report")
}
