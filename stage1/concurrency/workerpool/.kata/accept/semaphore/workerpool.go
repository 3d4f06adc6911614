// Package workerpool starts a goroutine for each call, once it holds one of n slots.
package workerpool

import (
	"context"
	"fmt"
	"sync"
)

// Map calls f once for each value of in, never more than n calls at the same
// time, and returns their results in the order of in.
func Map[T, R any](ctx context.Context, n int, in []T, f func(context.Context, T) (R, error)) ([]R, error) {
	if n < 1 {
		panic(fmt.Sprintf("workerpool: Map with n = %d", n))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	var (
		out     = make([]R, len(in))
		missing = len(in)
		crash   any
		mu      sync.Mutex // guards missing and crash
		wg      sync.WaitGroup
		slots   = make(chan struct{}, min(n, len(in)))
	)
	for i, v := range in {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		// Both may have been ready, and select tosses a coin.
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			// The slot is given back last: by then, a failure has cancelled ctx.
			defer func() { <-slots }()
			defer func() {
				if v := recover(); v != nil {
					mu.Lock()
					defer mu.Unlock()
					if crash == nil {
						crash = v
					}
					cancel(nil)
				}
			}()
			r, err := f(ctx, v)
			if err != nil {
				cancel(err)
				return
			}
			out[i] = r
			mu.Lock()
			defer mu.Unlock()
			missing--
		})
	}
	wg.Wait()

	if crash != nil {
		panic(crash)
	}
	if missing > 0 {
		return nil, context.Cause(ctx)
	}
	return out, nil
}
