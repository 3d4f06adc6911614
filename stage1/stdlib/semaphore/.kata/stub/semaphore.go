// Package semaphore bounds the total weight of what runs at once.
package semaphore

import (
	"context"
	"errors"
)

// ErrTooHeavy is the error of Acquire for a weight that exceeds the whole semaphore.
var ErrTooHeavy = errors.New("semaphore: heavier than the whole semaphore")

// A Semaphore hands out weight, never more than its size at a time. Those that
// must wait are served first come, first served. All methods may be called from
// many goroutines at once; those that take a weight panic if it is less than 1.
type Semaphore struct {
	// TODO: what is held, and who waits
}

// New returns a semaphore of the given size. It panics if size is less than 1.
func New(size int64) *Semaphore {
	panic("TODO: make a semaphore")
}

// Acquire takes weight n, and waits until it is free and all that came before
// have been served or have gone away.
//
// If it returns an error, it holds nothing: ErrTooHeavy at once if n exceeds the
// size, or context.Cause(ctx) if ctx is done first, or was done beforehand.
func (s *Semaphore) Acquire(ctx context.Context, n int64) error {
	panic("TODO: acquire, or wait in line")
}

// TryAcquire takes weight n if it is free and nobody waits, and says whether it
// did. It never waits.
func (s *Semaphore) TryAcquire(n int64) bool {
	panic("TODO: acquire without waiting")
}

// Release gives weight n back and serves at once those at the head of the line
// for whom there is room now. It panics if less than n is held, and then changes
// nothing.
func (s *Semaphore) Release(n int64) {
	panic("TODO: release, and serve who waits")
}
