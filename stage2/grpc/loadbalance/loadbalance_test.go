package loadbalance_test

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/test/bufconn"

	"github.com/roadkata/roadkata/stage2/grpc/loadbalance"
)

// A client spreads eight calls over two replicas, three to one.
func TestExample(t *testing.T) {
	balancer.Register(loadbalance.NewBalancer())
	replicas := map[string]*bufconn.Listener{"10.0.0.1:80": bufconn.Listen(1 << 16), "10.0.0.2:80": bufconn.Listen(1 << 16)}
	for _, lis := range replicas {
		srv := grpc.NewServer()
		healthpb.RegisterHealthServer(srv, health.NewServer())
		go srv.Serve(lis)
		t.Cleanup(srv.Stop)
	}
	watch := func(ctx context.Context, service string, update func([]loadbalance.Backend)) error {
		update([]loadbalance.Backend{{Addr: "10.0.0.1:80", Weight: 3}, {Addr: "10.0.0.2:80", Weight: 1}})
		<-ctx.Done()
		return ctx.Err()
	}
	conn, err := grpc.NewClient("example:///notes",
		grpc.WithResolvers(loadbalance.NewResolver("example", watch)),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"roadkata_weighted": {}}]}`),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(_ context.Context, addr string) (net.Conn, error) {
			c, err := replicas[addr].Dial()
			return named{c, addr}, err
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()

	calls := make(map[string]int)
	call := func() {
		var p peer.Peer
		if _, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}, grpc.Peer(&p), grpc.WaitForReady(true)); err != nil {
			t.Fatal(err)
		}
		calls[p.Addr.String()]++
	}
	for len(calls) < 2 { // until both are connected
		call()
	}
	clear(calls)
	for range 8 {
		call()
	}
	if calls["10.0.0.1:80"] != 6 || calls["10.0.0.2:80"] != 2 {
		t.Errorf("8 calls with weights 3 and 1 went to %v, want 6 and 2", calls)
	}
}

// named is a connection that knows its peer's address.
type named struct {
	net.Conn
	addr string
}

func (n named) RemoteAddr() net.Addr { return n }
func (n named) Network() string      { return "bufconn" }
func (n named) String() string       { return n.addr }

// A configuration that makes no sense is refused.
func TestExampleConfig(t *testing.T) {
	parser, ok := loadbalance.NewBalancer().(balancer.ConfigParser)
	if !ok {
		t.Fatal("NewBalancer() is no balancer.ConfigParser")
	}
	for config, good := range map[string]bool{
		`{}`: true,
		`{"client": "host-7", "subset": 3, "failures": 5, "ejection": "10s"}`: true,
		`{"subset": 3}`:                       false, // whose?
		`{"failures": 5}`:                     false, // for how long?
		`{"client": "host-7", "subset": -1}`:  false,
		`{"failures": 5, "ejection": "soon"}`: false,
	} {
		if _, err := parser.ParseConfig([]byte(config)); (err == nil) != good {
			t.Errorf("ParseConfig(%s) returned the error %v, want an error: %v", config, err, !good)
		}
	}
}
