// Package httpserver is an HTTP server that survives its handlers and its clients, and stops without cutting anybody off.
package httpserver

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Handler answers a request, or returns an error, which the server then answers: with 413 if the request's
// body was too large (the error wraps an [*http.MaxBytesError]), otherwise with 500.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Options configure a [Server]. The zero value is usable: each zero field has a default.
type Options struct {
	// MaxBody limits a request's body in bytes. Default: 1 MiB.
	MaxBody int64

	// HeaderTimeout limits how long a client may take to send a request's header. Default: 5 s.
	HeaderTimeout time.Duration

	// IdleTimeout limits how long a connection may wait for its next request. Default: 2 min.
	IdleTimeout time.Duration

	// Grace is how long the requests under way may take to finish once the server stops. Default: 30 s.
	Grace time.Duration

	// Report is told of each failure of a handler: the error that it returned or the value with which it
	// panicked. It is not told of bodies that are too large, nor of a panic with
	// [http.ErrAbortHandler] itself. It may be called by several goroutines at the same time. Default: tells nobody.
	Report func(r *http.Request, failure any)
}

// Server is an HTTP server. Register all handlers before calling Serve, and call Serve once.
type Server struct {
	// TODO: what it needs to remember
}

// New returns a server without handlers.
func New(opts Options) *Server {
	panic("TODO: New")
}

// Handle registers a handler for a pattern of [http.ServeMux], such as "GET /items/{id}".
func (s *Server) Handle(pattern string, h Handler) {
	panic("TODO: Server.Handle")
}

// Serve answers requests that come in on l until ctx ends, then stops gracefully: it closes l and the idle
// connections, waits for the requests under way, and returns nil. Their contexts have the values of ctx, but not
// its end.
//
// If they take longer than [Options.Grace], their contexts and connections are ended, and Serve returns an error
// that wraps [context.DeadlineExceeded]. If l fails, Serve stops in the same way and returns an error that wraps l's.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	panic("TODO: Server.Serve")
}
