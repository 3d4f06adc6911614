// Package zklock is a distributed lock on ZooKeeper, exclusive or shared.
//
// A lock is a line: each contender adds an ephemeral sequential node below "/locks/<name>", and the node's number is its place. It is the line
// of zk.NewLock, go-zookeeper's own recipe: that one and this package can stand in it together.
package zklock

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrLost says that the caller's place in the line is gone, or may be: its node was deleted, its session has expired, the client was
	// closed, or ZooKeeper has not been heard of for a session timeout.
	ErrLost = errors.New("zklock: lost")
	// ErrReleased is the cause of a hold's context after Release.
	ErrReleased = errors.New("zklock: released")
)

// Client is a connection to ZooKeeper, with one session at a time. It may be used by several goroutines.
type Client struct {
	// TODO
}

// Connect makes a client of these servers ("host:port"). It does not wait for them: Lock and RLock do. The session timeout is one that the
// servers grant as it is.
func Connect(servers []string, timeout time.Duration) (*Client, error) {
	panic("TODO: connect, and follow the session")
}

// Close ends the session, and with it all holds and attempts, with ErrLost.
func (c *Client) Close() {
	panic("TODO: close")
}

// Lock waits until the caller holds the lock alone. ctx bounds the waiting only.
//
// If it fails, it returns nil and the cause of ctx, ErrLost or what ZooKeeper said; its node is gone then, or goes as soon as ZooKeeper can be reached.
func (c *Client) Lock(ctx context.Context, name string) (*Hold, error) {
	panic("TODO: join the line, wait until nobody is ahead")
}

// RLock waits until the caller holds the lock together with others that share it: until no exclusive one is ahead of it in the line. For the
// rest, what is said at Lock holds.
func (c *Client) RLock(ctx context.Context, name string) (*Hold, error) {
	panic("TODO: join the line, wait until nobody exclusive is ahead")
}

// Hold is a lock that is held.
type Hold struct {
	// TODO
}

// Context is for the work that the lock protects. It ends when the hold is lost, with the cause ErrLost, or released, with the cause ErrReleased; not
// when the context of Lock does.
func (h *Hold) Context() context.Context {
	panic("TODO: the holder's context")
}

// Token is the fencing token: the zxid that created the holder's node. Whoever comes later in the line has a greater one.
func (h *Hold) Token() int64 {
	panic("TODO: the zxid of the creation")
}

// Release gives the lock up: it ends the context and waits until the node is gone. It returns ErrLost if the hold was lost before, and nil if it was
// released before. If ctx ends first, it returns the cause of that; the node still goes as soon as ZooKeeper can be reached.
func (h *Hold) Release(ctx context.Context) error {
	panic("TODO: leave the line")
}
