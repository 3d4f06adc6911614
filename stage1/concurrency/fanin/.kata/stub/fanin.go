// Package fanin brings several channels together into one: in whatever order values come, or sorted.
package fanin

import "context"

// Merge returns a channel with the values of all inputs, as they come. It is closed when all inputs are closed and
// their values taken, or when ctx is cancelled. Nil inputs are skipped.
func Merge[T any](ctx context.Context, inputs ...<-chan T) <-chan T {
	panic("TODO: forward every input; close the output behind the last")
}

// MergeOrdered merges inputs that are sorted by compare into one sorted channel. Among values that compare equal
// those of an earlier input come first. It ends as Merge does, and skips nil inputs, too.
func MergeOrdered[T any](ctx context.Context, compare func(a, b T) int, inputs ...<-chan T) <-chan T {
	panic("TODO: know the first value of every input, hand on the least, again and again")
}
