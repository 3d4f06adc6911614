// Package loadbalance spreads a client's gRPC calls over the replicas of a service: a resolver that follows a registry, and a policy with
// weights, subsets and ejection.
package loadbalance

import (
	"context"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/resolver"
)

// Backend is one replica of a service.
type Backend struct {
	Addr   string
	Weight int // its share of the calls; less than 1 counts as 1
}

// Watch tells update the replicas of a service, at once and after each change, always the whole list. It returns when ctx ends, or earlier
// when the watch breaks.
type Watch func(ctx context.Context, service string, update func([]Backend)) error

// NewResolver returns the builder of resolvers for targets like scheme:///service, which follow watch.
func NewResolver(scheme string, watch Watch) resolver.Builder {
	panic("TODO: a resolver that hands on what watch says, and starts it again when it breaks")
}

// Policy is the name of the load balancing policy in service configs.
const Policy = "roadkata_weighted"

// NewBalancer returns the builder of the policy, for balancer.Register. It is a balancer.ConfigParser, too; the policy's configuration is
//
//	{"client": "host-7", "subset": 3, "failures": 5, "ejection": "10s"}
//
// in which everything may be left out.
func NewBalancer() balancer.Builder {
	panic("TODO: a balancer with one connection to each back end, and a picker")
}
