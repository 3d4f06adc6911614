// Package pipeline builds a line of concurrent stages, from a source to a sink, connected by channels: each stage
// works on its own value while the others work on theirs, and none runs ahead of the next.
package pipeline

import (
	"context"
	"sync"
)

// A Pipeline is one line. It knows its stages by their position: whoever ends stops all who stand before it.
type Pipeline struct {
	ctx   context.Context
	stops []context.CancelFunc // by position; a new stage is added behind the others
	wg    sync.WaitGroup
	once  sync.Once
	err   error
}

// A Stream is the plain channel between two stages.
type Stream[T any] <-chan T

// New returns an empty pipeline. Cancelling ctx stops all of it.
func New(ctx context.Context) *Pipeline {
	return &Pipeline{ctx: ctx}
}

// add starts a stage. done is called when the stage has ended and its end is recorded.
func (p *Pipeline) add(body func(ctx context.Context) error, done func()) {
	ctx, stop := context.WithCancel(p.ctx)
	before := p.stops[:len(p.stops):len(p.stops)]
	p.stops = append(p.stops, stop)
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		defer stop()
		defer done()
		err := body(ctx)
		if ctx.Err() != nil {
			err = context.Cause(p.ctx)
		}
		if err != nil {
			p.once.Do(func() { p.err = err })
		}
		for _, stop := range before {
			stop()
		}
	}()
}

func send[T any](ctx context.Context, out chan<- T, v T) bool {
	select {
	case out <- v:
		return true
	case <-ctx.Done():
		return false
	}
}

func receive[T any](ctx context.Context, in <-chan T) (v T, ok bool) {
	select {
	case v, ok = <-in:
	case <-ctx.Done():
	}
	return v, ok && ctx.Err() == nil
}

// Source starts the line with the values that gen yields.
func Source[T any](p *Pipeline, gen func(ctx context.Context, yield func(T) bool) error) *Stream[T] {
	out := make(chan T)
	p.add(func(ctx context.Context) error {
		return gen(ctx, func(v T) bool { return send(ctx, out, v) })
	}, func() { close(out) })
	s := Stream[T](out)
	return &s
}

// Stage adds a stage that calls f for one value after another.
func Stage[A, B any](p *Pipeline, in *Stream[A], f func(context.Context, A) (B, error)) *Stream[B] {
	out := make(chan B)
	p.add(func(ctx context.Context) error {
		for {
			a, ok := receive(ctx, *in)
			if !ok {
				return nil
			}
			b, err := f(ctx, a)
			if err != nil || !send(ctx, out, b) {
				return err
			}
		}
	}, func() { close(out) })
	s := Stream[B](out)
	return &s
}

// Sink ends the line.
func Sink[T any](p *Pipeline, in *Stream[T], f func(context.Context, T) error) {
	p.add(func(ctx context.Context) error {
		for {
			v, ok := receive(ctx, *in)
			if !ok {
				return nil
			}
			if err := f(ctx, v); err != nil {
				return err
			}
		}
	}, func() {})
}

// Wait blocks until the whole line has ended and returns its first error.
func (p *Pipeline) Wait() error {
	p.wg.Wait()
	return p.err
}
