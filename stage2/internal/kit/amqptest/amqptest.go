// Package amqptest is a RabbitMQ for tests: a small broker of its own inside the test's process that speaks AMQP 0-9-1, or the real one,
// and links to it that a test can disturb and listen to.
//
// The broker knows queues and exchanges (default, direct, fanout, topic), mandatory messages, publisher confirms, consuming and getting,
// acknowledgements with requeueing, prefetch, dead letters with x-death, TTLs, length limits, durability, exclusive and auto-delete
// queues, and heartbeats. It answers mistakes as RabbitMQ does: by closing the channel or the connection. Everything is in memory.
//
// With ROADKATA_RABBITMQ_URL set (amqp://guest:guest@127.0.0.1:5672/), the real broker at that address takes its place. Faults are the
// links' matter, so that the same test runs against both; for a nack, fill a queue with x-overflow: reject-publish. What is declared at a
// real broker has names of its own and is deleted again.
package amqptest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Patience is how long a test waits for what right code always does.
const Patience = 10 * time.Second

// Broker is a broker.
type Broker struct {
	server *server  // nil: a real one
	uri    amqp.URI // how to log in
	addr   string
	prefix string

	mu        sync.Mutex
	links     []*Link
	queues    map[string]bool // declared through a link: durable?
	exchanges map[string]bool
	admin     *amqp.Connection
}

// Start starts a broker, or finds the real one. It is stopped, or cleaned up, when the test ends.
func Start(t testing.TB) *Broker {
	t.Helper()
	b := &Broker{queues: map[string]bool{}, exchanges: map[string]bool{}, prefix: fmt.Sprintf("roadkata-%08x-", rand.Uint32())}
	url := os.Getenv("ROADKATA_RABBITMQ_URL")
	if url == "" {
		var err error
		if b.server, err = newServer(); err != nil {
			t.Fatalf("amqptest: %v", err)
		}
		t.Cleanup(b.server.close)
		url = fmt.Sprintf("amqp://guest:guest@%s/", b.server.listener.Addr())
	}
	var err error
	if b.uri, err = amqp.ParseURI(url); err != nil {
		t.Fatalf("amqptest: ROADKATA_RABBITMQ_URL: %v", err)
	}
	b.addr = net.JoinHostPort(b.uri.Host, strconv.Itoa(b.uri.Port))
	link := b.Link(t)
	if b.admin, err = amqp.Dial(link.URL()); err != nil {
		t.Fatalf("amqptest: cannot connect to the broker at %s: %v", b.addr, err)
	}
	t.Cleanup(func() { b.clean(link) })
	return b
}

// Real tells whether the broker is a real RabbitMQ.
func (b *Broker) Real() bool { return b.server == nil }

// Name makes a name for a queue or an exchange that no other test has.
func (b *Broker) Name(name string) string { return b.prefix + name }

// url is the broker's URL with another address in it.
func (b *Broker) url(addr string) string {
	uri := b.uri
	host, port, _ := net.SplitHostPort(addr)
	uri.Host = host
	uri.Port, _ = strconv.Atoi(port)
	return uri.String()
}

// declared notes what a client declares, to be deleted in the end.
func (b *Broker) declared(name string, queue, durable bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if queue {
		b.queues[name] = durable
	} else {
		b.exchanges[name] = durable
	}
}

// clean deletes what was declared at a real broker, and ends the kit's own connection.
func (b *Broker) clean(link *Link) {
	if b.server == nil {
		link.Thaw()
		link.Up()
		b.drop(func(bool) bool { return true })
	}
	b.conn().CloseDeadline(time.Now().Add(time.Second))
}

// drop deletes the queues and exchanges that choose picks by whether they are durable.
func (b *Broker) drop(choose func(durable bool) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ch, err := b.admin.Channel()
	if err != nil {
		return
	}
	defer ch.Close()
	for name, durable := range b.queues {
		if choose(durable) {
			ch.QueueDelete(name, false, false, false)
			delete(b.queues, name)
		}
	}
	for name, durable := range b.exchanges {
		if choose(durable) {
			ch.ExchangeDelete(name, false, false)
			delete(b.exchanges, name)
		}
	}
}

// conn is the kit's own connection; a restart breaks it.
func (b *Broker) conn() *amqp.Connection {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.admin
}

// Channel opens a channel of the kit's own connection, which no fault of a test's link concerns. It is closed when the test ends, or by
// a mistake made in it.
func (b *Broker) Channel(t testing.TB) *amqp.Channel {
	t.Helper()
	ch, err := b.conn().Channel()
	if err != nil {
		t.Fatalf("amqptest: %v", err)
	}
	t.Cleanup(func() { ch.Close() })
	return ch
}

// Restart breaks all connections and forgets what a broker forgets when it restarts: queues and exchanges that are not durable, and
// messages that are not persistent. A real broker is not restarted; it is brought into the state that it would be in.
func (b *Broker) Restart(t testing.TB) {
	t.Helper()
	if b.server != nil {
		b.server.restart()
		link := b.Link(t)
		admin, err := amqp.Dial(link.URL())
		if err != nil {
			t.Fatalf("amqptest: after a restart: %v", err)
		}
		b.mu.Lock()
		b.admin = admin
		b.mu.Unlock()
		return
	}
	b.mu.Lock()
	links := b.links[1:] // all but the kit's own
	b.mu.Unlock()
	for _, l := range links {
		l.Cut()
	}
	b.drop(func(durable bool) bool { return !durable })
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range b.queues {
		if err := dropTransient(b.admin, name); err != nil {
			t.Fatalf("amqptest: Restart: %v", err)
		}
	}
}

// dropTransient takes the messages of a queue that are not persistent; the other ones go back where they were.
func dropTransient(conn *amqp.Connection, queue string) error {
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	defer ch.Close() // gives back what was got
	for {
		d, ok, err := ch.Get(queue, false)
		if e, is := err.(*amqp.Error); is && e.Code == amqp.NotFound {
			return nil // somebody has deleted it
		}
		if err != nil || !ok {
			return err
		}
		if d.DeliveryMode != amqp.Persistent {
			if err := d.Ack(false); err != nil {
				return err
			}
		}
	}
}

// Queue returns a queue's name, its messages that wait, and its consumers; false if there is no such queue.
func (b *Broker) Queue(t testing.TB, name string) (amqp.Queue, bool) {
	t.Helper()
	ch, err := b.conn().Channel()
	if err != nil {
		t.Fatalf("amqptest: %v", err)
	}
	defer ch.Close()
	q, err := ch.QueueDeclarePassive(name, false, false, false, false, nil)
	return q, err == nil
}

// Waiting counts the messages that wait in a queue, those in a consumer's hand not among them; -1 if there is no such queue.
func (b *Broker) Waiting(t testing.TB, queue string) int {
	t.Helper()
	q, ok := b.Queue(t, queue)
	if !ok {
		return -1
	}
	return q.Messages
}

// Get takes the next message from a queue, and waits for it.
func (b *Broker) Get(t testing.TB, queue string) amqp.Delivery {
	t.Helper()
	ch, err := b.conn().Channel()
	if err != nil {
		t.Fatalf("amqptest: %v", err)
	}
	defer ch.Close()
	var d amqp.Delivery
	if !Soon(func() bool {
		var ok bool
		d, ok, err = ch.Get(queue, true)
		return ok || err != nil
	}) || err != nil {
		t.Fatalf("the queue %s: no message came (%v)", queue, err)
	}
	return d
}

// Publish publishes a persistent message with that id, and waits until the broker has it.
func (b *Broker) Publish(t testing.TB, exchange, key, id, body string) {
	t.Helper()
	ch, err := b.conn().Channel()
	if err != nil {
		t.Fatalf("amqptest: %v", err)
	}
	defer ch.Close()
	if err := ch.Confirm(false); err != nil {
		t.Fatalf("amqptest: %v", err)
	}
	c, err := ch.PublishWithDeferredConfirm(exchange, key, false, false, amqp.Publishing{MessageId: id, DeliveryMode: amqp.Persistent, Body: []byte(body)})
	if err != nil || !c.Wait() {
		t.Fatalf("amqptest: cannot publish to %q: %v", exchange, err)
	}
}

// Soon waits until cond holds, and tells whether it came to that within Patience.
func Soon(cond func() bool) bool { return Within(Patience, cond) }

// Within waits until cond holds, at most that long.
func Within(d time.Duration, cond func() bool) bool {
	for giveUp := time.Now().Add(d); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(giveUp) {
			return cond()
		}
	}
	return true
}
