// Lets those who waited for a computation that panicked try again where they stand, though the key was stored or deleted meanwhile:
// what they compute then contradicts the map.
//
//kata:caught-by TestPanic
package shardedmap

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Map is a map that many goroutines may use at the same time. It is made by New.
type Map[K comparable, V any] struct {
	hash   func(K) uint64
	shards []shard[K, V]
}

type shard[K comparable, V any] struct {
	mu      sync.Mutex
	entries map[K]*entry[V]
}

// entry is filled once, and replaced rather than changed.
type entry[V any] struct {
	computing sync.Mutex
	value     atomic.Pointer[V]
}

// New returns an empty map of the given number of shards.
func New[K comparable, V any](shards int, hash func(K) uint64) *Map[K, V] {
	if shards < 1 {
		panic(fmt.Sprintf("shardedmap: New with %d shards", shards))
	}
	m := &Map[K, V]{hash: hash, shards: make([]shard[K, V], shards)}
	for i := range m.shards {
		m.shards[i].entries = make(map[K]*entry[V])
	}
	return m
}

func (m *Map[K, V]) of(key K) *shard[K, V] {
	return &m.shards[m.hash(key)%uint64(len(m.shards))]
}

// Load returns the value of the key, and whether the map has one.
func (m *Map[K, V]) Load(key K) (value V, ok bool) {
	s := m.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[key]; e != nil {
		if v := e.value.Load(); v != nil {
			return *v, true
		}
	}
	return value, false
}

// Store sets the value of the key.
func (m *Map[K, V]) Store(key K, value V) {
	s := m.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := new(entry[V])
	e.value.Store(&value)
	s.entries[key] = e
}

// Delete removes the key.
func (m *Map[K, V]) Delete(key K) {
	s := m.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, key)
}

// Len returns how many keys have a value.
func (m *Map[K, V]) Len() int {
	n := 0
	for i := range m.shards {
		n += len(m.shards[i].pairs())
	}
	return n
}

// LoadOrCompute returns the value of the key, computing it if there is none.
func (m *Map[K, V]) LoadOrCompute(key K, compute func() V) (value V, loaded bool) {
	s := m.of(key)
	s.mu.Lock()
	e := s.entries[key]
	if e == nil {
		e = new(entry[V])
		s.entries[key] = e
	}
	s.mu.Unlock()

	// Whoever waits here for a computation that panics is the next to try.
	e.computing.Lock()
	defer e.computing.Unlock()
	if v := e.value.Load(); v != nil {
		return *v, true
	}
	value = compute()
	e.value.Store(&value)
	return value, false
}

// Range calls f for each key and value, shard by shard, until f returns false.
func (m *Map[K, V]) Range(f func(key K, value V) bool) {
	for i := range m.shards {
		for _, p := range m.shards[i].pairs() {
			if !f(p.key, p.value) {
				return
			}
		}
	}
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

func (s *shard[K, V]) pairs() []pair[K, V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	var pairs []pair[K, V]
	for key, e := range s.entries {
		if v := e.value.Load(); v != nil {
			pairs = append(pairs, pair[K, V]{key, *v})
		}
	}
	return pairs
}
