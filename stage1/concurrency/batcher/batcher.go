// Package batcher gathers single items into batches, by size and by age.
package batcher

import (
	"context"
	"errors"
	"time"
)

// ErrClosed is what Add returns once Close has been called.
var ErrClosed = errors.New("batcher: closed")

// A Batcher gathers items and hands them to a flush function in batches. Its
// methods may be called by many goroutines at once.
type Batcher[T any] struct {
	// TODO: what does it need to know?
}

// New returns a Batcher that calls flush with a batch
//
//   - as soon as the batch holds size items,
//   - or when age has passed since its first item was accepted,
//   - or when Close is called.
//
// A batch is never empty. It belongs to flush, which may keep, change and extend it.
// Flushes happen one after another, never two at a time, with the items in the order
// in which they were accepted. A batch that is due while flush still runs is flushed
// as soon as flush has returned.
//
// New panics if size is less than 1 or age is not positive. flush must not panic, and
// must not call the Batcher's methods.
func New[T any](size int, age time.Duration, flush func(batch []T)) *Batcher[T] {
	panic("TODO: make a Batcher")
}

// Add returns nil when the item is accepted: then it is flushed, once. If Add returns
// an error, the item is never flushed.
//
// Add does not run flush, and does not wait for it: while flush runs, the next batch
// fills, due or not. Only when that is full, Add waits until there is room, until ctx is
// cancelled (it returns context.Cause(ctx)) or until Close is called (it returns
// ErrClosed). An Add whose ctx is cancelled beforehand never accepts the item.
func (b *Batcher[T]) Add(ctx context.Context, item T) error {
	panic("TODO: accept the item")
}

// Close has every Add return ErrClosed from now on, also one that waits for room. It
// flushes what has been accepted, without waiting for its age, and returns when the
// last flush has returned. After that, flush is not called any more and nothing that
// the Batcher started is running.
//
// Close may be called again, also while another Close is under way: each call returns
// when the last flush has returned.
func (b *Batcher[T]) Close() {
	panic("TODO: flush the rest and stop")
}
