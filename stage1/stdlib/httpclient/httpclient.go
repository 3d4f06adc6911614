// Package httpclient is a client for an HTTP API that is not always there: it retries what may be
// retried, waits as long as the server asks, and never reads more than it was told to.
package httpclient

import (
	"context"
	"errors"
	"net/http"
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
	// TODO: what it needs to remember
}

// New returns a client.
func New(opts Options) *Client {
	panic("TODO: New")
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
	panic("TODO: Client.Do")
}

// Close closes the connections that wait for a next request.
func (c *Client) Close() {
	panic("TODO: Client.Close")
}
