// Package natstest gives a test a NATS server with JetStream, and ways to it that a test can listen to, hold up and cut.
//
// The server runs in the test's process, keeps its files in a folder of the test, and can be restarted. With ROADKATA_NATS_URL set, it is the
// server at that address, which nobody restarts; what a test leaves there is removed. Clients come through a Link, a proxy that reads the
// protocol and does not know which server is behind it.
package natstest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Patience is how long the kit waits for what has to happen: far longer than anything takes.
const Patience = 30 * time.Second

var names atomic.Int64

// Server is a NATS server with JetStream.
type Server struct {
	addr   string
	user   *url.Userinfo
	opts   server.Options
	run    *server.Server // nil: a real one
	prefix string
	admin  *nats.Conn
	js     jetstream.JetStream
}

// Start starts a server. It is stopped when the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{prefix: fmt.Sprintf("RK%d_%d_", os.Getpid(), names.Add(1))}
	if real := os.Getenv("ROADKATA_NATS_URL"); real != "" {
		u, err := url.Parse(real)
		if err != nil || u.Host == "" {
			t.Fatalf("natstest: ROADKATA_NATS_URL=%s is not the URL of a server", real)
		}
		s.addr, s.user = u.Host, u.User
		if u.Port() == "" {
			s.addr = net.JoinHostPort(u.Hostname(), "4222")
		}
	} else {
		s.opts = server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true}
		s.up(t)
		t.Cleanup(s.down)
	}
	admin, err := nats.Connect(s.url(s.addr), nats.MaxReconnects(-1), nats.ReconnectWait(5*time.Millisecond), nats.ReconnectJitter(0, 0))
	if err != nil {
		t.Fatalf("natstest: %v", err)
	}
	t.Cleanup(admin.Close)
	s.admin = admin
	if s.js, err = jetstream.New(admin); err != nil {
		t.Fatalf("natstest: %v", err)
	}
	if s.Real() {
		t.Cleanup(func() { s.clean(t) })
	}
	return s
}

func (s *Server) up(t testing.TB) {
	t.Helper()
	opts := s.opts // the server writes into its options
	run, err := server.NewServer(&opts)
	if err != nil {
		t.Fatalf("natstest: %v", err)
	}
	run.Start()
	if !run.ReadyForConnections(Patience) {
		t.Fatal("natstest: the server does not start")
	}
	s.run = run
	addr := run.Addr().(*net.TCPAddr)
	s.addr, s.opts.Port = addr.String(), addr.Port
}

func (s *Server) down() {
	s.run.Shutdown()
	s.run.WaitForShutdown()
}

// clean removes the test's streams from a server that others use too.
func (s *Server) clean(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	list := s.js.StreamNames(ctx)
	for name := range list.Name() {
		if strings.HasPrefix(name, s.prefix) {
			if err := s.js.DeleteStream(ctx, name); err != nil {
				t.Errorf("natstest: %v", err)
			}
		}
	}
	if err := list.Err(); err != nil {
		t.Errorf("natstest: %v", err)
	}
}

func (s *Server) url(addr string) string {
	return (&url.URL{Scheme: "nats", User: s.user, Host: addr}).String()
}

// Real tells whether the server is one that others use too: it cannot be restarted.
func (s *Server) Real() bool { return s.run == nil }

// Restart stops the server and starts it again, at the same address and with the same files.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if s.Real() {
		t.Fatal("natstest: a real server is not restarted")
	}
	s.down()
	s.up(t)
	if !Within(Patience, func() bool { return s.admin.FlushTimeout(time.Second) == nil }) {
		t.Fatal("natstest: no connection after a restart")
	}
}

// Name makes a name that no other test uses, for a stream or as the first token of a subject.
func (s *Server) Name(name string) string { return s.prefix + name }

// Admin is a connection that nothing disturbs, for what a test does itself.
func (s *Server) Admin() *nats.Conn { return s.admin }

// JetStream is JetStream over that connection.
func (s *Server) JetStream() jetstream.JetStream { return s.js }

// Within looks whether cond holds, again and again for at most d.
func Within(d time.Duration, cond func() bool) bool {
	for end := time.Now().Add(d); ; time.Sleep(2 * time.Millisecond) {
		if cond() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}
