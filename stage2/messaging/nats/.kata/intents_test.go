// A work queue on JetStream, requests and events.
//
//kata:level 2
//kata:minutes 120
//kata:engine embedded nats-server 2.15
//kata:timeout 60s
package nats_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roadkata/roadkata/stage2/internal/kit/natstest"
	"github.com/roadkata/roadkata/stage2/messaging/nats"
)

// brief is how long a test waits for what some wrong solution never does.
const brief = 2 * time.Second

// world is a server, and a queue there.
type world struct {
	*natstest.Server
	t    *testing.T
	ctx  context.Context
	name string
}

type key struct{}

func begin(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "a value"), 2*natstest.Patience)
	t.Cleanup(cancel)
	s := natstest.Start(t)
	return &world{s, t, ctx, s.Name("Q")}
}

func (w *world) config() nats.Config {
	return nats.Config{Name: w.name, Dedup: time.Minute, Answer: 300 * time.Millisecond, AckWait: natstest.Patience, Retry: 20 * time.Millisecond, Attempts: 5, Workers: 1}
}

// open opens the queue over a link, with a connection of its own.
func (w *world) open(l *natstest.Link, cfg nats.Config) *nats.Queue {
	w.t.Helper()
	q, err := nats.Open(w.ctx, l.Connect(w.t), cfg)
	if err != nil {
		w.t.Fatalf("Open = %v", err)
	}
	return q
}

func (w *world) publish(q *nats.Queue, ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		if err := q.Publish(w.ctx, id, []byte("body of "+id)); err != nil {
			w.t.Fatalf("Publish(%q) = %v", id, err)
		}
	}
}

// stored counts the messages of a stream, -1 if there is none.
func (w *world) stored(stream string) int {
	s, err := w.JetStream().Stream(w.ctx, stream)
	if err != nil {
		return -1
	}
	return int(s.CachedInfo().State.Msgs)
}

// out counts the jobs that the server has handed out and not heard the end of.
func (w *world) out() int {
	c, err := w.JetStream().Consumer(w.ctx, w.name, "workers")
	if err != nil {
		return -1
	}
	return c.CachedInfo().NumAckPending
}

// given counts how often the server has handed a job out.
func (w *world) given() int {
	c, err := w.JetStream().Consumer(w.ctx, w.name, "workers")
	if err != nil {
		return -1
	}
	return int(c.CachedInfo().Delivered.Consumer)
}

// empty waits until the queue holds nothing.
func (w *world) empty(after string) {
	w.t.Helper()
	if !natstest.Within(brief, func() bool { return w.stored(w.name) == 0 }) {
		w.t.Errorf("%s: the stream %s still holds %d jobs, want 0", after, w.name, w.stored(w.name))
	}
}

// dead waits for a number of dead letters, and returns the last.
func (w *world) dead(n int, after string) *jetstream.RawStreamMsg {
	w.t.Helper()
	stream := w.name + "_DEAD"
	if !natstest.Within(brief, func() bool { return w.stored(stream) == n }) {
		w.t.Fatalf("%s: %d dead letters, want %d", after, w.stored(stream), n)
	}
	s, err := w.JetStream().Stream(w.ctx, stream)
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := s.GetLastMsgForSubject(w.ctx, w.name+".dead")
	if err != nil {
		w.t.Fatalf("%s: no dead letter with the subject %s.dead: %v", after, w.name, err)
	}
	return m
}

// call is a handler's call.
type call struct {
	nats.Job
	ctx    context.Context
	at     time.Time
	finish chan error // what the handler shall return
}

// errPanic has a handler panic instead of returning it.
var errPanic = errors.New("panic")

// desk is a handler that waits for the test to decide.
type desk struct {
	mu    sync.Mutex
	calls []*call
	shut  chan struct{}
}

func (d *desk) handle(ctx context.Context, j nats.Job) error {
	c := &call{j, ctx, time.Now(), make(chan error, 1)}
	d.mu.Lock()
	d.calls = append(d.calls, c)
	d.mu.Unlock()
	select {
	case err := <-c.finish:
		if err == errPanic {
			panic("the handler panics")
		}
		return err
	case <-d.shut:
		return nil
	}
}

func (d *desk) all() []*call {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls)
}

// worker is a Work under way.
type worker struct {
	*desk
	w    *world
	stop context.CancelFunc
	done chan struct{}
	err  error
}

func (w *world) work(q *nats.Queue) *worker {
	ctx, cancel := context.WithCancel(w.ctx)
	k := &worker{desk: &desk{shut: make(chan struct{})}, w: w, stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(k.done)
		k.err = q.Work(ctx, k.handle)
	}()
	w.t.Cleanup(func() {
		cancel()
		close(k.shut)
		select {
		case <-k.done:
		case <-time.After(natstest.Patience):
			w.t.Error("Work does not return although its context has ended and its handlers have returned")
		}
	})
	return k
}

func over(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// begun waits until n handlers have been called, and returns the last call.
func (k *worker) begun(n int, when string) *call {
	k.w.t.Helper()
	if !natstest.Within(brief, func() bool { return len(k.all()) >= n || over(k.done) }) {
		k.w.t.Fatalf("%s: the handler was called %d times, want %d", when, len(k.all()), n)
	}
	calls := k.all()
	if len(calls) < n {
		k.w.t.Fatalf("%s: Work returned (%v) after %d jobs, want %d", when, k.err, len(calls), n)
	}
	return calls[n-1]
}

// ended stops the worker and waits until it has ended.
func (k *worker) ended() {
	k.w.t.Helper()
	k.stop()
	select {
	case <-k.done:
	case <-time.After(brief):
		k.w.t.Fatal("Work does not return although its context has ended and its handlers have returned")
	}
	if k.err != nil {
		k.w.t.Errorf("Work = %v after its context ended, want nil", k.err)
	}
}

// ids lists what was handled.
func ids(calls []*call) (list []string) {
	for _, c := range calls {
		list = append(list, c.ID)
	}
	return list
}

// Publish returns when the job is stored, asks again when no answer comes, and an ID is stored once.
//
//kata:zh Publish 在任务存好之后才返回，收不到答复就再发；同一个 ID 只存一次。
func TestStoredOnce(t *testing.T) {
	w := begin(t)
	l := w.Link(t)
	cfg := w.config()
	cfg.Answer = 150 * time.Millisecond
	q := w.open(l, cfg)
	cfg.Dedup = 90 * time.Second
	q = w.open(l, cfg) // a second time, with another configuration
	if s, err := w.JetStream().Stream(w.ctx, w.name); err != nil {
		t.Fatalf("the queue was opened, and there is no stream %s: %v", w.name, err)
	} else if got := s.CachedInfo().Config.Duplicates; got != cfg.Dedup {
		t.Errorf("the queue was opened with Dedup of 1m0s, then of 1m30s: the stream remembers IDs for %v", got)
	}
	want := func(n int, after string) {
		t.Helper()
		if got := w.stored(w.name); got != n {
			t.Errorf("%s: the stream holds %d jobs, want %d", after, got, n)
		}
	}
	w.publish(q, "a", "a", "b")
	want(2, "Publish(a), Publish(a), Publish(b)")
	cfg.Dedup = 80 * time.Second
	q = w.open(l, cfg)
	want(2, "2 jobs waited when the queue was opened with another Dedup")

	l.LoseAnswers(1)
	w.publish(q, "c")
	want(3, "the answer to Publish(c) was lost, Publish has returned nil")
	if n := len(l.Sent(w.name + ".jobs")); n < 5 {
		t.Errorf("a, a, b, and c twice, because its first answer was lost: %d messages were sent, want 5", n)
	}

	l.HoldAnswers()
	done := make(chan error, 1)
	go func() { done <- q.Publish(w.ctx, "d", nil) }()
	natstest.Within(brief, func() bool { return l.Held() > 0 || len(done) > 0 })
	if len(done) > 0 {
		t.Fatalf("Publish = %v before the server's answer came", <-done)
	}
	l.Cut()
	l.ReleaseAnswers()
	if err := <-done; err != nil {
		t.Errorf("Publish = %v; the connection broke before the answer, and can be made again", err)
	}
	want(4, "the connection broke before the answer to Publish(d)")

	why := errors.New("enough waited")
	ctx, cancel := context.WithCancelCause(w.ctx)
	l.HoldAnswers()
	go func() { done <- q.Publish(ctx, "e", nil) }()
	natstest.Within(brief, func() bool { return l.Held() > 0 })
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("Publish = %v, its context was cancelled, want the cause %v", err, why)
	}
	l.ReleaseAnswers()
	if err := q.Publish(ctx, "f", nil); !errors.Is(err, why) {
		t.Errorf("Publish = %v, its context had ended before, want the cause %v", err, why)
	}
	want(5, "Publish(f) with a context that had ended")

	var refused *jetstream.APIError
	big := bytes.Repeat([]byte("x"), 4096)
	w.limit(1024)
	if err := q.Publish(w.ctx, "big", big); !errors.As(err, &refused) {
		t.Errorf("Publish of a job that is larger than the stream allows = %v, want the server's *jetstream.APIError", err)
	}
}

// limit sets the greatest size of a message of the stream.
func (w *world) limit(n int32) {
	w.t.Helper()
	s, err := w.JetStream().Stream(w.ctx, w.name)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxMsgSize = n
	if _, err := w.JetStream().UpdateStream(w.ctx, cfg); err != nil {
		w.t.Fatal(err)
	}
}

// A job leaves the queue when its handler has returned nil. A failed one rests and is handled again; that of a worker that is gone comes to
// another one after AckWait.
//
//kata:zh 处理函数返回 nil，任务才离开队列。失败的歇一会儿再处理；工作进程消失的，过了 AckWait 交给别人。
func TestHandledAgain(t *testing.T) {
	w := begin(t)
	l := w.Link(t)
	cfg := w.config()
	cfg.Retry = 150 * time.Millisecond
	q := w.open(l, cfg)
	w.publish(q, "fails", "next")
	k := w.work(q)
	first := k.begun(1, "a job was published")
	if string(first.Body) != "body of fails" || first.Attempt != 1 {
		t.Errorf("the handler got %+v, want fails, attempt 1", first.Job)
	}
	if n := w.stored(w.name); n != 2 {
		t.Errorf("the first of 2 jobs is being handled: the stream holds %d, want 2", n)
	}
	failed := time.Now()
	first.finish <- errPanic
	k.begun(2, "another job was published, the first one rests").finish <- nil
	again := k.begun(3, "a handler has panicked, its job's rest of 150ms is over")
	if again.ID != "fails" || again.Attempt != 2 || string(again.Body) != "body of fails" {
		t.Errorf("after the rest the handler got %+v, want the job that failed, attempt 2", again.Job)
	}
	if rest := again.at.Sub(failed); rest < cfg.Retry-20*time.Millisecond {
		t.Errorf("a job that had failed was handled again after %v, want not before %v", rest, cfg.Retry)
	}
	again.finish <- nil
	w.empty("both jobs are done")

	k.ended()
	cfg.AckWait = 300 * time.Millisecond
	q = w.open(l, cfg)
	k = w.work(q)
	w.publish(q, "taken along")
	k.begun(1, "a job was published")
	other := w.work(w.open(w.Link(t), cfg))
	l.Down()
	gone := other.begun(1, "a job's worker lost its connection, an AckWait of 300ms is over")
	if gone.ID != "taken along" || gone.Attempt != 2 {
		t.Errorf("the other worker got %+v, want the job of the first, attempt 2", gone.Job)
	}
	gone.finish <- nil
	w.empty("the other worker has done the job")
}

// A job is handled so often and no more; then it is a dead letter, and never lost on the way.
//
//kata:zh 一个任务最多处理这么多次，之后成为死信，途中绝不丢失。
func TestDeadLetters(t *testing.T) {
	w := begin(t)
	l := w.Link(t)
	cfg := w.config()
	cfg.Attempts, cfg.Answer = 3, 150*time.Millisecond
	q := w.open(l, cfg)
	k := w.work(q)
	w.publish(q, "poison")
	for i := range cfg.Attempts {
		k.begun(i+1, "a job fails again and again, Attempts is 3").finish <- fmt.Errorf("failure %d", i+1)
	}
	m := w.dead(1, "a job has failed 3 times, Attempts is 3")
	for header, want := range map[string]string{"Job-Id": "poison", "Job-Attempts": "3", "Job-Error": "failure 3"} {
		if got := m.Header.Get(header); got != want {
			t.Errorf("the dead letter's header %s is %q, want %q", header, got, want)
		}
	}
	if string(m.Data) != "body of poison" {
		t.Errorf("the dead letter's body is %q, want the job's", m.Data)
	}
	w.empty("the only job is a dead letter")

	w.publish(q, "hopeless")
	k.begun(4, "a job was published").finish <- fmt.Errorf("no such user: %w", nats.ErrPermanent)
	if m := w.dead(2, "a handler's error wraps ErrPermanent"); m.Header.Get("Job-Attempts") != "1" {
		t.Errorf("a handler's first error wraps ErrPermanent: Job-Attempts is %q, want 1", m.Header.Get("Job-Attempts"))
	}

	// The dead letter cannot be stored for a moment.
	dead := w.name + "_DEAD"
	s, err := w.JetStream().Stream(w.ctx, dead)
	if err != nil {
		t.Fatal(err)
	}
	was := s.CachedInfo().Config
	if err := w.JetStream().DeleteStream(w.ctx, dead); err != nil {
		t.Fatal(err)
	}
	tried, given := len(l.Sent(w.name+".dead")), w.given()
	w.publish(q, "homeless")
	k.begun(5, "a job was published").finish <- nats.ErrPermanent
	natstest.Within(brief, func() bool { return len(l.Sent(w.name+".dead")) > tried })
	if w.stored(w.name) == 0 {
		t.Fatal("a job's dead letter could not be stored, and the job has left the queue: it is lost")
	}
	// It may be handled again, if its attempts are not over.
	go func(k *worker) {
		for seen := 5; !over(k.done); time.Sleep(10 * time.Millisecond) {
			for _, c := range k.all()[seen:] {
				seen++
				c.finish <- nats.ErrPermanent
			}
		}
	}(k)
	// It may be handed out more often than that, if that is how it is tried again to store the dead letter.
	natstest.Within(2*brief, func() bool { return w.given() >= given+cfg.Attempts+2 || w.stored(w.name) == 0 })
	if _, err := w.JetStream().CreateStream(w.ctx, was); err != nil {
		t.Fatal(err)
	}
	m = w.dead(1, "a dead letter could not be stored, and now it can")
	if n, err := strconv.Atoi(m.Header.Get("Job-Attempts")); err != nil || n < 1 || n > cfg.Attempts {
		t.Errorf("a dead letter could not be stored until the job's 3 attempts were over: Job-Attempts is %q, want at most 3", m.Header.Get("Job-Attempts"))
	}
	w.empty("the job is a dead letter")
	k.ended()

	// The worker of the last attempt is gone.
	cfg.Attempts, cfg.AckWait = 1, 300*time.Millisecond
	k = w.work(w.open(l, cfg))
	w.publish(q, "fatal")
	k.begun(1, "a job was published")
	other := w.work(w.open(w.Link(t), cfg))
	l.Down()
	m = w.dead(2, "the worker is gone that had a job's only attempt, an AckWait of 300ms is over")
	if id, n := m.Header.Get("Job-Id"), m.Header.Get("Job-Attempts"); id != "fatal" || n != "1" {
		t.Errorf("the dead letter's Job-Id and Job-Attempts are %q and %q, want \"fatal\" and \"1\"", id, n)
	}
	if n := len(other.all()); n > 0 {
		t.Errorf("a job was handled %d times more after its only attempt", n)
	}
	w.empty("the job is a dead letter")
}

// A job that takes longer than AckWait is not handed out a second time while its worker lives.
//
//kata:zh 任务处理得比 AckWait 久，只要工作进程还活着，就不会再发给别人。
func TestLongWork(t *testing.T) {
	w := begin(t)
	for try := 1; ; try++ {
		l := w.Link(t)
		cfg := w.config()
		cfg.AckWait, cfg.Workers = 500*time.Millisecond, 2
		q := w.open(l, cfg)
		slow := stalls()
		k := w.work(q)
		w.publish(q, fmt.Sprint("long ", try))
		c := k.begun(1, "a job was published")
		// The third sign of life comes when the first would be too old.
		natstest.Within(brief, func() bool { return l.Acks("+WPI") > 2 && time.Since(c.at) > cfg.AckWait || len(k.all()) > 1 })
		stalled := slow()
		switch again := len(k.all()) > 1; {
		case again && stalled > cfg.AckWait/4 && try < 5: // the machine, not the worker
			for _, c := range k.all() {
				c.finish <- nil
			}
			k.ended()
			continue
		case again:
			t.Fatalf("a job was handed out again after %v, while its handler was running; AckWait is %v", k.all()[1].at.Sub(c.at), cfg.AckWait)
		}
		if err := c.ctx.Err(); err != nil {
			t.Errorf("the handler's context has ended while it was working: %v", err)
		}
		c.finish <- nil
		w.empty("a long job is done")
		return
	}
}

// stalls watches for how long the machine does not run this process.
func stalls() (longest func() time.Duration) {
	end, found := make(chan struct{}), make(chan time.Duration)
	go func() {
		var most time.Duration
		for last := time.Now(); ; {
			time.Sleep(5 * time.Millisecond)
			most = max(most, time.Since(last))
			last = time.Now()
			select {
			case <-end:
				found <- most
				return
			default:
			}
		}
	}()
	return func() time.Duration {
		close(end)
		return <-found
	}
}

// The queue outlives its workers, their connections and the server: each job is handled once, in order.
//
//kata:zh 队列比工作进程、连接和服务器都活得久：每个任务按顺序处理一次。
func TestOutlives(t *testing.T) {
	w := begin(t)
	l := w.Link(t)
	q := w.open(l, w.config())
	k := w.work(q)
	w.publish(q, "1", "2")
	k.begun(1, "2 jobs were published").finish <- nil
	k.begun(2, "2 jobs were published").finish <- nil
	w.empty("both jobs are done")
	k.ended()
	w.publish(q, "3", "4", "5")
	if w.Real() {
		l.Cut()
	} else {
		w.Restart(t)
	}
	if got := w.stored(w.name); got != 3 {
		t.Fatalf("3 jobs waited when the server was restarted: the stream holds %d, want 3", got)
	}
	cfg := w.config()
	cfg.AckWait = time.Second // for a job that is on its way to a connection that has just been cut
	q = w.open(l, cfg)
	k = w.work(q)
	k.begun(1, "a new worker came").finish <- nil
	k.begun(2, "a new worker came").finish <- nil
	k.begun(3, "a new worker came").finish <- nil
	if got := ids(k.all()); !slices.Equal(got, []string{"3", "4", "5"}) {
		t.Errorf("a new worker handled %v, want 3, 4 and 5", got)
	}
	w.empty("all jobs are done")
	for i := range 2 {
		l.Down()
		if !natstest.Within(natstest.Patience, func() bool { return len(l.Subscriptions()) == 0 }) {
			t.Fatal("the link's connections do not break")
		}
		l.Up()
		w.publish(q, fmt.Sprint("after the loss ", i))
		k.begun(4+i, "the connection broke and can be made again").finish <- nil
		w.empty("all jobs are done")
	}
}

// A worker takes no more than it can handle at once: what it has no hands for, others get.
//
//kata:zh 工作进程只取它能同时处理的任务：手上忙不过来的，别人拿得到。
func TestNoHoarding(t *testing.T) {
	w := begin(t)
	cfg := w.config()
	cfg.Workers = 2
	q := w.open(w.Link(t), cfg)
	w.publish(q, "1", "2", "3", "4", "5")
	busy := w.work(q)
	busy.begun(2, "5 jobs wait, Workers is 2")
	cfg.Workers = 3
	free := w.work(w.open(w.Link(t), cfg))
	free.begun(3, "3 more jobs wait, a worker for 3 came, the other has its hands full")
	if n := w.out(); n != 5 {
		t.Errorf("5 handlers run: %d jobs are handed out, want 5", n)
	}
	if n := len(busy.all()); n != 2 {
		t.Errorf("Workers is 2: %d handlers run", n)
	}
	all := append(ids(busy.all()), ids(free.all())...)
	slices.Sort(all)
	if !slices.Equal(all, []string{"1", "2", "3", "4", "5"}) {
		t.Errorf("two workers handled %v, want each job once", all)
	}
	for _, c := range append(busy.all(), free.all()...) {
		c.finish <- nil
	}
	w.empty("all jobs are done")
}

// When Work ends, running handlers finish undisturbed, their jobs are done, and no other job is held back.
//
//kata:zh Work 结束时，正在跑的处理函数不受打扰地做完，任务了结，其余的任务不会被扣住。
func TestStop(t *testing.T) {
	w := begin(t)
	cfg := w.config()
	cfg.Workers, cfg.Answer = 2, natstest.Patience
	l := w.Link(t)
	q := w.open(l, cfg)
	w.publish(q, "1", "2", "3", "4")
	k := w.work(q)
	k.begun(2, "jobs were published, Workers is 2")
	k.stop()
	calls := k.all()
	calls[0].finish <- nil
	if natstest.Within(50*time.Millisecond, func() bool { return over(k.done) }) {
		t.Fatal("Work has returned while a handler was running")
	}
	if err := calls[1].ctx.Err(); err != nil {
		t.Errorf("the context of a running handler ended with that of Work: %v", err)
	}
	if calls[1].ctx.Value(key{}) != "a value" {
		t.Error("the context of a handler does not have the values of that of Work")
	}
	if !natstest.Within(brief, func() bool { return w.stored(w.name) == 3 }) {
		t.Errorf("the first of 4 jobs is done: the stream holds %d, want 3", w.stored(w.name))
	}
	l.HoldAcks()
	calls[1].finish <- nil
	if natstest.Within(100*time.Millisecond, func() bool { return over(k.done) }) {
		t.Fatal("Work has returned before the server knows that the last job is done: its ack is still under way")
	}
	l.ReleaseAcks()
	k.ended()
	if n := len(k.all()); n != 2 {
		t.Errorf("%d handlers were started after the context of Work had ended", n-2)
	}
	if n := w.stored(w.name); n != 2 {
		t.Errorf("Work has returned, 2 of 4 jobs were handled: the stream holds %d, want 2", n)
	}

	// One that ends while it waits takes nothing along.
	idle := w.work(w.open(w.Link(t), cfg))
	for i := range 2 {
		idle.begun(i+1, "jobs wait").finish <- nil
	}
	idle.ended()
	w.publish(q, "5")
	last := w.work(q)
	last.begun(1, "a worker stopped that had nothing to do; then a job was published").finish <- nil
	w.empty("all jobs are done")
}

// A listener that is too slow is told how many events it has lost, while it is still at work, and no one else is disturbed.
//
//kata:zh 监听者跟不上时，会在处理过程中就得知丢了多少事件，而且不影响别人。
func TestSlowListener(t *testing.T) {
	w := begin(t)
	l := w.Link(t)
	reported := make(chan *natsgo.Subscription, 100)
	nc := l.Connect(t, natsgo.ErrorHandler(func(_ *natsgo.Conn, s *natsgo.Subscription, _ error) { reported <- s }))
	subject := w.Name("events")
	const buffer = 8
	var mu sync.Mutex
	var got []string
	missed := 0
	turn := make(chan struct{})
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- nats.Listen(ctx, nc, subject, buffer, func(body []byte) {
			mu.Lock()
			got = append(got, string(body))
			mu.Unlock()
			select {
			case <-turn:
			case <-t.Context().Done():
			}
		}, func(n int) {
			mu.Lock()
			missed += n
			mu.Unlock()
		})
	}()
	count := func() (int, int) {
		mu.Lock()
		defer mu.Unlock()
		return len(got), missed
	}
	if !natstest.Within(brief, func() bool { return slices.Contains(l.Subscriptions(), subject) }) {
		t.Fatalf("Listen does not subscribe to %s", subject)
	}
	if err := nc.FlushWithContext(w.ctx); err != nil {
		t.Fatal(err)
	}
	send := func(n int) {
		for i := range n {
			w.Admin().Publish(subject, []byte(fmt.Sprint("event ", i)))
		}
		if err := w.Admin().FlushWithContext(w.ctx); err != nil {
			t.Fatal(err)
		}
	}
	send(1)
	if !natstest.Within(brief, func() bool { n, _ := count(); return n == 1 }) {
		t.Fatal("an event was published and not handled")
	}
	send(buffer + 5)
	if !natstest.Within(brief, func() bool { _, lost := count(); return lost > 0 }) {
		t.Fatalf("the handler is at work, buffer is %d, %d more events came: lost was not called", buffer, buffer+5)
	}
	if err := nc.FlushWithContext(w.ctx); err != nil { // all have come
		t.Fatal(err)
	}
	close(turn)
	if !natstest.Within(brief, func() bool { n, lost := count(); return n+lost == buffer+6 }) {
		n, lost := count()
		t.Errorf("%d events were sent: %d were handled, %d told as lost", buffer+6, n, lost)
	}
	if n, _ := count(); n < buffer || n > buffer+2 {
		t.Errorf("one event was being handled when %d more came, buffer is %d: %d were handled, want %d (one more or less does not matter)", buffer+5, buffer, n, buffer+1)
	}
	mu.Lock()
	for i, body := range got[1:] {
		if want := fmt.Sprint("event ", i); body != want {
			t.Errorf("event %d that was handled is %q, want %q", i+1, body, want)
		}
	}
	mu.Unlock()

	// The owner's error handler is still the owner's.
	other, err := nc.SubscribeSync(w.Name("other"))
	if err != nil {
		t.Fatal(err)
	}
	other.SetPendingLimits(1, -1)
	nc.FlushWithContext(w.ctx)
	for range 3 {
		w.Admin().Publish(w.Name("other"), nil)
	}
	w.Admin().FlushWithContext(w.ctx)
	for found := false; !found; {
		select {
		case s := <-reported:
			found = s == other
		case <-time.After(brief):
			t.Fatal("another subscription of the connection lost events, and the connection's own error handler was not told")
		}
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Listen = %v after its context ended, want nil", err)
		}
	case <-time.After(brief):
		t.Fatal("Listen does not return although its context has ended")
	}
	nc.FlushWithContext(w.ctx)
	if slices.Contains(l.Subscriptions(), subject) {
		t.Error("Listen has returned and is still subscribed")
	}
}

// A request gets its own answer, or an error that says why not, and leaves nothing behind.
//
//kata:zh 请求得到属于它的答复，或说明原因的错误，不留下任何东西。
func TestRequest(t *testing.T) {
	w := begin(t)
	l := w.Link(t)
	nc := l.Connect(t)
	subject := w.Name("time")
	ctx, cancel := context.WithTimeout(w.ctx, brief)
	defer cancel()
	if answer, err := nats.Request(ctx, nc, subject, nil); !errors.Is(err, nats.ErrNobody) {
		t.Errorf("nobody listens: Request = %q, %v, want ErrNobody", answer, err)
	}
	late := make(chan *natsgo.Msg, 100)
	_, err := w.Admin().Subscribe(subject, func(m *natsgo.Msg) {
		switch body := string(m.Data); {
		case body == "slow":
			late <- m
		case body == "fails":
			answer := natsgo.NewMsg(m.Reply)
			answer.Header.Set("Nats-Service-Error-Code", "404")
			answer.Header.Set("Nats-Service-Error", "no such zone")
			m.RespondMsg(answer)
		default:
			m.Respond([]byte("answer to " + body))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Admin().FlushWithContext(w.ctx); err != nil {
		t.Fatal(err)
	}
	if answer, err := nats.Request(ctx, nc, subject, []byte("a")); err != nil || string(answer) != "answer to a" {
		t.Errorf("Request(a) = %q, %v", answer, err)
	}
	answer, err := nats.Request(ctx, nc, subject, []byte("fails"))
	var failed *nats.ServiceError
	if !errors.As(err, &failed) || *failed != (nats.ServiceError{Code: "404", Description: "no such zone"}) {
		t.Errorf("the answer has the header Nats-Service-Error-Code: Request = %q, %v, want the *ServiceError with 404, no such zone", answer, err)
	}

	why := errors.New("enough waited")
	for i := range 5 {
		given, cancel := context.WithCancelCause(w.ctx)
		done := make(chan error, 1)
		go func() {
			_, err := nats.Request(given, nc, subject, []byte("slow"))
			done <- err
		}()
		if !natstest.Within(brief, func() bool { return len(late) == i+1 || len(done) > 0 }) {
			t.Fatal("a request does not arrive")
		}
		cancel(why)
		select {
		case err := <-done:
			if !errors.Is(err, why) {
				t.Fatalf("Request = %v, its context was cancelled, want the cause %v", err, why)
			}
		case <-time.After(brief):
			t.Fatal("Request does not return although its context has ended")
		}
	}
	for range 5 {
		(<-late).Respond([]byte("too late"))
	}
	w.Admin().FlushWithContext(w.ctx)
	if answer, err := nats.Request(ctx, nc, subject, []byte("b")); err != nil || string(answer) != "answer to b" {
		t.Errorf("Request(b) = %q, %v; answers to older requests came late", answer, err)
	}
	nc.FlushWithContext(w.ctx)
	subs := slices.DeleteFunc(l.Subscriptions(), func(s string) bool { return !strings.HasPrefix(s, "_INBOX.") })
	if len(subs) > 1 {
		t.Errorf("8 requests are over: %d subscriptions for answers are left, want at most the connection's own", len(subs))
	}
}
