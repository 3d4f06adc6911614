package rabbitmq_test

import (
	"context"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage2/internal/kit/amqptest"
	"github.com/roadkata/roadkata/stage2/messaging/rabbitmq"
)

// What one publishes, the other handles.
func TestExample(t *testing.T) {
	broker := amqptest.Start(t) // a broker in this process
	url := broker.Link(t).URL()
	exchange, queue := broker.Name("orders"), broker.Name("billing")

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	handled := make(chan rabbitmq.Delivery, 1)
	consumed := make(chan error, 1)
	go func() {
		consumed <- rabbitmq.Consume(ctx, rabbitmq.ConsumerConfig{URL: url, Exchange: exchange, Queue: queue, Keys: []string{"order.*"}, Prefetch: 10, Retry: time.Second},
			func(_ context.Context, d rabbitmq.Delivery) error {
				handled <- d
				return nil
			})
	}()
	if !amqptest.Soon(func() bool { q, ok := broker.Queue(t, queue); return ok && q.Consumers > 0 }) {
		t.Fatalf("Consume does not consume from the queue %s", queue)
	}

	p := rabbitmq.NewPublisher(rabbitmq.PublisherConfig{URL: url, Exchange: exchange, Retry: time.Second})
	defer p.Close()
	if err := p.Publish(ctx, rabbitmq.Message{ID: "42", Key: "order.paid", Body: []byte("12.50")}); err != nil {
		t.Fatalf("Publish = %v", err)
	}
	select {
	case d := <-handled:
		if d.ID != "42" || d.Key != "order.paid" || string(d.Body) != "12.50" || d.Redelivered {
			t.Errorf("the handler got %+v, want the message that was published", d)
		}
	case <-ctx.Done():
		t.Fatal("the message was published and not handled")
	}
	cancel()
	if err := <-consumed; err != nil {
		t.Errorf("Consume = %v after its context ended, want nil", err)
	}
}
