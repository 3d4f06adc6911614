// Package fanin reads all inputs to their end and sorts then: nothing comes out of inputs that
// stay open.
//
//kata:caught-by TestOrderedInTime TestBackpressure
package fanin

import (
	"context"
	"slices"
	"sync"
)

// Merge returns a channel with the values of all inputs, as they come. It is closed when all inputs are closed and
func Merge[T any](ctx context.Context, inputs ...<-chan T) <-chan T {
	out := make(chan T)
	var forwarders sync.WaitGroup
	for _, in := range inputs {
		if in == nil {
			continue
		}
		forwarders.Go(func() {
			for {
				v, ok := receive(ctx, in)
				if !ok || !send(ctx, out, v) {
					return
				}
			}
		})
	}
	go func() {
		forwarders.Wait()
		close(out)
	}()
	return out
}

// MergeOrdered merges inputs that are sorted by compare into one sorted channel. Among values that compare equal
func MergeOrdered[T any](ctx context.Context, compare func(a, b T) int, inputs ...<-chan T) <-chan T {
	out := make(chan T)
	inputs = slices.Clone(inputs)
	go func() {
		defer close(out)

		var all []T
		for _, in := range inputs {
			if in == nil {
				continue
			}
			for {
				v, ok := receive(ctx, in)
				if ctx.Err() != nil {
					return
				}
				if !ok {
					break
				}
				all = append(all, v)
			}
		}
		slices.SortStableFunc(all, compare)
		for _, v := range all {
			if !send(ctx, out, v) {
				return
			}
		}
	}()
	return out
}

// send reports whether v was taken before ctx was cancelled.
func send[T any](ctx context.Context, out chan<- T, v T) bool {
	select {
	case out <- v:
		return true
	case <-ctx.Done():
		return false
	}
}

// receive returns false when in is closed and when ctx is cancelled.
func receive[T any](ctx context.Context, in <-chan T) (v T, ok bool) {
	select {
	case v, ok = <-in:
	case <-ctx.Done():
	}
	return v, ok
}
