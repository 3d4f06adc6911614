// A read-write lock guards the pointer, and nothing else: it is never held while f runs.
package publication

import (
	"maps"
	"slices"
	"sync"
)

// Store holds the current version of a Config.
type Store struct {
	writing sync.Mutex
	mu      sync.RWMutex
	current *Config
}

// New returns a store with a copy of c as its first version.
func New(c *Config) *Store {
	return &Store{current: clone(c)}
}

// Load returns the current version.
func (s *Store) Load() *Config {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.current
}

// Update publishes a copy of the current version, changed by f.
func (s *Store) Update(f func(c *Config) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	next := clone(s.Load())
	if err := f(next); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = next
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
	for i, h := range d.Hosts {
		d.Hosts[i] = cloneHost(h)
	}
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
