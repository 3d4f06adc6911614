// Package pipeline builds a line of concurrent stages, from a source to a sink, connected by channels: each stage
// works on its own value while the others work on theirs, and none runs ahead of the next.
package pipeline

import "context"

// A Pipeline is one line: a source, any number of stages, a sink. They start as soon as they are added.
type Pipeline struct {
	// TODO: your fields
}

// A Stream carries the values from one stage to the next, which is the only one to consume it.
type Stream[T any] struct {
	// TODO: your fields
}

// New returns an empty pipeline. Cancelling ctx stops all of it.
func New(ctx context.Context) *Pipeline {
	panic("TODO: make a pipeline")
}

// Source starts the line: gen runs in a goroutine and hands out values by calling yield, one after another. yield
// returns when the next stage has taken the value, or false when nobody wants values any more; gen should then
// return. An error of gen's ends the line behind the values that it has yielded.
func Source[T any](p *Pipeline, gen func(ctx context.Context, yield func(T) bool) error) *Stream[T] {
	panic("TODO: run gen in a goroutine, send what it yields, close at its end")
}

// Stage adds a stage: a goroutine calls f for one value of in after another, and hands each result on before it takes
// the next value. An error of f's ends the line behind the results that have been handed on.
func Stage[A, B any](p *Pipeline, in *Stream[A], f func(context.Context, A) (B, error)) *Stream[B] {
	panic("TODO: receive, call f, send; close at the end; tell upstream that you have left")
}

// Sink ends the line: a goroutine calls f for one value of in after another. An error of f's stops the line.
func Sink[T any](p *Pipeline, in *Stream[T], f func(context.Context, T) error) {
	panic("TODO: receive, call f; tell upstream that you have left")
}

// Wait blocks until the source, every stage and the sink have ended. It returns the first error of theirs, the cause of
// ctx's cancellation if that cut the line short, or nil.
func (p *Pipeline) Wait() error {
	panic("TODO: wait for every goroutine, then report")
}
