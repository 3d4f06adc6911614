package kafkatest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/roadkata/roadkata/stage2/internal/kit/kafkatest"
)

func client(t *testing.T, l *kafkatest.Client, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(l.Options(), opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.CloseAllowingRebalance)
	return cl
}

func TestRecords(t *testing.T) {
	c := kafkatest.Start(t)
	c.Topic(t, "a", 2)
	if list := c.Records(t, "a"); len(list) != 0 {
		t.Errorf("an empty topic holds %v", list)
	}
	c.Produce(t, "a", 0, "key", "one")
	c.Produce(t, "a", 1, "", "two")
	list := c.Records(t, "a")
	if len(list) != 2 {
		t.Fatalf("%d records, want 2", len(list))
	}
	for _, r := range list {
		if r.Partition == 0 && (string(r.Key) != "key" || string(r.Value) != "one") || r.Partition == 1 && (r.Key != nil || string(r.Value) != "two") {
			t.Errorf("in partition %d is key %q, value %q", r.Partition, r.Key, r.Value)
		}
	}
}

func TestGroup(t *testing.T) {
	c := kafkatest.Start(t)
	c.Topic(t, "a", 2)
	c.Produce(t, "a", 0, "key", "one")
	ctx, cancel := context.WithTimeout(t.Context(), kafkatest.Patience)
	defer cancel()
	lost := make(chan struct{}, 10)
	l := c.Client(t)
	cl := client(t, l, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("a"), kgo.DisableAutoCommit(),
		kgo.OnPartitionsLost(func(context.Context, *kgo.Client, map[string][]int32) { lost <- struct{}{} }))
	records := cl.PollFetches(ctx).Records()
	c.Stable(t, "g", 1)
	if n := c.Committed("g", "a", 0); n != -1 {
		t.Errorf("Committed = %d before a commit, want -1", n)
	}
	held, release := c.HoldCommits("g")
	done := make(chan error, 1)
	go func() { done <- cl.CommitRecords(ctx, records...) }()
	if !kafkatest.Within(kafkatest.Patience, func() bool { return held() > 0 }) {
		t.Fatal("no commit is held")
	}
	if len(done) > 0 {
		t.Error("a commit was to be held and was answered")
	}
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := c.Committed("g", "a", 0); n != 1 {
		t.Errorf("Committed = %d after a commit, want 1", n)
	}
	c.Expel("g")
	go cl.PollFetches(ctx)
	select {
	case <-lost:
	case <-ctx.Done():
		t.Error("a member that was expelled is not told")
	}
	c.Stable(t, "g", 1)
	l.Cut()
	if err := cl.Ping(ctx); err != nil {
		t.Errorf("Ping = %v after a cut", err)
	}
}

func TestRefuse(t *testing.T) {
	c := kafkatest.Start(t)
	c.Topic(t, "a", 1)
	ctx, cancel := context.WithTimeout(t.Context(), kafkatest.Patience)
	defer cancel()
	cl := client(t, c.Client(t))
	fault := c.RefuseProduce("a")
	record := func() *kgo.Record { return &kgo.Record{Topic: "a", Value: []byte("one")} }
	if err := cl.ProduceSync(ctx, record()).FirstErr(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("ProduceSync = %v, want a refusal", err)
	}
	fault.Remove()
	if err := cl.ProduceSync(ctx, record()).FirstErr(); err != nil {
		t.Errorf("ProduceSync = %v after the fault was removed", err)
	}
	if n := len(c.Records(t, "a")); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
}
