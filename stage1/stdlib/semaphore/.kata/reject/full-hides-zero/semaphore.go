// TryAcquire looks at the weight only when it takes it: while the semaphore is full, a weight computed wrong goes unnoticed.
//
//kata:caught-by TestBelowOne
package semaphore

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrTooHeavy is the error of Acquire for a weight that exceeds the whole semaphore.
var ErrTooHeavy = errors.New("semaphore: heavier than the whole semaphore")

// A Semaphore hands out weight, never more than its size at a time. Those that
// must wait are served first come, first served.
type Semaphore struct {
	size int64

	mu   sync.Mutex
	held int64
	line list.List // of *waiter, in order of arrival
}

// A waiter stands in line for weight n.
type waiter struct {
	n     int64
	ready chan struct{} // closed, with mu held, when n has been handed over
}

// New returns a semaphore of the given size. It panics if size is less than 1.
func New(size int64) *Semaphore {
	if size < 1 {
		panic(fmt.Sprintf("semaphore: size %d is less than 1", size))
	}
	return &Semaphore{size: size}
}

// Acquire takes weight n, and waits until it is free and all that came before
// have been served or have gone away.
func (s *Semaphore) Acquire(ctx context.Context, n int64) error {
	check(n)
	// Nobody can ever serve it, and in line it would block all others.
	if n > s.size {
		return ErrTooHeavy
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}

	s.mu.Lock()
	if s.free(n) {
		s.held += n
		s.mu.Unlock()
		return nil
	}
	w := &waiter{n, make(chan struct{})}
	place := s.line.PushBack(w)
	s.mu.Unlock()

	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-w.ready:
		// Release was quicker: the weight is ours, and must not get lost.
		return nil
	default:
	}
	s.line.Remove(place)
	s.serve() // the next ones may fit where this one did not
	return context.Cause(ctx)
}

// TryAcquire takes weight n if it is free and nobody waits, and says whether it did.
func (s *Semaphore) TryAcquire(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.free(n) {
		return false
	}
	check(n)
	s.held += n
	return true
}

// Release gives weight n back and serves who is next in line.
func (s *Semaphore) Release(n int64) {
	check(n)
	s.mu.Lock()
	defer s.mu.Unlock() // also when it panics: somebody may recover
	if n > s.held {
		panic(fmt.Sprintf("semaphore: release of %d, but only %d is held", n, s.held))
	}
	s.held -= n
	s.serve()
}

// free says whether n may be taken without waiting. A line that stands still is
// no invitation to pass it, or a steady stream of small weights starves a big one.
func (s *Semaphore) free(n int64) bool {
	return s.line.Len() == 0 && n <= s.size-s.held // held+n might overflow
}

// serve hands weight over to the head of the line as long as there is enough.
func (s *Semaphore) serve() {
	for front := s.line.Front(); front != nil; front = s.line.Front() {
		w := front.Value.(*waiter)
		if w.n > s.size-s.held {
			return
		}
		s.held += w.n
		s.line.Remove(front)
		close(w.ready)
	}
}

func check(n int64) {
	if n < 1 {
		panic(fmt.Sprintf("semaphore: weight %d is less than 1", n))
	}
}
