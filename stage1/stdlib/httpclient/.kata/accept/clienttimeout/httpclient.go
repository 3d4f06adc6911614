// Package httpclient is a client for an HTTP API that is not always there. An attempt's time is
// http.Client's own Timeout, and an attempt reports an outcome rather than special errors.
package httpclient

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
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
	opts Options
	http *http.Client

	mu     sync.Mutex
	calls  int // under way
	closed bool
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

	// A transport of its own: settings and idle connections are nobody else's. The default of two idle
	// connections per host would make every burst dial anew.
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		MaxIdleConnsPerHost: maxIdlePerHost,
		IdleConnTimeout:     time.Minute,
	}
	c := &Client{opts: opts}
	c.http = &http.Client{Transport: transport, CheckRedirect: c.checkRedirect, Timeout: opts.AttemptTimeout}
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
	c.mu.Lock()
	c.calls++
	c.mu.Unlock()
	defer c.leave()

	var last outcome
	for n := 1; n <= c.opts.MaxAttempts; n++ {
		repeat := n < c.opts.MaxAttempts && idempotent(req) && replayable(req)
		last = c.attempt(req, n, repeat)
		if err := req.Context().Err(); err != nil && last.err != nil {
			return nil, err
		}
		if !last.again {
			break
		}
		if last.wait > 0 {
			if err := c.opts.Sleep(req.Context(), last.wait); err != nil {
				return nil, err
			}
		}
	}
	return last.resp, last.err
}

// outcome is what became of an attempt: an answer, an error, or after a wait another attempt.
type outcome struct {
	resp  *Response
	err   error
	again bool
	wait  time.Duration
}

func (c *Client) attempt(req *http.Request, n int, repeat bool) outcome {
	failed := func(err error) outcome {
		o := outcome{err: err, again: repeat && !errors.Is(err, ErrTooManyRedirects)}
		if o.again {
			o.wait = min(c.opts.Backoff(n), c.opts.MaxWait)
		}
		return o
	}

	out := req.Clone(req.Context())
	if out.Header == nil {
		out.Header = http.Header{}
	}
	for name, values := range c.opts.Credentials {
		if len(spellings(out.Header, name)) == 0 {
			out.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	var noBody error // GetBody's, whoever called it
	if req.GetBody != nil {
		out.GetBody = func() (body io.ReadCloser, err error) {
			body, err = req.GetBody()
			noBody = err
			return body, err
		}
		if n > 1 {
			if out.Body, noBody = req.GetBody(); noBody != nil {
				return outcome{err: noBody}
			}
		}
	}
	in, err := c.http.Do(out)
	if noBody != nil {
		return outcome{err: err}
	}
	if err != nil {
		return failed(err)
	}
	defer in.Body.Close()

	if repeat && transient(in.StatusCode) {
		wait, hinted := c.retryAfter(in.Header)
		if !hinted {
			wait = min(c.opts.Backoff(n), c.opts.MaxWait)
		}
		if wait <= c.opts.MaxWait {
			_, _ = io.CopyN(io.Discard, in.Body, maxDrain)
			return outcome{again: true, wait: wait}
		}
	}

	var body []byte
	for buf := make([]byte, 8<<10); ; {
		n, err := in.Body.Read(buf)
		body = append(body, buf[:n]...)
		if int64(len(body)) > c.opts.MaxBody {
			return outcome{err: ErrTooLarge}
		}
		if err == io.EOF {
			return outcome{resp: &Response{in.StatusCode, in.Header, body}}
		}
		if timeout := net.Error(nil); err != nil && req.Context().Err() == nil && !(errors.As(err, &timeout) && timeout.Timeout()) {
			err = errors.Join(io.ErrUnexpectedEOF, err)
		}
		if err != nil {
			return failed(err)
		}
	}
}

// checkRedirect is asked before each redirect is followed, after net/http copied the first request's headers.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	if req.Response.ContentLength < maxDrain {
		_, _ = io.CopyN(io.Discard, req.Response.Body, maxDrain)
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
		req.URL.User = nil
		secrets := []string{"Authorization", "Cookie", "Proxy-Authorization"}
		for name := range c.opts.Credentials {
			secrets = append(secrets, name)
		}
		for _, name := range secrets {
			for _, key := range spellings(req.Header, name) {
				delete(req.Header, key)
			}
		}
	}
	return nil
}

// spellings returns the keys of h that are the same name.
func spellings(h http.Header, name string) (keys []string) {
	for key := range h {
		if strings.EqualFold(key, name) {
			keys = append(keys, key)
		}
	}
	return keys
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
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.http.CloseIdleConnections()
}

// leave lets the last call put out the light.
func (c *Client) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls--; c.calls == 0 && c.closed {
		c.http.CloseIdleConnections()
	}
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
	return rand.N(min(ceiling, limit) + 1)
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
