// Cancels the call's context when RoundTrip returns: the body cannot be read any more.
//
//kata:caught-by TestLivesUntilTheBodyIsClosed
package budget

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Header tells a service how many milliseconds its caller will wait for the answer, in decimal digits.
const Header = "Request-Budget"

// Caller is the owner of a deadline that came with a request.
const Caller = "caller"

// SpentError says that a deadline has passed, or is too close for a call, and whose it is.
// It is a [context.DeadlineExceeded] to errors.Is.
type SpentError struct {
	Whose string // "" if that is not known
}

func (e *SpentError) Error() string {
	if e.Whose == "" {
		return "budget: time is spent"
	}
	return "budget: time is spent, by the deadline of " + e.Whose
}

// Is makes the error a context.DeadlineExceeded.
func (e *SpentError) Is(target error) bool { return target == context.DeadlineExceeded }

// With returns a child of parent with a deadline d from now, which belongs to whose. If it passes, the child's cause
// is a [*SpentError] of whose. If parent has a deadline that is not later, that one stays, with its owner and its cause.
func With(parent context.Context, whose string, d time.Duration) (context.Context, context.CancelFunc) {
	deadline := time.Now().Add(d)
	if earlier, ok := parent.Deadline(); ok && !earlier.After(deadline) {
		return context.WithCancel(parent)
	}
	ctx := context.WithValue(parent, ownerKey{}, owner{whose, deadline})
	return context.WithDeadlineCause(ctx, deadline, &SpentError{whose})
}

// Whose returns the owner of ctx's deadline: "" if it has none, or one that was not made by [With].
func Whose(ctx context.Context) string {
	deadline, ok := ctx.Deadline()
	o, known := ctx.Value(ownerKey{}).(owner)
	// The value says who set a deadline, not that this is still the one that counts.
	if !ok || !known || !deadline.Equal(o.deadline) {
		return ""
	}
	return o.whose
}

type ownerKey struct{}

type owner struct {
	whose    string
	deadline time.Time
}

// Handler gives each request to next with a deadline: that of its caller, as [Header] tells, or limit, which belongs
// to service, whichever is earlier. A request whose time is spent is answered with 504, without next.
func Handler(service string, limit time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if d, ok := parse(r.Header.Values(Header)); ok {
			var cancel context.CancelFunc
			ctx, cancel = With(ctx, Caller, d)
			defer cancel()
		}
		ctx, cancel := With(ctx, service, limit)
		defer cancel()
		if ctx.Err() != nil {
			http.Error(w, context.Cause(ctx).Error(), http.StatusGatewayTimeout)
			return
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// parse reads the header's value; not ok if there is none that can be relied on.
func parse(values []string) (d time.Duration, ok bool) {
	if len(values) != 1 || values[0] == "" || strings.Trim(values[0], "0123456789") != "" {
		return 0, false
	}
	ms, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || ms > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64, true // digits only, so it is merely too large
	}
	return time.Duration(ms) * time.Millisecond, true
}

// Transport returns a transport that hands on the deadline of a request's context by next, less reserve: the time that
// its caller needs to make use of the answer.
func Transport(reserve time.Duration, next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) { return roundTrip(req, reserve, next) })
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func roundTrip(req *http.Request, reserve time.Duration, next http.RoundTripper) (*http.Response, error) {
	ctx := req.Context()
	if ctx.Err() != nil {
		return nil, refuse(req, context.Cause(ctx))
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		return send(clone(ctx, req), func() {}, next) // its context is the request's own
	}

	// Rounded down: a service must never be promised more than there is.
	left := (time.Until(deadline) - reserve).Truncate(time.Millisecond)
	if left <= 0 {
		return nil, refuse(req, &SpentError{Whose(ctx)})
	}
	ctx, cancel := With(ctx, Whose(ctx), left)
	defer cancel()
	out := clone(ctx, req)
	out.Header.Set(Header, strconv.FormatInt(left.Milliseconds(), 10))
	return send(out, cancel, next)
}

// clone makes a request to be sent: a transport must not change the one that it was given. The copy has no budget of
// another hop, in whatever case a map that was filled by hand has its name.
func clone(ctx context.Context, req *http.Request) *http.Request {
	out := req.Clone(ctx)
	if out.Header == nil {
		out.Header = http.Header{}
	}
	maps.DeleteFunc(out.Header, func(name string, _ []string) bool { return strings.EqualFold(name, Header) })
	return out
}

// send makes the call, whose context cancel ends.
func send(out *http.Request, cancel context.CancelFunc, next http.RoundTripper) (*http.Response, error) {
	resp, err := next.RoundTrip(out)
	if err != nil {
		if ctx := out.Context(); ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		cancel()
		return nil, err
	}
	resp.Body = &body{ReadCloser: resp.Body, cancel: cancel}
	return resp, nil
}

// refuse ends a request without a call. A transport has to close the request's body in any case.
func refuse(req *http.Request, err error) error {
	if req.Body != nil {
		req.Body.Close()
	}
	return fmt.Errorf("budget: %s %s: not called: %w", req.Method, req.URL.Redacted(), err)
}

// body ends the context of a call when its answer has been read, not before.
type body struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *body) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
