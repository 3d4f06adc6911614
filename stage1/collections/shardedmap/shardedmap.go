// Package shardedmap is a map for many goroutines: it is cut into shards, each with a lock of its own.
package shardedmap

// Map is a map that many goroutines may use at the same time. It is made by New.
type Map[K comparable, V any] struct {
	// TODO: the hash function, and shards with a lock each
}

// New returns an empty map of the given number of shards. The key belongs to the shard
// with the index hash(key) % shards. New panics if shards is less than 1.
func New[K comparable, V any](shards int, hash func(K) uint64) *Map[K, V] {
	panic("TODO: make the shards")
}

// Load returns the value of the key, and whether the map has one. It never waits for a computation.
func (m *Map[K, V]) Load(key K) (V, bool) {
	panic("TODO: look into the key's shard")
}

// Store sets the value of the key. A computation of the key that runs is not awaited, and no longer counts.
func (m *Map[K, V]) Store(key K, value V) {
	panic("TODO: set the value, disown a computation")
}

// Delete removes the key. A computation of the key that runs is not awaited, and no longer counts.
func (m *Map[K, V]) Delete(key K) {
	panic("TODO: remove the value, disown a computation")
}

// Len returns how many keys have a value.
func (m *Map[K, V]) Len() int {
	panic("TODO: add the shards up")
}

// LoadOrCompute returns the value of the key. If there is none, it calls compute and stores the result, unless a computation
// of the key is running: then it waits for the result of that. It reports whether the value came from elsewhere than its own compute.
func (m *Map[K, V]) LoadOrCompute(key K, compute func() V) (value V, loaded bool) {
	panic("TODO: load, join or compute")
}

// Range calls f for each key and value, shard by shard, until f returns false.
// It yields each shard as it is at the moment when Range comes to it.
func (m *Map[K, V]) Range(f func(key K, value V) bool) {
	panic("TODO: call f for each pair, and hold no lock meanwhile")
}
