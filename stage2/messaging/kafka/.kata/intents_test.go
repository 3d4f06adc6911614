// A member of a consumer group, on a cluster that a test can disturb.
//
//kata:level 3
//kata:minutes 150
//kata:engine simulated Kafka (kfake)
//kata:timeout 60s
package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/roadkata/roadkata/stage2/internal/kit/kafkatest"
	"github.com/roadkata/roadkata/stage2/messaging/kafka"
)

const (
	brief = 2 * time.Second        // how long a test waits for what some wrong solution never does
	while = 300 * time.Millisecond // how long it looks whether something happens that must not

	topic, dead, group = "orders", "orders.dead", "billing"
)

// world is a cluster with a topic and one for dead letters.
type world struct {
	*kafkatest.Cluster
	t   *testing.T
	ctx context.Context
}

type key struct{}

func begin(t *testing.T, partitions int32) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "a value"), 2*kafkatest.Patience)
	t.Cleanup(cancel)
	c := kafkatest.Start(t)
	c.Topic(t, topic, partitions)
	c.Topic(t, dead, 1)
	return &world{c, t, ctx}
}

// produce appends records to partition 0: "a1" has the key "a", "-1" has none.
func (w *world) produce(values ...string) {
	w.t.Helper()
	for _, v := range values {
		k := v[:1]
		if k == "-" {
			k = ""
		}
		w.Produce(w.t, topic, 0, k, v)
	}
}

// committed waits until an offset of partition 0 is committed.
func (w *world) committed(want int64, after string) {
	w.t.Helper()
	if !kafkatest.Within(brief, func() bool { return w.Committed(group, topic, 0) == want }) {
		w.t.Fatalf("%s: committed is %d, want %d", after, w.Committed(group, topic, 0), want)
	}
}

// notPast looks for a moment whether more than an offset of partition 0 is committed.
func (w *world) notPast(limit int64, when string) {
	w.t.Helper()
	if kafkatest.Within(while, func() bool { return w.Committed(group, topic, 0) > limit }) {
		w.t.Fatalf("%s: committed is %d, want not more than %d", when, w.Committed(group, topic, 0), limit)
	}
}

// errPanic has a handler panic instead of returning it.
var errPanic = errors.New("panic")

// call is a handler's call.
type call struct {
	*kgo.Record
	name   string // the record's value
	ctx    context.Context
	finish chan error // what the handler shall return; may be closed
	over   chan struct{}
}

// end has the handler return, and waits until it has.
func (c *call) end(err error) {
	c.finish <- err
	<-c.over
}

// member is a Run under way.
type member struct {
	w    *world
	link *kafkatest.Client
	stop context.CancelFunc
	done chan struct{}
	err  error

	mu      sync.Mutex
	calls   []*call
	running int
	most    int
	shut    chan struct{} // closed: handlers return at once
}

func (w *world) run(workers int) *member { return w.start(workers, 10*time.Millisecond) }

func (w *world) start(workers int, retry time.Duration) *member {
	ctx, cancel := context.WithCancel(w.ctx)
	m := &member{w: w, link: w.Client(w.t), stop: cancel, done: make(chan struct{}), shut: make(chan struct{})}
	go func() {
		defer close(m.done)
		m.err = kafka.Run(ctx, kafka.Config{Client: m.link.Options(), Group: group, Topic: topic, DeadLetters: dead,
			Workers: workers, Attempts: 3, Retry: retry}, m.handle)
	}()
	w.t.Cleanup(func() {
		cancel()
		m.release()
		select {
		case <-m.done:
		case <-time.After(kafkatest.Patience):
			w.t.Error("Run does not return although its context has ended and its handlers have returned")
		}
	})
	return m
}

// release has all handlers return nil, those to come too.
func (m *member) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.shut:
	default:
		close(m.shut)
	}
}

func (m *member) handle(ctx context.Context, r *kgo.Record) error {
	c := &call{r, string(r.Value), ctx, make(chan error, 1), make(chan struct{})}
	m.mu.Lock()
	m.calls = append(m.calls, c)
	m.running++
	m.most = max(m.most, m.running)
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.running--
		close(c.over)
	}()
	select {
	case err := <-c.finish:
		if err == errPanic {
			panic("the handler panics")
		}
		return err
	case <-m.shut:
		return nil
	}
}

func (m *member) all() []*call {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls)
}

func (m *member) names() (list []string) {
	for _, c := range m.all() {
		list = append(list, c.name)
	}
	return list
}

// of waits for the n-th call with a record.
func (m *member) of(name string, n int, when string) *call {
	m.w.t.Helper()
	var found []*call
	if !kafkatest.Within(brief, func() bool {
		found = nil
		for _, c := range m.all() {
			if c.name == name {
				found = append(found, c)
			}
		}
		return len(found) >= n
	}) {
		m.w.t.Fatalf("%s: the handler was called with %v, want %s for the time number %d", when, m.names(), name, n)
	}
	return found[n-1]
}

// any waits for the first call.
func (m *member) any(when string) *call {
	m.w.t.Helper()
	if !kafkatest.Within(brief, func() bool { return len(m.all()) > 0 }) {
		m.w.t.Fatalf("%s: the handler was not called", when)
	}
	return m.all()[0]
}

// ended stops the member and waits until it has ended.
func (m *member) ended() {
	m.w.t.Helper()
	m.stop()
	select {
	case <-m.done:
	case <-time.After(brief):
		m.w.t.Fatal("Run does not return although its context has ended and its handlers have returned")
	}
	if m.err != nil {
		m.w.t.Errorf("Run = %v after its context ended, want nil", m.err)
	}
}

// Only what is settled is committed, and nothing behind a record that is not.
//
//kata:zh 只提交处理完的；前面还有没处理完的记录，就不往后提交。
func TestCommits(t *testing.T) {
	w := begin(t, 1)
	w.produce("a0", "b1", "c2")
	m := w.run(3)
	first := m.of("a0", 1, "3 records, Workers is 3")
	m.of("b1", 1, "3 records, Workers is 3").end(nil)
	m.of("c2", 1, "3 records, Workers is 3").end(nil)
	w.notPast(0, "the record at offset 0 is being handled, those at 1 and 2 are done")
	first.end(nil)
	w.committed(3, "all 3 records are done")

	refused := w.RefuseCommits(group)
	w.produce("a3")
	m.of("a3", 1, "a record was produced").end(nil)
	kafkatest.Within(while, func() bool { return refused.Hits() > 0 })
	refused.Remove()
	w.committed(4, "a commit was refused for a moment, and nothing was produced since")
	m.link.Cut()
	w.produce("a4")
	m.of("a4", 1, "the connections broke and can be made again").end(nil)
	w.committed(5, "the connections broke and can be made again")
	if got := m.names(); len(got) != 5 {
		t.Errorf("5 records were produced: handled were %v, want each once", got)
	}
}

// When a partition moves to another member, its running handlers finish first and are committed: no record is lost, none is handled twice.
//
//kata:zh 分区移交给别的成员之前，正在跑的处理函数先做完并提交：不丢记录，也不重复处理。
func TestRebalance(t *testing.T) {
	const partitions, each = 4, 3
	w := begin(t, partitions)
	for p := range int32(partitions) {
		for i := range each {
			w.Produce(t, topic, p, "k", fmt.Sprintf("p%d.%d", p, i))
		}
	}
	one := w.run(partitions)
	var held []*call
	for p := range partitions {
		held = append(held, one.of(fmt.Sprintf("p%d.0", p), 1, "4 partitions, Workers is 4"))
	}
	two := w.run(partitions)
	two.release()
	kafkatest.Within(while, func() bool { return len(two.all()) > 0 })
	if got := two.names(); len(got) > 0 {
		t.Fatalf("a second member joined while the first was handling one record of each partition: it handled %v at the same time", got)
	}
	for _, c := range held {
		if err := c.ctx.Err(); err != nil {
			t.Errorf("a handler's context has ended (%v) although its partition was not taken away without notice", err)
		}
	}
	one.release()
	for _, c := range held {
		<-c.over
	}
	if !kafkatest.Within(2*brief, func() bool { return len(one.all())+len(two.all()) >= partitions*each }) {
		t.Fatalf("%d records were produced: the first member handled %v, the second %v", partitions*each, one.names(), two.names())
	}
	w.Stable(t, group, 2)
	one.ended()
	two.ended()
	times := map[string]int{}
	for _, name := range append(one.names(), two.names()...) {
		times[name]++
	}
	for name, n := range times {
		if n != 1 {
			t.Errorf("%s was handled %d times, want once: nobody has crashed (first member: %v, second: %v)", name, n, one.names(), two.names())
		}
	}
	if len(times) != partitions*each {
		t.Errorf("%d of %d records were handled", len(times), partitions*each)
	}
	for p := range int32(partitions) {
		if n := w.Committed(group, topic, p); n != each {
			t.Errorf("all records are done, both members have stopped: committed of partition %d is %d, want %d", p, n, each)
		}
	}

	// A record that rests between two attempts holds up no rebalance.
	for p := range int32(partitions) {
		w.Produce(t, topic, p, "k", fmt.Sprintf("p%d.rests", p))
	}
	patient := w.start(partitions, kafkatest.Patience)
	for p := range partitions {
		patient.of(fmt.Sprintf("p%d.rests", p), 1, "4 partitions, Workers is 4").end(errors.New("failed"))
	}
	three := w.run(partitions)
	three.release()
	if !kafkatest.Within(2*brief, func() bool { return len(three.all()) > 0 }) {
		t.Fatalf("a member joined while the records of the other rest between two attempts, for %v: it got none of them in %v", kafkatest.Patience, 2*brief)
	}
	w.Stable(t, group, 2)
	patient.release() // what it was given anew
	patient.ended()
}

// A handler is told when its partition was taken away without notice; what it does then is not committed, the record is handled again.
//
//kata:zh 分区未经通知就被收走，处理函数会得知；它此后的结果不提交，这条记录会重新处理。
func TestLost(t *testing.T) {
	w := begin(t, 1)
	w.produce("a0", "a1")
	m := w.run(2)
	c := m.of("a0", 1, "a record was produced")
	w.Expel(group)
	if !kafkatest.Within(brief, func() bool { return c.ctx.Err() != nil }) {
		t.Fatal("the member is no longer one of the group, and the context of its handler does not end")
	}
	if cause := context.Cause(c.ctx); !errors.Is(cause, kafka.ErrLost) {
		t.Errorf("the cause of the handler's context is %v, want ErrLost", cause)
	}
	if kafkatest.Within(while, func() bool { return len(m.all()) > 1 }) {
		t.Fatalf("records of a lost partition were handled (%v) while a handler of before was still running", m.names())
	}
	c.end(nil)
	again := m.of("a0", 2, "the partition was lost while a record was in work; the member is in the group again")
	w.notPast(0, "the partition was lost while the record at offset 0 was in work, and is handled again")
	again.end(nil)
	m.of("a1", 1, "the record before it is done").end(nil)
	w.committed(2, "both records are done")
}

// Records of one key are handled in order and one at a time; others don't wait for them, while there are workers free.
//
//kata:zh 同一个 key 的记录按顺序逐条处理；只要还有空闲的 worker，其他记录不必等它们。
func TestKeysInOrder(t *testing.T) {
	w := begin(t, 2)
	w.produce("a0", "a1", "b0", "-0", "-1", "b1")
	m := w.run(4)
	for _, name := range []string{"a0", "b0", "-0", "-1"} {
		m.of(name, 1, "records of 2 keys and 2 without a key, Workers is 4")
	}
	m.of("b0", 1, "").end(nil)
	m.of("b1", 1, "b0 is done").end(nil)
	if kafkatest.Within(50*time.Millisecond, func() bool { return slices.Contains(m.names(), "a1") }) {
		t.Fatalf("a1 is handled while a0 is being handled, they have the same key: %v", m.names())
	}
	m.of("-1", 1, "").end(nil)
	m.of("a0", 1, "").end(nil)
	m.of("a1", 1, "a0 is done").end(nil)
	m.of("-0", 1, "").end(nil)
	w.committed(6, "all records are done")

	client, err := kgo.NewClient(append(w.Client(t).Options(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, v := range []string{"empty 0", "empty 1"} {
		if err := client.ProduceSync(w.ctx, &kgo.Record{Topic: topic, Key: []byte{}, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	empty := m.of("empty 0", 1, "2 records with an empty key")
	if kafkatest.Within(50*time.Millisecond, func() bool { return slices.Contains(m.names(), "empty 1") }) {
		t.Fatalf("two records with an empty key, which is a key, are handled at once: %v", m.names())
	}
	empty.end(nil)
	m.of("empty 1", 1, "empty 0 is done").end(nil)
	w.committed(8, "all records are done")

	for i := range 12 {
		w.Produce(t, topic, int32(i%2), fmt.Sprintf("key %d", i), "")
	}
	if !kafkatest.Within(brief, func() bool { return len(m.all()) >= 12 }) {
		t.Errorf("12 records of different keys in 2 partitions, Workers is 4: %d handlers run, want 4", len(m.all())-8)
	}
	m.release()
	w.committed(14, "all records are done")
	if m.most != 4 {
		t.Errorf("Workers is 4: at most %d handlers ran at once", m.most)
	}
}

// A record that fails again and again becomes a dead letter, with all that it had; it is settled when that is stored.
//
//kata:zh 反复失败的记录成为死信，原有的内容一样不少；死信存好才算处理完。
func TestDeadLetters(t *testing.T) {
	w := begin(t, 2)
	refused := w.RefuseProduce(dead)
	w.Produce(t, topic, 0, "a", "a0", kgo.RecordHeader{Key: "trace", Value: []byte("7")})
	w.produce("a1", "b0")
	m := w.run(3)
	for i := range 3 {
		if i == 1 {
			if got := m.names(); slices.Contains(got, "a1") {
				t.Fatalf("a1 is handled before a0 is settled: %v", got)
			}
		}
		err := fmt.Errorf("failure %d", i+1)
		if i == 0 {
			err = errPanic
		}
		m.of("a0", i+1, "a record fails, Attempts is 3").end(err)
	}
	other := m.of("b0", 1, "a record of another key has failed")
	kafkatest.Within(brief, func() bool { return refused.Hits() > 0 })
	w.notPast(0, "the record at offset 0 has failed 3 times, its dead letter is refused")
	if got := m.names(); slices.Contains(got, "a1") {
		t.Fatalf("a1 is handled while the dead letter of a0, which has the same key, is not stored: %v", got)
	}
	refused.Remove()
	other.end(nil)
	m.of("a1", 1, "the dead letter of a0 can be stored now").end(nil)
	w.committed(3, "all records are settled")
	list := w.Records(t, dead)
	if len(list) != 1 {
		t.Fatalf("%d dead letters, want 1", len(list))
	}
	r := list[0]
	if string(r.Key) != "a" || string(r.Value) != "a0" {
		t.Errorf("the dead letter has key %q, value %q; want those of the record, a and a0", r.Key, r.Value)
	}
	got := map[string]string{}
	for _, h := range r.Headers {
		got[h.Key] = string(h.Value)
	}
	want := map[string]string{"trace": "7", "dead-topic": topic, "dead-partition": "0", "dead-offset": "0", "dead-error": "failure 3"}
	if !maps.Equal(got, want) {
		t.Errorf("the dead letter has the headers %v, want %v", got, want)
	}
	if n := len(m.names()); n != 5 {
		t.Errorf("handled were %v, want a0 three times, a1 and b0 once", m.names())
	}
	m.ended()

	// What fails holds up nobody else: not while it rests, not while its dead letter cannot be stored.
	w.produce("a3", "b4")
	m = w.start(1, kafkatest.Patience)
	first := m.any("2 records were produced")
	first.end(errors.New("failed"))
	second := map[string]string{"a3": "b4", "b4": "a3"}[first.name]
	m.of(second, 1, fmt.Sprintf("%s has failed and rests for %v, Workers is 1", first.name, kafkatest.Patience)).end(nil)
	m.ended()
	m = w.run(1)
	m.release()
	w.committed(5, "all records are done")
	m.ended()

	refused = w.RefuseProduce(dead)
	w.produce("a5")
	m = w.run(1)
	for i := range 3 {
		m.of("a5", i+1, "a record fails, Attempts is 3").end(errors.New("failed"))
	}
	kafkatest.Within(brief, func() bool { return refused.Hits() > 0 })
	w.Produce(t, topic, 1, "c", "c0")
	m.of("c0", 1, "the dead letter of another record cannot be stored, Workers is 1").end(nil)
	m.ended()
	if n := w.Committed(group, topic, 0); n != 5 {
		t.Errorf("Run has ended, the dead letter of the record at offset 5 could not be stored: committed is %d, want 5", n)
	}
}

// When Run ends, running handlers finish undisturbed and are committed, and the partitions are free for others at once.
//
//kata:zh Run 结束时，正在跑的处理函数不受打扰地做完并提交，分区立刻可以交给别人。
func TestStop(t *testing.T) {
	w := begin(t, 1)
	w.produce("a0", "b1", "a2", "b3")
	m := w.run(2)
	a, b := m.of("a0", 1, "records were produced"), m.of("b1", 1, "records were produced")
	m.stop()
	b.end(nil)
	if kafkatest.Within(50*time.Millisecond, func() bool {
		select {
		case <-m.done:
			return true
		default:
			return a.ctx.Err() != nil
		}
	}) {
		if err := a.ctx.Err(); err != nil {
			t.Fatalf("the context of a running handler ended with that of Run: %v", err)
		}
		t.Fatal("Run has returned while a handler was running")
	}
	if a.ctx.Value(key{}) != "a value" {
		t.Error("the context of a handler does not have the values of that of Run")
	}
	a.end(nil)
	m.ended()
	if got := m.names(); len(got) != 2 {
		t.Errorf("handled were %v, want only a0 and b1, which ran when the context of Run ended", got)
	}
	if n := w.Committed(group, topic, 0); n != 2 {
		t.Errorf("Run has returned, the records at 0 and 1 are done: committed is %d, want 2", n)
	}
	if n := w.Members(group); n != 0 {
		t.Errorf("Run has returned: the group has %d members, want 0", n)
	}
	next := w.run(2)
	next.of("a2", 1, "another member came").end(nil)
	next.of("b3", 1, "another member came").end(nil)
	w.committed(4, "all records are done")
	if got := next.names(); len(got) != 2 {
		t.Errorf("the next member handled %v, want a2 and b3", got)
	}
	next.ended()

	// One that ends while a record rests between two attempts leaves it to the next.
	w.produce("a4")
	last := w.start(1, kafkatest.Patience)
	last.of("a4", 1, "a record was produced").end(errors.New("failed"))
	last.ended()
	if n := w.Committed(group, topic, 0); n != 4 {
		t.Errorf("the record at offset 4 has failed once, Attempts is 3, and Run has ended: committed is %d, want 4", n)
	}
	w.run(1).of("a4", 1, "another member came").end(nil)
	w.committed(5, "all records are done")
}

// The lag is what a partition holds and the group has not committed.
//
//kata:zh 积压量等于分区里有、而消费组还没提交的记录数。
func TestLag(t *testing.T) {
	w := begin(t, 3)
	client, err := kgo.NewClient(w.Client(t).Options()...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	want := func(want map[int32]int64, when string) {
		t.Helper()
		if got, err := kafka.Lag(w.ctx, client, group, topic); err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: Lag = %v, %v, want %v", when, got, err, want)
		}
	}
	for range 5 {
		w.produce("a")
		w.Produce(t, topic, 1, "b", "b")
	}
	want(map[int32]int64{0: 5, 1: 5, 2: 0}, "5 records in two of 3 partitions, the group is not known yet")
	if err := w.DeleteRecords(topic, 1, 2); err != nil {
		t.Fatal(err)
	}
	want(map[int32]int64{0: 5, 1: 3, 2: 0}, "the first 2 records of partition 1 are deleted")
	m := w.run(1)
	m.of("a", 1, "records were produced")
	m.release()
	w.committed(5, "all records are done")
	if !kafkatest.Within(brief, func() bool { return w.Committed(group, topic, 1) == 5 }) {
		t.Fatalf("all records are done: committed of partition 1 is %d, want 5", w.Committed(group, topic, 1))
	}
	m.ended()
	want(map[int32]int64{0: 0, 1: 0, 2: 0}, "all records are committed")
	w.produce("a", "a")
	want(map[int32]int64{0: 2, 1: 0, 2: 0}, "2 records came")
	if err := w.DeleteRecords(topic, 0, 6); err != nil {
		t.Fatal(err)
	}
	want(map[int32]int64{0: 1, 1: 0, 2: 0}, "2 records came, the first of them is deleted")
	if got, err := kafka.Lag(w.ctx, client, group, "no-such-topic"); err == nil {
		t.Errorf("Lag of a topic that does not exist = %v, want an error", got)
	}
}
