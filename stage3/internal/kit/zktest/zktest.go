// Package zktest is ZooKeeper for suites: a small server of its protocol in this process, or the real one whose address
// ROADKATA_ZOOKEEPER_ADDR names, and in front of either one Link per client, which counts what passes and breaks it where a test says.
//
// The server knows sessions with timeouts, which survive a lost connection; persistent, ephemeral and sequential nodes; versions; watches that fire
// once, and are set again by a client that comes back. It knows no access rights, no transactions (multi), no quotas and no disk.
package zktest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

// Patience is how long a test waits for what should happen: long enough for a busy machine.
const Patience = 10 * time.Second

// Server is a ZooKeeper server for one test.
type Server struct {
	addr   string
	suffix string
	real   bool
	admin  func() *zk.Conn

	mu    sync.Mutex
	names map[string]bool
}

var started atomic.Int64

// Start begins with an empty server, or with the real one.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{addr: os.Getenv("ROADKATA_ZOOKEEPER_ADDR"), names: map[string]bool{}}
	if s.real = s.addr != ""; s.real {
		s.suffix = fmt.Sprintf("-%x-%d", time.Now().UnixMicro(), started.Add(1))
	} else {
		own, err := newServer()
		if err != nil {
			t.Fatalf("zktest: %v", err)
		}
		t.Cleanup(own.close)
		s.addr = own.listener.Addr().String()
	}
	s.admin = sync.OnceValue(func() *zk.Conn {
		conn, _, err := zk.Connect([]string{s.addr}, 30*time.Second, Silent)
		if err != nil {
			panic(fmt.Sprintf("zktest: %v", err))
		}
		return conn
	})
	t.Cleanup(func() {
		if s.real {
			for name := range s.names {
				s.clear("/locks/" + name)
			}
		}
		s.admin().Close()
	})
	return s
}

// Silent keeps go-zookeeper from writing about each connection.
func Silent(c *zk.Conn) {
	zk.WithLogInfo(false)(c)
	zk.WithLogger(silence{})(c)
}

type silence struct{}

func (silence) Printf(string, ...any) {}

// Real tells whether the server is the one that ROADKATA_ZOOKEEPER_ADDR names.
func (s *Server) Real() bool { return s.real }

// Name makes a name that no other test uses, on a real server too.
func (s *Server) Name(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[name+s.suffix] = true
	return name + s.suffix
}

// Dial connects through the link, with go-zookeeper itself. The connection is closed when the test ends.
func (l *Link) Dial(t testing.TB, timeout time.Duration) *zk.Conn {
	t.Helper()
	conn, _, err := zk.Connect(l.Servers(), timeout, Silent)
	if err != nil {
		t.Fatalf("zktest: %v", err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// Node is a node of the tree.
type Node struct {
	Path    string
	Created int64 // the zxid of its creation
	Session int64 // of an ephemeral node
}

func (n Node) String() string { return path.Base(n.Path) }

// Children lists a node's children in the order in which they were created; none if the node is missing.
func (s *Server) Children(t testing.TB, parent string) []Node {
	t.Helper()
	names, _, err := s.admin().Children(parent)
	if err != nil && !errors.Is(err, zk.ErrNoNode) {
		t.Fatalf("zktest: children of %s: %v", parent, err)
	}
	var nodes []Node
	for _, name := range names {
		p := path.Join(parent, name)
		there, stat, err := s.admin().Exists(p)
		if err != nil {
			t.Fatalf("zktest: %s: %v", p, err)
		}
		if there {
			nodes = append(nodes, Node{Path: p, Created: stat.Czxid, Session: stat.EphemeralOwner})
		}
	}
	slices.SortFunc(nodes, func(a, b Node) int { return int(a.Created - b.Created) })
	return nodes
}

// AwaitChildren waits until a node has n children, and lists them.
func (s *Server) AwaitChildren(t testing.TB, parent string, n int) []Node {
	t.Helper()
	var nodes []Node
	if !Soon(func() bool { nodes = s.Children(t, parent); return len(nodes) == n }) {
		t.Fatalf("below %s are %v, want %d node(s)", parent, nodes, n)
	}
	return nodes
}

// Delete removes a node, as an operator would.
func (s *Server) Delete(t testing.TB, path string) {
	t.Helper()
	if err := s.admin().Delete(path, -1); err != nil {
		t.Fatalf("zktest: delete %s: %v", path, err)
	}
}

// Set changes a node's data.
func (s *Server) Set(t testing.TB, path, data string) {
	t.Helper()
	if _, err := s.admin().Set(path, []byte(data), -1); err != nil {
		t.Fatalf("zktest: set %s: %v", path, err)
	}
}

// Create makes a node that stays.
func (s *Server) Create(t testing.TB, path string) {
	t.Helper()
	if _, err := s.admin().Create(path, nil, 0, zk.WorldACL(zk.PermAll)); err != nil && !errors.Is(err, zk.ErrNodeExists) {
		t.Fatalf("zktest: create %s: %v", path, err)
	}
}

// clear removes what a test has left on a real server.
func (s *Server) clear(p string) {
	children, _, err := s.admin().Children(p)
	if err != nil {
		return
	}
	for _, name := range children {
		s.clear(strings.TrimSuffix(p, "/") + "/" + name)
	}
	s.admin().Delete(p, -1)
}

// closeSession takes a session up and closes it.
func (s *Server) closeSession(session connectResponse) error {
	conn, err := net.DialTimeout("tcp", s.addr, Patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(Patience))
	request := connectRequest{timeout: session.timeout, session: session.session, password: session.password}
	conn.Write(framed(request.packet()))
	packet, err := readPacket(conn)
	if err != nil {
		return fmt.Errorf("taking session %x up: %w", session.session, err)
	}
	if resp, err := parseConnectResponse(packet); err != nil || resp.session == 0 {
		return err // it is gone already
	}
	w := &writer{}
	conn.Write(framed(w.int32(1).int32(opClose).b))
	if _, err := readPacket(conn); err != nil {
		return fmt.Errorf("closing session %x: %w", session.session, err)
	}
	return nil
}

// Soon waits until cond holds, or for Patience.
func Soon(cond func() bool) bool { return Within(Patience, cond) }

// Within waits until cond holds, or for d.
func Within(d time.Duration, cond func() bool) bool {
	for end := time.Now().Add(d); ; time.Sleep(time.Millisecond) {
		if cond() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}
