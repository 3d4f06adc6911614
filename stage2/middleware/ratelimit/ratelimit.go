// Package ratelimit bounds how often each client of an HTTP service may call: by a token bucket in the process, or by a sliding window in
// Redis that all instances share.
package ratelimit

import (
	"context"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"
)

// Policy says how often: Limit requests in a Window, for each client.
type Policy struct {
	Name   string // letters, digits and hyphens
	Limit  int
	Window time.Duration
}

// Decision is what becomes of a request, and what its client may expect next.
type Decision struct {
	Allowed    bool
	Remaining  int           // how many more requests would be allowed at this moment
	Reset      time.Duration // until Limit requests would be allowed again, if none came
	RetryAfter time.Duration // of a request that is not allowed: until one would be
}

// Limiter decides about requests.
type Limiter interface {
	Policy() Policy
	Take(ctx context.Context, client string) (Decision, error)
}

// Bucket is a token bucket for each client, in this process: it holds Limit tokens, and fills evenly within a Window.
type Bucket struct {
	// TODO
}

// NewBucket returns a limiter for one process.
func NewBucket(p Policy) *Bucket {
	panic("TODO: a token bucket for each client")
}

// Policy returns what NewBucket was given.
func (b *Bucket) Policy() Policy { panic("TODO") }

// Take takes a token from the client's bucket, if there is one. Its error is nil.
func (b *Bucket) Take(ctx context.Context, client string) (Decision, error) {
	panic("TODO: exact to the nanosecond, for any number of callers at once")
}

// Clients returns how many clients are remembered.
func (b *Bucket) Clients() int { panic("TODO: idle clients are forgotten") }

// Window is a sliding window for each client, in Redis: at most Limit requests in any stretch of time of that length, by the clock of Redis.
type Window struct {
	// TODO
}

// NewWindow returns a limiter for all instances that share the Redis. It sends nothing yet.
func NewWindow(rdb redis.UniversalClient, p Policy) *Window {
	panic("TODO: a sliding window for each client, in Redis")
}

// Policy returns what NewWindow was given.
func (w *Window) Policy() Policy { panic("TODO") }

// Take counts a request, if the window has room for it. The error is that of Redis or of ctx.
func (w *Window) Take(ctx context.Context, client string) (Decision, error) {
	panic("TODO: one atomic script")
}

// Options configures the middleware.
type Options struct {
	Limiter  Limiter
	Client   func(*http.Request) string // who calls; "" is not limited. nil: the host of RemoteAddr
	Timeout  time.Duration              // how long to wait for a decision; 0: as long as the request lasts
	FailOpen bool                       // without a decision, let the request through; else refuse it with 503
}

// Middleware limits the requests that reach a handler.
func Middleware(o Options) func(http.Handler) http.Handler {
	panic("TODO: decide, tell the client by headers, pass on or refuse")
}
