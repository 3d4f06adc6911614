// Keeps the first error in a variable that all workers read and write without a lock.
//
//kata:caught-by TestFailuresTogether
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

	parent := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	var (
		out      = make([]R, len(in))
		first    error
		next     atomic.Int64
		finished atomic.Int64
		panicked atomic.Pointer[any]
		wg       sync.WaitGroup
	)
	worker := func() {
		defer func() {
			if v := recover(); v != nil {
				panicked.CompareAndSwap(nil, &v)
				cancel(errPanicked)
			}
		}()
		for ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= len(in) {
				return
			}
			r, err := f(ctx, in[i])
			if err != nil {
				if first == nil {
					first = err
				}
				cancel(err)
				return
			}
			out[i] = r
			finished.Add(1)
		}
	}
	for range min(n, len(in)) {
		wg.Go(worker)
	}
	wg.Wait()

	if v := panicked.Load(); v != nil {
		panic(*v)
	}
	if int(finished.Load()) < len(in) {
		if cause := context.Cause(parent); cause != nil && cause == context.Cause(ctx) {
			return nil, cause
		}
		return nil, first
	}
	return out, nil
}
