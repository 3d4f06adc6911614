// Package fanin does not wait for an input that has no value at hand: what comes from there is too
// late to be in order.
//
//kata:caught-by TestOrderedInTime
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
	inputs = slices.DeleteFunc(slices.Clone(inputs), func(in <-chan T) bool { return in == nil })
	go func() {
		defer close(out)

		var heads []head
		for len(inputs)+len(heads) > 0 {
			for i := 0; i < len(inputs); i++ {
				var v T
				ok := true
				if len(heads) == 0 && i == len(inputs)-1 {
					if v, ok = receive(ctx, inputs[i]); ctx.Err() != nil {
						return
					}
				} else {
					select {
					case v, ok = <-inputs[i]:
					default:
						continue
					}
				}
				if ok {
					heads = append(heads, head{v, inputs[i]})
				}
				inputs = slices.Delete(inputs, i, i+1)
				i--
			}
			if len(heads) == 0 {
				continue
			}
			least := 0
			for i := range heads {
				if compare(heads[i].value, heads[least].value) < 0 {
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
