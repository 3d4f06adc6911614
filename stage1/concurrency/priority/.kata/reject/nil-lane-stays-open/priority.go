// Package priority does not take a nil lane for a closed one: behind the last value of the other
// it waits for ever.
//
//kata:caught-by TestNilLane
package priority

import (
	"context"
	"io"
)

// Lanes are two lanes, each of which remembers whether it is closed.
type Lanes[T any] struct {
	lanes  [2]lane[T]
	k      int
	credit int
}

type lane[T any] struct {
	c      <-chan T
	closed bool
}

// New returns lanes over two channels; after k high values in a row it is a low one's turn.
func New[T any](high, low <-chan T, k int) *Lanes[T] {
	if k < 1 {
		panic("priority: k must be at least 1")
	}
	l := &Lanes[T]{k: k, credit: k}
	l.lanes[0] = lane[T]{high, false}
	l.lanes[1] = lane[T]{low, false}
	return l
}

// poll receives from the i-th lane if something is ready there.
func (l *Lanes[T]) poll(i int) (v T, ok bool) {
	if l.lanes[i].closed {
		return v, false
	}
	select {
	case v, open := <-l.lanes[i].c:
		return v, l.took(i, open)
	default:
		return v, false
	}
}

// took keeps the books after a receive.
func (l *Lanes[T]) took(i int, open bool) bool {
	switch {
	case !open:
		l.lanes[i].closed = true
	case i == 1:
		l.credit = l.k
	case l.credit > 0:
		l.credit--
	}
	return open
}

// Next returns the next value, io.EOF behind the last, or the cause of ctx's cancellation.
func (l *Lanes[T]) Next(ctx context.Context) (T, error) {
	var none T
	order := [2]int{0, 1}
	if l.credit == 0 {
		order = [2]int{1, 0}
	}
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	for _, i := range order {
		if v, ok := l.poll(i); ok {
			return v, nil
		}
	}

	high, low := l.lanes[0], l.lanes[1]
	var v T
	var open, ok bool
	switch {
	case high.closed && low.closed:
		return none, io.EOF
	case high.closed:
		select {
		case v, open = <-low.c:
			ok = l.took(1, open)
		case <-ctx.Done():
			return none, context.Cause(ctx)
		}
	case low.closed:
		select {
		case v, open = <-high.c:
			ok = l.took(0, open)
		case <-ctx.Done():
			return none, context.Cause(ctx)
		}
	default:
		select {
		case v, open = <-high.c:
			ok = l.took(0, open)
		case v, open = <-low.c:
			ok = l.took(1, open)
		case <-ctx.Done():
			return none, context.Cause(ctx)
		}
	}
	if ok {
		return v, nil
	}
	return l.Next(ctx)
}
