// Wraps bytes.Buffer, and has each loan's number guarded by a mutex. What has grown too large is left to the garbage collector as a whole, and emptied for those who still hold it.
package bufpool

import (
	"bytes"
	"sync"
)

// Pool is a pool of buffers.
type Pool struct {
	limit int
	idle  sync.Pool
}

type item struct {
	mu     sync.Mutex
	number int
	buffer bytes.Buffer
}

// New returns a pool that keeps no buffer with a capacity of more than limit bytes.
func New(limit int) *Pool {
	return &Pool{limit: limit}
}

// Get returns an empty buffer.
func (p *Pool) Get() Buffer {
	i, _ := p.idle.Get().(*item)
	if i == nil {
		i = new(item)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.number++
	i.buffer.Reset()
	return Buffer{p, i, i.number}
}

// Buffer is a buffer on loan.
type Buffer struct {
	pool   *Pool
	item   *item
	number int
}

// with calls f with the bytes.Buffer, under the lock.
func (b Buffer) with(f func(*bytes.Buffer)) {
	if b.item == nil {
		panic("bufpool: a Buffer comes from Get")
	}
	b.item.mu.Lock()
	defer b.item.mu.Unlock()
	if b.item.number != b.number {
		panic("bufpool: the buffer has been released")
	}
	f(&b.item.buffer)
}

// Write appends p.
func (b Buffer) Write(p []byte) (int, error) {
	b.with(func(buf *bytes.Buffer) { buf.Write(p) })
	return len(p), nil
}

// WriteString appends s.
func (b Buffer) WriteString(s string) (int, error) {
	b.with(func(buf *bytes.Buffer) { buf.WriteString(s) })
	return len(s), nil
}

// Bytes returns what was written.
func (b Buffer) Bytes() (p []byte) {
	b.with(func(buf *bytes.Buffer) { p = buf.Bytes()[:buf.Len():buf.Len()] })
	return p
}

// Len returns how many bytes were written.
func (b Buffer) Len() (n int) {
	b.with(func(buf *bytes.Buffer) { n = buf.Len() })
	return n
}

// Cap returns how many bytes the buffer has room for.
func (b Buffer) Cap() (n int) {
	b.with(func(buf *bytes.Buffer) { n = buf.Cap() })
	return n
}

// Reset empties the buffer.
func (b Buffer) Reset() {
	b.with((*bytes.Buffer).Reset)
}

// Release gives the buffer back.
func (b Buffer) Release() {
	keep := false
	b.with(func(buf *bytes.Buffer) {
		b.item.number++
		if keep = buf.Cap() <= b.pool.limit; !keep {
			*buf = bytes.Buffer{} // an old Buffer must not hold the bytes
		}
	})
	if keep {
		b.pool.idle.Put(b.item)
	}
}
