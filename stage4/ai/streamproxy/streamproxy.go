// Package streamproxy stands between applications and a provider of language models: it speaks OpenAI's protocol on both sides,
// keeps the provider's key to itself, and knows what each tenant used, however a stream ends.
package streamproxy

import (
	"log/slog"
	"net/http"
)

const (
	// MaxRequest is the size of the largest request that is accepted.
	MaxRequest = 1 << 20
	// MaxEvent is the size of the largest event that is passed on.
	MaxEvent = 1 << 20
)

// Outcome is how a call ended.
type Outcome string

const (
	// Completed: upstream's answer was whole; a stream's [DONE] came.
	Completed Outcome = "completed"
	// Aborted: the client left first.
	Aborted Outcome = "aborted"
	// Failed: upstream broke off, or reported an error in the stream.
	Failed Outcome = "failed"
)

// Usage is what a call cost.
type Usage struct {
	Tenant           string
	Model            string // as the client asked for it
	PromptTokens     int64
	CompletionTokens int64
	Estimated        bool // upstream reported no usage, the numbers are the proxy's estimate
	Outcome          Outcome
}

// Options say where the proxy sends calls, and for whom.
type Options struct {
	Upstream  string            // base URL of the provider, such as https://api.example.com/v1
	Key       string            // the provider's key
	Tenants   map[string]string // a client's key → its tenant
	Usage     func(Usage)       // called once for each call that is to be counted, before the call's handler returns; from many goroutines
	Transport http.RoundTripper // carries all requests to upstream; nil: one of the proxy's own
	Logger    *slog.Logger      // nil: nothing is logged
}

// New returns the proxy, which serves POST /v1/chat/completions.
func New(o Options) http.Handler {
	panic("TODO: pass events as they come, and count what they cost")
}
