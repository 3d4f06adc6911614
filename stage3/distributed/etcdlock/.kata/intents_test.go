// A lock and a leader election, on three etcd members that fail.
//
//kata:level 3
//kata:minutes 180
//kata:engine embedded etcd 3.7.3, three members
//kata:timeout 90s
package etcdlock_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3/concurrency"

	"github.com/roadkata/roadkata/stage3/distributed/etcdlock"
	"github.com/roadkata/roadkata/stage3/internal/kit/etcdtest"
	"github.com/roadkata/roadkata/stage3/internal/kit/fenced"
)

// long is a TTL that does not run out while a test runs: what a test sees happen, something else made happen.
const long = time.Minute

// world is a cluster, and the context of all calls.
type world struct {
	*etcdtest.Cluster
	t   *testing.T
	ctx context.Context
}

func begin(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*etcdtest.Patience)
	t.Cleanup(cancel)
	return &world{etcdtest.Start(t), t, ctx}
}

// lock acquires at once.
func (w *world) lock(cli *etcdtest.Client, name string, ttl time.Duration) *etcdlock.Lock {
	w.t.Helper()
	return w.get(w.acquire(w.ctx, cli, name, ttl))
}

// attempt is an Acquire under way.
type attempt struct {
	name string
	done chan struct{}
	lock *etcdlock.Lock
	err  error
}

// acquire begins to acquire.
func (w *world) acquire(ctx context.Context, cli *etcdtest.Client, name string, ttl time.Duration) *attempt {
	a := &attempt{name: name, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.lock, a.err = etcdlock.Acquire(ctx, cli.Client, name, ttl)
	}()
	return a
}

// queue begins to acquire with a client of its own, and waits until the line is n long and its last one waits.
func (w *world) queue(cli *etcdtest.Client, name string, n int) *attempt {
	w.t.Helper()
	return w.queueUntil(w.ctx, cli, name, n)
}

// queueUntil queues for as long as the context lasts.
func (w *world) queueUntil(ctx context.Context, cli *etcdtest.Client, name string, n int) *attempt {
	w.t.Helper()
	a := w.acquire(ctx, cli, name, long)
	line := w.AwaitEntries(w.t, "locks/"+name+"/", n)
	cli.Await(func() bool { return watchesAnother(cli, line[n-1].Key) || polls(cli) || isDone(a) })
	return a
}

// result waits until the attempt ends.
func (w *world) result(a *attempt) (*etcdlock.Lock, error) {
	w.t.Helper()
	select {
	case <-a.done:
	case <-time.After(etcdtest.Patience):
		w.t.Fatalf("Acquire(%q) has not returned after %v; the line is %v", a.name, etcdtest.Patience, w.Entries(w.t, "locks/"+a.name+"/"))
	}
	return a.lock, a.err
}

// get waits until the attempt has the lock.
func (w *world) get(a *attempt) *etcdlock.Lock {
	w.t.Helper()
	l, err := w.result(a)
	if err != nil {
		w.t.Fatalf("Acquire(%q) = %v", a.name, err)
	}
	return l
}

func (w *world) release(l *etcdlock.Lock) {
	w.t.Helper()
	if err := l.Release(w.ctx); err != nil {
		w.t.Fatalf("Release() = %v", err)
	}
}

// ended waits until a context has ended, and returns the cause.
func (w *world) ended(ctx context.Context, why string) error {
	w.t.Helper()
	select {
	case <-ctx.Done():
	case <-time.After(etcdtest.Patience):
		w.t.Fatalf("%v after %s, the holder's context has not ended", etcdtest.Patience, why)
	}
	return context.Cause(ctx)
}

// stillWaits fails if the attempt has ended.
func (a *attempt) stillWaits(t *testing.T, while string) {
	t.Helper()
	select {
	case <-a.done:
		t.Fatalf("Acquire(%q) returned (error %v) while %s", a.name, a.err, while)
	default:
	}
}

// expireNewest ends the lease of the newest key in a lock's line.
func (w *world) expireNewest(name string) {
	w.t.Helper()
	list := w.Entries(w.t, "locks/"+name+"/")
	if len(list) == 0 {
		w.t.Fatalf("nobody stands in the line locks/%s/", name)
	}
	w.Expire(w.t, list[len(list)-1].Lease)
}

// At most one holds the lock, and they get it in the order in which they came.
//
//kata:zh 同一时刻最多一个持有者，并且先到先得。
func TestOneAtATime(t *testing.T) {
	w := begin(t)
	var id atomic.Int64
	id.Store(1 << 40)
	client := func() *etcdtest.Client {
		cli := w.Client(t)
		cli.LeaseIDs(func() int64 { return id.Add(-1) }) // ids say nothing about who came first
		return cli
	}
	first := w.lock(client(), "one", long)
	var inside atomic.Int64
	var mu sync.Mutex
	var order []int
	var all sync.WaitGroup
	const n = 9
	for i := range n {
		a := w.queue(client(), "one", i+2)
		all.Go(func() {
			<-a.done
			if a.err != nil {
				t.Errorf("Acquire = %v", a.err)
				return
			}
			if in := inside.Add(1); in > 1 {
				t.Errorf("%d hold the lock at once", in)
			}
			mu.Lock()
			order = append(order, i)
			mu.Unlock()
			runtime.Gosched()
			inside.Add(-1)
			if err := a.lock.Release(w.ctx); err != nil {
				t.Errorf("Release = %v", err)
			}
		})
		a.stillWaits(t, "another one holds the lock")
	}
	w.release(first)
	all.Wait()
	if got, want := fmt.Sprint(order), "[0 1 2 3 4 5 6 7 8]"; got != want {
		t.Errorf("they came in the order %s and got the lock in the order %s", want, got)
	}
}

// The line is that of etcd's own recipes: etcdctl lock and this lock exclude each other.
//
//kata:zh 排的是 etcd 官方配方的同一条队：etcdctl lock 和这把锁互相排斥。
func TestSameLineAsEtcdctl(t *testing.T) {
	w := begin(t)
	cli := w.Client(t)
	session, err := concurrency.NewSession(w.Client(t).Client)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	recipe := concurrency.NewMutex(session, "locks/shared")
	if err := recipe.Lock(w.ctx); err != nil {
		t.Fatal(err)
	}
	a := w.queue(cli, "shared", 2)
	a.stillWaits(t, "`etcdctl lock locks/shared` holds it")
	if err := recipe.Unlock(w.ctx); err != nil {
		t.Fatal(err)
	}
	l := w.get(a)
	if err := recipe.TryLock(w.ctx); !errors.Is(err, concurrency.ErrLocked) {
		t.Errorf("etcd's own recipe: TryLock(locks/shared) = %v although Acquire(\"shared\") holds it, want %v", err, concurrency.ErrLocked)
	}
	w.release(l)

	term, err := etcdlock.Campaign(w.ctx, cli.Client, "shared", "us", long)
	if err != nil {
		t.Fatalf("Campaign = %v", err)
	}
	resp, err := concurrency.NewElection(session, "elections/shared").Leader(w.ctx)
	if err != nil || string(resp.Kvs[0].Value) != "us" {
		t.Errorf("etcd's own recipe does not see the leader of elections/shared: %v", err)
	}
	if err := term.Resign(w.ctx); err != nil {
		t.Errorf("Resign() = %v", err)
	}
}

// Locks of other names do not disturb each other, even if one name begins with the other.
//
//kata:zh 名字不同的锁互不干扰，即使一个名字是另一个的前缀。
func TestNamesApart(t *testing.T) {
	w := begin(t)
	cli := w.Client(t)
	long := w.lock(cli, "orders-eu", long)
	short := w.lock(cli, "orders", time.Minute)
	w.release(short)
	w.release(long)
}

// When the holder's lease ends or its key is deleted, its context ends too, promptly and with ErrLost, and the next in line holds the lock.
//
//kata:zh 持有者的租约失效或键被删除，它的 context 很快以 ErrLost 结束，锁归队伍里的下一个。
func TestLost(t *testing.T) {
	w := begin(t)
	for how, lose := range map[string]func(etcdtest.Entry){
		"its lease ended":             func(e etcdtest.Entry) { w.Expire(t, e.Lease) },
		"an operator deleted its key": func(e etcdtest.Entry) { w.Delete(t, e.Key) },
	} {
		holder := w.lock(w.Client(t), "lost", long)
		next := w.queue(w.Client(t), "lost", 2)
		if err := holder.Context().Err(); err != nil {
			t.Fatalf("the holder's context has ended (%v) while the lock is held", context.Cause(holder.Context()))
		}
		lose(w.Entries(t, "locks/lost/")[0])
		if cause := w.ended(holder.Context(), how); !errors.Is(cause, etcdlock.ErrLost) {
			t.Errorf("%s: the cause of the holder's context is %v, want ErrLost", how, cause)
		}
		w.release(w.get(next))
		if err := holder.Release(w.ctx); !errors.Is(err, etcdlock.ErrLost) {
			t.Errorf("%s: Release() = %v, want ErrLost", how, err)
		}
	}
}

// One who gives up in the middle of the line does not let the one behind it in.
//
//kata:zh 队伍中间有人放弃，不会让排在它后面的人提前进来。
func TestWaiterGivesUp(t *testing.T) {
	w := begin(t)
	holder := w.lock(w.Client(t), "middle", long)
	ctx, cancel := context.WithCancelCause(w.ctx)
	middle := w.queueUntil(ctx, w.Client(t), "middle", 2)
	behind := w.Client(t)
	last := w.queue(behind, "middle", 3)
	ahead := w.Entries(t, "locks/middle/")
	why := errors.New("enough waited")
	cancel(why)
	if _, err := w.result(middle); !errors.Is(err, why) {
		t.Errorf("the context of Acquire was cancelled: it returned %v, want the cause, %v", err, why)
	}
	w.AwaitEntries(t, "locks/middle/", 2)
	// The last one has heard of it when it looks at the holder's key instead.
	behind.Await(func() bool { return watchesOf(behind, ahead[0].Key) > 0 || polls(behind) || isDone(last) })
	last.stillWaits(t, "the first one still holds the lock: the one that it waited for had only given up")
	w.release(holder)
	w.release(w.get(last))

	// The same in an election, whose leader proclaims something in between.
	leader := w.campaign(w.Client(t), "middle", "leader")
	giving, up := context.WithCancel(w.ctx)
	gone, won := make(chan struct{}), make(chan *etcdlock.Term, 1)
	other, cli := w.Client(t), w.Client(t)
	go func() {
		defer close(gone)
		etcdlock.Campaign(giving, other.Client, "middle", "gives up", long)
	}()
	line := w.AwaitEntries(t, "elections/middle/", 2)
	go func() {
		term, err := etcdlock.Campaign(w.ctx, cli.Client, "middle", "last", long)
		if err != nil {
			t.Errorf("Campaign = %v", err)
		}
		won <- term
	}()
	w.AwaitEntries(t, "elections/middle/", 3)
	cli.Await(func() bool { return watchesOf(cli, line[1].Key) > 0 || polls(cli) || len(won) > 0 })
	if err := leader.Proclaim(w.ctx, "leader, still"); err != nil {
		t.Errorf("Proclaim() = %v", err)
	}
	up()
	<-gone
	cli.Await(func() bool { return watchesOf(cli, line[0].Key) > 0 || polls(cli) || len(won) > 0 })
	if len(won) > 0 {
		t.Fatal("Campaign returned while another one leads: the one that it waited for had only given up")
	}
	w.resign(leader)
	select {
	case term := <-won:
		w.resign(term)
	case <-time.After(etcdtest.Patience):
		t.Fatalf("the leader resigned, but the last Campaign has not returned after %v", etcdtest.Patience)
	}
}

func isDone(a *attempt) bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// watchesOf counts how often a client asked for a watch of that key.
func watchesOf(cli *etcdtest.Client, key string) int {
	n := 0
	for _, w := range cli.Watches() {
		if w.Key == key || w.Range && strings.HasPrefix(key, w.Key) {
			n++
		}
	}
	return n
}

// polls tells whether a client has sent so many requests that it must be polling.
func polls(cli *etcdtest.Client) bool { return cli.Counts().Requests > 30 }

// One whose lease ends while it waits does not get the lock: Acquire returns ErrLost.
//
//kata:zh 排队时租约失效的人得不到锁：Acquire 返回 ErrLost。
func TestLostInLine(t *testing.T) {
	w := begin(t)
	holder := w.lock(w.Client(t), "inline", long)
	waiter := w.queue(w.Client(t), "inline", 2)
	w.expireNewest("inline")
	w.release(holder)
	if l, err := w.result(waiter); !errors.Is(err, etcdlock.ErrLost) || l != nil {
		t.Errorf("Acquire = %v, %v although its lease ended while it waited, want nil, ErrLost", l, err)
	}
}

// Tokens grow from holder to holder, so that a store refuses the late write of one that lost the lock without knowing.
//
//kata:zh 防护令牌逐个持有者递增，因此存储能拒绝那个已失锁而不自知的人迟来的写入。
func TestFencing(t *testing.T) {
	w := begin(t)
	var store fenced.Store
	var id atomic.Int64
	id.Store(1 << 40)
	var tokens []int64
	for i := range 4 {
		cli := w.Client(t)
		cli.LeaseIDs(func() int64 { return id.Add(-1) })
		l := w.lock(cli, "fenced", long)
		tokens = append(tokens, l.Token())
		if err := store.Write(l.Token(), fmt.Sprintf("holder %d", i)); err != nil {
			t.Errorf("tokens %d: the store refuses the write of the present holder: %v", tokens, err)
		}
		if i > 0 {
			if err := store.Write(tokens[i-1], "late"); err == nil {
				t.Errorf("tokens %d: the store cannot tell the late write of holder %d from that of holder %d", tokens, i-1, i)
			}
		}
		if key := w.Entries(t, "locks/fenced/")[0]; l.Token() != key.Created {
			t.Errorf("Token() = %d, want the create revision of the holder's key, %d", l.Token(), key.Created)
		}
		w.expireNewest("fenced") // it sleeps through the end of its lease
	}
}

// A holder that etcd cannot be heard by for a TTL ends its own context; it does not need etcd for that.
//
//kata:zh 持有者整整一个 TTL 联系不上 etcd，就自己结束 context，不需要 etcd 来通知。
func TestCutOff(t *testing.T) {
	w := begin(t)
	cli := w.Client(t)
	holder := w.lock(cli, "cut", 2*time.Second)
	next := w.queue(w.Client(t), "cut", 2)
	cli.Cut()
	if cause := w.ended(holder.Context(), "it was cut off from etcd, with a TTL of two seconds"); !errors.Is(cause, etcdlock.ErrLost) {
		t.Errorf("cut off from etcd for a TTL: the cause of the holder's context is %v, want ErrLost", cause)
	}
	w.Expire(t, w.Entries(t, "locks/cut/")[0].Lease) // as it will by itself, a little later
	l := w.get(next)
	cli.Mend()
	if err := holder.Release(w.ctx); !errors.Is(err, etcdlock.ErrLost) {
		t.Errorf("Release() of a lock that was lost = %v, want ErrLost", err)
	}
	if err := l.Context().Err(); err != nil {
		t.Errorf("the late Release took the lock from its new holder: %v", context.Cause(l.Context()))
	}
	w.release(l)
}

// A release wakes the next in line and nobody else: the others neither get an event nor send a request.
//
//kata:zh 释放只唤醒队伍里的下一个：其他等待者既收不到事件，也不发请求（没有惊群）。
func TestNoHerd(t *testing.T) {
	w := begin(t)
	lock := w.lock(w.Client(t), "herd", long)
	const n = 10
	var clients []*etcdtest.Client
	var waiters []*attempt
	for i := range n {
		cli := w.Client(t)
		clients = append(clients, cli)
		waiters = append(waiters, w.queue(cli, "herd", i+2))
	}
	keys := w.Entries(t, "locks/herd/")
	for i, cli := range clients {
		if !watchesAnother(cli, keys[i+1].Key) {
			t.Fatalf("waiter %d of %d has sent %d requests and watches no key ahead of it: how does it learn that it is its turn?", i+1, n, cli.Counts().Requests)
		}
	}
	var before []int
	for _, cli := range clients {
		before = append(before, cli.Counts().Requests)
	}
	for _, a := range waiters {
		w.release(lock)
		lock = w.get(a)
	}
	w.release(lock)
	for i, cli := range clients {
		counts := cli.Counts()
		if counts.Events > 3 || counts.Requests-before[i] > 7 {
			t.Errorf("waiter %d of %d got %d events and sent %d requests until it had held and released the lock: it is woken by those ahead of it, not only by the one just before it",
				i+1, n, counts.Events, counts.Requests-before[i])
		}
	}
}

// watchesAnother tells whether a client watches anything but its own key.
func watchesAnother(cli *etcdtest.Client, own string) bool {
	for _, w := range cli.Watches() {
		if w.Key != own {
			return true
		}
	}
	return false
}

// The loss of one of three members, by a crash or cut off from the others, takes the lock from nobody and keeps nobody waiting.
//
//kata:zh 三个成员失去一个（崩溃，或与另外两个断开），既不会夺走谁的锁，也不会让谁一直等下去。
func TestMemberLost(t *testing.T) {
	t.Run("crash", func(t *testing.T) {
		w := begin(t)
		holder := w.lock(w.Client(t), "crash", long)
		next := w.queue(w.Client(t), "crash", 2)
		w.Stop(t, w.Leader(t))
		if err := holder.Context().Err(); err != nil {
			t.Errorf("a member crashed, and the holder's context ended: %v", context.Cause(holder.Context()))
		}
		next.stillWaits(t, "the lock is held, and no more happened than that a member crashed")
		w.Expire(t, w.Entries(t, "locks/crash/")[0].Lease)
		w.release(w.get(next))
	})
	t.Run("cut off", func(t *testing.T) {
		w := begin(t)
		w.lock(w.Client(t), "parted", long)
		cli := w.Client(t)
		next := w.queue(cli, "parted", 2)
		keys := w.Entries(t, "locks/parted/")
		isolated := cli.WatchedBy(t, w.Cluster)
		w.Isolate(t, isolated) // this member cannot know what happens from here on
		w.Expire(t, keys[0].Lease)
		l := w.get(next)
		w.Heal(t, isolated)
		w.release(l)
	})
}

// away is what happens to a client: it is cut off, the history that it would resume from is compacted, and it comes back.
func (w *world) away(cli *etcdtest.Client, meanwhile func()) {
	cli.Cut()
	meanwhile()
	w.Compact(w.t)
	cli.Mend()
}

// A waiter, a holder and an observer that come back after etcd has compacted its history neither fail nor mistake it for an event.
//
//kata:zh 断线期间 etcd 压缩了历史：等待者、持有者、观察者重连后既不会失败，也不会把压缩当成事件。
func TestCompaction(t *testing.T) {
	t.Run("waiting", func(t *testing.T) {
		w := begin(t)
		holder := w.lock(w.Client(t), "wait", long)
		cli := w.Client(t)
		waiter := w.queue(cli, "wait", 2)
		key := w.Entries(t, "locks/wait/")[0].Key
		w.away(cli, func() {})
		// Resumed, refused, and begun anew: three watches.
		cli.Await(func() bool { return watchesOf(cli, key) >= 3 || polls(cli) || isDone(waiter) })
		waiter.stillWaits(t, "the lock is held, and no more happened than that etcd compacted its history")
		w.release(holder)
		w.release(w.get(waiter))
	})
	t.Run("holding", func(t *testing.T) {
		w := begin(t)
		cli := w.Client(t)
		holder := w.lock(cli, "hold", long)
		key := w.Entries(t, "locks/hold/")[0]
		if watchesOf(cli, key.Key) > 0 {
			cli.Await(func() bool { return cli.OpenWatches() > 0 })
			w.away(cli, func() {})
			cli.Await(func() bool { return watchesOf(cli, key.Key) >= 3 || holder.Context().Err() != nil })
		}
		if err := holder.Context().Err(); err != nil {
			t.Fatalf("etcd compacted its history, and the holder's context ended: %v", context.Cause(holder.Context()))
		}
		w.Expire(t, key.Lease)
		w.ended(holder.Context(), "its lease ended")
	})
	t.Run("observing", func(t *testing.T) {
		w := begin(t)
		leader := w.Client(t)
		one := w.campaign(leader, "seen", "one")
		cli := w.Client(t)
		leaders := w.observe(cli, "seen")
		w.sees(leaders, "one")
		cli.Await(func() bool { return cli.OpenWatches() > 0 || polls(cli) })
		var two *etcdlock.Term
		w.away(cli, func() {
			w.resign(one)
			two = w.campaign(leader, "seen", "two")
		})
		w.sees(leaders, "two")
		w.resign(two)
	})
}

// What happens between a read and the watch that follows it is not missed.
//
//kata:zh 读取与随后的 watch 之间发生的事不会漏掉。
func TestNothingMissed(t *testing.T) {
	t.Run("the one ahead leaves", func(t *testing.T) {
		w := begin(t)
		w.lock(w.Client(t), "gap", long)
		key := w.Entries(t, "locks/gap/")[0]
		cli := w.Client(t)
		expire := sync.OnceFunc(func() { w.Expire(t, key.Lease) })
		cli.BeforeWatch(func(watch etcdtest.Watch) {
			if watch.Key == key.Key || watch.Range {
				expire()
			}
		})
		a := w.acquire(w.ctx, cli, "gap", long)
		if cli.Await(func() bool { return polls(cli) || len(cli.Watches()) > 1 || isDone(a) }) {
			expire() // if it waits by other means than a watch
		}
		w.release(w.get(a))
	})
	t.Run("the own lease ends", func(t *testing.T) {
		w := begin(t)
		cli := w.Client(t)
		expire := sync.OnceFunc(func() { w.expireNewest("own") })
		acquired := make(chan struct{})
		cli.BeforeWatch(func(etcdtest.Watch) {
			select {
			case <-acquired:
			case <-time.After(time.Second): // Acquire itself waits for its watch
			}
			expire()
		})
		a := w.acquire(w.ctx, cli, "own", long)
		l, err := w.result(a)
		close(acquired)
		if err == nil {
			expire() // if nothing is watched
			w.ended(l.Context(), "its lease ended, just before the holder began to watch its key")
		} else if !errors.Is(err, etcdlock.ErrLost) {
			t.Errorf("Acquire = %v, want ErrLost", err)
		}
	})
	t.Run("the leader changes", func(t *testing.T) {
		w := begin(t)
		leader := w.Client(t)
		one := w.campaign(leader, "gap", "one")
		cli := w.Client(t)
		var two *etcdlock.Term
		change := sync.OnceFunc(func() {
			w.resign(one)
			two = w.campaign(leader, "gap", "two")
		})
		cli.BeforeWatch(func(etcdtest.Watch) { change() })
		w.sees(w.observe(cli, "gap"), "two")
		w.resign(two)
	})
}

// The context of Acquire bounds the waiting only: the lock outlives it.
//
//kata:zh Acquire 的 context 只管等待：锁比它活得久。
func TestContextIsForWaiting(t *testing.T) {
	w := begin(t)
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(w.ctx, key{}, "trace"))
	cli := w.Client(t)
	l := w.get(w.acquire(ctx, cli, "waiting", 3*time.Second))
	cli.Await(func() bool { return cli.Counts().KeepAlives > 0 || l.Context().Err() != nil })
	alive := cli.Counts().KeepAlives
	cancel()
	// A lease that is kept alive once more was not given up.
	if !cli.Await(func() bool { return cli.Counts().KeepAlives > alive || l.Context().Err() != nil }) {
		t.Errorf("the context of Acquire ended, and nobody keeps the lease alive any more")
	}
	if l.Context().Err() != nil {
		t.Fatalf("the context of Acquire ended, and so did the holder's: %v", context.Cause(l.Context()))
	}
	w.release(l)
}

// Release ends the context with ErrReleased and may be called again; of a lock that was lost, it returns ErrLost.
//
//kata:zh Release 以 ErrReleased 结束 context，可以重复调用；锁已丢失时返回 ErrLost。
func TestRelease(t *testing.T) {
	w := begin(t)
	cli := w.Client(t)
	l := w.lock(cli, "released", long)
	w.release(l)
	if l.Context().Err() == nil || !errors.Is(context.Cause(l.Context()), etcdlock.ErrReleased) {
		t.Errorf("after Release, the cause of the holder's context is %v, want ErrReleased", context.Cause(l.Context()))
	}
	if err := l.Release(w.ctx); err != nil {
		t.Errorf("a second Release() = %v, want nil", err)
	}
	l = w.lock(cli, "released", long)
	w.expireNewest("released")
	for range 2 {
		if err := l.Release(w.ctx); !errors.Is(err, etcdlock.ErrLost) {
			t.Errorf("Release() of a lock whose lease had ended = %v, want ErrLost", err)
		}
	}
	l = w.lock(cli, "released", long)
	w.Delete(t, w.Entries(t, "locks/released/")[0].Key)
	if err := l.Release(w.ctx); !errors.Is(err, etcdlock.ErrLost) {
		t.Errorf("Release() of a lock whose key had just been deleted = %v, want ErrLost", err)
	}
	l = w.lock(cli, "released", long)
	ended, cancel := context.WithCancel(w.ctx)
	cancel()
	if err := l.Release(ended); err == nil && len(w.Entries(t, "locks/released/")) > 0 {
		t.Errorf("Release(a context that has ended) = nil, but the key is still there")
	}
	w.ended(l.Context(), "Release")
	w.release(l)
	if left := w.Entries(t, "locks/released/"); len(left) > 0 {
		t.Errorf("Release was called again after it had failed: still there is %v", left)
	}
}

// However a hold or an attempt ends, no key, lease, watch or goroutine is left.
//
//kata:zh 无论持有或尝试怎样结束，都不留下键、租约、watch 和 goroutine。
func TestNothingLeft(t *testing.T) {
	w := begin(t)
	leases, goroutines := w.Leases(t), own()
	cli := w.Client(t)
	left := func(cli *etcdtest.Client, after string) {
		t.Helper()
		if list := w.Entries(t, "locks/left/"); len(list) > 0 {
			t.Errorf("%s: still there is %v", after, list)
		}
		for _, lease := range w.Leases(t) {
			if !slices.Contains(leases, lease) {
				t.Errorf("%s: lease %x is left", after, int64(lease))
			}
		}
		if !cli.Await(func() bool { return cli.OpenWatches() == 0 }) {
			t.Errorf("%s: %d watch(es) are left", after, cli.OpenWatches())
		}
		if stack := newGoroutine(goroutines); stack != "" {
			t.Errorf("%s: a goroutine is left:\n%s", after, stack)
		}
	}
	w.release(w.lock(cli, "left", long))
	left(cli, "after Release")

	holder := w.lock(cli, "left", long)
	ctx, cancel := context.WithCancel(w.ctx)
	waiting := w.Client(t)
	waiter := w.queueUntil(ctx, waiting, "left", 2)
	cancel()
	if _, err := w.result(waiter); !errors.Is(err, context.Canceled) {
		t.Errorf("the context of Acquire was cancelled: it returned %v, want %v", err, context.Canceled)
	}
	if list := w.Entries(t, "locks/left/"); len(list) != 1 {
		t.Errorf("an Acquire that was cancelled has returned: the line is %v, want only the holder", list)
	}
	w.release(holder)
	left(cli, "after Release")
	left(waiting, "after a cancelled Acquire")

	for _, method := range []string{"Txn", "Put"} {
		cli.LoseAnswer(method) // the key is written, Acquire is told that it failed
		if l, err := w.result(w.acquire(w.ctx, cli, "left", long)); err == nil {
			w.release(l)
		}
		left(cli, "after an Acquire whose "+method+" was carried out while its answer was lost")
		cli.LoseAnswer("")
	}
}

// own lists the goroutines that run the learner's code: their stacks by their first line's "goroutine 17".
func own() map[string]string {
	pkg := reflect.TypeFor[etcdlock.Lock]().PkgPath() + "."
	found := map[string]string{}
	buf := make([]byte, 4<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if id, _, ok := strings.Cut(stack, " ["); ok && strings.Contains(stack, pkg) {
			found[id] = stack
		}
	}
	return found
}

// newGoroutine returns the stack of a goroutine that the learner's code left running, once that has had the time to end.
func newGoroutine(before map[string]string) string {
	deadline := time.Now().Add(etcdtest.Patience)
	for {
		left := ""
		for id, stack := range own() {
			if _, ok := before[id]; !ok {
				left = stack
			}
		}
		if left == "" || time.Now().After(deadline) {
			return left
		}
		runtime.Gosched()
	}
}

// campaign leads at once.
func (w *world) campaign(cli *etcdtest.Client, name, value string) *etcdlock.Term {
	w.t.Helper()
	term, err := etcdlock.Campaign(w.ctx, cli.Client, name, value, long)
	if err != nil {
		w.t.Fatalf("Campaign(%q, %q) = %v", name, value, err)
	}
	return term
}

func (w *world) resign(term *etcdlock.Term) {
	w.t.Helper()
	if err := term.Resign(w.ctx); err != nil {
		w.t.Errorf("Resign() = %v", err)
	}
}

func (w *world) observe(cli *etcdtest.Client, name string) <-chan etcdlock.Leader {
	ctx, cancel := context.WithCancel(w.ctx)
	w.t.Cleanup(cancel)
	return etcdlock.Observe(ctx, cli.Client, name)
}

// sees waits until Observe delivers a leader of that value, and returns it.
func (w *world) sees(leaders <-chan etcdlock.Leader, value string) etcdlock.Leader {
	w.t.Helper()
	timeout := time.After(etcdtest.Patience)
	var seen []etcdlock.Leader
	for {
		select {
		case l, ok := <-leaders:
			if !ok {
				w.t.Fatalf("Observe delivered %v and closed its channel, want a leader %q", seen, value)
			}
			if n := len(seen); n > 0 && (seen[n-1] == l || seen[n-1].Token > l.Token) {
				w.t.Errorf("Observe delivered %v after %v: the same again, or an older one", l, seen[n-1])
			}
			if l.Value == value {
				return l
			}
			seen = append(seen, l)
		case <-timeout:
			w.t.Fatalf("Observe delivered %v, and no leader %q within %v", seen, value, etcdtest.Patience)
		}
	}
}

// One leads at a time; everyone can ask who, and by which token.
//
//kata:zh 同一时刻只有一个领导者；谁都可以问是谁、令牌是多少。
func TestElection(t *testing.T) {
	w := begin(t)
	cli := w.Client(t)
	if l, err := etcdlock.Current(w.ctx, cli.Client, "led"); !errors.Is(err, etcdlock.ErrNoLeader) {
		t.Errorf("Current = %+v, %v before anybody campaigned, want ErrNoLeader", l, err)
	}
	one := w.campaign(w.Client(t), "led", "one")
	type result struct {
		term *etcdlock.Term
		err  error
	}
	won := make(chan result, 1)
	other := w.Client(t)
	go func() {
		term, err := etcdlock.Campaign(w.ctx, other.Client, "led", "two", long)
		won <- result{term, err}
	}()
	w.AwaitEntries(t, "elections/led/", 2)
	if l, err := etcdlock.Current(w.ctx, cli.Client, "led"); err != nil || l != (etcdlock.Leader{Value: "one", Token: one.Token()}) {
		t.Errorf("Current = %+v, %v while two campaign, want {one %d}: the one that came first", l, err, one.Token())
	}
	if err := one.Proclaim(w.ctx, "one, moved"); err != nil {
		t.Errorf("Proclaim() = %v", err)
	}
	if l, err := etcdlock.Current(w.ctx, cli.Client, "led"); err != nil || l.Value != "one, moved" || l.Token != one.Token() {
		t.Errorf("Current = %+v, %v after Proclaim(\"one, moved\"), want that value and the same token %d", l, err, one.Token())
	}
	w.resign(one)
	if cause := w.ended(one.Context(), "Resign"); !errors.Is(cause, etcdlock.ErrReleased) {
		t.Errorf("after Resign, the cause of the leader's context is %v, want ErrReleased", cause)
	}
	var two result
	select {
	case two = <-won:
	case <-time.After(etcdtest.Patience):
		t.Fatalf("the leader resigned, but the other Campaign has not returned after %v", etcdtest.Patience)
	}
	if two.err != nil {
		t.Fatalf("Campaign = %v", two.err)
	}
	if l, err := etcdlock.Current(w.ctx, cli.Client, "led"); err != nil || l != (etcdlock.Leader{Value: "two", Token: two.term.Token()}) {
		t.Errorf("Current = %+v, %v after the first resigned, want {two %d}", l, err, two.term.Token())
	}
	w.resign(two.term)
}

// A leader that was deposed proclaims nothing, and one that proclaims can still be deposed.
//
//kata:zh 已下台的领导者宣告不了任何东西；宣告过的领导者照样会下台。
func TestProclaim(t *testing.T) {
	w := begin(t)
	cli := w.Client(t)
	one := w.campaign(cli, "said", "one")
	if err := one.Proclaim(w.ctx, "one again"); err != nil {
		t.Errorf("Proclaim() = %v", err)
	}
	key := w.Entries(t, "elections/said/")[0]
	if key.Value != "one again" {
		t.Errorf("after Proclaim(\"one again\"), the key holds %q", key.Value)
	}
	w.Expire(t, key.Lease)
	two := w.campaign(w.Client(t), "said", "two")
	if err := one.Proclaim(w.ctx, "one, late"); !errors.Is(err, etcdlock.ErrLost) {
		t.Errorf("Proclaim() of a leader whose lease has ended = %v, want ErrLost", err)
	}
	if list := w.Entries(t, "elections/said/"); len(list) != 1 || list[0].Value != "two" {
		t.Errorf("the deposed leader's Proclaim left %v, want only the value \"two\"", list)
	}
	w.resign(two)

	// Deposed between the look whether it still leads and the write.
	three := w.campaign(cli, "said", "three")
	depose := sync.OnceFunc(func() { w.Delete(t, w.Entries(t, "elections/said/")[0].Key) })
	cli.BeforeRequest(func(method string) {
		if method == "Put" || method == "Txn" {
			depose()
		}
	})
	if err := three.Proclaim(w.ctx, "three, late"); !errors.Is(err, etcdlock.ErrLost) {
		t.Errorf("Proclaim() of a leader whose key was deleted as the write was on its way = %v, want ErrLost", err)
	}
	if list := w.Entries(t, "elections/said/"); len(list) > 0 {
		t.Errorf("Proclaim() of a leader whose key was deleted as the write was on its way has written %v", list)
	}
	if err := three.Resign(w.ctx); !errors.Is(err, etcdlock.ErrLost) {
		t.Errorf("Resign() of a deposed leader = %v, want ErrLost", err)
	}
}

// An observer sees the leader, each new leader and each new value, nothing twice, until its context ends.
//
//kata:zh 观察者能看到现任领导者、每个新领导者和每个新值，不重复，直到它的 context 结束。
func TestObserve(t *testing.T) {
	w := begin(t)
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	cli := w.Client(t)
	leaders := etcdlock.Observe(ctx, cli.Client, "watched")
	campaigner := w.Client(t)
	one := w.campaign(campaigner, "watched", "one")
	if l := w.sees(leaders, "one"); l.Token != one.Token() {
		t.Errorf("Observe delivered %+v, want the token %d", l, one.Token())
	}
	for _, value := range []string{"one b", "one c"} {
		if err := one.Proclaim(w.ctx, value); err != nil {
			t.Errorf("Proclaim(%q) = %v", value, err)
		}
		w.sees(leaders, value)
	}
	w.resign(one)
	two := w.campaign(campaigner, "watched", "one c") // the same value, another leader
	if l := w.sees(leaders, "one c"); l.Token != two.Token() {
		t.Errorf("Observe delivered %+v after a new leader came with the old one's value, want the token %d", l, two.Token())
	}
	// Someone who only joins the line changes nothing.
	joined, leave := context.WithCancel(w.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		etcdlock.Campaign(joined, campaigner.Client, "watched", "three", long)
	}()
	w.AwaitEntries(t, "elections/watched/", 2)
	leave()
	<-done
	if err := two.Proclaim(w.ctx, "two b"); err != nil {
		t.Errorf("Proclaim() = %v", err)
	}
	select {
	case l := <-leaders:
		if l.Value != "two b" {
			t.Errorf("Observe delivered %+v, want the leader's new value \"two b\" and nothing in between", l)
		}
	case <-time.After(etcdtest.Patience):
		t.Fatalf("Observe delivered nothing within %v after Proclaim(\"two b\")", etcdtest.Patience)
	}
	cancel()
	timeout := time.After(etcdtest.Patience)
	for {
		select {
		case _, ok := <-leaders:
			if !ok {
				w.resign(two)
				return
			}
		case <-timeout:
			t.Fatalf("%v after its context ended, Observe has not closed its channel", etcdtest.Patience)
		}
	}
}
