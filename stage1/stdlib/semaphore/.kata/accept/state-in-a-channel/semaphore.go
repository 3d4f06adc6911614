// Package semaphore bounds the total weight of what runs at once.
package semaphore

import (
	"context"
	"errors"
	"slices"
)

// ErrTooHeavy is the error of Acquire for a weight that exceeds the whole semaphore.
var ErrTooHeavy = errors.New("semaphore: too heavy")

// A Semaphore hands out weight. Its state lies in a channel of one: who has taken
// it out may change it, and puts it back.
type Semaphore struct {
	size  int64
	state chan state
}

type state struct {
	free int64
	line []request
}

type request struct {
	n       int64
	granted chan bool
}

// New returns a semaphore of the given size.
func New(size int64) *Semaphore {
	if size < 1 {
		panic("semaphore: size is less than 1")
	}
	s := &Semaphore{size, make(chan state, 1)}
	s.state <- state{free: size}
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
	if err := context.Cause(ctx); err != nil {
		return err
	}
	r := request{n, make(chan bool, 1)}
	st := <-s.state
	st.line = append(st.line, r)
	s.state <- st.served()

	select {
	case <-r.granted:
		return nil
	case <-ctx.Done():
	}
	st = <-s.state
	if i := slices.Index(st.line, r); i >= 0 {
		st.line = slices.Delete(st.line, i, i+1)
	} else {
		st.free += n // granted in the meantime: nobody wants it any more
	}
	s.state <- st.served()
	return context.Cause(ctx)
}

// TryAcquire takes weight n if it is free and nobody waits.
func (s *Semaphore) TryAcquire(n int64) bool {
	if n < 1 {
		panic("semaphore: weight is less than 1")
	}
	st := <-s.state
	ok := len(st.line) == 0 && n <= st.free
	if ok {
		st.free -= n
	}
	s.state <- st
	return ok
}

// Release gives weight n back.
func (s *Semaphore) Release(n int64) {
	if n < 1 {
		panic("semaphore: weight is less than 1")
	}
	st := <-s.state
	if n > s.size-st.free {
		s.state <- st
		panic("semaphore: released more than is held")
	}
	st.free += n
	s.state <- st.served()
}

// served returns the state after the head of the line has been served.
func (st state) served() state {
	for len(st.line) > 0 && st.line[0].n <= st.free {
		st.free -= st.line[0].n
		st.line[0].granted <- true
		st.line = st.line[1:]
	}
	return st
}
