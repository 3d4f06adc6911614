package etcdtest

import (
	"context"
	"path"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Client is an ordinary etcd client that reaches the members through links of its own. It counts what it sends and receives, and a test
// can disturb it.
type Client struct {
	*clientv3.Client
	cluster *Cluster
	links   [Members]*proxy

	mu            sync.Mutex
	counts        Counts
	watches       []Watch
	loseAnswer    string
	beforeWatch   func(Watch)
	beforeRequest func(method string)
	leaseID       func() int64
	open          int
	watchedBy     uint64
	cut           bool
}

// Counts is what passed between a client and etcd.
type Counts struct {
	Requests   int // Range, Put, DeleteRange, Txn, LeaseGrant, LeaseRevoke …; keepalives and watches are none
	Ranges     int // requests to read more than one key
	Events     int // events that watches brought
	KeepAlives int // answered keepalives
}

// Watch is a watch of the client.
type Watch struct {
	Key      string
	Range    bool  // it watches more than one key
	Revision int64 // where it starts; 0 means now
}

// leases counts the leases that were granted.
var leases atomic.Int64

var links struct {
	sync.Mutex
	all map[*Client]bool
}

// severLinks breaks every client's connections to a member.
func severLinks(i int) {
	links.Lock()
	defer links.Unlock()
	for c := range links.all {
		c.links[i].Sever()
	}
}

// Client connects a new client to all members. It is closed when the test ends.
func (c *Cluster) Client(t testing.TB) *Client {
	t.Helper()
	cli := &Client{cluster: c, leaseID: func() int64 { return 1<<32 + leases.Add(1) }}
	var endpoints []string
	for i := range cli.links {
		link, err := newProxy(func() string { return c.clientAddr(i) })
		if err != nil {
			t.Fatalf("etcdtest: %v", err)
		}
		cli.links[i] = link
		endpoints = append(endpoints, link.Addr())
	}
	var err error
	cli.Client, err = clientv3.New(clientv3.Config{
		Endpoints:   endpoints,
		DialTimeout: Patience,
		Logger:      zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(cli.unary), grpc.WithChainStreamInterceptor(cli.stream)},
	})
	if err != nil {
		t.Fatalf("etcdtest: %v", err)
	}
	links.Lock()
	if links.all == nil {
		links.all = map[*Client]bool{}
	}
	links.all[cli] = true
	links.Unlock()
	t.Cleanup(func() {
		links.Lock()
		delete(links.all, cli)
		links.Unlock()
		for _, link := range cli.links {
			link.Close()
		}
		cli.Close()
	})
	return cli
}

// Cut freezes the client's links to all members: what it sends arrives nowhere, and no connection breaks that would tell it so.
func (c *Client) Cut() {
	c.update(func() { c.cut = true })
	for _, link := range c.links {
		link.Freeze()
	}
}

// Mend ends a Cut: the frozen connections break, new ones can be made.
func (c *Client) Mend() {
	for _, link := range c.links {
		link.Thaw()
	}
	c.update(func() { c.cut = false })
}

// LoseAnswer carries out the next request of that method (Txn, LeaseGrant, …) and then loses the answer: the client is told Unavailable.
func (c *Client) LoseAnswer(method string) {
	c.update(func() { c.loseAnswer = method })
}

// BeforeWatch has do called before each watch request is sent, in the sender's goroutine: the time between a read and the watch that
// follows it, as long as the test wants.
func (c *Client) BeforeWatch(do func(Watch)) {
	c.update(func() { c.beforeWatch = do })
}

// BeforeRequest has do called before each request is sent, with the request's method (Range, Txn, …): the time between a check and the
// act that follows it, as long as the test wants.
func (c *Client) BeforeRequest(do func(method string)) {
	c.update(func() { c.beforeRequest = do })
}

// LeaseIDs has next choose the ids of the leases that are granted. By default they grow, from client to client too; etcd by itself
// chooses at random.
func (c *Client) LeaseIDs(next func() int64) {
	c.update(func() { c.leaseID = next })
}

// Counts is what passed so far.
func (c *Client) Counts() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}

// Watches lists the watches that etcd has confirmed so far, those that ended among them.
func (c *Client) Watches() []Watch {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Watch(nil), c.watches...)
}

// OpenWatches counts the watches that neither side has ended yet.
func (c *Client) OpenWatches() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// WatchedBy waits until a member serves the client's watches, and returns it: the one that last said something about one.
func (c *Client) WatchedBy(t testing.TB, cluster *Cluster) int {
	t.Helper()
	var id uint64
	c.Await(func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		id = c.watchedBy
		return id != 0
	})
	for i := range cluster.members {
		if e := cluster.etcd(i); e != nil && uint64(e.Server.MemberID()) == id {
			return i
		}
	}
	t.Fatal("the client has no watch")
	return -1
}

// Await waits until cond holds, as Cluster.Soon does.
func (c *Client) Await(cond func() bool) bool { return c.cluster.Soon(cond) }

func (c *Client) update(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
}

func (c *Client) unary(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	name := path.Base(method)
	lose := false
	var before func(string)
	c.update(func() {
		c.counts.Requests++
		if c.loseAnswer == name {
			lose, c.loseAnswer = true, ""
		}
		switch req := req.(type) {
		case *pb.LeaseGrantRequest:
			req.ID = c.leaseID()
		case *pb.RangeRequest:
			if len(req.RangeEnd) > 0 {
				c.counts.Ranges++
			}
		}
		before = c.beforeRequest
	})
	if before != nil {
		before(name)
	}
	err := invoke(ctx, method, req, reply, conn, opts...)
	for c.spurious(err) && ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
		err = invoke(ctx, method, req, reply, conn, opts...)
	}
	if lose && err == nil {
		return status.Error(codes.Unavailable, "etcdtest: the answer was lost")
	}
	return err
}

// spurious tells whether a request was refused because the members changed their leader, although the test has broken nothing: on a
// loaded machine a leader may be late with its heartbeat. A request that is refused with these errors was not carried out.
func (c *Client) spurious(err error) bool {
	if err == nil {
		return false
	}
	c.mu.Lock()
	cut := c.cut
	c.mu.Unlock()
	switch rpctypes.ErrorDesc(err) {
	case rpctypes.ErrorDesc(rpctypes.ErrGRPCNoLeader), rpctypes.ErrorDesc(rpctypes.ErrGRPCLeaderChanged), rpctypes.ErrorDesc(rpctypes.ErrGRPCNotLeader):
		return !cut && c.cluster.whole()
	}
	return false
}

func (c *Client) stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := streamer(ctx, desc, conn, method, opts...)
	if err != nil {
		return nil, err
	}
	counted := &countedStream{ClientStream: s, c: c}
	context.AfterFunc(s.Context(), counted.ended)
	return counted, nil
}

type countedStream struct {
	grpc.ClientStream
	c     *Client
	asked []Watch // not confirmed yet
	open  int     // watches, confirmed or not
	over  bool
}

func (s *countedStream) SendMsg(m any) error {
	switch m := m.(type) {
	case *pb.WatchRequest:
		if r := m.GetCreateRequest(); r != nil {
			w := Watch{Key: string(r.Key), Range: len(r.RangeEnd) > 0, Revision: r.StartRevision}
			s.c.mu.Lock()
			before := s.c.beforeWatch
			s.c.mu.Unlock()
			if before != nil {
				before(w)
			}
			s.c.update(func() {
				s.asked = append(s.asked, w)
				s.opened(1)
			})
		}
		if m.GetCancelRequest() != nil {
			s.c.update(func() { s.opened(-1) })
		}
	}
	return s.ClientStream.SendMsg(m)
}

func (s *countedStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err != nil {
		s.ended()
		return err
	}
	s.c.update(func() {
		switch m := m.(type) {
		case *pb.WatchResponse:
			s.c.counts.Events += len(m.Events)
			s.c.watchedBy = m.Header.GetMemberId()
			if m.Created && len(s.asked) > 0 { // etcd confirms in the order in which it is asked
				s.c.watches = append(s.c.watches, s.asked[0])
				s.asked = s.asked[1:]
			}
			if m.Canceled && !m.Created && m.CompactRevision > 0 {
				s.opened(-1)
			}
		case *pb.LeaseKeepAliveResponse:
			s.c.counts.KeepAlives++
		}
	})
	return nil
}

// opened counts watches up or down; the caller holds the client's lock.
func (s *countedStream) opened(n int) {
	if s.over || s.open+n < 0 {
		return
	}
	s.open += n
	s.c.open += n
}

// ended takes the watches of a stream that is over from the count.
func (s *countedStream) ended() {
	s.c.update(func() {
		s.opened(-s.open)
		s.over = true
	})
}
