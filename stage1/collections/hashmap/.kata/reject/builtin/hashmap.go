// Wraps a built-in map.
//
//kata:caught-by forbid
package hashmap

import (
	"iter"
	"maps"
)

// Map is a built-in map.
type Map[K comparable, V any] struct {
	m map[K]V
}

// New returns an empty map.
func New[K comparable, V any]() *Map[K, V] { return &Map[K, V]{m: map[K]V{}} }

// NewHash ignores the hash function.
func NewHash[K comparable, V any](func(K) uint64) *Map[K, V] { return New[K, V]() }

// Get returns the value of key.
func (m *Map[K, V]) Get(key K) (V, bool) {
	v, ok := m.m[key]
	return v, ok
}

// Set gives key a value.
func (m *Map[K, V]) Set(key K, value V) { m.m[key] = value }

// Delete removes key.
func (m *Map[K, V]) Delete(key K) bool {
	_, ok := m.m[key]
	delete(m.m, key)
	return ok
}

// Len returns the number of keys.
func (m *Map[K, V]) Len() int { return len(m.m) }

// All yields every key.
func (m *Map[K, V]) All() iter.Seq2[K, V] { return maps.All(m.m) }

// Clear removes every key.
func (m *Map[K, V]) Clear() { m.m = map[K]V{} }
