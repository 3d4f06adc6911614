// Package pipeline builds a line of concurrent stages, from a source to a sink: each stage works on its own value
// while the others work on theirs, and none runs ahead of the next.
package pipeline

import (
	"context"
	"sync"
)

// A Pipeline is one line: a source, any number of stages, a sink.
type Pipeline struct {
	ctx context.Context
	wg  sync.WaitGroup
	mu  sync.Mutex
	err error
}

// A Stream is a meeting point without a channel: a cell in which the producer lays a value and waits until the
// consumer has picked it up.
type Stream[T any] struct {
	ctx    context.Context // the producer's
	cancel context.CancelFunc

	mu      sync.Mutex
	changed sync.Cond
	value   T
	full    bool
	closed  bool
}

// New returns an empty pipeline. Cancelling ctx stops all of it.
func New(ctx context.Context) *Pipeline {
	return &Pipeline{ctx: ctx}
}

func newStream[T any](p *Pipeline) *Stream[T] {
	s := new(Stream[T])
	s.changed.L = &s.mu
	s.ctx, s.cancel = context.WithCancel(p.ctx)
	return s
}

func (s *Stream[T]) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
}

func (s *Stream[T]) put(v T) bool {
	defer context.AfterFunc(s.ctx, s.wake)()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value, s.full = v, true
	s.changed.Broadcast()
	for s.full && s.ctx.Err() == nil {
		s.changed.Wait()
	}
	taken := !s.full
	s.full = false
	return taken
}

func (s *Stream[T]) take(ctx context.Context) (v T, ok bool) {
	defer context.AfterFunc(ctx, s.wake)()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.full && !s.closed && ctx.Err() == nil {
		s.changed.Wait()
	}
	if !s.full || ctx.Err() != nil {
		return v, false
	}
	s.full = false
	s.changed.Broadcast()
	return s.value, true
}

func (s *Stream[T]) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.changed.Broadcast()
	s.cancel()
}

func (p *Pipeline) keep(ctx context.Context, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		err = context.Cause(p.ctx)
	}
	if p.err == nil {
		p.err = err
	}
}

// Source starts the line with the values that gen yields.
func Source[T any](p *Pipeline, gen func(ctx context.Context, yield func(T) bool) error) *Stream[T] {
	out := newStream[T](p)
	p.wg.Go(func() {
		p.keep(out.ctx, gen(out.ctx, out.put))
		out.close()
	})
	return out
}

// Stage adds a stage that calls f for one value after another.
func Stage[A, B any](p *Pipeline, in *Stream[A], f func(context.Context, A) (B, error)) *Stream[B] {
	out := newStream[B](p)
	p.wg.Go(func() {
		var err error
		for err == nil {
			a, ok := in.take(out.ctx)
			if !ok {
				break
			}
			var b B
			if b, err = f(out.ctx, a); err == nil && !out.put(b) {
				break
			}
		}
		p.keep(out.ctx, err)
		in.cancel()
		out.close()
	})
	return out
}

// Sink ends the line.
func Sink[T any](p *Pipeline, in *Stream[T], f func(context.Context, T) error) {
	ctx, cancel := context.WithCancel(p.ctx)
	p.wg.Go(func() {
		defer cancel()
		var err error
		for err == nil {
			v, ok := in.take(ctx)
			if !ok {
				break
			}
			err = f(ctx, v)
		}
		p.keep(ctx, err)
		in.cancel()
	})
}

// Wait blocks until the whole line has ended and returns its first error.
func (p *Pipeline) Wait() error {
	p.wg.Wait()
	return p.err
}
