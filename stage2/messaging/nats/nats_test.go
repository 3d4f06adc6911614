package nats_test

import (
	"context"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage2/internal/kit/natstest"
	"github.com/roadkata/roadkata/stage2/messaging/nats"
)

// What one publishes, the other works on, once.
func TestExample(t *testing.T) {
	server := natstest.Start(t) // in this process
	nc := server.Link(t).Connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()

	q, err := nats.Open(ctx, nc, nats.Config{Name: server.Name("mail"), Dedup: time.Minute, Answer: 2 * time.Second,
		AckWait: 5 * time.Second, Retry: time.Second, Attempts: 3, Workers: 2})
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	for range 2 { // the second time, the server knows it already
		if err := q.Publish(ctx, "welcome-42", []byte("hello")); err != nil {
			t.Fatalf("Publish = %v", err)
		}
	}
	jobs := make(chan nats.Job, 10)
	worked := make(chan error, 1)
	go func() {
		worked <- q.Work(ctx, func(_ context.Context, j nats.Job) error {
			jobs <- j
			return nil
		})
	}()
	select {
	case j := <-jobs:
		if j.ID != "welcome-42" || string(j.Body) != "hello" || j.Attempt != 1 {
			t.Errorf("the handler got %+v, want welcome-42, attempt 1", j)
		}
	case <-ctx.Done():
		t.Fatal("a job was published and not handled")
	}
	cancel()
	if err := <-worked; err != nil {
		t.Errorf("Work = %v after its context ended, want nil", err)
	}
	if n := len(jobs); n > 0 {
		t.Errorf("the job was handled %d times more", n)
	}
}
