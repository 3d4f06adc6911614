// Rate limits for each client: in one process, over many, and what a client is told.
//
//kata:level 2
//kata:minutes 90
//kata:engine simulated miniredis 2.40, by go-redis 9
//kata:race
package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadkata/roadkata/stage2/internal/kit/redistest"
	"github.com/roadkata/roadkata/stage2/middleware/ratelimit"
)

var ten = ratelimit.Policy{Name: "api", Limit: 10, Window: time.Minute}

// take fails if the decision is not what is wanted.
func take(t *testing.T, l ratelimit.Limiter, what, client string, want ratelimit.Decision) {
	t.Helper()
	got, err := l.Take(t.Context(), client)
	if err != nil {
		t.Fatalf("%s: Take(%q) = %v", what, client, err)
	}
	if got != want {
		t.Errorf("%s: Take(%q) = %+v, want %+v", what, client, got, want)
	}
}

func yes(remaining int, reset time.Duration) ratelimit.Decision {
	return ratelimit.Decision{Allowed: true, Remaining: remaining, Reset: reset}
}

func no(reset, after time.Duration) ratelimit.Decision {
	return ratelimit.Decision{Reset: reset, RetryAfter: after}
}

// A bucket lets Limit requests in at once, then one for each token that has arrived, to the nanosecond.
//
//kata:zh 桶一次放行 Limit 个请求，之后来一个令牌放一个，精确到纳秒。
func TestBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := ratelimit.NewBucket(ten)
		const token = 6 * time.Second
		for i := range 10 {
			take(t, b, fmt.Sprintf("request %d of 10 at once", i+1), "ada", yes(9-i, time.Duration(i+1)*token))
		}
		take(t, b, "the 11th at once", "ada", no(10*token, token))
		take(t, b, "another client's first", "bob", yes(9, token))
		time.Sleep(token - 1)
		take(t, b, "a nanosecond before the first token arrives", "ada", no(9*token+1, 1))
		time.Sleep(1)
		take(t, b, "when the first token has arrived", "ada", yes(0, 10*token))
		time.Sleep(2*token + token/2)
		take(t, b, "two and a half tokens later", "ada", yes(1, 8*token+token/2))
		time.Sleep(time.Hour)
		take(t, b, "an hour later: the bucket does not overflow", "ada", yes(9, token))
		if p := b.Policy(); p != ten {
			t.Errorf("Policy() = %+v, want what NewBucket was given", p)
		}

		// A second in three does not come out even.
		b = ratelimit.NewBucket(ratelimit.Policy{Name: "api", Limit: 3, Window: time.Second})
		const third = 333333333
		for i := range 3 {
			take(t, b, fmt.Sprintf("request %d of 3 a second, at once", i+1), "eve", yes(2-i, time.Duration(i+1)*third))
		}
		for n := range 20 {
			time.Sleep(third - 1)
			take(t, b, fmt.Sprintf("3 a second, a nanosecond before token %d arrives", n+1), "eve", no(2*third+1, 1))
			time.Sleep(1)
			take(t, b, fmt.Sprintf("3 a second, when token %d has arrived", n+1), "eve", yes(0, 3*third))
		}
	})
}

// Of any number of requests at once, a bucket lets in exactly as many as it holds tokens.
//
//kata:zh 同时来多少请求都一样，桶放行的正好等于令牌数。
func TestBucketConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := ratelimit.NewBucket(ratelimit.Policy{Name: "api", Limit: 100, Window: time.Minute})
		var allowed [3]atomic.Int64
		var all sync.WaitGroup
		for i := range 600 {
			all.Go(func() {
				if d, _ := b.Take(t.Context(), fmt.Sprint("client", i%3)); d.Allowed {
					allowed[i%3].Add(1)
				}
				b.Clients()
			})
		}
		all.Wait()
		for i := range allowed {
			if n := allowed[i].Load(); n != 100 {
				t.Errorf("of 200 requests at once by client%d, %d were allowed, want 100", i, n)
			}
		}
	})
	// And once more in real time, for those whose lock does not cover all that it should.
	b := ratelimit.NewBucket(ratelimit.Policy{Name: "api", Limit: 1000, Window: 1000 * time.Hour})
	var allowed atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 4000 {
				if d, _ := b.Take(t.Context(), "ada"); d.Allowed {
					allowed.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := allowed.Load(); n != 1000 {
		t.Errorf("of 16000 requests, %d were allowed, want 1000", n)
	}
}

// A bucket forgets clients that are idle, within two windows, and keeps what others owe.
//
//kata:zh 空闲的客户端最迟两个窗口后被忘掉；还欠着令牌的不会。
func TestBucketForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := ratelimit.NewBucket(ten)
		for i := range 5000 {
			b.Take(t.Context(), fmt.Sprint("visitor", i))
		}
		time.Sleep(2 * time.Minute)
		b.Take(t.Context(), "last")
		if n := b.Clients(); n > 1 {
			t.Errorf("5000 clients sent one request each, two windows ago: %d clients are remembered, want at most the one that has just come", n)
		}
		// Now they come one by one: somebody always calls, and nobody twice.
		for i := range 200 {
			time.Sleep(7 * time.Second)
			b.Take(t.Context(), fmt.Sprint("passer-by", i))
			if n := b.Clients(); n > 18 {
				t.Fatalf("a new client comes every 7s, none of them twice: %d are remembered, want at most the 18 that came within the last two windows", n)
			}
		}
		// One that takes all it can get, and another each time a token arrives, is never forgiven.
		allowed := 0
		for range 4 * 60 {
			if d, _ := b.Take(t.Context(), "greedy"); d.Allowed {
				allowed++
			}
			time.Sleep(time.Second)
		}
		if want := 10 + 4*10 - 1; allowed != want {
			t.Errorf("a client that asks every second for four minutes is allowed %d requests, want %d: the 10 of a full bucket, and one for each token that arrived", allowed, want)
		}
	})
}

// measure is how the suite measures time on a server: to the microsecond, by a clock that it moves itself; or on a real server, by waiting for
// shorter times, and roughly.
type measure struct {
	unit  time.Duration // that a second stands for
	early time.Duration // before a moment, as close as can be told
	late  time.Duration // after a moment, so that it has come for certain
	slack time.Duration // by which a duration may be off
}

func measureOf(s *redistest.Server) measure {
	if s.Real() {
		const unit = 40 * time.Millisecond
		return measure{unit: unit, early: 4 * unit, late: unit, slack: 3 * unit}
	}
	return measure{unit: time.Second, early: time.Microsecond}
}

func (m measure) near(got, want time.Duration) bool { return (got - want).Abs() <= m.slack }

// take is like the function, for durations that are only measured.
func (m measure) take(t *testing.T, l ratelimit.Limiter, what, client string, want ratelimit.Decision) {
	t.Helper()
	got, err := l.Take(t.Context(), client)
	if err != nil {
		t.Fatalf("%s: Take(%q) = %v", what, client, err)
	}
	if got.Allowed != want.Allowed || got.Remaining != want.Remaining || !m.near(got.Reset, want.Reset) || !m.near(got.RetryAfter, want.RetryAfter) {
		t.Errorf("%s: Take(%q) = %+v, want %+v", what, client, got, want)
	}
}

// A window lets at most Limit requests in, in any stretch of time of its length, by the clock of Redis; refused ones do not count.
//
//kata:zh 按 Redis 的时钟，任何一段窗口长度的时间内最多放行 Limit 个请求；被拒绝的不计数。
func TestWindow(t *testing.T) {
	s := redistest.Start(t)
	m := measureOf(s)
	minute, step := 60*m.unit, 5*m.unit
	policy := ratelimit.Policy{Name: "api", Limit: 10, Window: minute}
	w := ratelimit.NewWindow(s.Client(t), policy)
	m.take(t, w, "the first request of all", "eve", yes(9, minute))
	s.Advance(m.unit)
	for i := range 10 { // at 0, 5, … 45 s
		m.take(t, w, fmt.Sprintf("request %d of 10, %v apart", i+1, step), "ada", yes(9-i, minute))
		s.Advance(step)
	}
	m.take(t, w, fmt.Sprintf("the 11th, %v after the first", 10*step), "ada", no(55*m.unit, 10*m.unit))
	m.take(t, w, "another client's first", "bob", yes(9, minute))
	s.Advance(10*m.unit - m.early)
	for range 3 {
		m.take(t, w, fmt.Sprintf("%v before the first one leaves the window", m.early), "ada", no(45*m.unit+m.early, m.early))
	}
	s.Advance(m.early + m.late)
	m.take(t, w, "when the first one has left the window", "ada", yes(0, minute))
	m.take(t, w, "and one more", "ada", no(minute, step))
	s.Advance(step)
	m.take(t, w, "when the second one has left the window", "ada", yes(0, minute))
	s.Advance(minute + m.late)
	for i := range 10 {
		m.take(t, w, fmt.Sprintf("request %d of 10 at once, a window later", i+1), "ada", yes(9-i, minute))
	}
	m.take(t, w, "the 11th at once", "ada", no(minute, minute))
	if p := w.Policy(); p != policy {
		t.Errorf("Policy() = %+v, want what NewWindow was given", p)
	}
}

// Instances that share a Redis let exactly Limit requests in between them, however their commands interleave.
//
//kata:zh 共享同一个 Redis 的多个实例加起来正好放行 Limit 个，不管命令怎样交错。
func TestWindowShared(t *testing.T) {
	s := redistest.Start(t)
	const instances = 4
	// After its first command, each instance waits until all have sent theirs: whoever reads first and decides then has read what all others read.
	var first sync.WaitGroup
	first.Add(instances)
	var all sync.WaitGroup
	var allowed atomic.Int64
	for range instances {
		cli := s.Client(t)
		w := ratelimit.NewWindow(cli, ten)
		var once sync.Once
		cli.After(func(string) {
			once.Do(func() {
				first.Done()
				done := make(chan struct{})
				go func() { first.Wait(); close(done) }()
				select {
				case <-done:
				case <-time.After(10 * time.Second):
				}
			})
		})
		for range 5 {
			all.Go(func() {
				d, err := w.Take(t.Context(), "ada")
				if err != nil {
					t.Errorf("Take = %v", err)
				}
				if d.Allowed {
					allowed.Add(1)
				}
			})
		}
	}
	all.Wait()
	if n := allowed.Load(); n != 10 {
		t.Errorf("of 20 requests at once over %d instances, %d were allowed, want 10", instances, n)
	}
}

// A client's key is one, named in the contract; it is gone when its window is empty, and a refused request neither makes nor prolongs it.
//
//kata:zh 每个客户端一个键，名字如约定所写；窗口空了键就没了，被拒绝的请求既不创建也不延长它。
func TestWindowKeys(t *testing.T) {
	s := redistest.Start(t)
	m := measureOf(s)
	window := 90 * m.unit
	w := ratelimit.NewWindow(s.Client(t), ratelimit.Policy{Name: "api", Limit: 2, Window: window})
	for range 2 {
		w.Take(t.Context(), "ada")
	}
	const key = "ratelimit:api:ada"
	if keys, want := s.Keys(t), []string{key}; !slices.Equal(keys, want) {
		t.Fatalf("after two requests of ada, Redis holds the keys %q, want %q", keys, want)
	}
	lives := func(what string, want time.Duration) {
		t.Helper()
		if ttl := s.TTL(t, key); ttl < want-m.slack || ttl > want+m.slack+time.Second {
			t.Errorf("%s, the key has a TTL of %v (negative: none), want %v or up to a second more", what, ttl, want)
		}
	}
	lives("after a request", window)
	s.Advance(60 * m.unit)
	if d, err := w.Take(t.Context(), "ada"); err != nil || d.Allowed {
		t.Fatalf("the third request within the window: Take = %+v, %v; want it refused", d, err)
	}
	lives(fmt.Sprintf("%v later, after a refused request", 60*m.unit), 30*m.unit)
	s.Advance(30*m.unit + time.Second + m.late)
	if keys := s.Keys(t); len(keys) > 0 {
		t.Errorf("a window after the last allowed request, and a second, Redis still holds %q", keys)
	}
	if s.Real() {
		return // nobody can wait for half a millisecond
	}
	w = ratelimit.NewWindow(s.Client(t), ratelimit.Policy{Name: "api", Limit: 1, Window: 1500 * time.Microsecond})
	w.Take(t.Context(), "ada")
	s.Advance(1499 * time.Microsecond)
	if keys, want := s.Keys(t), []string{key}; !slices.Equal(keys, want) {
		t.Errorf("1.499ms after a request, with a window of 1.5ms, Redis holds the keys %q, want %q", keys, want)
	}
}

// A Redis that has forgotten the script is told it again, within the same call.
//
//kata:zh Redis 忘了脚本，就在同一次调用里重新告诉它。
func TestScriptForgotten(t *testing.T) {
	s := redistest.Start(t)
	cli := s.Client(t)
	w := ratelimit.NewWindow(cli, ten)
	if sent := cli.Commands(); len(sent) > 0 {
		t.Errorf("NewWindow sent %q, want nothing: Redis may not be up yet", sent)
	}
	take(t, w, "the first request", "ada", yes(9, time.Minute))
	for range 2 {
		if err := s.Client(t).ScriptFlush(t.Context()).Err(); err != nil { // as after a restart or a failover
			t.Fatal(err)
		}
		if d, err := w.Take(t.Context(), "ada"); err != nil || !d.Allowed {
			t.Errorf("after SCRIPT FLUSH, Take = %+v, %v; want it allowed", d, err)
		}
	}
}

// fixed is a limiter with the same answer for everybody who still wants one.
type fixed struct {
	d      ratelimit.Decision
	policy ratelimit.Policy
	asked  []string
}

func (f *fixed) Policy() ratelimit.Policy { return f.policy }

func (f *fixed) Take(ctx context.Context, client string) (ratelimit.Decision, error) {
	f.asked = append(f.asked, client)
	return f.d, ctx.Err()
}

// call sends a request through the middleware, and tells whether it reached the handler.
func call(t *testing.T, o ratelimit.Options, r *http.Request) (w *httptest.ResponseRecorder, reached bool) {
	t.Helper()
	w = httptest.NewRecorder()
	ratelimit.Middleware(o)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached = true
		if err := r.Context().Err(); err != nil {
			t.Errorf("in the handler, the request's context has ended: %v", err)
		}
		if _, ok := r.Context().Deadline(); ok {
			t.Error("in the handler, the request's context has a deadline that it did not come with")
		}
		w.WriteHeader(http.StatusTeapot)
	})).ServeHTTP(w, r)
	return w, reached
}

// Every answer tells the client its policy and what is left of it.
//
//kata:zh 每个响应都告诉客户端它的策略和剩余的额度。
func TestHeaders(t *testing.T) {
	for _, test := range []struct {
		name            string
		d               ratelimit.Decision
		rateLimit, wait string // the policy's field is the same in all
	}{
		{"an allowed request", yes(7, 18*time.Second), `"api";r=7;t=18`, ""},
		{"an allowed request, parts of seconds", yes(0, 18*time.Second+time.Millisecond), `"api";r=0;t=19`, ""},
		{"a refused request", no(90*time.Second, 6*time.Second), `"api";r=0;t=90`, "6"},
		{"a refused request, parts of seconds", no(time.Minute, 5*time.Second+1), `"api";r=0;t=60`, "6"},
		{"a refused request, nearly over", no(time.Minute, time.Nanosecond), `"api";r=0;t=60`, "1"},
		{"a refused request, over meanwhile", no(time.Minute, 0), `"api";r=0;t=60`, "1"},
	} {
		w, _ := call(t, ratelimit.Options{Limiter: &fixed{d: test.d, policy: ten}}, httptest.NewRequest("GET", "/", nil))
		for field, want := range map[string]string{"RateLimit-Policy": `"api";q=10;w=60`, "RateLimit": test.rateLimit, "Retry-After": test.wait} {
			if got := strings.Join(w.Result().Header.Values(field), ", "); got != want {
				t.Errorf("%s (%+v): %s: %s, want %s", test.name, test.d, field, got, want)
			}
		}
	}
	short := &fixed{d: yes(3, time.Second), policy: ratelimit.Policy{Name: "burst", Limit: 4, Window: 1500 * time.Millisecond}}
	w, _ := call(t, ratelimit.Options{Limiter: short}, httptest.NewRequest("GET", "/", nil))
	if got, want := w.Result().Header.Get("RateLimit-Policy"), `"burst";q=4;w=2`; got != want {
		t.Errorf("a window of 1.5s: RateLimit-Policy: %s, want %s", got, want)
	}
}

// A request over the limit is answered 429 and does not reach the handler; one within it does.
//
//kata:zh 超限的请求得到 429，到不了处理函数；没超限的能到。
func TestRefuses(t *testing.T) {
	for _, test := range []struct {
		d    ratelimit.Decision
		code int
	}{
		{no(time.Minute, time.Second), http.StatusTooManyRequests},
		{yes(0, time.Minute), http.StatusTeapot}, // the last one is one
		{yes(3, time.Minute), http.StatusTeapot},
	} {
		limiter := &fixed{d: test.d, policy: ten}
		w, reached := call(t, ratelimit.Options{Limiter: limiter}, httptest.NewRequest("GET", "/", nil))
		if w.Code != test.code || reached != test.d.Allowed {
			t.Errorf("decision %+v: status %d, handler reached %v; want %d, %v", test.d, w.Code, reached, test.code, test.d.Allowed)
		}
		if len(limiter.asked) != 1 {
			t.Errorf("decision %+v: the limiter was asked %d times for one request", test.d, len(limiter.asked))
		}
	}
}

// A client is a host, not a connection, unless the options say otherwise; and whoever they name "" is not limited.
//
//kata:zh 默认一个主机算一个客户端，而不是一个连接；选项可以另行规定，名字为 "" 的不限流。
func TestClients(t *testing.T) {
	request := func(remote string) *http.Request {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-For", "203.0.113.9") // by whom? Anybody can say so
		r.Header.Set("X-Api-Key", "k1")
		return r
	}
	limiter := &fixed{d: yes(3, time.Minute), policy: ten}
	for _, test := range []struct{ remote, client string }{
		{"192.0.2.7:40001", "192.0.2.7"}, {"192.0.2.7:40002", "192.0.2.7"}, {"[2001:db8::7]:40001", "2001:db8::7"},
	} {
		limiter.asked = nil
		call(t, ratelimit.Options{Limiter: limiter}, request(test.remote))
		if want := []string{test.client}; !slices.Equal(limiter.asked, want) {
			t.Errorf("a request from %s: the limiter is asked about %q, want %q", test.remote, limiter.asked, want)
		}
	}
	limiter.asked = nil
	call(t, ratelimit.Options{Limiter: limiter, Client: func(r *http.Request) string { return r.Header.Get("X-Api-Key") }}, request("192.0.2.7:1"))
	if want := []string{"k1"}; !slices.Equal(limiter.asked, want) {
		t.Errorf("with Options.Client, the limiter is asked about %q, want %q", limiter.asked, want)
	}
	limiter = &fixed{d: no(time.Minute, time.Minute), policy: ten}
	w, reached := call(t, ratelimit.Options{Limiter: limiter, Client: func(*http.Request) string { return "" }}, request("192.0.2.7:1"))
	if !reached || len(limiter.asked) > 0 || w.Result().Header.Get("RateLimit") != "" {
		t.Errorf("a client named \"\": handler reached %v, limiter asked about %q, RateLimit: %s; want it let through unasked", reached, limiter.asked, w.Result().Header.Get("RateLimit"))
	}
}

// stuck is a limiter that waits until it is told to stop, as for a Redis that does not answer.
type stuck struct{ fixed }

func (s *stuck) Take(ctx context.Context, _ string) (ratelimit.Decision, error) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Hour):
	}
	return ratelimit.Decision{Allowed: true, Remaining: 5}, errors.Join(errors.New("no answer"), ctx.Err())
}

// Without a decision, be Redis down or slow, the stated policy holds: open lets the request through, closed answers 503; both in time.
//
//kata:zh Redis 宕机或太慢、得不到判定时，按声明的策略办：开放则放行，关闭则 503；两者都不超时。
func TestWithoutDecision(t *testing.T) {
	check := func(what string, o ratelimit.Options) {
		t.Helper()
		for _, open := range []bool{true, false} {
			o.FailOpen = open
			want := http.StatusServiceUnavailable
			if open {
				want = http.StatusTeapot
			}
			w, reached := call(t, o, httptest.NewRequest("GET", "/", nil))
			if w.Code != want || reached != open {
				t.Errorf("%s, FailOpen %v: status %d, handler reached %v; want %d, %v", what, open, w.Code, reached, want, open)
			}
			for _, field := range []string{"RateLimit", "RateLimit-Policy"} {
				if got := w.Result().Header.Get(field); got != "" {
					t.Errorf("%s, FailOpen %v: %s: %s, want none: nobody knows", what, open, field, got)
				}
			}
		}
	}
	s := redistest.Start(t)
	w := ratelimit.NewWindow(s.Client(t), ten)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if d, err := w.Take(ended, "ada"); !errors.Is(err, context.Canceled) || d.Allowed {
		t.Errorf("the context has ended: Take = %+v, %v; want context.Canceled, and nothing allowed", d, err)
	}
	s.Down()
	if d, err := w.Take(t.Context(), "ada"); err == nil || d.Allowed {
		t.Errorf("Redis is down: Take = %+v, %v; want an error, and nothing allowed", d, err)
	}
	check("Redis is down", ratelimit.Options{Limiter: w})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		check("Redis does not answer", ratelimit.Options{Limiter: &stuck{fixed{policy: ten}}, Timeout: 50 * time.Millisecond})
		if lasted := time.Since(began); lasted != 100*time.Millisecond {
			t.Errorf("Redis does not answer, Timeout is 50ms: two requests took %v, want 100ms", lasted)
		}
		// Without a Timeout of its own, the wait ends with the request.
		ctx, cancel := context.WithTimeout(t.Context(), 70*time.Millisecond)
		defer cancel()
		began = time.Now()
		ratelimit.Middleware(ratelimit.Options{Limiter: &stuck{fixed{policy: ten}}})(http.NotFoundHandler()).
			ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil))
		if lasted := time.Since(began); lasted != 70*time.Millisecond {
			t.Errorf("Redis does not answer, no Timeout, and the client leaves after 70ms: the limiter was waited for %v", lasted)
		}
	})
}
