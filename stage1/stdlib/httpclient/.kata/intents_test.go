// The hidden intents of the unreliable API's client.
//
//kata:level 2
//kata:minutes 90
//kata:engine real net/http
package httpclient_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage1/internal/kit/stall"
	"github.com/roadkata/roadkata/stage1/stdlib/httpclient"
)

// One connection serves one request after the other, whatever the answers were.
//
//kata:zh 无论得到什么响应，先后的请求都复用同一条连接。
func TestReusesTheConnection(t *testing.T) {
	statuses := []int{200, 404, 503, 200, 204, 500, 429, 502, 200, 302, 200} // 503, 429 and 502 are tried again
	var answers []http.HandlerFunc
	for _, status := range statuses {
		answers = append(answers, answer(status, strings.Repeat("x", 32<<10), "Location", "/"))
	}
	api := serve(t, answers...)
	c := newOverOther(t) // connections of its own

	var mu sync.Mutex
	var conns []httptrace.GotConnInfo
	for _, method := range []string{"GET", "GET", "GET", "DELETE", "POST", "PUT", "GET"} {
		req := newRequest(t, method, api.URL, "")
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
			GotConn: func(info httptrace.GotConnInfo) {
				mu.Lock()
				defer mu.Unlock()
				conns = append(conns, info)
			},
		}))
		mustDo(t, c, req)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(conns) != len(statuses) {
		t.Fatalf("httptrace saw %d connections handed out for %d requests (does every attempt use the request's context?)", len(conns), len(statuses))
	}
	for i, info := range conns {
		if i > 0 && !info.Reused {
			t.Errorf("request %d, after an answer with status %d and 32 KiB, dialled a new connection; want the first one again (was the body read to its end?)",
				i+1, statuses[i-1])
		}
	}
}

// The connections of a burst are kept, so that the next burst of that size dials none.
//
//kata:zh 一次突发请求用过的连接会保留下来，下一次同等规模的突发无须新建连接。
func TestKeepsTheConnectionsOfABurst(t *testing.T) {
	const burst = 64
	// Nobody is answered before all are here: so each needs a connection of its own.
	together := newBarrier(burst)
	handler := func(w http.ResponseWriter, r *http.Request) {
		together.wait()
		io.WriteString(w, "ok")
	}
	hosts := []*server{serve(t, handler), serve(t, handler)} // asked one after the other
	c := newClient(t, httpclient.Options{})
	for i, host := range []int{1, 2, 1} {
		api := hosts[host-1]
		var wg sync.WaitGroup
		for range burst {
			wg.Go(func() { do(t, c, newRequest(t, "GET", api.URL, "")) })
		}
		wg.Wait()
		if n := api.dialled(); n != burst {
			t.Fatalf("bursts of %d requests to host 1, host 2, host 1: %d connections dialled to host %d after the burst number %d; want %d",
				burst, n, host, i+1, burst)
		}
	}
}

// An answer that is thrown away is not read for longer than a new connection would cost.
//
//kata:zh 读完一个要丢弃的响应，代价不应超过新建一条连接。
func TestDoesNotDrainWithoutEnd(t *testing.T) {
	busy, sent := flood(503)
	api := serve(t, busy, answer(200, "ok"))
	c := newClient(t, httpclient.Options{})

	resp := mustDo(t, c, newRequest(t, "GET", api.URL, ""))
	if resp.Status != 200 {
		t.Errorf("Do = status %d, want 200 of the second attempt", resp.Status)
	}
	if n := sent(t); n > flooded/2 {
		t.Errorf("the server got rid of %d MiB of a 503's body before the client gave it up; want it to read about 64 KiB", n>>20)
	}

	endless, sent := flood(302)
	api = serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/next")
		endless(w, r)
	}, answer(200, "ok"))
	if resp := mustDo(t, c, newRequest(t, "GET", api.URL, "")); resp.Status != 200 {
		t.Errorf("Do = status %d, want 200 behind the redirect", resp.Status)
	}
	if n := sent(t); n > flooded/2 {
		t.Errorf("the server got rid of %d MiB of a redirect's body before the client gave it up; want it to read about 64 KiB", n>>20)
	}
}

// Nothing stays open once Close has been called, however the requests ended.
//
//kata:zh 无论请求如何结束，Close 之后不再有打开的连接。
func TestLeavesNothingOpen(t *testing.T) {
	flood1, _ := flood(200)
	flood2, _ := flood(503)
	api := serve(t, answer(200, "ok"), flood1, flood2, answer(200, "ok"), cutShort, cutShort, answer(404, "no"))
	c := newClient(t, httpclient.Options{AttemptTimeout: time.Hour})
	for range 5 {
		do(t, c, newRequest(t, "GET", api.URL, ""))
	}
	c.Close()
	if n := api.stillOpen(); n != 0 {
		t.Errorf("%d connections still open after Close; want 0 (was every body closed?)", n)
	}

	api = serve(t, answer(503, "busy"), answer(200, "ok"))
	var closing *httpclient.Client
	closing = newClient(t, httpclient.Options{Sleep: func(context.Context, time.Duration) error {
		closing.Close() // while a call waits for its second attempt
		return nil
	}})
	mustDo(t, closing, newRequest(t, "GET", api.URL, ""))
	if n := api.stillOpen(); n != 0 {
		t.Errorf("Close was called between two attempts of a call, which has returned since: %d connections still open, want 0", n)
	}
}

// Only what may be repeated is repeated: idempotent methods, and what carries an Idempotency-Key.
//
//kata:zh 只重试可以重复的请求：幂等方法，或带 Idempotency-Key 的请求。
func TestRetriesOnlyIdempotentRequests(t *testing.T) {
	for _, tc := range []struct {
		method, key string
		attempts    int
	}{
		{"GET", "", 2}, {"HEAD", "", 2}, {"OPTIONS", "", 2}, {"TRACE", "", 2}, {"PUT", "", 2}, {"DELETE", "", 2},
		{"POST", "", 1}, {"PATCH", "", 1}, {"MOVE", "", 1},
		{"POST", "order-17", 2}, {"PATCH", "order-17", 2},
	} {
		for _, failure := range []struct {
			name    string
			handler http.HandlerFunc
		}{
			{"status 503", answer(503, "")}, {"a connection closed without an answer", hangUp},
		} {
			api := serve(t, failure.handler, answer(200, "ok"))
			c := newClient(t, httpclient.Options{})
			req := newRequest(t, tc.method, api.URL, "")
			if tc.key != "" {
				req.Header.Set("Idempotency-Key", tc.key)
			}
			resp, err := do(t, c, req)
			if n := len(api.requests()); n != tc.attempts {
				t.Errorf("%s (Idempotency-Key %q) met %s: sent %d times, want %d", tc.method, tc.key, failure.name, n, tc.attempts)
				continue
			}
			if tc.attempts == 2 && (err != nil || resp.Status != 200) {
				t.Errorf("%s (Idempotency-Key %q) met %s, then 200: Do = %s, want status 200", tc.method, tc.key, failure.name, show(resp, err))
			}
			if tc.attempts == 1 && failure.name != "status 503" && err == nil {
				t.Errorf("%s met %s: Do = %s, want an error", tc.method, failure.name, show(resp, err))
			}
		}
	}
}

// Only the statuses 429, 502, 503 and 504 are worth another attempt.
//
//kata:zh 只有状态码 429、502、503、504 值得再试。
func TestRetriesOnlyPassingFaults(t *testing.T) {
	for _, status := range []int{200, 204, 304, 400, 401, 403, 404, 409, 422, 429, 500, 501, 502, 503, 504, 505} {
		want := 1
		if slices.Contains([]int{429, 502, 503, 504}, status) {
			want = 2
		}
		api := serve(t, answer(status, ""), answer(200, "second"))
		mustDo(t, newClient(t, httpclient.Options{}), newRequest(t, "GET", api.URL, ""))
		if n := len(api.requests()); n != want {
			t.Errorf("a GET answered with %d was sent %d times, want %d", status, n, want)
		}
	}
}

// A repeated request carries its whole body again.
//
//kata:zh 重试的请求会完整地再次携带请求体。
func TestSendsTheBodyAgainWhole(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 4<<10)
	for _, method := range []string{"PUT", "POST"} {
		api := serve(t, answer(503, ""), cutShort, answer(200, "stored"))
		req := newRequest(t, method, api.URL, body)
		req.Header.Set("Idempotency-Key", "k")
		resp, err := do(t, newClient(t, httpclient.Options{}), req)
		if err != nil || resp.Status != 200 {
			t.Errorf("%s with a body met 503, a cut answer, then 200: Do = %s, want status 200", method, show(resp, err))
		}
		for i, r := range api.requests() {
			if r.body != body {
				t.Errorf("%s, attempt %d: the server got a body of %d bytes, want all %d", method, i+1, len(r.body), len(body))
			}
		}
	}

	gone := errors.New("the file is gone")
	api := serve(t, answer(503, ""), answer(200, "stored"))
	req := newRequest(t, "PUT", api.URL, body)
	req.GetBody = func() (io.ReadCloser, error) { return nil, gone }
	resp, err := do(t, newClient(t, httpclient.Options{}), req)
	if n := len(api.requests()); !errors.Is(err, gone) || resp != nil || n != 1 {
		t.Errorf("PUT met 503, and GetBody failed with %q: sent %d times, Do = %s; want one attempt, no response and that error",
			gone, n, show(resp, err))
	}

	api = serve(t, answer(307, "", "Location", "/next"), answer(200, "stored"))
	req = newRequest(t, "PUT", api.URL, body)
	calls := 0
	req.GetBody = func() (io.ReadCloser, error) {
		if calls++; calls == 1 {
			return nil, gone
		}
		return io.NopCloser(strings.NewReader(body)), nil
	}
	resp, err = do(t, newClient(t, httpclient.Options{}), req)
	if n := len(api.requests()); !errors.Is(err, gone) || resp != nil || n != 1 {
		t.Errorf("PUT met 307, and GetBody failed with %q: %d requests, Do = %s; want one request, no response and that error",
			gone, n, show(resp, err))
	}
}

// A body that can be read only once is sent once, and its answer is the answer.
//
//kata:zh 只能读一次的请求体只发送一次，收到的响应就是结果。
func TestSendsAOneShotBodyOnce(t *testing.T) {
	api := serve(t, answer(503, "not now"), answer(200, "ok"))
	body := strings.Repeat("z", 10_000)
	req := newRequest(t, "PUT", api.URL, "")
	req.Body = io.NopCloser(strings.NewReader(body))
	req.ContentLength = int64(len(body))

	resp, err := do(t, newClient(t, httpclient.Options{}), req)
	if got := api.requests(); len(got) != 1 || got[0].body != body {
		t.Errorf("a PUT without GetBody, answered with 503: sent %d times; want once, with all of its body", len(got))
	}
	if err != nil || resp.Status != 503 || string(resp.Body) != "not now" {
		t.Errorf("a PUT without GetBody, answered with 503: Do = %s, want that answer", show(resp, err))
	}
}

// The wait is as long as the server's Retry-After asks, given in seconds.
//
//kata:zh 按服务器 Retry-After 给出的秒数等待。
func TestWaitsRetryAfterSeconds(t *testing.T) {
	const fallback = 7 * time.Millisecond
	for _, tc := range []struct {
		header string
		want   []time.Duration
	}{
		{"3", waits(3 * time.Second)},
		{"30", waits(30 * time.Second)},
		{"0", nil},
		{"", waits(fallback)},
		{"soon", waits(fallback)},
		{"-1", waits(fallback)},
		{"1.5", waits(fallback)},
	} {
		for _, status := range []int{429, 503} {
			checkWaits(t, status, tc.header, tc.want, fallback)
		}
	}
}

// Retry-After may also be a date, and a date that has passed means now.
//
//kata:zh Retry-After 也可以是日期；已过去的日期表示立即重试。
func TestWaitsUntilTheRetryAfterDate(t *testing.T) {
	for _, tc := range []struct {
		header string
		want   []time.Duration
	}{
		{now.Add(9 * time.Second).UTC().Format(http.TimeFormat), waits(9 * time.Second)},
		{now.Add(12 * time.Second).UTC().Format(time.RFC850), waits(12 * time.Second)},
		{now.Add(-time.Hour).UTC().Format(http.TimeFormat), nil},
	} {
		checkWaits(t, 503, tc.header, tc.want, 7*time.Millisecond)
	}

	past := time.Unix(0, 0).UTC().Format(http.TimeFormat)
	api := serve(t, answer(503, "", "Retry-After", past), answer(200, "ok"))
	var log waitLog
	c := httpclient.New(httpclient.Options{Sleep: log.sleep})
	defer c.Close()
	if resp, err := do(t, c, newRequest(t, "GET", api.URL, "")); err != nil || resp.Status != 200 || len(log.waits()) != 0 {
		t.Errorf("503 with Retry-After: %s, then 200, Options.Now left out: Do = %s after waiting %v; want status 200 at once",
			past, show(resp, err), log.waits())
	}
}

// A server that wants to be left alone for longer than MaxWait is: its answer is the last.
//
//kata:zh 服务器要求的等待超过 MaxWait 时不再打扰它：该响应即为最终结果。
func TestGivesUpOnALongRetryAfter(t *testing.T) {
	for _, header := range []string{
		"31",
		now.Add(31 * time.Second).UTC().Format(http.TimeFormat),
		"9223372037",            // more nanoseconds than an int64 holds
		"18446744105",           // … so many that they come out positive and short
		"99999999999999999999",  // more seconds than an int64 holds
		strings.Repeat("9", 40), // or anything
	} {
		api := serve(t, answer(503, "in a while", "Retry-After", header), answer(200, "ok"))
		var log waitLog
		resp, err := do(t, newClient(t, httpclient.Options{Sleep: log.sleep}), newRequest(t, "GET", api.URL, ""))
		if err != nil || resp.Status != 503 || string(resp.Body) != "in a while" {
			t.Errorf("503 with Retry-After: %s, MaxWait 30s: Do = %s, want that answer", header, show(resp, err))
		}
		if n := len(api.requests()); n != 1 || len(log.waits()) != 0 {
			t.Errorf("503 with Retry-After: %s, MaxWait 30s: sent %d times, waited %v; want one attempt and no wait", header, n, log.waits())
		}
	}
}

// Without a hint the waits grow, are spread at random and stay below MaxWait.
//
//kata:zh 没有提示时，等待时间逐次增长、随机分散，且不超过 MaxWait。
func TestBacksOffWithJitter(t *testing.T) {
	api := serve(t, answer(503, ""))
	var log waitLog
	const attempts, maxWait = 100, time.Second
	c := httpclient.New(httpclient.Options{MaxAttempts: attempts, MaxWait: maxWait, Sleep: log.sleep})
	defer c.Close()
	mustDo(t, c, newRequest(t, "GET", api.URL, ""))

	got := log.waits()
	if len(got) != attempts-1 {
		t.Fatalf("%d attempts made %d waits, want %d", attempts, len(got), attempts-1)
	}
	for i, d := range got {
		ceiling := maxWait
		if i < 4 {
			ceiling = 100 * time.Millisecond << i
		}
		if d > ceiling {
			t.Errorf("wait %d lasted %v, want at most %v", i+1, d, ceiling)
		}
	}
	tail := got[4:]
	if lo, hi := slices.Min(tail), slices.Max(tail); lo > maxWait/2 || hi < maxWait/2 {
		t.Errorf("waits 5 to %d lie between %v and %v; want them spread evenly between 0 and %v", len(got), lo, hi, maxWait)
	}

	var short waitLog
	least := httpclient.New(httpclient.Options{MaxWait: 1, Sleep: short.sleep}) // a range of next to nothing
	defer least.Close()
	mustDo(t, least, newRequest(t, "GET", api.URL, ""))
	for _, d := range short.waits() {
		if d > 1 {
			t.Errorf("MaxWait 1ns: waited %v", d)
		}
	}
}

// After MaxAttempts the last answer, or the last error, is returned at once.
//
//kata:zh 试满 MaxAttempts 次后立即返回最后一次的响应或错误。
func TestStopsAfterMaxAttempts(t *testing.T) {
	for _, tc := range []struct{ max, attempts int }{{0, 3}, {1, 1}, {5, 5}} {
		for _, answered := range []bool{true, false} {
			var n atomic.Int32
			api := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if n := n.Add(1); answered {
					w.Header().Set("X-Answer", fmt.Sprint(n))
					w.WriteHeader(503)
					fmt.Fprintf(w, "answer %d", n)
					return
				}
				hangUp(w, r)
			})
			var log waitLog
			c := newClient(t, httpclient.Options{
				MaxAttempts: tc.max,
				Sleep:       log.sleep,
				MaxWait:     3 * time.Second,
				Backoff:     func(n int) time.Duration { return time.Duration(n) * time.Second },
			})
			what := fmt.Sprintf("MaxAttempts %d, no connection lasts", tc.max)
			if answered {
				what = fmt.Sprintf("MaxAttempts %d, always 503", tc.max)
			}
			resp, err := do(t, c, newRequest(t, "GET", api.URL, ""))
			if got := len(api.requests()); got != tc.attempts {
				t.Errorf("%s: %d attempts, want %d", what, got, tc.attempts)
			}
			last := fmt.Sprint(tc.attempts)
			if answered && (err != nil || resp.Status != 503 || string(resp.Body) != "answer "+last || resp.Header.Get("X-Answer") != last) {
				t.Errorf("%s: Do = %s, want status, header and body of answer %s", what, show(resp, err), last)
			}
			if !answered && (err == nil || resp != nil) {
				t.Errorf("%s: Do = %s, want no response and an error", what, show(resp, err))
			}
			var want []time.Duration
			for n := 1; n < tc.attempts; n++ {
				want = append(want, min(time.Duration(n)*time.Second, 3*time.Second))
			}
			if got := log.waits(); !slices.Equal(got, want) {
				t.Errorf("%s, Backoff(n) = n seconds, MaxWait 3s: waited %v, want %v", what, got, want)
			}
		}
	}
}

// Requests under way at the same time have nothing to do with each other.
//
//kata:zh 同时进行的请求互不影响。
func TestRequestsShareNoState(t *testing.T) {
	const clients, attempts = 8, 3
	together := newBarrier(clients)
	var mu sync.Mutex
	count := map[string]int{}
	api := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		id := r.Header.Get("X-Id")
		count[id]++
		n := count[id]
		mu.Unlock()
		together.wait()
		if n < attempts {
			w.WriteHeader(503)
		}
		io.WriteString(w, id)
	})
	c := newClient(t, httpclient.Options{MaxAttempts: attempts})
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			req := newRequest(t, "GET", api.URL, "")
			req.Header.Set("X-Id", fmt.Sprint(i))
			resp, err := do(t, c, req)
			if err != nil || resp.Status != 200 || string(resp.Body) != fmt.Sprint(i) {
				t.Errorf("%d requests at once, each answered 503, 503, 200 with its own number: Do of number %d = %s", clients, i, show(resp, err))
			}
		})
	}
	wg.Wait()
}

// The response is bounded, whatever its headers say and however well it is compressed.
//
//kata:zh 无论响应头怎么写、压缩率多高，响应体都有上限。
func TestBoundsTheResponse(t *testing.T) {
	const limit = 4096
	exact, long := strings.Repeat("a", limit), strings.Repeat("a", limit+1)
	endless, sent := flood(200)
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc
		fits    bool
	}{
		{"a body of exactly MaxBody bytes", answer(200, exact), true},
		{"exactly MaxBody bytes in chunks", chunked(exact), true},
		{"one byte more", answer(200, long), false},
		{"one byte more in chunks", chunked(long), false},
		{"an error's body, one byte more", answer(404, long), false},
		{"16 MiB in chunks", endless, false},
		{"1 MiB of zeros in 1 KiB of gzip", bomb, false},
	} {
		api := serve(t, tc.handler)
		resp, err := do(t, newClient(t, httpclient.Options{MaxBody: limit}), newRequest(t, "GET", api.URL, ""))
		if tc.fits && (err != nil || string(resp.Body) != exact) {
			t.Errorf("%s: Do = %s, want all of it", tc.name, show(resp, err))
		}
		if !tc.fits && (!errors.Is(err, httpclient.ErrTooLarge) || resp != nil) {
			t.Errorf("%s: Do = %s, want no response and ErrTooLarge", tc.name, show(resp, err))
		}
		if n := len(api.requests()); n != 1 {
			t.Errorf("%s: %d attempts, want 1", tc.name, n)
		}
	}
	if n := sent(t); n > flooded/2 {
		t.Errorf("16 MiB in chunks: the client took %d MiB of them before it gave up; want it to stop after MaxBody", n>>20)
	}
}

// A body that breaks off is a failed attempt, never a short answer.
//
//kata:zh 中途断掉的响应体算一次失败的尝试，绝不当成较短的响应。
func TestTakesNoPartForTheWhole(t *testing.T) {
	api := serve(t, cutShort, cutShort, answer(200, "whole"))
	c := newClient(t, httpclient.Options{})
	if resp, err := do(t, c, newRequest(t, "GET", api.URL, "")); err != nil || string(resp.Body) != "whole" {
		t.Errorf("GET answered twice in part, then whole: Do = %s, want the whole answer", show(resp, err))
	}

	api = serve(t, cutShort)
	resp, err := do(t, newClient(t, httpclient.Options{MaxAttempts: 1}), newRequest(t, "GET", api.URL, ""))
	if !errors.Is(err, io.ErrUnexpectedEOF) || resp != nil {
		t.Errorf("GET answered in part, MaxAttempts 1: Do = %s, want no response and io.ErrUnexpectedEOF", show(resp, err))
	}

	// A reset may overtake what was sent before it: so it waits until the client has seen that.
	seen := make(chan struct{})
	api = serve(t, func(w http.ResponseWriter, r *http.Request) { reset(w, seen) })
	req := newRequest(t, "GET", api.URL, "")
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotFirstResponseByte: sync.OnceFunc(func() { close(seen) }),
	}))
	resp, err = do(t, newClient(t, httpclient.Options{MaxAttempts: 1}), req)
	if !errors.Is(err, io.ErrUnexpectedEOF) || resp != nil {
		t.Errorf("GET answered in part, then the connection is reset, MaxAttempts 1: Do = %s, want no response and io.ErrUnexpectedEOF", show(resp, err))
	}
}

// AttemptTimeout covers all of an attempt, the body included, and ends only that attempt.
//
//kata:zh AttemptTimeout 覆盖整次尝试（包括读响应体），且只结束这一次尝试。
func TestAttemptTimeoutCoversTheBody(t *testing.T) {
	api := serve(t, silent("before"), silent("within"), answer(200, "in time"))
	// Many attempts: on a busy machine, one that is not meant to time out may do so.
	c := newClient(t, httpclient.Options{AttemptTimeout: 100 * time.Millisecond, MaxAttempts: 100})
	resp, err := do(t, c, newRequest(t, "GET", api.URL, ""))
	if err != nil || string(resp.Body) != "in time" {
		t.Errorf("the first two answers stall, before and within their body; AttemptTimeout 100ms: Do = %s, want the third answer", show(resp, err))
	}
}

// Cancelling the request's context stops the reading of a body, and no other attempt is made.
//
//kata:zh 取消请求的 context 会停止读取响应体，且不再重试。
func TestCancelStopsTheBody(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	api := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "the first half and ")
		w.(http.Flusher).Flush()
		cancel()
		waitForClient(r)
		io.WriteString(w, "the second")
	})
	req := newRequest(t, "GET", api.URL, "").WithContext(ctx)
	resp, err := do(t, newClient(t, httpclient.Options{AttemptTimeout: time.Hour}), req)
	if !errors.Is(err, context.Canceled) || resp != nil {
		t.Errorf("cancelled amid the body: Do = %s, want no response and context.Canceled", show(resp, err))
	}
	if n := len(api.requests()); n != 1 {
		t.Errorf("cancelled amid the body: %d attempts, want 1", n)
	}
}

// Cancelling the request's context ends the wait between two attempts.
//
//kata:zh 取消请求的 context 会结束两次尝试之间的等待。
func TestCancelStopsTheWait(t *testing.T) {
	api := serve(t, answer(503, ""))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := httpclient.New(httpclient.Options{
		MaxWait: 2 * time.Hour,
		Backoff: func(int) time.Duration {
			time.AfterFunc(20*time.Millisecond, cancel)
			return time.Hour
		},
	})
	defer c.Close()

	returned := make(chan struct{})
	var resp *httpclient.Response
	var err error
	go func() {
		defer close(returned)
		resp, err = c.Do(newRequest(t, "GET", api.URL, "").WithContext(ctx))
	}()
	if !awaitClose(returned) {
		t.Error("cancelled in the wait of an hour for attempt 2: Do does not return")
	} else if !errors.Is(err, context.Canceled) || resp != nil {
		t.Errorf("cancelled in the wait for attempt 2: Do = %s, want no response and context.Canceled", show(resp, err))
	}
	if n := len(api.requests()); n != 1 {
		t.Errorf("cancelled in the wait for attempt 2: %d attempts, want 1", n)
	}
}

// The credentials go with every attempt and redirect within the origin; what the request sets itself wins.
//
//kata:zh 凭据随同源内的每次尝试和重定向发送；请求自己设置的请求头优先。
func TestSendsCredentialsToTheOrigin(t *testing.T) {
	api := serve(t, answer(503, ""), answer(302, "", "Location", "/elsewhere"), answer(200, "ok"))
	own := http.Header{"X-Api-Key": {"secret"}, "x-tenant": {"default"}, "X-Region": {"us"}} // a name's case says nothing
	c := newClient(t, httpclient.Options{Credentials: own})
	own.Set("X-Api-Key", "changed after New")
	req := newRequest(t, "GET", api.URL, "")
	req.Header.Set("X-Tenant", "acme")
	req.Header.Set("Authorization", "Bearer token")
	req.Header["x-region"] = []string{"eu"} // sent as it is written
	mustDo(t, c, req)
	for i, r := range api.requests() {
		for name, want := range map[string]string{"X-Api-Key": "secret", "X-Tenant": "acme", "X-Region": "eu", "Authorization": "Bearer token"} {
			if got := strings.Join(r.header.Values(name), ", "); got != want {
				t.Errorf("request %d of 3 to the origin (503, 302, 200): %s = %q, want %q", i+1, name, got, want)
			}
		}
	}
}

// A redirect to another origin, be it only another port, takes no credentials along.
//
//kata:zh 重定向到其他源（哪怕只是端口不同）时不携带凭据。
func TestCredentialsStayAtTheOrigin(t *testing.T) {
	opts := httpclient.Options{Credentials: http.Header{"X-Api-Key": {"secret"}, "x-tenant": {"acme"}}}
	check := func(status int, from, to string, r request) {
		t.Helper()
		for _, name := range append([]string{"X-Tenant"}, secrets...) {
			if got, sent := r.header[name]; sent {
				t.Errorf("redirected with %d from %s to %s: sent %s: %s along", status, from, to, name, got)
			}
		}
		if r.header.Get("X-Trace") != "t-1" {
			t.Errorf("redirected with %d from %s to %s: X-Trace, which is no credential, got lost", status, from, to)
		}
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		other := serve(t, answer(200, "got you"))
		api := serve(t, answer(status, "", "Location", other.URL+"/"))
		mustDo(t, newClient(t, opts), withSecrets(newRequest(t, "GET", api.URL, "")))
		for _, r := range other.requests() {
			check(status, api.URL, other.URL, r)
		}
	}

	// Names in a header map that was filled by hand, in any case; and a Location with a name and a password.
	for _, written := range []string{"authorization", "COOKIE", "x-tenant", "x-api-key", ""} {
		other := serve(t, answer(200, "got you"))
		to := other.URL + "/"
		if written == "" {
			to = strings.Replace(to, "http://", "http://name:password@", 1)
		}
		api := serve(t, answer(302, "", "Location", to))
		req := newRequest(t, "GET", api.URL, "")
		req.Header.Set("X-Trace", "t-1")
		if written != "" {
			req.Header[written] = []string{"a=secret"}
		}
		mustDo(t, newClient(t, opts), req)
		for _, r := range other.requests() {
			check(302, api.URL+" ("+cmp.Or(written, "no header")+" set by the request)", to, r)
		}
	}

	// The same server by another name: only the host differs.
	api := serve(t)
	to := strings.Replace(api.URL, "127.0.0.1", "localhost", 1)
	api.then(answer(307, "", "Location", to+"/"))
	api.then(answer(200, "got you"))
	mustDo(t, newClient(t, opts), withSecrets(newRequest(t, "GET", api.URL, "")))
	if got := api.requests(); len(got) != 2 {
		t.Errorf("redirected with 307 from %s to %s: %d requests, want 2", api.URL, to, len(got))
	} else {
		check(307, api.URL, to, got[1])
	}
}

// Credentials that a redirect dropped stay dropped for the rest of the attempt.
//
//kata:zh 重定向中丢弃的凭据，在这次尝试的余下部分不再出现。
func TestDroppedCredentialsStayDropped(t *testing.T) {
	other := serve(t, answer(302, "", "Location", "/login"), answer(302, "", "Location", "/again"))
	api := serve(t, answer(302, "", "Location", other.URL+"/"), answer(200, "home again"))
	other.then(answer(302, "", "Location", api.URL+"/home"))
	mustDo(t, newClient(t, credentials), newRequest(t, "GET", api.URL, ""))

	later := append(other.requests(), api.requests()[1:]...)
	if len(later) != 4 {
		t.Fatalf("a chain of redirects origin → other → other → other → origin made %d requests after the first, want 4", len(later))
	}
	for i, r := range later {
		if got, sent := r.header["X-Api-Key"]; sent {
			t.Errorf("redirects origin → other → other → other → origin: request %d has X-Api-Key: %s, want it gone for good", i+2, got)
		}
	}
}

// An attempt makes at most ten requests; a loop of redirects is an error, not worth another attempt.
//
//kata:zh 一次尝试最多发送十个请求；循环重定向是错误，不值得重试。
func TestLimitsRedirects(t *testing.T) {
	var hops atomic.Int32
	for _, tc := range []struct{ redirects, requests int }{{9, 10}, {10, 10}, {40, 10}} {
		hops.Store(0)
		api := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if n := int(hops.Add(1)); n <= tc.redirects {
				w.Header().Set("Location", "/"+strconv.Itoa(n))
				w.WriteHeader(302)
				return
			}
			io.WriteString(w, "arrived")
		})
		resp, err := do(t, newClient(t, httpclient.Options{}), newRequest(t, "GET", api.URL, ""))
		if n := len(api.requests()); n != tc.requests {
			t.Errorf("%d redirects: %d requests, want %d", tc.redirects, n, tc.requests)
		}
		if tc.redirects < 10 && (err != nil || string(resp.Body) != "arrived") {
			t.Errorf("%d redirects: Do = %s, want the answer behind them", tc.redirects, show(resp, err))
		}
		if tc.redirects >= 10 && (!errors.Is(err, httpclient.ErrTooManyRedirects) || resp != nil) {
			t.Errorf("%d redirects: Do = %s, want no response and ErrTooManyRedirects", tc.redirects, show(resp, err))
		}
	}
}

// The caller's request is left as it was.
//
//kata:zh 调用者的请求保持原样。
func TestLeavesTheRequestAlone(t *testing.T) {
	other := serve(t, answer(200, "ok"))
	api := serve(t, answer(503, ""), answer(307, "", "Location", other.URL+"/"))
	req := withSecrets(newRequest(t, "PUT", api.URL, "body"))
	header, url, body, ctx := req.Header.Clone(), *req.URL, req.Body, req.Context()

	mustDo(t, newClient(t, httpclient.Options{Credentials: http.Header{"X-Extra": {"e"}, "X-Api-Key": {"k"}}}), req)
	if got, want := fmt.Sprint(req.Header), fmt.Sprint(header); got != want {
		t.Errorf("after Do the request's header is %v, want %v as before", got, want)
	}
	if req.URL.String() != url.String() || req.Method != "PUT" || req.Body != body || req.Context() != ctx {
		t.Errorf("after Do the request is %s %s (same body: %v, same context: %v), want it unchanged",
			req.Method, req.URL, req.Body == body, req.Context() == ctx)
	}
}

// —— helpers ——

// now is the time of every client under test.
var now = time.Date(2026, time.March, 14, 15, 9, 26, 0, time.UTC)

// flooded is what a flood tries to send: far more than the sockets' buffers take.
const flooded = 16 << 20

var (
	secrets     = []string{"X-Api-Key", "Authorization", "Cookie", "Proxy-Authorization"}
	credentials = httpclient.Options{Credentials: http.Header{"X-Api-Key": {"secret"}}}
)

func withSecrets(req *http.Request) *http.Request {
	req.Header.Set("Authorization", "Bearer token")
	req.Header.Set("Cookie", "session=1")
	req.Header.Set("Proxy-Authorization", "Basic cHJveHk=")
	req.Header.Set("X-Trace", "t-1")
	return req
}

// newOverOther makes a client while http.DefaultTransport is something else, as a library for metrics or traces leaves it.
func newOverOther(t *testing.T) (c *httpclient.Client) {
	t.Helper()
	newClient(t, httpclient.Options{}) // a panic of another kind shows itself here
	was := http.DefaultTransport
	defer func() {
		http.DefaultTransport = was
		if v := recover(); v != nil {
			t.Fatalf("http.DefaultTransport is no *http.Transport: New panics: %v; want a client with a transport of its own", v)
		}
	}()
	http.DefaultTransport = struct{ http.RoundTripper }{was}
	return newClient(t, httpclient.Options{})
}

// newClient makes a client that does not wait in real time, unless opts say so.
func newClient(t *testing.T, opts httpclient.Options) *httpclient.Client {
	t.Helper()
	if opts.Sleep == nil {
		opts.Sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	}
	if opts.Backoff == nil {
		opts.Backoff = func(int) time.Duration { return time.Millisecond }
	}
	opts.Now = func() time.Time { return now }
	c := httpclient.New(opts)
	t.Cleanup(c.Close)
	return c
}

func newRequest(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, r)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// do calls Do and does not wait for it for ever.
func do(t *testing.T, c *httpclient.Client, req *http.Request) (*httpclient.Response, error) {
	t.Helper()
	type result struct {
		resp *httpclient.Response
		err  error
	}
	done := make(chan result, 1)
	go func() {
		resp, err := c.Do(req)
		done <- result{resp, err}
	}()
	select {
	case r := <-done:
		if r.resp == nil && r.err == nil {
			t.Errorf("Do(%s) = nil, nil, want a response or an error", req.Method)
			r.err = errors.New("neither response nor error")
		}
		return r.resp, r.err
	case <-time.After(12 * time.Second):
		t.Errorf("Do(%s) does not return", req.Method)
		return nil, errors.New("does not return")
	}
}

func mustDo(t *testing.T, c *httpclient.Client, req *http.Request) *httpclient.Response {
	t.Helper()
	resp, err := do(t, c, req)
	if err != nil {
		t.Fatalf("Do(%s) = %s, want a response", req.Method, show(resp, err))
	}
	return resp
}

// show renders what Do returned.
func show(resp *httpclient.Response, err error) string {
	if resp == nil {
		return fmt.Sprintf("nil, error %v", err)
	}
	body := fmt.Sprintf("%q", resp.Body)
	if len(resp.Body) > 60 {
		body = fmt.Sprintf("%q… (%d bytes)", resp.Body[:60], len(resp.Body))
	}
	return fmt.Sprintf("status %d, body %s, error %v", resp.Status, body, err)
}

func waits(d ...time.Duration) []time.Duration { return d }

// checkWaits lets a server answer once with status and a Retry-After header, and checks how the client waits.
func checkWaits(t *testing.T, status int, header string, want []time.Duration, fallback time.Duration) {
	t.Helper()
	first := answer(status, "")
	if header != "" {
		first = answer(status, "", "Retry-After", header)
	}
	api := serve(t, first, answer(200, "ok"))
	var log waitLog
	c := newClient(t, httpclient.Options{Sleep: log.sleep, Backoff: func(int) time.Duration { return fallback }})
	resp, err := do(t, c, newRequest(t, "GET", api.URL, ""))
	if err != nil || resp.Status != 200 {
		t.Errorf("%d with Retry-After: %s, then 200: Do = %s, want status 200", status, header, show(resp, err))
	}
	if got := log.waits(); !slices.Equal(got, want) {
		t.Errorf("%d with Retry-After: %q (now %s, backoff %v): waited %v, want %v",
			status, header, now.Format(http.TimeFormat), fallback, got, want)
	}
}

// waitLog is a Sleep that only takes notes.
type waitLog struct {
	mu  sync.Mutex
	got []time.Duration
}

func (l *waitLog) sleep(ctx context.Context, d time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, d)
	return ctx.Err()
}

func (l *waitLog) waits() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.got)
}

// server answers each request by the next of its handlers; the last one stays. It takes notes.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	steps []http.HandlerFunc
	got   []request
	dials int
	open  map[string]bool // by the client's address
	moved chan struct{}   // closed and renewed when a connection opens or closes
}

type request struct {
	method, body string
	header       http.Header
}

func serve(t *testing.T, steps ...http.HandlerFunc) *server {
	t.Helper()
	s := &server{steps: steps, open: map[string]bool{}, moved: make(chan struct{})}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ConnState = s.connState
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		c.(*net.TCPConn).SetWriteBuffer(64 << 10) // what nobody reads is not buffered by the megabyte
		return ctx
	}
	s.Start()
	t.Cleanup(func() {
		s.CloseClientConnections() // whatever a handler waits for, its client is gone
		s.Close()
	})
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.got = append(s.got, request{r.Method, string(body), r.Header.Clone()})
	step := s.steps[0]
	if len(s.steps) > 1 {
		s.steps = s.steps[1:]
	}
	s.mu.Unlock()
	step(w, r)
}

func (s *server) then(step http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, step)
}

func (s *server) requests() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *server) dialled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

// stillOpen says how many connections are open for good.
func (s *server) stillOpen() int {
	for {
		s.mu.Lock()
		n, moved := len(s.open), s.moved
		s.mu.Unlock()
		if n == 0 || !awaitClose(moved) {
			return n
		}
	}
}

func (s *server) connState(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.dials++
		s.open[c.RemoteAddr().String()] = true
	case http.StateClosed, http.StateHijacked:
		delete(s.open, c.RemoteAddr().String())
	default:
		return
	}
	close(s.moved)
	s.moved = make(chan struct{})
}

// answer answers with a status, a body and headers (name, value, …).
func answer(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		if status == http.StatusNoContent || status == http.StatusNotModified {
			w.WriteHeader(status)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// chunked answers without saying how long the body will be.
func chunked(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		io.WriteString(w, body)
	}
}

// hangUp closes the connection without an answer.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// cutShort announces 1000 bytes, sends some and closes the connection.
func cutShort(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "1000")
	io.WriteString(w, "the beginning of")
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// reset announces 1000 bytes, sends some and, once the client has seen them, resets the connection.
func reset(w http.ResponseWriter, seen <-chan struct{}) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err) // not with HTTP/1
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nthe beginning of")
	awaitClose(seen)
	conn.(*net.TCPConn).SetLinger(0)
}

// bomb sends little that becomes much.
func bomb(w http.ResponseWriter, r *http.Request) {
	zeros := make([]byte, 1<<20)
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Write(zeros)
		return
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	zip.Write(zeros)
	zip.Close()
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Content-Length", strconv.Itoa(packed.Len()))
	w.Write(packed.Bytes())
}

// flood answers with far more than anybody wants; sent waits for the handler's end and says how much went out.
func flood(status int) (handler http.HandlerFunc, sent func(*testing.T) int) {
	done := make(chan struct{})
	var first sync.Once // asked twice; the first time counts
	var total int
	handler = func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		out, chunk := 0, bytes.Repeat([]byte("flood "), 8<<10)
		for out < flooded {
			n, err := w.Write(chunk)
			out += n
			if err != nil {
				break
			}
		}
		first.Do(func() {
			total = out
			close(done)
		})
	}
	sent = func(t *testing.T) int {
		t.Helper()
		if !awaitClose(done) {
			t.Error("the client neither reads a long body nor closes the connection")
			return 0
		}
		return total
	}
	return handler, sent
}

// silent answers late, unless the client leaves: before or within the body.
func silent(where string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if where == "within" {
			io.WriteString(w, "half of ")
			w.(http.Flusher).Flush()
		}
		waitForClient(r)
		io.WriteString(w, "a late answer")
	}
}

// barrier lets n go on once n have come, again and again.
type barrier struct {
	mu      sync.Mutex
	n, here int
	gate    chan struct{}
}

func newBarrier(n int) *barrier { return &barrier{n: n, gate: make(chan struct{})} }

// wait waits for the others, but not for ever.
func (b *barrier) wait() {
	b.mu.Lock()
	gate := b.gate
	b.here++
	switch b.here {
	case b.n:
		b.open()
	case 1:
		go func() { // one looks out for all
			if awaitClose(gate) {
				return
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.gate == gate {
				b.open()
			}
		}()
	}
	b.mu.Unlock()
	<-gate
}

func (b *barrier) open() {
	close(b.gate)
	b.here, b.gate = 0, make(chan struct{})
}

// waitForClient waits until the client has left, but not for ever.
func waitForClient(r *http.Request) { awaitClose(r.Context().Done()) }

// awaitClose waits for c to be closed, and gives up when nothing in the process moves: client and server both live here, so
// nobody is left then who could close c.
func awaitClose(c <-chan struct{}) bool {
	_, ok := stall.ReceiveLocal(c)
	return ok
}
