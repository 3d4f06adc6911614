// Package etcdlock is a distributed lock and a leader election on etcd.
//
// Both are a line of keys below one prefix: each contender adds a key that is bound to a lease of its own, and the key with the lowest
// create revision is at the head. It is the line of etcd's own recipes, `etcdctl lock` and `etcdctl elect`: they and this package can
// stand in it together.
package etcdlock

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

var (
	// ErrLost says that the caller's place in the line is gone, or may be: its key was deleted, its lease expired or was revoked, or
	// etcd has not been heard of for a whole TTL.
	ErrLost = errors.New("etcdlock: lost")
	// ErrReleased is the cause of a hold's context after Release or Resign.
	ErrReleased = errors.New("etcdlock: released")
	// ErrNoLeader says that an election has no leader at present.
	ErrNoLeader = errors.New("etcdlock: no leader")
)

// Lock is a lock that is held.
type Lock struct {
	// TODO
}

// Acquire waits until the caller holds the lock name, whose line lies below "locks/<name>/".
//
// The lease lives for ttl, rounded up to whole seconds, and is kept alive until Release, whatever becomes of ctx: ctx bounds the waiting
// only. If Acquire fails, its key and its lease are gone, as far as etcd can be reached. It returns ErrLost if the caller lost its place
// in the line, and the cause of ctx if that ended.
func Acquire(ctx context.Context, cli *clientv3.Client, name string, ttl time.Duration) (*Lock, error) {
	panic("TODO: join the line, wait for the head")
}

// Context is for the work that the lock protects. It ends when the lock is lost, with the cause ErrLost, or released, with the cause
// ErrReleased; not when the context of Acquire does.
func (l *Lock) Context() context.Context {
	panic("TODO: the holder's context")
}

// Token is the fencing token: the create revision of the holder's key. Whoever holds the lock later has a greater one.
func (l *Lock) Token() int64 {
	panic("TODO: the create revision")
}

// Release gives the lock up: it ends the context, then deletes the key and revokes the lease. It returns ErrLost if the lock was lost
// before, and nil if it was released before. If etcd cannot be reached before ctx ends, it returns an error and may be called again; the
// lease is kept alive no longer either way.
func (l *Lock) Release(ctx context.Context) error {
	panic("TODO: leave the line")
}

// Leader is who leads an election.
type Leader struct {
	Value string // what the leader proclaimed
	Token int64  // its fencing token
}

// Term is the time of one leader.
type Term struct {
	// TODO
}

// Campaign waits until the caller leads the election name, whose line lies below "elections/<name>/" with the contenders' values as values.
// For ctx, ttl and errors, what is said at Acquire holds.
func Campaign(ctx context.Context, cli *clientv3.Client, name, value string, ttl time.Duration) (*Term, error) {
	panic("TODO: join the line, wait for the head")
}

// Context ends when leadership is lost or resigned, as that of a Lock.
func (t *Term) Context() context.Context {
	panic("TODO: the leader's context")
}

// Token is the leader's fencing token.
func (t *Term) Token() int64 {
	panic("TODO: the create revision")
}

// Proclaim replaces the leader's value. It returns ErrLost, and changes nothing, if the caller leads no longer.
func (t *Term) Proclaim(ctx context.Context, value string) error {
	panic("TODO: a write that only the leader's key takes")
}

// Resign gives leadership up, as Release does with a lock.
func (t *Term) Resign(ctx context.Context) error {
	panic("TODO: leave the line")
}

// Current returns the leader of an election, or ErrNoLeader.
func Current(ctx context.Context, cli *clientv3.Client, name string) (Leader, error) {
	panic("TODO: the head of the line")
}

// Observe delivers the leader of an election, if there is one, and then every change that it sees: another leader, or another value. Two
// deliveries in a row are never equal and never go back in time; a state that passes quickly may be skipped, the last one never. The
// channel is closed when ctx ends or the client is closed, and then only.
func Observe(ctx context.Context, cli *clientv3.Client, name string) <-chan Leader {
	panic("TODO: follow the head of the line")
}
