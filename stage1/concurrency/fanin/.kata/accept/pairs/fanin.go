// Package fanin brings several channels together into one: in whatever order values come, or sorted.
package fanin

import (
	"context"
	"sync"
)

// Merge brings the inputs together two by two, as in a knockout tournament.
func Merge[T any](ctx context.Context, inputs ...<-chan T) <-chan T {
	switch len(inputs) {
	case 0:
		return pair[T](ctx, nil, nil)
	case 1:
		return pair(ctx, inputs[0], nil)
	case 2:
		return pair(ctx, inputs[0], inputs[1])
	}
	half := len(inputs) / 2
	return pair(ctx, Merge(ctx, inputs[:half]...), Merge(ctx, inputs[half:]...))
}

// pair merges two channels. A closed one becomes nil: select never chooses a nil channel.
func pair[T any](ctx context.Context, a, b <-chan T) <-chan T {
	out := make(chan T)
	go func() {
		defer close(out)
		for a != nil || b != nil {
			var v T
			var ok bool
			select {
			case <-ctx.Done():
				return
			case v, ok = <-a:
				if !ok {
					a = nil
					continue
				}
			case v, ok = <-b:
				if !ok {
					b = nil
					continue
				}
			}
			select {
			case out <- v:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// MergeOrdered keeps a cursor for every input and always moves the one with the least value.
func MergeOrdered[T any](ctx context.Context, compare func(a, b T) int, inputs ...<-chan T) <-chan T {
	cursors := make([]*cursor[T], 0, len(inputs))
	for _, in := range inputs {
		if in != nil {
			cursors = append(cursors, &cursor[T]{in: in, open: true})
		}
	}
	out := make(chan T)
	go func() {
		defer close(out)
		var all sync.WaitGroup // side by side: a producer may feed several inputs, and begin with any of them
		for _, c := range cursors {
			all.Go(func() { c.next(ctx) })
		}
		all.Wait()
		for ctx.Err() == nil {
			var least *cursor[T]
			for _, c := range cursors {
				if c.open && (least == nil || compare(c.value, least.value) < 0) {
					least = c
				}
			}
			if least == nil {
				return
			}
			select {
			case out <- least.value:
				least.next(ctx)
			case <-ctx.Done():
			}
		}
	}()
	return out
}

type cursor[T any] struct {
	in    <-chan T
	value T
	open  bool
}

func (c *cursor[T]) next(ctx context.Context) {
	select {
	case c.value, c.open = <-c.in:
	case <-ctx.Done():
		c.open = false
	}
}
