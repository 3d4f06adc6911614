// The intents of budget.
//
//kata:level 2
//kata:minutes 50
//kata:engine real Go runtime
package budget_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadkata/roadkata/stage1/stdlib/budget"
)

// A budget is never longer than its parent's, and ends when the parent does.
//
//kata:zh 预算不会比父级的更长，父级结束时它也结束。
func TestNeverLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		for _, c := range []struct{ parent, own, want time.Duration }{
			{10 * time.Second, time.Minute, 10 * time.Second},
			{time.Minute, 10 * time.Second, 10 * time.Second},
			{time.Minute, time.Minute, time.Minute},
		} {
			parent, stop := budget.With(context.WithValue(t.Context(), key{}, "value"), "shop", c.parent)
			ctx, cancel := budget.With(parent, "stock", c.own)
			if left := remaining(ctx); left != c.want {
				t.Errorf("With(With(ctx, %q, %v), %q, %v) leaves %v, want %v", "shop", c.parent, "stock", c.own, left, c.want)
			}
			if ctx.Value(key{}) != "value" {
				t.Errorf("With(parent, …) has lost its parent's values")
			}
			child, cancelChild := budget.With(parent, "warehouse", c.own)
			cancelChild()
			if child.Err() != context.Canceled || parent.Err() != nil {
				t.Errorf("the cancel of With(parent, %q, %v) was called: the child has Err() = %v, its parent %v; want context.Canceled, nil",
					"warehouse", c.own, child.Err(), parent.Err())
			}
			stop()
			synctest.Wait()
			if ctx.Err() != context.Canceled {
				t.Errorf("the parent of With(parent, %q, %v) was cancelled: Err() = %v, want context.Canceled", "stock", c.own, ctx.Err())
			}
			cancel()
		}
		ctx, cancel := budget.With(t.Context(), "shop", time.Minute)
		cancel()
		if ctx.Err() != context.Canceled {
			t.Errorf("With's cancel was called: Err() = %v, want context.Canceled", ctx.Err())
		}
	})
}

// When time is spent, the cause tells whose deadline it was; Whose tells it before.
//
//kata:zh 时间用完时，原因说明是谁的截止时间；Whose 事先就能回答。
func TestWhose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			what, want string
			make       func(context.Context) (context.Context, context.CancelFunc)
		}{
			{`With("shop", 10s)`, "shop", func(ctx context.Context) (context.Context, context.CancelFunc) {
				return budget.With(ctx, "shop", 10*time.Second)
			}},
			{`With("stock", 1m) below With("shop", 10s)`, "shop", func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, _ = budget.With(ctx, "shop", 10*time.Second)
				return budget.With(ctx, "stock", time.Minute)
			}},
			{`With("stock", 10s) below With("shop", 1m)`, "stock", func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, _ = budget.With(ctx, "shop", time.Minute)
				return budget.With(ctx, "stock", 10*time.Second)
			}},
			{`With("stock", 10s) below With("shop", 10s)`, "shop", func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, _ = budget.With(ctx, "shop", 10*time.Second)
				return budget.With(ctx, "stock", 10*time.Second)
			}},
		} {
			ctx, cancel := c.make(context.Background())
			if got := budget.Whose(ctx); got != c.want {
				t.Errorf("Whose(%s) = %q, want %q", c.what, got, c.want)
			}
			time.Sleep(11 * time.Second)
			wantSpent(t, c.what+", 11s later: context.Cause", context.Cause(ctx), c.want)
			if ctx.Err() != context.DeadlineExceeded {
				t.Errorf("%s, 11s later: Err() = %v, want context.DeadlineExceeded", c.what, ctx.Err())
			}
			cancel()
		}

		ctx, cancel := budget.With(context.Background(), "shop", time.Minute)
		defer cancel()
		plain, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		for what, ctx := range map[string]context.Context{
			"a context without a deadline":                       context.Background(),
			"context.WithTimeout(1s) below With(1m)":             plain,
			`context.WithoutCancel(With("shop", 1m))`:            context.WithoutCancel(ctx),
			`With("stock", 1h) below context.WithTimeout(…, 1s)`: first(budget.With(plain, "stock", time.Hour)),
		} {
			if got := budget.Whose(ctx); got != "" {
				t.Errorf(`Whose(%s) = %q, want "": nobody has said whose it is`, what, got)
			}
		}
	})
}

// A request has the time that its caller allows, or the service's limit if that is less; what is no number allows nothing and forbids nothing.
//
//kata:zh 请求的时间由调用方给出，服务自己的上限更短时取上限；不是数字的值既不放宽也不收紧。
func TestHandlerTakesTheLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			header []string
			want   time.Duration
			whose  string
		}{
			{nil, 10 * time.Second, "stock"},
			{[]string{"1500"}, 1500 * time.Millisecond, "caller"},
			{[]string{"0002"}, 2 * time.Millisecond, "caller"},
			{[]string{"10000"}, 10 * time.Second, "caller"},
			{[]string{"10001"}, 10 * time.Second, "stock"},
			{[]string{"9223372036854"}, 10 * time.Second, "stock"},
			{[]string{"9223372036855"}, 10 * time.Second, "stock"}, // too long for a time.Duration
			{[]string{"18446744073709"}, 10 * time.Second, "stock"},
			{[]string{strings.Repeat("9", 30)}, 10 * time.Second, "stock"},
			{[]string{""}, 10 * time.Second, "stock"},
			{[]string{"-5"}, 10 * time.Second, "stock"},
			{[]string{"+5"}, 10 * time.Second, "stock"},
			{[]string{"5s"}, 10 * time.Second, "stock"},
			{[]string{"1.5"}, 10 * time.Second, "stock"},
			{[]string{"5", "7"}, 10 * time.Second, "stock"},
		} {
			calls := 0
			var inside context.Context
			h := budget.Handler("stock", 10*time.Second, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls++
				inside = r.Context()
				if left := remaining(inside); left != c.want {
					t.Errorf("Handler(%q, 10s), %s: %q: the request has %v left, want %v", "stock", budget.Header, c.header, left, c.want)
				}
				if whose := budget.Whose(inside); whose != c.whose {
					t.Errorf("Handler(%q, 10s), %s: %q: the deadline is that of %q, want %q", "stock", budget.Header, c.header, whose, c.whose)
				}
			}))
			r := httptest.NewRequest("GET", "/", nil)
			r.Header[budget.Header] = c.header
			h.ServeHTTP(httptest.NewRecorder(), r)
			if calls != 1 {
				t.Errorf("Handler(%q, 10s), %s: %q: the handler was called %d times, want 1", "stock", budget.Header, c.header, calls)
			} else if inside.Err() != context.Canceled {
				t.Errorf("the handler has returned: its request's context has Err() = %v, want context.Canceled", inside.Err())
			}
		}

		var inside context.Context
		h := budget.Handler("stock", 10*time.Second, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			inside = r.Context()
			panic(http.ErrAbortHandler)
		}))
		func() {
			defer func() {
				if v := recover(); v != nil && v != http.ErrAbortHandler { // net/http wants it; whether it comes is no matter here
					panic(v)
				}
			}()
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}()
		if inside == nil || inside.Err() != context.Canceled {
			t.Error("the handler has panicked: its request's context has not ended, want context.Canceled")
		}
	})
}

// A request without any time left is answered with 504, and not handled.
//
//kata:zh 已经没有时间的请求直接应答 504，不再处理。
func TestHandlerSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		h := budget.Handler("stock", 10*time.Second, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls++ }))
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for _, c := range []struct {
			what, header string
			ctx          context.Context
		}{
			{budget.Header + ": 0", "0", t.Context()},
			{budget.Header + ": 000", "000", t.Context()},
			{budget.Header + ": 5000, and a context that has ended", "5000", ended},
		} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest("GET", "/", nil).WithContext(c.ctx)
			r.Header.Set(budget.Header, c.header)
			h.ServeHTTP(w, r)
			if w.Code != 504 || calls != 0 {
				t.Errorf("a request with %s was answered with %d, its handler called %d times; want 504, 0", c.what, w.Code, calls)
			}
		}
	})
}

// A call gets the time that is left less the reserve, in whole milliseconds, both in the header and in its context.
//
//kata:zh 下游调用得到的时间是剩余时间减去预留，取整毫秒；请求头和 context 里都是如此。
func TestReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			left, reserve time.Duration
			header        string
			want          time.Duration
		}{
			{2 * time.Second, 500 * time.Millisecond, "1500", 1500 * time.Millisecond},
			{2 * time.Second, 0, "2000", 2 * time.Second},
			{time.Second + 999*time.Microsecond, 0, "1000", time.Second}, // never more than there is
			{time.Second, 999 * time.Millisecond, "1", time.Millisecond},
		} {
			ctx, cancel := budget.With(t.Context(), "shop", time.Hour+c.left)
			time.Sleep(time.Hour) // it is the time left that counts
			calls := 0
			tr := budget.Transport(c.reserve, roundTripper(func(r *http.Request) (*http.Response, error) {
				calls++
				if got := r.Header.Get(budget.Header); got != c.header {
					t.Errorf("%v left, reserve %v: the call has %s: %q, want %q", c.left, c.reserve, budget.Header, got, c.header)
				}
				if left := remaining(r.Context()); left != c.want {
					t.Errorf("%v left, reserve %v: the call's context has %v left, want %v as in the header", c.left, c.reserve, left, c.want)
				}
				if whose := budget.Whose(r.Context()); whose != "shop" {
					t.Errorf("a call within the deadline of %q: Whose(its context) = %q", "shop", whose)
				}
				return answer("fine"), nil
			}))
			resp, err := tr.RoundTrip(request(ctx, nil))
			if err != nil || calls != 1 {
				t.Errorf("%v left, reserve %v: the call was made %d times, error %v; want 1, nil", c.left, c.reserve, calls, err)
			} else {
				resp.Body.Close()
			}
			cancel()
		}

		unlimited := budget.Transport(time.Second, roundTripper(func(r *http.Request) (*http.Response, error) {
			if deadline, ok := r.Context().Deadline(); ok {
				t.Errorf("a request without a deadline: the call's context has one, in %v; want none", time.Until(deadline))
			}
			return answer("fine"), nil
		}))
		resp, err := unlimited.RoundTrip(request(context.Background(), nil))
		if err != nil {
			t.Fatalf("a request without a deadline: error %v, want nil", err)
		}
		resp.Body.Close()
	})
}

// A call for which no millisecond is left fails before it is made, and says whose deadline it was.
//
//kata:zh 连一毫秒都不剩的调用在发出之前就失败，并说明是谁的截止时间。
func TestSpentBeforeTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("the user has gone")
		cancelled, stop := context.WithCancelCause(context.Background())
		stop(gone)
		for _, c := range []struct {
			what  string
			ctx   context.Context
			whose string
		}{
			{"less left than the reserve", first(budget.With(t.Context(), "shop", 400*time.Millisecond)), "shop"},
			{"as much left as the reserve", first(budget.With(t.Context(), "shop", 500*time.Millisecond)), "shop"},
			{"half a millisecond more left than the reserve", first(budget.With(t.Context(), "shop", 500500*time.Microsecond)), "shop"},
			{"a deadline that has passed", first(budget.With(t.Context(), "shop", -1)), "shop"},
			{"too little left of context.WithTimeout", first(context.WithTimeout(t.Context(), 100*time.Millisecond)), ""},
			{"a context that was cancelled", cancelled, ""},
		} {
			calls := 0
			tr := budget.Transport(500*time.Millisecond, roundTripper(func(*http.Request) (*http.Response, error) {
				calls++
				return answer("late"), nil
			}))
			sent := &recordingBody{Reader: strings.NewReader("order")}
			resp, err := tr.RoundTrip(request(c.ctx, sent))
			if calls != 0 || resp != nil || err == nil {
				t.Errorf("%s: the call was made %d times, answer %v, error %v; want 0, nil and an error", c.what, calls, resp, err)
				continue
			}
			if c.ctx == cancelled {
				if spent := (*budget.SpentError)(nil); !errors.Is(err, gone) || errors.As(err, &spent) {
					t.Errorf("%s because %q: error %v, want one that wraps this, and no *SpentError", c.what, gone, err)
				}
			} else {
				wantSpent(t, c.what+": error", err, c.whose)
			}
			if !sent.closed {
				t.Errorf("%s: the request's body was not closed, as a RoundTripper has to, called or not", c.what)
			}
		}
	})
}

// The request itself is not changed, and a budget in its header, left from another hop, goes no further.
//
//kata:zh 请求本身不被修改；它的请求头里残留的、上一跳的预算不会传下去。
func TestRequestIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited, cancel := budget.With(t.Context(), "shop", time.Second)
		defer cancel()
		for _, c := range []struct {
			what string
			ctx  context.Context
			want []string
		}{
			{"no deadline", t.Context(), nil},
			{"1s left", limited, []string{"1000"}},
		} {
			tr := budget.Transport(0, roundTripper(func(r *http.Request) (*http.Response, error) {
				var got []string
				for name, values := range r.Header {
					if strings.EqualFold(name, budget.Header) { // what is sent, in whatever case
						got = append(got, values...)
					}
				}
				if strings.Join(got, ",") != strings.Join(c.want, ",") {
					t.Errorf("%s, and %s: 77777, request-budget: 88888 in the request from elsewhere: the call has %q, want %q", c.what, budget.Header, got, c.want)
				}
				if got := r.Header.Get("Accept"); got != "text/plain" {
					t.Errorf(`%s: a request with Accept: text/plain is sent with %q`, c.what, got)
				}
				return answer("fine"), nil
			}))
			req := request(c.ctx, nil)
			req.Header.Set(budget.Header, "77777")
			req.Header["request-budget"] = []string{"88888"} // not by Set, and sent all the same
			req.Header.Set("Accept", "text/plain")
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
			resp.Body.Close()
			if got := req.Header.Values(budget.Header); len(got) != 1 || got[0] != "77777" {
				t.Errorf("%s: after RoundTrip, the caller's own request has %s: %q, want it as it was: %q", c.what, budget.Header, got, "77777")
			}
		}
	})
}

// The context of a call lives until the answer's body is closed, no shorter and no longer.
//
//kata:zh 调用的 context 一直活到应答的响应体被关闭，不早也不晚。
func TestLivesUntilTheBodyIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := budget.With(t.Context(), "shop", time.Hour)
		defer cancel()
		var call context.Context
		received := &recordingBody{Reader: strings.NewReader("the answer")}
		tr := budget.Transport(time.Second, roundTripper(func(r *http.Request) (*http.Response, error) {
			call = r.Context()
			resp := answer("")
			resp.Body = received
			return resp, nil
		}))
		resp, err := tr.RoundTrip(request(ctx, nil))
		if err != nil {
			t.Fatal(err)
		}
		if call.Err() != nil {
			t.Errorf("RoundTrip has returned, the body is still to be read: the call's context has Err() = %v, want nil", call.Err())
		}
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "the answer" {
			t.Errorf("the answer's body = %q, %v; want %q", body, err, "the answer")
		}
		resp.Body.Close()
		if call.Err() == nil {
			t.Error("the answer's body was closed: the call's context has not ended; its timer runs on")
		}
		if !received.closed {
			t.Error("the answer's body was closed, that of the transport beneath was not: its connection is lost")
		}

		failing := budget.Transport(time.Second, roundTripper(func(r *http.Request) (*http.Response, error) {
			call = r.Context()
			return nil, errors.New("connection refused")
		}))
		failing.RoundTrip(request(ctx, nil))
		if call.Err() == nil {
			t.Error("a call has failed: its context has not ended; its timer runs on")
		}
	})
}

// A call that takes too long ends in time for the reserve, and its error says whose deadline it was.
//
//kata:zh 过慢的调用会及时结束，留出预留时间；它的错误说明是谁的截止时间。
func TestCallRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := budget.With(t.Context(), "shop", 2*time.Second)
		defer cancel()
		broken := errors.New("connection lost")
		tr := budget.Transport(500*time.Millisecond, roundTripper(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, broken // some transports answer with an error of their own
		}))
		start := time.Now()
		_, err := tr.RoundTrip(request(ctx, nil))
		if took := time.Since(start); took != 1500*time.Millisecond {
			t.Errorf("2s left, reserve 500ms: a call without an answer ended after %v, want 1.5s", took)
		}
		wantSpent(t, "a call without an answer: error", err, "shop")
		if !errors.Is(err, broken) {
			t.Errorf("a call without an answer: error %v, want one that also wraps the transport's: %v", err, broken)
		}

		refused := budget.Transport(0, roundTripper(func(*http.Request) (*http.Response, error) { return nil, broken }))
		_, err = refused.RoundTrip(request(ctx, nil))
		if !errors.Is(err, broken) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call failed in time with %q: error %v, want one that wraps this, and no deadline", broken, err)
		}

		gone := errors.New("the user has gone")
		unlimited, stop := context.WithCancelCause(context.Background())
		stopped := budget.Transport(0, roundTripper(func(r *http.Request) (*http.Response, error) {
			stop(gone)
			<-r.Context().Done()
			return nil, broken
		}))
		_, err = stopped.RoundTrip(request(unlimited, nil))
		if !errors.Is(err, gone) || !errors.Is(err, broken) {
			t.Errorf("no deadline, cancelled amid the call because %q: error %v, want one that wraps this, and the transport's: %v", gone, err, broken)
		}
	})
}

// A clock that is wrong, on either side, makes no budget longer or shorter.
//
//kata:zh 任何一方的时钟不准，都不会让预算变长或变短。
func TestClockSkew(t *testing.T) {
	for _, skew := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		var sent http.Header
		synctest.Test(t, func(t *testing.T) { // the caller's clock
			time.Sleep(48 * time.Hour)
			ctx, cancel := budget.With(t.Context(), "shop", 5*time.Second)
			defer cancel()
			req := request(ctx, nil)
			req.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
			resp, err := budget.Transport(time.Second, roundTripper(func(r *http.Request) (*http.Response, error) {
				sent = r.Header.Clone()
				return answer("fine"), nil
			})).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		})
		synctest.Test(t, func(t *testing.T) { // the service's
			time.Sleep(48*time.Hour + skew)
			calls := 0
			r := httptest.NewRequest("GET", "/", nil)
			r.Header = sent
			budget.Handler("stock", time.Hour, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls++
				if left := remaining(r.Context()); left != 4*time.Second {
					t.Errorf("the service's clock is %v off: its caller left it 4s, it takes %v", skew, left)
				}
			})).ServeHTTP(httptest.NewRecorder(), r)
			if calls != 1 {
				t.Errorf("the service's clock is %v off: its caller left it 4s, it takes that for nothing", skew)
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

type recordingBody struct {
	io.Reader
	closed bool
}

func (b *recordingBody) Close() error {
	b.closed = true
	return nil
}

func request(ctx context.Context, body io.Reader) *http.Request {
	req, err := http.NewRequestWithContext(ctx, "POST", "http://stock.example/", body)
	if err != nil {
		panic(err) // the address is a constant
	}
	return req
}

func answer(body string) *http.Response {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewBufferString(body))}
}

// remaining is the time that ctx has left; without a deadline, a very long one.
func remaining(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 1<<63 - 1
	}
	return time.Until(deadline)
}

// first keeps the context of With; its timer does not outlive the bubble's virtual time.
func first(ctx context.Context, _ context.CancelFunc) context.Context { return ctx }

func wantSpent(t *testing.T, what string, err error, whose string) {
	t.Helper()
	var spent *budget.SpentError
	if !errors.As(err, &spent) || spent.Whose != whose || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s = %v; want a *SpentError of %q, which is a context.DeadlineExceeded", what, err, whose)
	}
}
