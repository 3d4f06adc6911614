// Package batcher gathers single items into batches, by size and by age.
package batcher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrClosed is what Add returns once Close has been called.
var ErrClosed = errors.New("batcher: closed")

// A Batcher gathers items and hands them to a flush function in batches. Its
// methods may be called by many goroutines at once.
type Batcher[T any] struct {
	size int
	age  time.Duration

	items   chan T        // from Add to collect
	closing chan struct{} // closed by the first Close
	done    chan struct{} // closed when the last flush has returned
	close   func()        // closes closing, once
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
	if size < 1 || age <= 0 {
		panic(fmt.Sprintf("batcher: New(%d, %v, flush)", size, age))
	}
	b := &Batcher[T]{
		size:    size,
		age:     age,
		items:   make(chan T),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	b.close = sync.OnceFunc(func() { close(b.closing) })

	// Unbuffered: a batch changes hands only when the last flush has returned.
	batches := make(chan []T)
	go b.collect(batches)
	go func() {
		defer close(b.done)
		for batch := range batches {
			flush(batch)
		}
	}()
	return b
}

// collect owns the batch that is filling. A case of its select that must not happen
// now has a nil channel: nobody is ever ready on that.
func (b *Batcher[T]) collect(batches chan<- []T) {
	defer close(batches)
	var (
		batch []T
		old   bool
		age   <-chan time.Time
	)
	for {
		items, out := b.items, batches
		full := len(batch) == b.size
		if full {
			items = nil
		}
		if !full && !old {
			out = nil
		}
		select {
		case item := <-items:
			if len(batch) == 0 {
				age = time.After(b.age)
			}
			batch = append(batch, item)
		case <-age:
			old = true
		case out <- batch:
			batch, old, age = nil, false, nil
		case <-b.closing:
			if len(batch) > 0 {
				batches <- batch
			}
			return
		}
	}
}

// Add returns nil when the item is accepted: then it is flushed, once. If Add returns
// an error, the item is never flushed.
//
// Add does not run flush, and does not wait for it: while flush runs, the next batch
// fills, due or not. Only when that is full, Add waits until there is room, until ctx is
// cancelled (it returns context.Cause(ctx)) or until Close is called (it returns
// ErrClosed). An Add whose ctx is cancelled beforehand never accepts the item.
func (b *Batcher[T]) Add(ctx context.Context, item T) error {
	// A select picks at random among the cases that are ready. What must win is
	// looked at first.
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-b.closing:
		return ErrClosed
	default:
	}

	select {
	case b.items <- item:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-b.closing:
		return ErrClosed
	}
}

// Close has every Add return ErrClosed from now on, also one that waits for room. It
// flushes what has been accepted, without waiting for its age, and returns when the
// last flush has returned. After that, flush is not called any more and nothing that
// the Batcher started is running.
//
// Close may be called again, also while another Close is under way: each call returns
// when the last flush has returned.
func (b *Batcher[T]) Close() {
	b.close()
	<-b.done
}
