// Copies by a round trip through JSON: fields that are not written there are lost.
//
//kata:caught-by TestFaithful
package publication

import (
	"encoding/json"
	"sync"
	"sync/atomic"
)

// Store holds the current version of a Config.
//
// A version is never changed after it was published. So the one thing that readers and writers share is a pointer, and
// the atomic store of it happens before every load that sees it, with all that was written to the version before.
type Store struct {
	current atomic.Pointer[Config]
	writing sync.Mutex // held from copy to publication, lest an update be based on what is no longer current
}

// New returns a store with a copy of c as its first version.
func New(c *Config) *Store {
	s := new(Store)
	s.current.Store(clone(c))
	return s
}

// Load returns the current version. It never waits while a writer is at work, and allocates nothing.
// Readers may keep it as long as they like, and must not change it.
func (s *Store) Load() *Config {
	return s.current.Load()
}

// Update calls f with a copy of the current version, which f may change in all its parts, and publishes
// this copy if f returns nil. If f returns an error, Update returns it and publishes nothing. Updates run one after the other.
func (s *Store) Update(f func(c *Config) error) error {
	s.writing.Lock()
	defer s.writing.Unlock() // also if f panics
	next := clone(s.current.Load())
	if err := f(next); err != nil {
		return err
	}
	s.current.Store(next)
	return nil
}

// clone copies c in all its parts.
func clone(c *Config) *Config {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	d := new(Config)
	if err := json.Unmarshal(text, d); err != nil {
		panic(err)
	}
	return d
}
