package natstest_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roadkata/roadkata/stage2/internal/kit/natstest"
)

func begin(t *testing.T) (context.Context, *natstest.Server, *natstest.Link, jetstream.JetStream) {
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	t.Cleanup(cancel)
	s := natstest.Start(t)
	l := s.Link(t)
	js, err := jetstream.New(l.Connect(t))
	if err != nil {
		t.Fatal(err)
	}
	return ctx, s, l, js
}

func TestAnswers(t *testing.T) {
	ctx, s, l, js := begin(t)
	name := s.Name("S")
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name + ".a"}}); err != nil {
		t.Fatal(err)
	}
	l.LoseAnswers(1)
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if _, err := js.Publish(short, name+".a", []byte("one"), jetstream.WithMsgID("1")); err == nil {
		t.Error("the answer was to be lost, and came")
	}
	l.HoldAnswers()
	done := make(chan error, 1)
	go func() {
		_, err := js.Publish(ctx, name+".a", []byte("two"))
		done <- err
	}()
	if !natstest.Within(natstest.Patience, func() bool { return l.Held() == 1 }) {
		t.Fatal("no answer is held")
	}
	l.ReleaseAnswers()
	if err := <-done; err != nil {
		t.Errorf("Publish = %v after its answer was released", err)
	}
	sent := l.Sent(name + ".")
	if len(sent) != 2 || sent[0] != (natstest.Message{Subject: name + ".a", ID: "1", Body: "one"}) || sent[1].Body != "two" {
		t.Errorf("Sent = %+v", sent)
	}
}

func TestCut(t *testing.T) {
	_, s, l, _ := begin(t)
	nc := l.Connect(t)
	sub, err := nc.SubscribeSync(s.Name("subject"))
	if err != nil {
		t.Fatal(err)
	}
	listening := func() bool {
		for _, subject := range l.Subscriptions() {
			if subject == s.Name("subject") {
				return true
			}
		}
		return false
	}
	if !natstest.Within(natstest.Patience, listening) {
		t.Fatal("the subscription is not seen")
	}
	l.Down()
	if !natstest.Within(natstest.Patience, func() bool { return nc.Status() == nats.RECONNECTING }) {
		t.Fatal("the connection does not break")
	}
	l.Up()
	if !natstest.Within(natstest.Patience, func() bool { return listening() && nc.FlushTimeout(time.Second) == nil }) {
		t.Fatal("the connection does not come back")
	}
	if err := s.Admin().Publish(s.Name("subject"), []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if m, err := sub.NextMsg(natstest.Patience); err != nil || string(m.Data) != "hello" {
		t.Errorf("NextMsg = %v, %v", m, err)
	}
	sub.Unsubscribe()
	if !natstest.Within(natstest.Patience, func() bool { return !listening() }) {
		t.Error("the end of the subscription is not seen")
	}
}

func TestAcks(t *testing.T) {
	ctx, s, l, js := begin(t)
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: s.Name("S"), Subjects: []string{s.Name("a")}, Retention: jetstream.WorkQueuePolicy})
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, s.Name("a"), nil); err != nil {
		t.Fatal(err)
	}
	msg, err := consumer.Next()
	if err != nil {
		t.Fatal(err)
	}
	l.HoldAcks()
	done := make(chan error, 1)
	go func() { done <- msg.DoubleAck(ctx) }()
	if !natstest.Within(natstest.Patience, func() bool { return l.Acks("+ACK") == 1 }) {
		t.Fatal("the ack is not seen")
	}
	if len(done) > 0 {
		t.Error("the ack was to be held, and was answered")
	}
	l.ReleaseAcks()
	if err := <-done; err != nil {
		t.Errorf("DoubleAck = %v after it was released", err)
	}
}

func TestRestart(t *testing.T) {
	ctx, s, _, js := begin(t)
	if s.Real() {
		t.Skip("a real server is not restarted")
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: s.Name("S"), Subjects: []string{s.Name("a")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(ctx, s.Name("a"), []byte("kept")); err != nil {
		t.Fatal(err)
	}
	s.Restart(t)
	stream, err := s.JetStream().Stream(ctx, s.Name("S"))
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 1 {
		t.Errorf("%d messages after a restart, want 1", n)
	}
}
