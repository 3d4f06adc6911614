// Package broadcast closes the channel without the lock under which values are sent: a publisher
// may send after the close.
//
//kata:caught-by TestUnsubscribeDuringPublish
package broadcast

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
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
	DropOldest Policy = iota
	DropNewest
	Disconnect
)

// A Hub keeps its subscriptions in a slice that is never changed, only replaced: Publish reads it without a lock, and
type Hub[T any] struct {
	mu   sync.Mutex
	subs atomic.Pointer[[]*Subscription[T]]
	done atomic.Bool
}

// A Subscription has a lock of its own.
type Subscription[T any] struct {
	hub    *Hub[T]
	policy Policy

	mu      sync.Mutex
	c       chan T
	dropped int
	ended   sync.Once
	err     atomic.Pointer[error]
}

// New returns a hub without subscribers.
func New[T any]() *Hub[T] {
	h := new(Hub[T])
	h.subs.Store(new([]*Subscription[T]))
	return h
}

// Subscribe adds a subscription with room for buffer waiting values.
func (h *Hub[T]) Subscribe(buffer int, policy Policy) *Subscription[T] {
	if buffer < 1 || policy < DropOldest || policy > Disconnect {
		panic("broadcast: Subscribe with an invalid buffer or policy")
	}
	s := &Subscription[T]{hub: h, policy: policy, c: make(chan T, buffer)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.done.Load() {
		s.finish(ErrClosed)
		return s
	}
	subs := append(slices.Clip(*h.subs.Load()), s)
	h.subs.Store(&subs)
	return s
}

// Publish hands v to every subscription.
func (h *Hub[T]) Publish(v T) error {
	if h.done.Load() {
		return ErrClosed
	}
	for _, s := range *h.subs.Load() {
		if s.put(v) {
			h.remove(s)
		}
	}
	return nil
}

// put reports whether this was one value too many.
func (s *Subscription[T]) put(v T) (tooSlow bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err.Load() != nil {
		return false
	}
	for {
		select {
		case s.c <- v:
			return false
		default:
		}
		if s.policy != DropOldest {
			s.dropped++
			if s.policy == Disconnect {
				s.finish(ErrSlow)
			}
			return s.policy == Disconnect
		}
		select {
		case <-s.c:
			s.dropped++
		default:
		}
	}
}

func (h *Hub[T]) remove(s *Subscription[T]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	subs := slices.DeleteFunc(slices.Clone(*h.subs.Load()), func(o *Subscription[T]) bool { return o == s })
	h.subs.Store(&subs)
}

// Close ends the hub and every subscription.
func (h *Hub[T]) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done.Store(true)
	for _, s := range *h.subs.Swap(new([]*Subscription[T])) {
		s.finish(ErrClosed)
	}
}

func (s *Subscription[T]) finish(reason error) {
	s.ended.Do(func() {
		s.err.Store(&reason)
		close(s.c)
	})
}

// C returns the channel of the subscription.
func (s *Subscription[T]) C() <-chan T { return s.c }

// Unsubscribe ends the subscription.
func (s *Subscription[T]) Unsubscribe() {
	s.finish(ErrUnsubscribed)
	s.hub.remove(s)
}

// Dropped returns how many values the subscription has lost.
func (s *Subscription[T]) Dropped() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

// Err returns what ended the subscription.
func (s *Subscription[T]) Err() error {
	if err := s.err.Load(); err != nil {
		return *err
	}
	return nil
}
