package zktest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

const long = 20 * time.Second

var anyone = zk.WorldACL(zk.PermAll)

func start(t *testing.T) (s *Server, root string) {
	s = Start(t)
	root = "/locks/" + s.Name("kit")
	s.Create(t, "/locks")
	s.Create(t, root)
	return s, root
}

func create(t *testing.T, conn *zk.Conn, path string, flags int32) string {
	t.Helper()
	p, err := conn.Create(path, nil, flags, anyone)
	if err != nil {
		t.Fatalf("Create(%s) = %v", path, err)
	}
	return p
}

func next(t *testing.T, events <-chan zk.Event, want zk.EventType) zk.Event {
	t.Helper()
	select {
	case ev := <-events:
		if ev.Type != want {
			t.Fatalf("event %+v, want %v", ev, want)
		}
		return ev
	case <-time.After(Patience):
		t.Fatalf("no event, want %v", want)
	}
	return zk.Event{}
}

func TestNodes(t *testing.T) {
	s, root := start(t)
	conn := s.Link(t).Dial(t, long)
	a := create(t, conn, root+"/a-", zk.FlagSequence)
	if err := conn.Delete(a, -1); err != nil {
		t.Fatal(err)
	}
	b := create(t, conn, root+"/b-", zk.FlagEphemeralSequential)
	if a != root+"/a-0000000000" || b != root+"/b-0000000001" {
		t.Errorf("sequential nodes are %s and %s", a, b)
	}
	for _, c := range []struct {
		what string
		err  error
		want error
	}{
		{"create below an ephemeral node", last(conn.Create(b+"/c", nil, 0, anyone)), zk.ErrNoChildrenForEphemerals},
		{"create without a parent", last(conn.Create(root+"/x/y", nil, 0, anyone)), zk.ErrNoNode},
		{"create twice", last(conn.Create(b, nil, 0, anyone)), zk.ErrNodeExists},
		{"delete with children", conn.Delete(root, -1), zk.ErrNotEmpty},
		{"delete what is not there", conn.Delete(a, -1), zk.ErrNoNode},
		{"delete another version", conn.Delete(b, 7), zk.ErrBadVersion},
		{"set another version", last(conn.Set(b, nil, 7)), zk.ErrBadVersion},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.err, c.want)
		}
	}
	if _, err := conn.Set(b, []byte("data"), 0); err != nil {
		t.Errorf("Set = %v", err)
	}
	data, stat, err := conn.Get(b)
	if err != nil || string(data) != "data" || stat.Version != 1 || stat.EphemeralOwner != conn.SessionID() || stat.Mzxid <= stat.Czxid {
		t.Errorf("Get = %q, %+v, %v", data, stat, err)
	}
	names, stat, err := conn.Children(root)
	if err != nil || !slices.Equal(names, []string{"b-0000000001"}) || stat.NumChildren != 1 || stat.Cversion != 3 {
		t.Errorf("Children = %v, %+v, %v", names, stat, err)
	}
	if p, err := conn.Sync(root); err != nil || p != root {
		t.Errorf("Sync = %s, %v", p, err)
	}
	conn.Close()
	s.AwaitChildren(t, root, 0)
}

func last[T any](_ T, err error) error { return err }

func TestWatches(t *testing.T) {
	s, root := start(t)
	l := s.Link(t)
	conn := l.Dial(t, long)
	p := root + "/watched"
	_, _, exist, err := conn.ExistsW(p)
	if err != nil {
		t.Fatal(err)
	}
	_, _, child, err := conn.ChildrenW(root)
	if err != nil {
		t.Fatal(err)
	}
	s.Create(t, p)
	next(t, exist, zk.EventNodeCreated)
	next(t, child, zk.EventNodeChildrenChanged)
	_, _, data, err := conn.GetW(p)
	if err != nil {
		t.Fatal(err)
	}
	s.Set(t, p, "1")
	next(t, data, zk.EventNodeDataChanged)
	s.Set(t, p, "2") // watches fire once
	_, _, data, err = conn.GetW(p)
	if err != nil {
		t.Fatal(err)
	}
	// What happens while the client is away, it hears when it is back.
	l.Freeze()
	s.Delete(t, p)
	l.Thaw()
	next(t, data, zk.EventNodeDeleted)
	if n := l.Events(); n != 4 {
		t.Errorf("%d events have passed, want 4", n)
	}
	if !l.Watched(p) || l.Watched(root+"/other") {
		t.Errorf("Watched is wrong about %v", l.Requests())
	}
}

func TestFaults(t *testing.T) {
	s, root := start(t)
	l := s.Link(t)
	conn := l.Dial(t, long)
	create(t, conn, root+"/mine", zk.FlagEphemeral)
	session := conn.SessionID()

	l.LoseAnswer("create", 1)
	if _, err := conn.Create(root+"/lost", nil, zk.FlagEphemeral, anyone); !errors.Is(err, zk.ErrConnectionClosed) {
		t.Errorf("Create whose answer is lost = %v, want %v", err, zk.ErrConnectionClosed)
	}
	if there, _, err := conn.Exists(root + "/lost"); err != nil || !there || conn.SessionID() != session {
		t.Errorf("after a lost answer: there %t, %v, session %x; want the node and session %x", there, err, conn.SessionID(), session)
	}
	if l.Connections() != 2 || !l.Connected() {
		t.Errorf("%d connections, want 2", l.Connections())
	}
	_, _, watch, err := conn.GetW(root + "/mine")
	if err != nil {
		t.Fatal(err)
	}
	n := l.Connections()
	l.Down()
	if !Soon(func() bool { return conn.State() != zk.StateHasSession }) || !Soon(func() bool { return l.Refused() > 0 }) || l.Connections() != n {
		t.Errorf("the link is down: %v, %d new connections", conn.State(), l.Connections()-n)
	}
	l.Up()
	if there, _, err := conn.Exists(root + "/mine"); err != nil && !errors.Is(err, zk.ErrNoServer) && !errors.Is(err, zk.ErrConnectionClosed) || err == nil && !there {
		t.Errorf("the link was down and is up: Exists = %t, %v", there, err)
	}
	if !Soon(func() bool { return conn.State() == zk.StateHasSession }) || conn.SessionID() != session {
		t.Errorf("the link was down and is up: %v, session %x, want %x", conn.State(), conn.SessionID(), session)
	}
	l.Expire(t)
	if left := s.Children(t, root); len(left) > 0 {
		t.Errorf("the session has expired, there is still %v", left)
	}
	if ev := next(t, watch, zk.EventNotWatching); !errors.Is(ev.Err, zk.ErrSessionExpired) {
		t.Errorf("the watch of an expired session: %+v", ev)
	}
	if !Soon(func() bool { return conn.State() == zk.StateHasSession }) || conn.SessionID() == session {
		t.Errorf("the client has no new session: %v, %x", conn.State(), conn.SessionID())
	}
}

func TestTimeout(t *testing.T) {
	s, root := start(t)
	l := s.Link(t)
	conn := l.Dial(t, 800*time.Millisecond)
	create(t, conn, root+"/mine", zk.FlagEphemeral)
	// Pings keep the session.
	time.Sleep(1200 * time.Millisecond)
	s.AwaitChildren(t, root, 1)
	l.Freeze()
	s.AwaitChildren(t, root, 0)
	l.Thaw()
}

func TestBeforeRequest(t *testing.T) {
	s, root := start(t)
	l := s.Link(t)
	conn := l.Dial(t, long)
	l.BeforeRequest(func(r Request) {
		if strings.HasSuffix(r.Path, "/late") {
			s.Create(t, root+"/late")
		}
	})
	if there, _, err := conn.Exists(root + "/late"); err != nil || !there {
		t.Errorf("Exists = %t, %v, want what BeforeRequest created", there, err)
	}
}
