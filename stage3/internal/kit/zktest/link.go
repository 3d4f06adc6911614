package zktest

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// Link is one client's way to the server: a proxy that reads the packets that pass, remembers them, and disturbs them when a test wants.
// It does not know which server is behind it.
type Link struct {
	server    *Server
	listeners []net.Listener
	running   sync.WaitGroup

	mu       sync.Mutex
	changed  *sync.Cond // frozen or closed
	pairs    map[*pair]bool
	frozen   bool
	down     bool
	closed   bool
	before   func(Request)
	lose     map[string]int
	session  connectResponse // the client's latest
	refused  int
	conns    int
	requests []Request
	events   int
}

// Request is what a client has asked for. Pings, and what the client does by itself to connect, are not counted.
type Request struct {
	Op    string // create, delete, exists, getData, setData, getChildren, sync, …
	Path  string // of create: as the client sent it, without its number
	Watch bool
	Lost  bool // carried out, but its answer was lost
	Err   int32
}

func (r Request) String() string {
	s := r.Op + " " + r.Path
	if r.Watch {
		s += " (watch)"
	}
	return s
}

// Link opens a way to the server. It is closed when the test ends.
func (s *Server) Link(t testing.TB) *Link {
	t.Helper()
	l := &Link{server: s, pairs: map[*pair]bool{}, lose: map[string]int{}}
	l.changed = sync.NewCond(&l.mu)
	for range 3 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("zktest: %v", err)
		}
		l.listeners = append(l.listeners, listener)
		l.running.Go(func() { l.serve(listener) })
	}
	t.Cleanup(l.close)
	return l
}

// Servers is what a client dials: three addresses of the one server, as go-zookeeper pauses for a second when it comes back to where it was
// connected last, and after an expiry it has already tried a second one.
func (l *Link) Servers() []string {
	var servers []string
	for _, listener := range l.listeners {
		servers = append(servers, listener.Addr().String())
	}
	return servers
}

// Cut breaks the client's connection. It can connect again at once.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sever()
}

// Down breaks the client's connection, and those that it makes, until Up.
func (l *Link) Down() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	l.sever()
}

// Up ends a Down. go-zookeeper takes up to a second to notice.
func (l *Link) Up() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

// Freeze holds everything back, in both directions. No connection breaks: nobody is told.
func (l *Link) Freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen = true
}

// Thaw ends a Freeze. What was held back is lost with its connection, as after a partition of some length.
func (l *Link) Thaw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sever()
	l.frozen = false
	l.changed.Broadcast()
}

// Expire ends the client's session on the server, at once. The client learns of it when it comes back, as it does immediately.
//
// It is what ZooKeeper's own tests do: whoever knows a session's number and password may take it up, and close it.
func (l *Link) Expire(t testing.TB) {
	t.Helper()
	l.mu.Lock()
	session := l.session
	l.frozen = true // or the client would take its session back in between
	l.sever()
	l.mu.Unlock()
	defer l.Thaw()
	if session.session == 0 {
		t.Fatal("zktest: Expire of a client that has not connected")
	}
	if err := l.server.closeSession(session); err != nil {
		t.Fatalf("zktest: %v", err)
	}
}

// LoseAnswer makes the next n requests of that kind ("create", "delete", "getChildren", …) fail late: the server carries the request out, and then the
// connection breaks instead of delivering the answer.
func (l *Link) LoseAnswer(op string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose[op] = n
}

// BeforeRequest sets a function that is called before a request goes on to the server; the client's requests wait for it.
func (l *Link) BeforeRequest(f func(Request)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before = f
}

// Requests lists what was answered so far, in the order of the answers.
func (l *Link) Requests() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.requests)
}

// Events is how many watch events the client has been sent.
func (l *Link) Events() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events
}

// Refused is how many connections the client has tried to make while the link was down.
func (l *Link) Refused() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}

// Connections is how many connections the client has made.
func (l *Link) Connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conns
}

// Connected tells whether the client has a connection at this moment.
func (l *Link) Connected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pairs) > 0
}

// Watched tells whether the client has set a watch on a node.
func (l *Link) Watched(path string) bool {
	return slices.ContainsFunc(l.Requests(), func(r Request) bool { return r.Watch && r.Path == path && !r.Lost })
}

func (l *Link) sever() {
	for p := range l.pairs {
		p.sever()
	}
}

func (l *Link) close() {
	for _, listener := range l.listeners {
		listener.Close()
	}
	l.mu.Lock()
	l.closed, l.frozen, l.before = true, false, nil
	l.sever()
	l.changed.Broadcast()
	l.mu.Unlock()
	l.running.Wait()
}

// wait returns when nothing is frozen, and false if the link was closed.
func (l *Link) wait() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.frozen && !l.closed {
		l.changed.Wait()
	}
	return !l.closed
}

func (l *Link) serve(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		l.running.Go(func() { l.forward(client) })
	}
}

// pair is a client's connection and the one behind it.
type pair struct {
	l              *Link
	client, server net.Conn

	// Under the link's lock:
	pending map[int32]*Request // by number
	severed bool
}

func (p *pair) sever() {
	p.severed = true
	p.client.Close()
	p.server.Close()
}

// flows returns when nothing is frozen, and false if the connection is broken.
func (p *pair) flows() bool {
	flowing := p.l.wait()
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	return flowing && !p.severed
}

func (l *Link) forward(client net.Conn) {
	defer client.Close()
	if !l.wait() {
		return
	}
	server, err := net.DialTimeout("tcp", l.server.addr, 5*time.Second)
	if err != nil {
		return
	}
	p := &pair{l: l, client: client, server: server, pending: map[int32]*Request{}}
	l.mu.Lock()
	if l.closed || l.down {
		l.refused++
		l.mu.Unlock()
		server.Close()
		return
	}
	l.pairs[p] = true
	l.conns++
	l.mu.Unlock()
	l.running.Go(func() {
		p.up()
		p.end()
	})
	p.down()
	p.end()
}

func (p *pair) end() {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	p.sever()
	delete(p.l.pairs, p)
}

// up carries requests.
func (p *pair) up() {
	for first := true; ; first = false {
		packet, err := readPacket(p.client)
		if err != nil {
			return
		}
		if !first {
			p.asked(packet)
		}
		if !p.flows() {
			return
		}
		if _, err := p.server.Write(framed(packet)); err != nil {
			return
		}
	}
}

func (p *pair) asked(packet []byte) {
	r := &reader{b: packet}
	xid, op := r.int32(), r.int32()
	switch op {
	case opPing, opSetWatches, opSetAuth:
		return
	}
	name, known := opNames[op]
	if !known {
		name = fmt.Sprintf("operation %d", op)
	}
	req := &Request{Op: name}
	switch op {
	case opExists, opGetData, opGetChildren, opGetChildren2:
		req.Path, req.Watch = r.string(), r.bool()
	case opCreate, opCreate2, opCreateContainer, opDelete, opSetData, opSync:
		req.Path = r.string()
	}
	l := p.l
	l.mu.Lock()
	p.pending[xid] = req
	before := l.before
	l.mu.Unlock()
	if before != nil {
		before(*req)
	}
}

// down carries answers and events.
func (p *pair) down() {
	for first := true; ; first = false {
		packet, err := readPacket(p.server)
		if err != nil || !p.flows() {
			return
		}
		if first {
			p.connected(packet)
		} else if !p.answered(packet) {
			return
		}
		if _, err := p.client.Write(framed(packet)); err != nil {
			return
		}
	}
}

func (p *pair) connected(packet []byte) {
	if resp, err := parseConnectResponse(packet); err == nil && resp.session != 0 {
		p.l.mu.Lock()
		defer p.l.mu.Unlock()
		p.l.session = resp
	}
}

// answered notes what passes; false says that it is to be lost.
func (p *pair) answered(packet []byte) bool {
	r := &reader{b: packet}
	xid, _, code := r.int32(), r.int64(), r.int32()
	l := p.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if xid == xidEvent {
		l.events++
		return true
	}
	req, ok := p.pending[xid]
	if !ok {
		return true
	}
	delete(p.pending, xid)
	req.Err = code
	if l.lose[req.Op] > 0 && code == errOK {
		l.lose[req.Op]--
		req.Lost = true
	}
	l.requests = append(l.requests, *req)
	return !req.Lost
}
