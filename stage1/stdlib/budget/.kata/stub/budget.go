// Package budget hands a deadline on from service to service, as the time that is left.
package budget

import (
	"context"
	"net/http"
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
	panic("TODO: With")
}

// Whose returns the owner of ctx's deadline: "" if it has none, or one that was not made by [With].
func Whose(ctx context.Context) string {
	panic("TODO: Whose")
}

// Handler gives each request to next with a deadline: that of its caller, as [Header] tells, or limit, which belongs
// to service, whichever is earlier. A request whose time is spent is answered with 504, without next.
func Handler(service string, limit time.Duration, next http.Handler) http.Handler {
	panic("TODO: Handler")
}

// Transport returns a transport that hands on the deadline of a request's context by next, less reserve: the time that
// its caller needs to make use of the answer.
func Transport(reserve time.Duration, next http.RoundTripper) http.RoundTripper {
	panic("TODO: Transport")
}
