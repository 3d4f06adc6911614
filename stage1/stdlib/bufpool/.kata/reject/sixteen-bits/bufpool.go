// Counts the loans in 16 bits: after 65536 of them an old Buffer is alive again, and writes into somebody else's.
//
//kata:caught-by TestReusedPanics
package bufpool

import (
	"slices"
	"sync"
	"sync/atomic"
	"weak"
)

// Pool is a pool of buffers that many goroutines may use. It is made by New.
type Pool struct {
	limit int
	mu    sync.Mutex
	idle  []weak.Pointer[storage] // the garbage collector may take any of them
}

// storage is what goes round. It passes from loan to loan, so it cannot itself say whether a loan has ended.
type storage struct {
	pool *Pool
	loan atomic.Uint32 // the number of the current loan; the end of a loan makes it the next one's
	data []byte
}

// New returns a pool that keeps no buffer with a capacity of more than limit bytes.
func New(limit int) *Pool {
	return &Pool{limit: limit}
}

// Get returns an empty buffer. Whoever is done with it calls Release.
func (p *Pool) Get() Buffer {
	s := p.take()
	return Buffer{storage: s, loan: uint16(s.loan.Load())}
}

// Buffer is a buffer on loan: a small value that may be copied. After Release, all methods of all its copies panic, for ever.
//
// It carries the number of its loan. The storage may have a new owner by now; the number never comes again.
type Buffer struct {
	storage *storage
	loan    uint16
}

// mine returns the storage if the loan still runs.
func (b Buffer) mine() *storage {
	if b.storage == nil || uint16(b.storage.loan.Load()) != b.loan {
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
	if loan := s.loan.Load(); uint16(loan) != b.loan || !s.loan.CompareAndSwap(loan, loan+1) {
		panic("bufpool: buffer released twice")
	}
	s.data = s.data[:0]
	// The room counts, not what is in it: one huge answer would else stay in memory as long as somebody holds it.
	if cap(s.data) > s.pool.limit {
		s.data = nil
	}
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	s.pool.idle = append(s.pool.idle, weak.Make(s))
}

func (p *Pool) take() *storage {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		last := len(p.idle) - 1
		s := p.idle[last].Value()
		p.idle = p.idle[:last]
		if s != nil {
			return s
		}
	}
	return &storage{pool: p}
}
