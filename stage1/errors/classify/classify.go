// Package classify decides what becomes of an error at the edge of a service:
// whether to try again, what the client is told, and how loud the log is.
package classify

import (
	"context"
	"log/slog"
	"net/http"
)

// Kind is a class of errors. The kinds are in order, the worst last.
type Kind int

const (
	OK          Kind = iota // no error
	Canceled                // the caller has left
	Invalid                 // the request makes no sense
	NotFound                // what was asked for is not there
	Conflict                // it is there already, or has changed meanwhile
	Denied                  // the caller may not do that
	TooMany                 // the caller should slow down
	Timeout                 // it took too long
	Unavailable             // a part of the system is down
	Internal                // all else: a bug, until somebody says what it is
)

// String returns the code of the kind: ok, canceled, invalid, not_found,
// conflict, denied, too_many, timeout, unavailable or internal.
// Numbers that are no Kind count as Internal in all methods.
func (k Kind) String() string {
	panic("TODO: the code of the kind")
}

// Status returns the HTTP status of the kind.
func (k Kind) Status() int {
	panic("TODO: the status of the kind")
}

// Retryable reports whether the same call may succeed a little later.
func (k Kind) Retryable() bool {
	panic("TODO: whether trying again makes sense")
}

// ClientFault reports whether it is the client that has to change something.
func (k Kind) ClientFault() bool {
	panic("TODO: whose fault it is")
}

// Mark says of what kind err is, and what the client may be told; public may
// be empty. The error that it returns has the text of err and wraps it.
// Mark of nil is nil. OK is not a kind of errors: it counts as Internal.
func Mark(err error, k Kind, public string) error {
	panic("TODO: attach kind and text")
}

// Of returns the kind of err.
func Of(err error) Kind {
	panic("TODO: walk the tree of err")
}

// Public returns what the client may be told of err, and nothing for nil.
func Public(err error) string {
	panic("TODO: the text of the mark that decides, or that of the kind")
}

// Retryable reports whether the caller, who has ctx, should try again.
func Retryable(ctx context.Context, err error) bool {
	panic("TODO: all of err must be retryable, and ctx alive")
}

// Respond answers an HTTP request that failed with err, which is not nil.
func Respond(w http.ResponseWriter, err error) {
	panic("TODO: status and body")
}

// Log writes one record on err, and none if err is nil.
func Log(ctx context.Context, l *slog.Logger, msg string, err error) {
	panic("TODO: the level by the kind")
}
