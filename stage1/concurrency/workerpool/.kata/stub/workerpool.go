// Package workerpool runs one function over many values, a bounded number at a time.
package workerpool

import "context"

// Map calls f once for each value of in, never more than n calls at the same
// time, and returns their results in the order of in. The calls are given a
// context that derives from ctx.
//
// While values are left and nothing has gone wrong, n calls are running: a call
// that returns makes room for the next one at once.
//
// Map fails if, and only if, some value is left without a result. Then the
// results are nil, and
//
//   - if a call failed first, Map returns the very error of that call, not wrapped;
//   - if ctx was cancelled first, Map returns context.Cause(ctx);
//   - if any call panicked, early or late, Map panics with the same value.
//
// "First" is first in time, whatever the order of in. As soon as a call has failed
// or panicked, or ctx is cancelled, no further call starts, and the context of the
// calls is cancelled. Map waits for those that run.
//
// However Map ends, nothing that it started runs on, and the context of the calls
// is cancelled. Map never keeps more goroutines than calls may run at once (n, or
// len(in) if that is less), give or take a few helpers.
//
// If n is less than 1, Map panics before it calls f. Each call must return or
// panic: f may not end its goroutine by runtime.Goexit, as the FailNow of a test does.
func Map[T, R any](ctx context.Context, n int, in []T, f func(context.Context, T) (R, error)) ([]R, error) {
	panic("TODO: call f for each value, n at a time")
}
