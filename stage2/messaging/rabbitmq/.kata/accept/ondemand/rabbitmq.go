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
// It connects when somebody publishes: who finds no connection makes one, while the others wait for the turn.
type Publisher struct {
	cfg    PublisherConfig
	closed chan struct{}
	close  func()

	turn chan struct{} // holds one token; who has it may use what is below
	link *link
	next time.Time // no attempt to connect before
}

// link is a connection with a channel in confirm mode.
type link struct {
	conn  *amqp.Connection
	ch    *amqp.Channel
	ended chan struct{} // closed when the channel is gone

	mu       sync.Mutex
	returned map[uint64]bool // of messages that are on their way, by their number on the channel
}

// NewPublisher returns a publisher. It does not wait for the broker.
func NewPublisher(cfg PublisherConfig) *Publisher {
	p := &Publisher{cfg: cfg, closed: make(chan struct{}), turn: make(chan struct{}, 1)}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	p.turn <- struct{}{}
	return p
}

// Publish publishes a message, persistent, and returns nil once the broker has confirmed it. If the connection or its channel is lost
// before, the message is published again over the next one.
//
// It returns ErrUnroutable if no queue takes the message, ErrNacked if the broker answers with a nack, ErrClosed if the publisher is
// closed, the cause of ctx if that ends, and the broker's *amqp.Error if that refuses the connection or the exchange with code 403, 406
// or 530. After it has returned, the message is not published again.
func (p *Publisher) Publish(ctx context.Context, m Message) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-p.closed:
			cancel(ErrClosed)
		case <-done:
		}
	}()
	for {
		l, number, confirm, err := p.send(ctx, m)
		switch {
		case ctx.Err() != nil:
			return p.cause(ctx)
		case refusal(err):
			return err
		case err != nil:
			continue
		}
		err, known := l.outcome(ctx, number, confirm)
		if known {
			return err
		}
	}
}

func (p *Publisher) cause(ctx context.Context) error {
	select {
	case <-p.closed:
		return ErrClosed
	default:
		return context.Cause(ctx)
	}
}

// send sends a message, over a new connection if there is none.
func (p *Publisher) send(ctx context.Context, m Message) (*link, uint64, *amqp.DeferredConfirmation, error) {
	select {
	case <-p.closed:
		return nil, 0, nil, ErrClosed
	default:
	}
	select {
	case <-p.turn:
	case <-ctx.Done():
		return nil, 0, nil, ctx.Err()
	}
	defer func() { p.turn <- struct{}{} }()
	if p.link != nil && p.link.over() {
		p.link.close()
		p.link = nil
	}
	if p.link == nil {
		pause(ctx, time.Until(p.next))
		if ctx.Err() != nil {
			return nil, 0, nil, ctx.Err()
		}
		l, err := newLink(ctx, p.cfg)
		p.next = time.Now().Add(p.cfg.Retry)
		if err != nil {
			return nil, 0, nil, err
		}
		p.link = l
	}
	if ctx.Err() != nil {
		return nil, 0, nil, ctx.Err()
	}
	number := p.link.ch.GetNextPublishSeqNo() // nobody else publishes meanwhile
	p.link.expect(number)
	confirm, err := p.link.ch.PublishWithDeferredConfirmWithContext(ctx, p.cfg.Exchange, m.Key, true, false, amqp.Publishing{
		Headers:      amqp.Table{"number": int64(number)},
		MessageId:    m.ID,
		DeliveryMode: amqp.Persistent,
		Body:         m.Body,
	})
	if err != nil {
		p.link.close()
		p.link = nil
		p.next = time.Now().Add(p.cfg.Retry)
	}
	return p.link, number, confirm, err
}

func newLink(ctx context.Context, cfg PublisherConfig) (*link, error) {
	conn, ch, err := connect(ctx, cfg.URL, func(ch *amqp.Channel) error {
		if err := ch.Confirm(false); err != nil {
			return err
		}
		return declareExchange(ch, cfg.Exchange)
	})
	if err != nil {
		return nil, err
	}
	l := &link{conn: conn, ch: ch, ended: make(chan struct{}), returned: map[uint64]bool{}}
	// The library hands each return to both, one after the other: when the second has it, the first has been noted, and only then can
	// the confirm come.
	first, second := ch.NotifyReturn(make(chan amqp.Return)), ch.NotifyReturn(make(chan amqp.Return))
	go func() {
		defer close(l.ended)
		for r := range first {
			number, _ := r.Headers["number"].(int64)
			l.note(uint64(number))
			<-second
		}
	}()
	return l, nil
}

func (l *link) expect(number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.returned[number] = false
}

func (l *link) note(number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.returned[number]; ok {
		l.returned[number] = true
	}
}

// outcome waits for what becomes of a message; it is unknown if the channel ends before.
func (l *link) outcome(ctx context.Context, number uint64, confirm *amqp.DeferredConfirmation) (err error, known bool) {
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.returned, number)
	}()
	acked, err := confirm.WaitContext(ctx)
	if err != nil {
		return context.Cause(ctx), true
	}
	if !acked {
		return ErrNacked, !l.ch.IsClosed()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.returned[number] {
		return ErrUnroutable, true
	}
	return nil, true
}

func (l *link) over() bool { return l.ch.IsClosed() || l.conn.IsClosed() }

func (l *link) close() {
	l.conn.CloseDeadline(time.Now().Add(closeTimeout))
	<-l.ended
}

// Close ends the publisher: what is being published returns ErrClosed, the connection is closed, no goroutine is left. It may be called
// again.
func (p *Publisher) Close() {
	p.close()
	<-p.turn
	defer func() { p.turn <- struct{}{} }()
	if p.link != nil {
		p.link.close()
		p.link = nil
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

// consume has as many workers as messages may be in hand, until the deliveries end.
func consume(ctx context.Context, cfg ConsumerConfig, handle func(context.Context, Delivery) error) error {
	var deliveries <-chan amqp.Delivery
	conn, ch, err := connect(ctx, cfg.URL, func(ch *amqp.Channel) error {
		if err := declare(ch, cfg); err != nil {
			return err
		}
		if err := ch.Qos(cfg.Prefetch, 0, true); err != nil {
			return err
		}
		var err error
		deliveries, err = ch.Consume(cfg.Queue, "worker", false, false, false, false, nil)
		return err
	})
	if err != nil {
		return err
	}
	work, lost := context.WithCancelCause(context.WithoutCancel(ctx))
	defer lost(nil)
	go func(gone <-chan string) { // it ends when the channel does, if the broker has not cancelled the consumer before
		<-gone
		lost(ErrLost)
	}(ch.NotifyCancel(make(chan string, 1)))
	cancelled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cancelled)
		ch.Cancel("worker", false) // ends the deliveries
	})

	var workers sync.WaitGroup
	for range cfg.Prefetch {
		workers.Go(func() {
			for d := range deliveries {
				if ctx.Err() != nil {
					d.Nack(false, true)
					continue
				}
				settle(d, call(work, d, handle))
			}
		})
	}
	workers.Wait()
	if !stop() {
		<-cancelled
	}
	conn.CloseDeadline(time.Now().Add(closeTimeout))
	<-work.Done() // the watcher has seen the end
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
