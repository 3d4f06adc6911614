// Flushes the rest in Close without asking whether there is any.
//
//kata:caught-by TestNeverEmpty
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
	size int
	age  time.Duration

	items   chan T        // from Add to collect
	closing chan struct{} // closed by the first Close
	done    chan struct{} // closed when the last flush has returned
	close   func()        // closes closing, once
}

// New returns a Batcher that calls flush with each batch that is full or old.
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
			batches <- batch
			return
		}
	}
}

// Add accepts the item, or says why not.
func (b *Batcher[T]) Add(ctx context.Context, item T) error {
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

// Close flushes the rest and stops.
func (b *Batcher[T]) Close() {
	b.close()
	<-b.done
}
