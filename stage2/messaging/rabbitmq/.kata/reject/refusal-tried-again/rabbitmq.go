// Every error is taken for a network that will be back: a queue that was declared in another way stays so, and nobody is told.
//
//kata:caught-by TestRetry
package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
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
type Publisher struct {
	cfg    PublisherConfig
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when run has returned

	mu      sync.Mutex
	session *session // nil while there is no connection
	refused error    // what the broker said to the last attempt, if it makes no sense to wait for the next
	changed chan struct{}
}

// NewPublisher returns a publisher. It does not wait for the broker.
func NewPublisher(cfg PublisherConfig) *Publisher {
	p := &Publisher{cfg: cfg, done: make(chan struct{}), changed: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	go p.run()
	return p
}

// run keeps a session up until the publisher is closed.
func (p *Publisher) run() {
	defer close(p.done)
	for {
		s, err := newSession(p.ctx, p.cfg)
		p.update(s, err)
		if s != nil {
			select {
			case <-s.over:
			case <-p.ctx.Done():
			}
			p.update(nil, nil)
			s.close()
		}
		if !pause(p.ctx, p.cfg.Retry) {
			return
		}
	}
}

func (p *Publisher) update(s *session, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.session, p.refused = s, nil
	if refusal(err) {
		p.refused = err
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// current waits for a session.
func (p *Publisher) current(ctx context.Context) (*session, error) {
	for {
		p.mu.Lock()
		s, err, changed := p.session, p.refused, p.changed
		p.mu.Unlock()
		switch {
		case p.ctx.Err() != nil:
			return nil, ErrClosed
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case s != nil || err != nil:
			return s, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-p.ctx.Done():
		}
	}
}

// Publish publishes a message, persistent, and returns nil once the broker has confirmed it. If the connection or its channel is lost
// before, the message is published again over the next one.
//
// It returns ErrUnroutable if no queue takes the message, ErrNacked if the broker answers with a nack, ErrClosed if the publisher is
// closed, the cause of ctx if that ends, and the broker's *amqp.Error if that refuses the connection or the exchange with code 403, 406
// or 530. After it has returned, the message is not published again.
func (p *Publisher) Publish(ctx context.Context, m Message) error {
	for {
		s, err := p.current(ctx)
		if err != nil {
			return err
		}
		err = s.publish(ctx, p.cfg.Exchange, m)
		switch {
		case p.ctx.Err() != nil && errors.Is(err, errOver): // the session ended because the publisher did
			return ErrClosed
		case !errors.Is(err, errOver):
			return err
		}
		p.forget(s)
	}
}

// forget keeps callers from a session that is over, before run has noticed.
func (p *Publisher) forget(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session == s {
		p.session = nil
	}
}

// Close ends the publisher: what is being published returns ErrClosed, the connection is closed, no goroutine is left. It may be called
// again.
func (p *Publisher) Close() {
	p.cancel()
	<-p.done
}

// errOver says that a session ended before it was known what became of a message.
var errOver = errors.New("rabbitmq: connection lost")

// session is a connection of a publisher with a channel in confirm mode.
type session struct {
	conn     *amqp.Connection
	ch       *amqp.Channel
	last     atomic.Int64  // attempt
	attempts sync.Map      // of an attempt under way, by its number: an *atomic.Bool, whether it was returned
	idle     chan struct{} // collect receives when it has nothing in hand
	over     chan struct{} // closed when the channel is gone, by itself or with its connection
}

func newSession(ctx context.Context, cfg PublisherConfig) (*session, error) {
	conn, ch, err := connect(ctx, cfg.URL, func(ch *amqp.Channel) error {
		if err := ch.Confirm(false); err != nil {
			return err
		}
		return declareExchange(ch, cfg.Exchange)
	})
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, ch: ch, idle: make(chan struct{}), over: make(chan struct{})}
	// Unbuffered: the library goes on to the confirm, which comes after the return, only when the return is in collect's hands.
	go s.collect(ch.NotifyReturn(make(chan amqp.Return)))
	return s, nil
}

// attemptHeader tells attempts apart: one that was abandoned may be returned when the next one with the same message is under way.
const attemptHeader = "x-attempt"

// collect marks the attempts that are returned.
func (s *session) collect(returns <-chan amqp.Return) {
	defer close(s.over)
	for {
		select {
		case r, ok := <-returns:
			if !ok {
				return
			}
			if returned, ok := s.attempts.Load(r.Headers[attemptHeader]); ok {
				returned.(*atomic.Bool).Store(true)
			}
		case <-s.idle:
		}
	}
}

// publish publishes a message once. It returns errOver if the session ends before the broker has answered.
func (s *session) publish(ctx context.Context, exchange string, m Message) error {
	attempt, returned := s.last.Add(1), new(atomic.Bool)
	s.attempts.Store(attempt, returned)
	defer s.attempts.Delete(attempt)
	confirm, err := s.ch.PublishWithDeferredConfirmWithContext(ctx, exchange, m.Key, true, false, amqp.Publishing{
		Headers:      amqp.Table{attemptHeader: attempt},
		MessageId:    m.ID,
		DeliveryMode: amqp.Persistent,
		Body:         m.Body,
	})
	if err != nil {
		return s.ended(ctx)
	}
	select {
	case <-confirm.Done():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if !confirm.Acked() {
		if s.ch.IsClosed() { // the library's own nack: nobody knows whether the broker has the message
			return s.ended(ctx)
		}
		return ErrNacked
	}
	select {
	case s.idle <- struct{}{}: // collect has marked what was returned before this confirm
	case <-s.over:
		return errOver
	}
	if returned.Load() {
		return ErrUnroutable
	}
	return nil
}

// ended waits for the end of a session that cannot be used any more.
func (s *session) ended(ctx context.Context) error {
	select {
	case <-s.over:
		return errOver
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *session) close() {
	s.conn.CloseDeadline(time.Now().Add(closeTimeout))
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
	for {
		consume(ctx, cfg, handle)
		if ctx.Err() != nil {
			return nil
		}
		pause(ctx, cfg.Retry)
	}
}

// consume consumes over one connection. When it returns, no handler runs: those of the next connection will not come on top of them.
func consume(ctx context.Context, cfg ConsumerConfig, handle func(context.Context, Delivery) error) error {
	const tag = "consumer"
	var deliveries <-chan amqp.Delivery
	conn, ch, err := connect(ctx, cfg.URL, func(ch *amqp.Channel) error {
		if err := declare(ch, cfg); err != nil {
			return err
		}
		if err := ch.Qos(cfg.Prefetch, 0, false); err != nil {
			return err
		}
		var err error
		deliveries, err = ch.Consume(cfg.Queue, tag, false, false, false, false, nil)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { conn.CloseDeadline(time.Now().Add(closeTimeout)) }()

	work, lost := context.WithCancelCause(context.WithoutCancel(ctx))
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-closed:
			lost(ErrLost)
		case <-work.Done():
		}
	}()
	defer func() {
		lost(nil)
		<-watched
	}()

	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-ctx.Done():
			ch.Cancel(tag, false) // what was delivered and not begun goes back when the connection closes
			return nil
		case d, ok := <-deliveries:
			if !ok { // also if the broker has cancelled the consumer, as it does when its queue is deleted
				lost(ErrLost)
				return nil
			}
			if ctx.Err() == nil {
				running.Go(func() { settle(d, call(work, d, handle)) })
			}
		}
	}
}

// settle gives the broker the handler's answer. If it does not arrive, the broker delivers the message again: nothing to do about it here.
func settle(d amqp.Delivery, err error) {
	switch {
	case err == nil:
		d.Ack(false)
	case errors.Is(err, ErrRequeue) && !d.Redelivered:
		d.Nack(false, true)
	default:
		d.Nack(false, false)
	}
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
	if !errors.As(err, &e) || !e.Server { // ErrCredentials and ErrVhost are the library's guess when a connection ends during the login
		return false
	}
	return e.Code == amqp.AccessRefused || e.Code == amqp.PreconditionFailed || e.Code == amqp.NotAllowed
}

// pause waits; false if ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
