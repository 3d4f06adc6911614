// Package contexttree is a context tree of its own: what package context does, made by hand.
package contexttree

import (
	"context"
	"time"
)

// WithCancelCause returns a child of parent that is done when cancel is called or when parent is done. The first
// of these decides Err and [Cause]; cancel(nil) is cancel(context.Canceled).
func WithCancelCause(parent context.Context) (ctx context.Context, cancel context.CancelCauseFunc) {
	panic("TODO: WithCancelCause")
}

// WithTimeout returns a child of parent that is done, with context.DeadlineExceeded, when d has passed; earlier if
// parent is, or if cancel is called. A deadline that parent has, and that is earlier, stays.
func WithTimeout(parent context.Context, d time.Duration) (ctx context.Context, cancel context.CancelFunc) {
	panic("TODO: WithTimeout")
}

// WithoutCancel returns a context with the values of parent, which is never done and has no deadline.
func WithoutCancel(parent context.Context) context.Context {
	panic("TODO: WithoutCancel")
}

// AfterFunc calls f in a goroutine of its own once ctx is done. stop reports whether it has kept f from being called.
func AfterFunc(ctx context.Context, f func()) (stop func() bool) {
	panic("TODO: AfterFunc")
}

// Cause says why ctx is done; nil if it is not. For contexts that are not of this package it is context.Cause.
func Cause(ctx context.Context) error {
	panic("TODO: Cause")
}
