// Lets everyone who waited for a computation that panicked compute by himself: the stampede comes exactly when the source is failing.
//
//kata:caught-by TestPanic
package shardedmap

import (
	"fmt"
	"maps"
	"sync"
)

// Map is a map that many goroutines may use at the same time. It is made by New.
//
// No lock is ever held while a function of the caller's runs: neither hash, nor compute, nor the f of Range.
type Map[K comparable, V any] struct {
	hash   func(K) uint64
	shards []shard[K, V]
}

type shard[K comparable, V any] struct {
	mu     sync.RWMutex
	values map[K]V
	calls  map[K]*call[V] // the computations whose results will be stored
}

// call is a computation that one goroutine runs and others may wait for.
type call[V any] struct {
	done  chan struct{} // closed at the end; what stands below is written before
	value V
	ok    bool // compute has returned; it may also panic
}

// New returns an empty map of the given number of shards. The key belongs to the shard
// with the index hash(key) % shards. New panics if shards is less than 1.
func New[K comparable, V any](shards int, hash func(K) uint64) *Map[K, V] {
	if shards < 1 {
		panic(fmt.Sprintf("shardedmap: New with %d shards", shards))
	}
	m := &Map[K, V]{hash: hash, shards: make([]shard[K, V], shards)}
	for i := range m.shards {
		m.shards[i].values = make(map[K]V)
		m.shards[i].calls = make(map[K]*call[V])
	}
	return m
}

// of returns the key's shard. The remainder is taken of the unsigned hash: half of all hashes are negative as an int.
func (m *Map[K, V]) of(key K) *shard[K, V] {
	return &m.shards[m.hash(key)%uint64(len(m.shards))]
}

// Load returns the value of the key, and whether the map has one. It never waits for a computation.
func (m *Map[K, V]) Load(key K) (V, bool) {
	s := m.of(key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	v, ok := s.values[key]
	return v, ok
}

// Store sets the value of the key. A computation of the key that runs is not awaited, and no longer counts.
func (m *Map[K, V]) Store(key K, value V) {
	s := m.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = value
	delete(s.calls, key)
}

// Delete removes the key. A computation of the key that runs is not awaited, and no longer counts.
func (m *Map[K, V]) Delete(key K) {
	s := m.of(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.values, key)
	delete(s.calls, key) // it may have begun with what is now out of date
}

// Len returns how many keys have a value.
func (m *Map[K, V]) Len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		n += len(s.values)
		s.mu.RUnlock()
	}
	return n
}

// LoadOrCompute returns the value of the key. If there is none, it calls compute and stores the result, unless a computation
// of the key is running: then it waits for the result of that. It reports whether the value came from elsewhere than its own compute.
func (m *Map[K, V]) LoadOrCompute(key K, compute func() V) (value V, loaded bool) {
	s := m.of(key)
	{
		value, c, mine := s.join(key)
		if c == nil {
			return value, true
		}
		if mine {
			s.run(key, c, compute)
			return c.value, false
		}
		<-c.done
		if c.ok {
			return c.value, true
		}
		value = compute()
		m.Store(key, value)
		return value, false
	}
}

// join returns the key's value, or a computation to wait for, or one that the caller has to run.
func (s *shard[K, V]) join(key K) (value V, c *call[V], mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.values[key]; ok {
		return v, nil, false
	}
	if c, ok := s.calls[key]; ok {
		return value, c, false
	}
	c = &call[V]{done: make(chan struct{})}
	s.calls[key] = c
	return value, c, true
}

func (s *shard[K, V]) run(key K, c *call[V], compute func() V) {
	// Deferred, so that a panic and runtime.Goexit also set free those who wait. The panic itself goes on.
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		// Another call in this place, or none, means that the key was stored or deleted meanwhile.
		if s.calls[key] == c {
			delete(s.calls, key)
			if c.ok {
				s.values[key] = c.value
			}
		}
		close(c.done)
	}()
	c.value = compute()
	c.ok = true
}

// Range calls f for each key and value, shard by shard, until f returns false.
// It yields each shard as it is at the moment when Range comes to it.
func (m *Map[K, V]) Range(f func(key K, value V) bool) {
	for i := range m.shards {
		for key, value := range m.shards[i].snapshot() {
			if !f(key, value) {
				return
			}
		}
	}
}

// snapshot returns a copy, so that f can be called without the lock.
func (s *shard[K, V]) snapshot() map[K]V {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return maps.Clone(s.values)
}
