// Package workerpool runs one function over many values, a bounded number at a time.
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
// time, and returns their results in the order of in. The calls are given a
// context that derives from ctx.
//
// While values are left and nothing has gone wrong, n calls are running: a call
// that returns makes room for the next one at once.
//
// Map fails if, and only if, some value is left without a result. Then the
// results are nil, and
//
//   - if a call failed first, Map returns the very error of that call, not wrapped;
//   - if ctx was cancelled first, Map returns context.Cause(ctx);
//   - if any call panicked, early or late, Map panics with the same value.
//
// "First" is first in time, whatever the order of in. As soon as a call has failed
// or panicked, or ctx is cancelled, no further call starts, and the context of the
// calls is cancelled. Map waits for those that run.
//
// However Map ends, nothing that it started runs on, and the context of the calls
// is cancelled. Map never keeps more goroutines than calls may run at once (n, or
// len(in) if that is less), give or take a few helpers.
//
// If n is less than 1, Map panics before it calls f. Each call must return or
// panic: f may not end its goroutine by runtime.Goexit, as the FailNow of a test does.
func Map[T, R any](ctx context.Context, n int, in []T, f func(context.Context, T) (R, error)) ([]R, error) {
	if n < 1 {
		panic(fmt.Sprintf("workerpool: Map with n = %d", n))
	}

	// One context decides which failure came first: only the first cancellation,
	// ours or the parent's, becomes its cause.
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

	if v := panicked.Load(); v != nil {
		panic(*v)
	}
	if int(finished.Load()) < len(in) {
		return nil, context.Cause(ctx)
	}
	return out, nil
}
