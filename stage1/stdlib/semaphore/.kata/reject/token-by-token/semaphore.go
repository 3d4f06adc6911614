// A buffered channel of tokens: two big ones each take half of them and wait for the other.
//
//kata:caught-by TestFirstComeFirstServed
package semaphore

import (
	"context"
	"errors"
)

// ErrTooHeavy is the error of Acquire for a weight that exceeds the whole semaphore.
var ErrTooHeavy = errors.New("semaphore: too heavy")

// A Semaphore is a channel with a place for each unit of weight.
type Semaphore struct{ held chan struct{} }

// New returns a semaphore of the given size.
func New(size int64) *Semaphore {
	if size < 1 {
		panic("semaphore: size is less than 1")
	}
	return &Semaphore{make(chan struct{}, size)}
}

// Acquire takes weight n, unit by unit.
func (s *Semaphore) Acquire(ctx context.Context, n int64) error {
	if n < 1 {
		panic("semaphore: weight is less than 1")
	}
	if n > int64(cap(s.held)) {
		return ErrTooHeavy
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for i := range n {
		select {
		case s.held <- struct{}{}:
		case <-ctx.Done():
			for range i {
				<-s.held
			}
			return context.Cause(ctx)
		}
	}
	return nil
}

// TryAcquire takes weight n if it is free.
func (s *Semaphore) TryAcquire(n int64) bool {
	if n < 1 {
		panic("semaphore: weight is less than 1")
	}
	for i := range n {
		select {
		case s.held <- struct{}{}:
		default:
			for range i {
				<-s.held
			}
			return false
		}
	}
	return true
}

// Release gives weight n back.
func (s *Semaphore) Release(n int64) {
	if n < 1 {
		panic("semaphore: weight is less than 1")
	}
	if n > int64(len(s.held)) {
		panic("semaphore: released more than is held")
	}
	for range n {
		<-s.held
	}
}
