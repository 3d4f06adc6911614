// Package zklock: a broken connection is taken for the end of the session, which survives it.
//
//kata:caught-by TestShortCut TestLostAnswer
package zklock

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
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

const root = "/locks"

// Client is a connection to ZooKeeper, with one session at a time. It may be used by several goroutines.
type Client struct {
	conn  *zk.Conn
	ctx   context.Context // ends with Close
	close context.CancelFunc

	mu     sync.Mutex
	places map[*place]bool // that are neither lost nor left
}

// Connect makes a client of these servers ("host:port"). It does not wait for them: Lock and RLock do. The session timeout is one that the
// servers grant as it is.
func Connect(servers []string, timeout time.Duration) (*Client, error) {
	c := &Client{places: map[*place]bool{}}
	c.ctx, c.close = context.WithCancel(context.Background())
	// The callback misses nothing; the channel of events that Connect also returns drops what nobody takes in time.
	conn, _, err := zk.Connect(servers, timeout, zk.WithEventCallback(c.event), zk.WithLogInfo(false), zk.WithLogger(silence{}))
	if err != nil {
		return nil, err
	}
	c.conn = conn
	return c, nil
}

// silence is for a library: what a caller should know, errors and contexts say.
type silence struct{}

func (silence) Printf(string, ...any) {}

// Close ends the session, and with it all holds and attempts, with ErrLost.
func (c *Client) Close() {
	c.close()
	c.loseAll()
	c.conn.Close()
}

// event follows the session.
func (c *Client) event(ev zk.Event) {
	if ev.Type != zk.EventSession {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch ev.State {
	case zk.StateDisconnected:
		fallthrough
	case zk.StateExpired:
		for p := range c.places {
			p.end(ErrLost)
		}
	}
}

func (c *Client) loseAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.places {
		p.end(ErrLost)
	}
}

// Lock waits until the caller holds the lock alone. ctx bounds the waiting only.
//
// If it fails, it returns nil and the cause of ctx, ErrLost or what ZooKeeper said; its node is gone then, or goes as soon as ZooKeeper can be reached.
func (c *Client) Lock(ctx context.Context, name string) (*Hold, error) {
	return c.acquire(ctx, name, exclusive, func(string) bool { return true })
}

// RLock waits until the caller holds the lock together with others that share it: until no exclusive one is ahead of it in the line. For the
// rest, what is said at Lock holds.
func (c *Client) RLock(ctx context.Context, name string) (*Hold, error) {
	return c.acquire(ctx, name, shared, func(node string) bool { return !strings.Contains(node, shared) })
}

// What node names contain; zk.NewLock, too, reads the number that follows "lock-".
const (
	exclusive = "-lock-"
	shared    = "-rlock-"
)

func (c *Client) acquire(ctx context.Context, name, kind string, blocks func(node string) bool) (*Hold, error) {
	p := &place{client: c, dir: root + "/" + name, gone: make(chan struct{})}
	p.ctx, p.end = context.WithCancelCause(context.WithoutCancel(ctx))
	c.mu.Lock()
	c.places[p] = true
	c.mu.Unlock()
	if c.ctx.Err() != nil {
		p.end(ErrLost)
	}
	err := p.join(ctx, kind)
	// From here on, however the place ends, its node goes.
	context.AfterFunc(p.ctx, p.leave)
	if err == nil {
		err = p.await(ctx, blocks)
	}
	if err != nil {
		p.end(err)
		return nil, err
	}
	return &Hold{p}, nil
}

// place is a place in the line, from its creation to the removal of its node.
type place struct {
	client *Client
	dir    string
	id     string // begins the node's name: how we know it again
	node   string // its name; empty while we do not know whether there is one
	token  int64

	ctx  context.Context // ends when the place is lost or left
	end  context.CancelCauseFunc
	gone chan struct{} // closed when the node is removed
}

// join adds the node, and has it watched.
func (p *place) join(ctx context.Context, kind string) error {
	p.id = "_c_" + strings.ToLower(rand.Text())
	for p.node == "" {
		if err := p.over(ctx); err != nil {
			return err
		}
		path, err := p.client.conn.Create(p.dir+"/"+p.id+kind, nil, zk.FlagEphemeralSequential, zk.WorldACL(zk.PermAll))
		switch {
		case err == nil:
			p.node = path[len(p.dir)+1:]
		case errors.Is(err, zk.ErrNoNode):
			err = p.makeDir(ctx)
		case unclear(err):
			// Only the answer may have been lost. A second node would wait for the first one, for ever.
			p.node, err = p.find(ctx)
		}
		if err != nil {
			return err
		}
	}
	return p.guard(ctx)
}

// find looks for the node among those that are there.
func (p *place) find(ctx context.Context) (node string, err error) {
	// Another server may be behind the one that took our create.
	if _, err := try(p, ctx, func() (string, error) { return p.client.conn.Sync(p.dir) }); err != nil && !errors.Is(err, zk.ErrNoNode) {
		return "", err
	}
	nodes, err := p.line(ctx)
	for _, n := range nodes {
		if strings.HasPrefix(n, p.id) {
			return n, nil
		}
	}
	return "", err
}

func (p *place) line(ctx context.Context) ([]string, error) {
	nodes, err := try(p, ctx, func() ([]string, error) {
		nodes, _, err := p.client.conn.Children(p.dir)
		return nodes, err
	})
	if errors.Is(err, zk.ErrNoNode) {
		err = nil
	}
	return nodes, err
}

// makeDir creates what the line lies below.
func (p *place) makeDir(ctx context.Context) error {
	for _, dir := range []string{root, p.dir} {
		_, err := try(p, ctx, func() (string, error) { return p.client.conn.Create(dir, nil, 0, zk.WorldACL(zk.PermAll)) })
		if err != nil && !errors.Is(err, zk.ErrNodeExists) && !errors.Is(err, zk.ErrNoNode) {
			return err
		}
	}
	return nil
}

// guard ends the place when the node goes, from now on.
func (p *place) guard(ctx context.Context) error {
	stat, watch, err := p.watch(ctx, p.node)
	if errors.Is(err, zk.ErrNoNode) {
		return ErrLost
	}
	if err != nil {
		return err
	}
	p.token = stat.Czxid
	go func() {
		for {
			select {
			case ev := <-watch:
				if ev.Type != zk.EventNodeDataChanged { // deleted, or the session has expired
					p.end(ErrLost)
					return
				}
				// Somebody has only written to the node.
				if _, watch, err = p.watch(p.ctx, p.node); err != nil {
					p.end(ErrLost)
					return
				}
			case <-p.ctx.Done():
				return
			}
		}
	}()
	return nil
}

// watch looks at a node that is there, and watches it. (ExistsW would also watch for one that is not.)
func (p *place) watch(ctx context.Context, node string) (*zk.Stat, <-chan zk.Event, error) {
	var stat *zk.Stat
	watch, err := try(p, ctx, func() (watch <-chan zk.Event, err error) {
		_, stat, watch, err = p.client.conn.GetW(p.dir + "/" + node)
		return watch, err
	})
	return stat, watch, err
}

// await waits until nobody who blocks is ahead.
func (p *place) await(ctx context.Context, blocks func(node string) bool) error {
	mine := number(p.node)
	for {
		nodes, err := p.line(ctx)
		if err != nil {
			return err
		}
		// The last one ahead is the only one to watch: its going wakes us and nobody else. But it may have given up in the middle of the
		// line, hence the loop.
		ahead, present := "", false
		for _, n := range nodes {
			present = present || n == p.node
			if number(n) < mine && blocks(n) && (ahead == "" || number(n) > number(ahead)) {
				ahead = n
			}
		}
		if !present {
			return ErrLost
		}
		if ahead == "" {
			return p.over(ctx)
		}
		_, watch, err := p.watch(ctx, ahead)
		if errors.Is(err, zk.ErrNoNode) {
			continue // it went before we could watch it
		}
		if err != nil {
			return err
		}
		select {
		case <-watch:
		case <-p.ctx.Done():
		case <-ctx.Done():
		}
		if err := p.over(ctx); err != nil {
			return err
		}
	}
}

// number is what the server has put at the end of a node's name; what comes before it says nothing about the order.
func number(node string) int {
	n, err := strconv.Atoi(node[max(0, len(node)-10):])
	if err != nil {
		return 1 << 40 // none of ours: it stands in nobody's way
	}
	return n
}

// over says why there is nothing more to wait for.
func (p *place) over(ctx context.Context) error {
	if p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	return context.Cause(ctx)
}

// leave removes the node, however long it takes.
func (p *place) leave() {
	c := p.client
	c.mu.Lock()
	delete(c.places, p)
	c.mu.Unlock()
	for c.ctx.Err() == nil { // or the session is closed, and the node with it
		err := p.remove()
		if err == nil || !unclear(err) {
			break
		}
		select {
		case <-time.After(pause):
		case <-c.ctx.Done():
		}
	}
	close(p.gone)
}

func (p *place) remove() error {
	if p.node != "" {
		return p.client.conn.Delete(p.dir+"/"+p.node, -1)
	}
	if _, err := p.client.conn.Sync(p.dir); err != nil {
		return err
	}
	nodes, _, err := p.client.conn.Children(p.dir)
	for _, n := range nodes {
		if strings.HasPrefix(n, p.id) {
			err = p.client.conn.Delete(p.dir+"/"+n, -1)
		}
	}
	return err
}

// unclear tells of errors after which nobody knows whether the request was carried out, and of those that say that no server could be asked.
func unclear(err error) bool {
	return errors.Is(err, zk.ErrConnectionClosed) || errors.Is(err, zk.ErrNoServer) || errors.Is(err, zk.ErrSessionExpired)
}

// pause keeps a retry from spinning.
const pause = 10 * time.Millisecond

// try repeats a request that may be repeated, until it was answered or there is nothing more to wait for.
func try[T any](p *place, ctx context.Context, request func() (T, error)) (T, error) {
	for {
		resp, err := request()
		if err == nil || !unclear(err) {
			return resp, err
		}
		select {
		case <-time.After(pause):
		case <-p.ctx.Done():
		case <-ctx.Done():
		}
		if err := p.over(ctx); err != nil {
			return resp, err
		}
	}
}

// Hold is a lock that is held.
type Hold struct{ p *place }

// Context is for the work that the lock protects. It ends when the hold is lost, with the cause ErrLost, or released, with the cause ErrReleased; not
// when the context of Lock does.
func (h *Hold) Context() context.Context { return h.p.ctx }

// Token is the fencing token: the zxid that created the holder's node. Whoever comes later in the line has a greater one.
func (h *Hold) Token() int64 { return h.p.token }

// Release gives the lock up: it ends the context and waits until the node is gone. It returns ErrLost if the hold was lost before, and nil if it was
// released before. If ctx ends first, it returns the cause of that; the node still goes as soon as ZooKeeper can be reached.
func (h *Hold) Release(ctx context.Context) error {
	h.p.end(ErrReleased)
	if cause := context.Cause(h.p.ctx); !errors.Is(cause, ErrReleased) {
		return cause
	}
	select {
	case <-h.p.gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("zklock: release: %w", context.Cause(ctx))
	}
}
