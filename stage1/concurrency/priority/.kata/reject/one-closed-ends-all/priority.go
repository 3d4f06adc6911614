// Package priority reports the end when one of the lanes is closed.
//
//kata:caught-by TestOneLaneCloses
package priority

import (
	"context"
	"fmt"
	"io"
)

// Lanes are a high and a low lane with one consumer. They run no goroutine and hold no values.
type Lanes[T any] struct {
	high, low <-chan T
	k         int
	inARow    int
}

// New returns lanes over two channels. Of values that are ready in both, the high one comes first, but after k high
func New[T any](high, low <-chan T, k int) *Lanes[T] {
	if k < 1 {
		panic(fmt.Sprintf("priority: New with k = %d", k))
	}
	return &Lanes[T]{high: high, low: low, k: k}
}

// Next returns the next value, waiting until there is one. It returns io.EOF when both lanes are closed and empty, and the
func (l *Lanes[T]) Next(ctx context.Context) (v T, err error) {
	for {
		if ctx.Err() != nil {
			return v, context.Cause(ctx)
		}
		if l.high == nil && l.low == nil {
			return v, io.EOF
		}

		preferred, fromHigh := l.high, true
		if l.inARow >= l.k {
			preferred, fromHigh = l.low, false
		}
		var ok bool
		select {
		case v, ok = <-preferred:
		default:
			select {
			case v, ok = <-l.high:
				fromHigh = true
			case v, ok = <-l.low:
				fromHigh = false
			case <-ctx.Done():
				continue
			}
		}

		switch {
		case !ok:
			return v, io.EOF
		case fromHigh:
			l.inARow++
			return v, nil
		default:
			l.inARow = 0
			return v, nil
		}
	}
}
