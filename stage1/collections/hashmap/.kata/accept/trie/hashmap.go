// Package hashmap is a trie of hashes: each level looks at four more bits, leaves hold a few keys. Nothing is ever
// moved but the keys of one leaf.
package hashmap

import (
	"hash/maphash"
	"iter"
	"slices"
)

const (
	bits     = 4
	leafSize = 8
)

// Map is a hash map.
type Map[K comparable, V any] struct {
	hash func(K) uint64
	root *node[K, V]
	n    int
	// loose are leaves with much more room than entries. Delete must not allocate: the next Sets move them.
	loose *node[K, V]
}

// node is a leaf, or has children.
type node[K comparable, V any] struct {
	children *[1 << bits]*node[K, V]
	leaf     []entry[K, V]
	isLoose  bool
	loose    *node[K, V] // the next one
}

type entry[K comparable, V any] struct {
	hash  uint64
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
	return &Map[K, V]{hash: hash, root: new(node[K, V])}
}

func index(h uint64, level int) int { return int(h >> (64 - bits*(level+1)) & (1<<bits - 1)) }

// find returns the entry of key, or nil.
func (m *Map[K, V]) find(h uint64, key K) *entry[K, V] {
	n := m.root
	for level := 0; n != nil && n.children != nil; level++ {
		n = n.children[index(h, level)]
	}
	if n != nil {
		for i := range n.leaf {
			if e := &n.leaf[i]; e.hash == h && e.key == key {
				return e
			}
		}
	}
	return nil
}

// Get returns the value of key.
func (m *Map[K, V]) Get(key K) (value V, ok bool) {
	if e := m.find(m.hash(key), key); e != nil {
		return e.value, true
	}
	return value, false
}

// Set gives key a value.
func (m *Map[K, V]) Set(key K, value V) {
	h := m.hash(key)
	if e := m.find(h, key); e != nil {
		e.key, e.value = key, value
		return
	}
	m.n++
	if n := m.loose; n != nil {
		m.loose, n.loose, n.isLoose = n.loose, nil, false
		n.leaf = slices.Clone(n.leaf)
	}
	m.root.add(entry[K, V]{h, key, value}, 0)
}

func (n *node[K, V]) add(e entry[K, V], level int) {
	if n.children == nil {
		if len(n.leaf) < leafSize || level == 64/bits {
			n.leaf = append(n.leaf, e)
			return
		}
		n.children = new([1 << bits]*node[K, V])
		for _, old := range n.leaf {
			n.child(old.hash, level).add(old, level+1)
		}
		n.leaf = nil
	}
	n.child(e.hash, level).add(e, level+1)
}

func (n *node[K, V]) child(h uint64, level int) *node[K, V] {
	c := &n.children[index(h, level)]
	if *c == nil {
		*c = new(node[K, V])
	}
	return *c
}

// Delete removes key.
func (m *Map[K, V]) Delete(key K) bool {
	if !m.remove(m.root, m.hash(key), key, 0) {
		return false
	}
	m.n--
	return true
}

// remove drops children that have become empty on the way back.
func (m *Map[K, V]) remove(n *node[K, V], h uint64, key K, level int) bool {
	if n.children == nil {
		i := slices.IndexFunc(n.leaf, func(e entry[K, V]) bool { return e.hash == h && e.key == key })
		if i < 0 {
			return false
		}
		n.leaf = slices.Delete(n.leaf, i, i+1)
		if cap(n.leaf) > leafSize && len(n.leaf) < cap(n.leaf)/8 && !n.isLoose {
			m.loose, n.loose, n.isLoose = n, m.loose, true
		}
		return true
	}
	c := &n.children[index(h, level)]
	if *c == nil || !m.remove(*c, h, key, level+1) {
		return false
	}
	if (*c).children == nil && len((*c).leaf) == 0 {
		*c = nil
		if *n.children == [1 << bits]*node[K, V]{} {
			n.children = nil
		}
	}
	return true
}

// Len returns the number of keys.
func (m *Map[K, V]) Len() int { return m.n }

// All yields every key. It keeps its place as a hash, which no change of the trie can move: leaves may be
// divided, and united when children are dropped.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		root := m.root
		for from := uint64(0); ; {
			leaf, level := m.at(from)
			for _, e := range slices.Clone(leaf) {
				if e.hash < from {
					continue
				}
				if e.key == e.key {
					now := m.find(e.hash, e.key)
					if now == nil {
						continue
					}
					e.key, e.value = now.key, now.value
				}
				if !yield(e.key, e.value) || m.root != root {
					return
				}
			}
			last := from | (1<<(64-bits*level) - 1) // of the hashes that belong into this leaf
			if from = last + 1; from == 0 {
				return
			}
		}
	}
}

// at returns the leaf for hash h and its level.
func (m *Map[K, V]) at(h uint64) ([]entry[K, V], int) {
	n, level := m.root, 0
	for n != nil && n.children != nil {
		n = n.children[index(h, level)]
		level++
	}
	if n == nil {
		return nil, level
	}
	return n.leaf, level
}

// Clear removes every key.
func (m *Map[K, V]) Clear() {
	m.root, m.n, m.loose = new(node[K, V]), 0, nil
}
