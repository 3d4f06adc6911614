// Package httpserver is an HTTP server that survives its handlers and its clients, and stops without cutting anybody off.
package httpserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
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
	opts    Options
	mux     *http.ServeMux
	handler http.Handler
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
	s := &Server{opts: opts, mux: http.NewServeMux()}
	s.handler = jsonRefusals(s.mux)
	return s
}

// Handle registers a handler for a pattern of [http.ServeMux], such as "GET /items/{id}".
func (s *Server) Handle(pattern string, h Handler) {
	s.mux.Handle(pattern, matched(s.answerFailures(s.limitBody(h))))
}

// Serve answers requests that come in on l until ctx ends, then stops gracefully: it closes l and the idle
// connections, waits for the requests under way, and returns nil. Their contexts have the values of ctx, but not
// its end.
//
// If they take longer than [Options.Grace], their contexts and connections are ended, and Serve returns an error
// that wraps [context.DeadlineExceeded]. If l fails, Serve stops in the same way and returns an error that wraps l's.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	srv := http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: s.opts.HeaderTimeout,
		IdleTimeout:       s.opts.IdleTimeout,
		BaseContext:       func(net.Listener) context.Context { return requests },
	}

	stopped := make(chan error, 1)
	stop := func() {
		grace, cancel := context.WithTimeout(requests, s.opts.Grace)
		defer cancel()
		err := srv.Shutdown(grace)
		if err != nil {
			endRequests()
			err = errors.Join(err, srv.Close())
		}
		stopped <- err
	}
	// Serve returns as soon as Shutdown begins; the result is there when it is done.
	unhook := context.AfterFunc(ctx, stop)
	err := srv.Serve(l)
	if unhook() {
		stop()
	}
	if err == http.ErrServerClosed {
		err = nil
	}
	return errors.Join(err, <-stopped)
}

// A writer is passed through all the layers, each of which looks at what it is there for.
type writer struct {
	http.ResponseWriter
	matched bool // a pattern has matched: the answer is a handler's
	refused bool // none has, and the mux redirects nowhere
	begun   bool // something has been written
}

func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) WriteHeader(status int) {
	w.begun = w.begun || status >= 200 || status == http.StatusSwitchingProtocols
	w.refused = !w.matched && (status == http.StatusNotFound || status == http.StatusMethodNotAllowed)
	if w.refused {
		w.Header().Set("Content-Type", "application/json")
	}
	w.ResponseWriter.WriteHeader(status)
	if w.refused {
		fmt.Fprintf(w.ResponseWriter, `{"error":%q}`, http.StatusText(status))
	}
}

func (w *writer) Write(b []byte) (int, error) {
	if w.refused {
		return len(b), nil // the mux explains its refusal, in plain text
	}
	w.begun = true
	return w.ResponseWriter.Write(b)
}

func (w *writer) Flush() {
	w.begun = true
	http.NewResponseController(w.ResponseWriter).Flush()
}

// jsonRefusals rewrites the refusals of the mux.
func jsonRefusals(mux http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(&writer{ResponseWriter: w}, r)
	})
}

// matched marks the answer as a handler's.
func matched(next func(*writer, *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(*writer).matched = true
		next(w.(*writer), r)
	})
}

// answerFailures answers for handlers that panic or return an error.
func (s *Server) answerFailures(h func(*writer, *http.Request) error) func(*writer, *http.Request) {
	return func(w *writer, r *http.Request) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				s.fail(w, r, v)
			}
		}()
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	}
}

func (s *Server) fail(w *writer, r *http.Request, v any) {
	status := http.StatusInternalServerError
	var tooLarge *http.MaxBytesError
	if err, ok := v.(error); ok && errors.As(err, &tooLarge) {
		status = http.StatusRequestEntityTooLarge
	} else {
		s.opts.Report(r, v)
	}
	if w.begun {
		panic(http.ErrAbortHandler)
	}
	for name := range w.Header() {
		w.Header().Del(name)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, `{"error":"`+http.StatusText(status)+`"}`)
}

// limitBody refuses bodies that are declared to be too large, and limits the others.
func (s *Server) limitBody(h Handler) func(*writer, *http.Request) error {
	return func(w *writer, r *http.Request) error {
		if r.ContentLength > s.opts.MaxBody {
			return &http.MaxBytesError{Limit: s.opts.MaxBody}
		}
		r.Body = http.MaxBytesReader(w.ResponseWriter, r.Body, s.opts.MaxBody)
		return h(w, r)
	}
}
