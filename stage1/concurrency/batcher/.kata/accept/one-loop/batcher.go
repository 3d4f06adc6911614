// Package batcher does everything in one loop that starts each flush in a goroutine
// of its own and hears from it when that is over; Add and Close send requests.
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

// A Batcher gathers items and hands them to a flush function in batches.
type Batcher[T any] struct {
	requests chan request[T]
	stop     context.CancelFunc
	stopped  context.Context
	done     sync.WaitGroup
}

// A request waits in the loop's queue until its batch has room.
type request[T any] struct {
	ctx    context.Context
	item   T
	answer chan error
}

// New returns a Batcher that calls flush with each batch that is full or old.
func New[T any](size int, age time.Duration, flush func(batch []T)) *Batcher[T] {
	if size < 1 || age <= 0 {
		panic(fmt.Sprintf("batcher: New(%d, %v, flush)", size, age))
	}
	b := &Batcher[T]{requests: make(chan request[T])}
	b.stopped, b.stop = context.WithCancel(context.Background())
	b.done.Go(func() { b.loop(size, age, flush) })
	return b
}

func (b *Batcher[T]) loop(size int, age time.Duration, flush func([]T)) {
	timer := time.NewTimer(age)
	timer.Stop()
	var (
		batch    []T
		due      bool
		flushing chan struct{} // closed when the flush that runs has returned
	)
	start := func() {
		mine, over := batch, make(chan struct{})
		batch, due, flushing = nil, false, over
		timer.Stop()
		go func() {
			defer close(over)
			flush(mine)
		}()
	}
	for {
		requests := b.requests
		if len(batch) == size {
			requests = nil
		}
		select {
		case r := <-requests:
			if r.ctx.Err() != nil || b.stopped.Err() != nil {
				r.answer <- b.refusal(r.ctx)
				continue
			}
			if batch = append(batch, r.item); len(batch) == 1 {
				timer.Reset(age)
			}
			r.answer <- nil
		case <-timer.C:
			due = true
		case <-flushing:
			flushing = nil
		case <-b.stopped.Done():
			if flushing != nil {
				<-flushing
			}
			if len(batch) > 0 {
				flush(batch)
			}
			return
		}
		if flushing == nil && (due || len(batch) == size) {
			start()
		}
	}
}

// Add accepts the item, or says why not.
func (b *Batcher[T]) Add(ctx context.Context, item T) error {
	r := request[T]{ctx, item, make(chan error, 1)}
	select {
	case b.requests <- r:
		return <-r.answer
	case <-ctx.Done():
	case <-b.stopped.Done():
	}
	return b.refusal(ctx)
}

func (b *Batcher[T]) refusal(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return ErrClosed
}

// Close flushes the rest and stops.
func (b *Batcher[T]) Close() {
	b.stop()
	b.done.Wait()
}
