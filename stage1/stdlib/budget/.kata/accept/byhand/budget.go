// Package budget keeps the owner in a context type of its own, and times calls by hand.
package budget

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Header tells a service how many milliseconds its caller will wait for the answer, in decimal digits.
const Header = "Request-Budget"

// Caller is the owner of a deadline that came with a request.
const Caller = "caller"

// SpentError says that a deadline has passed, or is too close for a call, and whose it is.
type SpentError struct {
	Whose string
}

func (e *SpentError) Error() string { return fmt.Sprintf("budget: time is spent (%s)", e.Whose) }

// Is makes the error a context.DeadlineExceeded.
func (e *SpentError) Is(target error) bool { return target == context.DeadlineExceeded }

// owned is a context that knows whose deadline it has. Its cause travels by the standard context within.
type owned struct {
	context.Context
	whose string
}

type ownedKey struct{}

func (o *owned) Value(key any) any {
	if key == (ownedKey{}) {
		return o
	}
	return o.Context.Value(key)
}

// With returns a child of parent with a deadline d from now, which belongs to whose.
func With(parent context.Context, whose string, d time.Duration) (context.Context, context.CancelFunc) {
	until := time.Now().Add(d)
	if t, ok := parent.Deadline(); ok && (t.Before(until) || t.Equal(until)) {
		return context.WithCancel(parent)
	}
	inner, cancel := context.WithDeadlineCause(parent, until, &SpentError{Whose: whose})
	return &owned{inner, whose}, cancel
}

// Whose returns the owner of ctx's deadline.
func Whose(ctx context.Context) string {
	o, _ := ctx.Value(ownedKey{}).(*owned)
	if o == nil {
		return ""
	}
	counts, ok := ctx.Deadline()
	if set, _ := o.Deadline(); !ok || counts != set {
		return ""
	}
	return o.whose
}

// Handler gives each request to next with a deadline.
func Handler(service string, limit time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		whose, d := service, limit
		if v := r.Header[Header]; len(v) == 1 && v[0] != "" {
			if ms := milliseconds(v[0]); ms >= 0 && ms <= limit.Milliseconds() && time.Duration(ms)*time.Millisecond <= limit {
				whose, d = Caller, time.Duration(ms)*time.Millisecond
			}
		}
		ctx, cancel := With(r.Context(), whose, d)
		defer cancel()
		if ctx.Err() == nil {
			next.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		w.WriteHeader(http.StatusGatewayTimeout)
		fmt.Fprintln(w, context.Cause(ctx))
	})
}

// milliseconds reads digits, as far as they fit; -1 if they are none.
func milliseconds(s string) int64 {
	var n int64
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return -1
		}
		if n < 1<<50 {
			n = 10*n + int64(c-'0')
		}
	}
	return n
}

type transport struct {
	reserve time.Duration
	next    http.RoundTripper
}

// Transport returns a transport that hands on the deadline of a request's context by next, less reserve.
func Transport(reserve time.Duration, next http.RoundTripper) http.RoundTripper {
	return transport{reserve, next}
}

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	err := context.Cause(req.Context())
	var ms int64
	deadline, limited := req.Context().Deadline()
	if err == nil && limited {
		if ms = int64((time.Until(deadline) - t.reserve) / time.Millisecond); ms < 1 {
			err = &SpentError{Whose: Whose(req.Context())}
		}
	}
	if err != nil {
		if req.Body != nil {
			err = errors.Join(err, req.Body.Close())
		}
		return nil, err
	}

	header := req.Header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	for name := range header {
		if strings.EqualFold(name, Header) {
			delete(header, name)
		}
	}
	ctx, cancel := context.WithCancel(req.Context())
	if limited {
		header[Header] = []string{fmt.Sprint(ms)}
		cancel()
		ctx, cancel = With(req.Context(), Whose(req.Context()), time.Duration(ms)*time.Millisecond)
	}
	call := req.WithContext(ctx)
	call.Header = header
	resp, err := t.next.RoundTrip(call)
	if err != nil {
		err = errors.Join(err, context.Cause(ctx))
		cancel()
		return nil, err
	}
	content := resp.Body
	resp.Body = struct {
		io.Reader
		io.Closer
	}{content, closer(sync.OnceValue(func() error { defer cancel(); return content.Close() }))}
	return resp, nil
}

type closer func() error

func (c closer) Close() error { return c() }
