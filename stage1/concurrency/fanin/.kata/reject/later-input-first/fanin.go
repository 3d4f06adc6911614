// Package fanin prefers the later input among equal values.
//
//kata:caught-by TestOrderedStable
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
	type head struct {
		value T
		in    <-chan T
	}
	out := make(chan T)
	inputs = slices.Clone(inputs)
	go func() {
		defer close(out)

		first := make([]head, len(inputs))
		var shown sync.WaitGroup
		for i, in := range inputs {
			if in == nil {
				continue
			}
			shown.Go(func() {
				if v, ok := receive(ctx, in); ok {
					first[i] = head{v, in}
				}
			})
		}
		shown.Wait()
		if ctx.Err() != nil {
			return
		}
		heads := slices.DeleteFunc(first, func(h head) bool { return h.in == nil })

		for len(heads) > 0 {
			least := 0
			for i := range heads {
				if compare(heads[i].value, heads[least].value) <= 0 {
					least = i
				}
			}
			if !send(ctx, out, heads[least].value) {
				return
			}
			v, ok := receive(ctx, heads[least].in)
			if ctx.Err() != nil {
				return
			}
			if ok {
				heads[least].value = v
			} else {
				heads = slices.Delete(heads, least, least+1)
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
