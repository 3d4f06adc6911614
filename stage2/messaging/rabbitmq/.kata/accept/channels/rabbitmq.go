// Package rabbitmq publishes to RabbitMQ and consumes from it so that no message is lost between the two, whatever happens to the
// connections and to the broker.
package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

var (
	// ErrUnroutable says that the broker has no queue for a message.
	ErrUnroutable = errors.New("rabbitmq: no queue for this message")
	// ErrNacked says that the broker has refused to take a message.
	ErrNacked = errors.New("rabbitmq: the broker did not take the message")
	// ErrClosed says that the publisher was closed.
	ErrClosed = errors.New("rabbitmq: publisher closed")
	// ErrLost is the cause of a handler's context when the message is no longer its own.
	ErrLost = errors.New("rabbitmq: delivery lost")
	// ErrRequeue is what a handler's error wraps when another attempt may succeed.
	ErrRequeue = errors.New("rabbitmq: try again")
)

const (
	connectTimeout = 30 * time.Second
	closeTimeout   = 3 * time.Second
)

// Message is a message to be published.
type Message struct {
	ID   string // its message-id; not empty, and not that of another message which is being published
	Key  string // its routing key
	Body []byte
}

// PublisherConfig is what a Publisher is made of.
type PublisherConfig struct {
	URL      string
	Exchange string        // a durable topic exchange, which the publisher declares
	Retry    time.Duration // the pause before each attempt to connect but the first; > 0
}

// Publisher publishes messages over one connection, which it makes again when it breaks. It may be used by any number of goroutines.
//
// Each message has a channel of its own: what is returned or confirmed there can be about nothing else.
type Publisher struct {
	cfg  PublisherConfig
	ctx  context.Context // ends when the publisher is closed
	stop context.CancelFunc

	mu   chan struct{} // a lock for which one can wait and give up
	conn *amqp.Connection
	next time.Time // no attempt to connect before
}

// NewPublisher returns a publisher. It does not wait for the broker.
func NewPublisher(cfg PublisherConfig) *Publisher {
	p := &Publisher{cfg: cfg, mu: make(chan struct{}, 1)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// Publish publishes a message, persistent, and returns nil once the broker has confirmed it. If the connection or its channel is lost
// before, the message is published again over the next one.
//
// It returns ErrUnroutable if no queue takes the message, ErrNacked if the broker answers with a nack, ErrClosed if the publisher is
// closed, the cause of ctx if that ends, and the broker's *amqp.Error if that refuses the connection or the exchange with code 403, 406
// or 530. After it has returned, the message is not published again.
func (p *Publisher) Publish(ctx context.Context, m Message) error {
	for {
		conn, err := p.connection(ctx)
		if err == nil {
			var known bool
			if err, known = p.once(ctx, conn, m); known {
				return err
			}
		}
		switch {
		case p.ctx.Err() != nil:
			return ErrClosed
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case refusal(err):
			return err
		}
	}
}

// connection returns the connection; there is a new one if the last has ended.
func (p *Publisher) connection(ctx context.Context) (*amqp.Connection, error) {
	either, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	select {
	case p.mu <- struct{}{}:
		defer func() { <-p.mu }()
	case <-either.Done():
		return nil, either.Err()
	}
	if p.conn != nil && !p.conn.IsClosed() {
		return p.conn, either.Err()
	}
	pause(either, time.Until(p.next))
	if err := either.Err(); err != nil || p.ctx.Err() != nil {
		return nil, ErrClosed
	}
	conn, ch, err := connect(either, p.cfg.URL, func(ch *amqp.Channel) error { return declareExchange(ch, p.cfg.Exchange) })
	p.next = time.Now().Add(p.cfg.Retry)
	if err != nil {
		return nil, err
	}
	ch.Close()
	p.conn = conn
	return conn, nil
}

// once publishes a message over a channel of its own; what became of it is unknown if the channel ends.
func (p *Publisher) once(ctx context.Context, conn *amqp.Connection, m Message) (err error, known bool) {
	ch, err := conn.Channel()
	if err != nil {
		return err, false
	}
	defer ch.Close()
	if err := declareExchange(ch, p.cfg.Exchange); err != nil {
		return err, false
	}
	if err := ch.Confirm(false); err != nil {
		return err, false
	}
	returns, confirms := ch.NotifyReturn(make(chan amqp.Return, 1)), ch.NotifyPublish(make(chan amqp.Confirmation, 1))
	if ctx.Err() != nil {
		return context.Cause(ctx), true
	}
	if err := ch.PublishWithContext(ctx, p.cfg.Exchange, m.Key, true, false, amqp.Publishing{MessageId: m.ID, DeliveryMode: amqp.Persistent, Body: m.Body}); err != nil {
		return nil, false
	}
	select {
	case c, ok := <-confirms: // closed, without a confirm, when the channel ends
		if !ok {
			return nil, false
		}
		select {
		case _, returned := <-returns:
			if returned {
				return ErrUnroutable, true
			}
		default:
		}
		if !c.Ack {
			return ErrNacked, true
		}
		return nil, true
	case <-ctx.Done():
		return context.Cause(ctx), true
	case <-p.ctx.Done():
		return ErrClosed, true
	}
}

// Close ends the publisher: what is being published returns ErrClosed, the connection is closed, no goroutine is left. It may be called
// again.
func (p *Publisher) Close() {
	p.stop()
	p.mu <- struct{}{}
	defer func() { <-p.mu }()
	if p.conn != nil {
		p.conn.CloseDeadline(time.Now().Add(closeTimeout))
	}
}

// ConsumerConfig is what Consume needs to know.
type ConsumerConfig struct {
	URL      string
	Exchange string        // a durable topic exchange
	Queue    string        // a durable queue; its dead letters go to the durable queue Queue+".dead"
	Keys     []string      // with which Queue is bound to Exchange
	Prefetch int           // how many messages may be in hand at once; > 0
	Retry    time.Duration // the pause before each attempt to connect but the first; > 0
}

// Delivery is a message for a handler.
type Delivery struct {
	ID          string
	Key         string // the routing key with which it was published
	Body        []byte
	Redelivered bool // it was delivered before, to whomever
}

// Consume declares exchange, queues and bindings, and calls handle for each message of the queue, in as many goroutines at once as
// Prefetch says. It connects again, and declares again, when its connection, its channel or its queue is lost.
//
// When handle returns nil, the message is acknowledged. When its error wraps ErrRequeue and the message was not redelivered, it is put
// back into the queue. Any other error, and a panic, makes it a dead letter. The context of handle has the values of ctx and does not end
// with it; it ends with the cause ErrLost when the message can no longer be acknowledged.
//
// When ctx ends, no further handler is started; Consume returns nil when those that run have returned and their messages are settled. It
// returns an error only if the broker refuses the connection or a declaration with code 403, 406 or 530: the *amqp.Error.
func Consume(ctx context.Context, cfg ConsumerConfig, handle func(context.Context, Delivery) error) error {
	for ctx.Err() == nil {
		if err := consume(ctx, cfg, handle); refusal(err) && ctx.Err() == nil {
			return err
		}
		pause(ctx, cfg.Retry)
	}
	return nil
}

// consume has as many consumers as messages may be in hand, each with a channel of its own and one message at a time. When one of them
// ends, all do.
func consume(ctx context.Context, cfg ConsumerConfig, handle func(context.Context, Delivery) error) error {
	conn, first, err := connect(ctx, cfg.URL, func(ch *amqp.Channel) error { return declare(ch, cfg) })
	if err != nil {
		return err
	}
	first.Close()
	work, lost := context.WithCancelCause(context.WithoutCancel(ctx))
	defer lost(nil)
	var workers sync.WaitGroup
	for range cfg.Prefetch {
		workers.Go(func() {
			defer func() {
				if ctx.Err() == nil || conn.IsClosed() {
					lost(ErrLost)
				}
			}()
			ch, err := conn.Channel()
			if err != nil {
				return
			}
			if err := ch.Qos(1, 0, false); err != nil {
				return
			}
			deliveries, err := ch.Consume(cfg.Queue, "", false, false, false, false, nil)
			if err != nil {
				return
			}
			ended := ch.NotifyCancel(make(chan string, 1)) // closed when the channel is
			for {
				select {
				case <-ctx.Done():
					return
				case <-work.Done():
					return
				case d, ok := <-deliveries:
					if !ok {
						return
					}
					if ctx.Err() != nil {
						return
					}
					done := make(chan struct{})
					go func() {
						select {
						case <-ended:
							lost(ErrLost)
						case <-done:
						}
					}()
					settle(d, call(work, d, handle))
					close(done)
				}
			}
		})
	}
	workers.Wait()
	conn.CloseDeadline(time.Now().Add(closeTimeout))
	return nil
}

func settle(d amqp.Delivery, err error) {
	if err == nil {
		d.Ack(false)
		return
	}
	d.Reject(errors.Is(err, ErrRequeue) && !d.Redelivered)
}

func call(ctx context.Context, d amqp.Delivery, handle func(context.Context, Delivery) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("rabbitmq: the handler panicked: %v", r)
		}
	}()
	return handle(ctx, Delivery{ID: d.MessageId, Key: d.RoutingKey, Body: d.Body, Redelivered: d.Redelivered})
}

func declareExchange(ch *amqp.Channel, name string) error {
	return ch.ExchangeDeclare(name, amqp.ExchangeTopic, true, false, false, false, nil)
}

func declare(ch *amqp.Channel, cfg ConsumerConfig) error {
	if err := declareExchange(ch, cfg.Exchange); err != nil {
		return err
	}
	dead := cfg.Queue + ".dead"
	if _, err := ch.QueueDeclare(dead, true, false, false, false, nil); err != nil {
		return err
	}
	if _, err := ch.QueueDeclare(cfg.Queue, true, false, false, false, amqp.Table{
		"x-dead-letter-exchange":    "", // the default exchange: the routing key is the queue's name
		"x-dead-letter-routing-key": dead,
	}); err != nil {
		return err
	}
	for _, key := range cfg.Keys {
		if err := ch.QueueBind(cfg.Queue, key, cfg.Exchange, false, nil); err != nil {
			return err
		}
	}
	return nil
}

// connect connects, opens a channel and has it prepared; the end of ctx ends that, but not the connection.
func connect(ctx context.Context, url string, prepare func(*amqp.Channel) error) (*amqp.Connection, *amqp.Channel, error) {
	attempt, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	stop := func() bool { return true }
	conn, err := amqp.DialConfig(url, amqp.Config{Dial: func(network, addr string) (net.Conn, error) {
		socket, err := new(net.Dialer).DialContext(attempt, network, addr)
		if err == nil {
			stop = context.AfterFunc(attempt, func() { socket.Close() })
		}
		return socket, err
	}})
	defer func() { stop() }()
	if err != nil {
		return nil, nil, err
	}
	ch, err := conn.Channel()
	if err == nil {
		err = prepare(ch)
	}
	if err != nil {
		conn.CloseDeadline(time.Now().Add(closeTimeout))
		return nil, nil, err
	}
	return conn, ch, nil
}

// refusal tells whether another attempt would be answered in the same way.
func refusal(err error) bool {
	var e *amqp.Error
	// ErrCredentials and ErrVhost are the library's guess at why a connection ended during the login; a broker that goes down ends it, too.
	if !errors.As(err, &e) || !e.Server {
		return false
	}
	return e.Code == amqp.AccessRefused || e.Code == amqp.PreconditionFailed || e.Code == amqp.NotAllowed
}

// pause waits, if ctx does not end before.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
