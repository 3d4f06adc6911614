// Package rabbitmq publishes to RabbitMQ and consumes from it so that no message is lost between the two, whatever happens to the
// connections and to the broker.
package rabbitmq

import (
	"context"
	"errors"
	"time"
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
	// TODO
}

// NewPublisher returns a publisher. It does not wait for the broker.
func NewPublisher(cfg PublisherConfig) *Publisher {
	panic("TODO: begin to publish")
}

// Publish publishes a message, persistent, and returns nil once the broker has confirmed it. If the connection or its channel is lost
// before, the message is published again over the next one.
//
// It returns ErrUnroutable if no queue takes the message, ErrNacked if the broker answers with a nack, ErrClosed if the publisher is
// closed, the cause of ctx if that ends, and the broker's *amqp.Error if that refuses the connection or the exchange with code 403, 406
// or 530. After it has returned, the message is not published again.
func (p *Publisher) Publish(ctx context.Context, m Message) error {
	panic("TODO: publish, and wait for the confirm")
}

// Close ends the publisher: what is being published returns ErrClosed, the connection is closed, no goroutine is left. It may be called
// again.
func (p *Publisher) Close() {
	panic("TODO: end")
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
	panic("TODO: consume")
}
