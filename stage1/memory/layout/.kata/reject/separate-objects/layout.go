// Allocates each shard by itself and trusts the allocator to keep them apart: it puts small objects side by side.
//
//kata:caught-by TestShardsApart
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
	_ [0]func() // first: a field of no size at the end would cost a word, lest its address be that of the next object

	symbol   string
	price    int64
	time     int64
	quantity uint32
	venue    uint16
	flags    uint16
	side     byte
	active   bool
	hidden   bool
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

// Counter is a sum that many goroutines add to.
type Counter struct {
	shards []*atomic.Int64
}

// NewCounter returns a counter of so many shards.
func NewCounter(shards int) *Counter {
	if shards < 1 {
		panic(fmt.Sprintf("layout: NewCounter with %d shards", shards))
	}
	c := new(Counter)
	for range shards {
		c.shards = append(c.shards, new(atomic.Int64))
	}
	return c
}

// Shard returns the shard with the index i, from 0.
func (c *Counter) Shard(i int) *atomic.Int64 {
	return c.shards[i]
}

// Add adds delta to one of the shards.
func (c *Counter) Add(delta int64) {
	c.Shard(rand.IntN(len(c.shards))).Add(delta)
}

// Load returns the sum of all shards.
func (c *Counter) Load() int64 {
	sum := int64(0)
	for _, s := range c.shards {
		sum += s.Load()
	}
	return sum
}
