// Package httpclient is a client for an HTTP API that is not always there. The duties are stacked as
// round trippers: credentials below, redirects by net/http, attempts on top.
package httpclient

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
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
	Options
	http.Client
	closed atomic.Bool
}

// New returns a client.
func New(opts Options) *Client {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Sleep == nil {
		opts.Sleep = func(ctx context.Context, d time.Duration) error {
			select {
			case <-time.After(d):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	opts.MaxAttempts = cmp.Or(opts.MaxAttempts, 3)
	opts.MaxBody = cmp.Or(opts.MaxBody, 1<<20)
	opts.AttemptTimeout = cmp.Or(opts.AttemptTimeout, 10*time.Second)
	opts.MaxWait = cmp.Or(opts.MaxWait, 30*time.Second)
	if opts.Backoff == nil {
		opts.Backoff = func(attempt int) time.Duration {
			ceiling := math.Min(100e6*math.Pow(2, float64(attempt-1)), float64(opts.MaxWait))
			return time.Duration(rand.Float64() * ceiling)
		}
	}
	return &Client{Options: opts, Client: http.Client{
		Transport: &originGuard{
			credentials: opts.Credentials.Clone(),
			next: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				MaxIdleConnsPerHost: 100,
				IdleConnTimeout:     time.Minute,
			},
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if req.Response.ContentLength < 1<<16 {
				_, _ = io.CopyN(io.Discard, req.Response.Body, 1<<16)
			}
			if len(via) == 10 {
				return ErrTooManyRedirects
			}
			return nil
		},
	}}
}

// Do sends req until an answer is good enough.
func (c *Client) Do(req *http.Request) (*Response, error) {
	defer func() {
		if c.closed.Load() {
			c.CloseIdleConnections()
		}
	}()
	left := c.MaxAttempts
	switch req.Method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
	default:
		if req.Header.Get("Idempotency-Key") == "" {
			left = 1
		}
	}
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		left = 1
	}

	for n := 1; ; n++ {
		left--
		out := req.WithContext(req.Context()) // a shallow copy: the guard below never writes to a header it was given
		if req.GetBody != nil {
			out.GetBody = func() (io.ReadCloser, error) {
				body, err := req.GetBody()
				if err != nil {
					return nil, noBody{err}
				}
				return body, nil
			}
		}
		if n > 1 && req.GetBody != nil {
			var err error
			if out.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		answer, wait, err := c.once(out, left > 0)
		if err == nil && answer != nil {
			return answer, nil
		}
		if ended := req.Context().Err(); ended != nil {
			return nil, ended
		}
		if err != nil {
			if _, ok := errors.AsType[noBody](err); ok || left == 0 || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrTooManyRedirects) {
				return nil, err
			}
			wait = -1
		}
		if wait < 0 {
			wait = min(c.Backoff(n), c.MaxWait)
		}
		if wait > 0 {
			if err := c.Sleep(req.Context(), wait); err != nil {
				return nil, err
			}
		}
	}
}

// once sends req once. With neither answer nor error, wait is what the server asked for, or negative.
func (c *Client) once(req *http.Request, again bool) (answer *Response, wait time.Duration, err error) {
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	timer := time.AfterFunc(c.AttemptTimeout, cancel)
	defer timer.Stop()

	resp, err := c.Client.Do(req.WithContext(ctx))
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	body := &io.LimitedReader{R: resp.Body}

	if s := resp.StatusCode; again && (s == 429 || s == 502 || s == 503 || s == 504) {
		if wait := c.hint(resp.Header.Get("Retry-After")); wait <= c.MaxWait {
			body.N = 1 << 16
			_, _ = io.Copy(io.Discard, body)
			return nil, wait, nil
		}
	}
	body.N = c.MaxBody
	content, err := io.ReadAll(body)
	if err != nil {
		return nil, 0, cut(ctx, err)
	}
	var more [1]byte
	switch _, err := io.ReadFull(resp.Body, more[:]); err {
	case nil:
		return nil, 0, ErrTooLarge
	case io.EOF:
		return &Response{Status: resp.StatusCode, Header: resp.Header, Body: content}, 0, nil
	default:
		return nil, 0, cut(ctx, err)
	}
}

// cut gives an error of a body the name that it shall have, if it was not the client who has ended it.
func cut(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return errors.Join(io.ErrUnexpectedEOF, err)
}

// noBody is an error of GetBody.
type noBody struct{ error }

func (n noBody) Unwrap() error { return n.error }

// hint reads a Retry-After header; negative means that there is none.
func (c *Client) hint(s string) time.Duration {
	if at, err := http.ParseTime(s); err == nil {
		return max(0, at.Sub(c.Now()))
	}
	seconds, err := strconv.ParseUint(s, 10, 64)
	if errors.Is(err, strconv.ErrRange) || err == nil && seconds > uint64(c.MaxWait/time.Second) {
		return c.MaxWait + 1
	}
	if err != nil {
		return -1
	}
	return time.Duration(seconds) * time.Second
}

// Close closes the connections that wait for a next request.
func (c *Client) Close() {
	c.closed.Store(true)
	c.CloseIdleConnections()
}

// originGuard adds the credentials to what goes to the origin of a chain of redirects, and takes all
// credentials from the rest. It sees the chain through Request.Response.
type originGuard struct {
	credentials http.Header
	next        *http.Transport
}

func (g *originGuard) RoundTrip(req *http.Request) (*http.Response, error) {
	var strayed bool
	for r := req; r.Response != nil; {
		r = r.Response.Request
		strayed = strayed || origin(r.URL) != origin(req.URL)
	}
	out := req.Clone(req.Context())
	if out.Header == nil {
		out.Header = make(http.Header)
	}
	own := make(map[string]bool) // what the request has, in lower case
	for key := range out.Header {
		name := strings.ToLower(key)
		own[name] = true
		if strayed && g.secret(name) {
			delete(out.Header, key)
		}
	}
	for name, values := range g.credentials {
		if !strayed && !own[strings.ToLower(name)] {
			out.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	return g.next.RoundTrip(out)
}

// CloseIdleConnections is what http.Client looks for in its transport.
func (g *originGuard) secret(lower string) bool {
	for name := range g.credentials {
		if strings.ToLower(name) == lower {
			return true
		}
	}
	return lower == "authorization" || lower == "cookie" || lower == "proxy-authorization"
}

func (g *originGuard) CloseIdleConnections() { g.next.CloseIdleConnections() }

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }
