// Package ratelimit: the TTL of the key is rounded down to whole milliseconds: the key is gone before the window is, and the count with it.
//
//kata:caught-by TestWindowKeys
package ratelimit

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
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
//
// Of a bucket, only the moment is kept at which it will be full. That is all there is to know: how far off that moment is says how many
// tokens are missing, and a client whose moment has passed need not be known at all.
type Bucket struct {
	policy Policy
	token  time.Duration // in which one token arrives

	mu      sync.Mutex
	full    map[string]time.Time
	sweepAt time.Time
}

// NewBucket returns a limiter for one process.
func NewBucket(p Policy) *Bucket {
	return &Bucket{policy: p, token: p.Window / time.Duration(p.Limit), full: map[string]time.Time{}}
}

// Policy returns what NewBucket was given.
func (b *Bucket) Policy() Policy { return b.policy }

// Take takes a token from the client's bucket, if there is one. Its error is nil.
func (b *Bucket) Take(_ context.Context, client string) (Decision, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.sweep(now)
	full := b.full[client]
	if full.Before(now) {
		full = now
	}
	capacity := b.token * time.Duration(b.policy.Limit)
	missing := full.Sub(now)
	if missing+b.token > capacity {
		return Decision{Reset: missing, RetryAfter: missing + b.token - capacity}, nil
	}
	missing += b.token
	b.full[client] = now.Add(missing)
	return Decision{Allowed: true, Remaining: int((capacity - missing) / b.token), Reset: missing}, nil
}

// sweep forgets the clients whose buckets are full, once in a Window: that costs each call a constant share, and needs no goroutine.
func (b *Bucket) sweep(now time.Time) {
	if now.Before(b.sweepAt) {
		return
	}
	for client, full := range b.full {
		if !full.After(now) {
			delete(b.full, client)
		}
	}
	b.sweepAt = now.Add(b.policy.Window)
}

// Clients returns how many clients are remembered.
func (b *Bucket) Clients() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.full)
}

// Window is a sliding window for each client, in Redis: at most Limit requests in any stretch of time of that length, by the clock of Redis.
type Window struct {
	rdb    redis.UniversalClient
	policy Policy
}

// NewWindow returns a limiter for all instances that share the Redis. It sends nothing yet.
func NewWindow(rdb redis.UniversalClient, p Policy) *Window { return &Window{rdb, p} }

// Policy returns what NewWindow was given.
func (w *Window) Policy() Policy { return w.policy }

// take keeps the moments of the allowed requests of a window in a sorted set. Nothing comes between the commands of a script: reading,
// deciding and writing are one. It answers with whether it was allowed, how many there are now, how
// long until there is room again, and how long until all of them have left, by the clock of Redis: the clocks of the instances need not agree.
var take = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local limit, window, id = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - window))
local count = redis.call('ZCARD', KEYS[1])
local allowed = 0
if count < limit then
	allowed = 1
	count = count + 1
	redis.call('ZADD', KEYS[1], string.format('%.0f', now), id)
	redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.floor((now + window) / 1000)))
end
-- there may be more than limit of them, let in by an instance whose policy is older: all that are too many have to leave
local first = math.max(0, count - limit)
local oldest = redis.call('ZRANGE', KEYS[1], first, first, 'WITHSCORES')[2]
local newest = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
return {allowed, count, oldest + window - now, newest + window - now}
`)

// Take counts a request, if the window has room for it. The error is that of Redis or of ctx.
func (w *Window) Take(ctx context.Context, client string) (Decision, error) {
	key := "ratelimit:" + w.policy.Name + ":" + client
	// Two requests of one microsecond are two: their entries need names of their own.
	got, err := take.Run(ctx, w.rdb, []string{key}, w.policy.Limit, w.policy.Window.Microseconds(), rand.Text()).Int64Slice()
	if err != nil {
		return Decision{}, fmt.Errorf("ratelimit: %w", err)
	}
	d := Decision{
		Allowed:   got[0] == 1,
		Remaining: max(0, w.policy.Limit-int(got[1])),
		Reset:     time.Duration(got[3]) * time.Microsecond,
	}
	if !d.Allowed {
		d.RetryAfter = time.Duration(got[2]) * time.Microsecond
	}
	return d, nil
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
