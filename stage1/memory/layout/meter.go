package layout

import "sync/atomic"

// Count counts one answer of so many bytes. It is old code: on 386, arm and mips, sync/atomic's functions
// for 64 bits panic with "unaligned 64-bit atomic operation" unless the address is a multiple of 8.
func (m *Meter) Count(bytes int64, ok bool) {
	if !ok {
		atomic.AddUint32(&m.Failed, 1)
	}
	atomic.AddInt64(&m.Answers, 1)
	atomic.AddInt64(&m.Bytes, bytes)
}
