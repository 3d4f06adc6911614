// Package layout puts the same data into less memory, and counters where they do not slow each other down.
package layout

import "sync/atomic"

// Record holds what an Old holds, in as few bytes as its fields allow. It is not comparable.
type Record struct {
	// TODO: the fields of Old, in a better order
}

// From returns the trade as a Record.
func From(o Old) Record {
	panic("TODO: copy every field")
}

// Old returns the trade as it was.
func (r Record) Old() Old {
	panic("TODO: copy every field")
}

// Meter counts answers. The method in meter.go needs its fields as they are called and typed here.
type Meter struct {
	// TODO: lay the fields out so that Count works on 32-bit machines, also for the Meters of a slice
	Failed  uint32
	Answers int64
	Bytes   int64
}

// Counter is a sum that many goroutines add to. It is cut into shards, lest they all wait for one cache line.
type Counter struct {
	// TODO: the shards, each on a cache line of its own
}

// NewCounter returns a counter of so many shards. It panics if shards is less than 1.
func NewCounter(shards int) *Counter {
	panic("TODO: make the shards")
}

// Shard returns the shard with the index i, from 0.
func (c *Counter) Shard(i int) *atomic.Int64 {
	panic("TODO: return the address of a shard")
}

// Add adds delta to one of the shards.
func (c *Counter) Add(delta int64) {
	panic("TODO: choose a shard, add")
}

// Load returns the sum of all shards.
func (c *Counter) Load() int64 {
	panic("TODO: add the shards up")
}
