// A lock in Redis: who has it, who gets it next, and what becomes of those who lose it.
//
//kata:level 3
//kata:minutes 120
//kata:engine simulated miniredis 2.40, by go-redis 9
package lock_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roadkata/roadkata/stage2/cache/lock"
	"github.com/roadkata/roadkata/stage2/internal/kit/redistest"
)

const (
	key  = "lock:{report}"
	long = time.Minute // a TTL that no test sees the end of
)

var (
	errShift = errors.New("the shift is over")
	errStore = errors.New("the store is read-only")
)

// store is what the lock protects.
type store struct {
	mu     sync.Mutex
	token  int64
	before func(ctx context.Context) error // each Fence
}

func (s *store) Fence(ctx context.Context) (int64, error) {
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return 0, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.token++
	return s.token, nil
}

// write tells whether the store takes a write that comes with this token.
func (s *store) write(token int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return token >= s.token
}

// world is a Redis and a store.
type world struct {
	*redistest.Server
	t     *testing.T
	store *store
}

func start(t *testing.T) *world {
	return &world{Server: redistest.Start(t), t: t, store: &store{}}
}

// acquire takes a lock that is free.
func (w *world) acquire(cli *redistest.Client, ttl time.Duration) *lock.Lock {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Second)
	defer cancel()
	l, err := lock.Acquire(ctx, cli.Client, w.store, "report", ttl)
	if err != nil {
		w.t.Fatalf("Acquire of a lock that nobody holds = %v", err)
	}
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		l.Release(ctx)
	})
	return l
}

// attempt is an Acquire that may have to wait.
type attempt struct {
	lock *lock.Lock
	err  error
	done chan struct{}
}

func (w *world) attempt(ctx context.Context, cli *redistest.Client) *attempt {
	a := &attempt{done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.lock, a.err = lock.Acquire(ctx, cli.Client, w.store, "report", long)
	}()
	return a
}

func (a *attempt) wait(t *testing.T, what string) {
	t.Helper()
	within(t, 5*time.Second, a.done, what)
}

// within fails if something does not happen in time.
func within(t *testing.T, limit time.Duration, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("after %v, still not: %s", limit, what)
	}
}

// until asks Redis until it says so.
func (w *world) until(what string, so func() bool) {
	w.t.Helper()
	for began := time.Now(); !so(); <-time.After(5 * time.Millisecond) {
		if time.Since(began) > 2*time.Second {
			w.t.Fatalf("after 2s, still not: %s", what)
		}
	}
}

// queue returns how many stand in line.
func (w *world) queue() int64 {
	line := key + ":line"
	switch w.Admin().Type(w.t.Context(), line).Val() {
	case "list":
		return w.Admin().LLen(w.t.Context(), line).Val()
	case "zset":
		return w.Admin().ZCard(w.t.Context(), line).Val()
	}
	return 0
}

// steal gives the lock to somebody who does not know this package, as if it had expired before.
func (w *world) steal() { w.Admin().Set(w.t.Context(), key, "somebody else", long) }

// free ends the lock, as if it had expired.
func (w *world) free() { w.Admin().Del(w.t.Context(), key) }

// stolen checks that the thief's lock is as it was.
func (w *world) stolen(after string) {
	w.t.Helper()
	if owner := w.Admin().Get(w.t.Context(), key).Val(); owner != "somebody else" {
		w.t.Errorf("after %s, %s holds %q, want the lock that somebody else has got by now", after, key, owner)
	} else if ttl := w.TTL(w.t, key); ttl < long-20*time.Second {
		w.t.Errorf("after %s, the lock that somebody else has got by now lives for %v, want the %v that it was given", after, ttl, long)
	}
}

// lost checks that the lock ends by itself, as lost.
func (w *world) lost(l *lock.Lock, what string) {
	w.t.Helper()
	within(w.t, 2500*time.Millisecond, l.Context().Done(), "the lock's context has ended; "+what)
	if cause := context.Cause(l.Context()); !errors.Is(cause, lock.ErrLost) {
		w.t.Errorf("%s: the cause of the lock's context = %v, want ErrLost", what, cause)
	}
}

// renewed waits for a renewal to ttl.
func (w *world) renewed(ttl time.Duration, what string) {
	w.t.Helper()
	w.Admin().PExpire(w.t.Context(), key, ttl*2/3)
	w.until("the lock is renewed "+what, func() bool { return w.TTL(w.t, key) > ttl*4/5 })
}

// soon measures how long something takes, and twice more if that was longer than limit: a busy machine may hold it up.
func soon(limit time.Duration, measure func() time.Duration) time.Duration {
	took := measure()
	for range 2 {
		if took <= limit {
			break
		}
		took = min(took, measure())
	}
	return took
}

// One holds the lock at a time, however the commands of those who want it interleave.
//
//kata:zh 同一时刻只有一个持有者，不管争抢者的命令怎样交错。
func TestExclusive(t *testing.T) {
	w := start(t)
	w.acquire(w.Client(t), long).Release(t.Context()) // now Redis knows the scripts, if there are any: the first command is the first question
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(500*time.Millisecond, func() { cancel(errShift) })
	const callers = 4
	// After its first command, each waits until all have sent theirs: whoever looks first and acts then has seen what all others saw.
	var first sync.WaitGroup
	first.Add(callers)
	var attempts []*attempt
	for range callers {
		cli := w.Client(t)
		var once sync.Once
		cli.After(func(string) { once.Do(func() { first.Done(); first.Wait() }) })
		attempts = append(attempts, w.attempt(ctx, cli))
	}
	var holders []*lock.Lock
	for _, a := range attempts {
		a.wait(t, "Acquire has returned; its context ended after 500ms")
		switch {
		case a.err == nil:
			holders = append(holders, a.lock)
		case !errors.Is(a.err, errShift):
			t.Errorf("%d called Acquire at once, and nobody released: Acquire of one = %v, want it to wait until its context ends", callers, a.err)
		}
	}
	if len(holders) != 1 {
		t.Errorf("%d called Acquire at once, and nobody released: %d hold the lock, want 1", callers, len(holders))
	}
	other, err := lock.Acquire(t.Context(), w.Client(t).Client, w.store, "reports", long)
	if err != nil {
		t.Fatalf("while \"report\" is held, Acquire of \"reports\" = %v", err)
	}
	for _, l := range append(holders, other) {
		l.Release(t.Context())
	}
	w.acquire(w.Client(t), long)
}

// A release takes the lock from nobody else, also if it changes hands at the very moment, and within one process.
//
//kata:zh 释放不会动别人的锁，哪怕锁恰好在那一刻易主，哪怕是同一个进程里的别人。
func TestOwnerReleases(t *testing.T) {
	w := start(t)
	cli := w.Client(t)
	l := w.acquire(cli, long)
	var once sync.Once
	cli.After(func(string) { once.Do(w.steal) }) // between its first command and the second, if it has two
	if err := l.Release(t.Context()); err != nil && !errors.Is(err, lock.ErrLost) {
		t.Errorf("Release = %v", err)
	}
	w.stolen("Release")

	w.free()
	before := w.acquire(cli, long)
	w.free()
	w.acquire(cli, long) // by the same client
	owner := w.Admin().Get(t.Context(), key).Val()
	for _, call := range []string{"Release", "Release, called again,"} {
		if err := before.Release(t.Context()); !errors.Is(err, lock.ErrLost) {
			t.Errorf("the lock expired, and the same client has acquired it again: %s of the first hold = %v, want ErrLost", call, err)
		}
	}
	if now := w.Admin().Get(t.Context(), key).Val(); now != owner {
		t.Errorf("after Release of a hold that was lost, %s holds %q, want %q, the later hold of the same client", key, now, owner)
	}
}

// From its first moment on, the lock has a TTL, and it is renewed in time; an outage that is shorter is no loss.
//
//kata:zh 锁从出现的那一刻起就有 TTL，并且及时续期；短于 TTL 的故障不算丢锁。
func TestRenewal(t *testing.T) {
	w := start(t)
	cli := w.Client(t)
	const ttl = 1500 * time.Millisecond
	cli.After(func(command string) {
		if owner := w.Admin().Get(t.Context(), key).Val(); owner == "" {
			return // not yet
		}
		if left := w.TTL(t, key); left <= 0 || left > ttl {
			t.Errorf("after %s, the lock has a TTL of %v (negative: none), want at most %v: its holder may die here", command, left, ttl)
		}
	})
	l := w.acquire(cli, ttl)
	cli.After(nil)
	w.renewed(ttl, "before its TTL is over")
	period := soon(ttl*2/3, func() time.Duration {
		began := time.Now()
		w.renewed(ttl, "once more")
		return time.Since(began)
	})
	if period > ttl*2/3 {
		t.Errorf("the lock has a TTL of %v, and from one renewal to the next it takes %v, want %v at most", ttl, period, ttl/2)
	}
	pause := soon(ttl/3, func() time.Duration {
		w.Down()
		sent := len(cli.Commands())
		w.until("the lock's renewal is tried while Redis is down", func() bool { return len(cli.Commands()) > sent })
		failed, sent := time.Now(), len(cli.Commands())
		w.until("the lock's renewal is tried again while Redis is down", func() bool { return len(cli.Commands()) > sent })
		took := time.Since(failed)
		w.Up()
		w.renewed(ttl, fmt.Sprintf("when Redis is back within its TTL, %v; two attempts have failed, %v apart", ttl, took))
		return took
	})
	if pause > ttl/3 {
		t.Errorf("the lock has a TTL of %v, and a renewal that failed is tried again after %v, want %v at most", ttl, pause, ttl/10)
	}
	if err := l.Context().Err(); err != nil {
		t.Errorf("after an outage that was shorter than the TTL, the lock's context has ended: %v", context.Cause(l.Context()))
	}
}

// A holder whose lock is somebody else's ends its work, and does not prolong the other's lock.
//
//kata:zh 锁已归别人，原持有者就结束自己的工作，也不给别人的锁续期。
func TestLoss(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("", func(t *testing.T) {
		w := start(t)
		cli := w.Client(t)
		l, err := lock.Acquire(t.Context(), cli.Client, w.store, "report", 600*time.Millisecond)
		if err != nil {
			t.Fatalf("Acquire of a free lock = %v", err)
		}
		var once sync.Once
		cli.After(func(string) { once.Do(w.steal) }) // between the first command of a renewal and the second, if it has two
		w.lost(l, "somebody else has got the lock")
		w.stolen("the loss")
	})
	if err := goleak.Find(before); err != nil { // nobody has called Release
		t.Errorf("the lock was lost, and goroutines are left: %v", err)
	}
}

// A holder that hears nothing from Redis ends its work when the TTL is over, by its own clock.
//
//kata:zh 收不到 Redis 的应答，持有者就按自己的时钟在 TTL 结束时停下工作。
func TestCutOff(t *testing.T) {
	w := start(t)
	cli := w.Client(t)
	l := w.acquire(cli, 500*time.Millisecond)
	cli.Cut()
	w.lost(l, "the TTL is 500ms, and Redis does not answer")
	released := make(chan struct{})
	go func() {
		defer close(released)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Release(ctx); !errors.Is(err, lock.ErrLost) {
			t.Errorf("Release of a lock that was lost = %v, want ErrLost", err)
		}
	}()
	within(t, 2*time.Second, released, "Release has returned; its context ended after 1s")
}

// The store's token is younger than the lock, and who loses the lock on the way to it does not hold it; a paused holder's writes are refused.
//
//kata:zh 先有锁，后有存储的令牌；取令牌途中丢了锁就不算持有；停顿过的旧持有者写不进去。
func TestFencing(t *testing.T) {
	w := start(t)
	w.steal()
	pausing := w.Client(t)
	waiting := w.attempt(t.Context(), pausing)
	w.until("Acquire of a lock that is held stands in "+key+":line", func() bool { return w.queue() == 1 })
	if !w.store.write(0) {
		t.Error("while somebody else holds the lock, a waiter has fenced off its writes")
	}
	w.free()
	waiting.wait(t, "Acquire has returned; the lock is free")
	if waiting.err != nil {
		t.Fatalf("Acquire = %v", waiting.err)
	}
	paused := waiting.lock
	defer paused.Release(t.Context())
	pausing.Cut() // from now on, it knows nothing
	w.free()
	next := w.acquire(w.Client(t), long)
	if !w.store.write(next.Token()) || w.store.write(paused.Token()) {
		t.Errorf("tokens: %d of the holder, %d of the paused one before; the store's last is %d, want only the holder's writes to be taken", next.Token(), paused.Token(), w.store.token)
	}
	pausing.Mend()
	next.Release(t.Context())

	const ttl = 900 * time.Millisecond
	w.store.before = func(context.Context) error { w.renewed(ttl, "while the store takes its time"); return nil }
	slow := w.acquire(w.Client(t), ttl)
	slow.Release(t.Context())

	w.store.before = func(context.Context) error { w.steal(); return nil }
	if l, err := lock.Acquire(t.Context(), w.Client(t).Client, w.store, "report", long); !errors.Is(err, lock.ErrLost) || l != nil {
		t.Errorf("somebody else has got the lock while the store issued the token: Acquire = %v, %v; want nil, ErrLost", l, err)
	}
	w.stolen("a failed Acquire")
}

// Waiters get the lock in the order in which they came; nobody passes those who wait.
//
//kata:zh 等待者按先来后到得到锁，后来的不能插队。
func TestLine(t *testing.T) {
	w := start(t)
	w.steal()
	const waiters = 5
	served := make(chan int, waiters)
	for i := range waiters {
		cli := w.Client(t)
		go func() {
			l, err := lock.Acquire(t.Context(), cli.Client, w.store, "report", long)
			if err != nil {
				served <- -1
				return
			}
			served <- i
			l.Release(t.Context())
		}()
		w.until("each waiter has one element in "+key+":line", func() bool { return w.queue() == int64(i+1) })
	}
	w.free()
	var got []int
	for range waiters {
		select {
		case i := <-served:
			got = append(got, i)
		case <-time.After(5 * time.Second):
			t.Fatalf("5 waiters, and each releases at once: only %v have got the lock after 5s", got)
		}
	}
	if want := []int{0, 1, 2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("waiters got the lock in the order %v (-1: an error), want %v", got, want)
	}
	if w.queue() != 0 {
		t.Errorf("all waiters have got the lock, and %d still stand in line", w.queue())
	}

	// The first in line is slow to ask again, but far from dead.
	w.steal()
	slow := w.Client(t)
	ctx, leave := context.WithCancel(t.Context())
	first := w.attempt(ctx, slow)
	w.until("a waiter stands in line", func() bool { return w.queue() == 1 })
	slow.Cut()
	w.free()
	newcomer, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if l, err := lock.Acquire(newcomer, w.Client(t).Client, w.store, "report", long); err == nil {
		t.Error("the lock is free, and someone waits for it: a newcomer has got it within 200ms")
		l.Release(t.Context())
	}
	slow.Mend()
	leave()
	first.wait(t, "Acquire has returned; its context has ended")
	if first.err == nil {
		first.lock.Release(t.Context())
	}
}

// A waiter that has died holds up those behind it no longer than Patience, and nothing of it stays.
//
//kata:zh 死掉的等待者最多耽误后面的人一个 Patience，也不留下任何东西。
func TestDeadWaiter(t *testing.T) {
	w := start(t)
	dies := func() (bury func()) {
		w.steal()
		dead := w.Client(t)
		ctx, cancel := context.WithCancel(t.Context())
		a := w.attempt(ctx, dead)
		w.until("a waiter stands in line", func() bool { return w.queue() == 1 })
		dead.Cut()
		w.free()
		return func() {
			cancel()
			dead.Mend()
			a.wait(t, "Acquire has returned; its context has ended")
		}
	}
	defer dies()()
	w.Advance(3*lock.Patience + 100*time.Millisecond)
	if keys := w.Keys(t); len(keys) > 0 {
		t.Fatalf("three times Patience after the only waiter has died, Redis still holds %q", keys)
	}
	defer dies()()
	w.Advance(lock.Patience + 100*time.Millisecond)
	second := w.attempt(t.Context(), w.Client(t))
	within(t, 2*time.Second, second.done, "the next waiter has got the lock; the one ahead has not asked for Patience")
	if second.err != nil {
		t.Fatalf("Acquire = %v", second.err)
	}
	second.lock.Release(t.Context())
	w.Advance(3 * lock.Patience)
	if keys := w.Keys(t); len(keys) > 0 {
		t.Errorf("three times Patience after the last one has gone, Redis still holds %q", keys)
	}
}

// A waiter can give up: it returns the cause, leaves the line, and has not hammered Redis meanwhile.
//
//kata:zh 等待可以放弃：返回原因，离开队伍；等待期间也没有狂问 Redis。
func TestGivesUp(t *testing.T) {
	w := start(t)
	w.steal()
	cli := w.Client(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(300*time.Millisecond, func() { cancel(errShift) })
	a := w.attempt(ctx, cli)
	a.wait(t, "Acquire has returned; its context ended after 300ms")
	if a.lock != nil || !errors.Is(a.err, errShift) {
		t.Errorf("the context ended with the cause %q: Acquire = %v, %v; want nil and the cause", errShift, a.lock, a.err)
	}
	if n := len(cli.Commands()); n > 40 {
		t.Errorf("a waiter has sent %d commands in 300ms, want at most 100 a second, and a few", n)
	}
	if keys, want := w.Keys(t), []string{key}; !slices.Equal(keys, want) {
		t.Errorf("a waiter has given up, and Redis holds %q, want %q only, the lock that it waited for", keys, want)
	}
	w.stolen("the waiter gave up")

	w.free()
	ctx, cancel = context.WithCancelCause(t.Context())
	w.store.before = func(asked context.Context) error {
		cancel(errShift)
		select {
		case <-asked.Done():
		case <-time.After(time.Second):
			t.Error("the context of Acquire has ended while the store took its time, and a second later that of Fence has not")
		}
		return asked.Err()
	}
	if l, err := lock.Acquire(ctx, cli.Client, w.store, "report", long); l != nil || !errors.Is(err, errShift) {
		t.Errorf("the context ended with the cause %q while the store took its time: Acquire = %v, %v; want nil and the cause", errShift, l, err)
	}
	if keys := w.Keys(t); len(keys) > 0 {
		t.Errorf("a holder-to-be has given up while the store took its time, and Redis still holds %q", keys)
	}
}

// A release ends the work first, may be repeated, and knows what became of the lock when its answer was lost.
//
//kata:zh 释放先结束工作，可以重复调用；应答丢了，也说得清锁的下落。
func TestRelease(t *testing.T) {
	w := start(t)
	cli := w.Client(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	l, err := lock.Acquire(ctx, cli.Client, w.store, "report", long)
	if err != nil {
		t.Fatalf("Acquire of a free lock = %v", err)
	}
	cancel()
	select {
	case <-l.Context().Done():
		t.Errorf("the context of Acquire has ended after it returned, and the lock's with it: %v", context.Cause(l.Context()))
	case <-time.After(20 * time.Millisecond):
	}
	cli.After(func(command string) {
		if l.Context().Err() == nil {
			t.Errorf("Release has sent %s, and the lock's context has not ended: somebody else may hold the lock by now", command)
		}
	})
	for range 2 {
		if err := l.Release(t.Context()); err != nil {
			t.Errorf("Release, and Release again = %v, want nil", err)
		}
	}
	cli.After(nil)
	if cause := context.Cause(l.Context()); !errors.Is(cause, lock.ErrReleased) {
		t.Errorf("after Release, the cause of the lock's context = %v, want ErrReleased", cause)
	}
	if keys := w.Keys(t); len(keys) > 0 {
		t.Errorf("after Release, Redis still holds %q", keys)
	}

	l = w.acquire(cli, long)
	cli.LoseAnswer()
	l.Release(t.Context()) // with an error, if it does not try again by itself
	if err := l.Release(t.Context()); err != nil {
		t.Errorf("the answer to a release was lost; Release again = %v, want nil", err)
	}

	l = w.acquire(cli, long)
	w.Down()
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := l.Release(short); err == nil || errors.Is(err, lock.ErrLost) {
		t.Errorf("Redis is down: Release = %v, want an error, and not ErrLost", err)
	}
	if l.Context().Err() == nil {
		t.Error("after a Release that failed, the lock's context goes on: nobody renews it any more")
	}
	w.Up()
	if err := l.Release(t.Context()); err != nil {
		t.Errorf("Redis is back: Release again = %v", err)
	}
	if keys := w.Keys(t); len(keys) > 0 {
		t.Errorf("after Release, Redis still holds %q", keys)
	}
}

// When Acquire fails or a lock ends, no key and no goroutine is left, also if a lost answer or the end of the context hid that it had succeeded.
//
//kata:zh Acquire 失败或锁结束之后，不留键，也不留 goroutine；哪怕其实已经拿到，只是应答丢了或 context 先结束了。
func TestLeavesNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("", func(t *testing.T) {
		w := start(t)
		fails := func(what string, ctx context.Context, cli *redistest.Client, want error) {
			t.Helper()
			l, err := lock.Acquire(ctx, cli.Client, w.store, "report", long)
			if err == nil && want == nil { // it has found out by itself
				err = l.Release(t.Context())
			}
			if want != nil && !errors.Is(err, want) {
				t.Errorf("%s: Acquire = %v, want %v", what, err, want)
			}
			if keys := w.Keys(t); len(keys) > 0 {
				t.Errorf("%s: after Acquire, Redis holds %q for up to %v", what, keys, w.TTL(t, keys[0]))
			}
			w.free()
		}
		cli := w.Client(t)
		w.acquire(cli, long).Release(t.Context())
		cli.LoseAnswer()
		fails("the answer that says that it has the lock is lost", t.Context(), cli, nil)
		ctx, cancel := context.WithCancelCause(t.Context())
		cli.After(func(string) { cancel(errShift) })
		fails("its context ends as it gets the lock", ctx, cli, errShift)
		cli.After(nil)
		w.store.before = func(context.Context) error { return errStore }
		fails("the store issues no token", t.Context(), cli, errStore)
		w.store.before = nil
	})
	if err := goleak.Find(before); err != nil {
		t.Errorf("all locks are released or were not acquired, and goroutines are left: %v", err)
	}
}

// A Redis that restarts empty takes the lock from its holder, who does not claim it again; the next one's token is still greater.
//
//kata:zh Redis 空着重启，持有者就失去锁，不得再抢回来；下一个持有者的令牌仍然更大。
func TestRestartEmpty(t *testing.T) {
	w := start(t)
	former := w.Client(t)
	one := w.acquire(former, 600*time.Millisecond)
	w.Restart(t)
	w.lost(one, "Redis has forgotten the lock")
	if keys := w.Keys(t); len(keys) > 0 {
		t.Errorf("Redis has restarted empty, and its former holder has made %q: somebody else may have held and released the lock meanwhile", keys)
	}
	two := w.acquire(w.Client(t), long)
	if two.Token() <= one.Token() {
		t.Errorf("tokens %d before Redis restarted empty and %d after it, want a greater one", one.Token(), two.Token())
	}
	sent := len(former.Commands())
	if err := one.Release(t.Context()); !errors.Is(err, lock.ErrLost) {
		t.Errorf("Release of a lock that Redis has forgotten = %v, want ErrLost", err)
	}
	if commands := former.Commands()[sent:]; len(commands) > 0 {
		t.Errorf("Release of a lock that was lost has sent %q, want nothing", commands)
	}
	if err := two.Release(t.Context()); err != nil {
		t.Errorf("Release = %v; a Release of the former holder came before", err)
	}
}
