// Packs the truth values into one byte, gives each shard an allocation of its own, and chooses the shard by the address of a local variable.
package layout

import (
	"sync/atomic"
	"unsafe"
)

// Record holds what an Old holds.
type Record struct {
	incomparable
	price, time  int64
	symbol       string
	quantity     uint32
	venue, flags uint16
	side, bits   byte
}

type incomparable [0]func()

const (
	active = 1 << iota
	hidden
)

// From returns the trade as a Record.
func From(o Old) Record {
	r := Record{symbol: o.Symbol, price: o.Price, time: o.Time, quantity: o.Quantity, venue: o.Venue, flags: o.Flags, side: o.Side}
	if o.Active {
		r.bits |= active
	}
	if o.Hidden {
		r.bits |= hidden
	}
	return r
}

// Old returns the trade as it was.
func (r Record) Old() Old {
	return Old{
		Symbol: r.symbol, Price: r.price, Time: r.time, Quantity: r.quantity, Venue: r.venue, Flags: r.flags,
		Side: r.side, Active: r.bits&active != 0, Hidden: r.bits&hidden != 0,
	}
}

// Meter counts answers.
type Meter struct {
	Bytes, Answers int64
	Failed         uint32
	_              [4]byte
}

// Counter is a sum that many goroutines add to.
type Counter struct {
	shards []*shard
}

type shard struct {
	n atomic.Int64
	_ [31]atomic.Int64
}

// NewCounter returns a counter of so many shards.
func NewCounter(shards int) *Counter {
	if shards < 1 {
		panic("layout: a counter needs a shard")
	}
	c := new(Counter)
	for range shards {
		c.shards = append(c.shards, new(shard))
	}
	return c
}

// Shard returns the shard with the index i, from 0.
func (c *Counter) Shard(i int) *atomic.Int64 {
	return &c.shards[i].n
}

// Add adds delta to a shard. The address of a local variable tells goroutines apart; multiplied, its bits are mixed.
func (c *Counter) Add(delta int64) {
	var local byte
	h := uint64(uintptr(unsafe.Pointer(&local))) * 0x9E3779B97F4A7C15
	c.Shard(int(h >> 33 % uint64(len(c.shards)))).Add(delta)
}

// Load returns the sum of all shards.
func (c *Counter) Load() (sum int64) {
	for _, s := range c.shards {
		sum += s.n.Load()
	}
	return sum
}
