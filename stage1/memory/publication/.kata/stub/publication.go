// Package publication hands a configuration that is replaced at run time to many readers.
package publication

// Store holds the current version of a Config.
type Store struct {
	// TODO: the current version, and what keeps writers apart
}

// New returns a store with a copy of c as its first version.
func New(c *Config) *Store {
	panic("TODO: publish a copy of c")
}

// Load returns the current version. It never waits while a writer is at work, and allocates nothing.
// Readers may keep it as long as they like, and must not change it.
func (s *Store) Load() *Config {
	panic("TODO: return the current version")
}

// Update calls f with a copy of the current version, which f may change in all its parts, and publishes
// this copy if f returns nil. If f returns an error, Update returns it and publishes nothing. Updates run one after the other.
func (s *Store) Update(f func(c *Config) error) error {
	panic("TODO: copy, change, publish")
}
