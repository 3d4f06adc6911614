// Package priority begins a new row with each error: where calls have short deadlines, the low lane never gets its turn.
//
//kata:caught-by TestTurnIsKept
package priority

import (
	"context"
	"fmt"
	"io"
)

// Lanes are a high and a low lane with one consumer. They run no goroutine and hold no values.
type Lanes[T any] struct {
	high, low <-chan T // nil when closed: a nil channel is never ready, so a select passes it over
	k         int
	inARow    int // high values since the last low one
}

// New returns lanes over two channels. Of values that are ready in both, the high one comes first, but after k high
// values in a row it is a low one's turn. A nil channel counts as closed. New panics if k is less than 1.
func New[T any](high, low <-chan T, k int) *Lanes[T] {
	if k < 1 {
		panic(fmt.Sprintf("priority: New with k = %d", k))
	}
	return &Lanes[T]{high: high, low: low, k: k}
}

// Next returns the next value, waiting until there is one. It returns io.EOF when both lanes are closed and empty, and the
// cause of ctx's cancellation if ctx is cancelled, whatever is ready. It takes a value from a lane only to return it.
func (l *Lanes[T]) Next(ctx context.Context) (v T, err error) {
	for {
		// A select among ready cases chooses at random. So what must come first is asked first, alone.
		if ctx.Err() != nil {
			l.inARow = 0
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
		case !ok && fromHigh:
			l.high = nil
		case !ok:
			l.low = nil
		case fromHigh:
			l.inARow++
			return v, nil
		default:
			l.inARow = 0
			return v, nil
		}
	}
}
