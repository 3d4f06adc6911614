// A publisher and a consumer, on a broker whose connections break.
//
//kata:level 3
//kata:minutes 150
//kata:engine simulated RabbitMQ (AMQP 0-9-1), or the real one
//kata:timeout 60s
package rabbitmq_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"github.com/roadkata/roadkata/stage2/internal/kit/amqptest"
	"github.com/roadkata/roadkata/stage2/messaging/rabbitmq"
)

const (
	retry = 10 * time.Millisecond // the Retry of most tests
	brief = 3 * time.Second       // how long a test waits for what some wrong solution never does
)

// world is a broker, and the names in use there.
type world struct {
	*amqptest.Broker
	t                     *testing.T
	ctx                   context.Context
	exchange, queue, dead string
}

// traceKey is under which the context of Consume holds a value.
type traceKey struct{}

func begin(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), traceKey{}, "trace"), 2*amqptest.Patience)
	t.Cleanup(cancel)
	b := amqptest.Start(t)
	return &world{b, t, ctx, b.Name("orders"), b.Name("billing"), b.Name("billing.dead")}
}

// ok fails the test at an error of its own calls.
func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// bind declares a queue of the test's own, bound to the exchange.
func (w *world) bind(name, key string, args amqp.Table) string {
	w.t.Helper()
	ch := w.Channel(w.t)
	w.ok(ch.ExchangeDeclare(w.exchange, "topic", true, false, false, false, nil))
	q, err := ch.QueueDeclare(w.Name(name), true, false, false, false, args)
	w.ok(err)
	w.ok(ch.QueueBind(q.Name, key, w.exchange, false, nil))
	return q.Name
}

func (w *world) publisher(l *amqptest.Link) *rabbitmq.Publisher {
	p := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{URL: l.URL(), Exchange: w.exchange, Retry: retry})
	w.t.Cleanup(p.Close)
	return p
}

// attempt is a Publish under way.
type attempt struct {
	call string
	done chan struct{}
	err  error
}

func (w *world) publish(ctx context.Context, p *rabbitmq.Publisher, id, key string) *attempt {
	a := &attempt{call: fmt.Sprintf("Publish(%q to %q)", id, key), done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.err = p.Publish(ctx, rabbitmq.Message{ID: id, Key: key, Body: []byte("body of " + id)})
	}()
	return a
}

func over(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// want waits until the attempt returns, and compares the error.
func (w *world) want(a *attempt, want error, when string) {
	w.t.Helper()
	select {
	case <-a.done:
	case <-time.After(brief):
		w.t.Fatalf("%s does not return: %s", a.call, when)
	}
	if !errors.Is(a.err, want) {
		w.t.Fatalf("%s = %v, want %v: %s", a.call, a.err, want, when)
	}
}

// held waits until n confirms are held back; nothing may be returned before.
func (w *world) held(l *amqptest.Link, n int, a *attempt) {
	w.t.Helper()
	amqptest.Soon(func() bool { return l.Held() == n || over(a.done) })
	if over(a.done) {
		w.t.Fatalf("%s = %v before the broker's answer came", a.call, a.err)
	}
}

// sent lists over which connections a message was published.
func sent(l *amqptest.Link, id string) (connections []int) {
	for _, p := range l.Published() {
		if p.ID == id {
			connections = append(connections, p.Connection)
		}
	}
	return connections
}

// consumer is a Consume under way.
type consumer struct {
	stop context.CancelFunc
	done chan struct{}
	err  error
}

// consume begins to consume, and waits until there is a consumer.
func (w *world) consume(l *amqptest.Link, prefetch int, handle func(context.Context, rabbitmq.Delivery) error) *consumer {
	w.t.Helper()
	c := w.start(l, prefetch, retry, handle)
	w.consumed(c, "Consume was called")
	return c
}

func (w *world) start(l *amqptest.Link, prefetch int, retry time.Duration, handle func(context.Context, rabbitmq.Delivery) error) *consumer {
	ctx, cancel := context.WithCancel(w.ctx)
	c := &consumer{stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.err = rabbitmq.Consume(ctx, rabbitmq.ConsumerConfig{URL: l.URL(), Exchange: w.exchange, Queue: w.queue,
			Keys: []string{"order.*", "refund.#"}, Prefetch: prefetch, Retry: retry}, handle)
	}()
	w.t.Cleanup(func() {
		cancel()
		select {
		case <-c.done:
		case <-time.After(brief):
			w.t.Error("Consume does not return although its context has ended")
		}
	})
	return c
}

// consumed waits until the queue has a consumer.
func (w *world) consumed(c *consumer, after string) {
	w.t.Helper()
	if !amqptest.Within(brief, func() bool {
		q, ok := w.Queue(w.t, w.queue)
		return ok && q.Consumers > 0 || over(c.done)
	}) {
		w.t.Fatalf("%s: the queue is not there, or has no consumer", after)
	}
	if over(c.done) {
		w.t.Fatalf("%s: Consume returned (%v)", after, c.err)
	}
}

// send publishes messages for the consumer, whose bodies are their ids.
func (w *world) send(ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		w.Publish(w.t, w.exchange, "order.paid", id, id)
	}
}

// begun is a handler's call.
type begun struct {
	rabbitmq.Delivery
	ctx    context.Context
	finish chan error // what the handler shall return
}

// desk is a handler that waits for the test to decide. It keeps count.
type desk struct {
	mu      sync.Mutex
	calls   []*begun
	running int
	most    int
	heed    bool          // handlers return when their context ends
	shut    chan struct{} // closed at the end of the test
}

func newDesk(heed bool) *desk { return &desk{heed: heed, shut: make(chan struct{})} }

func (d *desk) handle(ctx context.Context, m rabbitmq.Delivery) error {
	c := &begun{m, ctx, make(chan error, 1)}
	d.mu.Lock()
	d.calls = append(d.calls, c)
	d.running++
	d.most = max(d.most, d.running)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.running--
	}()
	var gone <-chan struct{}
	if d.heed {
		gone = ctx.Done()
	}
	select {
	case err := <-c.finish:
		return err
	case <-gone:
		return context.Cause(ctx)
	case <-d.shut:
		return nil
	}
}

// begun lists the calls so far, in which order they came.
func (d *desk) begun() []*begun {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls)
}

func (d *desk) state() (running, most int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.running, d.most
}

// of finds the calls with a message.
func (d *desk) of(id string) (list []*begun) {
	for _, c := range d.begun() {
		if c.ID == id {
			list = append(list, c)
		}
	}
	return list
}

// close has all handlers return, those to come too, before the test waits for Consume to end.
func (d *desk) close(t *testing.T) { t.Cleanup(func() { close(d.shut) }) }

// Publish returns once the broker has confirmed the message, or when its context ends: then it is not published again.
//
//kata:zh Publish 在 broker 确认之后才返回，或在 context 结束时返回：此后这条消息不会再发。
func TestConfirmed(t *testing.T) {
	w := begin(t)
	q := w.bind("all", "#", nil)
	l := w.Link(t)
	p := w.publisher(l)
	l.HoldConfirms(nil)
	first := w.publish(w.ctx, p, "1", "order.paid")
	w.held(l, 1, first)
	l.ReleaseConfirms()
	w.want(first, nil, "the broker has confirmed it")
	if d := w.Get(t, q); d.MessageId != "1" || d.RoutingKey != "order.paid" || string(d.Body) != "body of 1" {
		t.Errorf("in the queue is message %q, key %q, body %q; want \"1\", \"order.paid\", \"body of 1\"", d.MessageId, d.RoutingKey, d.Body)
	}

	l.HoldConfirms(nil)
	why := errors.New("enough waited")
	ctx, cancel := context.WithCancelCause(w.ctx)
	second := w.publish(ctx, p, "2", "order.paid")
	w.held(l, 1, second)
	cancel(why)
	w.want(second, why, "its context was cancelled with this cause while the confirm was on its way")
	l.Cut()
	l.ReleaseConfirms()
	w.want(w.publish(w.ctx, p, "3", "order.paid"), nil, "the connection broke before, and can be made again")
	w.want(w.publish(ctx, p, "4", "order.paid"), why, "its context had ended before")
	w.want(w.publish(w.ctx, p, "5", "order.paid"), nil, "nothing is in its way")
	down := w.Link(t)
	down.Down()
	ctx, cancel = context.WithCancelCause(w.ctx)
	unsent := w.publish(ctx, w.publisher(down), "6", "order.paid")
	amqptest.Soon(func() bool { return len(down.Attempts()) > 1 || over(unsent.done) })
	cancel(why)
	w.want(unsent, why, "its context was cancelled with this cause while the broker could not be reached")
	if n := len(sent(l, "2")); n != 1 {
		t.Errorf("a message whose Publish returned when its context ended was sent %d times, want 1: not again after a reconnect", n)
	}
	if n := len(sent(l, "4")); n != 0 {
		t.Errorf("Publish with a context that had ended sent its message %d times, want 0", n)
	}
}

// What was confirmed survives a restart of the broker: in the queue, and as a dead letter.
//
//kata:zh 已确认的消息能挺过 broker 重启：不管在队列里，还是已成死信。
func TestSurvivesRestart(t *testing.T) {
	w := begin(t)
	l := w.Link(t)
	d := newDesk(false)
	c := w.consume(w.Link(t), 1, d.handle)
	d.close(t)
	p := w.publisher(l)
	w.want(w.publish(w.ctx, p, "bad", "order.paid"), nil, "a consumer's queue is bound to order.*")
	if !amqptest.Within(brief, func() bool { return len(d.of("bad")) == 1 }) {
		t.Fatal("a published message was not handled")
	}
	w.want(w.publish(w.ctx, p, "good", "refund.eu.paid"), nil, "a consumer's queue is bound to refund.#")
	c.stop()
	d.of("bad")[0].finish <- errors.New("cannot be handled")
	<-c.done
	if !amqptest.Within(brief, func() bool { return w.Waiting(t, w.dead) == 1 && w.Waiting(t, w.queue) == 1 }) {
		t.Fatalf("%d messages in %s, %d in %s; want one dead letter and one that waits", w.Waiting(t, w.dead), w.dead, w.Waiting(t, w.queue), w.queue)
	}
	w.Restart(t)
	for queue, id := range map[string]string{w.queue: "good", w.dead: "bad"} {
		switch n := w.Waiting(t, queue); n {
		case -1:
			t.Errorf("after a restart of the broker, the queue %s is gone", queue)
		case 0:
			t.Errorf("after a restart of the broker, the queue %s has lost its message", queue)
		default:
			if m := w.Get(t, queue); m.MessageId != id || string(m.Body) != "body of "+id {
				t.Errorf("after a restart of the broker, %s holds %q (%q), want %q", queue, m.MessageId, m.Body, id)
			}
		}
	}
	w.want(w.publish(w.ctx, p, "later", "order.paid"), nil, "the broker is up again, exchange and binding are durable")
}

// A message for which there is no queue is reported to the one who published it, and to nobody else.
//
//kata:zh 没有队列可去的消息，会告诉发布它的那个调用，而不是别人。
func TestUnroutable(t *testing.T) {
	w := begin(t)
	w.bind("some", "order.*", nil)
	l := w.Link(t)
	p := w.publisher(l)
	// An older message is still waiting for its confirm when the return comes.
	l.HoldConfirms(func(m amqptest.Published) bool { return m.ID == "routed" })
	routed := w.publish(w.ctx, p, "routed", "order.paid")
	w.held(l, 1, routed)
	w.want(w.publish(w.ctx, p, "lost", "nobody.listens"), rabbitmq.ErrUnroutable, "no queue is bound with such a key")
	l.ReleaseConfirms()
	w.want(routed, nil, "a queue has it; another message was returned in the meantime")

	var all []*attempt
	for i := range 20 {
		all = append(all, w.publish(w.ctx, p, fmt.Sprint("r", i), "order.paid"), w.publish(w.ctx, p, fmt.Sprint("l", i), "nobody.listens"))
	}
	for i := 0; i < len(all); i += 2 {
		w.want(all[i], nil, "a queue has it; others are returned at the same time")
		w.want(all[i+1], rabbitmq.ErrUnroutable, "no queue is bound with such a key")
	}

	// The caller gave up on a message that was returned; then there is a queue, and the caller tries again.
	l.HoldConfirms(nil)
	ctx, cancel := context.WithCancel(w.ctx)
	abandoned := w.publish(ctx, p, "again", "stock.low")
	w.held(l, 1, abandoned)
	cancel()
	w.want(abandoned, context.Canceled, "its context was cancelled")
	l.ReleaseConfirms()
	w.want(w.publish(w.ctx, p, "other", "order.paid"), nil, "a queue has it")
	w.bind("stock", "stock.*", nil)
	w.want(w.publish(w.ctx, p, "again", "stock.low"), nil, "a queue has it now; the one that was returned was the attempt before")
}

// A message that the broker refuses to take is ErrNacked, for its caller only, and is not sent again.
//
//kata:zh broker 拒收的消息返回 ErrNacked，只影响它的调用者，也不会重发。
func TestNacked(t *testing.T) {
	w := begin(t)
	w.bind("full", "full.*", amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish"})
	w.bind("roomy", "order.*", nil)
	l := w.Link(t)
	p := w.publisher(l)
	w.want(w.publish(w.ctx, p, "1", "full.a"), nil, "the queue has room for one")
	l.HoldConfirms(func(m amqptest.Published) bool { return m.ID == "good" })
	good := w.publish(w.ctx, p, "good", "order.paid")
	w.held(l, 1, good)
	w.want(w.publish(w.ctx, p, "2", "full.a"), rabbitmq.ErrNacked, "the broker has answered with a nack")
	l.ReleaseConfirms()
	w.want(good, nil, "the broker has confirmed it; it had refused another one")
	w.want(w.publish(w.ctx, p, "3", "full.a"), rabbitmq.ErrNacked, "the broker has answered with a nack")
	for _, id := range []string{"2", "3"} {
		if n := len(sent(l, id)); n != 1 {
			t.Errorf("a message that was nacked was sent %d times, want 1", n)
		}
	}
	if n := l.Counts().Connections; n != 1 {
		t.Errorf("%d connections, want 1: a nack breaks nothing", n)
	}
}

// Calls of Publish do not wait for each other: all are under way at once over one connection, and a late confirm concerns its message only.
//
//kata:zh Publish 之间互不等待：在同一个连接上同时在途；某个确认迟到，只影响它自己的消息。
func TestNoWaiting(t *testing.T) {
	w := begin(t)
	w.bind("all", "#", nil)
	l := w.Link(t)
	p := w.publisher(l)
	l.HoldConfirms(nil)
	const n = 20
	var all []*attempt
	for i := range n {
		all = append(all, w.publish(w.ctx, p, fmt.Sprint(i), "order.paid"))
	}
	if !amqptest.Within(brief, func() bool { return l.Held() == n }) {
		t.Fatalf("Publish was called %d times at once, while confirms were slow: %d messages were sent", n, len(l.Published()))
	}
	l.ReleaseConfirms()
	for _, a := range all {
		w.want(a, nil, "the broker has confirmed it")
	}
	if n := l.Counts().Connections; n != 1 {
		t.Errorf("%d connections, want 1", n)
	}

	l.HoldConfirms(func(m amqptest.Published) bool { return m.ID == "late" })
	late := w.publish(w.ctx, p, "late", "order.paid")
	w.held(l, 1, late)
	for i := range 3 {
		w.want(w.publish(w.ctx, p, fmt.Sprint("prompt", i), "order.paid"), nil, "the broker has confirmed it; only that of a message before it is late")
	}
	if over(late.done) {
		t.Errorf("%s = %v: its confirm has not come, only those of later messages", late.call, late.err)
	}
	l.ReleaseConfirms()
	w.want(late, nil, "the broker has confirmed it")
}

// When the connection breaks, what was not confirmed is sent again over the next one, the same message, and nothing else is.
//
//kata:zh 连接断开后，未确认的消息会在新连接上原样重发，其余的不会。
func TestSentAgain(t *testing.T) {
	w := begin(t)
	w.bind("all", "#", nil)
	l := w.Link(t)
	p := w.publisher(l)
	w.want(w.publish(w.ctx, p, "confirmed", "order.paid"), nil, "nothing is in its way")
	l.HoldConfirms(nil)
	var all []*attempt
	for i := range 5 {
		all = append(all, w.publish(w.ctx, p, fmt.Sprint(i), "order.paid"))
	}
	for range 2 {
		w.held(l, 5, all[0])
		l.Cut()
	}
	l.ReleaseConfirms()
	for i, a := range all {
		w.want(a, nil, "the connection broke before the confirm, twice, and can be made again")
		if got := sent(l, fmt.Sprint(i)); !slices.Equal(got, []int{1, 2, 3}) {
			t.Errorf("message %d was sent over the connections %v, want 1, 2 and 3", i, got)
		}
	}
	if got := sent(l, "confirmed"); !slices.Equal(got, []int{1}) {
		t.Errorf("a message that was confirmed was sent over the connections %v, want 1 only", got)
	}
	seen := map[string]string{}
	for _, m := range l.Published() {
		if content := m.Key + " " + m.Body; seen[m.ID] == "" {
			seen[m.ID] = content
		} else if seen[m.ID] != content {
			t.Errorf("message %s was sent again as %q, it was %q", m.ID, content, seen[m.ID])
		}
	}

	l.Down()
	waiting := w.publish(w.ctx, p, "waiting", "order.paid")
	tried := len(l.Attempts())
	amqptest.Within(brief, func() bool { return len(l.Attempts()) > tried+2 || over(waiting.done) })
	l.Up()
	w.want(waiting, nil, "the broker could not be reached for a moment")
}

// A message is acknowledged when its handler has returned nil, and by itself. If the connection is lost before, the handler's context
// ends, and the message is handled again.
//
//kata:zh 处理函数返回 nil 之后才确认，且只确认这一条。此前连接断开的话，处理函数的 context 结束，消息重新处理。
func TestAcknowledged(t *testing.T) {
	w := begin(t)
	l := w.Link(t)
	d := newDesk(true)
	w.consume(l, 3, d.handle)
	d.close(t)
	w.send("1", "2", "3")
	if !amqptest.Within(brief, func() bool { return len(d.begun()) == 3 }) {
		t.Fatalf("3 messages in the queue, Prefetch 3: %d were handled", len(d.begun()))
	}
	if n := l.Counts().Acks; n != 0 {
		t.Errorf("%d messages were acknowledged while their handlers ran", n)
	}
	for _, c := range d.begun() {
		if c.Key != "order.paid" || string(c.Body) != c.ID {
			t.Errorf("the handler got key %q, body %q; want \"order.paid\", %q", c.Key, c.Body, c.ID)
		}
		if c.ctx.Value(traceKey{}) != "trace" {
			t.Error("the handler's context does not have the values of that of Consume")
		}
	}
	d.of("3")[0].finish <- nil
	if !amqptest.Within(brief, func() bool { return l.Counts().Acks > 0 }) {
		t.Fatal("a handler has returned nil, its message is not acknowledged")
	}
	l.Cut()
	for _, id := range []string{"1", "2"} {
		if !amqptest.Within(brief, func() bool { return len(d.of(id)) == 2 }) {
			t.Fatalf("the connection broke while message %s was handled: it was not handled again", id)
		}
		calls := d.of(id)
		if err := context.Cause(calls[0].ctx); !errors.Is(err, rabbitmq.ErrLost) {
			t.Errorf("message %s is handled again; the context of its first handler: %v, want ErrLost", id, err)
		}
		if calls[0].Redelivered || !calls[1].Redelivered {
			t.Errorf("message %s: Redelivered = %v, then %v; want false, then true", id, calls[0].Redelivered, calls[1].Redelivered)
		}
		if err := calls[1].ctx.Err(); err != nil {
			t.Errorf("message %s is handled again, by a handler whose context has ended: %v", id, context.Cause(calls[1].ctx))
		}
		calls[1].finish <- nil
	}
	if !amqptest.Within(brief, func() bool { return l.Counts().Acks == 3 }) {
		t.Errorf("%d acknowledgements, want 3", l.Counts().Acks)
	}
	if n := len(d.of("3")); n != 1 {
		t.Errorf("a message was handled %d times although it was acknowledged before the connection broke", n)
	}
	if dead, left := w.Waiting(t, w.dead), w.Waiting(t, w.queue); dead != 0 || left != 0 {
		t.Errorf("%d dead letters, %d messages left; want none", dead, left)
	}
}

// As many messages as Prefetch are handled at once, and never more are in hand; also when the connection was lost under handlers that
// still run.
//
//kata:zh 同时处理的消息正好可达 Prefetch 条，手里的绝不更多；连接断了而旧的处理函数还在跑时也一样。
func TestPrefetch(t *testing.T) {
	w := begin(t)
	l := w.Link(t)
	d := newDesk(false)
	w.consume(l, 3, d.handle)
	d.close(t)
	for i := range 12 {
		w.send(fmt.Sprint(i))
	}
	if !amqptest.Within(brief, func() bool { n, _ := d.state(); return n >= 3 }) {
		n, _ := d.state()
		t.Fatalf("12 messages in the queue, Prefetch 3: %d are handled at once", n)
	}
	other, second := newDesk(false), w.Link(t)
	c := w.start(second, 2, retry, other.handle)
	other.close(t)
	if !amqptest.Within(brief, func() bool { return len(other.begun()) == 2 || over(c.done) }) || over(c.done) {
		t.Fatalf("another Consume on the same queue, Prefetch 2, beside one that has its hands full: it handles %d messages (it returned: %v, %v)",
			len(other.begun()), over(c.done), c.err)
	}
	for i := range 7 {
		d.begun()[i].finish <- nil
		if !amqptest.Within(brief, func() bool { return len(d.begun()) >= i+4 }) {
			t.Fatalf("%d handlers have returned: %d were started, want %d", i+1, len(d.begun()), i+4)
		}
	}
	if n := l.Counts().MostInHand; n > 3 {
		t.Errorf("%d messages were in hand at once, Prefetch is 3", n)
	}

	// Three still run, and do not look at their contexts.
	before := l.Counts().Deliveries
	l.Cut()
	if amqptest.Within(time.Second, func() bool { return l.Counts().Connections > 1 }) {
		amqptest.Within(time.Second, func() bool { return l.Counts().Deliveries == before+3 })
		amqptest.Within(time.Second/2, func() bool { _, most := d.state(); return most > 3 })
	}
	if _, most := d.state(); most > 3 {
		t.Errorf("%d handlers ran at once, Prefetch is 3: those that ran when the connection broke are not counted", most)
	}
	if n := l.Counts().MostInHand; n > 3 {
		t.Errorf("%d messages were in hand at once, Prefetch is 3", n)
	}
}

// A handler's error makes its message a dead letter, a panic too; one that asks for another attempt gets one.
//
//kata:zh 处理函数返回错误，消息成为死信，panic 也一样；要求再试的，给且只给一次机会。
func TestDeadLetters(t *testing.T) {
	w := begin(t)
	l := w.Link(t)
	var mu sync.Mutex
	calls := map[string]int{}
	count := func(id string) int {
		mu.Lock()
		defer mu.Unlock()
		return calls[id]
	}
	w.consume(l, 2, func(_ context.Context, m rabbitmq.Delivery) error {
		mu.Lock()
		calls[m.ID]++
		first := calls[m.ID] == 1
		mu.Unlock()
		switch {
		case m.ID == "bad":
			return errors.New("cannot be read")
		case m.ID == "panics":
			panic("nil map")
		case m.ID == "never" || m.ID == "again" && first:
			return fmt.Errorf("the database is locked: %w", rabbitmq.ErrRequeue)
		}
		return nil
	})
	w.send("bad", "panics", "never", "again", "good")
	if !amqptest.Within(brief, func() bool { return count("good") > 0 && count("again") > 1 && w.Waiting(t, w.dead) == 3 }) {
		mu.Lock()
		defer mu.Unlock()
		t.Fatalf("%d dead letters, want 3; handlers called: %v, want good handled, again handled twice", w.Waiting(t, w.dead), calls)
	}
	var dead []string
	for range 3 {
		m := w.Get(t, w.dead)
		dead = append(dead, m.MessageId)
		deaths, _ := m.Headers["x-death"].([]any)
		if len(deaths) != 1 {
			t.Fatalf("dead letter %s: x-death = %v, want what the broker notes: where it came from, and why", m.MessageId, m.Headers["x-death"])
		}
		if death, _ := deaths[0].(amqp.Table); death["queue"] != w.queue || death["reason"] != "rejected" || string(m.Body) != m.MessageId {
			t.Errorf("dead letter %s: body %q, x-death %v; want it rejected, from %s", m.MessageId, m.Body, death, w.queue)
		}
	}
	slices.Sort(dead)
	if want := "bad never panics"; strings.Join(dead, " ") != want {
		t.Errorf("dead letters %v, want %s", dead, want)
	}
	for id, want := range map[string]int{"bad": 1, "panics": 1, "never": 2, "again": 2, "good": 1} {
		if n := count(id); n != want {
			t.Errorf("message %s was handled %d times, want %d", id, n, want)
		}
	}
	if !amqptest.Within(brief, func() bool { return l.Counts().InHand == 0 }) {
		t.Errorf("%d messages are neither acknowledged nor rejected", l.Counts().InHand)
	}
}

// Exchange, queues and bindings that were deleted come back, whether the connection was lost or the broker only said so.
//
//kata:zh 被删掉的交换机、队列和绑定会重新声明：不管是断过连接，还是 broker 只是通知了一声。
func TestTopology(t *testing.T) {
	w := begin(t)
	admin := w.Channel(t)
	pub, con := w.Link(t), w.Link(t)
	p := w.publisher(pub)
	d := newDesk(false)
	c := w.consume(con, 1, d.handle)
	d.close(t)
	handled := func(id, when string) *begun {
		t.Helper()
		// The queue may have its consumer a moment before its bindings.
		if !amqptest.Within(brief, func() bool {
			a := w.publish(w.ctx, p, id, "order.paid")
			w.returns(a)
			return a.err == nil || over(c.done)
		}) {
			t.Fatalf("%s: a message finds no queue", when)
		}
		if !amqptest.Within(brief, func() bool { return len(d.of(id)) > 0 }) {
			t.Fatalf("%s: a message is not handled", when)
		}
		return d.of(id)[0]
	}
	handled("1", "Consume was called").finish <- nil
	// Other instances declare the same.
	ch := w.Channel(t)
	w.ok(ch.ExchangeDeclare(w.exchange, "topic", true, false, false, false, nil))
	for name, args := range map[string]amqp.Table{w.dead: nil, w.queue: {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": w.dead}} {
		if _, err := ch.QueueDeclare(name, true, false, false, false, args); err != nil {
			t.Fatalf("the queue %s is not as it was agreed upon: durable, with the arguments %v: %v", name, args, err)
		}
	}

	// The channel is closed at the next message; the connection stays.
	w.ok(admin.ExchangeDelete(w.exchange, false, false))
	w.want(w.publish(w.ctx, p, "2", "order.paid"), rabbitmq.ErrUnroutable, "the exchange was deleted; declared again, it has no bindings")

	con.Down()
	for _, q := range []string{w.queue, w.dead} {
		_, err := admin.QueueDelete(q, false, false, false)
		w.ok(err)
	}
	con.Up()
	w.consumed(c, "the connection was lost, exchange and queues were deleted, the broker is back")
	handled("3", "the connection was lost, exchange and queues were deleted, the broker is back").finish <- errors.New("cannot be handled")
	if !amqptest.Within(brief, func() bool { return w.Waiting(t, w.dead) == 1 }) {
		t.Error("the queue for dead letters was deleted and is not declared again")
	}

	running := handled("4", "exchange and queues are there again")
	_, err := admin.QueueDelete(w.queue, false, false, false)
	w.ok(err)
	if !amqptest.Within(brief, func() bool { return running.ctx.Err() != nil }) || !errors.Is(context.Cause(running.ctx), rabbitmq.ErrLost) {
		t.Errorf("the queue was deleted while a message of it was handled; the handler's context: %v, want ErrLost", context.Cause(running.ctx))
	}
	running.finish <- nil
	w.consumed(c, "the queue was deleted while the connection stayed")
	handled("5", "the queue was deleted while the connection stayed").finish <- nil
	if !amqptest.Within(brief, func() bool { return pub.Open() <= 1 && con.Open() <= 1 }) {
		t.Errorf("the broker closed a channel of the publisher, and cancelled a consumer; %d and %d connections are open now, want one each", pub.Open(), con.Open())
	}
}

// returns waits until the attempt returns, whatever it returns.
func (w *world) returns(a *attempt) {
	w.t.Helper()
	select {
	case <-a.done:
	case <-time.After(brief):
		w.t.Fatalf("%s does not return", a.call)
	}
}

// dropsLogins leads to the broker, as far as the login: each connection ends when the client has sent its name and password.
func (w *world) dropsLogins() (string, <-chan struct{}) {
	w.t.Helper()
	uri, err := amqp.ParseURI(w.Link(w.t).URL())
	w.ok(err)
	behind := net.JoinHostPort(uri.Host, fmt.Sprint(uri.Port))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	w.ok(err)
	w.t.Cleanup(func() { listener.Close() })
	uri.Host, uri.Port = "127.0.0.1", listener.Addr().(*net.TCPAddr).Port
	logins := make(chan struct{}, 1000)
	login := func(client net.Conn) {
		defer client.Close()
		broker, err := net.Dial("tcp", behind)
		if err != nil {
			return
		}
		defer broker.Close()
		frame := make([]byte, 7) // type, channel, length
		if _, err := io.CopyN(broker, client, int64(len("AMQP0091"))); err != nil {
			return
		}
		if _, err := io.ReadFull(broker, frame); err != nil {
			return
		}
		client.Write(frame)
		if _, err := io.CopyN(client, broker, int64(binary.BigEndian.Uint32(frame[3:]))+1); err != nil {
			return
		}
		if _, err := io.ReadFull(client, frame); err == nil {
			logins <- struct{}{}
		}
	}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			login(client)
		}
	}()
	return uri.String(), logins
}

// A broker that cannot be reached is tried again, at every Retry and not more often; one that refuses is not.
//
//kata:zh 连不上的 broker 会一直重试，间隔至少 Retry；明确拒绝的，则不再重试。
func TestRetry(t *testing.T) {
	w := begin(t)
	const pause = 50 * time.Millisecond
	tried := func(l *amqptest.Link, n int, who string, done <-chan struct{}) {
		t.Helper()
		if !amqptest.Within(brief, func() bool { return len(l.Attempts()) >= n || over(done) }) || over(done) {
			t.Fatalf("%s, the broker cannot be reached, Retry is %v: %d attempts to connect (it returned: %v)", who, pause, len(l.Attempts()), over(done))
		}
	}
	spaced := func(l *amqptest.Link, who, when string) {
		t.Helper()
		attempts := l.Attempts()
		for i := range attempts[1:] {
			if gap := attempts[i+1].Sub(attempts[i]); gap < pause {
				t.Fatalf("%s: %s, an attempt to connect came %v after the one before, want at least %v", who, when, gap, pause)
			}
		}
	}
	l := w.Link(t)
	l.Down()
	c := w.start(l, 1, pause, func(context.Context, rabbitmq.Delivery) error { return nil })
	tried(l, 4, "Consume", c.done)
	spaced(l, "Consume", "the broker cannot be reached")
	l.Up()
	w.consumed(c, "the broker can be reached at last")
	// Connections that break as soon as they are made.
	for range 2 {
		n := l.Counts().Connections
		l.Cut()
		if !amqptest.Within(brief, func() bool { return l.Counts().Connections > n || over(c.done) }) {
			t.Fatal("Consume does not connect again after its connection broke")
		}
	}
	spaced(l, "Consume", "each connection broke at once")

	l = w.Link(t)
	l.Down()
	p := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{URL: l.URL(), Exchange: w.exchange, Retry: pause})
	t.Cleanup(p.Close)
	a := w.publish(w.ctx, p, "1", "order.paid")
	tried(l, 4, "Publish", a.done)
	spaced(l, "Publish", "the broker cannot be reached")
	l.Up()
	w.want(a, nil, "the broker can be reached at last")

	// A broker that goes down while somebody logs in: it has refused nothing.
	for call, begin := range map[string]func(url string, ended chan<- error){
		"Publish": func(url string, ended chan<- error) {
			p := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{URL: url, Exchange: w.exchange, Retry: retry})
			t.Cleanup(p.Close)
			go func() { ended <- p.Publish(w.ctx, rabbitmq.Message{ID: "1", Key: "order.paid"}) }()
		},
		"Consume": func(url string, ended chan<- error) {
			ctx, cancel := context.WithCancel(w.ctx)
			t.Cleanup(cancel)
			go func() {
				ended <- rabbitmq.Consume(ctx, rabbitmq.ConsumerConfig{URL: url, Exchange: w.exchange, Queue: w.queue, Prefetch: 1, Retry: retry},
					func(context.Context, rabbitmq.Delivery) error { return nil })
			}()
		},
	} {
		url, logins := w.dropsLogins()
		ended := make(chan error, 1)
		begin(url, ended)
		for i := range 3 {
			select {
			case <-logins:
			case err := <-ended:
				t.Fatalf("%s = %v after %d logins during which the connection ended without an answer, want it to try again", call, err, i)
			case <-time.After(brief):
				t.Fatalf("%s has tried to log in %d times, the connection ended without an answer: want it to try again", call, i)
			}
		}
	}

	// Somebody else has declared the names in another way.
	other := w.Name("other")
	w.ok(w.Channel(t).ExchangeDeclare(other, "fanout", true, false, false, false, nil))
	_, err := w.Channel(t).QueueDeclare(other, true, false, false, false, nil)
	w.ok(err)
	elsewhere, err := amqp.ParseURI(w.Link(t).URL())
	w.ok(err)
	elsewhere.Vhost = w.Name("vhost")
	refused := func(url, name string, code int, why string) {
		t.Helper()
		p := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{URL: url, Exchange: name, Retry: retry})
		t.Cleanup(p.Close)
		published, consumed := make(chan error, 1), make(chan error, 1)
		go func() { published <- p.Publish(w.ctx, rabbitmq.Message{ID: "1", Key: "order.paid"}) }()
		ctx, cancel := context.WithCancel(w.ctx)
		defer cancel()
		go func() {
			consumed <- rabbitmq.Consume(ctx, rabbitmq.ConsumerConfig{URL: url, Exchange: w.exchange, Queue: name, Prefetch: 1, Retry: retry},
				func(context.Context, rabbitmq.Delivery) error { return nil })
		}()
		for call, done := range map[string]<-chan error{"Publish": published, "Consume": consumed} {
			select {
			case err := <-done:
				if e := (*amqp.Error)(nil); !errors.As(err, &e) || e.Code != code {
					t.Fatalf("%s = %v, want the broker's error, code %d: %s", call, err, code, why)
				}
			case <-time.After(brief):
				t.Fatalf("%s does not return, want the broker's error, code %d: %s", call, code, why)
			}
		}
	}
	refused(w.Link(t).URL(), other, amqp.PreconditionFailed, "somebody else has declared the name in another way")
	refused(elsewhere.String(), w.exchange, amqp.NotAllowed, "there is no such virtual host")
}

// Consume stops when its context ends, after the handlers that run; what was not begun stays in the queue. After it and after Close,
// nothing is left.
//
//kata:zh context 结束后，Consume 等正在跑的处理函数做完再停；没开始的留在队列里。它返回和 Close 之后，什么都不残留。
func TestStop(t *testing.T) {
	w := begin(t)
	con, pub, silent := w.Link(t), w.Link(t), w.Link(t)
	quiet := goleak.IgnoreCurrent()
	d := newDesk(true)
	c := w.consume(con, 2, d.handle)
	d.close(t)
	w.send("1", "2", "3", "4", "5")
	if !amqptest.Within(brief, func() bool { return len(d.begun()) == 2 }) {
		t.Fatalf("%d handlers run, want 2", len(d.begun()))
	}
	c.stop()
	if amqptest.Within(time.Second/5, func() bool { return over(c.done) }) {
		t.Fatalf("Consume = %v when its context ended, want it to wait for 2 handlers that run", c.err)
	}
	d.begun()[0].finish <- nil
	if !amqptest.Within(brief, func() bool { return con.Counts().Acks == 1 }) {
		t.Fatal("a handler has returned nil after the context of Consume had ended: its message is not acknowledged")
	}
	if err := d.begun()[1].ctx.Err(); err != nil {
		t.Fatalf("the context of Consume has ended, and with it that of a handler that still runs: %v", context.Cause(d.begun()[1].ctx))
	}
	d.begun()[1].finish <- nil
	select {
	case <-c.done:
	case <-time.After(brief):
		t.Fatal("all handlers have returned, Consume has not")
	}
	if c.err != nil {
		t.Errorf("Consume = %v after its context ended, want nil", c.err)
	}
	if n := len(d.begun()); n != 2 {
		t.Errorf("%d handlers were called, want 2: none is started after the context has ended", n)
	}
	if !amqptest.Within(brief, func() bool { return w.Waiting(t, w.queue) == 3 }) || con.Counts().Acks != 2 {
		t.Errorf("%d messages in the queue, %d acknowledged; want 3 and 2", w.Waiting(t, w.queue), con.Counts().Acks)
	}

	con.Down()
	c = w.start(con, 1, time.Hour, d.handle)
	amqptest.Within(brief, func() bool { return len(con.Attempts()) >= 2 })
	c.stop()
	select {
	case <-c.done:
	case <-time.After(brief):
		t.Fatal("Consume waits for a broker that cannot be reached although its context has ended")
	}
	silent.Freeze()
	c = w.start(silent, 1, retry, d.handle)
	amqptest.Within(brief, func() bool { return len(silent.Attempts()) > 0 })
	c.stop()
	select {
	case <-c.done:
	case <-time.After(brief):
		t.Fatal("Consume waits for a broker that says nothing, not even to its login, although its context has ended")
	}

	closes := func(p *rabbitmq.Publisher, while string) {
		t.Helper()
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			p.Close()
			p.Close()
		}()
		select {
		case <-closed:
		case <-time.After(brief):
			t.Fatalf("Close does not return while %s", while)
		}
	}
	unreachable := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{URL: con.URL(), Exchange: w.exchange, Retry: time.Hour})
	a := w.publish(w.ctx, unreachable, "6", "order.paid")
	amqptest.Within(brief, func() bool { return len(con.Attempts()) >= 3 })
	closes(unreachable, "the broker cannot be reached")
	w.want(a, rabbitmq.ErrClosed, "the publisher was closed while the broker could not be reached")

	ignored := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{URL: silent.URL(), Exchange: w.exchange, Retry: retry})
	a = w.publish(w.ctx, ignored, "6", "order.paid")
	amqptest.Within(brief, func() bool { return len(silent.Attempts()) > 1 })
	closes(ignored, "the broker says nothing, not even to its login")
	w.want(a, rabbitmq.ErrClosed, "the publisher was closed while the broker said nothing to its login")
	silent.Thaw()

	p := w.publisher(pub)
	pub.HoldConfirms(nil)
	a = w.publish(w.ctx, p, "6", "order.paid")
	w.held(pub, 1, a)
	closes(p, "a confirm is on its way")
	w.want(a, rabbitmq.ErrClosed, "the publisher was closed before the confirm came")
	w.want(w.publish(w.ctx, p, "7", "order.paid"), rabbitmq.ErrClosed, "the publisher was closed before")
	if !amqptest.Within(brief, func() bool { return con.Open() == 0 && pub.Open() == 0 && silent.Open() == 0 }) {
		t.Errorf("connections are still open: %d of Consume, %d of the publisher, %d to the broker that said nothing", con.Open(), pub.Open(), silent.Open())
	}
	if err := goleak.Find(quiet); err != nil {
		t.Errorf("goroutines are left after Consume and Close: %v", err)
	}
}
