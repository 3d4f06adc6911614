// Package ratelimit: count, compare, add, each by a command of its own: between them, other instances do the same.
//
//kata:caught-by TestWindowShared
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

// Take counts a request, if the window has room for it. The error is that of Redis or of ctx.
func (w *Window) Take(ctx context.Context, client string) (Decision, error) {
	key := "ratelimit:" + w.policy.Name + ":" + client
	now, err := w.rdb.Time(ctx).Result()
	if err != nil {
		return Decision{}, err
	}
	window := w.policy.Window
	micros := func(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }
	w.rdb.ZRemRangeByScore(ctx, key, "-inf", micros(now.Add(-window)))
	entries, err := w.rdb.ZRangeWithScores(ctx, key, 0, -1).Result()
	if err != nil {
		return Decision{}, err
	}
	left := func(e redis.Z) time.Duration { return time.UnixMicro(int64(e.Score)).Add(window).Sub(now) }
	if n := len(entries); n >= w.policy.Limit {
		return Decision{Reset: left(entries[n-1]), RetryAfter: left(entries[0])}, nil
	}
	if err := w.rdb.ZAdd(ctx, key, redis.Z{Score: float64(now.UnixMicro()), Member: rand.Text()}).Err(); err != nil {
		return Decision{}, err
	}
	w.rdb.PExpire(ctx, key, window+time.Millisecond)
	return Decision{Allowed: true, Remaining: w.policy.Limit - len(entries) - 1, Reset: window}, nil
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
