// Package zklock is a distributed lock on ZooKeeper, exclusive or shared.
//
// Each attempt is one goroutine, its keeper, that sees its node through from creation to removal. That the session lives, the keeper of a hold finds
// out itself, by asking for its node a few times in each session timeout; it looks at no session events.
package zklock

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
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
	conn    *zk.Conn
	timeout time.Duration
	closed  context.Context
	close   context.CancelFunc
}

// Connect makes a client of these servers ("host:port"). It does not wait for them.
func Connect(servers []string, timeout time.Duration) (*Client, error) {
	conn, _, err := zk.Connect(servers, timeout, zk.WithLogInfo(false))
	if err != nil {
		return nil, err
	}
	closed, end := context.WithCancel(context.Background())
	return &Client{conn: conn, timeout: timeout, closed: closed, close: end}, nil
}

// Close ends the session, and with it all holds and attempts, with ErrLost.
func (c *Client) Close() {
	c.close()
	c.conn.Close()
}

// Hold is a lock that is held.
type Hold struct {
	c     *Client
	ctx   context.Context
	end   context.CancelCauseFunc
	token int64
	gone  chan struct{}

	dir, mark, node string
}

// Lock waits until the caller holds the lock alone. ctx bounds the waiting only.
func (c *Client) Lock(ctx context.Context, name string) (*Hold, error) {
	return c.take(ctx, name, "lock-")
}

// RLock waits until the caller holds the lock together with others that share it.
func (c *Client) RLock(ctx context.Context, name string) (*Hold, error) {
	return c.take(ctx, name, "rlock-")
}

func (c *Client) take(ctx context.Context, name, kind string) (*Hold, error) {
	random := make([]byte, 16)
	rand.Read(random)
	h := &Hold{c: c, dir: path.Join("/locks", name), mark: hex.EncodeToString(random), gone: make(chan struct{})}
	h.ctx, h.end = context.WithCancelCause(context.Background())
	ready := make(chan error)
	go h.keep(ctx, kind, ready)
	if err := <-ready; err != nil {
		return nil, err
	}
	return h, nil
}

// keep leads the node's life. It reports on ready once.
func (h *Hold) keep(ctx context.Context, kind string, ready chan<- error) {
	defer close(h.gone)
	waiting, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(h.c.closed, func() {
		stop(ErrLost)
		h.end(ErrLost)
	})()
	err := h.join(waiting, kind)
	if err == nil {
		err = h.wait(waiting, kind == "lock-")
	}
	ready <- err
	if err == nil {
		h.watchOver()
	}
	h.remove()
}

// again repeats a request while the connection fails.
func again(ctx context.Context, request func() error) error {
	for ctx.Err() == nil {
		err := request()
		if !errors.Is(err, zk.ErrConnectionClosed) && !errors.Is(err, zk.ErrNoServer) {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return context.Cause(ctx)
}

func (h *Hold) join(ctx context.Context, kind string) error {
	for first := true; ; first = false {
		if !first {
			if err := h.recognise(ctx); err != nil || h.node != "" {
				return err
			}
		}
		p, err := h.c.conn.Create(h.dir+"/"+h.mark+kind, []byte{}, zk.FlagEphemeral|zk.FlagSequence, zk.WorldACL(zk.PermAll))
		switch err {
		case nil:
			h.node = path.Base(p)
			return nil
		case zk.ErrNoNode:
			for _, dir := range []string{"/locks", h.dir} {
				err := again(ctx, func() error {
					_, err := h.c.conn.Create(dir, []byte{}, 0, zk.WorldACL(zk.PermAll))
					return err
				})
				if err != nil && err != zk.ErrNodeExists && err != zk.ErrNoNode {
					return err
				}
			}
		case zk.ErrConnectionClosed, zk.ErrNoServer, zk.ErrSessionExpired:
		default:
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// recognise looks for a node that bears the mark.
func (h *Hold) recognise(ctx context.Context) error {
	list, err := h.list(ctx)
	if i := slices.IndexFunc(list, func(n string) bool { return strings.HasPrefix(n, h.mark) }); i >= 0 {
		h.node = list[i]
	}
	return err
}

// list returns the line, in its order.
func (h *Hold) list(ctx context.Context) (list []string, err error) {
	err = again(ctx, func() error {
		if _, err = h.c.conn.Sync(h.dir); err == nil {
			list, _, err = h.c.conn.Children(h.dir)
		}
		return err
	})
	if err == zk.ErrNoNode {
		err = nil
	}
	slices.SortFunc(list, func(a, b string) int { return strings.Compare(digits(a), digits(b)) })
	return list, err
}

func digits(node string) string { return node[max(0, len(node)-10):] }

func (h *Hold) wait(ctx context.Context, alone bool) error {
	for {
		list, err := h.list(ctx)
		if err != nil {
			return lostIfExpired(err)
		}
		own := slices.Index(list, h.node)
		if own < 0 {
			return ErrLost
		}
		ahead := slices.DeleteFunc(list[:own], func(n string) bool { return !alone && strings.Contains(n, "rlock-") })
		if len(ahead) == 0 {
			return lostIfExpired(again(ctx, func() error {
				_, stat, err := h.c.conn.Exists(h.dir + "/" + h.node)
				if err == nil {
					h.token = stat.Czxid
				}
				return err
			}))
		}
		var events <-chan zk.Event
		err = again(ctx, func() (err error) {
			_, _, events, err = h.c.conn.GetW(h.dir + "/" + ahead[len(ahead)-1])
			return err
		})
		switch {
		case err == zk.ErrNoNode:
			continue
		case err != nil:
			return lostIfExpired(err)
		}
		select {
		case ev := <-events:
			if ev.Err != nil {
				return ErrLost
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func lostIfExpired(err error) error {
	if err == zk.ErrSessionExpired {
		return ErrLost
	}
	return err
}

// watchOver returns when the hold has ended.
func (h *Hold) watchOver() {
	var events <-chan zk.Event // of the node
	heard := time.Now()
	for h.ctx.Err() == nil {
		asked := time.Now()
		answer := make(chan beat, 1)
		go func(watch bool) { answer <- h.ask(watch) }(events == nil)
		select {
		case b := <-answer:
			pause := h.c.timeout / 4
			switch {
			case b.gone:
				h.end(ErrLost)
			case b.err != nil: // the connection is broken
				pause = 20 * time.Millisecond
			default:
				heard = asked
			}
			if b.events != nil {
				events = b.events
			}
			select {
			case <-events:
				events = nil
			case <-time.After(min(pause, h.left(heard))):
			case <-h.ctx.Done():
			}
		case <-time.After(h.left(heard)):
		case <-h.ctx.Done():
		}
		if h.left(heard) <= 0 {
			h.end(ErrLost)
		}
	}
}

// left is how long the hold may go on without a word.
func (h *Hold) left(heard time.Time) time.Duration {
	return time.Until(heard.Add(h.c.timeout * 9 / 10))
}

type beat struct {
	gone   bool
	events <-chan zk.Event
	err    error
}

func (h *Hold) ask(watch bool) (b beat) {
	there := true
	if watch {
		there, _, b.events, b.err = h.c.conn.ExistsW(h.dir + "/" + h.node)
	} else {
		there, _, b.err = h.c.conn.Exists(h.dir + "/" + h.node)
	}
	b.gone = b.err == nil && !there || b.err == zk.ErrSessionExpired
	return b
}

func (h *Hold) remove() {
	for {
		err := again(h.c.closed, func() error {
			if h.node == "" {
				if err := h.recognise(h.c.closed); err != nil || h.node == "" {
					return err
				}
			}
			return h.c.conn.Delete(h.dir+"/"+h.node, -1)
		})
		if err != zk.ErrSessionExpired {
			return
		}
	}
}

// Context is for the work that the lock protects.
func (h *Hold) Context() context.Context { return h.ctx }

// Token is the fencing token: the zxid that created the holder's node.
func (h *Hold) Token() int64 { return h.token }

// Release gives the lock up: it ends the context and waits until the node is gone.
func (h *Hold) Release(ctx context.Context) error {
	h.end(ErrReleased)
	if context.Cause(h.ctx) == ErrLost {
		return ErrLost
	}
	select {
	case <-h.gone:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
