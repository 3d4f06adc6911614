// Package hashmap is a hash map that grows a little at a time.
package hashmap

import "iter"

// Map is a hash map. It is made by New or NewHash, and is not safe for concurrent use.
type Map[K comparable, V any] struct {
	// TODO
}

// New returns an empty map with a hash function of its own, seeded anew.
func New[K comparable, V any]() *Map[K, V] {
	panic("TODO: hash by package hash/maphash")
}

// NewHash returns an empty map that takes the hashes of its keys from hash.
func NewHash[K comparable, V any](hash func(K) uint64) *Map[K, V] {
	panic("TODO: keep the hash function")
}

// Get returns the value of key, and whether the map has it.
func (m *Map[K, V]) Get(key K) (V, bool) {
	panic("TODO: find the key")
}

// Set gives key a value.
func (m *Map[K, V]) Set(key K, value V) {
	panic("TODO: replace the value or add the key")
}

// Delete removes key, and reports whether the map had it.
func (m *Map[K, V]) Delete(key K) bool {
	panic("TODO: remove the key")
}

// Len returns the number of keys.
func (m *Map[K, V]) Len() int {
	panic("TODO: count the keys")
}

// All yields every key with its value, in no particular order. The loop's body may change the map.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	panic("TODO: visit every key once")
}

// Clear removes every key, NaNs too, and gives the memory back.
func (m *Map[K, V]) Clear() {
	panic("TODO: start again")
}
