package redistest

import (
	"context"
	"errors"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Client is an ordinary client that notes its commands, and whose connections a test can disturb. It repeats nothing by itself.
type Client struct {
	*redis.Client
	link *link

	mu       sync.Mutex
	commands []string
	after    func(command string)
}

// quiet keeps go-redis from writing of each refused connection to the test's output.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

var silence = sync.OnceFunc(func() { redis.SetLogger(quiet{}) })

// Client connects a new client. It is closed when the test ends.
func (s *Server) Client(t testing.TB) *Client {
	t.Helper()
	silence()
	c := &Client{link: &link{server: s, conns: map[*conn]bool{}}}
	s.mu.Lock()
	s.links = append(s.links, c.link)
	s.mu.Unlock()
	c.Client = redis.NewClient(&redis.Options{
		Addr:                  s.addr,
		DB:                    s.db,
		Dialer:                c.link.dial,
		MaxRetries:            -1,
		DialerRetries:         1,
		ContextTimeoutEnabled: true,
		DisableIdentity:       true,
		Protocol:              2,
	})
	c.AddHook(hook{c})
	t.Cleanup(func() {
		c.Mend()
		c.Client.Close()
	})
	return c
}

// Commands lists the commands that were sent, those of pipelines too, in lower case: "evalsha".
func (c *Client) Commands() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.commands)
}

// After has do called after each command and each pipeline, in the goroutine that sent it: the time between a read and the write that
// follows it, as long as the test wants.
func (c *Client) After(do func(command string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.after = do
}

// Cut freezes the client's connections: what it sends arrives nowhere, no answer comes, and no connection breaks that would tell it so.
// What the client sent before has been carried out when Cut returns; the answers are lost.
func (c *Client) Cut() {
	c.link.set(func(l *link) { l.frozen = make(chan struct{}) })
	// A command that blocks in the server has no answer to wait for.
	for began := time.Now(); c.link.pending() && time.Since(began) < 100*time.Millisecond; {
		time.Sleep(time.Millisecond)
	}
}

// Mend ends a Cut: the frozen connections break, new ones can be made.
func (c *Client) Mend() {
	c.link.set(func(l *link) {
		if l.frozen != nil {
			close(l.frozen)
			l.frozen = nil
		}
	})
	c.link.sever()
}

// Sever breaks the client's connections. It may connect anew at once.
func (c *Client) Sever() { c.link.sever() }

// LoseAnswer has the next command carried out, whatever it is, and then breaks its connection instead of delivering the answer.
func (c *Client) LoseAnswer() { c.link.set(func(l *link) { l.lose = true }) }

func (c *Client) note(commands ...redis.Cmder) (after func(string), last string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cmd := range commands {
		name := strings.ToLower(cmd.Name())
		if name == "hello" || name == "client" || name == "select" {
			return nil, "" // a new connection introduces itself
		}
		c.commands = append(c.commands, name)
		last = name
	}
	return c.after, last
}

type hook struct{ c *Client }

func (hook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if after, name := h.c.note(cmd); after != nil {
			after(name)
		}
		return err
	}
}

func (h hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if after, name := h.c.note(cmds...); after != nil {
			after(name)
		}
		return err
	}
}

// link is what lies between a client and the server.
type link struct {
	server *Server

	mu     sync.Mutex
	conns  map[*conn]bool
	frozen chan struct{} // while there is one; closed in the end
	lose   bool          // the answer to the next command
}

func (l *link) set(change func(*link)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

func (l *link) isFrozen() (end <-chan struct{}, frozen bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.frozen, l.frozen != nil
}

// pending tells whether an answer is under way.
func (l *link) pending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if c.pending {
			return true
		}
	}
	return false
}

func (l *link) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if end, frozen := l.isFrozen(); frozen {
		select {
		case <-end:
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: network, Err: context.Cause(ctx)}
		}
	}
	if l.server.refuses() {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	inner, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, link: l}
	l.set(func(l *link) { l.conns[c] = true })
	return c, nil
}

func (l *link) sever() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.Conn.Close()
		delete(l.conns, c)
	}
}

// introduction is what a client sends on a new connection, before the first command of its user.
var introduction = regexp.MustCompile(`(?i)^\*\d+\r\n\$\d+\r\n(hello|auth|select|client)\r\n`)

type conn struct {
	net.Conn
	link *link

	// under the link's lock
	pending bool // something was sent, and nothing came back
	lose    bool // what comes back
}

func (c *conn) Write(b []byte) (int, error) {
	frozen := false
	c.link.set(func(l *link) {
		if frozen = l.frozen != nil; frozen {
			return
		}
		c.pending = true
		if l.lose && !introduction.Match(b) {
			l.lose, c.lose = false, true
		}
	})
	if frozen {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *conn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		var frozen, lose bool
		c.link.set(func(l *link) {
			frozen, lose = l.frozen != nil, c.lose
			c.pending = false
		})
		switch {
		case err == nil && frozen: // the deadline of the read still holds
		case err == nil && lose:
			c.Close()
			return 0, errors.New("redistest: connection reset before the answer")
		default:
			return n, err
		}
	}
}

func (c *conn) Close() error {
	c.link.set(func(l *link) { delete(l.conns, c) })
	return c.Conn.Close()
}

// SyscallConn lets go-redis see that a connection is broken before it uses it again, as it does with any other.
func (c *conn) SyscallConn() (syscall.RawConn, error) { return c.Conn.(syscall.Conn).SyscallConn() }
