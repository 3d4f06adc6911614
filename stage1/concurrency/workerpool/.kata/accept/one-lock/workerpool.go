// Package workerpool keeps the whole state of a run under one lock, and lets the
// caller's goroutine be one of the workers.
package workerpool

import (
	"context"
	"fmt"
	"sync"
)

type run[T, R any] struct {
	parent context.Context
	ctx    context.Context
	stop   context.CancelFunc
	f      func(context.Context, T) (R, error)
	in     []T
	out    []R

	mu      sync.Mutex
	next    int
	missing int
	failed  bool
	err     error
	crash   any
}

// Map calls f once for each value of in, never more than n calls at the same
// time, and returns their results in the order of in.
func Map[T, R any](ctx context.Context, n int, in []T, f func(context.Context, T) (R, error)) ([]R, error) {
	if n < 1 {
		panic(fmt.Sprintf("workerpool: Map with n = %d", n))
	}
	r := &run[T, R]{parent: ctx, f: f, in: in, out: make([]R, len(in)), missing: len(in)}
	r.ctx, r.stop = context.WithCancel(ctx)
	defer r.stop()

	var others sync.WaitGroup
	for range min(n, len(in)) - 1 {
		others.Go(r.work)
	}
	r.work()
	others.Wait()

	switch {
	case r.crash != nil:
		panic(r.crash)
	case r.missing > 0 && r.failed:
		return nil, r.err
	case r.missing > 0:
		return nil, context.Cause(ctx)
	}
	return r.out, nil
}

func (r *run[T, R]) work() {
	for {
		i, ok := r.take()
		if !ok {
			return
		}
		r.call(i)
	}
}

func (r *run[T, R]) take() (i int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed || r.ctx.Err() != nil || r.next == len(r.in) {
		return 0, false
	}
	r.next++
	return r.next - 1, true
}

func (r *run[T, R]) call(i int) {
	var err error
	defer func() {
		crash := recover()
		r.mu.Lock()
		defer r.mu.Unlock()
		switch {
		case crash != nil:
			if r.crash == nil {
				r.crash = crash
			}
		case err == nil:
			r.missing--
			return
		}
		if !r.failed {
			r.failed, r.err = true, err
			// A call fails because ctx was cancelled far more often than the
			// other way round: the cancellation came first.
			if cause := context.Cause(r.parent); cause != nil {
				r.err = cause
			}
		}
		r.stop()
	}()
	r.out[i], err = r.f(r.ctx, r.in[i])
}
