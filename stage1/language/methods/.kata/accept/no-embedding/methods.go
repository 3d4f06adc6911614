// Package methods spells every method out, and keeps a prefix as the text that it is.
package methods

import "errors"

// A Notifier sends messages.
type Notifier interface {
	Name() string
	Notify(msg string) error
	NotifyAll(msgs ...string) error
}

// A Flusher is what a Notifier may be in addition, if it holds messages back.
type Flusher interface {
	Flush() error
}

// A Queue keeps all messages in one slice: the first ones are sent, the others held.
type Queue struct {
	Title string

	msgs []string
	sent int
}

// Name returns the title.
func (q *Queue) Name() string { return q.Title }

// Notify holds the message back.
func (q *Queue) Notify(msg string) error {
	q.msgs = append(q.msgs, msg)
	return nil
}

// NotifyAll holds all messages back, in order.
func (q *Queue) NotifyAll(msgs ...string) error {
	for _, msg := range msgs {
		if err := q.Notify(msg); err != nil {
			return err
		}
	}
	return nil
}

// Flush sends what was held back.
func (q *Queue) Flush() error {
	q.sent = len(q.msgs)
	return nil
}

// Sent returns all messages that were sent so far, in order.
func (q *Queue) Sent() []string {
	return append([]string{}, q.msgs[:q.sent]...)
}

// A Prefix is the text of its labels: strings do not change.
type Prefix struct {
	text string
}

// With returns a Prefix that has one label more, at the end.
func (p Prefix) With(label string) Prefix {
	p.text += "[" + label + "]"
	return p
}

// Apply returns the message behind the labels.
func (p Prefix) Apply(msg string) string {
	if p == (Prefix{}) {
		return msg
	}
	return p.text + " " + msg
}

// Prefixed returns a Notifier that applies p to each message and passes it on to n.
func Prefixed(n Notifier, p Prefix) Notifier {
	d := &decorator{n: n, p: p}
	if _, ok := n.(Flusher); ok {
		return (*flushingDecorator)(d)
	}
	return d
}

type decorator struct {
	n Notifier
	p Prefix
}

func (d *decorator) Name() string            { return d.n.Name() }
func (d *decorator) Notify(msg string) error { return d.n.Notify(d.p.Apply(msg)) }
func (d *decorator) NotifyAll(msgs ...string) error {
	var out []string
	for _, msg := range msgs {
		out = append(out, d.p.Apply(msg))
	}
	return d.n.NotifyAll(out...)
}

// A flushingDecorator has the fields of a decorator and none of its methods.
type flushingDecorator decorator

func (d *flushingDecorator) Name() string            { return (*decorator)(d).Name() }
func (d *flushingDecorator) Notify(msg string) error { return (*decorator)(d).Notify(msg) }
func (d *flushingDecorator) NotifyAll(msgs ...string) error {
	return (*decorator)(d).NotifyAll(msgs...)
}
func (d *flushingDecorator) Flush() error { return d.n.(Flusher).Flush() }

// A Team has up to two ways to be reached; nil means: not this way.
type Team struct {
	Mail  *Queue
	Pager *Queue
}

// Notifiers returns the ways that there are, mail first.
func (t Team) Notifiers() []Notifier {
	ns := make([]Notifier, 0, 2)
	for _, q := range []*Queue{t.Mail, t.Pager} {
		if q != nil {
			ns = append(ns, q)
		}
	}
	return ns
}

// FlushAll flushes every notifier that is a Flusher.
func FlushAll(notifiers ...Notifier) (err error) {
	for _, n := range notifiers {
		if f, ok := n.(interface{ Flush() error }); ok {
			err = errors.Join(err, f.Flush())
		}
	}
	return err
}
