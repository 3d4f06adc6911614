// Package redistest is a Redis inside the test's process (miniredis), and clients of it that a test can listen to and hold up.
//
// The server's clock stands still until the test moves it with SetTime; keys expire only by FastForward. Both have nothing to do with the
// clock of the host, which is the point: what a script decides by TIME, a test decides.
package redistest

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Server is a Redis server.
type Server struct {
	*miniredis.Miniredis
	now time.Time
}

// Start starts a server with an empty database. It is stopped when the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{Miniredis: miniredis.NewMiniRedis(), now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	if err := s.Miniredis.Start(); err != nil {
		t.Fatalf("redistest: %v", err)
	}
	t.Cleanup(s.Close)
	s.SetTime(s.now)
	return s
}

// Advance moves the server's clock, and lets the keys expire whose time has come.
func (s *Server) Advance(d time.Duration) {
	s.now = s.now.Add(d)
	s.SetTime(s.now)
	s.FastForward(d)
}

// Client is a client that notes its commands.
type Client struct {
	*redis.Client

	mu       sync.Mutex
	commands []string
	after    func(command string)
}

// Client connects a new client. It is closed when the test ends.
func (s *Server) Client(t testing.TB) *Client {
	t.Helper()
	c := &Client{Client: redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1, ContextTimeoutEnabled: true, DisableIdentity: true, Protocol: 2})}
	c.AddHook(hook{c})
	t.Cleanup(func() { c.Client.Close() })
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

func (c *Client) note(commands ...redis.Cmder) (after func(string), last string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cmd := range commands {
		name := strings.ToLower(cmd.Name())
		if name == "hello" || name == "client" {
			return nil, "" // a new connection introduces itself
		}
		c.commands = append(c.commands, name)
		last = name
	}
	return c.after, last
}

type hook struct{ c *Client }

func (hook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

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
