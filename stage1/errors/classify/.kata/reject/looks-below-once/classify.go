// Looks below one wrapping and takes that for all.
//
//kata:caught-by TestWrapping
package classify

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"syscall"
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

// statusCanceled is what nginx logs when the client has closed the connection.
const statusCanceled = 499

var kinds = [...]struct {
	code      string
	message   string
	status    int
	retryable bool
	client    bool
	level     slog.Level
}{
	OK:          {"ok", "", http.StatusOK, false, false, slog.LevelDebug},
	Canceled:    {"canceled", "request canceled", statusCanceled, false, true, slog.LevelDebug},
	Invalid:     {"invalid", "invalid request", http.StatusBadRequest, false, true, slog.LevelInfo},
	NotFound:    {"not_found", "not found", http.StatusNotFound, false, true, slog.LevelInfo},
	Conflict:    {"conflict", "conflict", http.StatusConflict, false, true, slog.LevelInfo},
	Denied:      {"denied", "permission denied", http.StatusForbidden, false, true, slog.LevelInfo},
	TooMany:     {"too_many", "too many requests", http.StatusTooManyRequests, true, true, slog.LevelInfo},
	Timeout:     {"timeout", "timed out", http.StatusGatewayTimeout, true, false, slog.LevelWarn},
	Unavailable: {"unavailable", "temporarily unavailable", http.StatusServiceUnavailable, true, false, slog.LevelWarn},
	Internal:    {"internal", "internal error", http.StatusInternalServerError, false, false, slog.LevelError},
}

// known returns k, or Internal for a number that is no Kind.
func (k Kind) known() Kind {
	if k < OK || k > Internal {
		return Internal
	}
	return k
}

// String returns the code of the kind: ok, canceled, invalid, not_found,
// conflict, denied, too_many, timeout, unavailable or internal.
// Numbers that are no Kind count as Internal in all methods.
func (k Kind) String() string { return kinds[k.known()].code }

// Status returns the HTTP status of the kind.
func (k Kind) Status() int { return kinds[k.known()].status }

// Retryable reports whether the same call may succeed a little later.
func (k Kind) Retryable() bool { return kinds[k.known()].retryable }

// ClientFault reports whether it is the client that has to change something.
func (k Kind) ClientFault() bool { return kinds[k.known()].client }

// mark is the only type of this package that carries text for clients. All
// other text in a tree of errors is for us.
type mark struct {
	err    error
	kind   Kind
	public string
}

// Mark says of what kind err is, and what the client may be told; public may
// be empty. The error that it returns has the text of err and wraps it.
// Mark of nil is nil. OK is not a kind of errors: it counts as Internal.
func Mark(err error, k Kind, public string) error {
	if err == nil {
		return nil
	}
	if k = k.known(); k == OK {
		k = Internal
	}
	return &mark{err, k, public}
}

func (m *mark) Error() string { return m.err.Error() }

func (m *mark) Unwrap() error { return m.err }

// judge calls yield for each node of the tree of err that decides on the
// branches below it. It is not errors.Is: that would look through a mark at
// what the mark was meant to overrule.
func judge(err error, yield func(Kind, string)) { judgeTo(2, err, yield) }

func judgeTo(depth int, err error, yield func(Kind, string)) {
	if m, ok := err.(*mark); ok {
		yield(m.kind, m.public)
		return
	}
	if k := ofNode(err); k != OK {
		yield(k, "")
		return
	}
	branches := unwrap(err)
	for _, branch := range branches {
		if depth > 1 {
			judgeTo(depth-1, branch, yield)
		}
	}
	if len(branches) == 0 || depth == 1 {
		yield(Internal, "")
	}
}

// unwrap returns what err wraps directly.
func unwrap(err error) (branches []error) {
	all := []error{}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		all = append(all, e.Unwrap())
	case interface{ Unwrap() []error }:
		all = e.Unwrap()
	}
	for _, branch := range all {
		if branch != nil {
			branches = append(branches, branch)
		}
	}
	return branches
}

// ofNode returns the kind of err itself, whatever it wraps, or OK if it is not known.
func ofNode(err error) Kind {
	switch {
	case is(err, context.Canceled):
		return Canceled
	case is(err, context.DeadlineExceeded):
		return Timeout
	}
	if e, ok := err.(interface{ Timeout() bool }); ok && e.Timeout() {
		return Timeout
	}
	for _, broken := range []syscall.Errno{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE} {
		if is(err, broken) {
			return Unavailable
		}
	}
	return OK
}

// is is errors.Is without Unwrap. The comparison cannot panic: the targets
// are comparable.
func is(err, target error) bool {
	if err == target {
		return true
	}
	e, ok := err.(interface{ Is(error) bool })
	return ok && e.Is(target)
}

// decide returns the worst kind in err and the text that goes with it.
func decide(err error) (worst Kind, public string) {
	if err == nil {
		return OK, ""
	}
	judge(err, func(k Kind, text string) {
		if k > worst {
			worst, public = k, text
		}
	})
	return worst, public
}

// Of returns the kind of err.
func Of(err error) Kind {
	k, _ := decide(err)
	return k
}

// Public returns what the client may be told of err, and nothing for nil.
func Public(err error) string {
	k, public := decide(err)
	if public == "" {
		return kinds[k].message
	}
	return public
}

// Retryable reports whether the caller, who has ctx, should try again.
func Retryable(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil {
		return false
	}
	retryable := true
	judge(err, func(k Kind, _ string) { retryable = retryable && k.Retryable() })
	return retryable
}

// Respond answers an HTTP request that failed with err, which is not nil.
func Respond(w http.ResponseWriter, err error) {
	body := struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{Of(err).String(), Public(err)}

	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(Of(err).Status())
	_ = json.NewEncoder(w).Encode(body) // the client has gone: nobody to tell
}

// Log writes one record on err, and none if err is nil.
func Log(ctx context.Context, l *slog.Logger, msg string, err error) {
	if err == nil {
		return
	}
	k := Of(err)
	l.LogAttrs(ctx, kinds[k].level, msg,
		slog.String("kind", k.String()),
		slog.Bool("retryable", Retryable(ctx, err)),
		slog.String("err", err.Error()),
	)
}
