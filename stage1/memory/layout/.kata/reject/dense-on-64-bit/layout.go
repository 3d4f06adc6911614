// Fills the gaps between fields until 48 bytes are reached on the machine at hand: where words have four bytes, the same order has gaps again.
//
//kata:caught-by TestRecordSmall
package layout

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
)

// Record holds what an Old holds, in as few bytes as its fields allow. It is not comparable.
//
// The fields are sorted by their alignment, the strictest first, so padding is needed at the end only.
type Record struct {
	_ [0]func()

	hidden   bool
	quantity uint32
	active   bool
	venue    uint16
	side     byte
	flags    uint16
	price    int64
	time     int64
	symbol   string
}

// From returns the trade as a Record.
func From(o Old) Record {
	return Record{
		symbol: o.Symbol, price: o.Price, time: o.Time, quantity: o.Quantity, venue: o.Venue, flags: o.Flags,
		side: o.Side, active: o.Active, hidden: o.Hidden,
	}
}

// Old returns the trade as it was.
func (r Record) Old() Old {
	return Old{
		Symbol: r.symbol, Price: r.price, Time: r.time, Quantity: r.quantity, Venue: r.venue, Flags: r.flags,
		Side: r.side, Active: r.active, Hidden: r.hidden,
	}
}

// Meter counts answers. The method in meter.go needs its fields as they are called and typed here.
//
// On 32-bit machines an int64 is aligned to 4 bytes only. What can be relied upon is the first word of an allocated
// struct or slice, so the 64-bit fields come first, and the size is a multiple of 8.
type Meter struct {
	Answers int64
	Bytes   int64
	Failed  uint32
	_       uint32 // without it a Meter has 20 bytes on 386, and every other one of a slice would be off by 4
}

// line is as far as shards have to be apart. Lines have 64 bytes on most machines and 128 on some arm64; and x86 prefetches them in pairs.
const line = 128

// Counter is a sum that many goroutines add to. It is cut into shards, lest they all wait for one cache line.
type Counter struct {
	shards []shard
}

type shard struct {
	n atomic.Int64
	_ [line - 8]byte
}

// NewCounter returns a counter of so many shards. It panics if shards is less than 1.
func NewCounter(shards int) *Counter {
	if shards < 1 {
		panic(fmt.Sprintf("layout: NewCounter with %d shards", shards))
	}
	return &Counter{shards: make([]shard, shards)}
}

// Shard returns the shard with the index i, from 0.
func (c *Counter) Shard(i int) *atomic.Int64 {
	return &c.shards[i].n
}

// Add adds delta to one of the shards. A random one will do: the generator of math/rand/v2 is
// one for each thread, while a counter that goes round would be the very line that all wait for.
func (c *Counter) Add(delta int64) {
	c.Shard(rand.IntN(len(c.shards))).Add(delta)
}

// Load returns the sum of all shards.
func (c *Counter) Load() int64 {
	sum := int64(0)
	for i := range c.shards {
		sum += c.shards[i].n.Load()
	}
	return sum
}
