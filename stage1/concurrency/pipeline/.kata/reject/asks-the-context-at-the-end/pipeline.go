// Package pipeline reports a cancelled context although every value had been through before.
//
//kata:caught-by TestLateCancel
package pipeline

import (
	"context"
	"sync"
)

// A Pipeline is one line: a source, any number of stages, a sink. They start as soon as they are added.
type Pipeline struct {
	ctx     context.Context
	running sync.WaitGroup

	mu  sync.Mutex
	err error
}

// A Stream carries the values from one stage to the next, which is the only one to consume it.
//
// Its two ends can both break off. The producer closes values. The consumer cancels the producer's context: closing
// is for the side that sends, so the other direction needs a signal of its own.
type Stream[T any] struct {
	values chan T
	ctx    context.Context
	leave  context.CancelFunc
}

// New returns an empty pipeline. Cancelling ctx stops all of it.
func New(ctx context.Context) *Pipeline {
	return &Pipeline{ctx: ctx}
}

func newStream[T any](p *Pipeline) *Stream[T] {
	ctx, leave := context.WithCancel(p.ctx)
	return &Stream[T]{values: make(chan T), ctx: ctx, leave: leave}
}

// Source starts the line: gen runs in a goroutine and hands out values by calling yield, one after another. yield
// return. An error of gen's ends the line behind the values that it has yielded.
func Source[T any](p *Pipeline, gen func(ctx context.Context, yield func(T) bool) error) *Stream[T] {
	out := newStream[T](p)
	p.running.Go(func() {
		defer out.end()
		err := gen(out.ctx, out.send)
		if err == nil {
			err = out.ctx.Err()
		}
		p.keep(out.ctx, err)
	})
	return out
}

// Stage adds a stage: a goroutine calls f for one value of in after another, and hands each result on before it takes
func Stage[A, B any](p *Pipeline, in *Stream[A], f func(context.Context, A) (B, error)) *Stream[B] {
	out := newStream[B](p)
	p.running.Go(func() {
		defer out.end()
		defer in.leave()
		p.keep(out.ctx, in.each(out.ctx, func(a A) error {
			b, err := f(out.ctx, a)
			if err == nil && !out.send(b) {
				err = out.ctx.Err()
			}
			return err
		}))
	})
	return out
}

// Sink ends the line: a goroutine calls f for one value of in after another. An error of f's stops the line.
func Sink[T any](p *Pipeline, in *Stream[T], f func(context.Context, T) error) {
	ctx, cancel := context.WithCancel(p.ctx)
	p.running.Go(func() {
		defer cancel()
		defer in.leave()
		p.keep(ctx, in.each(ctx, func(v T) error { return f(ctx, v) }))
	})
}

// Wait blocks until the source, every stage and the sink have ended. It returns the first error of theirs, the cause of
func (p *Pipeline) Wait() error {
	p.running.Wait()
	if p.err == nil {
		return context.Cause(p.ctx)
	}
	return p.err
}

// keep records how a stage with the context ctx has ended. It comes before the stage closes its stream and leaves the
func (p *Pipeline) keep(ctx context.Context, err error) {
	if err == nil {
		return
	}
	if ctx.Err() != nil {
		err = context.Cause(p.ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

// send hands v to the consumer; false means that nobody wants it.
func (s *Stream[T]) send(v T) bool {
	select {
	case s.values <- v:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// end is the producer's last word.
func (s *Stream[T]) end() {
	close(s.values)
	s.leave()
}

// each calls f for every value of s until f fails, s ends or ctx does.
func (s *Stream[T]) each(ctx context.Context, f func(T) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case v, ok := <-s.values:
			if !ok {
				return nil
			}
			if err := f(v); err != nil {
				return err
			}
		}
	}
}
