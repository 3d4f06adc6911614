// Starts n workers whatever there is to do: most of them wait for a job that will
// never come.
//
//kata:caught-by TestFewGoroutines
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
	if len(in) == 0 {
		return out, nil
	}
	jobs := make(chan int, len(in))
	for i := range in {
		jobs <- i
	}
	all, stop := context.WithCancel(ctx)
	defer stop()
	worker := func() {
		defer func() {
			if v := recover(); v != nil {
				panicked.CompareAndSwap(nil, &v)
				cancel(errPanicked)
			}
		}()
		for ctx.Err() == nil {
			var i int
			select {
			case i = <-jobs:
			case <-all.Done():
				return
			}
			r, err := f(ctx, in[i])
			if err != nil {
				cancel(err)
				return
			}
			out[i] = r
			if int(finished.Add(1)) == len(in) {
				stop()
			}
		}
	}
	for range n {
		wg.Go(worker)
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
