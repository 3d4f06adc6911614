// A file server and a relay that leave the bytes to the kernel.
//
//kata:level 3
//kata:minutes 60
//kata:engine real files and TCP over loopback
package zerocopy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roadkata/roadkata/stage3/performance/zerocopy"
)

// large is a size that takes a thousand writes to copy with a buffer of 32 KiB, and some tens of system calls to send without.
const large = 32 << 20

// A file is sent by the kernel, whole or a range of it, in constant memory.
//
//kata:zh 文件由内核发送，整个或一段都如此；内存用量恒定。
func TestSendfile(t *testing.T) {
	root := folder(t)
	h := zerocopy.Files(root)
	fast(t, "Files", h)
	s := serve(t, h)
	c := measure(t, func() { s.download(t, "/large.bin", "", large) })
	c.check(t, "GET /large.bin from Files")
	c = measure(t, func() { s.download(t, "/large.bin", "bytes=1000-", large-1000) })
	c.check(t, "GET /large.bin, Range: bytes=1000-, from Files")
}

// Observed once or twice, a handler still has the fast path of the ResponseWriter.
//
//kata:zh 套上一层或两层 Observe，处理函数仍走得了 ResponseWriter 的快速路径。
func TestObservedKeepsFastPath(t *testing.T) {
	root := folder(t)
	// Not Files, which is another promise's.
	plain := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, err := root.Open(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		defer f.Close()
		http.ServeContent(w, r, "", time.Time{}, f)
	})
	quiet := func(zerocopy.Record) {}
	once := zerocopy.Observe(plain, quiet)
	fast(t, "Observe(handler)", once)
	twice := zerocopy.Observe(once, quiet)
	fast(t, "Observe(Observe(handler))", twice)
	s := serve(t, twice)
	c := measure(t, func() { s.download(t, "/large.bin", "", large) })
	c.check(t, "GET /large.bin from Observe(Observe(handler))")

	flushed := httptest.NewRecorder()
	zerocopy.Observe(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("http.NewResponseController(w).Flush() below Observe = %v, want <nil>", err)
		}
	}), quiet).ServeHTTP(flushed, httptest.NewRequest("GET", "/", nil))
	if !flushed.Flushed {
		t.Error("http.NewResponseController(w).Flush() below Observe does not reach the ResponseWriter")
	}
}

// Observe reports status and bytes, whichever way they went, also where the ResponseWriter has no fast path.
//
//kata:zh Observe 报告状态码和字节数，不论它们走的是哪条路；ResponseWriter 没有快速路径时也一样。
func TestObserveReports(t *testing.T) {
	text := strings.Repeat("zero copy ", 10_000)
	for _, c := range []struct {
		name   string
		handle http.HandlerFunc
		want   zerocopy.Record
		aborts bool
	}{
		{"does nothing", func(w http.ResponseWriter, r *http.Request) {}, zerocopy.Record{Status: 200}, false},
		{"writes", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("abc")); w.Write([]byte("de")) }, zerocopy.Record{Status: 200, Bytes: 5}, false},
		{"copies by io.Copy", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, io.LimitReader(strings.NewReader(text), 70_000))
		}, zerocopy.Record{Status: 200, Bytes: 70_000}, false},
		{"fails with 404", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404); io.WriteString(w, "no") }, zerocopy.Record{Status: 404, Bytes: 2}, false},
		{"sends 103, then 201", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(103); w.WriteHeader(201) }, zerocopy.Record{Status: 201}, false},
		{"answers 304", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(304) }, zerocopy.Record{Status: 304}, false},
		{"flushes, then answers 404", func(w http.ResponseWriter, r *http.Request) {
			if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("http.NewResponseController(w).Flush() below Observe, on a ResponseWriter that cannot flush = %v, want http.ErrNotSupported", err)
			}
			w.WriteHeader(404)
		}, zerocopy.Record{Status: 404}, false},
		{"writes, then panics", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		}, zerocopy.Record{Status: 200, Bytes: 4}, true},
	} {
		for name, w := range map[string]http.ResponseWriter{
			"has ReadFrom":    &fastWriter{header: make(http.Header)},
			"has no ReadFrom": struct{ http.ResponseWriter }{&fastWriter{header: make(http.Header)}},
		} {
			var got []zerocopy.Record
			h := zerocopy.Observe(c.handle, func(r zerocopy.Record) { got = append(got, r) })
			func() {
				if c.aborts {
					defer func() {
						if v := recover(); v != http.ErrAbortHandler {
							t.Errorf("a handler panicked with http.ErrAbortHandler, and Observe with %v; it is to let the panic pass", v)
						}
					}()
				}
				h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			}()
			if len(got) != 1 || got[0] != c.want {
				t.Errorf("a handler that %s, on a ResponseWriter that %s: reported %+v, want %+v once", c.name, name, got, c.want)
			}
		}
	}
	var got zerocopy.Record
	w := httptest.NewRecorder()
	zerocopy.Observe(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if http.NewResponseController(w).Flush() == nil { // it sends the header
			w.WriteHeader(404)
		}
	}), func(r zerocopy.Record) { got = r }).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if got.Status != w.Code {
		t.Errorf("a handler that flushes and then sets 404, which is too late: reported %d, sent was %d", got.Status, w.Code)
	}
}

// Ranges and conditions are honoured, as http.ServeContent does; HEAD sends no body.
//
//kata:zh 支持 Range 和条件请求，与 http.ServeContent 相同；HEAD 不发送内容。
func TestRanges(t *testing.T) {
	root := folder(t)
	s := serve(t, zerocopy.Files(root))
	info, err := root.Stat("notes.txt")
	if err != nil {
		t.Fatal(err)
	}
	changed := info.ModTime().UTC().Format(http.TimeFormat)
	for _, c := range []struct {
		method, field, value string
		status               int
		body                 string
	}{
		{"GET", "", "", 200, "0123456789"},
		{"HEAD", "", "", 200, ""},
		{"GET", "Range", "bytes=2-5", 206, "2345"},
		{"GET", "Range", "bytes=-3", 206, "789"},
		{"GET", "Range", "bytes=99-", 416, "*"},
		{"GET", "If-Modified-Since", changed, 304, ""},
		{"POST", "", "", 405, "*"},
	} {
		resp, body := s.do(t, c.method, "/notes.txt", c.field, c.value)
		if resp.StatusCode != c.status || c.body != "*" && body != c.body {
			t.Errorf("%s /notes.txt (%s: %s) = %d %q, want %d %q", c.method, c.field, c.value, resp.StatusCode, body, c.status, c.body)
		}
		if c.status == 405 && resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST /notes.txt has Allow: %q, want GET, HEAD", resp.Header.Get("Allow"))
		}
		if c.method == "HEAD" && resp.ContentLength != 10 {
			t.Errorf("HEAD /notes.txt has Content-Length %d, want 10", resp.ContentLength)
		}
	}
	resp, _ := s.do(t, "GET", "/sub/style.css", "", "")
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/css") {
		t.Errorf("GET /sub/style.css has Content-Type %q, want text/css, as http.ServeContent finds by the name", got)
	}
}

// No path leads out of the root, and none but a regular file is served.
//
//kata:zh 任何路径都走不出根目录；只提供普通文件。
func TestPaths(t *testing.T) {
	root := folder(t)
	s := serve(t, zerocopy.Files(root))
	for _, c := range []struct {
		path   string
		status int
	}{
		{"/notes.txt", 200},
		{"/sub/inner.txt", 200},
		{"/sub/inside", 200}, // a link that stays inside
		{"/sub/out", 404},    // a link to a file outside
		{"/away/secret.txt", 404},
		{"/..%2fsecret.txt", 404},
		{"/sub/..%2f..%2fsecret.txt", 404},
		{"/%2e%2e/secret.txt", 404},
		{"/sub", 404},
		{"/", 404},
		{"/nothing", 404},
		{"/notes.txt/more", 404},
	} {
		resp, body := s.do(t, "GET", c.path, "", "")
		if resp.StatusCode != c.status {
			t.Errorf("GET %s = %d %q, want %d", c.path, resp.StatusCode, body, c.status)
		}
	}

	pipe := filepath.Join(root.Name(), "pipe")
	if err := exec.Command("mkfifo", pipe).Run(); err != nil {
		return // not on this system
	}
	h, answer := zerocopy.Files(root), make(chan int, 1)
	go func() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/pipe", nil))
		answer <- w.Code
	}()
	select {
	case got := <-answer:
		if got != 404 {
			t.Errorf("GET of a named pipe = %d, want 404", got)
		}
	case <-time.After(2 * time.Second):
		t.Error("GET of a named pipe that nobody writes to is not answered, want 404")
		if f, err := os.OpenFile(pipe, os.O_RDWR, 0); err == nil { // lets go who waits
			f.Close()
		}
	}
}

// No request leaves its file open, whatever its answer.
//
//kata:zh 不论应答是什么，请求结束后文件都已关闭。
func TestFilesAreClosed(t *testing.T) {
	root := folder(t)
	h := zerocopy.Files(root)
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which closes files in the end, too
	for _, c := range []struct{ method, path, field, value string }{
		{"GET", "/notes.txt", "", ""},
		{"HEAD", "/notes.txt", "", ""},
		{"GET", "/notes.txt", "Range", "bytes=99-"},
		{"GET", "/notes.txt", "If-Modified-Since", time.Now().UTC().Add(time.Hour).Format(http.TimeFormat)},
		{"GET", "/sub", "", ""},
		{"GET", "/nothing", "", ""},
		{"POST", "/notes.txt", "", ""},
	} {
		before := openFiles()
		for range 20 {
			r := httptest.NewRequest(c.method, c.path, nil)
			if c.field != "" {
				r.Header.Set(c.field, c.value)
			}
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		if after := openFiles(); after-before >= 20 {
			t.Errorf("20 times %s %s (%s: %s): %d more files are open than before", c.method, c.path, c.field, c.value, after-before)
		}
	}
}

// Between two TCP connections the kernel moves the bytes, metered or not.
//
//kata:zh 两个 TCP 连接之间由内核搬运数据，套不套 Meter 都一样。
func TestSplice(t *testing.T) {
	root := folder(t)
	for _, metered := range []string{"", "a", "b", "ab", "ba"} { // "ba" is both, and the other way round
		func() {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			f, err := root.Open("large.bin")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			p := pair(t, 20*time.Second)
			defer p.close()
			a, b, what := net.Conn(p.nearA), net.Conn(p.nearB), "Relay(a, b)"
			if strings.Contains(metered, "a") {
				a, what = zerocopy.NewMeter(a), strings.Replace(what, "a,", "NewMeter(a),", 1)
			}
			if strings.Contains(metered, "b") {
				b, what = zerocopy.NewMeter(b), strings.Replace(what, "b)", "NewMeter(b))", 1)
			}
			x, y := a, b
			if metered == "ba" {
				x, y, what = b, a, "Relay(NewMeter(b), NewMeter(a))"
			}
			var arrived int64
			c := measure(t, func() {
				relayed := relay(x, y)
				go func() {
					io.Copy(p.farA, f) // by sendfile: it does not count among the writes
					p.farA.CloseWrite()
				}()
				arrived, err = io.Copy(io.Discard, p.farB)
				p.farB.CloseWrite()
				if r := <-relayed; r != nil || err != nil {
					t.Errorf("%s of 32 MiB = %v; the receiver's error is %v, want none", what, r, err)
				}
			})
			if arrived != large {
				t.Errorf("%s: %d of %d bytes arrived", what, arrived, large)
			}
			c.check(t, what+" of 32 MiB over TCP")
			if m, ok := a.(*zerocopy.Meter); ok && (m.In() != large || m.Out() != 0) {
				t.Errorf("%s of %d bytes from a to b: a has In %d, Out %d", what, large, m.In(), m.Out())
			}
			if m, ok := b.(*zerocopy.Meter); ok && (m.In() != 0 || m.Out() != large) {
				t.Errorf("%s of %d bytes from a to b: b has In %d, Out %d", what, large, m.In(), m.Out())
			}
		}()
	}
}

// On other connections the same is copied, and counted once.
//
//kata:zh 其他连接上照样复制，并且只计数一次。
func TestFallsBack(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	farA, nearA := net.Pipe()
	farB, nearB := net.Pipe()
	for _, c := range []net.Conn{farA, farB} {
		c.SetDeadline(time.Now().Add(5 * time.Second))
		defer c.Close()
	}
	a, b := zerocopy.NewMeter(nearA), zerocopy.NewMeter(nearB)
	relayed := relay(a, b)
	question := bytes.Repeat([]byte("question "), 10_000)
	answer := bytes.Repeat([]byte("answer "), 5_000)
	go farA.Write(question)
	got := make([]byte, len(question))
	if _, err := io.ReadFull(farB, got); err != nil || !bytes.Equal(got, question) {
		t.Fatalf("Relay between Meters of net.Pipe: what arrives at b is not what a sent (%v)", err)
	}
	go farB.Write(answer)
	got = make([]byte, len(answer))
	if _, err := io.ReadFull(farA, got); err != nil || !bytes.Equal(got, answer) {
		t.Fatalf("Relay between Meters of net.Pipe: what arrives at a is not what b sent (%v)", err)
	}
	farA.Close() // cannot be done by half
	if n, err := farB.Read(got); err != io.EOF {
		t.Errorf("a has closed: b reads %d bytes, %v; want EOF", n, err)
	}
	if err := await(t, relayed, "both pipes have ended"); err != nil {
		t.Errorf("Relay = %v when a pipe was closed by its peer, want <nil>", err)
	}
	q, r := int64(len(question)), int64(len(answer))
	if a.In() != q || b.Out() != q || b.In() != r || a.Out() != r {
		t.Errorf("%d bytes from a to b and %d back: a has In %d, Out %d; b has In %d, Out %d", q, r, a.In(), a.Out(), b.In(), b.Out())
	}
	// A Meter counts also what does not come by io.Copy.
	x, y := net.Pipe()
	defer x.Close()
	m := zerocopy.NewMeter(y)
	defer m.Close()
	go x.Write([]byte("abc"))
	io.ReadFull(m, got[:3])
	go io.ReadFull(x, make([]byte, 2))
	m.Write([]byte("de"))
	if m.In() != 3 || m.Out() != 2 {
		t.Errorf("3 bytes read from a Meter and 2 written: In %d, Out %d", m.In(), m.Out())
	}
}

// Who has sent all may still receive; a broken connection ends both.
//
//kata:zh 发完的一方仍可接收；连接断开则两边一起结束。
func TestHalfClose(t *testing.T) {
	for _, metered := range []bool{false, true} {
		func() {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			p := pair(t, 5*time.Second)
			defer p.close()
			a, b, what := net.Conn(p.nearA), net.Conn(p.nearB), "Relay(a, b)"
			if metered {
				a, b, what = zerocopy.NewMeter(a), zerocopy.NewMeter(b), "Relay(NewMeter(a), NewMeter(b))"
			}
			relayed := relay(a, b)
			io.WriteString(p.farA, "question")
			p.farA.CloseWrite()
			if got, err := io.ReadAll(p.farB); string(got) != "question" || err != nil {
				t.Fatalf("%s: a sent %q and closed its half; b reads %q, %v; want that and EOF", what, "question", got, err)
			}
			if _, err := io.WriteString(p.farB, "answer"); err != nil {
				t.Fatalf("%s: a has closed its half; b writes: %v", what, err)
			}
			p.farB.CloseWrite()
			if got, err := io.ReadAll(p.farA); string(got) != "answer" || err != nil {
				t.Fatalf("%s: a has closed its half, b answers %q; a reads %q, %v; want that and EOF", what, "answer", got, err)
			}
			if err := await(t, relayed, "both have closed their halves"); err != nil {
				t.Errorf("%s = %v, want <nil>", what, err)
			}
			for name, c := range map[string]net.Conn{"a": a, "b": b} {
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s has returned; reading from %s is %v, want that it is closed", what, name, err)
				}
			}
		}()
	}
	for _, halfClosed := range []bool{false, true} {
		func() {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			p := pair(t, 3*time.Second)
			defer p.close()
			relayed := relay(p.nearA, p.nearB)
			when := "a's connection was reset"
			if halfClosed {
				when = "b has closed its half, then a's connection was reset"
				p.farB.CloseWrite()
				io.ReadAll(p.farA)
			}
			p.farA.SetLinger(0) // so that Close breaks the connection
			p.farA.Close()
			if got, err := io.ReadAll(p.farB); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%s, and after 3 s b has not heard of it; it reads %q, %v", when, got, err)
			}
			if err := await(t, relayed, when); !errors.Is(err, syscall.ECONNRESET) && runtime.GOOS != "windows" || err == nil {
				t.Errorf("Relay = %v when %s, want that error", err, when)
			}
		}()
	}
}

// folder is a root with some files in it, and a secret outside.
func folder(t *testing.T) *os.Root {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("secret.txt", "secret")
	write("www/notes.txt", "0123456789")
	write("www/sub/inner.txt", "inner")
	write("www/sub/style.css", "p {}")
	write("www/large.bin", "")
	if err := os.Truncate(filepath.Join(dir, "www/large.bin"), large); err != nil { // takes no room
		t.Fatal(err)
	}
	for link, target := range map[string]string{
		"www/sub/out":    filepath.Join(dir, "secret.txt"),
		"www/away":       "..",
		"www/sub/inside": "../notes.txt",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil && runtime.GOOS != "windows" {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(filepath.Join(dir, "www"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

type server struct {
	url    string
	client *http.Client
}

func serve(t *testing.T, h http.Handler) *server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	client := s.Client()
	client.Timeout = 20 * time.Second
	return &server{s.URL, client}
}

func (s *server) do(t *testing.T, method, path, field, value string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if field != "" {
		req.Header.Set(field, value)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%s %s: the body ends with %v", method, path, err)
	}
	return resp, string(body)
}

func (s *server) download(t *testing.T, path, ranges string, want int64) {
	t.Helper()
	req, err := http.NewRequest("GET", s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ranges != "" {
		req.Header.Set("Range", ranges)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); n != want || err != nil {
		t.Fatalf("GET %s (Range: %s) = %d, %d bytes, %v; want %d bytes", path, ranges, resp.StatusCode, n, err, want)
	}
}

// fast checks on any system that the file reaches the ResponseWriter's ReadFrom as something that has a descriptor.
func fast(t *testing.T, what string, h http.Handler) {
	t.Helper()
	w := &fastWriter{header: make(http.Header)}
	h.ServeHTTP(w, httptest.NewRequest("GET", "/large.bin", nil))
	switch {
	case w.written > 0:
		t.Fatalf("GET /large.bin from %s: Write was called, for %d bytes; want the ResponseWriter's ReadFrom called", what, w.written)
	case w.hidden != "":
		t.Fatalf("GET /large.bin from %s: the ResponseWriter's ReadFrom was called with a %s, in which net sees no file to send; want an *os.File, or an *io.LimitedReader of one", what, w.hidden)
	case w.sent != large:
		t.Fatalf("GET /large.bin from %s: %d bytes by the ResponseWriter's ReadFrom, want %d", what, w.sent, large)
	}
}

// fastWriter is a ResponseWriter with ReadFrom. It tells how the body came.
type fastWriter struct {
	header  http.Header
	written int64
	sent    int64
	hidden  string // what hid the file
}

func (w *fastWriter) Header() http.Header { return w.header }
func (w *fastWriter) WriteHeader(int)     {}

func (w *fastWriter) Write(b []byte) (int, error) {
	w.written += int64(len(b))
	return len(b), nil
}

func (w *fastWriter) ReadFrom(r io.Reader) (int64, error) {
	src := r
	if l, ok := r.(*io.LimitedReader); ok {
		src = l.R
	}
	if _, ok := src.(syscall.Conn); !ok {
		w.hidden = fmt.Sprintf("%T of a %T", r, src)
	}
	n, err := io.Copy(io.Discard, r)
	w.sent += n
	return n, err
}

// cost is what it took the process.
type cost struct {
	writes int64 // system calls; -1 where the system does not tell
	bytes  uint64
}

func measure(t *testing.T, f func()) cost {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	writes := writeCalls()
	f()
	c := cost{writes: -1}
	if now := writeCalls(); writes >= 0 && now >= 0 {
		c.writes = now - writes
	}
	runtime.ReadMemStats(&after)
	c.bytes = after.TotalAlloc - before.TotalAlloc
	return c
}

// check allows for several times what it takes: the runtime, too, writes when it wakes a thread.
func (c cost) check(t *testing.T, what string) {
	t.Helper()
	if c.writes > 400 {
		t.Errorf("%s: %d system calls that write, want some tens: copied by 32 KiB it is 1024, sent by sendfile or splice none", what, c.writes)
	}
	if c.bytes > 800<<10 {
		t.Errorf("%s: %d KiB were allocated, want less than 800, however long it is", what, c.bytes>>10)
	}
}

// writeCalls is how many system calls of this process have written, without sendfile and splice. It is -1 where the system does not tell.
func writeCalls() int64 {
	data, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return -1
	}
	_, rest, _ := strings.Cut(string(data), "syscw: ")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.ParseInt(line, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// openFiles is how many descriptors this process has, or 0 where the system does not tell.
func openFiles() int {
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		if entries, err := os.ReadDir(dir); err == nil {
			return len(entries)
		}
	}
	return 0
}

// pipes are two TCP connections: the far ends are the peers', the near ones are for Relay.
type pipes struct{ farA, nearA, nearB, farB *net.TCPConn }

func pair(t *testing.T, patience time.Duration) pipes {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	connect := func() (far, near *net.TCPConn) {
		f, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		n, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		f.SetDeadline(time.Now().Add(patience))
		return f.(*net.TCPConn), n.(*net.TCPConn)
	}
	var p pipes
	p.farA, p.nearA = connect()
	p.farB, p.nearB = connect()
	return p
}

func (p pipes) close() {
	for _, c := range []net.Conn{p.farA, p.nearA, p.nearB, p.farB} {
		c.Close()
	}
}

func relay(a, b net.Conn) <-chan error {
	relayed := make(chan error, 1)
	go func() { relayed <- zerocopy.Relay(a, b) }()
	return relayed
}

func await(t *testing.T, relayed <-chan error, when string) error {
	t.Helper()
	select {
	case err := <-relayed:
		return err
	case <-time.After(5 * time.Second):
		t.Fatalf("%s, and Relay has not returned 5 s later", when)
		return nil
	}
}
