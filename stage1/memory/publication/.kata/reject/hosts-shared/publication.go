// Clones the slice of pointers: there is a second slice now, of the same hosts.
//
//kata:caught-by TestNeverChanges
package publication

import (
	"maps"
	"slices"
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

// clone copies c in all its parts. What is nil stays nil: maps.Clone and slices.Clone see to that.
func clone(c *Config) *Config {
	d := *c // the plain fields, also those that are added one day
	d.Limits = maps.Clone(c.Limits)
	d.Routes = maps.Clone(c.Routes)
	for path, backends := range d.Routes {
		d.Routes[path] = slices.Clone(backends)
	}
	d.Hosts = slices.Clone(c.Hosts)
	d.Fallback = cloneHost(c.Fallback)
	return &d
}

func cloneHost(h *Host) *Host {
	if h == nil {
		return nil
	}
	g := *h
	g.Tags = slices.Clone(h.Tags)
	return &g
}
