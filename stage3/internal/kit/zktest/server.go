package zktest

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"maps"
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// server is one ZooKeeper server in memory: a tree of nodes, sessions, and one lock over all of it, so that changes have an order.
type server struct {
	listener net.Listener
	running  sync.WaitGroup

	mu       sync.Mutex
	nodes    map[string]*node
	zxid     int64 // of the last change
	sessions map[int64]*session
	lastID   int64
	conns    map[*conn]bool
	closed   bool
}

type node struct {
	data                []byte
	czxid, mzxid, pzxid int64
	ctime, mtime        time.Time
	version             int32
	created             int32 // children ever created: the next sequence number
	owner               int64 // an ephemeral node's session
	children            map[string]bool
}

type session struct {
	id       int64
	password []byte
	timeout  time.Duration
	expiry   *time.Timer
	conn     *conn // nil while the client is away
}

// conn is one connection. Watches are its own: a client that comes back sets them again.
type conn struct {
	server  *server
	net     net.Conn
	session *session
	out     chan []byte

	data, exist, child map[string]bool // watched paths
}

// The same limits as those that `internal/services` gives to the real one.
const (
	minTimeout = 400 * time.Millisecond
	maxTimeout = time.Minute
)

func newServer() (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{listener: listener, nodes: map[string]*node{"/": {children: map[string]bool{}}}, sessions: map[int64]*session{},
		conns: map[*conn]bool{}, lastID: time.Now().UnixMilli() << 16}
	s.running.Go(s.serve)
	return s, nil
}

func (s *server) serve() {
	for {
		in, err := s.listener.Accept()
		if err != nil {
			return
		}
		c := &conn{server: s, net: in, out: make(chan []byte, 1024), data: map[string]bool{}, exist: map[string]bool{}, child: map[string]bool{}}
		s.mu.Lock()
		s.conns[c] = true
		if s.closed {
			in.Close()
		}
		s.mu.Unlock()
		done := make(chan struct{})
		s.running.Go(func() { c.write(done) })
		s.running.Go(func() { c.read(done) })
	}
}

func (s *server) close() {
	s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.net.Close()
	}
	for _, se := range s.sessions {
		se.expiry.Stop()
	}
	s.mu.Unlock()
	s.running.Wait()
}

func (c *conn) write(done chan struct{}) {
	defer c.net.Close()
	for {
		select {
		case packet := <-c.out:
			if packet == nil { // what was answered before has been written
				return
			}
			if _, err := c.net.Write(framed(packet)); err != nil {
				return
			}
		case <-done:
			return
		}
	}
}

// send queues a packet; nil ends the connection after what was queued before.
func (c *conn) send(packet []byte) {
	select {
	case c.out <- packet:
	default:
		c.net.Close() // it takes nothing any more
	}
}

func (c *conn) read(done chan struct{}) {
	defer close(done)
	defer c.net.Close()
	s := c.server
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
		if c.session != nil && c.session.conn == c {
			c.session.conn = nil
		}
	}()
	packet, err := readPacket(c.net)
	if err != nil {
		return
	}
	req, err := parseConnectRequest(packet)
	if err != nil || !s.attach(c, req) {
		return
	}
	for {
		packet, err := readPacket(c.net)
		if err != nil || !s.handle(c, packet) {
			return
		}
	}
}

// attach begins a session or takes one up again, and answers.
func (s *server) attach(c *conn, req connectRequest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	var se *session
	if req.session == 0 {
		s.lastID++
		timeout := min(max(time.Duration(req.timeout)*time.Millisecond, minTimeout), maxTimeout)
		se = &session{id: s.lastID, password: make([]byte, 16), timeout: timeout}
		rand.Read(se.password)
		se.expiry = time.AfterFunc(timeout, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.end(se)
		})
		s.sessions[se.id] = se
	} else if se = s.sessions[req.session]; se == nil || !bytes.Equal(se.password, req.password) {
		c.send(connectResponse{password: make([]byte, 16)}.packet())
		c.send(nil)
		return true // the client reads the answer and hangs up
	}
	if se.conn != nil {
		se.conn.net.Close() // it has moved to this connection
	}
	se.conn, c.session = c, se
	se.expiry.Reset(se.timeout)
	c.send(connectResponse{timeout: int32(se.timeout.Milliseconds()), session: se.id, password: se.password}.packet())
	return true
}

// end ends a session: its ephemeral nodes go, its connection is closed.
func (s *server) end(se *session) {
	if s.sessions[se.id] != se || s.closed {
		return
	}
	se.expiry.Stop()
	delete(s.sessions, se.id)
	if se.conn != nil {
		se.conn.send(nil)
		delete(s.conns, se.conn) // it hears of nothing any more
	}
	s.zxid++ // ending a session is one change
	for _, p := range slices.Sorted(maps.Keys(s.nodes)) {
		if s.nodes[p].owner == se.id {
			s.remove(p)
		}
	}
}

// handle carries out one request. It returns false when the connection is to end.
func (s *server) handle(c *conn, packet []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.session == nil || c.session.conn != c || s.sessions[c.session.id] != c.session || s.closed {
		return false // moved, expired or stopped meanwhile
	}
	c.session.expiry.Reset(c.session.timeout)
	r := &reader{b: packet}
	xid, op := r.int32(), r.int32()
	answer := &writer{}
	code := s.carryOut(c, op, r, answer)
	if r.short {
		code = errMarshalling
	}
	if op == opPing {
		xid = xidPing
	}
	w := &writer{}
	w.int32(xid).int64(s.zxid).int32(int32(code))
	if code == errOK {
		w.b = append(w.b, answer.b...)
	}
	c.send(w.b)
	if op == opClose {
		s.end(c.session)
	}
	return true
}

func (s *server) carryOut(c *conn, op int32, r *reader, answer *writer) (code int) {
	switch op {
	case opPing, opClose, opSetAuth:
		return errOK
	case opCreate, opCreate2, opCreateContainer:
		return s.create(c, op, r, answer)
	case opDelete:
		p, version := r.string(), r.int32()
		n := s.nodes[p]
		switch {
		case n == nil:
			return errNoNode
		case version >= 0 && version != n.version:
			return errBadVersion
		case len(n.children) > 0:
			return errNotEmpty
		case p == "/":
			return errBadArguments
		}
		s.zxid++
		s.remove(p)
	case opExists, opGetData, opGetChildren, opGetChildren2:
		return s.look(c, op, r, answer)
	case opSetData:
		p, data, version := r.string(), r.buffer(), r.int32()
		n := s.nodes[p]
		switch {
		case n == nil:
			return errNoNode
		case version >= 0 && version != n.version:
			return errBadVersion
		}
		s.zxid++
		n.data, n.mzxid, n.mtime = data, s.zxid, time.Now()
		n.version++
		s.fire(eventDataChanged, p)
		n.stat(answer)
	case opSync:
		answer.string(r.string())
	case opSetWatches:
		s.setWatches(c, r.int64(), r.strings(), r.strings(), r.strings())
	default:
		return errUnimplemented
	}
	return errOK
}

func (s *server) create(c *conn, op int32, r *reader, answer *writer) (code int) {
	p, data := r.string(), r.buffer()
	for n := r.int32(); n > 0 && !r.short; n-- { // access rights, which nobody checks here
		r.int32()
		r.string()
		r.string()
	}
	flags := r.int32()
	ephemeral, sequential := flags&1 != 0, flags&2 != 0
	if flags > 3 {
		ephemeral, sequential = false, false // a container
	}
	if r.short {
		return errMarshalling
	}
	if !strings.HasPrefix(p, "/") {
		return errBadArguments
	}
	parent := s.nodes[path.Dir(p)]
	if strings.HasSuffix(p, "/") {
		parent = s.nodes[strings.TrimSuffix(p, "/")]
	}
	if parent == nil {
		return errNoNode
	}
	if sequential {
		p = fmt.Sprintf("%s%010d", p, parent.created)
	}
	if s.nodes[p] != nil {
		return errNodeExists
	}
	if parent.owner != 0 {
		return errNoChildrenForEphemerals
	}
	s.zxid++
	now := time.Now()
	n := &node{data: data, czxid: s.zxid, mzxid: s.zxid, pzxid: s.zxid, ctime: now, mtime: now, children: map[string]bool{}}
	if ephemeral {
		n.owner = c.session.id
	}
	s.nodes[p] = n
	parent.children[path.Base(p)] = true
	parent.pzxid = s.zxid
	parent.created++
	s.fire(eventCreated, p)
	s.fire(eventChildrenChanged, path.Dir(p))
	answer.string(p)
	if op != opCreate {
		n.stat(answer)
	}
	return errOK
}

// remove takes a node out of the tree.
func (s *server) remove(p string) {
	parent := s.nodes[path.Dir(p)]
	delete(s.nodes, p)
	delete(parent.children, path.Base(p))
	parent.pzxid = s.zxid
	s.fire(eventDeleted, p)
	s.fire(eventChildrenChanged, path.Dir(p))
}

// look answers a read, and sets its watch.
func (s *server) look(c *conn, op int32, r *reader, answer *writer) (code int) {
	p, watch := r.string(), r.bool()
	n := s.nodes[p]
	if n == nil {
		if watch && op == opExists {
			c.exist[p] = true
		}
		return errNoNode
	}
	watches := c.data
	switch op {
	case opGetData:
		answer.buffer(n.data)
	case opGetChildren, opGetChildren2:
		watches = c.child
		answer.strings(slices.Collect(maps.Keys(n.children))) // in no order, as in the real one
	}
	if watch {
		watches[p] = true
	}
	if op != opGetChildren {
		n.stat(answer)
	}
	return errOK
}

func (n *node) stat(w *writer) {
	w.int64(n.czxid).int64(n.mzxid).int64(n.ctime.UnixMilli()).int64(n.mtime.UnixMilli())
	children := int32(len(n.children))
	w.int32(n.version).int32(2*n.created - children).int32(0).int64(n.owner)
	w.int32(int32(len(n.data))).int32(children).int64(n.pzxid)
}

// fire sends an event to all that watch for it; their watches are used up.
func (s *server) fire(event int32, p string) {
	for c := range s.conns {
		watched := false
		use := func(watches map[string]bool) {
			watched = watched || watches[p]
			delete(watches, p)
		}
		switch event {
		case eventCreated:
			use(c.exist)
		case eventDataChanged:
			use(c.data)
		case eventDeleted:
			use(c.data)
			use(c.exist)
			use(c.child)
		case eventChildrenChanged:
			use(c.child)
		}
		if watched {
			c.notify(event, p)
		}
	}
}

func (c *conn) notify(event int32, p string) {
	const connected = 3
	w := &writer{}
	w.int32(xidEvent).int64(-1).int32(0).int32(event).int32(connected).string(p)
	c.send(w.b)
}

// setWatches takes up the watches of a client that has come back, and tells it what it missed since the zxid that it saw last.
func (s *server) setWatches(c *conn, since int64, data, exist, child []string) {
	for _, p := range data {
		switch n := s.nodes[p]; {
		case n == nil:
			c.notify(eventDeleted, p)
		case n.mzxid > since:
			c.notify(eventDataChanged, p)
		default:
			c.data[p] = true
		}
	}
	for _, p := range exist {
		if s.nodes[p] != nil {
			c.notify(eventCreated, p)
		} else {
			c.exist[p] = true
		}
	}
	for _, p := range child {
		switch n := s.nodes[p]; {
		case n == nil:
			c.notify(eventDeleted, p)
		case n.pzxid > since:
			c.notify(eventChildrenChanged, p)
		default:
			c.child[p] = true
		}
	}
}
