// Keeps a huge buffer out of the pool, and forgets that the released Buffer points to it: who still has that in a struct has the 200 MB.
//
//kata:caught-by TestOversizedDropped
package bufpool

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Pool is a pool of buffers that many goroutines may use. It is made by New.
type Pool struct {
	limit int
	idle  sync.Pool // of *storage: a pointer fits into an interface as it is, a slice would be boxed at each Put
}

// storage is what goes round. It passes from loan to loan, so it cannot itself say whether a loan has ended.
type storage struct {
	pool *Pool
	loan atomic.Uint64 // the number of the current loan; the end of a loan makes it the next one's
	data []byte
}

// New returns a pool that keeps no buffer with a capacity of more than limit bytes. The limit is at least 64.
func New(limit int) *Pool {
	p := &Pool{limit: limit}
	p.idle.New = func() any { return &storage{pool: p} }
	return p
}

// Get returns an empty buffer. Whoever is done with it calls Release.
func (p *Pool) Get() Buffer {
	s := p.idle.Get().(*storage)
	return Buffer{storage: s, loan: s.loan.Load()}
}

// Buffer is a buffer on loan: a small value that may be copied. After Release, all methods of all its copies panic, for ever.
//
// It carries the number of its loan. The storage may have a new owner by now; the number never comes again.
type Buffer struct {
	storage *storage
	loan    uint64
}

// mine returns the storage if the loan still runs.
func (b Buffer) mine() *storage {
	if b.storage == nil || b.storage.loan.Load() != b.loan {
		panic("bufpool: use of a buffer that was released")
	}
	return b.storage
}

// Write appends p. It never fails.
func (b Buffer) Write(p []byte) (int, error) {
	s := b.mine()
	s.data = append(s.data, p...)
	return len(p), nil
}

// WriteString appends s. It never fails.
func (b Buffer) WriteString(s string) (int, error) {
	m := b.mine()
	m.data = append(m.data, s...)
	return len(s), nil
}

// Bytes returns what was written, valid until the next Write, Reset or Release. Its capacity is its length.
func (b Buffer) Bytes() []byte {
	return slices.Clip(b.mine().data)
}

// Len returns how many bytes were written.
func (b Buffer) Len() int {
	return len(b.mine().data)
}

// Cap returns how many bytes the buffer has room for.
func (b Buffer) Cap() int {
	return cap(b.mine().data)
}

// Reset empties the buffer and keeps its room.
func (b Buffer) Reset() {
	s := b.mine()
	s.data = s.data[:0]
}

// Release gives the buffer back.
func (b Buffer) Release() {
	s := b.mine()
	// Of two that release at once, both have passed the check. Only one of them ends the loan.
	if !s.loan.CompareAndSwap(b.loan, b.loan+1) {
		panic("bufpool: buffer released twice")
	}
	s.data = s.data[:0]
	// The room counts, not what is in it: one huge answer would else stay in memory as long as the pool is busy,
	// or as long as somebody still holds a Buffer of this loan.
	if cap(s.data) <= s.pool.limit {
		s.pool.idle.Put(s)
	}
}
