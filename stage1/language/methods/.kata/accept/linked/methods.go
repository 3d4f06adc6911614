// Package methods chains prefixes, each to the one that it was made from, and makes
// the decorator out of functions.
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
	before *Prefix // its labels come first
	label  string
}

// With returns a Prefix that has one label more, at the end.
func (p Prefix) With(label string) Prefix {
	return Prefix{&p, label}
}

// Apply returns the message behind the labels, such as "[api][eu] disk full". Without
// labels it returns the message as it is.
func (p Prefix) Apply(msg string) string {
	var labels []string
	for at := &p; at.before != nil; at = at.before {
		labels = append(labels, "["+at.label+"]")
	}
	if labels == nil {
		return msg
	}
	slices.Reverse(labels)
	return strings.Join(labels, "") + " " + msg
}

// Prefixed returns a Notifier that applies p once to each message and passes it on
// to n: Notify to Notify, and NotifyAll to one NotifyAll, whose msgs it leaves alone.
// Everything else, Name and errors too, is that of n. The result is a Flusher, which
// flushes n, if, and only if, n is one.
func Prefixed(n Notifier, p Prefix) Notifier {
	d := decorator{n.Name, n.Notify, n.NotifyAll}
	d.notify = func(msg string) error { return n.Notify(p.Apply(msg)) }
	d.notifyAll = func(msgs ...string) error {
		out := slices.Clone(msgs)
		for i := range out {
			out[i] = p.Apply(out[i])
		}
		return n.NotifyAll(out...)
	}
	if f, ok := n.(Flusher); ok {
		return struct {
			decorator
			Flusher
		}{d, f}
	}
	return d
}

// A decorator is made of functions.
type decorator struct {
	name      func() string
	notify    func(string) error
	notifyAll func(...string) error
}

func (d decorator) Name() string                   { return d.name() }
func (d decorator) Notify(msg string) error        { return d.notify(msg) }
func (d decorator) NotifyAll(msgs ...string) error { return d.notifyAll(msgs...) }

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
