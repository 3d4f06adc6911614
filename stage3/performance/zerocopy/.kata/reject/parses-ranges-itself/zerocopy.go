// Reads the Range header itself, and knows "first-last" and "first-" only: no suffix, no range beyond the end, no condition.
//
//kata:caught-by TestRanges
package zerocopy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// Files serves the regular files below root: GET and HEAD, with ranges and conditional requests as [http.ServeContent] has them. Another
// method is a 405 with Allow. A path that leads to no regular file below root, also by a symbolic link, is a 404.
func Files(root *os.Root) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		f, info, err := open(root, strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		defer f.Close()
		first, last := int64(0), info.Size()-1
		status := http.StatusOK
		if spec, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok {
			from, to, _ := strings.Cut(spec, "-")
			if n, err := strconv.ParseInt(from, 10, 64); err == nil && n <= last {
				first, status = n, http.StatusPartialContent
			}
			if n, err := strconv.ParseInt(to, 10, 64); err == nil && first <= n && n < last {
				last = n
			}
		}
		if _, err := f.Seek(first, io.SeekStart); err != nil {
			http.Error(w, "internal server error", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(last-first+1, 10))
		if status == http.StatusPartialContent {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, info.Size()))
		}
		w.WriteHeader(status)
		if r.Method == http.MethodGet {
			io.CopyN(w, f, last-first+1)
		}
	})
}

var errNotRegular = errors.New("zerocopy: not a regular file")

// open asks twice what the file is: before, because to open a named pipe waits for a writer, and after, because it may have been replaced.
func open(root *os.Root, name string) (*os.File, os.FileInfo, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errNotRegular
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, nil, err
	}
	info, err = f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNotRegular
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// Record is what became of a request.
type Record struct {
	Status int
	Bytes  int64 // of the body
}

// Observe returns a handler that calls next, then report. A handler or an Observe below still finds whatever fast path the
// [http.ResponseWriter] has.
func Observe(next http.Handler, report func(Record)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o := &observed{ResponseWriter: w}
		defer func() {
			o.begin() // a handler that does nothing answers 200
			report(Record{o.status, o.bytes})
		}()
		next.ServeHTTP(o, r)
	})
}

// observed watches the three ways in which a body can be written, and the header.
type observed struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (o *observed) begin() {
	if o.status == 0 {
		o.status = http.StatusOK
	}
}

func (o *observed) WriteHeader(status int) {
	if o.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) { // others are sent ahead of the answer
		o.status = status
	}
	o.ResponseWriter.WriteHeader(status)
}

func (o *observed) Write(b []byte) (int, error) {
	o.begin()
	n, err := o.ResponseWriter.Write(b)
	o.bytes += int64(n)
	return n, err
}

// ReadFrom is what io.Copy looks for; embedding an interface does not bring it along. It leaves the choice to io.Copy again: not every
// ResponseWriter has one.
func (o *observed) ReadFrom(r io.Reader) (int64, error) {
	o.begin()
	n, err := io.Copy(o.ResponseWriter, r)
	o.bytes += n
	return n, err
}

// FlushError is here because a flush sends the header.
func (o *observed) FlushError() error {
	err := http.NewResponseController(o.ResponseWriter).Flush()
	if !errors.Is(err, http.ErrNotSupported) { // which sends nothing
		o.begin()
	}
	return err
}

// Unwrap gives [http.ResponseController] the rest.
func (o *observed) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// Meter is a connection that counts. It keeps what makes its connection fast, and can close it for writing if that can.
type Meter struct {
	net.Conn
	in, out atomic.Int64
}

// NewMeter returns a Meter of c.
func NewMeter(c net.Conn) *Meter { return &Meter{Conn: c} }

// In is how many bytes were read from the connection.
func (m *Meter) In() int64 { return m.in.Load() }

// Out is how many bytes were written to the connection.
func (m *Meter) Out() int64 { return m.out.Load() }

func (m *Meter) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.in.Add(int64(n))
	return n, err
}

func (m *Meter) Write(b []byte) (int, error) {
	n, err := m.Conn.Write(b)
	m.out.Add(int64(n))
	return n, err
}

// ReadFrom lets the connection underneath read from r, and WriteTo lets w read from the connection underneath. Between two Meters the second
// comes first, and takes the one wrapping off; then the first takes off the other: what is left is TCP on both sides.
func (m *Meter) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(m.Conn, r)
	m.out.Add(n)
	return n, err
}

// WriteTo is ReadFrom's counterpart.
func (m *Meter) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, m.Conn)
	m.in.Add(n)
	return n, err
}

// CloseWrite closes the connection for writing, or altogether if it cannot be closed by half.
func (m *Meter) CloseWrite() error { return closeWrite(m.Conn) }

func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

// Relay copies from a to b and from b to a until both directions have ended, and closes both. When one of them sends no more, the other one is closed
// for writing, by its method CloseWrite() error, or closed if it has none. Relay returns nil if both directions have ended so, else
// the first error, on which it closes both at once.
func Relay(a, b net.Conn) error {
	type end struct {
		dst net.Conn
		err error
	}
	ended := make(chan end, 2)
	forward := func(dst, src net.Conn) {
		_, err := io.Copy(dst, src)
		ended <- end{dst, err}
	}
	go forward(b, a)
	go forward(a, b)

	first := <-ended
	if first.err != nil {
		a.Close()
		b.Close()
		<-ended // with an error that closing made
		return first.err
	}
	closeWrite(first.dst) // that it may not want to hear it shows in the other direction
	second := <-ended
	a.Close()
	b.Close()
	if errors.Is(second.err, net.ErrClosed) || errors.Is(second.err, io.ErrClosedPipe) {
		return nil // closed above, where half was not possible
	}
	return second.err
}
