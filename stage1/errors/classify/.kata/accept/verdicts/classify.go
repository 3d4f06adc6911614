// Flattens an error to a list of verdicts, then asks the list.
package classify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"slices"
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

// codes and texts are indexed by kind.
var (
	codes = [...]string{"ok", "canceled", "invalid", "not_found", "conflict", "denied", "too_many", "timeout", "unavailable", "internal"}
	texts = [...]string{
		"", "request canceled", "invalid request", "not found", "conflict", "permission denied", "too many requests",
		"timed out", "temporarily unavailable", "internal error",
	}
)

func (k Kind) valid() bool { return OK <= k && k <= Internal }

func (k Kind) String() string {
	if !k.valid() {
		k = Internal
	}
	return codes[k]
}

// Status returns the HTTP status of the kind.
func (k Kind) Status() int {
	switch k {
	case OK:
		return 200
	case Canceled:
		return 499
	case Invalid:
		return 400
	case NotFound:
		return 404
	case Conflict:
		return 409
	case Denied:
		return 403
	case TooMany:
		return 429
	case Timeout:
		return 504
	case Unavailable:
		return 503
	}
	return 500
}

// Retryable reports whether the same call may succeed a little later.
func (k Kind) Retryable() bool { return k == TooMany || k == Timeout || k == Unavailable }

// ClientFault reports whether it is the client that has to change something.
func (k Kind) ClientFault() bool { return Canceled <= k && k <= TooMany }

func (k Kind) level() slog.Level {
	switch {
	case k == Canceled:
		return slog.LevelDebug
	case k.ClientFault():
		return slog.LevelInfo
	case k.Retryable():
		return slog.LevelWarn
	}
	return slog.LevelError
}

// verdict is an error and what we think of it.
type verdict struct {
	error
	kind Kind
	text string
}

func (v verdict) Unwrap() error { return v.error }

// Mark says of what kind err is, and what the client may be told.
func Mark(err error, k Kind, public string) error {
	if err == nil {
		return nil
	}
	if k == OK || !k.valid() {
		k = Internal
	}
	return verdict{err, k, public}
}

// verdicts yields one verdict for each branch of err.
func verdicts(err error) iter.Seq[verdict] {
	return func(yield func(verdict) bool) {
		for todo := []error{err}; len(todo) > 0; {
			next := todo[0]
			todo = todo[1:]
			if next == nil {
				continue
			}
			v, below := look(next)
			if v.kind != OK && !yield(v) {
				return
			}
			todo = append(slices.Clone(below), todo...)
		}
	}
}

// look returns a verdict on err, or else what is below it.
func look(err error) (verdict, []error) {
	if v, ok := err.(verdict); ok {
		return v, nil
	}
	if k := bare(err); k != OK {
		return verdict{kind: k}, nil
	}
	var below []error
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		below = slices.DeleteFunc(slices.Clone(e.Unwrap()), func(err error) bool { return err == nil })
	case interface{ Unwrap() error }:
		if e.Unwrap() != nil {
			below = []error{e.Unwrap()}
		}
	}
	if len(below) == 0 {
		return verdict{kind: Internal}, nil
	}
	return verdict{}, below
}

// naked hides what an error wraps, so that errors.Is sees the error alone.
type naked struct{ err error }

func (n naked) Error() string { return n.err.Error() }

func (n naked) Is(target error) bool {
	if n.err == target {
		return true
	}
	asked, ok := n.err.(interface{ Is(error) bool })
	return ok && asked.Is(target)
}

func bare(err error) Kind {
	only := naked{err}
	timeout, ok := err.(interface{ Timeout() bool })
	switch {
	case errors.Is(only, context.Canceled):
		return Canceled
	case errors.Is(only, context.DeadlineExceeded), ok && timeout.Timeout():
		return Timeout
	case errors.Is(only, syscall.EPIPE), errors.Is(only, syscall.ECONNRESET), errors.Is(only, syscall.ECONNREFUSED):
		return Unavailable
	}
	return OK
}

func worst(err error) verdict {
	all := slices.Collect(verdicts(err))
	if len(all) == 0 {
		return verdict{}
	}
	return slices.MaxFunc(all, func(a, b verdict) int { return cmp.Compare(a.kind, b.kind) })
}

// Of returns the kind of err.
func Of(err error) Kind { return worst(err).kind }

// Public returns what the client may be told of err, and nothing for nil.
func Public(err error) string {
	v := worst(err)
	return cmp.Or(v.text, texts[v.kind])
}

// Retryable reports whether the caller, who has ctx, should try again.
func Retryable(ctx context.Context, err error) bool {
	for v := range verdicts(err) {
		if !v.kind.Retryable() {
			return false
		}
	}
	return err != nil && context.Cause(ctx) == nil
}

// Respond answers an HTTP request that failed with err, which is not nil.
func Respond(w http.ResponseWriter, err error) {
	body, _ := json.Marshal(map[string]string{"message": Public(err), "code": Of(err).String()})
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Cache-Control"] = []string{"no-store"}
	w.WriteHeader(Of(err).Status())
	_, _ = w.Write(append(body, '\n'))
}

// Log writes one record on err, and none if err is nil.
func Log(ctx context.Context, l *slog.Logger, msg string, err error) {
	if k := Of(err); err != nil {
		l.Log(ctx, k.level(), msg, "err", err.Error(), "kind", k.String(), "retryable", Retryable(ctx, err))
	}
}
