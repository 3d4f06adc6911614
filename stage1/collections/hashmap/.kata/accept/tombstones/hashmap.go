// Package hashmap hashes extendibly, with a byte of each hash beside the slots, as Swiss tables do. A deleted slot is
// marked, and a table is put in order, in its place, once it has more marks than half its keys. A range copies all keys first.
package hashmap

import (
	"hash/maphash"
	"iter"
)

const (
	empty   = 0
	deleted = 1
	moving  = 2    // while a table is put in order
	taken   = 0x80 // and seven bits of the hash
	maxSize = 1024
)

// Map is a hash map.
type Map[K comparable, V any] struct {
	hash   func(K) uint64
	dir    []*table[K, V]
	bits   uint
	length int
	sparse *table[K, V] // tables that have lost nearly all their keys; the next Sets make them smaller
	era    *byte        // another one after each Clear
}

type table[K comparable, V any] struct {
	bits       uint
	live, dead int
	listed     bool
	sparse     *table[K, V]
	marks      []byte
	slots      []pair[K, V]
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

// New returns an empty map.
func New[K comparable, V any]() *Map[K, V] {
	seed := maphash.MakeSeed()
	return NewHash[K, V](func(key K) uint64 { return maphash.Comparable(seed, key) })
}

// NewHash returns an empty map with the given hash function.
func NewHash[K comparable, V any](hash func(K) uint64) *Map[K, V] {
	m := &Map[K, V]{hash: func(key K) uint64 { return spread(hash(key)) }}
	m.Clear()
	return m
}

// spread is a bijection after which all bits depend on all others.
func spread(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

func newTable[K comparable, V any](bits uint, size int) *table[K, V] {
	return &table[K, V]{bits: bits, marks: make([]byte, size), slots: make([]pair[K, V], size)}
}

func mark(h uint64) byte { return taken | byte(h&0x7f) }

func (t *table[K, V]) find(h uint64, key K) int {
	mask := len(t.slots) - 1
	for i := int(h>>7) & mask; t.marks[i] != empty; i = (i + 1) & mask {
		if t.marks[i] == mark(h) && t.slots[i].key == key {
			return i
		}
	}
	return -1
}

// insert adds a key that the table does not have.
func (t *table[K, V]) insert(h uint64, p pair[K, V]) {
	mask := len(t.slots) - 1
	i := int(h>>7) & mask
	for t.marks[i] >= taken {
		i = (i + 1) & mask
	}
	if t.marks[i] == deleted {
		t.dead--
	}
	t.marks[i], t.slots[i] = mark(h), p
	t.live++
}

// move lays the keys of t out in the tables that to names for their hashes.
func (m *Map[K, V]) move(t *table[K, V], to func(h uint64) *table[K, V]) {
	for i, p := range t.slots {
		if t.marks[i] >= taken {
			h := m.hash(p.key)
			to(h).insert(h, p)
		}
	}
}

func (m *Map[K, V]) relay(t *table[K, V], size int) {
	fresh := newTable[K, V](t.bits, size)
	m.move(t, func(uint64) *table[K, V] { return fresh })
	t.live, t.dead, t.marks, t.slots = fresh.live, 0, fresh.marks, fresh.slots
}

// tidy lays the keys of t out anew without other slots: each goes to the first slot from where its hash
// points that is not settled, and what it finds there goes on from its own place.
func (m *Map[K, V]) tidy(t *table[K, V]) {
	for i := range t.marks {
		if t.marks[i] == deleted {
			t.marks[i] = empty
		} else if t.marks[i] >= taken {
			t.marks[i] = moving
		}
	}
	mask := len(t.slots) - 1
	for i := range t.marks {
		for t.marks[i] == moving {
			h := m.hash(t.slots[i].key)
			j := int(h>>7) & mask
			for t.marks[j] >= taken {
				j = (j + 1) & mask
			}
			if t.marks[j] == empty {
				t.marks[i] = empty
			}
			t.slots[i], t.slots[j] = t.slots[j], t.slots[i]
			t.marks[j] = mark(h)
		}
	}
	t.dead = 0
}

// list puts a table on the list of the sparse ones.
func (m *Map[K, V]) list(t *table[K, V]) {
	if len(t.slots) > 8 && t.live < len(t.slots)/8 && !t.listed {
		t.listed, t.sparse, m.sparse = true, m.sparse, t
	}
}

// shrink makes one of the sparse tables smaller, if it still is.
func (m *Map[K, V]) shrink() {
	t := m.sparse
	if t == nil {
		return
	}
	m.sparse, t.sparse, t.listed = t.sparse, nil, false
	if t.live < len(t.slots)/8 {
		size := 8
		for size < 2*t.live {
			size *= 2
		}
		m.relay(t, size)
	}
}

// Get returns the value of key.
func (m *Map[K, V]) Get(key K) (value V, ok bool) {
	h := m.hash(key)
	t := m.dir[h>>(64-m.bits)]
	if i := t.find(h, key); i >= 0 {
		return t.slots[i].value, true
	}
	return value, false
}

// Set gives key a value.
func (m *Map[K, V]) Set(key K, value V) {
	h := m.hash(key)
	t := m.dir[h>>(64-m.bits)]
	if i := t.find(h, key); i >= 0 {
		t.slots[i] = pair[K, V]{key, value}
		return
	}
	m.shrink()
	for 8*(t.live+t.dead) >= 7*len(t.slots) {
		switch {
		case t.dead > t.live/2:
			m.tidy(t)
		case len(t.slots) < maxSize || !m.split(t, h):
			m.relay(t, 2*len(t.slots))
		}
		t = m.dir[h>>(64-m.bits)]
	}
	t.insert(h, pair[K, V]{key, value})
	m.length++
}

// split divides the keys of t, the table of hash h, between two tables.
func (m *Map[K, V]) split(t *table[K, V], h uint64) bool {
	if t.bits == m.bits {
		if len(m.dir) > m.length/32 {
			return false // so many tables for so few keys: their hashes do not differ
		}
		dir := make([]*table[K, V], 0, 2*len(m.dir))
		for _, t := range m.dir {
			dir = append(dir, t, t)
		}
		m.dir, m.bits = dir, m.bits+1
	}
	halves := [2]*table[K, V]{newTable[K, V](t.bits+1, len(t.slots)), newTable[K, V](t.bits+1, len(t.slots))}
	half := func(h uint64) *table[K, V] { return halves[h>>(63-t.bits)&1] }
	m.move(t, half)
	width := m.bits - t.bits
	first := h >> (64 - m.bits) >> width << width
	for i := first; i < first+1<<width; i++ {
		m.dir[i] = half(i << (64 - m.bits))
	}
	m.list(halves[0])
	m.list(halves[1])
	return true
}

// Delete removes key.
func (m *Map[K, V]) Delete(key K) bool {
	h := m.hash(key)
	t := m.dir[h>>(64-m.bits)]
	i := t.find(h, key)
	if i < 0 {
		return false
	}
	t.marks[i], t.slots[i] = deleted, pair[K, V]{}
	t.live--
	t.dead++
	m.length--
	if t.marks[(i+1)&(len(t.slots)-1)] == empty {
		// No look-up passes here on its way to another: these marks are not needed.
		for ; t.marks[i] == deleted; i = (i - 1) & (len(t.slots) - 1) {
			t.marks[i] = empty
			t.dead--
		}
	}
	if t.dead > 64 && t.dead > t.live/2 {
		m.tidy(t)
	}
	m.list(t)
	return true
}

// Len returns the number of keys.
func (m *Map[K, V]) Len() int { return m.length }

// All yields every key.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		era := m.era
		all := make([]pair[K, V], 0, m.length)
		var last *table[K, V]
		for _, t := range m.dir {
			if t == last {
				continue
			}
			for i, p := range t.slots {
				if t.marks[i] >= taken {
					all = append(all, p)
				}
			}
			last = t
		}
		for _, p := range all {
			if p.key == p.key {
				now, ok := m.Get(p.key)
				if !ok {
					continue
				}
				p.value = now
			}
			if !yield(p.key, p.value) || m.era != era {
				return
			}
		}
	}
}

// Clear removes every key.
func (m *Map[K, V]) Clear() {
	m.dir, m.bits, m.length = []*table[K, V]{newTable[K, V](0, 8)}, 0, 0
	m.sparse = nil
	m.era = new(byte)
}
