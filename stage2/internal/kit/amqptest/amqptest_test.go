package amqptest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"
)

// These tests pass with the real RabbitMQ too: what they say about the broker is what it does.

func dial(t *testing.T, l *Link) *amqp.Connection {
	t.Helper()
	conn, err := amqp.Dial(l.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseDeadline(time.Now().Add(time.Second)) })
	return conn
}

func open(t *testing.T, conn *amqp.Connection) *amqp.Channel {
	t.Helper()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *Broker) queue(t *testing.T, name string, args amqp.Table) string {
	t.Helper()
	return must[amqp.Queue](t)(b.Channel(t).QueueDeclare(b.Name(name), true, false, false, false, args)).Name
}

func next(t *testing.T, deliveries <-chan amqp.Delivery) amqp.Delivery {
	t.Helper()
	select {
	case d, ok := <-deliveries:
		if !ok {
			t.Fatal("the deliveries ended")
		}
		return d
	case <-time.After(Patience):
		t.Fatal("no delivery came")
	}
	panic("unreachable")
}

func code(err error) int {
	var e *amqp.Error
	errors.As(err, &e)
	if e == nil {
		return 0
	}
	return e.Code
}

func TestNothingLeft(t *testing.T) {
	t.Run("broker", func(t *testing.T) {
		b := Start(t)
		q := b.queue(t, "q", amqp.Table{"x-message-ttl": 60000})
		b.Publish(t, "", q, "1", "a")
		open(t, dial(t, b.Link(t)))
	})
	goleak.VerifyNone(t)
}

func TestRouting(t *testing.T) {
	b := Start(t)
	ch := b.Channel(t)
	for kind, want := range map[string]map[string]bool{
		"direct": {"a.b": true, "a": false},
		"topic":  {"a.b": true, "a": false, "a.x": true, "a.x.y": false, "z": true, "z.1.2": true, "": false},
		"fanout": {"a.b": true, "": true},
	} {
		x := b.Name(kind)
		check(t, ch.ExchangeDeclare(x, kind, true, false, false, false, nil))
		q := b.queue(t, kind, nil)
		for _, key := range []string{"a.b", "a.*", "z.#"} {
			check(t, ch.QueueBind(q, key, x, false, nil))
		}
		if kind == "direct" {
			check(t, ch.QueueUnbind(q, "a.*", x, nil))
		}
		for key, want := range want {
			b.Publish(t, x, key, "1", key)
			if n := must[int](t)(ch.QueuePurge(q, false)); (n == 1) != want || n > 1 {
				t.Errorf("%s exchange: key %q put %d messages into the queue, want it there: %v", kind, key, n, want)
			}
		}
	}
}

func TestMandatoryAndConfirms(t *testing.T) {
	b := Start(t)
	l := b.Link(t)
	ch := open(t, dial(t, l))
	check(t, ch.Confirm(false))
	events := make(chan string, 10)
	returns, confirms := ch.NotifyReturn(make(chan amqp.Return)), ch.NotifyPublish(make(chan amqp.Confirmation))
	go func() {
		for returns != nil || confirms != nil {
			select {
			case r, ok := <-returns:
				if !ok {
					returns = nil
					continue
				}
				events <- fmt.Sprintf("return %s %d %s", r.MessageId, r.ReplyCode, r.Body)
			case c, ok := <-confirms:
				if !ok {
					confirms = nil
					continue
				}
				events <- fmt.Sprintf("confirm %d %v", c.DeliveryTag, c.Ack)
			}
		}
	}()
	full := b.queue(t, "full", amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish"})
	for i, key := range []string{b.Name("nowhere"), full, full} {
		check(t, ch.Publish("", key, true, false, amqp.Publishing{MessageId: fmt.Sprint(i), Body: []byte("body")}))
		if i == 1 {
			Soon(func() bool { return b.Waiting(t, full) == 1 })
		}
	}
	for _, want := range []string{"return 0 312 body", "confirm 1 true", "confirm 2 true", "confirm 3 false"} {
		select {
		case got := <-events:
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
		case <-time.After(Patience):
			t.Fatalf("nothing, want %s", want)
		}
	}
	want := Published{Connection: 1, Key: full, ID: "1", Body: "body", Mandatory: true}
	if got := l.Published(); len(got) != 3 || got[1] != want || l.Counts().Confirms != 3 {
		t.Errorf("the link saw %+v and %+v, want three messages, the second %+v", got, l.Counts(), want)
	}
}

func TestHeldConfirms(t *testing.T) {
	b := Start(t)
	l := b.Link(t)
	q := b.queue(t, "q", nil)
	ch := open(t, dial(t, l))
	check(t, ch.Confirm(false))
	l.HoldConfirms(func(p Published) bool { return p.ID == "1" })
	publish := func(id string) *amqp.DeferredConfirmation {
		return must[*amqp.DeferredConfirmation](t)(ch.PublishWithDeferredConfirm("", q, false, false, amqp.Publishing{MessageId: id}))
	}
	first, second := publish("1"), publish("2")
	if !second.Wait() || first.Acked() {
		t.Error("the second message is not confirmed, or the first one is")
	}
	if !Soon(func() bool { return l.Held() == 1 }) {
		t.Error("nothing is held")
	}
	l.ReleaseConfirms()
	if !first.Wait() {
		t.Error("the first message is not confirmed")
	}
	l.HoldConfirms(nil)
	third := publish("3")
	Soon(func() bool { return l.Held() == 1 })
	l.Cut()
	if third.Wait() {
		t.Error("a message is confirmed although its connection broke")
	}
	if n := b.Waiting(t, q); n != 3 {
		t.Errorf("%d messages in the queue, want 3: the broker has all of them", n)
	}
}

func TestAcknowledging(t *testing.T) {
	b := Start(t)
	l := b.Link(t)
	q := b.queue(t, "q", nil)
	for i := range 6 {
		b.Publish(t, "", q, fmt.Sprint(i), "")
	}
	conn := dial(t, l)
	ch := open(t, conn)
	check(t, ch.Qos(3, 0, false))
	deliveries := must[<-chan amqp.Delivery](t)(ch.Consume(q, "", false, false, false, false, nil))
	var in []amqp.Delivery
	for range 3 {
		in = append(in, next(t, deliveries))
	}
	check(t, in[1].Nack(false, true)) // back to where it was, and out again
	d := next(t, deliveries)
	if d.MessageId != "1" || !d.Redelivered || in[1].Redelivered {
		t.Errorf("message %s came, redelivered %v; want 1 again", d.MessageId, d.Redelivered)
	}
	check(t, d.Ack(true)) // all that came before too
	for _, want := range []string{"3", "4", "5"} {
		if d = next(t, deliveries); d.MessageId != want {
			t.Errorf("message %s came, want %s", d.MessageId, want)
		}
	}
	if got := l.Counts(); got.MostInHand != 3 || got.InHand != 3 || got.Acks != 3 || got.Nacks != 1 || got.Deliveries != 7 {
		t.Errorf("counts %+v", got)
	}
	l.Cut()
	if !Soon(func() bool { return b.Waiting(t, q) == 3 }) {
		t.Fatalf("%d messages in the queue after the consumer's connection broke, want the 3 that it had in hand", b.Waiting(t, q))
	}
	if d := b.Get(t, q); d.MessageId != "3" || !d.Redelivered {
		t.Errorf("message %s, redelivered %v; want 3 first, as it was", d.MessageId, d.Redelivered)
	}
	ch = open(t, dial(t, l))
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	check(t, ch.Ack(7, false))
	if err := <-closed; code(err) != amqp.PreconditionFailed {
		t.Errorf("an ack of an unknown tag: %v", err)
	}
}

func TestHeldDeliveries(t *testing.T) {
	b := Start(t)
	l := b.Link(t)
	q := b.queue(t, "q", nil)
	consume := func() <-chan amqp.Delivery {
		return must[<-chan amqp.Delivery](t)(open(t, dial(t, l)).Consume(q, "", false, false, false, false, nil))
	}
	l.HoldDeliveries()
	lost := consume()
	b.Publish(t, "", q, "1", "one")
	b.Publish(t, "", q, "2", "")
	if !Soon(func() bool { return l.Counts().InHand == 2 }) {
		t.Fatalf("counts %+v, want two messages in the consumer's hand", l.Counts())
	}
	l.Cut()
	if d, ok := <-lost; ok {
		t.Errorf("message %s came although deliveries are held", d.MessageId)
	}
	deliveries := consume()
	if !Soon(func() bool { return l.Counts().InHand == 2 }) {
		t.Fatalf("counts %+v, want two messages in the next consumer's hand", l.Counts())
	}
	l.ReleaseDeliveries()
	b.Publish(t, "", q, "3", "")
	for _, want := range []string{"1", "2", "3"} {
		if d := next(t, deliveries); d.MessageId != want || d.Redelivered != (want != "3") || want == "1" && string(d.Body) != "one" {
			t.Errorf("message %s (%q), redelivered %v; want %s", d.MessageId, d.Body, d.Redelivered, want)
		}
	}
}

func TestDeadLetters(t *testing.T) {
	b := Start(t)
	dead := b.queue(t, "dead", nil)
	q := b.queue(t, "q", amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
	ch := b.Channel(t)
	check(t, ch.Publish("", q, false, false, amqp.Publishing{MessageId: "1", Headers: amqp.Table{"k": "v"}, ContentType: "text/plain"}))
	var d amqp.Delivery
	Soon(func() bool {
		var ok bool
		d, ok, _ = ch.Get(q, false)
		return ok
	})
	check(t, d.Reject(false))
	d = b.Get(t, dead)
	deaths, _ := d.Headers["x-death"].([]any)
	if len(deaths) != 1 || d.Headers["k"] != "v" || d.MessageId != "1" || d.ContentType != "text/plain" || d.Redelivered {
		t.Fatalf("the dead letter is %+v", d)
	}
	death := deaths[0].(amqp.Table)
	_, timed := death["time"].(time.Time)
	keys, _ := death["routing-keys"].([]any)
	if death["reason"] != "rejected" || death["queue"] != q || death["exchange"] != "" || death["count"] != int64(1) || !timed ||
		!slices.Equal(keys, []any{q}) || d.Headers["x-first-death-queue"] != q {
		t.Errorf("x-death %v", d.Headers)
	}
	// Dead twice: counted.
	check(t, ch.Publish("", q, false, false, amqp.Publishing{Headers: d.Headers}))
	Soon(func() bool {
		var ok bool
		d, ok, _ = ch.Get(q, false)
		return ok
	})
	check(t, d.Nack(false, false))
	d = b.Get(t, dead)
	if deaths, _ := d.Headers["x-death"].([]any); len(deaths) != 1 || deaths[0].(amqp.Table)["count"] != int64(2) {
		t.Errorf("dead twice: x-death %v", d.Headers["x-death"])
	}
}

func TestTTL(t *testing.T) {
	b := Start(t)
	dead := b.queue(t, "dead", nil)
	q := b.queue(t, "q", amqp.Table{"x-message-ttl": 20, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
	b.Publish(t, "", q, "queue's", "")
	d := b.Get(t, dead)
	if deaths, _ := d.Headers["x-death"].([]any); len(deaths) != 1 || deaths[0].(amqp.Table)["reason"] != "expired" {
		t.Errorf("x-death %v", d.Headers)
	}
	own := b.queue(t, "own", amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
	check(t, b.Channel(t).Publish("", own, false, false, amqp.Publishing{Expiration: "10"}))
	d = b.Get(t, dead)
	if deaths, _ := d.Headers["x-death"].([]any); len(deaths) != 1 || deaths[0].(amqp.Table)["original-expiration"] != "10" || d.Expiration != "" {
		t.Errorf("x-death %v, expiration %q", d.Headers, d.Expiration)
	}
}

func TestRestart(t *testing.T) {
	b := Start(t)
	durable := b.queue(t, "durable", nil)
	transient := b.Name("transient")
	must[amqp.Queue](t)(b.Channel(t).QueueDeclare(transient, false, false, false, false, nil))
	check(t, b.Channel(t).ExchangeDeclare(b.Name("x"), "topic", false, false, false, false, nil))
	check(t, b.Channel(t).Publish("", durable, false, false, amqp.Publishing{MessageId: "transient"}))
	b.Publish(t, "", durable, "persistent", "")
	conn := dial(t, b.Link(t))
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	b.Restart(t)
	select {
	case <-closed:
	case <-time.After(Patience):
		t.Error("the connection is still there")
	}
	if _, ok := b.Queue(t, transient); ok {
		t.Error("a queue that is not durable is still there")
	}
	if err := b.Channel(t).ExchangeDeclarePassive(b.Name("x"), "topic", false, false, false, false, nil); code(err) != amqp.NotFound {
		t.Errorf("an exchange that is not durable: %v", err)
	}
	if d := b.Get(t, durable); d.MessageId != "persistent" {
		t.Errorf("message %q is still there", d.MessageId)
	}
}

func TestRefusals(t *testing.T) {
	b := Start(t)
	q := b.queue(t, "q", amqp.Table{"x-max-length": 5})
	check(t, b.Channel(t).ExchangeDeclare(b.Name("x"), "topic", true, false, false, false, nil))
	for name, c := range map[string]struct {
		code int
		do   func(ch *amqp.Channel) error
	}{
		"other arguments": {amqp.PreconditionFailed, func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclare(q, true, false, false, false, nil)
			return err
		}},
		"not durable": {amqp.PreconditionFailed, func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclare(q, false, false, false, false, amqp.Table{"x-max-length": 5})
			return err
		}},
		"another type": {amqp.PreconditionFailed, func(ch *amqp.Channel) error {
			return ch.ExchangeDeclare(b.Name("x"), "direct", true, false, false, false, nil)
		}},
		"no such queue": {amqp.NotFound, func(ch *amqp.Channel) error {
			_, err := ch.Consume(b.Name("none"), "", false, false, false, false, nil)
			return err
		}},
		"no such exchange": {amqp.NotFound, func(ch *amqp.Channel) error {
			closed := ch.NotifyClose(make(chan *amqp.Error, 1))
			ch.Publish(b.Name("none"), "k", false, false, amqp.Publishing{})
			return <-closed
		}},
		"same arguments": {0, func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclare(q, true, false, false, false, amqp.Table{"x-max-length": int64(5)})
			return err
		}},
	} {
		if err := c.do(b.Channel(t)); code(err) != c.code {
			t.Errorf("%s: %v, want code %d", name, err, c.code)
		}
	}
	uri := must[amqp.URI](t)(amqp.ParseURI(b.Link(t).URL()))
	uri.Password = "wrong"
	if _, err := amqp.Dial(uri.String()); code(err) != amqp.AccessRefused {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestEndsOfQueues(t *testing.T) {
	b := Start(t)
	conn := dial(t, b.Link(t))
	ch := open(t, conn)
	must[amqp.Queue](t)(ch.QueueDeclare(b.Name("mine"), false, false, true, false, nil))
	must[amqp.Queue](t)(ch.QueueDeclare(b.Name("auto"), false, true, false, false, nil))
	if _, err := b.Channel(t).QueueDeclarePassive(b.Name("mine"), false, false, true, false, nil); code(err) != amqp.ResourceLocked {
		t.Errorf("another one's exclusive queue: %v", err)
	}
	q := b.queue(t, "q", nil)
	must[<-chan amqp.Delivery](t)(ch.Consume(b.Name("auto"), "c", true, false, false, false, nil))
	deliveries := must[<-chan amqp.Delivery](t)(ch.Consume(q, "d", true, false, false, false, nil))
	check(t, ch.Cancel("c", false))
	if _, ok := b.Queue(t, b.Name("auto")); ok {
		t.Error("an auto-delete queue is there without its consumer")
	}
	must[int](t)(b.Channel(t).QueueDelete(q, false, false, false))
	select {
	case _, ok := <-deliveries:
		if ok {
			t.Error("a delivery from a deleted queue")
		}
	case <-time.After(Patience):
		t.Error("the consumer of a deleted queue was not told")
	}
	check(t, conn.Close())
	if !Soon(func() bool { _, ok := b.Queue(t, b.Name("mine")); return !ok }) {
		t.Error("an exclusive queue outlives its connection")
	}
}

func TestLinkFaults(t *testing.T) {
	b := Start(t)
	l := b.Link(t)
	conn := must[*amqp.Connection](t)(amqp.DialConfig(l.URL(), amqp.Config{Heartbeat: time.Second}))
	ch := open(t, conn)
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	l.Freeze()
	done := make(chan error, 1)
	go func() { done <- ch.Qos(1, 0, false) }()
	select {
	case err := <-done:
		t.Errorf("a call over a frozen link returned (%v)", err)
	case <-time.After(20 * time.Millisecond):
	}
	l.Thaw()
	check(t, <-done)
	l.Freeze()
	select {
	case <-closed: // by the client: it misses its heartbeats
	case <-time.After(2 * Patience):
		t.Error("the client does not notice that its connection is silent")
	}
	l.Thaw()
	l.Down()
	if _, err := amqp.Dial(l.URL()); err == nil {
		t.Error("a connection over a link that is down")
	}
	l.Up()
	dial(t, l)
	if n := len(l.Attempts()); n != 3 || l.Counts().Connections != 2 {
		t.Errorf("%d attempts, %d connections; want 3, 2", n, l.Counts().Connections)
	}
}

func TestHeartbeats(t *testing.T) {
	b := Start(t)
	conn := must[*amqp.Connection](t)(amqp.DialConfig(b.Link(t).URL(), amqp.Config{Heartbeat: time.Second}))
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	select {
	case err := <-closed:
		t.Errorf("an idle connection ended: %v", err)
	case <-time.After(4 * time.Second):
	}
	check(t, conn.Close())
}
