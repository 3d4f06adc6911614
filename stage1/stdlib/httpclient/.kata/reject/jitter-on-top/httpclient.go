// Adds some chance on top of the doubled wait: clients that failed together still come back within a part of it, and
// later than they were told to.
//
//kata:caught-by TestBacksOffWithJitter
package httpclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxDrain       = 64 << 10 // what is read of an answer nobody wants, so that its connection can be used again
	maxRequests    = 10       // in one attempt, redirects included
	maxIdlePerHost = 64
	firstBackoff   = 100 * time.Millisecond
)

// ErrTooLarge says that a response's body is longer than [Options.MaxBody].
var ErrTooLarge = errors.New("httpclient: response body too large")

// ErrTooManyRedirects says that an attempt was redirected for the tenth time.
var ErrTooManyRedirects = errors.New("httpclient: too many redirects")

// Options configure a [Client]. The zero value is usable: each zero field has a default.
type Options struct {
	// Credentials are headers sent along with a request to the request's own origin (scheme, host and
	// port), and to no other: see [Client.Do].
	Credentials http.Header

	// MaxAttempts limits how often one request is tried. Default: 3.
	MaxAttempts int

	// MaxBody limits a response's body in bytes, counted after decompression. Default: 1 MiB.
	MaxBody int64

	// AttemptTimeout limits one attempt, from dialling to the last byte of the body. Default: 10 s.
	AttemptTimeout time.Duration

	// MaxWait limits the wait between two attempts. Default: 30 s.
	MaxWait time.Duration

	// Backoff says how long to wait after attempt n (1, 2, …) if the server gives no hint. What it
	// answers is cut to MaxWait. Default: evenly random between 0 and 100 ms · 2ⁿ⁻¹ ("full jitter").
	Backoff func(attempt int) time.Duration

	// Now tells the time, to which a Retry-After date is compared. Default: time.Now.
	Now func() time.Time

	// Sleep waits for d, or returns ctx's error as soon as ctx ends. It is the only way in which the
	// client waits between attempts, and it is not called when there is nothing to wait for (d ≤ 0).
	// Default: a timer.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Response is an answer read to its end. Its status may be any, also an error's.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Client sends requests over connections of its own. It is safe for concurrent use.
type Client struct {
	opts   Options
	http   *http.Client
	closed atomic.Bool
}

// New returns a client.
func New(opts Options) *Client {
	opts.Credentials = opts.Credentials.Clone()
	opts.MaxAttempts = cmp.Or(opts.MaxAttempts, 3)
	opts.MaxBody = cmp.Or(opts.MaxBody, 1<<20)
	opts.AttemptTimeout = cmp.Or(opts.AttemptTimeout, 10*time.Second)
	opts.MaxWait = cmp.Or(opts.MaxWait, 30*time.Second)
	if opts.Backoff == nil {
		opts.Backoff = func(attempt int) time.Duration { return fullJitter(attempt, opts.MaxWait) }
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Sleep == nil {
		opts.Sleep = sleep
	}

	// A transport of its own, not a copy of http.DefaultTransport: that may be anything by now, and its limit of
	// 100 idle connections to all hosts together would let one host's burst close another's.
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	transport.MaxIdleConnsPerHost = maxIdlePerHost // the default of two would make every burst dial anew
	c := &Client{opts: opts}
	c.http = &http.Client{Transport: transport, CheckRedirect: c.checkRedirect}
	return c
}

// Do sends req, as often as the retry rules allow, and returns the last answer, whole. A status such as
// 404 or 503 is an answer and no error; on an error there is no response. It does not change req, and
// returns an error that wraps the error of req's context soon after that ended.
//
// It retries an attempt that failed for want of an answer (no connection, a broken one, a body cut
// short, AttemptTimeout) or with status 429, 502, 503 or 504; and it does so only if the request is
// idempotent (GET, HEAD, OPTIONS, TRACE, PUT, DELETE, or any method with an Idempotency-Key header) and
// its body, if it has one, can be had again from GetBody.
//
// It follows redirects as net/http does, with at most ten requests in an attempt. Once a redirect has led
// to another origin, the rest of the attempt goes without credentials: the headers named in
// Options.Credentials, and Authorization, Cookie and Proxy-Authorization, whoever set them.
func (c *Client) Do(req *http.Request) (*Response, error) {
	defer c.tidy()
	ctx := req.Context()
	attempts := 1
	if idempotent(req) && replayable(req) {
		attempts = c.opts.MaxAttempts
	}
	for n := 1; ; n++ {
		resp, err := c.attempt(req, n, n == attempts)
		switch {
		case err == nil:
			return resp, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("httpclient: %s %s: %w", req.Method, req.URL.Redacted(), ctx.Err())
		case n == attempts || final(err):
			return nil, err
		}
		wait := min(c.opts.Backoff(n), c.opts.MaxWait)
		if hint, ok := errors.AsType[comeBack](err); ok {
			wait = time.Duration(hint)
		}
		if wait > 0 {
			if err := c.opts.Sleep(ctx, wait); err != nil {
				return nil, err
			}
		}
	}
}

// attempt makes attempt n. An answer that another attempt may better, unless this is the last, is an error.
func (c *Client) attempt(req *http.Request, n int, last bool) (*Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), c.opts.AttemptTimeout)
	defer cancel() // only once the body is read: cancelling ends that too

	out, err := c.prepare(ctx, req, n)
	if err != nil {
		return nil, err
	}
	in, err := c.http.Do(out)
	if err != nil {
		return nil, err
	}
	defer in.Body.Close()

	if transient(in.StatusCode) && !last {
		wait, hinted := c.retryAfter(in.Header)
		if !hinted || wait <= c.opts.MaxWait {
			// The connection can be used again only if the body was read to its end. But a long body
			// costs more than a new connection.
			io.CopyN(io.Discard, in.Body, maxDrain)
			if hinted {
				return nil, comeBack(wait)
			}
			return nil, errUnavailable
		}
	}

	body, err := io.ReadAll(http.MaxBytesReader(nil, in.Body, c.opts.MaxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, c.opts.MaxBody)
	}
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err) // a reset, say: cut short as well
		}
		return nil, fmt.Errorf("httpclient: reading the body: %w", err)
	}
	return &Response{Status: in.StatusCode, Header: in.Header, Body: body}, nil
}

// prepare makes the request of attempt n: a copy of req with a body of its own and the credentials.
func (c *Client) prepare(ctx context.Context, req *http.Request, n int) (*http.Request, error) {
	out := req.Clone(ctx)
	if out.Header == nil {
		out.Header = http.Header{}
	}
	if req.GetBody != nil {
		out.GetBody = func() (io.ReadCloser, error) { // net/http calls it too, at a 307 for one
			body, err := req.GetBody()
			if err != nil {
				return nil, permanent{fmt.Errorf("httpclient: GetBody: %w", err)}
			}
			return body, nil
		}
	}
	if n > 1 && out.GetBody != nil {
		body, err := out.GetBody()
		if err != nil {
			return nil, err
		}
		out.Body = body
	}
	for name, values := range c.opts.Credentials {
		if !has(out.Header, name) {
			out.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
		}
	}
	return out, nil
}

// checkRedirect is asked before each redirect is followed, after net/http copied the first request's headers.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	// net/http reads 2 KiB of the answer that it is about to leave, which is not always all.
	if left := req.Response; left != nil && left.ContentLength < maxDrain {
		io.CopyN(io.Discard, left.Body, maxDrain)
	}
	if len(via) >= maxRequests {
		return ErrTooManyRedirects
	}
	// net/http knows nothing of our headers, and takes two ports of a host for the same place. It copies from the
	// first request at every hop, so one look back is not enough: what was dropped once must stay so.
	strayed := !sameOrigin(req.URL, via[0].URL)
	for _, hop := range via {
		strayed = strayed || !sameOrigin(hop.URL, via[0].URL)
	}
	if strayed {
		req.URL.User = nil // net/http would make an Authorization of it
		for name := range c.opts.Credentials {
			drop(req.Header, name)
		}
		for _, name := range []string{"Authorization", "Cookie", "Proxy-Authorization"} {
			drop(req.Header, name)
		}
	}
	return nil
}

// has says whether h has a header of that name. A map that was not filled by Set or Add may hold it in any case, and
// net/http sends it as it is.
func has(h http.Header, name string) bool {
	for key := range h {
		if strings.EqualFold(key, name) {
			return true
		}
	}
	return false
}

// drop deletes the header of that name, in whatever case it is written.
func drop(h http.Header, name string) {
	maps.DeleteFunc(h, func(key string, _ []string) bool { return strings.EqualFold(key, name) })
}

// retryAfter reads the server's hint, if there is one that can be understood.
func (c *Client) retryAfter(h http.Header) (wait time.Duration, ok bool) {
	hint := strings.TrimSpace(h.Get("Retry-After"))
	if date, err := http.ParseTime(hint); err == nil {
		return date.Sub(c.opts.Now()), true
	}
	if hint == "" || strings.Trim(hint, "0123456789") != "" {
		return 0, false
	}
	seconds, err := strconv.ParseInt(hint, 10, 64)
	if err != nil || seconds > math.MaxInt64/int64(time.Second) {
		return math.MaxInt64, true // digits only, so it can only be out of range
	}
	return time.Duration(seconds) * time.Second, true
}

// Close closes the connections that wait for a next request.
func (c *Client) Close() {
	c.closed.Store(true)
	c.http.CloseIdleConnections()
}

// tidy closes what a call that outlived Close leaves behind: its next attempt may have dialled again.
func (c *Client) tidy() {
	if c.closed.Load() {
		c.http.CloseIdleConnections()
	}
}

// errUnavailable stands for an answer that says no more than "not now".
var errUnavailable = errors.New("httpclient: service unavailable")

// comeBack stands for an answer that says when to ask again.
type comeBack time.Duration

func (c comeBack) Error() string { return fmt.Sprintf("httpclient: retry after %v", time.Duration(c)) }

// permanent marks an error that another attempt cannot mend.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

func final(err error) bool {
	_, ok := errors.AsType[permanent](err)
	return ok || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrTooManyRedirects)
}

func idempotent(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return req.Header.Get("Idempotency-Key") != ""
}

func replayable(req *http.Request) bool {
	return req.Body == nil || req.Body == http.NoBody || req.GetBody != nil
}

func transient(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

func fullJitter(attempt int, limit time.Duration) time.Duration {
	ceiling := firstBackoff
	for range attempt - 1 {
		if ceiling >= limit {
			break // stop doubling before it overflows
		}
		ceiling *= 2
	}
	wait := min(ceiling, limit)
	return wait + rand.N(wait+1)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
