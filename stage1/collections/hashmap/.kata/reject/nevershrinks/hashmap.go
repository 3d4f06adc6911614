// Tables grow and never shrink again: what was large once, for keys that are long gone, stays.
//
//kata:caught-by TestCollide
package hashmap

import (
	"hash/maphash"
	"iter"
)

const (
	firstSlots = 8
	// A table has at most this many slots, unless its keys have all but the same hash. More would make a split dear,
	// fewer would make the directory large.
	tableSlots = 1024
)

// Map is a hash map. It is made by New or NewHash, and is not safe for concurrent use.
type Map[K comparable, V any] struct {
	hash   func(K) uint64
	dir    []*table[K, V] // by the first depth bits of a hash; 1<<depth of them
	depth  int
	n      int
	clears int
}

// table has the entries whose hashes begin with the same depth bits. It is open addressed, with
// linear probing, and at most three quarters full.
type table[K comparable, V any] struct {
	depth int
	n     int
	slots []slot[K, V] // a power of two of them
}

type slot[K comparable, V any] struct {
	hash  uint64 // 0: the slot is empty
	key   K
	value V
}

// New returns an empty map with a hash function of its own, seeded anew.
func New[K comparable, V any]() *Map[K, V] {
	seed := maphash.MakeSeed()
	return NewHash[K, V](func(key K) uint64 { return maphash.Comparable(seed, key) })
}

// NewHash returns an empty map that takes the hashes of its keys from hash.
func NewHash[K comparable, V any](hash func(K) uint64) *Map[K, V] {
	m := &Map[K, V]{hash: hash}
	m.reset()
	return m
}

// Get returns the value of key, and whether the map has it.
func (m *Map[K, V]) Get(key K) (V, bool) {
	h := m.hashOf(key)
	t := m.table(h)
	if i, ok := t.find(h, key); ok {
		return t.slots[i].value, true
	}
	var none V
	return none, false
}

// Set gives key a value.
func (m *Map[K, V]) Set(key K, value V) {
	h := m.hashOf(key)
	t := m.table(h)
	if i, ok := t.find(h, key); ok {
		t.slots[i].key, t.slots[i].value = key, value // of equal keys the last stays, as with +0 and -0 in a built-in map
		return
	}
	for t.full() {
		m.makeRoom(t, h)
		t = m.table(h)
	}
	t.add(slot[K, V]{h, key, value})
	m.n++
}

// Delete removes key, and reports whether the map had it.
func (m *Map[K, V]) Delete(key K) bool {
	h := m.hashOf(key)
	t := m.table(h)
	i, ok := t.find(h, key)
	if ok {
		t.remove(i)
		m.n--
	}
	return ok
}

// Len returns the number of keys.
func (m *Map[K, V]) Len() int { return m.n }

// All yields every key with its value, in no particular order. The loop's body may change the map.
//
// It goes through the hashes from the lowest to the highest, a table at a time. A table's range of hashes only ever
// shrinks, by a split. So what lies before the end of the table that was copied last has been visited, and
// nothing that lies behind it, whatever the body does to the tables meanwhile.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		var entries []slot[K, V]
		clears := m.clears
		for from := uint64(0); ; {
			t := m.table(from)
			next := from + 1<<(64-t.depth)
			entries = t.appendTo(entries[:0])
			for _, e := range entries {
				if !m.refresh(&e) {
					continue // the body has deleted it
				}
				if !yield(e.key, e.value) || m.clears != clears {
					return
				}
			}
			if next <= from { // beyond the last hash
				return
			}
			from = next
		}
	}
}

// refresh looks for an entry that was copied out of its table, and updates its value. It reports false if there is none any more.
func (m *Map[K, V]) refresh(e *slot[K, V]) bool {
	if e.key != e.key {
		return true // a NaN cannot be found, but neither can it be deleted or set
	}
	t := m.table(e.hash)
	i, ok := t.find(e.hash, e.key)
	if ok {
		e.key, e.value = t.slots[i].key, t.slots[i].value
	}
	return ok
}

// Clear removes every key, NaNs too, and gives the memory back.
func (m *Map[K, V]) Clear() {
	m.clears++
	m.reset()
}

func (m *Map[K, V]) reset() {
	m.dir = []*table[K, V]{{slots: make([]slot[K, V], firstSlots)}}
	m.depth = 0
	m.n = 0
}

// hashOf never returns 0. It mixes the bits, so that hash functions which differ only in some of them are
// good enough for the directory, which looks at the first, and for the tables, which look at the last.
func (m *Map[K, V]) hashOf(key K) uint64 {
	h := m.hash(key)
	// The finalizer of MurmurHash3. It is a bijection, but for the lowest bit, which is spent below.
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return h | 1 // so a slot with hash 0 is empty
}

func (m *Map[K, V]) table(h uint64) *table[K, V] {
	return m.dir[h>>(64-m.depth)]
}

// makeRoom splits t, the table of hash h, or doubles it where it is small or cannot be split.
func (m *Map[K, V]) makeRoom(t *table[K, V], h uint64) {
	if len(t.slots) < tableSlots || t.depth == m.depth && !m.doubleDir() {
		t.double()
		return
	}
	// The directory leads to t from a run of places, the second half of which will lead to the sibling.
	half := 1 << (m.depth - t.depth - 1)
	first := int(h>>(64-m.depth)) &^ (2*half - 1)

	t.depth++
	sibling := &table[K, V]{depth: t.depth, slots: make([]slot[K, V], len(t.slots))}
	bit := uint64(1) << (64 - t.depth)
	for i := 0; i < len(t.slots); {
		s := t.slots[i]
		if s.hash&bit == 0 {
			i++
			continue
		}
		sibling.add(s)
		t.remove(i) // may move another entry into slot i: look at it again
	}
	for i := first + half; i < first+2*half; i++ {
		m.dir[i] = sibling
	}
}

// doubleDir makes the directory look at one more bit. It refuses if the keys are too few for that: then
// one more bit would not tell them apart, and the next would not either.
func (m *Map[K, V]) doubleDir() bool {
	if len(m.dir) > 1+16*m.n/tableSlots {
		return false
	}
	dir := make([]*table[K, V], 2*len(m.dir))
	for i := range dir {
		dir[i] = m.dir[i/2]
	}
	m.dir = dir
	m.depth++
	return true
}

// find returns the slot of key, or the slot where it would be added.
func (t *table[K, V]) find(h uint64, key K) (int, bool) {
	for i := t.home(h); ; i = t.after(i) {
		s := &t.slots[i]
		if s.hash == h && s.key == key {
			return i, true
		}
		if s.hash == 0 {
			return i, false
		}
	}
}

func (t *table[K, V]) full() bool { return t.n >= len(t.slots)/4*3 }

func (t *table[K, V]) add(s slot[K, V]) {
	i := t.home(s.hash)
	for t.slots[i].hash != 0 {
		i = t.after(i)
	}
	t.slots[i] = s
	t.n++
}

// remove empties slot i and closes the gap: a slot that only said "there was an entry here" would have to be
// passed by every later look-up.
func (t *table[K, V]) remove(i int) {
	mask := len(t.slots) - 1
	for j := t.after(i); t.slots[j].hash != 0; j = t.after(j) {
		// An entry may move back as far as its home.
		if (j-t.home(t.slots[j].hash))&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = slot[K, V]{} // and keep neither key nor value alive
	t.n--
}

func (t *table[K, V]) double() {
	old := t.slots
	t.slots = make([]slot[K, V], 2*len(old))
	t.n = 0
	for _, s := range old {
		if s.hash != 0 {
			t.add(s)
		}
	}
}

func (t *table[K, V]) appendTo(entries []slot[K, V]) []slot[K, V] {
	for _, s := range t.slots {
		if s.hash != 0 {
			entries = append(entries, s)
		}
	}
	return entries
}

// home is the slot where a look-up begins. The lowest bit is always set and says nothing.
func (t *table[K, V]) home(h uint64) int { return int(h>>1) & (len(t.slots) - 1) }

func (t *table[K, V]) after(i int) int { return (i + 1) & (len(t.slots) - 1) }
