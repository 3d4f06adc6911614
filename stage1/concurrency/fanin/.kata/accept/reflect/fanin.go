// Package fanin brings several channels together into one: in whatever order values come, or sorted.
package fanin

import (
	"context"
	"reflect"
	"slices"
)

// Merge forwards in a single goroutine that selects over all inputs by reflection.
func Merge[T any](ctx context.Context, inputs ...<-chan T) <-chan T {
	cases := []reflect.SelectCase{{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())}}
	for _, in := range inputs {
		if in != nil {
			cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(in)})
		}
	}
	out := make(chan T)
	go func() {
		defer close(out)
		for len(cases) > 1 {
			i, v, ok := reflect.Select(cases)
			switch {
			case i == 0:
				return
			case !ok:
				cases = slices.Delete(cases, i, i+1)
			default:
				// Through a pointer: the value of an interface type may be nil, which Interface cannot tell from none.
				value := new(T)
				reflect.ValueOf(value).Elem().Set(v)
				select {
				case out <- *value:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}

// MergeOrdered keeps one value of every input at hand and refills what it has handed on.
func MergeOrdered[T any](ctx context.Context, compare func(a, b T) int, inputs ...<-chan T) <-chan T {
	inputs = slices.DeleteFunc(slices.Clone(inputs), func(in <-chan T) bool { return in == nil })
	out := make(chan T)
	go func() {
		defer close(out)
		heads := make([]*T, len(inputs)) // nil: to be fetched
		for {
			// Whichever comes first: a producer may feed several inputs, and begin with any of them.
			cases := []reflect.SelectCase{{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())}}
			missing := []int{-1} // the inputs behind the cases
			for i, in := range inputs {
				if heads[i] == nil {
					cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(in)})
					missing = append(missing, i)
				}
			}
			if len(cases) > 1 {
				n, v, ok := reflect.Select(cases)
				i := missing[n]
				switch {
				case n == 0:
					return
				case ok:
					heads[i] = new(T)
					reflect.ValueOf(heads[i]).Elem().Set(v)
				default:
					inputs, heads = slices.Delete(inputs, i, i+1), slices.Delete(heads, i, i+1)
				}
				continue
			}
			if len(heads) == 0 {
				return
			}
			least := slices.Index(heads, slices.MinFunc(heads, func(a, b *T) int { return compare(*a, *b) }))
			select {
			case out <- *heads[least]:
				heads[least] = nil
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
