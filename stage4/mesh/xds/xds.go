// Package xds is a control plane: it tells gRPC clients by xDS which replicas there are, and which calls go where.
package xds

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// Config is all that clients are told.
type Config struct {
	Services map[string][]Route    // by the name in xds:///name; the first route that matches a call has it
	Clusters map[string][]Endpoint // the replicas, in groups
}

// Endpoint is one replica.
type Endpoint struct {
	Addr     string // IP:port
	Draining bool   // no new calls
}

// Route says what becomes of the calls that match it.
type Route struct {
	Prefix  string            // of the method: "/" or "/pkg.Service/Method"
	Headers map[string]string // which the call has, each with exactly this value
	Split   map[string]int    // weights, by cluster
	Timeout time.Duration     // of the whole call; 0: none
	Retry   *Retry
	Fault   *Fault
}

// Retry repeats calls that failed.
type Retry struct {
	Attempts int          // in all, the first one included: at least 2
	On       []codes.Code // Canceled, DeadlineExceeded, Internal, ResourceExhausted or Unavailable
}

// Fault fails calls on purpose, before they are sent.
type Fault struct {
	Percent int // 0 to 100
	Code    codes.Code
}

// Plane is a control plane. Its methods may be called from several goroutines.
type Plane struct{}

// New returns a plane that has nothing to tell yet. Its streams end with ctx. When a client refuses a config, and the plane has gone back to
// the one before, it calls refused, if that is not nil.
func New(ctx context.Context, refused func(error)) *Plane {
	panic("TODO: a snapshot cache for all clients, and a server with callbacks")
}

// Register puts the plane's Aggregated Discovery Service into a server.
func (p *Plane) Register(s grpc.ServiceRegistrar) {
	panic("TODO: the server that serves the cache")
}

// Apply replaces the config, for all clients at once. If something in it cannot be, it returns an error and changes nothing.
func (p *Plane) Apply(c Config) error {
	panic("TODO: check it; turn it into listeners, routes, clusters and endpoints; publish")
}
