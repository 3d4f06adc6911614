// Package fanin brings several channels together into one: in whatever order values come, or sorted.
package fanin

import (
	"container/heap"
	"context"
	"sync/atomic"
)

// Merge forwards every input in a goroutine; the last one to end closes the output.
func Merge[T any](ctx context.Context, inputs ...<-chan T) <-chan T {
	out := make(chan T)
	var open atomic.Int64
	open.Store(1) // this call itself: the output stays open until every forwarder is counted
	leave := func() {
		if open.Add(-1) == 0 {
			close(out)
		}
	}
	defer leave()
	for _, in := range inputs {
		if in == nil {
			continue
		}
		open.Add(1)
		go func() {
			defer leave()
			for {
				select {
				case v, ok := <-in:
					if !ok {
						return
					}
					select {
					case out <- v:
					case <-ctx.Done():
						return
					}
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	return out
}

type entry[T any] struct {
	value T
	input int
	in    <-chan T
}

// show fetches the next value.
func (e entry[T]) show(ctx context.Context, shown chan<- *entry[T]) {
	select {
	case v, ok := <-e.in:
		if !ok {
			shown <- nil
			return
		}
		e.value = v
		shown <- &e
	case <-ctx.Done():
	}
}

type queue[T any] struct {
	entries []entry[T]
	compare func(a, b T) int
}

func (q *queue[T]) Len() int      { return len(q.entries) }
func (q *queue[T]) Swap(i, j int) { q.entries[i], q.entries[j] = q.entries[j], q.entries[i] }
func (q *queue[T]) Push(e any)    { q.entries = append(q.entries, e.(entry[T])) }

func (q *queue[T]) Less(i, j int) bool {
	a, b := q.entries[i], q.entries[j]
	if c := q.compare(a.value, b.value); c != 0 {
		return c < 0
	}
	return a.input < b.input // a heap is not stable by itself
}

func (q *queue[T]) Pop() any {
	last := len(q.entries) - 1
	e := q.entries[last]
	q.entries = q.entries[:last]
	return e
}

// MergeOrdered keeps the first value of every input in a heap.
func MergeOrdered[T any](ctx context.Context, compare func(a, b T) int, inputs ...<-chan T) <-chan T {
	var waiting []entry[T]
	for i, in := range inputs {
		if in != nil {
			waiting = append(waiting, entry[T]{input: i, in: in})
		}
	}
	out := make(chan T)
	go func() {
		defer close(out)
		q := &queue[T]{compare: compare}
		shown := make(chan *entry[T], len(waiting)) // nil for an input that was closed
		for {
			for _, e := range waiting { // side by side: a producer may feed several inputs, and begin with any of them
				go e.show(ctx, shown)
			}
			for range waiting {
				select {
				case e := <-shown:
					if e != nil {
						heap.Push(q, *e)
					}
				case <-ctx.Done():
					return
				}
			}
			if q.Len() == 0 {
				return
			}
			e := heap.Pop(q).(entry[T])
			select {
			case out <- e.value:
			case <-ctx.Done():
				return
			}
			waiting = append(waiting[:0], e)
		}
	}()
	return out
}
