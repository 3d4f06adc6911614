// Wraps sync.Map, which is not what is to be learned here.
//
//kata:caught-by forbid
package shardedmap

import "sync"

// Map is a map that many goroutines may use at the same time. It is made by New.
type Map[K comparable, V any] struct {
	m sync.Map
}

// New returns an empty map.
func New[K comparable, V any](shards int, hash func(K) uint64) *Map[K, V] {
	if shards < 1 {
		panic("shardedmap: no shards")
	}
	return new(Map[K, V])
}

// Load returns the value of the key, and whether the map has one.
func (m *Map[K, V]) Load(key K) (value V, ok bool) {
	v, ok := m.m.Load(key)
	if ok {
		value = v.(V)
	}
	return value, ok
}

// Store sets the value of the key.
func (m *Map[K, V]) Store(key K, value V) { m.m.Store(key, value) }

// Delete removes the key.
func (m *Map[K, V]) Delete(key K) { m.m.Delete(key) }

// Len returns how many keys have a value.
func (m *Map[K, V]) Len() int {
	n := 0
	m.m.Range(func(_, _ any) bool { n++; return true })
	return n
}

// LoadOrCompute returns the value of the key, computing it if there is none.
func (m *Map[K, V]) LoadOrCompute(key K, compute func() V) (V, bool) {
	if v, ok := m.Load(key); ok {
		return v, true
	}
	v, loaded := m.m.LoadOrStore(key, compute())
	return v.(V), loaded
}

// Range calls f for each key and value.
func (m *Map[K, V]) Range(f func(key K, value V) bool) {
	m.m.Range(func(k, v any) bool { return f(k.(K), v.(V)) })
}
