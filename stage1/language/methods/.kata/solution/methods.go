// Package methods sends notifications: a notifier behind a pointer, a prefix that is
// a plain value, and a decorator that puts one before the messages of the other.
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

// A Queue is a Notifier that holds messages back until it is flushed. The zero Queue
// is empty and ready to use. Only *Queue is a Notifier and a Flusher.
type Queue struct {
	Title string

	held, sent []string
}

// Name returns the title.
func (q *Queue) Name() string {
	return q.Title
}

// Notify holds the message back. It never fails.
func (q *Queue) Notify(msg string) error {
	return q.NotifyAll(msg)
}

// NotifyAll holds all messages back, in order. It never fails, and does not keep msgs.
func (q *Queue) NotifyAll(msgs ...string) error {
	q.held = append(q.held, msgs...)
	return nil
}

// Flush sends what was held back. It never fails.
func (q *Queue) Flush() error {
	q.sent = append(q.sent, q.held...)
	q.held = nil
	return nil
}

// Sent returns all messages that were sent so far, in order. The caller owns the slice.
func (q *Queue) Sent() []string {
	return slices.Clone(q.sent)
}

// A Prefix is a row of labels. It is a value: no method changes it, and what is made
// from it, or copied, goes its own way. The zero Prefix has no labels.
type Prefix struct {
	labels []string // never written to: several prefixes may share the array
}

// With returns a Prefix that has one label more, at the end.
func (p Prefix) With(label string) Prefix {
	// Clipped, so that append has to copy: in spare capacity, the labels of two
	// prefixes made from the same one would overwrite each other.
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

// Prefixed returns a Notifier that applies p once to each message and passes it on
// to n: Notify to Notify, and NotifyAll to one NotifyAll, whose msgs it leaves alone.
// Everything else, Name and errors too, is that of n. The result is a Flusher, which
// flushes n, if, and only if, n is one.
func Prefixed(n Notifier, p Prefix) Notifier {
	d := prefixed{n, p}
	if f, ok := n.(Flusher); ok {
		return flushing{d, f}
	}
	return d
}

// prefixed has the methods of its Notifier, but for those that it declares itself. A
// promoted method knows nothing of them: NotifyAll would go past this Notify.
type prefixed struct {
	Notifier
	prefix Prefix
}

func (d prefixed) Notify(msg string) error {
	return d.Notifier.Notify(d.prefix.Apply(msg))
}

func (d prefixed) NotifyAll(msgs ...string) error {
	// msgs may be the caller's own slice.
	out := make([]string, len(msgs))
	for i, msg := range msgs {
		out[i] = d.prefix.Apply(msg)
	}
	return d.Notifier.NotifyAll(out...)
}

// flushing is a prefixed that is a Flusher, too. The embedded Notifier does not say so:
// embedding an interface promotes the methods of that interface and no others.
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
	// Compared as pointers: a nil *Queue in a Notifier is a Notifier that is not nil.
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
