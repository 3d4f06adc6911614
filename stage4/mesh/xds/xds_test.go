package xds_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	grpcxds "google.golang.org/grpc/xds"

	"github.com/roadkata/roadkata/stage4/mesh/xds"
)

// A gRPC client that dials xds:///notes finds the replica that the plane tells it.
func TestExample(t *testing.T) {
	serve := func(register func(*grpc.Server)) string {
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
	plane := xds.New(t.Context(), nil)
	addr := serve(func(s *grpc.Server) { plane.Register(s) })
	replica := serve(func(s *grpc.Server) { healthpb.RegisterHealthServer(s, health.NewServer()) })

	err := plane.Apply(xds.Config{
		Services: map[string][]xds.Route{"notes": {{Prefix: "/", Split: map[string]int{"notes-v1": 100}}}},
		Clusters: map[string][]xds.Endpoint{"notes-v1": {{Addr: replica}}},
	})
	if err != nil {
		t.Fatal(err)
	}

	resolver, err := grpcxds.NewXDSResolverWithConfigForTesting(fmt.Appendf(nil, `{
		"xds_servers": [{"server_uri": %q, "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}],
		"node": {"id": "example"}
	}`, addr))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("xds:///notes", grpc.WithResolvers(resolver), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("a call to xds:///notes: %v", err)
	}
}
