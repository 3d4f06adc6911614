// Package semaphore bounds the total weight of what runs at once.
package semaphore

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// ErrTooHeavy is the error of Acquire for a weight that exceeds the whole semaphore.
var ErrTooHeavy = errors.New("semaphore: too heavy")

// A Semaphore hands out weight, never more than its size at a time: whoever is at
// the head of the line takes it for itself.
type Semaphore struct {
	mu     sync.Mutex
	moved  *sync.Cond // the line or the free weight has changed
	size   int64
	free   int64
	ticket uint64
	line   []uint64
}

// New returns a semaphore of the given size.
func New(size int64) *Semaphore {
	if size < 1 {
		panic("semaphore: size is less than 1")
	}
	s := &Semaphore{size: size, free: size}
	s.moved = sync.NewCond(&s.mu)
	return s
}

// Acquire takes weight n, and waits until it is its turn.
func (s *Semaphore) Acquire(ctx context.Context, n int64) error {
	if n < 1 {
		panic("semaphore: weight is less than 1")
	}
	if n > s.size {
		return ErrTooHeavy
	}
	// A condition knows nothing of contexts, so wake all when this one is done.
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.moved.Broadcast()
	})
	defer stop()

	s.mu.Lock()
	defer s.mu.Unlock()
	s.ticket++
	mine := s.ticket
	s.line = append(s.line, mine)
	for ctx.Err() == nil && (s.line[0] != mine || s.free < n) {
		s.moved.Wait()
	}
	s.line = slices.DeleteFunc(s.line, func(t uint64) bool { return t == mine })
	s.moved.Broadcast() // somebody else is at the head now
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.free -= n
	return nil
}

// TryAcquire takes weight n if it is free and nobody waits.
func (s *Semaphore) TryAcquire(n int64) bool {
	if n < 1 {
		panic("semaphore: weight is less than 1")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.line) > 0 || s.free < n {
		return false
	}
	s.free -= n
	return true
}

// Release gives weight n back.
func (s *Semaphore) Release(n int64) {
	if n < 1 {
		panic("semaphore: weight is less than 1")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > s.size-s.free {
		panic("semaphore: released more than is held")
	}
	s.free += n
	s.moved.Broadcast()
}
