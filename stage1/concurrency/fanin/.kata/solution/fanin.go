// Package fanin brings several channels together into one: in whatever order values come, or sorted.
package fanin

import (
	"context"
	"slices"
	"sync"
)

// Merge returns a channel with the values of all inputs, as they come. It is closed when all inputs are closed and
// their values taken, or when ctx is cancelled. Nil inputs are skipped.
func Merge[T any](ctx context.Context, inputs ...<-chan T) <-chan T {
	out := make(chan T)
	var forwarders sync.WaitGroup
	for _, in := range inputs {
		if in == nil {
			continue // it would never be closed
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
	// Only here is it known that nobody sends any more.
	go func() {
		forwarders.Wait()
		close(out)
	}()
	return out
}

// MergeOrdered merges inputs that are sorted by compare into one sorted channel. Among values that compare equal
// those of an earlier input come first. It ends as Merge does, and skips nil inputs, too.
func MergeOrdered[T any](ctx context.Context, compare func(a, b T) int, inputs ...<-chan T) <-chan T {
	type head struct {
		value T
		in    <-chan T
	}
	out := make(chan T)
	inputs = slices.Clone(inputs) // the caller may change the slice while the goroutine reads it
	go func() {
		defer close(out)

		// The first value of every input that has one, in the order of the inputs.
		// Awaited side by side: whoever feeds several inputs may begin with any of them.
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
			// The first of the least, so that equal values keep the order of their inputs. A scan is fine for the
			// dozens of inputs that channels are used for; thousands would want a heap.
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
