// Package fenced is a store that defends itself: every write shows a fencing token, and one that shows an older token than the store has
// seen is refused. A lock alone cannot do that: between checking it and writing, its holder may sleep for as long as it likes.
package fenced

import (
	"fmt"
	"sync"
)

// Store keeps one value. The zero value is ready for use.
type Store struct {
	mu      sync.Mutex
	highest int64
	value   string
}

// StaleError tells a writer that another one, with a newer token, was there before it.
type StaleError struct {
	Token, Highest int64
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("fenced: token %d is stale: %d has written already", e.Token, e.Highest)
}

// Write sets the value, unless a newer token has been seen. Tokens start at 1.
func (s *Store) Write(token int64, value string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token <= 0 || token < s.highest {
		return &StaleError{Token: token, Highest: s.highest}
	}
	s.highest, s.value = token, value
	return nil
}

// Value is what the last accepted write left.
func (s *Store) Value() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value
}
