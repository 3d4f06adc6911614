package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/roadkata/roadkata/stage2/internal/kit/kafkatest"
	"github.com/roadkata/roadkata/stage2/messaging/kafka"
)

// A record is handled, and committed.
func TestExample(t *testing.T) {
	cluster := kafkatest.Start(t) // in this process
	cluster.Topic(t, "orders", 2)
	cluster.Topic(t, "orders.dead", 1)
	cluster.Produce(t, "orders", 0, "customer-7", "order 42")

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	handled := make(chan *kgo.Record, 1)
	done := make(chan error, 1)
	go func() {
		done <- kafka.Run(ctx, kafka.Config{Client: cluster.Client(t).Options(), Group: "billing", Topic: "orders", DeadLetters: "orders.dead",
			Workers: 4, Attempts: 3, Retry: time.Second},
			func(_ context.Context, r *kgo.Record) error {
				handled <- r
				return nil
			})
	}()
	select {
	case r := <-handled:
		if string(r.Key) != "customer-7" || string(r.Value) != "order 42" {
			t.Errorf("the handler got key %q, value %q; want customer-7, order 42", r.Key, r.Value)
		}
	case <-ctx.Done():
		t.Fatal("a record was produced and not handled")
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v after its context ended, want nil", err)
	}
	if n := cluster.Committed("billing", "orders", 0); n != 1 {
		t.Errorf("the only record of partition 0 was handled: committed is %d, want 1", n)
	}
}
