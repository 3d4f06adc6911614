// Package methods sends notifications: a notifier behind a pointer, a prefix that is
// a plain value, and a decorator that puts one before the messages of the other.
package methods

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
	// TODO: what else does it need to know?
}

// Name returns the title.
func (q *Queue) Name() string {
	panic("TODO: return the title")
}

// Notify holds the message back. It never fails.
func (q *Queue) Notify(msg string) error {
	panic("TODO: hold the message back")
}

// NotifyAll holds all messages back, in order. It never fails, and does not keep msgs.
func (q *Queue) NotifyAll(msgs ...string) error {
	panic("TODO: hold the messages back")
}

// Flush sends what was held back. It never fails.
func (q *Queue) Flush() error {
	panic("TODO: send what was held back")
}

// Sent returns all messages that were sent so far, in order. The caller owns the slice.
func (q *Queue) Sent() []string {
	panic("TODO: return what was sent")
}

// A Prefix is a row of labels. It is a value: no method changes it, and what is made
// from it, or copied, goes its own way. The zero Prefix has no labels.
type Prefix struct {
	// TODO: what does it need to know?
}

// With returns a Prefix that has one label more, at the end.
func (p Prefix) With(label string) Prefix {
	panic("TODO: return a longer prefix")
}

// Apply returns the message behind the labels, such as "[api][eu] disk full". Without
// labels it returns the message as it is.
func (p Prefix) Apply(msg string) string {
	panic("TODO: put the labels before the message")
}

// Prefixed returns a Notifier that applies p once to each message and passes it on
// to n: Notify to Notify, and NotifyAll to one NotifyAll, whose msgs it leaves alone.
// Everything else, Name and errors too, is that of n. The result is a Flusher, which
// flushes n, if, and only if, n is one.
func Prefixed(n Notifier, p Prefix) Notifier {
	panic("TODO: decorate n")
}

// A Team has up to two ways to be reached; nil means: not this way.
type Team struct {
	Mail  *Queue
	Pager *Queue
}

// Notifiers returns the ways that there are, mail first.
func (t Team) Notifiers() []Notifier {
	panic("TODO: return the notifiers that are not nil")
}

// FlushAll flushes every notifier that is a Flusher, all of them even if one fails. It
// returns the errors, joined, or nil.
func FlushAll(notifiers ...Notifier) error {
	panic("TODO: flush those that are flushers")
}
