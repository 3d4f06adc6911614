// Saves the call when there is no message: it was the caller's to make.
//
//kata:caught-by TestNotifyAllStaysOne
package methods

import (
	"errors"
	"slices"
	"strings"
)

// A Notifier sends messages.
type Notifier interface {
	Name() string
	Notify(msg string) error
	NotifyAll(msgs ...string) error // one call, all messages
}

// A Flusher is what a Notifier may be in addition, if it holds messages back.
type Flusher interface {
	Flush() error
}

// A Queue is a Notifier that holds messages back until it is flushed.
type Queue struct {
	Title string

	held, sent []string
}

// Name returns the title.
func (q *Queue) Name() string {
	return q.Title
}

// Notify holds the message back.
func (q *Queue) Notify(msg string) error {
	return q.NotifyAll(msg)
}

// NotifyAll holds all messages back, in order.
func (q *Queue) NotifyAll(msgs ...string) error {
	q.held = append(q.held, msgs...)
	return nil
}

// Flush sends what was held back.
func (q *Queue) Flush() error {
	q.sent = append(q.sent, q.held...)
	q.held = nil
	return nil
}

// Sent returns all messages that were sent so far, in order.
func (q *Queue) Sent() []string {
	return slices.Clone(q.sent)
}

// A Prefix is a row of labels.
type Prefix struct {
	labels []string
}

// With returns a Prefix that has one label more, at the end.
func (p Prefix) With(label string) Prefix {
	return Prefix{append(slices.Clip(p.labels), label)}
}

// Apply returns the message behind the labels, such as "[api][eu] disk full". Without
// labels it returns the message as it is.
func (p Prefix) Apply(msg string) string {
	if len(p.labels) == 0 {
		return msg
	}
	return "[" + strings.Join(p.labels, "][") + "] " + msg
}

// Prefixed returns a Notifier that applies p to each message and passes it on to n.
func Prefixed(n Notifier, p Prefix) Notifier {
	d := prefixed{n, p}
	if f, ok := n.(Flusher); ok {
		return flushing{d, f}
	}
	return d
}

type prefixed struct {
	Notifier
	prefix Prefix
}

func (d prefixed) Notify(msg string) error {
	return d.Notifier.Notify(d.prefix.Apply(msg))
}

func (d prefixed) NotifyAll(msgs ...string) error {
	if len(msgs) == 0 {
		return nil
	}
	out := make([]string, len(msgs))
	for i, msg := range msgs {
		out[i] = d.prefix.Apply(msg)
	}
	return d.Notifier.NotifyAll(out...)
}

// flushing is a prefixed that is a Flusher, too.
type flushing struct {
	prefixed
	Flusher
}

// A Team has up to two ways to be reached; nil means: not this way.
type Team struct {
	Mail  *Queue
	Pager *Queue
}

// Notifiers returns the ways that there are, mail first.
func (t Team) Notifiers() []Notifier {
	var ns []Notifier
	if t.Mail != nil {
		ns = append(ns, t.Mail)
	}
	if t.Pager != nil {
		ns = append(ns, t.Pager)
	}
	return ns
}

// FlushAll flushes every notifier that is a Flusher, all of them even if one fails. It
// returns the errors, joined, or nil.
func FlushAll(notifiers ...Notifier) error {
	var errs []error
	for _, n := range notifiers {
		if f, ok := n.(Flusher); ok {
			errs = append(errs, f.Flush())
		}
	}
	return errors.Join(errs...)
}
