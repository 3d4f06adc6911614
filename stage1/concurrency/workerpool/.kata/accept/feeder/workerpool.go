// Package workerpool is built of channels only: a feeder, workers, and a
// collector that alone touches the results.
package workerpool

import (
	"context"
	"fmt"
	"sync"
)

type outcome[R any] struct {
	i     int
	r     R
	err   error
	crash any
}

// Map calls f once for each value of in, never more than n calls at the same
// time, and returns their results in the order of in.
func Map[T, R any](ctx context.Context, n int, in []T, f func(context.Context, T) (R, error)) ([]R, error) {
	if n < 1 {
		panic(fmt.Sprintf("workerpool: Map with n = %d", n))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	jobs := make(chan int)
	go func() {
		defer close(jobs)
		for i := range in {
			select {
			case jobs <- i:
			case <-ctx.Done():
				return
			}
		}
	}()

	outcomes := make(chan outcome[R])
	var workers sync.WaitGroup
	for range min(n, len(in)) {
		workers.Go(func() {
			for i := range jobs {
				if ctx.Err() != nil {
					return
				}
				o := call(ctx, i, in[i], f)
				if o.crash != nil {
					o.err = fmt.Errorf("panic: %v", o.crash)
				}
				if o.err != nil {
					cancel(o.err) // before this worker can take another job
				}
				outcomes <- o
			}
		})
	}
	go func() {
		workers.Wait()
		close(outcomes)
	}()

	out := make([]R, len(in))
	missing := len(in)
	var crash any
	for o := range outcomes {
		switch {
		case o.crash != nil && crash == nil:
			crash = o.crash
		case o.err == nil:
			out[o.i] = o.r
			missing--
		}
	}
	if crash != nil {
		panic(crash)
	}
	if missing > 0 {
		return nil, context.Cause(ctx)
	}
	return out, nil
}

func call[T, R any](ctx context.Context, i int, v T, f func(context.Context, T) (R, error)) (o outcome[R]) {
	o.i = i
	defer func() { o.crash = recover() }()
	o.r, o.err = f(ctx, v)
	return o
}
