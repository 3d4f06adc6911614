// Flushes in the Add that makes the batch full: one request in a hundred pays for all.
//
//kata:caught-by TestBackpressure
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
	size  int
	age   time.Duration
	flush func([]T)

	closing chan struct{}
	done    chan struct{}

	mu       sync.Mutex // guards what follows
	batch    []T
	old      bool
	timer    *time.Timer
	flushing bool
	closed   bool
	room     chan struct{} // closed, and replaced, when the batch is taken away
}

// New returns a Batcher that calls flush with each batch that is full or old.
func New[T any](size int, age time.Duration, flush func(batch []T)) *Batcher[T] {
	if size < 1 || age <= 0 {
		panic(fmt.Sprintf("batcher: New(%d, %v, flush)", size, age))
	}
	return &Batcher[T]{
		size:    size,
		age:     age,
		flush:   flush,
		closing: make(chan struct{}),
		done:    make(chan struct{}),
		room:    make(chan struct{}),
	}
}

// Add accepts the item, or says why not.
func (b *Batcher[T]) Add(ctx context.Context, item T) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		room, err := b.try(item)
		if room == nil {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
		case <-b.closing:
		}
	}
}

// try returns a channel to wait for if there is no room.
func (b *Batcher[T]) try(item T) (room <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return nil, ErrClosed
	case len(b.batch) == b.size:
		return b.room, nil
	}
	b.batch = append(b.batch, item)
	if len(b.batch) == 1 {
		var timer *time.Timer
		timer = time.AfterFunc(b.age, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.timer == timer {
				b.old = true
				b.next()
			}
		})
		b.timer = timer
	}
	b.next()
	return nil, nil
}

// next starts to flush the batch if it is time and no flush is running. b.mu is held.
func (b *Batcher[T]) next() {
	if b.flushing {
		return
	}
	due := b.old || b.closed || len(b.batch) == b.size
	if len(b.batch) == 0 || !due {
		if b.closed {
			close(b.done)
		}
		return
	}
	batch := b.batch
	b.batch, b.old, b.flushing = nil, false, true
	b.timer.Stop()
	b.timer = nil
	close(b.room)
	b.room = make(chan struct{})
	b.mu.Unlock()
	b.flush(batch)
	b.mu.Lock()
	b.flushing = false
	b.next()
}

// Close flushes the rest and stops.
func (b *Batcher[T]) Close() {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.closing)
		b.next()
	}
	b.mu.Unlock()
	<-b.done
}
