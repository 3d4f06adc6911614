// Asks ctx first when it comes to saying why results are missing: an error or a panic is taken
// for the cancellation that came after or before it.
//
//kata:caught-by TestFirstErrorInTime TestPanic
package workerpool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// errPanicked cancels the calls that still run after another has panicked. Nobody
// sees it returned: the panic goes on in the caller's goroutine.
var errPanicked = errors.New("workerpool: a call panicked")

// Map calls f once for each value of in, never more than n calls at the same
// time, and returns their results in the order of in.
func Map[T, R any](ctx context.Context, n int, in []T, f func(context.Context, T) (R, error)) ([]R, error) {
	if n < 1 {
		panic(fmt.Sprintf("workerpool: Map with n = %d", n))
	}

	// One context decides which failure came first: only the first cancellation,
	// ours or the parent's, becomes its cause.
	parent := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	var (
		out      = make([]R, len(in)) // each result has a place of its own: no lock needed
		next     atomic.Int64         // how many values have been taken
		finished atomic.Int64         // how many have a result
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

	if int(finished.Load()) < len(in) && parent.Err() != nil {
		return nil, context.Cause(parent)
	}
	if v := panicked.Load(); v != nil {
		panic(*v)
	}
	if int(finished.Load()) < len(in) {
		return nil, context.Cause(ctx)
	}
	return out, nil
}
