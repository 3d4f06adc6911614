// Waits for the requests under way and closes the listener only then: new ones keep coming.
//
//kata:caught-by TestRefusesNew
package httpserver

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync"
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
	opts Options
	mux  *http.ServeMux

	underway sync.WaitGroup
}

// New returns a server without handlers.
func New(opts Options) *Server {
	opts.MaxBody = cmp.Or(opts.MaxBody, 1<<20)
	opts.HeaderTimeout = cmp.Or(opts.HeaderTimeout, 5*time.Second)
	opts.IdleTimeout = cmp.Or(opts.IdleTimeout, 2*time.Minute)
	opts.Grace = cmp.Or(opts.Grace, 30*time.Second)
	if opts.Report == nil {
		opts.Report = func(*http.Request, any) {}
	}
	return &Server{opts: opts, mux: http.NewServeMux()}
}

// Handle registers a handler for a pattern of [http.ServeMux], such as "GET /items/{id}".
func (s *Server) Handle(pattern string, h Handler) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.run(h, w, r) })
}

// Serve answers requests that come in on l until ctx ends, then stops gracefully: it closes l and the idle
// connections, waits for the requests under way, and returns nil. Their contexts have the values of ctx, but not
// its end.
//
// If they take longer than [Options.Grace], their contexts and connections are ended, and Serve returns an error
// that wraps [context.DeadlineExceeded]. If l fails, Serve stops in the same way and returns an error that wraps l's.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	// Stopping must not reach the requests under way; only the end of their grace does. Closing a connection
	// would not be enough for that: net/http does not watch it before the request's body was read.
	base, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()

	srv := &http.Server{
		Handler:           http.HandlerFunc(s.route),
		ReadHeaderTimeout: s.opts.HeaderTimeout, // and no ReadTimeout: a long upload is not a slow client
		IdleTimeout:       s.opts.IdleTimeout,
		BaseContext:       func(net.Listener) context.Context { return base },
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()

	var listenErr error
	select {
	case <-ctx.Done():
	case listenErr = <-failed:
	}

	grace, cancel := context.WithTimeout(base, s.opts.Grace)
	defer cancel()
	idle := make(chan struct{})
	go func() { s.underway.Wait(); close(idle) }()
	var stopErr error
	select {
	case <-idle:
		stopErr = srv.Shutdown(grace)
	case <-grace.Done():
		stopErr = grace.Err()
	}
	if stopErr != nil {
		endRequests()
		srv.Close()
	}
	if listenErr != nil {
		return fmt.Errorf("httpserver: listener: %w", listenErr)
	}
	<-failed // Serve may have been called after Shutdown; it closes l, too
	if stopErr != nil {
		return fmt.Errorf("httpserver: requests still ran after %v: %w", s.opts.Grace, stopErr)
	}
	return nil
}

// route answers what no pattern matches, and leaves the rest to the mux.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	s.underway.Add(1)
	defer s.underway.Done()
	h, pattern := s.mux.Handler(r)
	if pattern != "" {
		s.mux.ServeHTTP(w, r) // not h: only the mux sets the path's values
		return
	}
	// The mux knows whether this is a 404, or a 405 and which methods to allow. Only the body is ours.
	refusal := &statusOnly{header: http.Header{}}
	h.ServeHTTP(refusal, r)
	if refusal.status != http.StatusNotFound && refusal.status != http.StatusMethodNotAllowed {
		s.mux.ServeHTTP(w, r) // a redirect to the cleaned path
		return
	}
	maps.Copy(w.Header(), refusal.header)
	writeError(w, refusal.status)
}

// run calls a handler and answers for it if it fails.
func (s *Server) run(h Handler, w http.ResponseWriter, r *http.Request) {
	if r.ContentLength > s.opts.MaxBody {
		writeError(w, http.StatusRequestEntityTooLarge)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, s.opts.MaxBody)
	rw := &response{ResponseWriter: w}
	failure := call(h, rw, r)
	if failure == nil {
		return
	}

	status := http.StatusInternalServerError
	err, _ := failure.(error)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		status = http.StatusRequestEntityTooLarge
	} else {
		s.opts.Report(r, failure)
	}
	if rw.started {
		// A part of the answer may have gone out. To end it properly would pass it off as the whole.
		panic(http.ErrAbortHandler)
	}
	clear(w.Header()) // it described the answer that did not come about
	writeError(w, status)
}

// call calls h and returns its error, or the value with which it panicked. A panic that is meant for net/http goes on.
func call(h Handler, w http.ResponseWriter, r *http.Request) (failure any) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			panic(v)
		default:
			failure = v
		}
	}()
	if err := h(w, r); err != nil {
		return err
	}
	return nil
}

// writeError writes the body that every error of the server's has.
func writeError(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": http.StatusText(status)})
}

// response remembers whether its answer has begun.
type response struct {
	http.ResponseWriter
	started bool
}

func (w *response) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols { // others are sent ahead of an answer
		w.started = true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	w.started = true
	return w.ResponseWriter.Write(b)
}

// FlushError is here because a flush begins the answer; by Unwrap alone it would pass unseen.
func (w *response) FlushError() error {
	w.started = true
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack is here because a hijacked connection is not ours to answer on.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.started = true
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// Unwrap gives [http.ResponseController] the rest: deadlines, full duplex.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// statusOnly takes the header and the status of an answer, and drops its body.
type statusOnly struct {
	header http.Header
	status int
}

func (w *statusOnly) Header() http.Header         { return w.header }
func (w *statusOnly) WriteHeader(status int)      { w.status = status }
func (w *statusOnly) Write(b []byte) (int, error) { return len(b), nil }
