// Package ratelimit bounds how often each client of an HTTP service may call: by a token bucket in the process, or by a sliding window in
// Redis that all instances share.
package ratelimit

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
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

// Bucket is a token bucket for each client, in this process: what it held at some moment, and that moment. Clients live in two
// generations: one that comes moves into the young one; a window later, the young one is old, and the old one is gone.
type Bucket struct {
	policy Policy
	turn   chan struct{} // whoever holds its only token may touch the rest
	young  map[string]level
	old    map[string]level
	born   time.Time // of the young generation
}

type level struct {
	held time.Duration // tokens, as the time that it took them to arrive
	at   time.Time
}

// NewBucket returns a limiter for one process.
func NewBucket(p Policy) *Bucket {
	b := &Bucket{policy: p, turn: make(chan struct{}, 1), young: map[string]level{}, old: map[string]level{}, born: time.Now()}
	b.turn <- struct{}{}
	return b
}

// Policy returns what NewBucket was given.
func (b *Bucket) Policy() Policy { return b.policy }

// Take takes a token from the client's bucket, if there is one. Its error is nil.
func (b *Bucket) Take(_ context.Context, client string) (d Decision, _ error) {
	<-b.turn
	defer func() { b.turn <- struct{}{} }()
	now := time.Now()
	switch age := now.Sub(b.born); {
	case age >= 2*b.policy.Window:
		b.young, b.old, b.born = map[string]level{}, map[string]level{}, now
	case age >= b.policy.Window:
		b.young, b.old, b.born = map[string]level{}, b.young, b.born.Add(b.policy.Window)
	}
	token := b.policy.Window / time.Duration(b.policy.Limit)
	whole := token * time.Duration(b.policy.Limit)
	l, known := b.young[client]
	if !known {
		if l, known = b.old[client]; !known {
			l = level{held: whole, at: now}
		}
		delete(b.old, client)
	}
	l.held = min(whole, l.held+now.Sub(l.at))
	l.at = now
	if l.held >= token {
		l.held -= token
		d.Allowed = true
	} else {
		d.RetryAfter = token - l.held
	}
	b.young[client] = l
	d.Remaining = int(l.held / token)
	d.Reset = whole - l.held
	return d, nil
}

// Clients returns how many clients are remembered.
func (b *Bucket) Clients() int {
	<-b.turn
	defer func() { b.turn <- struct{}{} }()
	return len(b.young) + len(b.old)
}

// Window is a sliding window for each client, in Redis: a list of the moments of its allowed requests, the oldest first.
type Window struct {
	rdb    redis.UniversalClient
	policy Policy
}

// NewWindow returns a limiter for all instances that share the Redis. It sends nothing yet.
func NewWindow(rdb redis.UniversalClient, p Policy) *Window { return &Window{rdb: rdb, policy: p} }

// Policy returns what NewWindow was given.
func (w *Window) Policy() Policy { return w.policy }

// A list of Limit moments is all that is needed: if the first of them still lies in the window when it is full, there is no room.
var admit = redis.NewScript(`
local t = redis.call('TIME')
local now = tonumber(t[1] .. string.rep('0', 6 - #t[2]) .. t[2])
local limit = tonumber(ARGV[1])
local window = tonumber(ARGV[2])
while true do
	local first = redis.call('LINDEX', KEYS[1], 0)
	if not first or tonumber(first) + window > now then break end
	redis.call('LPOP', KEYS[1])
end
local wait = 0
local n = redis.call('LLEN', KEYS[1])
if n >= limit then
	wait = tonumber(redis.call('LINDEX', KEYS[1], 0)) + window - now
else
	n = redis.call('RPUSH', KEYS[1], string.format('%.0f', now))
	redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000) + 1)
end
local reset = tonumber(redis.call('LINDEX', KEYS[1], -1)) + window - now
return {wait, limit - n, reset}
`)

// Take counts a request, if the window has room for it. The error is that of Redis or of ctx.
func (w *Window) Take(ctx context.Context, client string) (Decision, error) {
	keys := []string{"ratelimit:" + w.policy.Name + ":" + client}
	answer, err := admit.Run(ctx, w.rdb, keys, w.policy.Limit, int64(w.policy.Window/time.Microsecond)).Slice()
	if err != nil {
		return Decision{}, err
	}
	micros := func(i int) time.Duration { return time.Duration(answer[i].(int64)) * time.Microsecond }
	return Decision{Allowed: micros(0) == 0, RetryAfter: micros(0), Remaining: int(answer[1].(int64)), Reset: micros(2)}, nil
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
	client := o.Client
	if client == nil {
		client = remoteHost
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who := client(r)
			if who == "" {
				next.ServeHTTP(w, r)
				return
			}
			d, err := o.decide(r.Context(), who)
			switch {
			case err != nil && o.FailOpen:
				next.ServeHTTP(w, r)
			case err != nil:
				http.Error(w, "rate limiting is not available", http.StatusServiceUnavailable)
			case d.Allowed:
				tell(w.Header(), o.Limiter.Policy(), d)
				next.ServeHTTP(w, r)
			default:
				tell(w.Header(), o.Limiter.Policy(), d)
				w.Header().Set("Retry-After", strconv.Itoa(max(1, seconds(d.RetryAfter))))
				http.Error(w, "too many requests", http.StatusTooManyRequests)
			}
		})
	}
}

// decide asks the limiter. The time limit is the limiter's only: the handler has the request's context.
func (o Options) decide(ctx context.Context, client string) (Decision, error) {
	if o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Timeout)
		defer cancel()
	}
	return o.Limiter.Take(ctx, client)
}

// remoteHost is the address of a client without its port, which is another one for each connection.
func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// tell sets the header fields of draft-ietf-httpapi-ratelimit-headers-10.
func tell(h http.Header, p Policy, d Decision) {
	h.Set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", p.Name, p.Limit, seconds(p.Window)))
	h.Set("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", p.Name, d.Remaining, seconds(d.Reset)))
}

// seconds rounds up: a client that comes back on time must not be too early.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
