// Deals the values out to the workers beforehand: who is done with its share stands
// idle while another is behind.
//
//kata:caught-by TestFreeSlotIsFilled
package workerpool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// errPanicked cancels the calls that still run after another has panicked.
var errPanicked = errors.New("workerpool: a call panicked")

// Map calls f once for each value of in, never more than n calls at the same
// time, and returns their results in the order of in.
func Map[T, R any](ctx context.Context, n int, in []T, f func(context.Context, T) (R, error)) ([]R, error) {
	if n < 1 {
		panic(fmt.Sprintf("workerpool: Map with n = %d", n))
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	var (
		out      = make([]R, len(in))
		finished atomic.Int64
		panicked atomic.Pointer[any]
		wg       sync.WaitGroup
	)
	worker := func(first int) {
		defer func() {
			if v := recover(); v != nil {
				panicked.CompareAndSwap(nil, &v)
				cancel(errPanicked)
			}
		}()
		for i := first; i < len(in) && ctx.Err() == nil; i += n {
			r, err := f(ctx, in[i])
			if err != nil {
				cancel(err)
				return
			}
			out[i] = r
			finished.Add(1)
		}
	}
	for i := range min(n, len(in)) {
		wg.Go(func() { worker(i) })
	}
	wg.Wait()

	if v := panicked.Load(); v != nil {
		panic(*v)
	}
	if int(finished.Load()) < len(in) {
		return nil, context.Cause(ctx)
	}
	return out, nil
}
