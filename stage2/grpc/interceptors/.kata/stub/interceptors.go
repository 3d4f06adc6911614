// Package interceptors is what every gRPC service of the house puts in front of its handlers, and every client in front of its calls:
// logging, recovery, time limits, authentication and validation, for unary calls and for streams.
package interceptors

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"
)

// Limits bounds calls in time. Zero is no limit.
type Limits struct {
	Unary  time.Duration
	Stream time.Duration
}

// Identity is who calls.
type Identity struct {
	Subject string
	Expires time.Time // when the credential ends; zero: never
}

// Options configures a server. A nil function is a step that is left out.
type Options struct {
	Logger       *slog.Logger                                                // one line for each call
	Limits       Limits                                                      // the longest that a call may take
	Authenticate func(ctx context.Context, token string) (Identity, error)   // who holds this bearer token
	Public       func(fullMethod string) bool                                // methods that ask for no token
	Validate     func(ctx context.Context, fullMethod string, msg any) error // what is wrong with a request message
}

// ServerOptions returns the options that put the interceptors into a server.
func ServerOptions(o Options) []grpc.ServerOption {
	panic("TODO: chain the interceptors, in the right order, for unary calls and for streams")
}

// FromContext returns who calls, inside of Validate and of handlers. It reports false in calls of public methods.
func FromContext(ctx context.Context) (Identity, bool) {
	panic("TODO: the identity that the authentication left")
}

// ClientOptions configures a client.
type ClientOptions struct {
	Limits  Limits   // how long a call may take that has no deadline of its own
	Forward []string // metadata keys that are passed on from the call that is being handled
}

// DialOptions returns the options that put the interceptors into a client.
func DialOptions(o ClientOptions) []grpc.DialOption {
	panic("TODO: chain the client's interceptors")
}
