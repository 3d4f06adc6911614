// Leaves the work to x/sync/errgroup: a good choice at work, and no exercise.
//
//kata:caught-by forbid
package workerpool

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// Map calls f once for each value of in, never more than n calls at the same
// time, and returns their results in the order of in.
func Map[T, R any](ctx context.Context, n int, in []T, f func(context.Context, T) (R, error)) ([]R, error) {
	if n < 1 {
		panic(fmt.Sprintf("workerpool: Map with n = %d", n))
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(n)
	out := make([]R, len(in))
	for i, v := range in {
		g.Go(func() (err error) {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			out[i], err = f(ctx, v)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}
