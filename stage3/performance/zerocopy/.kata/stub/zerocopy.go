// Package zerocopy serves files and relays connections without taking the bytes through the program, where the system can do so.
package zerocopy

import (
	"net"
	"net/http"
	"os"
)

// Files serves the regular files below root: GET and HEAD, with ranges and conditional requests as [http.ServeContent] has them. Another
// method is a 405 with Allow. A path that leads to no regular file below root, also by a symbolic link, is a 404.
func Files(root *os.Root) http.Handler {
	panic("TODO: Files")
}

// Record is what became of a request.
type Record struct {
	Status int
	Bytes  int64 // of the body
}

// Observe returns a handler that calls next, then report. A handler or an Observe below still finds whatever fast path the
// [http.ResponseWriter] has.
func Observe(next http.Handler, report func(Record)) http.Handler {
	panic("TODO: Observe")
}

// Meter is a connection that counts. It keeps what makes its connection fast, and can close it for writing if that can.
type Meter struct {
	net.Conn
	// TODO: what it counts with
}

// NewMeter returns a Meter of c.
func NewMeter(c net.Conn) *Meter {
	panic("TODO: NewMeter")
}

// In is how many bytes were read from the connection.
func (m *Meter) In() int64 {
	panic("TODO: Meter.In")
}

// Out is how many bytes were written to the connection.
func (m *Meter) Out() int64 {
	panic("TODO: Meter.Out")
}

// Relay copies from a to b and from b to a until both directions have ended, and closes both. When one of them sends no more, the other one is closed
// for writing, by its method CloseWrite() error, or closed if it has none. Relay returns nil if both directions have ended so, else
// the first error, on which it closes both at once.
func Relay(a, b net.Conn) error {
	panic("TODO: Relay")
}
