// Each shard is a map that never changes: a writer replaces it, readers and Range take no lock at all.
package shardedmap

import (
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
)

// Map is a map that many goroutines may use at the same time. It is made by New.
type Map[K comparable, V any] struct {
	hash   func(K) uint64
	shards []shard[K, V]
}

type shard[K comparable, V any] struct {
	values atomic.Pointer[map[K]V]

	mu    sync.Mutex // held by writers
	ended *sync.Cond // some computation is over
	calls map[K]*result[V]
}

type result[V any] struct {
	value *V
	over  bool
}

// New returns an empty map of the given number of shards.
func New[K comparable, V any](shards int, hash func(K) uint64) *Map[K, V] {
	if shards < 1 {
		panic(fmt.Sprintf("shardedmap: New with %d shards", shards))
	}
	m := &Map[K, V]{hash: hash, shards: make([]shard[K, V], shards)}
	for i := range m.shards {
		s := &m.shards[i]
		s.values.Store(&map[K]V{})
		s.ended = sync.NewCond(&s.mu)
		s.calls = make(map[K]*result[V])
	}
	return m
}

func (m *Map[K, V]) of(key K) *shard[K, V] {
	return &m.shards[m.hash(key)%uint64(len(m.shards))]
}

// change replaces the shard's map. The caller holds the lock.
func (s *shard[K, V]) change(f func(map[K]V)) {
	next := maps.Clone(*s.values.Load())
	f(next)
	s.values.Store(&next)
}

// Load returns the value of the key, and whether the map has one.
func (m *Map[K, V]) Load(key K) (V, bool) {
	v, ok := (*m.of(key).values.Load())[key]
	return v, ok
}

// Store sets the value of the key.
func (m *Map[K, V]) Store(key K, value V) {
	s := m.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change(func(values map[K]V) { values[key] = value })
	delete(s.calls, key)
}

// Delete removes the key.
func (m *Map[K, V]) Delete(key K) {
	s := m.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change(func(values map[K]V) { delete(values, key) })
	delete(s.calls, key)
}

// Len returns how many keys have a value.
func (m *Map[K, V]) Len() int {
	n := 0
	for i := range m.shards {
		n += len(*m.shards[i].values.Load())
	}
	return n
}

// LoadOrCompute returns the value of the key, computing it if there is none.
func (m *Map[K, V]) LoadOrCompute(key K, compute func() V) (V, bool) {
	s := m.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if v, ok := (*s.values.Load())[key]; ok {
			return v, true
		}
		r := s.calls[key]
		if r == nil {
			break
		}
		for !r.over {
			s.ended.Wait()
		}
		if r.value != nil {
			return *r.value, true
		}
	}

	r := new(result[V])
	s.calls[key] = r
	s.mu.Unlock()
	defer func() {
		s.mu.Lock() // for the deferred Unlock above
		r.over = true
		s.ended.Broadcast()
		if s.calls[key] != r {
			return
		}
		delete(s.calls, key)
		if r.value != nil {
			s.change(func(values map[K]V) { values[key] = *r.value })
		}
	}()
	v := compute()
	r.value = &v
	return v, false
}

// Range calls f for each key and value, shard by shard, until f returns false.
func (m *Map[K, V]) Range(f func(key K, value V) bool) {
	for i := range m.shards {
		for key, value := range *m.shards[i].values.Load() {
			if !f(key, value) {
				return
			}
		}
	}
}
