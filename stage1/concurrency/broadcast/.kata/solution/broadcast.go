// Package broadcast sends what is published to every subscriber, and never waits for a slow one.
package broadcast

import (
	"errors"
	"fmt"
	"sync"
)

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
//
// One lock guards the hub and all that belongs to its subscriptions. It is only ever held for work that cannot block.
type Hub[T any] struct {
	mu     sync.Mutex
	closed bool
	subs   map[*Subscription[T]]struct{} // those that live
}

// A Subscription receives what is published as long as it lives. Its methods may be called from any goroutine.
type Subscription[T any] struct {
	hub    *Hub[T]
	policy Policy
	c      chan T // sent to and closed with the hub's lock held: never a send after the close

	// Guarded by the hub's lock.
	dropped int
	err     error // why it ended; nil while it lives
}

// New returns a hub without subscribers.
func New[T any]() *Hub[T] {
	return &Hub[T]{subs: make(map[*Subscription[T]]struct{})}
}

// Subscribe returns a subscription that has room for buffer values that wait to be received. It panics if buffer is less
// than 1 or the policy none of the three. On a closed hub it returns a subscription that has ended already.
func (h *Hub[T]) Subscribe(buffer int, policy Policy) *Subscription[T] {
	if buffer < 1 {
		panic(fmt.Sprintf("broadcast: Subscribe with a buffer of %d", buffer))
	}
	if policy < DropOldest || policy > Disconnect {
		panic(fmt.Sprintf("broadcast: Subscribe with the unknown policy %d", policy))
	}
	s := &Subscription[T]{hub: h, policy: policy, c: make(chan T, buffer)}

	h.mu.Lock()
	defer h.mu.Unlock()
	h.subs[s] = struct{}{}
	if h.closed {
		s.end(ErrClosed)
	}
	return s
}

// Publish hands v to every subscription, without ever waiting for one. It returns ErrClosed after Close, else nil.
func (h *Hub[T]) Publish(v T) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	for s := range h.subs {
		s.put(v)
	}
	return nil
}

// Close ends the hub and every subscription. It may be called again.
func (h *Hub[T]) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for s := range h.subs {
		s.end(ErrClosed)
	}
}

// put needs the hub's lock. It is the only place that sends, so room that there is cannot be taken by another.
func (s *Subscription[T]) put(v T) {
	select {
	case s.c <- v:
		return
	default:
	}
	switch s.policy {
	case DropOldest:
		select {
		case <-s.c:
			s.dropped++
		default: // the subscriber has just made room itself: nothing is lost
		}
		s.c <- v
	case DropNewest:
		s.dropped++
	case Disconnect:
		s.dropped++
		s.end(ErrSlow)
	}
}

// end needs the hub's lock. Only the first reason counts; and a hub must not keep what nobody can use any more.
func (s *Subscription[T]) end(reason error) {
	if s.err != nil {
		return
	}
	s.err = reason
	delete(s.hub.subs, s)
	close(s.c)
}

// C returns the channel of the subscription, always the same. It is closed when the subscription has ended, behind the
// values that were waiting then.
func (s *Subscription[T]) C() <-chan T {
	return s.c
}

// Unsubscribe ends the subscription. It may be called again.
func (s *Subscription[T]) Unsubscribe() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.end(ErrUnsubscribed)
}

// Dropped returns how many values the subscription has lost to its policy.
func (s *Subscription[T]) Dropped() int {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.dropped
}

// Err returns nil while the subscription lives, and then what ended it first.
func (s *Subscription[T]) Err() error {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.err
}
