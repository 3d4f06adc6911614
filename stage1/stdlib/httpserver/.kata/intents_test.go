// The intents of httpserver.
//
//kata:level 3
//kata:minutes 75
//kata:engine real net/http over in-memory connections
package httpserver_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadkata/roadkata/stage1/stdlib/httpserver"
)

// A request reaches the handler of its method and path; no such path is 404, no such method is 405 with Allow, both as JSON.
//
//kata:zh 请求按方法和路径到达处理函数；没有这个路径是 404，没有这个方法是 405 并带 Allow，两者都是 JSON。
func TestRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, httpserver.Options{}, func(s *httpserver.Server) {
			s.Handle("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) error {
				if r.PathValue("id") == "8" {
					http.Error(w, "item 8 is sold", http.StatusNotFound)
					return nil
				}
				fmt.Fprintf(w, "get %s", r.PathValue("id"))
				return nil
			})
			s.Handle("PUT /items/{id}", func(w http.ResponseWriter, r *http.Request) error {
				fmt.Fprintf(w, "put %s", r.PathValue("id"))
				return nil
			})
		})
		for _, c := range []struct {
			method, path string
			status       int
			body         string
		}{
			{"GET", "/items/7", 200, "get 7"},
			{"PUT", "/items/7", 200, "put 7"},
			{"GET", "/items/8", 404, "item 8 is sold\n"}, // the handler's own answer
		} {
			if got := f.do(c.method, c.path, nil); got.err != nil || got.status != c.status || got.body != c.body {
				t.Errorf("%s %s = %v, want %d %q", c.method, c.path, got, c.status, c.body)
			}
		}
		got := f.do("GET", "/nothing", nil)
		got.wantError(t, "GET /nothing", 404, "Not Found")
		if allow := got.header.Get("Allow"); allow != "" {
			t.Errorf("GET /nothing has Allow: %q, want none: no method would help", allow)
		}
		got = f.do("DELETE", "/items/7", nil)
		got.wantError(t, "DELETE /items/7", 405, "Method Not Allowed")
		if allow := got.header.Get("Allow"); allow != "GET, HEAD, PUT" {
			t.Errorf(`DELETE /items/7, handled for GET and PUT, has Allow: %q, want "GET, HEAD, PUT"`, allow)
		}
		f.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for _, path := range []string{"//nothing", "//items/7"} {
			got := f.do("GET", path, nil)
			location, kind := got.header.Get("Location"), got.header.Get("Content-Type")
			if got.err != nil || got.status != 307 || location != path[1:] || kind != "text/html; charset=utf-8" {
				t.Errorf("GET %s = %v with Location %q and Content-Type %q, want 307, %q and text/html; charset=utf-8, as http.ServeMux redirects",
					path, got, location, kind, path[1:])
			}
		}
	})
}

// A request under way when the server stops is finished undisturbed, and Serve returns nil only after that.
//
//kata:zh 服务器停止时正在处理的请求不受打扰地完成，此后 Serve 才返回 nil。
func TestInFlightFinishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		var disturbed error
		var value any
		f := startWith(t, context.WithValue(t.Context(), key{}, "value"), httpserver.Options{Grace: time.Minute}, func(s *httpserver.Server) {
			s.Handle("GET /slow", func(w http.ResponseWriter, r *http.Request) error {
				time.Sleep(10 * time.Second)
				disturbed, value = r.Context().Err(), r.Context().Value(key{})
				io.WriteString(w, "done")
				return nil
			})
		})
		answered := make(chan answer, 1)
		go func() { answered <- f.do("GET", "/slow", nil) }()
		time.Sleep(time.Second)
		f.stop()

		select {
		case err := <-f.served:
			f.served <- err
			synctest.Wait() // what the server has sent, the client has read then
			if len(answered) == 0 {
				t.Errorf("Serve returned %v while a request was still under way", err)
			}
		case got := <-answered:
			answered <- got
		}
		if got := <-answered; got.err != nil || got.body != "done" {
			t.Errorf(`the server was stopped during GET /slow, which = %v; want 200 "done"`, got)
		}
		if disturbed != nil {
			t.Errorf("the context of a request under way ended when the server stopped (%v), long before its grace was over", disturbed)
		}
		if value != "value" {
			t.Errorf("Serve's context has a value that the request's has not: got %v", value)
		}
		if err := f.wait(); err != nil {
			t.Errorf("Serve = %v after a graceful stop, want nil", err)
		}
	})
}

// As soon as the server stops, it takes no new connections and closes idle ones, though a request is still under way.
//
//kata:zh 服务器一停止，即使还有请求在处理，也不再接受新连接，并关闭空闲连接。
func TestRefusesNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, httpserver.Options{Grace: time.Minute}, func(s *httpserver.Server) {
			s.Handle("GET /slow", func(w http.ResponseWriter, r *http.Request) error {
				time.Sleep(30 * time.Second)
				return nil
			})
			s.Handle("GET /quick", func(w http.ResponseWriter, r *http.Request) error { return nil })
		})
		idle := f.dial()
		io.WriteString(idle, "GET /quick HTTP/1.1\r\nHost: kata\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(idle), nil); err != nil {
			t.Fatalf("GET /quick: %v", err)
		}
		busy := f.dial()
		io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: kata\r\n\r\n")
		time.Sleep(10 * time.Second)

		f.stop()
		time.Sleep(2 * time.Second)
		if !f.l.isClosed() {
			t.Error("the server was stopped 2s ago, a request is under way, and new connections are still taken")
		}
		idle.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("reading from an idle connection after the server was stopped: %v, want EOF", err)
		}
		r := bufio.NewReader(busy)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("the request under way got no answer: %v", err)
		}
		io.Copy(io.Discard, resp.Body)
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("reading on after the answer to the last request: %v, want EOF: its connection is closed, too", err)
		}
	})
}

// When their grace is over, the contexts and connections of all requests end, and Serve says so.
//
//kata:zh 宽限期一过，所有请求的 context 和连接都结束，Serve 返回相应的错误。
func TestGraceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan time.Duration, 2)
		var stopped time.Time
		f := start(t, httpserver.Options{Grace: 20 * time.Second}, func(s *httpserver.Server) {
			s.Handle("/stuck", func(w http.ResponseWriter, r *http.Request) error {
				select {
				case <-r.Context().Done():
					told <- time.Since(stopped)
				case <-time.After(time.Hour):
					told <- time.Hour
				}
				time.Sleep(time.Hour) // and it takes its time to give up
				return nil
			})
		})
		get, post := f.dial(), f.dial()
		io.WriteString(get, "GET /stuck HTTP/1.1\r\nHost: kata\r\n\r\n")
		io.WriteString(post, "POST /stuck HTTP/1.1\r\nHost: kata\r\nContent-Length: 10\r\n\r\n") // its body never comes
		time.Sleep(time.Second)
		stopped = time.Now()
		f.stop()
		err := f.wait()
		if took := time.Since(stopped); took < 19*time.Second || took > 22*time.Second {
			t.Errorf("Grace 20s, two requests without an end: Serve returned %v after the stop, want 20s", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("requests were cut off when their grace was over: Serve = %v, want an error that wraps context.DeadlineExceeded", err)
		}
		for range 2 {
			if d := <-told; d < 19*time.Second || d > 22*time.Second {
				t.Errorf("Grace 20s: the context of a request ended %v after the stop, want 20s (also if its body was not read)", d)
			}
		}
		get.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := get.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("reading from a connection after its grace was over: %v, want EOF", err)
		}
	})
}

// If the listener fails, Serve returns its error, once the requests under way are finished.
//
//kata:zh 监听器出错时，Serve 等正在处理的请求完成后返回这个错误。
func TestListenerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, httpserver.Options{}, func(s *httpserver.Server) {
			s.Handle("GET /slow", func(w http.ResponseWriter, r *http.Request) error {
				time.Sleep(10 * time.Second)
				io.WriteString(w, "done")
				return nil
			})
		})
		answered := make(chan answer, 1)
		go func() { answered <- f.do("GET", "/slow", nil) }()
		time.Sleep(time.Second)
		broken := errors.New("too many open files")
		f.l.fail <- broken
		if err := f.wait(); !errors.Is(err, broken) {
			t.Errorf("Accept failed with %q: Serve = %v, want an error that wraps it", broken, err)
		}
		if got := <-answered; got.body != "done" {
			t.Errorf(`the listener failed during GET /slow, which = %v; want 200 "done"`, got)
		}
	})
}

// A handler that panics or returns an error before it has written is answered with a clean 500 and reported; the server lives on.
//
//kata:zh 处理函数在写出响应之前 panic 或返回错误：以干净的 500 应答并上报，服务器继续工作。
func TestFailureIs500(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := errors.New("no database")
		f := start(t, httpserver.Options{}, func(s *httpserver.Server) {
			prepare := func(w http.ResponseWriter) {
				w.Header().Set("Content-Length", "5")
				w.Header().Set("Etag", `"7"`)
				w.Header().Set("Link", "</style.css>; rel=preload")
				w.WriteHeader(http.StatusEarlyHints) // is no answer yet
			}
			s.Handle("GET /panic", func(w http.ResponseWriter, r *http.Request) error {
				prepare(w)
				panic("boom")
			})
			s.Handle("GET /error", func(w http.ResponseWriter, r *http.Request) error {
				prepare(w)
				return failed
			})
			s.Handle("GET /fine", func(w http.ResponseWriter, r *http.Request) error {
				_, err := io.WriteString(w, "fine")
				return err
			})
		})
		for _, path := range []string{"/panic", "/error"} {
			got := f.do("GET", path, nil)
			got.wantError(t, "GET "+path, 500, "Internal Server Error")
			if got.header.Get("Etag") != "" || got.header.Get("Link") != "" {
				t.Errorf("GET %s = 500 with header fields that its handler had set for another answer: %v", path, got.header)
			}
		}
		if got, want := f.reported(), []any{"boom", failed}; !slices.Equal(got, want) {
			t.Errorf(`one handler panicked with "boom", one returned %q: Report was told %v, want %v`, failed, got, want)
		}
		if got := f.do("GET", "/fine", nil); got.err != nil || got.body != "fine" {
			t.Errorf(`GET /fine after that = %v, want 200 "fine"`, got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{t: t}
		f.serve(t.Context(), httpserver.Options{}, func(s *httpserver.Server) {
			s.Handle("GET /panic", func(w http.ResponseWriter, r *http.Request) error { panic("boom") })
			s.Handle("GET /error", func(w http.ResponseWriter, r *http.Request) error { return errors.New("no database") })
		})
		for _, path := range []string{"/panic", "/error"} {
			f.do("GET", path, nil).wantError(t, "Options.Report left out: GET "+path, 500, "Internal Server Error")
		}
	})
}

// If a handler fails when its answer has begun, the connection is cut and the failure reported: a part never passes for the whole.
//
//kata:zh 响应已经开始之后才失败：切断连接并上报，绝不让半截响应冒充完整的。
func TestFailureCuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := errors.New("no database")
		begin := map[string]func(http.ResponseWriter) error{
			"written": func(w http.ResponseWriter) error { _, err := io.WriteString(w, "half of "); return err },
			"status":  func(w http.ResponseWriter) error { w.WriteHeader(200); return nil },
			"flushed": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		}
		f := start(t, httpserver.Options{}, func(s *httpserver.Server) {
			s.Handle("GET /{how}/{end}", func(w http.ResponseWriter, r *http.Request) error {
				if err := begin[r.PathValue("how")](w); err != nil {
					return err
				}
				if r.PathValue("end") == "panic" {
					panic(failed)
				}
				return failed
			})
		})
		for _, how := range []string{"written", "status", "flushed"} {
			for _, end := range []string{"panic", "error"} {
				got := f.do("GET", "/"+how+"/"+end, nil)
				if got.err == nil {
					t.Errorf("a handler's answer was %s, then it failed (%s): the client got %v, want a broken connection", how, end, got)
				}
				if got := f.reported(); !slices.Equal(got, []any{failed}) {
					t.Errorf("a handler's answer was %s, then it failed (%s) with %q: Report was told %v", how, end, failed, got)
				}
			}
		}
	})
}

// A panic with http.ErrAbortHandler cuts the connection, written or not, and is no failure to report; returned, it is an error like others.
//
//kata:zh 以 http.ErrAbortHandler panic 时，无论写没写过都切断连接，且不作为故障上报；返回它则与其他错误无异。
func TestAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, httpserver.Options{}, func(s *httpserver.Server) {
			s.Handle("GET /abort", func(w http.ResponseWriter, r *http.Request) error {
				panic(http.ErrAbortHandler)
			})
			s.Handle("GET /return", func(w http.ResponseWriter, r *http.Request) error {
				return http.ErrAbortHandler
			})
		})
		if got := f.do("GET", "/abort", nil); got.err == nil {
			t.Errorf("a handler panicked with http.ErrAbortHandler: the client got %v, want a broken connection", got)
		}
		if got := f.reported(); len(got) != 0 {
			t.Errorf("a handler panicked with http.ErrAbortHandler: Report was told %v, want nothing: it is wanted, not a failure", got)
		}
		f.do("GET", "/return", nil).wantError(t, "a handler that returns http.ErrAbortHandler: GET /return", 500, "Internal Server Error")
		if got := f.reported(); !slices.Equal(got, []any{http.ErrAbortHandler}) {
			t.Errorf("a handler returned http.ErrAbortHandler: Report was told %v, want that error", got)
		}
	})
}

// A body longer than MaxBody is a 413: before the handler runs if the length is declared, else when the handler reads it.
//
//kata:zh 请求体超过 MaxBody 即为 413：声明了长度的在处理函数运行之前拒绝，没声明的在读取时拒绝。
func TestTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		f := start(t, httpserver.Options{MaxBody: 10}, func(s *httpserver.Server) {
			s.Handle("POST /", func(w http.ResponseWriter, r *http.Request) error {
				calls++
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return fmt.Errorf("reading the order: %w", err)
				}
				fmt.Fprintf(w, "got %s", body)
				return nil
			})
		})
		for _, c := range []struct {
			what, body string
			declared   bool
		}{
			{"10 bytes, length declared", "0123456789", true},
			{"10 bytes, chunked", "0123456789", false},
			{"11 bytes, length declared", "0123456789a", true},
			{"11 bytes, chunked", "0123456789a", false},
		} {
			calls = 0
			var body io.Reader = strings.NewReader(c.body)
			if !c.declared {
				body = struct{ io.Reader }{body} // net/http cannot see how long it is
			}
			got := f.do("POST", "/", body)
			if len(c.body) <= 10 {
				if got.err != nil || got.status != 200 || got.body != "got "+c.body {
					t.Errorf("POST of %s, MaxBody 10 = %v, want 200 and the whole body", c.what, got)
				}
				continue
			}
			got.wantError(t, "POST of "+c.what+", MaxBody 10", 413, "Request Entity Too Large")
			if c.declared && calls > 0 {
				t.Errorf("POST of %s, MaxBody 10: the handler was called, want a refusal before that", c.what)
			}
		}
		if got := f.reported(); len(got) != 0 {
			t.Errorf("bodies were too large: Report was told %v, want nothing: that is the client's failure", got)
		}
	})
}

// A client that is slow to send its header is cut, and so is a connection that is idle too long, but not before.
//
//kata:zh 发送请求头太慢的客户端会被切断，空闲太久的连接也会，但都不会提前。
func TestSlowClientIsCut(t *testing.T) {
	slowClientIsCut(t, httpserver.Options{HeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}, 10*time.Second, time.Minute)
	slowClientIsCut(t, httpserver.Options{}, 5*time.Second, 2*time.Minute)
}

func slowClientIsCut(t *testing.T, opts httpserver.Options, header, idleness time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, opts, func(s *httpserver.Server) {
			s.Handle("GET /", func(w http.ResponseWriter, r *http.Request) error { return nil })
		})
		open := time.Now()
		slow := f.dial()
		io.WriteString(slow, "GET / HTTP/1.1\r\nHost: kata\r\n")
		go func() { // one field a second: something comes all the time
			for i := range 100 {
				time.Sleep(time.Second)
				if _, err := fmt.Fprintf(slow, "X-%d: x\r\n", i); err != nil {
					return
				}
			}
		}()
		slow.SetReadDeadline(open.Add(time.Minute))
		io.Copy(io.Discard, slow)
		if took := time.Since(open); took < header-time.Second || took > header+2*time.Second {
			t.Errorf("HeaderTimeout %v: a client that sends one header field a second was cut after %v", header, took)
		}

		idle := f.dial()
		r := bufio.NewReader(idle)
		for i := range 2 {
			time.Sleep(time.Duration(i) * 50 * time.Second)
			idle.SetDeadline(time.Now().Add(time.Minute))
			io.WriteString(idle, "GET / HTTP/1.1\r\nHost: kata\r\n\r\n")
			if _, err := http.ReadResponse(r, nil); err != nil {
				t.Fatalf("IdleTimeout %v, HeaderTimeout %v: request %d on a connection, 50s after the one before: %v", idleness, header, i+1, err)
			}
		}
		since := time.Now()
		idle.SetReadDeadline(since.Add(time.Hour))
		r.ReadByte()
		if took := time.Since(since); took < idleness-time.Second || took > idleness+2*time.Second {
			t.Errorf("IdleTimeout %v: an idle connection was closed after %v", idleness, took)
		}
	})
}

// A long upload and a long answer are not cut: no timeout but those of the header and of idleness applies.
//
//kata:zh 长时间的上传和长时间的应答不会被切断：除请求头和空闲之外没有别的超时。
func TestSlowBodyIsNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, httpserver.Options{HeaderTimeout: time.Second, IdleTimeout: 2 * time.Second, Grace: 3 * time.Second}, func(s *httpserver.Server) {
			s.Handle("POST /", func(w http.ResponseWriter, r *http.Request) error {
				n, err := io.Copy(io.Discard, r.Body)
				if err != nil {
					return err
				}
				for range 10 {
					time.Sleep(time.Minute)
					if _, err := fmt.Fprintf(w, "%d.", n); err != nil {
						return err
					}
				}
				return nil
			})
		})
		pr, pw := io.Pipe()
		go func() {
			for range 10 {
				time.Sleep(time.Minute)
				if _, err := io.WriteString(pw, "x"); err != nil {
					return
				}
			}
			pw.Close()
		}()
		got := f.do("POST", "/", pr)
		pr.Close()
		if want := strings.Repeat("10.", 10); got.err != nil || got.body != want {
			t.Errorf("POST of a body that takes 10m, with an answer that takes as long = %v, want 200 %q (Report was told %v)", got, want, f.reported())
		}
	})
}

// A handler that has read its request's body sees its context end when the client leaves.
//
//kata:zh 客户端离开时，已读完请求体的处理函数会看到自己的 context 结束。
func TestClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		saw := make(chan time.Duration, 1)
		f := start(t, httpserver.Options{}, func(s *httpserver.Server) {
			s.Handle("POST /", func(w http.ResponseWriter, r *http.Request) error {
				io.Copy(io.Discard, r.Body)
				begun := time.Now()
				select {
				case <-r.Context().Done():
				case <-time.After(time.Hour):
				}
				saw <- time.Since(begun)
				return r.Context().Err()
			})
		})
		c := f.dial()
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: kata\r\nContent-Length: 5\r\n\r\nhello")
		time.Sleep(3 * time.Second)
		c.Close()
		if took := <-saw; took > 4*time.Second {
			t.Errorf("a client left 3s after its request: the request's context ended after %v, want 3s", took)
		}
	})
}

// fixture is a server under test, reached over connections in memory, in virtual time.
type fixture struct {
	t      *testing.T
	l      *listener
	client *http.Client
	stop   context.CancelFunc
	served chan error

	mu      sync.Mutex
	reports []any
}

func start(t *testing.T, opts httpserver.Options, register func(*httpserver.Server)) *fixture {
	t.Helper()
	return startWith(t, t.Context(), opts, register)
}

func startWith(t *testing.T, ctx context.Context, opts httpserver.Options, register func(*httpserver.Server)) *fixture {
	t.Helper()
	f := &fixture{t: t}
	opts.Report = func(_ *http.Request, failure any) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.reports = append(f.reports, failure)
	}
	f.serve(ctx, opts, register)
	return f
}

// serve starts the server with opts as they are.
func (f *fixture) serve(ctx context.Context, opts httpserver.Options, register func(*httpserver.Server)) {
	f.l = &listener{conns: make(chan net.Conn), fail: make(chan error), closed: make(chan struct{})}
	f.served = make(chan error, 1)
	s := httpserver.New(opts)
	register(s)

	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return f.l.dial() }}
	f.client = &http.Client{Transport: transport, Timeout: 24 * time.Hour}
	ctx, f.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() { f.served <- s.Serve(ctx, f.l) }()
	f.t.Cleanup(func() {
		transport.CloseIdleConnections()
		f.stop()
		f.l.Close()
		f.l.hangUp()
		time.Sleep(2 * 24 * time.Hour) // in virtual time: whatever still sleeps or polls comes to its end
	})
}

// wait waits for Serve to return, but not for ever.
func (f *fixture) wait() error {
	f.t.Helper()
	select {
	case err := <-f.served:
		return err
	case <-time.After(3 * time.Hour):
		f.t.Fatal("the server was stopped, or its listener failed, and Serve has not returned after three hours")
		return nil
	}
}

func (f *fixture) dial() net.Conn {
	f.t.Helper()
	c, err := f.l.dial()
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// reported returns what was reported since it was last called.
func (f *fixture) reported() []any {
	f.mu.Lock()
	defer f.mu.Unlock()
	reports := f.reports
	f.reports = nil
	return reports
}

type answer struct {
	status int
	header http.Header
	body   string
	err    error // if it did not come, or not whole
}

func (a answer) String() string {
	if a.err != nil {
		return fmt.Sprintf("%d %q, %v", a.status, a.body, a.err)
	}
	return fmt.Sprintf("%d %q", a.status, a.body)
}

// wantError checks that a is an error as the server itself answers.
func (a answer) wantError(t *testing.T, what string, status int, text string) {
	t.Helper()
	var body map[string]string
	json.Unmarshal([]byte(a.body), &body)
	if a.err != nil || a.status != status || len(body) != 1 || body["error"] != text {
		t.Errorf("%s = %v, want %d {%q:%q}", what, a, status, "error", text)
	} else if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("%s = %v with Content-Type %q, want application/json", what, a, got)
	}
}

func (f *fixture) do(method, path string, body io.Reader) answer {
	req, err := http.NewRequest(method, "http://kata"+path, body)
	if err != nil {
		return answer{err: err}
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b), err}
}

// listener hands out one end of each connection that dial makes.
type listener struct {
	conns  chan net.Conn
	fail   chan error
	closed chan struct{}
	once   sync.Once

	mu  sync.Mutex
	our []net.Conn
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case err := <-l.fail:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (l *listener) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

func (l *listener) dial() (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		l.mu.Lock()
		defer l.mu.Unlock()
		l.our = append(l.our, ours)
		return ours, nil
	case <-l.closed:
		return nil, errors.New("connection refused")
	}
}

func (l *listener) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.our {
		c.Close()
	}
}
