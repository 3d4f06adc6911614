// A resolver and a policy that spread a client's calls over the replicas of a service.
//
//kata:level 3
//kata:minutes 120
//kata:engine real grpc-go over bufconn, in virtual time
package loadbalance_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/roadkata/roadkata/stage2/grpc/loadbalance"
)

// replica is one server of the service.
type replica struct {
	pb.UnimplementedTestServiceServer
	fleet  *fleet
	addr   string
	lis    *bufconn.Listener
	srv    *grpc.Server
	health *health.Server
}

// fleet is all replicas, and what happened to them.
type fleet struct {
	mu       sync.Mutex
	replicas map[string]*replica
	answers  map[string]func() error // what a replica answers instead of OK
	calls    map[string]int          // by replica
	open     map[string]int          // connections
	dials    map[string]int          // ever
}

// newFleet starts a server on each address.
func newFleet(t *testing.T, addrs ...string) *fleet {
	f := &fleet{replicas: map[string]*replica{}, answers: map[string]func() error{}, calls: map[string]int{}, open: map[string]int{}, dials: map[string]int{}}
	for _, addr := range addrs {
		f.start(addr)
	}
	t.Cleanup(func() {
		for addr := range f.replicas {
			f.stop(addr)
		}
	})
	return f
}

func (f *fleet) start(addr string) {
	r := &replica{fleet: f, addr: addr, lis: bufconn.Listen(1 << 16), srv: grpc.NewServer(grpc.MaxHeaderListSize(4096)), health: health.NewServer()}
	pb.RegisterTestServiceServer(r.srv, r)
	healthpb.RegisterHealthServer(r.srv, r.health)
	go r.srv.Serve(r.lis)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replicas[addr] = r
}

func (f *fleet) stop(addr string) {
	f.mu.Lock()
	r := f.replicas[addr]
	delete(f.replicas, addr)
	f.mu.Unlock()
	r.srv.Stop()
}

// answer says what the replica answers from now on; nil: OK.
func (f *fleet) answer(addr string, how func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[addr] = how
}

func (r *replica) UnaryCall(context.Context, *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	r.fleet.mu.Lock()
	r.fleet.calls[r.addr]++
	how := r.fleet.answers[r.addr]
	r.fleet.mu.Unlock()
	if how != nil {
		if err := how(); err != nil {
			return nil, err
		}
	}
	return &pb.SimpleResponse{ServerId: r.addr}, nil
}

func (f *fleet) dial(_ context.Context, addr string) (net.Conn, error) {
	time.Sleep(20 * time.Millisecond) // the way there
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dials[addr]++
	r := f.replicas[addr]
	if r == nil {
		return nil, errors.New("no route to " + addr)
	}
	c, err := r.lis.Dial()
	if err != nil {
		return nil, err
	}
	f.open[addr]++
	return &counted{Conn: c, closed: sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.open[addr]--; f.open[addr] == 0 {
			delete(f.open, addr)
		}
	})}, nil
}

type counted struct {
	net.Conn
	closed func()
}

func (c *counted) Close() error {
	c.closed()
	return c.Conn.Close()
}

// took returns the calls that each replica got since the last time.
func (f *fleet) took() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = map[string]int{}
	return calls
}

func (f *fleet) connected() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.open)
}

func (f *fleet) dialed() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.dials)
}

// registry is a watch that a test tells what to say: a list, or the error that breaks it, or over.
type registry chan any

// over ends a watch without an error.
type over struct{}

func (r registry) watch(ctx context.Context, _ string, update func([]loadbalance.Backend)) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case what := <-r:
			switch what := what.(type) {
			case error:
				return what
			case over:
				return nil
			case []loadbalance.Backend:
				update(what)
			}
		}
	}
}

// say hands the registry's list to the client, and lets it settle.
func (r registry) say(what any) {
	r <- what
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
}

func list(addrs ...string) (l []loadbalance.Backend) {
	for _, addr := range addrs {
		l = append(l, loadbalance.Backend{Addr: addr, Weight: 1})
	}
	return l
}

// dialWatch returns a client with that configuration of the policy.
func dialWatch(t *testing.T, f *fleet, watch loadbalance.Watch, config string) (*grpc.ClientConn, pb.TestServiceClient) {
	t.Helper()
	balancer.Register(loadbalance.NewBalancer())
	conn, err := grpc.NewClient("suite:///notes",
		grpc.WithResolvers(loadbalance.NewResolver("suite", watch)),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"`+loadbalance.Policy+`": `+config+`}], "healthCheckConfig": {"serviceName": "notes"}}`),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(f.dial))
	if err != nil {
		t.Fatalf("grpc.NewClient with the policy's configuration %s: %v", config, err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.Connect()
	return conn, pb.NewTestServiceClient(conn)
}

// dial returns a client with a registry that has said the list.
func dial(t *testing.T, f *fleet, config string, l []loadbalance.Backend) (registry, pb.TestServiceClient) {
	t.Helper()
	f.healthy()
	r := make(registry)
	_, c := dialWatch(t, f, r.watch, config)
	r.say(l)
	return r, c
}

// healthy lets all replicas say that they serve.
func (f *fleet) healthy() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.replicas {
		r.health.SetServingStatus("notes", healthpb.HealthCheckResponse_SERVING)
	}
}

// call makes a call that takes ten virtual seconds at most, and returns who answered.
func call(c pb.TestServiceClient, opts ...grpc.CallOption) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	resp, err := c.UnaryCall(ctx, &pb.SimpleRequest{}, opts...)
	return resp.GetServerId(), err
}

// calls makes n calls, one after the other, and returns how many of them failed.
func calls(c pb.TestServiceClient, n int) (failed int) {
	for range n {
		if _, err := call(c); err != nil {
			failed++
		}
	}
	return failed
}

// spread fails unless n calls go to the replicas as wanted, and all succeed.
func spread(t *testing.T, f *fleet, c pb.TestServiceClient, what string, want map[string]int) {
	t.Helper()
	n := 0
	for _, k := range want {
		n += k
	}
	f.took()
	failed := calls(c, n)
	if got := f.took(); failed > 0 || !maps.Equal(got, want) {
		t.Errorf("%s: of %d calls %d failed, and they went to %v; want %v", what, n, failed, got, want)
	}
}

func fails(code codes.Code) func() error {
	return func() error { return status.Error(code, "not now") }
}

// Calls follow the registry's list: what is new gets its share, what is gone no new call, and no call fails.
//
//kata:zh 调用跟着注册中心的列表走：新来的得到份额，离开的不再有新调用，一个调用都不失败。
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "a", "b", "c", "d")
		r, c := dial(t, f, `{}`, list("a", "b"))
		held, release := make(chan bool, 1), make(chan bool)
		f.answer("a", func() error { held <- true; <-release; return nil })
		var slow error
		answered := make(chan bool)
		go func() {
			defer close(answered)
			for slow == nil { // until one is held by a
				if who, err := call(c); err != nil || who == "a" {
					slow = err
					return
				}
			}
		}()
		<-held
		f.answer("a", nil)

		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var mu sync.Mutex
		var failed error
		for range 3 {
			wg.Go(func() {
				for ctx.Err() == nil {
					if _, err := call(c); err != nil {
						mu.Lock()
						failed = err
						mu.Unlock()
					}
					time.Sleep(3 * time.Millisecond)
				}
			})
		}
		before := []string{"a", "b"}
		for _, next := range [][]string{{"b", "c"}, {"c", "b"}, {"b"}, {"c", "d"}, {"a"}, {"d", "c", "b", "a"}} {
			r.say(list(next...))
			f.took()
			time.Sleep(100 * time.Millisecond)
			got := slices.Sorted(maps.Keys(f.took()))
			want := slices.Sorted(slices.Values(next))
			if !slices.Equal(got, want) {
				t.Errorf("the list changed from %v to %v: calls went to %v", before, next, got)
			}
			mu.Lock()
			if failed != nil {
				t.Errorf("the list changed from %v to %v: a call failed: %v", before, next, failed)
				failed = nil
			}
			mu.Unlock()
			if before = next; next[0] == "c" && len(next) == 2 && next[1] == "d" {
				close(release)
				<-answered
				if slow != nil {
					t.Errorf("a call that was under way when its replica left the list failed: %v", slow)
				}
				synctest.Wait()
				if open := f.connected(); !maps.Equal(open, map[string]int{"c": 1, "d": 1}) {
					t.Errorf("with the list %v, connections are open to %v, want one to each", next, open)
				}
			}
		}
		stop()
		wg.Wait()
	})
}

// A registry that breaks or says nothing changes nothing for calls: the last list holds, and the watch is begun anew after 1 s, 2 s … 30 s, until the channel is closed.
//
//kata:zh 注册中心断了或什么都不说，对调用没有影响：沿用最后的列表，隔 1 s、2 s……30 s 重新开始监听，直到 channel 关闭。
func TestRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "a")
		f.healthy()
		quiet, q := dialWatch(t, f, func(context.Context, string, func([]loadbalance.Backend)) error { return nil }, `{}`)
		if _, err := call(q); status.Code(err) != codes.Unavailable {
			t.Errorf("the watch returned nil, before any list: a call returned %v, want Unavailable: it is to be reported as an error", err)
		}
		quiet.Close()
		var mu sync.Mutex
		var began []time.Duration
		service := ""
		zero := time.Now()
		r := make(registry)
		conn, c := dialWatch(t, f, func(ctx context.Context, name string, update func([]loadbalance.Backend)) error {
			mu.Lock()
			began, service = append(began, time.Since(zero)), name
			mu.Unlock()
			return r.watch(ctx, name, update)
		}, `{}`)
		starts := func() []time.Duration {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			defer func() { began, zero = nil, time.Now() }()
			return began
		}
		tell := func(what any) {
			t.Helper()
			select {
			case r <- what:
			case <-time.After(time.Hour):
				t.Fatal("a watch that returned, some with an error and one without, was not begun again for an hour")
			}
		}
		tell([]loadbalance.Backend{})
		synctest.Wait()
		if _, err := call(c); status.Code(err) != codes.Unavailable {
			t.Errorf("the registry's first list was empty: a call returned %v, want Unavailable: it is to be reported as an error", err)
		}
		down := errors.New("registry: leader lost")
		tell(down)
		synctest.Wait()
		if service != "notes" {
			t.Errorf("the watch of suite:///notes was asked for %q, want \"notes\"", service)
		}
		if _, err := call(c); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), down.Error()) {
			t.Errorf("the watch broke before its first list: a call returned %v, want Unavailable with %q", err, down)
		}
		for i := range 6 {
			if i == 3 {
				tell(over{})
			} else {
				tell(down)
			}
		}
		tell(list("a"))
		seconds := func(s ...int) (d []time.Duration) {
			for _, s := range s {
				d = append(d, time.Duration(s)*time.Second)
			}
			return d
		}
		if got, want := starts(), seconds(0, 1, 3, 7, 15, 31, 61, 91); !slices.Equal(got, want) {
			t.Errorf("a watch that breaks each time at once was begun at %v, want %v", got, want)
		}
		time.Sleep(time.Second)
		steady := func(what string) {
			t.Helper()
			time.Sleep(100 * time.Millisecond)
			if failed := calls(c, 5); failed > 0 {
				t.Errorf("%s: %d of 5 calls failed, want the last list to hold", what, failed)
			}
		}
		starts()
		tell(down)
		steady("the watch broke")
		tell(down)
		if got, want := starts(), seconds(1); !slices.Equal(got, want) {
			t.Errorf("a watch that broke after it had told a list was begun again after %v, want %v", got, want)
		}
		tell([]loadbalance.Backend(nil))
		steady("the registry told an empty list")
		starts()

		conn.Close()
		time.Sleep(time.Hour)
		if got := starts(); len(got) > 0 {
			t.Errorf("after ClientConn.Close the watch was begun again, %d times", len(got))
		}
		select {
		case r <- down:
			t.Error("after ClientConn.Close the watch goes on: its context has not ended")
		default:
		}
	})
}

// Calls are shared out by weight, exactly, and a new weight needs no new connection.
//
//kata:zh 调用严格按权重分配，改权重不需要新连接。
func TestWeights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "a", "b", "c")
		weigh := func(a, b, c int) []loadbalance.Backend {
			return []loadbalance.Backend{{Addr: "a", Weight: a}, {Addr: "b", Weight: b}, {Addr: "c", Weight: c}}
		}
		r, c := dial(t, f, `{}`, weigh(5, 2, 0))
		spread(t, f, c, "weights 5, 2 and 0, which counts as 1", map[string]int{"a": 50, "b": 20, "c": 10})
		spread(t, f, c, "weights 5, 2 and 0, one round", map[string]int{"a": 5, "b": 2, "c": 1})
		dialed := f.dialed()
		f.took()
		for range 8 {
			r.say(weigh(5, 2, 0))
			calls(c, 1)
		}
		if got, want := f.took(), map[string]int{"a": 5, "b": 2, "c": 1}; !maps.Equal(got, want) {
			t.Errorf("the registry told the same list again before each of 8 calls: they went to %v, want %v: nothing has changed", got, want)
		}
		r.say(weigh(1, 1, 6))
		spread(t, f, c, "weights changed to 1, 1 and 6", map[string]int{"a": 10, "b": 10, "c": 60})
		if now := f.dialed(); !maps.Equal(now, dialed) {
			t.Errorf("a change of weights opened new connections: %v, before it %v", now, dialed)
		}
	})
}

// A replica that fails several times in a row gets no calls for a while; errors that are the caller's own do not count.
//
//kata:zh 连续失败数次的副本一段时间内不再得到调用；调用方自己的错误不算。
func TestEject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "a", "b", "c", "d")
		r, c := dial(t, f, `{"failures": 3, "ejection": "10s"}`, list("a", "b", "c"))
		for _, code := range []codes.Code{codes.NotFound, codes.InvalidArgument, codes.PermissionDenied, codes.ResourceExhausted, codes.Canceled, codes.Unknown} {
			f.answer("a", fails(code))
			f.took()
			calls(c, 30)
			if n := f.took()["a"]; n != 10 {
				t.Errorf("a answers %v: of 30 calls it got %d, want its 10: that is no failure of a's", code, n)
			}
		}
		f.answer("a", nil)
		large := metadata.AppendToOutgoingContext(t.Context(), "note", strings.Repeat("x", 8192))
		for range 30 {
			if _, err := c.UnaryCall(large, &pb.SimpleRequest{}); status.Code(err) != codes.Internal {
				t.Fatalf("a call with a header of 8 KiB, which is more than the servers take, returned %v", err)
			}
		}
		spread(t, f, c, "30 calls failed with Internal before gRPC sent anything", map[string]int{"a": 2, "b": 2, "c": 2})
		n := 0
		f.answer("a", func() error {
			if n++; n%3 == 0 {
				return nil
			}
			return fails(codes.Unavailable)()
		})
		f.took()
		calls(c, 27)
		if n := f.took()["a"]; n != 9 {
			t.Errorf("a fails two of three times, with failures: 3: of 27 calls it got %d, want its 9: a success starts the count anew", n)
		}
		for _, code := range []codes.Code{codes.Unavailable, codes.Internal, codes.DeadlineExceeded} {
			f.answer("a", fails(code))
			f.took()
			calls(c, 30)
			if n := f.took()["a"]; n != 3 {
				t.Errorf("a answers %v, with failures: 3: of 30 calls it got %d, want 3", code, n)
			}
			r.say(list("a", "b", "c", "d"))
			r.say(list("a", "b", "c"))
			time.Sleep(9 * time.Second)
			f.took()
			if failed := calls(c, 10); failed > 0 || f.took()["a"] > 0 {
				t.Errorf("a was ejected after %v for 10s; 9s later, when d had come and gone, it got a call (%d of 10 failed)", code, failed)
			}
			f.answer("a", nil)
			time.Sleep(time.Second)
			calls(c, 10)
			spread(t, f, c, "a was ejected for 10s and is well again, 11s later", map[string]int{"a": 5, "b": 5, "c": 5})
		}

		verdict := make(chan error)
		f.answer("a", func() error { return <-verdict })
		var wg sync.WaitGroup
		f.took()
		for range 27 {
			wg.Go(func() { c.UnaryCall(t.Context(), &pb.SimpleRequest{}) })
		}
		synctest.Wait()
		if n := f.took()["a"]; n != 9 {
			close(verdict)
			wg.Wait()
			t.Fatalf("a is well: of 27 calls it got %d, want its 9", n)
		}
		for range 3 {
			verdict <- status.Error(codes.Unavailable, "not now")
		}
		synctest.Wait()
		f.answer("a", nil)
		time.Sleep(5 * time.Second)
		for _, late := range []error{status.Error(codes.Unavailable, "not now"), status.Error(codes.Unavailable, "not now"), nil} {
			verdict <- late
			synctest.Wait()
		}
		f.took()
		if calls(c, 10); f.took()["a"] > 0 {
			t.Errorf("a was ejected, and a call that had begun earlier succeeded later: a got calls again, want none until its 10s are over")
		}
		time.Sleep(5 * time.Second)
		if calls(c, 10); f.took()["a"] == 0 {
			t.Errorf("a was ejected 10s ago, and calls that had begun earlier failed 5s ago: a gets no call, want its trial")
		}
		for range 3 {
			verdict <- status.Error(codes.Unavailable, "not now")
		}
		wg.Wait()
		spread(t, f, c, "a is back, and three calls failed that had begun before its ejection", map[string]int{"a": 3, "b": 3, "c": 3})
	})
}

// When its time is over an ejected replica gets a single call: if that succeeds it is back, if not it is out again.
//
//kata:zh 时间一到，被摘除的副本只得到一个试探调用：成功就回来，失败就再次摘除。
func TestTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "a", "b", "c")
		r, c := dial(t, f, `{"failures": 2, "ejection": "10s"}`, list("a", "b", "c"))
		f.answer("a", fails(codes.Unavailable))
		calls(c, 12)

		verdict := make(chan error)
		f.answer("a", func() error { return <-verdict })
		// try makes calls until one is held by a, then 30 more, which must all go elsewhere.
		try := func(what string) (cancel func(), wait func()) {
			f.took()
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			for range 30 {
				wg.Go(func() { c.UnaryCall(ctx, &pb.SimpleRequest{}) })
				synctest.Wait()
			}
			if n := f.took()["a"]; n != 1 {
				stop()
				close(verdict)
				wg.Wait()
				t.Fatalf("%s: of 30 calls a got %d before the first of them was answered, want one", what, n)
			}
			return stop, wg.Wait
		}
		time.Sleep(10 * time.Second)
		cancel, wait := try("a was ejected 10s ago")
		verdict <- status.Error(codes.Unavailable, "still not")
		wait()
		cancel()
		f.took()
		calls(c, 12)
		time.Sleep(9 * time.Second)
		calls(c, 12)
		if n := f.took()["a"]; n > 0 {
			t.Errorf("the trial of a failed: it got %d calls within the next 10s, want none", n)
		}

		time.Sleep(time.Second)
		cancel, wait = try("a was ejected anew, 10s ago")
		cancel()
		wait()
		verdict <- nil // to the handler, which does not know that its caller has left
		synctest.Wait()
		cancel, wait = try("the caller of a's trial cancelled it")
		verdict <- nil
		wait()
		cancel()
		failed := false
		f.answer("a", func() error {
			if failed {
				return nil
			}
			failed = true
			return fails(codes.Unavailable)()
		})
		calls(c, 3)
		spread(t, f, c, "a's trial succeeded, and one call failed, with failures: 2", map[string]int{"a": 4, "b": 4, "c": 4})

		// Others' shares, while a trial is under way.
		r.say([]loadbalance.Backend{{Addr: "a", Weight: 1}, {Addr: "b", Weight: 3}, {Addr: "c", Weight: 1}})
		f.answer("a", fails(codes.Unavailable))
		f.took()
		until := func(n int, call func()) {
			for range 30 {
				call()
				if n -= f.took()["a"]; n <= 0 {
					return
				}
			}
			t.Fatalf("a is back, with weight 1 of 5: of 30 calls it got none")
		}
		until(2, func() { calls(c, 1) }) // it is ejected, again
		calls(c, 1)
		time.Sleep(10 * time.Second)
		f.answer("a", func() error { return <-verdict })
		f.took()
		var wg sync.WaitGroup
		until(1, func() {
			wg.Go(func() { c.UnaryCall(t.Context(), &pb.SimpleRequest{}) })
			synctest.Wait()
		})
		spread(t, f, c, "a's trial is under way, b's weight is 3 and c's 1", map[string]int{"b": 3, "c": 1})
		verdict <- nil
		wg.Wait()
	})
}

// No more than half of the replicas are ejected, and when no other is left the ejected ones take the calls.
//
//kata:zh 被摘除的副本不超过一半；没有别的可用时，由被摘除的承担调用。
func TestEjectionLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "a", "b", "c", "d", "e")
		r, c := dial(t, f, `{"failures": 2, "ejection": "1h"}`, list("a", "b", "c", "d", "e"))
		for addr := range f.replicas {
			f.answer(addr, fails(codes.Unavailable))
		}
		calls(c, 30)
		f.took()
		calls(c, 30)
		if got := f.took(); len(got) != 3 {
			t.Errorf("all five replicas fail: calls go to %v, want three of them: no more than half are ejected", got)
		}

		for addr := range f.replicas {
			f.answer(addr, nil)
		}
		r.say(list("a", "b", "c", "d"))
		r.say(list("a", "b"))
		r.say(list("c"))
		r.say(list("c", "d"))
		f.answer("c", fails(codes.Unavailable))
		calls(c, 8)
		spread(t, f, c, "c of c and d is ejected", map[string]int{"d": 6})
		f.stop("d")
		time.Sleep(time.Second)
		f.answer("c", nil)
		spread(t, f, c, "c is ejected, and d is down", map[string]int{"c": 6})

		f.start("d")
		f.healthy()
		r.say(list("d", "a"))
		r.say(list("a", "b", "d", "e"))
		f.stop("a")
		f.stop("b")
		time.Sleep(time.Second)
		for _, addr := range []string{"d", "e"} {
			f.answer(addr, fails(codes.Unavailable))
		}
		calls(c, 10)
		f.took()
		calls(c, 10)
		if got := f.took(); len(got) != 1 {
			t.Errorf("of four replicas two are down, and two fail: calls go to %v, want one of the two: no more than half of the ready ones are ejected", got)
		}
		f.answer("d", nil)

		r.say(list("c"))
		r.say(list("d"))
		f.answer("d", fails(codes.Unavailable))
		calls(c, 6)
		f.answer("d", nil)
		spread(t, f, c, "d, the only one, failed", map[string]int{"d": 6})

		// Who is on trial is not back yet: of c and e, c is out, and e fails meanwhile.
		r.say(list("c", "e"))
		f.answer("c", fails(codes.Unavailable))
		f.answer("e", nil)
		calls(c, 8)
		tried, verdict := make(chan error), make(chan error)
		f.answer("c", func() error { return <-tried })
		f.answer("e", func() error { return <-verdict })
		var wg sync.WaitGroup
		f.took()
		held := func() int { return f.took()["e"] }
		start := func() {
			wg.Go(func() { c.UnaryCall(t.Context(), &pb.SimpleRequest{}) })
			synctest.Wait()
		}
		start()
		start()
		n := held()
		time.Sleep(time.Hour)
		for range 4 { // one of them is c's trial
			start()
		}
		for n += held(); n > 0; n-- {
			verdict <- status.Error(codes.Unavailable, "not now")
			synctest.Wait()
		}
		f.answer("e", nil)
		spread(t, f, c, "c's trial is under way, and e has failed: e may not be ejected as well", map[string]int{"e": 6})
		close(tried)
		wg.Wait()
	})
}

// Each client connects to its subset only: the same whatever the order of the list, and a change of the list moves no more than it must.
//
//kata:zh 每个客户端只连接自己的子集：与列表的顺序无关；列表变化时，变动不超过必须的。
func TestSubset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []string
		for i := range 10 {
			all = append(all, fmt.Sprintf("10.0.0.%d:80", i+1))
		}
		used := make(map[string]int)
		for i := range 24 {
			f := newFleet(t, all...)
			r, _ := dial(t, f, fmt.Sprintf(`{"subset": 3, "client": "host-%d"}`, i), list(all...))
			mine := slices.Sorted(maps.Keys(f.connected()))
			if len(mine) != 3 {
				t.Fatalf("subset: 3: host-%d connected to %v", i, mine)
			}
			for _, addr := range mine {
				used[addr]++
			}
			if i%8 > 0 {
				continue
			}
			dialed := f.dialed()
			back := slices.Clone(all)
			slices.Reverse(back)
			r.say(list(back...))
			if now := f.dialed(); !maps.Equal(now, dialed) {
				t.Errorf("the list came in another order: host-%d dialed %v, and %v before", i, now, dialed)
			}
			for _, gone := range all {
				rest := slices.DeleteFunc(slices.Clone(all), func(addr string) bool { return addr == gone })
				want := slices.DeleteFunc(slices.Clone(mine), func(addr string) bool { return addr == gone })
				r.say(list(rest...))
				now := slices.Sorted(maps.Keys(f.connected()))
				if kept := slices.DeleteFunc(slices.Clone(now), func(addr string) bool { return !slices.Contains(want, addr) }); len(now) != 3 || !slices.Equal(kept, want) {
					t.Fatalf("%s left the list of ten: host-%d was connected to %v, and now to %v; want the rest of them kept, and 3 in all", gone, i, mine, now)
				}
				r.say(list(all...))
				if now := slices.Sorted(maps.Keys(f.connected())); !slices.Equal(now, mine) {
					t.Fatalf("%s left the list and came back: host-%d was connected to %v, and now to %v; want the same", gone, i, mine, now)
				}
			}
		}
		if len(used) != len(all) {
			t.Errorf("24 clients with a subset of 3 use only %d of 10 replicas: %v", len(used), used)
		}
	})
}

// A replica that says by the health service that it does not serve gets no calls until it does.
//
//kata:zh 副本通过健康检查服务说自己不提供服务时，不再得到调用，直到恢复。
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "a", "b")
		r, c := dial(t, f, `{}`, list("a"))
		f.replicas["b"].health.SetServingStatus("notes", healthpb.HealthCheckResponse_NOT_SERVING)
		r.say(list("a", "b"))
		spread(t, f, c, "b is connected, but its health is NOT_SERVING", map[string]int{"a": 6})
		dialed := f.dialed()
		f.replicas["b"].health.SetServingStatus("notes", healthpb.HealthCheckResponse_SERVING)
		f.replicas["a"].health.SetServingStatus("notes", healthpb.HealthCheckResponse_NOT_SERVING)
		synctest.Wait()
		spread(t, f, c, "b's health became SERVING, a's NOT_SERVING", map[string]int{"b": 6})
		f.replicas["a"].health.SetServingStatus("notes", healthpb.HealthCheckResponse_SERVING)
		synctest.Wait()
		spread(t, f, c, "both are SERVING", map[string]int{"a": 3, "b": 3})
		if now := f.dialed(); !maps.Equal(now, dialed) {
			t.Errorf("a change of health opened new connections: %v, before it %v", now, dialed)
		}
	})
}

// Connections that are lost are made again; while all replicas are down calls fail at once with the reason, unless they wait for ready.
//
//kata:zh 断掉的连接会重新建立；全部副本不可达时，调用立即失败并带上原因，除非它声明等待就绪。
func TestDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, "a", "b")
		_, c := dial(t, f, `{}`, list("a", "b"))
		f.stop("a")
		f.start("a")
		f.healthy()
		time.Sleep(10 * time.Second) // more than gRPC's first backoff
		spread(t, f, c, "a was restarted, 10s ago", map[string]int{"a": 3, "b": 3})

		f.stop("a")
		f.stop("b")
		time.Sleep(time.Second)
		var patient error
		done := make(chan bool)
		go func() {
			defer close(done)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
			defer cancel()
			_, patient = c.UnaryCall(ctx, &pb.SimpleRequest{}, grpc.WaitForReady(true))
		}()
		for range 4000 { // while gRPC tries to connect again and again, which takes 20ms each time
			began := time.Now()
			_, err := call(c)
			if took := time.Since(began); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "no route to") || took > 0 {
				t.Errorf("both replicas are down: a call returned %v after %v, want Unavailable at once, with \"no route to\" one of them", err, took)
				break
			}
			time.Sleep(15 * time.Millisecond)
		}
		f.start("b")
		f.healthy()
		time.Sleep(3 * time.Minute) // more than gRPC's longest backoff
		<-done
		if patient != nil {
			t.Errorf("a call that waits for ready, through an outage of a minute, returned %v", patient)
		}
		spread(t, f, c, "b is back", map[string]int{"b": 6})
	})
}
