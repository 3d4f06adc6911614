// Package broadcast sends what is published to every subscriber, and never waits for a slow one.
package broadcast

import (
	"errors"
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

// A Hub is a goroutine that owns all subscriptions; everybody else sends it what to do. It runs until Close.
type Hub[T any] struct {
	todo chan func()
	done chan struct{} // closed when the goroutine has ended; what it owned is read-only from then on

	subs   []*Subscription[T]
	closed bool
}

// A Subscription belongs to the hub's goroutine, but for the receiving end of its channel.
type Subscription[T any] struct {
	hub     *Hub[T]
	policy  Policy
	c       chan T
	dropped int
	err     error
}

// New returns a hub without subscribers.
func New[T any]() *Hub[T] {
	h := &Hub[T]{todo: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(h.done)
		for !h.closed {
			(<-h.todo)()
		}
	}()
	return h
}

// do runs f in the hub's goroutine and waits for it; false means that the hub has been closed.
func (h *Hub[T]) do(f func()) bool {
	ran := make(chan struct{})
	select {
	case h.todo <- func() { defer close(ran); f() }:
		<-ran
		return true
	case <-h.done:
		return false
	}
}

// Subscribe adds a subscription with room for buffer waiting values.
func (h *Hub[T]) Subscribe(buffer int, policy Policy) *Subscription[T] {
	if buffer < 1 || policy < DropOldest || policy > Disconnect {
		panic("broadcast: Subscribe with an invalid buffer or policy")
	}
	s := &Subscription[T]{hub: h, policy: policy, c: make(chan T, buffer)}
	if !h.do(func() { h.subs = append(h.subs, s) }) {
		s.err = ErrClosed
		close(s.c)
	}
	return s
}

// Publish hands v to every subscription.
func (h *Hub[T]) Publish(v T) error {
	ok := h.do(func() {
		living := make([]*Subscription[T], 0, len(h.subs))
		for _, s := range h.subs {
			if s.put(v) {
				living = append(living, s)
			}
		}
		h.subs = living
	})
	if !ok {
		return ErrClosed
	}
	return nil
}

func (s *Subscription[T]) put(v T) (lives bool) {
	if len(s.c) == cap(s.c) && s.policy == DropOldest {
		select {
		case <-s.c:
			s.dropped++
		default:
		}
	}
	select {
	case s.c <- v:
		return true
	default:
	}
	s.dropped++
	if s.policy == Disconnect {
		s.err = ErrSlow
		close(s.c)
		return false
	}
	return true
}

// Close ends the hub and every subscription.
func (h *Hub[T]) Close() {
	h.do(func() {
		for _, s := range h.subs {
			s.err = ErrClosed
			close(s.c)
		}
		h.subs, h.closed = nil, true
	})
}

// C returns the channel of the subscription.
func (s *Subscription[T]) C() <-chan T { return s.c }

// Unsubscribe ends the subscription.
func (s *Subscription[T]) Unsubscribe() {
	s.hub.do(func() {
		for i, o := range s.hub.subs {
			if o == s {
				last := len(s.hub.subs) - 1
				s.hub.subs[i], s.hub.subs[last] = s.hub.subs[last], nil
				s.hub.subs = s.hub.subs[:last]
				s.err = ErrUnsubscribed
				close(s.c)
				return
			}
		}
	})
}

// Dropped returns how many values the subscription has lost.
func (s *Subscription[T]) Dropped() (n int) {
	if !s.hub.do(func() { n = s.dropped }) {
		n = s.dropped
	}
	return n
}

// Err returns what ended the subscription.
func (s *Subscription[T]) Err() (err error) {
	if !s.hub.do(func() { err = s.err }) {
		err = s.err
	}
	return err
}
