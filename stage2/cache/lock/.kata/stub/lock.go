// Package lock is a lock that processes share through Redis.
package lock

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrLost says that the lock is somebody else's by now, or nobody's, or may be.
	ErrLost = errors.New("lock: lost")
	// ErrReleased is the cause of a lock's context after Release.
	ErrReleased = errors.New("lock: released")
)

// Patience is how long a waiter may say nothing before it is taken for dead, and those behind it move up.
const Patience = time.Second

// Fencer is the store that the lock protects. Fence returns a token that is greater than all it has returned before; from then on, the store
// refuses writes that come with an older one.
type Fencer interface {
	Fence(ctx context.Context) (token int64, err error)
}

// Lock is a lock that is held.
type Lock struct {
	// TODO
}

// Acquire waits in line until the caller holds the lock name, and has a token of the store for it.
//
// The lock lives for ttl in Redis and is renewed until Release, whatever becomes of ctx: ctx bounds the waiting only. With an error, which is
// the cause of ctx if that ended, nothing is held and nobody stands in line.
func Acquire(ctx context.Context, rdb redis.UniversalClient, store Fencer, name string, ttl time.Duration) (*Lock, error) {
	panic("TODO: stand in line, take the lock, keep it, fence")
}

// Context is for the work that the lock protects. It ends when the lock is lost, with the cause ErrLost, or released, with the cause
// ErrReleased; not when the context of Acquire does.
func (l *Lock) Context() context.Context { panic("TODO") }

// Token is what the store returned for this holder.
func (l *Lock) Token() int64 { panic("TODO") }

// Release ends the context and gives the lock up, if it is still the caller's: else it returns ErrLost. Called again, it returns the same. If
// Redis does not answer, it returns an error and may be called again; the lock is renewed no longer either way.
func (l *Lock) Release(ctx context.Context) error { panic("TODO") }
