// Package broadcast sends what is published to every subscriber, and never waits for a slow one.
package broadcast

import "errors"

// Why a subscription has ended.
var (
	ErrClosed       = errors.New("broadcast: hub closed")
	ErrSlow         = errors.New("broadcast: subscriber too slow")
	ErrUnsubscribed = errors.New("broadcast: unsubscribed")
)

// A Policy says what becomes of a value for which a subscription has no room.
type Policy int

const (
	DropOldest Policy = iota // the value that has waited longest makes room
	DropNewest               // the new value is dropped
	Disconnect               // the subscription ends with ErrSlow
)

// A Hub hands every published value to every subscription. Its methods may be called from any goroutine.
type Hub[T any] struct {
	// TODO: your fields
}

// A Subscription receives what is published as long as it lives. Its methods may be called from any goroutine.
type Subscription[T any] struct {
	// TODO: your fields
}

// New returns a hub without subscribers.
func New[T any]() *Hub[T] {
	panic("TODO: make a hub")
}

// Subscribe returns a subscription that has room for buffer values that wait to be received. It panics if buffer is less
// than 1 or the policy none of the three. On a closed hub it returns a subscription that has ended already.
func (h *Hub[T]) Subscribe(buffer int, policy Policy) *Subscription[T] {
	panic("TODO: make a subscription and add it")
}

// Publish hands v to every subscription, without ever waiting for one. It returns ErrClosed after Close, else nil.
func (h *Hub[T]) Publish(v T) error {
	panic("TODO: hand v to every subscription by its policy")
}

// Close ends the hub and every subscription. It may be called again.
func (h *Hub[T]) Close() {
	panic("TODO: end all subscriptions")
}

// C returns the channel of the subscription, always the same. It is closed when the subscription has ended, behind the
// values that were waiting then.
func (s *Subscription[T]) C() <-chan T {
	panic("TODO: return the channel")
}

// Unsubscribe ends the subscription. It may be called again.
func (s *Subscription[T]) Unsubscribe() {
	panic("TODO: leave the hub, close the channel")
}

// Dropped returns how many values the subscription has lost to its policy.
func (s *Subscription[T]) Dropped() int {
	panic("TODO: return the count")
}

// Err returns nil while the subscription lives, and then what ended it first.
func (s *Subscription[T]) Err() error {
	panic("TODO: return the reason")
}
