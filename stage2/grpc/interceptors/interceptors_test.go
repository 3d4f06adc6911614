package interceptors_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/roadkata/roadkata/stage2/grpc/interceptors"
)

// A server that lets only Ada in, and a client that talks to it.
func TestExample(t *testing.T) {
	lis := bufconn.Listen(1 << 16)
	srv := grpc.NewServer(interceptors.ServerOptions(interceptors.Options{
		Authenticate: func(_ context.Context, token string) (interceptors.Identity, error) {
			if token != "ada's token" {
				return interceptors.Identity{}, errors.New("no such token")
			}
			return interceptors.Identity{Subject: "ada"}, nil
		},
	})...)
	healthpb.RegisterHealthServer(srv, health.NewServer())
	go srv.Serve(lis)
	t.Cleanup(srv.Stop)

	opts := append(interceptors.DialOptions(interceptors.ClientOptions{}),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return lis.Dial() }))
	conn, err := grpc.NewClient("passthrough:///example", opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })

	client := healthpb.NewHealthClient(conn)
	if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("Check without a token = %v, want Unauthenticated", err)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer ada's token")
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("Check with ada's token = %v", err)
	}
}
