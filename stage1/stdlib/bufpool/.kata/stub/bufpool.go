// Package bufpool lends out buffers, and notices when somebody uses one that was given back.
package bufpool

// Pool is a pool of buffers that many goroutines may use. It is made by New.
type Pool struct {
	// TODO: the idle buffers
}

// New returns a pool that keeps no buffer with a capacity of more than limit bytes. The limit is at least 64.
func New(limit int) *Pool {
	panic("TODO: make the pool")
}

// Get returns an empty buffer. Whoever is done with it calls Release.
func (p *Pool) Get() Buffer {
	panic("TODO: take an idle buffer, or make one")
}

// Buffer is a buffer on loan: a small value that may be copied. After Release, all methods of all its copies panic, for ever.
type Buffer struct {
	// TODO: what is lent out, and what tells this loan from the next
}

// Write appends p. It never fails.
func (b Buffer) Write(p []byte) (int, error) {
	panic("TODO: append")
}

// WriteString appends s. It never fails.
func (b Buffer) WriteString(s string) (int, error) {
	panic("TODO: append")
}

// Bytes returns what was written, valid until the next Write, Reset or Release. Its capacity is its length.
func (b Buffer) Bytes() []byte {
	panic("TODO: return the bytes, and no more")
}

// Len returns how many bytes were written.
func (b Buffer) Len() int {
	panic("TODO: return the length")
}

// Cap returns how many bytes the buffer has room for.
func (b Buffer) Cap() int {
	panic("TODO: return the capacity")
}

// Reset empties the buffer and keeps its room.
func (b Buffer) Reset() {
	panic("TODO: empty the buffer")
}

// Release gives the buffer back.
func (b Buffer) Release() {
	panic("TODO: end the loan, keep the memory unless it is too large")
}
