// A control plane that real gRPC clients obey.
//
//kata:level 3
//kata:minutes 150
//kata:engine real grpc-go xDS clients and go-control-plane on loopback
package xds_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
	grpcxds "google.golang.org/grpc/xds"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/roadkata/roadkata/stage4/mesh/xds"
)

// patience is how long a suite waits for what right code does in milliseconds.
const patience = 2 * time.Second

// serve starts a server on loopback and returns its address.
func serve(t *testing.T, register func(*grpc.Server)) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	register(srv)
	go srv.Serve(lis)
	t.Cleanup(srv.Stop)
	return lis.Addr().String()
}

// replica is a server that says its name, or what a test wants.
type replica struct {
	pb.UnimplementedTestServiceServer
	name  string
	addr  string
	calls atomic.Int64
	how   atomic.Pointer[func(context.Context) error]
}

func (r *replica) UnaryCall(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	r.calls.Add(1)
	if how := r.how.Load(); how != nil {
		if err := (*how)(ctx); err != nil {
			return nil, err
		}
	}
	return &pb.SimpleResponse{ServerId: r.name}, nil
}

func (r *replica) answer(how func(context.Context) error) { r.how.Store(&how) }

func start(t *testing.T, name string) *replica {
	t.Helper()
	r := &replica{name: name}
	r.addr = serve(t, func(s *grpc.Server) { pb.RegisterTestServiceServer(s, r) })
	return r
}

// plane is the learner's plane behind a server.
type plane struct {
	*xds.Plane
	addr      string
	refused   chan error
	onRefused func()
}

func newPlane(t *testing.T) *plane {
	t.Helper()
	p := &plane{refused: make(chan error, 100), onRefused: func() {}}
	ctx, cancel := context.WithCancel(context.Background())
	p.Plane = xds.New(ctx, func(err error) { p.onRefused(); p.refused <- err })
	p.addr = serve(t, func(s *grpc.Server) { p.Register(s) })
	t.Cleanup(cancel)
	return p
}

// apply applies a config that is right.
func (p *plane) apply(t *testing.T, c xds.Config) {
	t.Helper()
	if err := p.Apply(c); err != nil {
		t.Fatalf("Apply(%+v) = %v", c, err)
	}
}

// to is a config with the service notes, whose calls are all sent to one cluster of one replica, which has its name.
func to(r *replica) xds.Config {
	return xds.Config{
		Services: map[string][]xds.Route{"notes": {{Prefix: "/", Split: map[string]int{r.name: 1}}}},
		Clusters: clusters(r),
	}
}

func clusters(rs ...*replica) map[string][]xds.Endpoint {
	m := make(map[string][]xds.Endpoint)
	for _, r := range rs {
		m[r.name] = []xds.Endpoint{{Addr: r.addr}}
	}
	return m
}

// dial returns a gRPC client of the plane.
func (p *plane) dial(t *testing.T, node, service string) pb.TestServiceClient {
	t.Helper()
	b, err := grpcxds.NewXDSResolverWithConfigForTesting(fmt.Appendf(nil,
		`{"xds_servers": [{"server_uri": %q, "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}], "node": {"id": %q}}`, p.addr, node))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("xds:///"+service, grpc.WithResolvers(b), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.Connect()
	return pb.NewTestServiceClient(conn)
}

// call returns who answered.
func call(ctx context.Context, c pb.TestServiceClient) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	resp, err := c.UnaryCall(ctx, &pb.SimpleRequest{})
	return resp.GetServerId(), err
}

// reaches fails unless calls are answered as wanted before long: clients learn of a change a little later.
func reaches(t *testing.T, ctx context.Context, c pb.TestServiceClient, what, want string) {
	t.Helper()
	if !settles(func() bool { who, err := call(ctx, c); return err == nil && who == want }) {
		who, err := call(ctx, c)
		t.Fatalf("%s: a call is answered by %q (error %v), want %q", what, who, err, want)
	}
}

// settles reports whether something becomes true before long.
func settles(ok func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
}

// many makes n calls, and returns how they ended: by the name of who answered, or the code.
func many(c pb.TestServiceClient, n int) map[string]int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	got := make(map[string]int)
	for range 4 {
		wg.Go(func() {
			for range n / 4 {
				who, err := call(context.Background(), c)
				if err != nil {
					who = grpcstatus.Code(err).String()
				}
				mu.Lock()
				got[who]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return got
}

// stream is a client that speaks xDS by itself, step by step.
type stream struct {
	t     *testing.T
	ss    grpc.BidiStreamingClient[discovery.DiscoveryRequest, discovery.DiscoveryResponse]
	stop  func()
	inbox chan *discovery.DiscoveryResponse
	last  map[string]*discovery.DiscoveryResponse // by type
	good  map[string]string                       // the version accepted last
	early []*discovery.DiscoveryResponse
}

func (p *plane) stream(t *testing.T) *stream {
	t.Helper()
	conn, err := grpc.NewClient(p.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ss, err := discovery.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{t: t, ss: ss, inbox: make(chan *discovery.DiscoveryResponse, 1000),
		last: map[string]*discovery.DiscoveryResponse{}, good: map[string]string{}}
	s.stop = sync.OnceFunc(func() { cancel(); conn.Close() })
	t.Cleanup(s.stop)
	go func() {
		for {
			resp, err := ss.Recv()
			if err != nil {
				return
			}
			select {
			case s.inbox <- resp:
			default: // somebody repeats himself for ever
			}
		}
	}()
	return s
}

// ask subscribes to the resources, and accepts what came last.
func (s *stream) ask(typ string, names ...string) {
	if last := s.last[typ]; last != nil {
		s.good[typ] = last.VersionInfo
	}
	s.send(typ, names, "")
}

// refuse does not accept what came last.
func (s *stream) refuse(typ string, names ...string) { s.send(typ, names, "we do not like it") }

func (s *stream) send(typ string, names []string, why string) {
	req := &discovery.DiscoveryRequest{
		Node:    &corepb.Node{Id: "stream"},
		TypeUrl: typ, ResourceNames: names, VersionInfo: s.good[typ], ResponseNonce: s.last[typ].GetNonce(),
	}
	if why != "" {
		req.ErrorDetail = &status.Status{Code: int32(codes.InvalidArgument), Message: why}
	}
	s.ss.Send(req)
}

// next is the next response of the type.
func (s *stream) next(typ, when string) *discovery.DiscoveryResponse {
	s.t.Helper()
	for i, resp := range s.early {
		if resp.TypeUrl == typ {
			s.early = slices.Delete(s.early, i, i+1)
			s.last[typ] = resp
			return resp
		}
	}
	late := time.After(patience)
	for {
		select {
		case resp := <-s.inbox:
			if resp.TypeUrl == typ {
				s.last[typ] = resp
				return resp
			}
			s.early = append(s.early, resp)
		case <-late:
			s.t.Fatalf("%s: the plane does not answer a client that subscribes to %s", when, typ)
		}
	}
}

// both asks for a cluster and one that has been dropped, which is to be told all the time.
func (s *stream) both(now, dropped, when string) {
	s.t.Helper()
	for {
		s.ask(resource.ClusterType, now, dropped)
		got := mentions(s.next(resource.ClusterType, when), now, dropped) // maybe what the switch itself had told before
		if !slices.Contains(got, dropped) {
			s.t.Fatalf("%s: of the clusters %s and %s it is told %v", when, now, dropped, got)
		}
		if len(got) == 2 {
			s.ask(resource.ClusterType, now, dropped)
			return
		}
	}
}

// mentions reports which of the names the response has something of.
func mentions(resp *discovery.DiscoveryResponse, names ...string) (in []string) {
	for _, name := range names {
		if slices.ContainsFunc(resp.Resources, func(r *anypb.Any) bool { return strings.Contains(string(r.GetValue()), name) }) {
			in = append(in, name)
		}
	}
	return in
}

// Calls are split between clusters by weight, and over all endpoints of a cluster.
//
//kata:zh 调用按权重分到各个集群，并用到集群的每个端点。
func TestSplit(t *testing.T) {
	p := newPlane(t)
	v1, v2, v2b, v3 := start(t, "v1"), start(t, "v2"), start(t, "v2b"), start(t, "v3")
	cs := clusters(v1, v2, v3)
	cs["v2"] = append(cs["v2"], xds.Endpoint{Addr: v2b.addr})
	split := func(w1, w2, w3 int) {
		p.apply(t, xds.Config{
			Services: map[string][]xds.Route{"notes": {{Prefix: "/", Split: map[string]int{"v1": w1, "v2": w2, "v3": w3}}}},
			Clusters: cs,
		})
	}
	split(0, 0, 1)
	c := p.dial(t, "host", "notes")
	reaches(t, t.Context(), c, "all calls go to v3", "v3")
	split(160, 40, 0)
	if !settles(func() bool { who, _ := call(t.Context(), c); return who == "v2b" }) {
		t.Fatalf("v2, with a fifth of the calls, has two endpoints: the second gets none")
	}
	got := many(c, 600)
	if v2 := got["v2"] + got["v2b"]; v2 < 60 || v2 > 180 || got["v1"]+v2 != 600 {
		t.Errorf("weights v1: 160, v2: 40, v3: 0: 600 calls went to %v, want about 480 to v1, and 120 to v2 (two endpoints: v2, v2b)", got)
	}
}

// The first route that matches has the call: by method and by headers.
//
//kata:zh 第一条匹配的路由得到调用：按方法，也按 header。
func TestRoutes(t *testing.T) {
	p := newPlane(t)
	v1, v2, v3 := start(t, "v1"), start(t, "v2"), start(t, "v3")
	route := func(prefix, to string, headers map[string]string) xds.Route {
		return xds.Route{Prefix: prefix, Headers: headers, Split: map[string]int{to: 1}}
	}
	c := p.dial(t, "host", "notes") // before there is anything to tell
	for _, test := range []struct {
		routes []xds.Route
		ctx    context.Context
		want   string
	}{
		{[]xds.Route{route("/other.Service/", "v1", nil), route("/grpc.testing.TestService/", "v2", nil), route("/", "v3", nil)}, t.Context(), "v2"},
		{[]xds.Route{route("/", "v3", nil), route("/grpc.testing.TestService/UnaryCall", "v2", nil)}, t.Context(), "v3"},
		{[]xds.Route{route("/", "v1", map[string]string{"tier": "beta", "zone": "b"}), route("/", "v2", nil)}, metadata.AppendToOutgoingContext(t.Context(), "tier", "beta", "zone", "b"), "v1"},
		{[]xds.Route{route("/", "v1", map[string]string{"tier": "beta", "zone": "b"}), route("/", "v2", nil)}, metadata.AppendToOutgoingContext(t.Context(), "tier", "beta"), "v2"},
		{[]xds.Route{route("/", "v1", map[string]string{"tier": "beta"}), route("/", "v3", nil)}, metadata.AppendToOutgoingContext(t.Context(), "tier", "beta2"), "v3"},
	} {
		p.apply(t, xds.Config{Services: map[string][]xds.Route{"notes": test.routes}, Clusters: clusters(v1, v2, v3)})
		md, _ := metadata.FromOutgoingContext(test.ctx)
		reaches(t, test.ctx, c, fmt.Sprintf("routes %+v, a call of /grpc.testing.TestService/UnaryCall with %v", test.routes, md), test.want)
	}
}

// A switch pulls nothing from under a client: a cluster that the config has dropped is served as long as somebody asks for it, and no longer.
//
//kata:zh 切换不会抽走客户端脚下的东西：配置里去掉的集群，只要还有客户端要就继续提供，没人要了就不再提供。
func TestSwitch(t *testing.T) {
	p := newPlane(t)
	blue, green := start(t, "blue"), start(t, "green")
	p.apply(t, to(blue))
	slow := p.stream(t) // a client that takes its time
	slow.ask(resource.RouteType, "notes")
	slow.next(resource.RouteType, "blue was applied")
	slow.ask(resource.ClusterType, "blue")
	slow.next(resource.ClusterType, "blue was applied")
	slow.ask(resource.ClusterType, "blue")
	p.apply(t, to(green))
	slow.both("green", "blue", "blue gave way to green, and a client still asks for it")
	again := p.stream(t)
	again.ask(resource.EndpointType, "blue", "green")
	if got := mentions(again.next(resource.EndpointType, "blue gave way to green, a client asks for both"), "blue", "green"); len(got) != 2 {
		t.Errorf("blue gave way to green, and a client still asks for blue: endpoints are told of %v only", got)
	}
	slow.stop()
	if !settles(func() bool {
		late := p.stream(t)
		defer late.stop()
		late.ask(resource.ClusterType, "blue", "green")
		return !slices.Contains(mentions(late.next(resource.ClusterType, "nobody asks for blue any more"), "blue", "green"), "blue")
	}) {
		t.Errorf("blue gave way to green, and its last client is gone: a new one is still told of it")
	}

	c := p.dial(t, "host", "notes")
	reaches(t, t.Context(), c, "green was applied", "green")
	for i := range 10 {
		r := []*replica{blue, green}[i%2]
		p.apply(t, to(r))
		reaches(t, t.Context(), c, r.name+" was applied", r.name)
	}
}

// What a client refuses is taken back for all; a refusal of what has been replaced already is not.
//
//kata:zh 被某个客户端拒绝的配置，对所有客户端都撤回；拒绝的若是已被替换的配置，则不撤回。
func TestRefused(t *testing.T) {
	p := newPlane(t)
	v1, v2, v3, v4 := start(t, "v1"), start(t, "v2"), start(t, "v3"), start(t, "v4")
	p.onRefused = func() { p.Apply(to(v1)) } // it may call the plane: here it changes nothing
	p.apply(t, to(v1))
	s := p.stream(t)
	s.ask(resource.RouteType, "notes")
	s.next(resource.RouteType, "v1 was applied")
	s.ask(resource.RouteType, "notes")
	p.apply(t, to(v2))
	s.next(resource.RouteType, "v2 was applied")
	quick := p.stream(t) // a client that has taken v2
	quick.ask(resource.ClusterType, "v2")
	quick.next(resource.ClusterType, "v2 was applied")
	quick.ask(resource.ClusterType, "v2")
	s.refuse(resource.RouteType, "notes")
	select {
	case err := <-p.refused:
		if err == nil || !strings.Contains(err.Error(), "we do not like it") {
			t.Errorf("a client refused v2 with \"we do not like it\": refused(%v)", err)
		}
	case <-time.After(patience):
		t.Fatal("a client refused v2: the plane does not call refused, or waits for it while it holds what Apply needs")
	}
	quick.both("v1", "v2", "v2 was refused, and another client asks for its cluster")
	c := p.dial(t, "host", "notes")
	reaches(t, t.Context(), c, "a client refused v2, another one comes", "v1")

	p.apply(t, to(v3))
	reaches(t, t.Context(), c, "v3 was applied after v2 was refused", "v3")
	for { // that v1 is back may have been told first
		got := mentions(s.next(resource.RouteType, "v3 was applied after v2 was refused"), "v1", "v2", "v3")
		if slices.Contains(got, "v2") {
			t.Fatal("a client that refused v2 is told v2 again")
		}
		if slices.Contains(got, "v3") {
			break
		}
		s.ask(resource.RouteType, "notes")
	}
	p.apply(t, to(v4)) // the stream has yet to say what it thinks of v3
	reaches(t, t.Context(), c, "v4 was applied after v3", "v4")
	s.refuse(resource.RouteType, "notes")
	if resp := s.next(resource.RouteType, "v3 was refused when v4 had replaced it"); len(mentions(resp, "v4")) == 0 {
		t.Errorf("a client refused v3 when v4 had replaced it: it is told %v next, want v4", mentions(resp, "v1", "v2", "v3"))
	}
	for range 20 {
		reaches(t, t.Context(), c, "v4 had replaced v3 when a client refused v3", "v4")
	}
	quiet := func(what string) {
		t.Helper()
		select {
		case err := <-p.refused:
			t.Errorf("%s: refused(%v), want nothing", what, err)
		default:
		}
	}
	quiet("v4 had replaced v3 when a client refused v3")

	p.onRefused = func() {}
	s.ask(resource.RouteType, "notes")
	p.apply(t, to(v1))
	s.next(resource.RouteType, "v1 was applied after v4")
	s.refuse(resource.RouteType, "notes")
	reaches(t, t.Context(), c, "v1 was refused, after v4", "v4")
	select {
	case <-p.refused:
	case <-time.After(patience):
		t.Fatal("a client refused v1: the plane does not call refused")
	}
	late := p.stream(t)
	late.ask(resource.RouteType, "notes")
	late.next(resource.RouteType, "v1 was refused, after v4")
	late.refuse(resource.RouteType, "notes")
	late.ask(resource.ClusterType, "v4") // answered after the refusal has been seen
	late.next(resource.ClusterType, "v4 was refused, too, when v1 had been")
	reaches(t, t.Context(), c, "v4 was refused, too, when v1 had been, and nothing is left to go back to", "v4")
	quiet("v4 was refused, too, when v1 had been, and nothing is left to go back to")
}

// Calls are repeated as the route says, for its codes and no more often, and take no longer than it allows.
//
//kata:zh 调用按路由所说重试，只为其中的状态码，次数也不多；用时不超过路由允许的时间。
func TestRetryAndTimeout(t *testing.T) {
	retry(t)
	timeout(t)
}

func retry(t *testing.T) {
	t.Helper()
	p := newPlane(t)
	r := start(t, "v1")
	config := to(r)
	config.Services["notes"][0].Retry = &xds.Retry{Attempts: 3, On: []codes.Code{codes.Unavailable, codes.ResourceExhausted, codes.Canceled}}
	p.apply(t, config)
	c := p.dial(t, "host", "notes")
	reaches(t, t.Context(), c, "v1 was applied", "v1")
	for _, test := range []struct {
		fails int64
		code  codes.Code
		want  codes.Code
		calls int64
	}{
		{2, codes.Unavailable, codes.OK, 3},
		{2, codes.ResourceExhausted, codes.OK, 3},
		{2, codes.Canceled, codes.OK, 3},
		{9, codes.Unavailable, codes.Unavailable, 3},
		{2, codes.Internal, codes.Internal, 1},
	} {
		r.calls.Store(0)
		r.answer(func(context.Context) error {
			if r.calls.Load() <= test.fails {
				return grpcstatus.Error(test.code, "not now")
			}
			return nil
		})
		_, err := call(t.Context(), c)
		if got := grpcstatus.Code(err); got != test.want || r.calls.Load() != test.calls {
			t.Errorf("Retry{Attempts: 3, On: [Unavailable ResourceExhausted Canceled]}, and a replica that fails %d times with %v: the call ended with %v after %d attempts, want %v after %d",
				test.fails, test.code, got, r.calls.Load(), test.want, test.calls)
		}
	}
}

func timeout(t *testing.T) {
	t.Helper()
	p := newPlane(t)
	r := start(t, "v1")
	config := to(r)
	config.Services["notes"] = []xds.Route{
		{Prefix: "/", Headers: map[string]string{"patience": "yes"}, Split: map[string]int{"v1": 1}},
		{Prefix: "/", Split: map[string]int{"v1": 1}, Timeout: 300 * time.Millisecond},
	}
	p.apply(t, config)
	c := p.dial(t, "host", "notes")
	patient := metadata.AppendToOutgoingContext(t.Context(), "patience", "yes")
	reaches(t, patient, c, "v1 was applied", "v1")
	var left time.Duration
	r.answer(func(ctx context.Context) error {
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		if left < time.Second {
			<-ctx.Done()
		}
		return nil
	})
	if _, err := call(patient, c); err != nil || left < time.Second {
		t.Errorf("a route without a timeout: the call, which allows %v itself, had %v (error %v)", patience, left, err)
	}
	if _, err := call(t.Context(), c); grpcstatus.Code(err) != codes.DeadlineExceeded || left > 300*time.Millisecond {
		t.Errorf("a route with a timeout of 300ms: the replica saw %v left, and the call ended with %v; want DeadlineExceeded", left, err)
	}
}

// Faults hit the calls of their route, by their percentage.
//
//kata:zh 故障只落到所在路由的调用上，比例如所写。
func TestFault(t *testing.T) {
	p := newPlane(t)
	r := start(t, "v1")
	config := to(r)
	config.Services["notes"] = []xds.Route{
		{Prefix: "/", Headers: map[string]string{"chaos": "all"}, Split: map[string]int{"v1": 1}, Fault: &xds.Fault{Percent: 100, Code: codes.Aborted}},
		{Prefix: "/", Headers: map[string]string{"chaos": "half"}, Split: map[string]int{"v1": 1}, Fault: &xds.Fault{Percent: 30, Code: codes.Unavailable}},
		{Prefix: "/", Split: map[string]int{"v1": 1}},
	}
	p.apply(t, config)
	c := p.dial(t, "host", "notes")
	reaches(t, t.Context(), c, "v1 was applied", "v1")
	for _, test := range []struct {
		chaos    string
		percent  int
		code     codes.Code
		min, max int
	}{{"none", 0, codes.OK, 0, 0}, {"all", 100, codes.Aborted, 200, 200}, {"half", 30, codes.Unavailable, 24, 108}} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), "chaos", test.chaos)
		r.calls.Store(0)
		hit := 0
		for range 200 {
			if _, err := call(ctx, c); err != nil && grpcstatus.Code(err) == test.code {
				hit++
			} else if err != nil {
				t.Fatalf("a route with a fault of %d%% %v: a call ended with %v", test.percent, test.code, err)
			}
		}
		if hit < test.min || hit > test.max || int(r.calls.Load()) != 200-hit {
			t.Errorf("a route with a fault of %d%% %v: of 200 calls %d were hit, and %d reached the replica; want %d to %d, and the rest", test.percent, test.code, hit, r.calls.Load(), test.min, test.max)
		}
	}
}

// A draining endpoint gets no new calls, and finishes those that it has.
//
//kata:zh 正在排空的端点不再得到新调用，已有的调用会做完。
func TestDrain(t *testing.T) {
	p := newPlane(t)
	old, next := start(t, "old"), start(t, "next")
	held, release := make(chan bool, 100), make(chan bool)
	let := sync.OnceFunc(func() { close(release) })
	t.Cleanup(let)
	config := func(draining bool) xds.Config {
		return xds.Config{
			Services: map[string][]xds.Route{"notes": {{Prefix: "/", Split: map[string]int{"notes-v1": 1}}}},
			Clusters: map[string][]xds.Endpoint{"notes-v1": {{Addr: old.addr, Draining: draining}, {Addr: next.addr}}},
		}
	}
	p.apply(t, config(false))
	c := p.dial(t, "host", "notes")
	reaches(t, t.Context(), c, "neither is draining", "old")
	reaches(t, t.Context(), c, "neither is draining", "next")
	old.answer(func(context.Context) error { held <- true; <-release; return nil })
	done := make(chan error, 2)
	for range 2 { // round robin: one of two
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			_, err := c.UnaryCall(ctx, &pb.SimpleRequest{})
			done <- err
		}()
	}
	select {
	case <-held:
	case <-time.After(patience):
		t.Fatal("of two calls none went to the first of two endpoints")
	}
	p.apply(t, config(true))
	before := int64(-1)
	if !settles(func() bool {
		before = old.calls.Load()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 150*time.Millisecond)
				defer cancel()
				c.UnaryCall(ctx, &pb.SimpleRequest{})
			})
		}
		wg.Wait()
		return old.calls.Load() == before
	}) {
		t.Fatal("an endpoint is draining: it still gets new calls")
	}
	if got := many(c, 40); got["next"] != 40 {
		t.Errorf("one of two endpoints is draining: 40 calls went to %v, want all to the other", got)
	}
	let()
	for range 2 {
		if err := <-done; err != nil {
			t.Errorf("a call that was under way when its endpoint began to drain ended with %v", err)
		}
	}
}

// Each client gets what it asks for, whoever it is, and whatever others there are; what has not changed is not sent again.
//
//kata:zh 每个客户端都得到它所要的，不管它是谁、还有哪些别的客户端；没有变化的不重发。
func TestClients(t *testing.T) {
	p := newPlane(t)
	notes, users := start(t, "notes-v1"), start(t, "users-v1")
	config := xds.Config{
		Services: map[string][]xds.Route{
			"notes": {{Prefix: "/", Split: map[string]int{"notes-v1": 1}}},
			"users": {{Prefix: "/", Split: map[string]int{"users-v1": 1}}},
		},
		Clusters: clusters(notes, users),
	}
	early := p.dial(t, "early", "users") // before there is anything to tell
	p.apply(t, config)
	reaches(t, t.Context(), early, "the config was applied after a client of users had come", "users-v1")
	reaches(t, t.Context(), p.dial(t, "", "notes"), "a client of notes without a node id", "notes-v1")

	s := p.stream(t)
	s.ask(resource.RouteType, "users")
	s.next(resource.RouteType, "users was applied")
	s.ask(resource.RouteType, "users")
	s.ask(resource.EndpointType, "notes-v1")
	s.next(resource.EndpointType, "notes-v1 was applied")
	s.ask(resource.EndpointType, "notes-v1")
	config.Clusters = maps.Clone(config.Clusters)
	config.Clusters["notes-v1"] = []xds.Endpoint{{Addr: notes.addr}, {Addr: "127.0.0.1:1", Draining: true}}
	p.apply(t, config)
	s.next(resource.EndpointType, "an endpoint of notes-v1 was added")
	s.ask(resource.EndpointType, "notes-v1", "users-v1") // answered after what the same change may have sent
	s.next(resource.EndpointType, "users-v1 was asked for, too")
	for _, resp := range s.early {
		if resp.TypeUrl == resource.RouteType {
			t.Errorf("only an endpoint was added: the routes were sent again")
		}
	}
}

// A config that cannot be is refused whole, before any client sees it.
//
//kata:zh 不成立的配置整个被拒绝，任何客户端都看不到它。
func TestInvalid(t *testing.T) {
	p := newPlane(t)
	v1, v2 := start(t, "v1"), start(t, "v2")
	p.apply(t, to(v1))
	c := p.dial(t, "host", "notes")
	reaches(t, t.Context(), c, "v1 was applied", "v1")
	for what, spoil := range map[string]func(*xds.Config){
		"a route to a cluster that is not there": func(c *xds.Config) { c.Services["notes"][0].Split["nobody"] = 1 },
		"weights that are 0 in all":              func(c *xds.Config) { c.Services["notes"][0].Split["v2"] = 0 },
		"a negative weight":                      func(c *xds.Config) { c.Services["notes"][0].Split["v1"] = -1; c.Clusters = clusters(v1, v2) },
		"a prefix without a slash":               func(c *xds.Config) { c.Services["notes"][0].Prefix = "grpc" },
		"a negative timeout":                     func(c *xds.Config) { c.Services["notes"][0].Timeout = -time.Second },
		"a retry with 1 attempt": func(c *xds.Config) {
			c.Services["notes"][0].Retry = &xds.Retry{Attempts: 1, On: []codes.Code{codes.Unavailable}}
		},
		"a retry on NotFound": func(c *xds.Config) {
			c.Services["notes"][0].Retry = &xds.Retry{Attempts: 2, On: []codes.Code{codes.NotFound}}
		},
		"a fault of 101 percent":                         func(c *xds.Config) { c.Services["notes"][0].Fault = &xds.Fault{Percent: 101, Code: codes.Aborted} },
		"a fault with the code OK":                       func(c *xds.Config) { c.Services["notes"][0].Fault = &xds.Fault{Percent: 1} },
		"an endpoint with a name instead of its address": func(c *xds.Config) { c.Clusters["v2"] = []xds.Endpoint{{Addr: "localhost:80"}} },
	} {
		config := to(v2)
		spoil(&config)
		if err := p.Apply(config); err == nil {
			t.Errorf("Apply of a config with %s = nil, want an error", what)
		}
	}
	if got := many(c, 20); got["v1"] != 20 {
		t.Errorf("after configs that were refused, 20 calls went to %v, want all to v1", got)
	}
}
