// Package priority receives from two channels, of which one comes first, but not for ever.
package priority

import (
	"context"
	"io"
	"reflect"
)

// Lanes hold their channels as cases of a dynamic select; a zero Value as channel is never ready.
type Lanes[T any] struct {
	lanes  [2]reflect.SelectCase
	open   int
	k      int
	inARow int
}

// New returns lanes over two channels; after k high values in a row it is a low one's turn.
func New[T any](high, low <-chan T, k int) *Lanes[T] {
	if k < 1 {
		panic("priority: k must be at least 1")
	}
	l := &Lanes[T]{k: k}
	for i, c := range []<-chan T{high, low} {
		l.lanes[i].Dir = reflect.SelectRecv
		if c != nil {
			l.lanes[i].Chan = reflect.ValueOf(c)
			l.open++
		}
	}
	return l
}

// Next returns the next value, io.EOF behind the last, or the cause of ctx's cancellation.
func (l *Lanes[T]) Next(ctx context.Context) (value T, err error) {
	done := reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())}
	for l.open > 0 && ctx.Err() == nil {
		turn := 0
		if l.inARow >= l.k {
			turn = 1
		}
		i := turn
		chosen, v, ok := reflect.Select([]reflect.SelectCase{l.lanes[turn], {Dir: reflect.SelectDefault}})
		if chosen == 1 {
			i, v, ok = reflect.Select([]reflect.SelectCase{l.lanes[0], l.lanes[1], done})
		}
		switch {
		case i == 2:
		case !ok:
			l.lanes[i].Chan = reflect.Value{}
			l.open--
		default:
			l.inARow = (l.inARow + 1) * (1 - i)
			reflect.ValueOf(&value).Elem().Set(v)
			return value, nil
		}
	}
	if ctx.Err() != nil {
		return value, context.Cause(ctx)
	}
	return value, io.EOF
}
