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

// long is a TTL that does not run out while a test runs, nor comes a keepalive: what a test sees happen, something else made happen.
const long = 10 * time.Minute

// world is a cluster, and the context of all calls.
type world struct {
	*etcdtest.Cluster
	t   *testing.T
	ctx context.Context
}

func begin(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*etcdtest.Patience)
	t.Cleanup(cancel)
	return &world{etcdtest.Start(t), t, ctx}
}

// attempt is an Acquire or a Campaign under way.
type attempt struct {
	call string
	line string
	done chan struct{}
	lock *etcdlock.Lock
	term *etcdlock.Term
	err  error
}

// acquire begins to acquire.
func (w *world) acquire(ctx context.Context, cli *etcdtest.Client, name string, ttl time.Duration) *attempt {
	a := &attempt{call: fmt.Sprintf("Acquire(%q)", name), line: "locks/" + name + "/", done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.lock, a.err = etcdlock.Acquire(ctx, cli.Client, name, ttl)
	}()
	return a
}

// run begins to campaign.
func (w *world) run(ctx context.Context, cli *etcdtest.Client, name, value string) *attempt {
	a := &attempt{call: fmt.Sprintf("Campaign(%q, %q)", name, value), line: "elections/" + name + "/", done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.term, a.err = etcdlock.Campaign(ctx, cli.Client, name, value, long)
	}()
	return a
}

// lock acquires at once.
func (w *world) lock(cli *etcdtest.Client, name string, ttl time.Duration) *etcdlock.Lock {
	w.t.Helper()
	return w.get(w.acquire(w.ctx, cli, name, ttl))
}

// campaign leads at once.
func (w *world) campaign(cli *etcdtest.Client, name, value string) *etcdlock.Term {
	w.t.Helper()
	return w.lead(w.run(w.ctx, cli, name, value))
}

// inLine waits until the line is n long and the attempt, the last in it, waits for another one or has returned.
func (w *world) inLine(a *attempt, cli *etcdtest.Client, n int) *attempt {
	w.t.Helper()
	line := w.AwaitEntries(w.t, a.line, n)
	cli.Await(func() bool { return watchesAnother(cli, line[n-1].Key) || polls(cli) || a.over() })
	return a
}

// queue begins to acquire with a client of its own, and waits until the line is n long and its last one waits.
func (w *world) queue(cli *etcdtest.Client, name string, n int) *attempt {
	w.t.Helper()
	return w.inLine(w.acquire(w.ctx, cli, name, long), cli, n)
}

func (a *attempt) over() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// inTheEnd waits longer than Soon: a member that has lost the others answers some requests only after many seconds.
func (w *world) inTheEnd(cond func() bool) bool {
	giveUp := time.Now().Add(etcdtest.Patience)
	for !w.Soon(cond) {
		if time.Now().After(giveUp) {
			return false
		}
	}
	return true
}

// await waits until the attempt ends.
func (w *world) await(a *attempt) {
	w.t.Helper()
	if !w.inTheEnd(a.over) {
		w.t.Fatalf("%s does not return; the line is %v", a.call, w.Entries(w.t, a.line))
	}
}

// get waits until the attempt has the lock.
func (w *world) get(a *attempt) *etcdlock.Lock {
	w.t.Helper()
	if w.await(a); a.err != nil {
		w.t.Fatalf("%s = %v", a.call, a.err)
	}
	return a.lock
}

// lead waits until the attempt leads.
func (w *world) lead(a *attempt) *etcdlock.Term {
	w.t.Helper()
	if w.await(a); a.err != nil {
		w.t.Fatalf("%s = %v", a.call, a.err)
	}
	return a.term
}

func (w *world) release(l *etcdlock.Lock) {
	w.t.Helper()
	if err := l.Release(w.ctx); err != nil {
		w.t.Fatalf("Release() = %v", err)
	}
}

func (w *world) resign(term *etcdlock.Term) {
	w.t.Helper()
	if err := term.Resign(w.ctx); err != nil {
		w.t.Fatalf("Resign() = %v", err)
	}
}

// ended waits until a context has ended, and returns the cause.
func (w *world) ended(ctx context.Context, why string) error {
	w.t.Helper()
	if !w.Soon(func() bool { return ctx.Err() != nil }) {
		w.t.Fatalf("%s, and the holder's context does not end", why)
	}
	return context.Cause(ctx)
}

// stillWaits fails if the attempt has ended.
func (a *attempt) stillWaits(t *testing.T, while string) {
	t.Helper()
	if a.over() {
		t.Fatalf("%s returned (error %v) while %s", a.call, a.err, while)
	}
}

// expireNewest ends the lease of the newest key in a lock's line, if there is one.
func (w *world) expireNewest(name string) bool {
	list := w.Entries(w.t, "locks/"+name+"/")
	if len(list) > 0 {
		w.Expire(w.t, list[len(list)-1].Lease)
	}
	return len(list) > 0
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

// watchesAnother tells whether a client watches anything but its own key.
func watchesAnother(cli *etcdtest.Client, own string) bool {
	return slices.ContainsFunc(cli.Watches(), func(w etcdtest.Watch) bool { return w.Key != own })
}

// polls tells whether a client has read the line so often that it must be polling.
func polls(cli *etcdtest.Client) bool { return cli.Counts().Ranges > 30 }

var lastID atomic.Int64

// falling chooses lease ids, each smaller than the one before.
func falling() int64 { return 1<<40 - lastID.Add(1) }

// At most one holds the lock, in the order in which they came; one who gives up in the middle of the line lets nobody in.
//
//kata:zh 同一时刻最多一个持有者，先到先得；队伍中间有人放弃，不会让后面的人提前进来。
func TestInOrder(t *testing.T) {
	w := begin(t)
	client := func() *etcdtest.Client {
		cli := w.Client(t)
		cli.LeaseIDs(falling) // ids say nothing about who came first
		return cli
	}
	holder := w.lock(client(), "one", long)
	var waiters []*attempt
	for i := range 4 {
		a := w.queue(client(), "one", i+2)
		a.stillWaits(t, "another one holds the lock")
		waiters = append(waiters, a)
	}
	for i, next := range waiters {
		for _, a := range waiters[i:] {
			a.stillWaits(t, fmt.Sprintf("holder %d of 5 holds the lock", i+1))
		}
		w.release(holder)
		holder = w.get(next)
	}

	ctx, cancel := context.WithCancelCause(w.ctx)
	cli := client()
	middle := w.inLine(w.acquire(ctx, cli, "one", long), cli, 2)
	cli = client()
	last := w.queue(cli, "one", 3)
	ahead := w.Entries(t, "locks/one/")
	why := errors.New("enough waited")
	cancel(why)
	if w.await(middle); !errors.Is(middle.err, why) {
		t.Errorf("the context of Acquire was cancelled: it returned %v, want the cause, %v", middle.err, why)
	}
	if line := w.Entries(t, "locks/one/"); len(line) != 2 {
		t.Fatalf("one of two waiters has given up, Acquire has returned: the line is %v, want the holder and the other waiter", line)
	}
	// The last one has heard of it when it looks at the holder's key instead.
	cli.Await(func() bool { return watchesOf(cli, ahead[0].Key) > 0 || polls(cli) || last.over() })
	last.stillWaits(t, "the first one still holds the lock: the one that it waited for had only given up")
	w.release(holder)
	w.release(w.get(last))
}

// The line is that of etcdctl lock and elect, and of one name only, even if another name begins with it.
//
//kata:zh 排的就是 etcdctl lock 和 elect 的那条队；并且只管自己的名字，即使别的名字以它开头。
func TestSameLine(t *testing.T) {
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

	term := w.campaign(cli, "shared", "us")
	resp, err := concurrency.NewElection(session, "elections/shared").Leader(w.ctx)
	if err != nil || string(resp.Kvs[0].Value) != "us" {
		t.Errorf("etcd's own recipe does not see the leader of elections/shared: %v", err)
	}
	w.resign(term)

	eu := w.lock(w.Client(t), "orders-eu", long)
	key := w.Entries(t, "locks/orders-eu/")[0].Key
	cli = w.Client(t)
	orders := w.acquire(w.ctx, cli, "orders", long)
	cli.Await(func() bool { return orders.over() || watchesOf(cli, key) > 0 || polls(cli) })
	if !orders.over() && watchesOf(cli, key) > 0 {
		t.Fatalf("Acquire(\"orders\") waits for %s: that is the line of \"orders-eu\"", key)
	}
	w.release(w.get(orders))
	w.release(eu)
}

// When the lease ends or the key is deleted, the holder's context ends promptly with ErrLost and the next in line holds the lock; who still waits gets ErrLost from Acquire.
//
//kata:zh 租约失效或键被删除：持有者的 context 很快以 ErrLost 结束，锁归下一个；还在排队的人从 Acquire 得到 ErrLost。
func TestLost(t *testing.T) {
	w := begin(t)
	holder := w.lock(w.Client(t), "lost", long)
	waiter := w.queue(w.Client(t), "lost", 2)
	w.expireNewest("lost")
	if err := holder.Context().Err(); err != nil {
		t.Fatalf("the holder's context has ended (%v) while the lock is held", context.Cause(holder.Context()))
	}
	w.release(holder)
	if w.await(waiter); !errors.Is(waiter.err, etcdlock.ErrLost) || waiter.lock != nil {
		t.Fatalf("Acquire = %v, %v although its lease ended while it waited, want nil, ErrLost", waiter.lock, waiter.err)
	}

	holder = w.lock(w.Client(t), "lost", long)
	next := w.queue(w.Client(t), "lost", 2)
	w.Delete(t, w.Entries(t, "locks/lost/")[0].Key)
	if cause := w.ended(holder.Context(), "an operator deleted the holder's key"); !errors.Is(cause, etcdlock.ErrLost) {
		t.Errorf("an operator deleted the holder's key: the cause of its context is %v, want ErrLost", cause)
	}
	w.release(w.get(next))
	if err := holder.Release(w.ctx); !errors.Is(err, etcdlock.ErrLost) {
		t.Errorf("an operator deleted the holder's key: Release() = %v, want ErrLost", err)
	}

	// The lease ends after Acquire has returned, and before the holder begins to watch its key.
	cli := w.Client(t)
	returned := make(chan struct{})
	var mu sync.Mutex
	expired := false
	expire := func() {
		mu.Lock()
		defer mu.Unlock()
		expired = expired || w.expireNewest("own")
	}
	cli.BeforeWatch(func(etcdtest.Watch) {
		select {
		case <-returned:
		case <-time.After(time.Second): // it watches first, and returns then
		}
		expire()
	})
	a := w.acquire(w.ctx, cli, "own", long)
	w.await(a)
	close(returned)
	expire()
	if a.err == nil {
		w.ended(a.lock.Context(), "the lease ended just before the holder began to watch its key")
	} else if !errors.Is(a.err, etcdlock.ErrLost) {
		t.Errorf("Acquire = %v, want ErrLost", a.err)
	}
}

// Tokens grow from holder to holder, so that a store refuses the late write of one that lost the lock without knowing.
//
//kata:zh 防护令牌逐个持有者递增，因此存储能拒绝那个已失锁而不自知的人迟来的写入。
func TestFencing(t *testing.T) {
	w := begin(t)
	var store fenced.Store
	var tokens []int64
	for i := range 4 {
		cli := w.Client(t)
		cli.LeaseIDs(falling)
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

// A lease, of whole seconds, is kept alive while one waits and holds, until Release; a holder that cannot reach etcd for a TTL ends its own context.
//
//kata:zh 租约按整秒计，等待和持有期间一直续租，直到 Release；持有者整整一个 TTL 联系不上 etcd，就自己结束 context。
func TestCutOff(t *testing.T) {
	w := begin(t)
	odd := w.lock(w.Client(t), "odd", 4001*time.Millisecond)
	lease, err := w.Client(t).TimeToLive(w.ctx, w.Entries(t, "locks/odd/")[0].Lease)
	if err != nil {
		t.Fatal(err)
	}
	if lease.GrantedTTL != 5 {
		t.Errorf("Acquire with a TTL of 4.001s made a lease of %ds, want 5s", lease.GrantedTTL)
	}
	w.release(odd)

	// One that holds and one that waits, both with links: their leases do not run out.
	const some = 6 * time.Second
	holds, waits := w.Client(t), w.Client(t)
	kept := w.lock(holds, "kept", some)
	waiter := w.inLine(w.acquire(w.ctx, waits, "kept", some), waits, 2)

	// It cannot say so to etcd, but from here on it must not keep its lease alive.
	givenUp := w.lock(w.Client(t), "given up", 2*time.Second)
	ended, cancel := context.WithCancel(w.ctx)
	cancel()
	given := givenUp.Release(ended)

	cli := w.Client(t)
	holder := w.lock(cli, "cut", 2*time.Second)
	// Until its first keepalive is answered, etcd's client hopes for longer than a TTL.
	cli.Await(func() bool { return cli.Counts().KeepAlives > 0 || holder.Context().Err() != nil })
	cli.Cut()
	if cause := w.ended(holder.Context(), "the holder is cut off from etcd, with a TTL of two seconds"); !errors.Is(cause, etcdlock.ErrLost) {
		t.Errorf("cut off from etcd for a TTL: the cause of the holder's context is %v, want ErrLost", cause)
	}
	w.expireNewest("cut") // etcd's clock may be a little behind
	next := w.lock(w.Client(t), "cut", long)
	cli.Mend()
	if err := holder.Release(w.ctx); !errors.Is(err, etcdlock.ErrLost) {
		t.Errorf("Release() of a lock that was lost = %v, want ErrLost", err)
	}
	if err := next.Context().Err(); err != nil {
		t.Errorf("the late Release took the lock from its new holder: %v", context.Cause(next.Context()))
	}
	w.release(next)
	if !w.Soon(func() bool { return len(w.Entries(t, "locks/given up/")) == 0 }) {
		t.Errorf("Release(a context that has ended) = %v with a TTL of two seconds, and the lease is kept alive", given)
	}
	for who, cli := range map[string]*etcdtest.Client{"holds": holds, "waits for": waits} {
		if !cli.Await(func() bool { return cli.Counts().KeepAlives > 1 }) {
			t.Errorf("the lease of one that %s a lock was kept alive %d times, want every now and then: its TTL is %v", who, cli.Counts().KeepAlives, some)
		}
	}
	w.release(kept)
	w.release(w.get(waiter))
}

// A release wakes the next in line and nobody else: the others neither get an event nor send a request.
//
//kata:zh 释放只唤醒队伍里的下一个：其他等待者既收不到事件，也不发请求（没有惊群）。
func TestNoHerd(t *testing.T) {
	w := begin(t)
	lock := w.lock(w.Client(t), "herd", long)
	const n = 7
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
			t.Fatalf("waiter %d of %d has read the line %d times and watches no key ahead of it: how does it learn that it is its turn?", i+1, n, cli.Counts().Ranges)
		}
	}
	var before []int
	for _, cli := range clients {
		before = append(before, cli.Counts().Ranges)
	}
	for _, a := range waiters {
		w.release(lock)
		lock = w.get(a)
	}
	w.release(lock)
	for i, cli := range clients {
		counts := cli.Counts()
		if counts.Events > 4 || counts.Ranges-before[i] > 4 {
			t.Errorf("waiter %d of %d got %d events and read the line %d times until it had held and released the lock: it is woken by those ahead of it, not only by the one just before it",
				i+1, n, counts.Events, counts.Ranges-before[i])
		}
	}
}

// The loss of one of three members, by a crash or cut off from the others, takes the lock from nobody and keeps nobody waiting.
//
//kata:zh 三个成员失去一个（崩溃，或与另外两个断开），既不会夺走谁的锁，也不会让谁一直等下去。
func TestMemberLost(t *testing.T) {
	w := begin(t)
	w.lock(w.Client(t), "parted", long)
	cli := w.Client(t)
	next := w.queue(cli, "parted", 2)
	keys := w.Entries(t, "locks/parted/")
	isolated := cli.WatchedBy(t, w.Cluster)
	one := w.campaign(w.Client(t), "parted", "one")
	second := w.Client(t)
	two := w.inLine(w.run(w.ctx, second, "parted", "two"), second, 2)
	observer, leaders := w.observedThrough(isolated, "parted")
	w.Isolate(t, isolated) // this member cannot know what happens from here on
	w.Expire(t, keys[0].Lease)
	w.Expire(t, w.Entries(t, "elections/parted/")[0].Lease)
	asked, looked := cli.Counts().Requests, observer.Counts().Requests
	if !w.Soon(func() bool { return cli.OpenWatches() == 0 || cli.Counts().Requests > asked || next.over() }) {
		t.Fatalf("the member that serves its watch has lost the others, and Acquire neither ends that watch nor asks anyone else: it waits for ever")
	}
	if !w.Soon(func() bool { return observer.OpenWatches() == 0 || observer.Counts().Requests > looked }) {
		t.Fatalf("the member that serves its watch has lost the others, and Observe neither ends that watch nor asks anyone else: it waits for ever")
	}
	l := w.get(next)
	w.sees(leaders, "two")
	term := w.lead(two)
	w.Heal(t, isolated)
	w.release(l)
	w.ended(one.Context(), "the leader's lease ended")
	w.resign(term)

	holder := w.lock(w.Client(t), "crash", long)
	next = w.queue(w.Client(t), "crash", 2)
	w.Stop(t, w.Leader(t))
	if err := holder.Context().Err(); err != nil {
		t.Errorf("a member crashed, and the holder's context ended: %v", context.Cause(holder.Context()))
	}
	next.stillWaits(t, "the lock is held, and no more happened than that a member crashed")
	w.Expire(t, w.Entries(t, "locks/crash/")[0].Lease)
	w.release(w.get(next))
}

// observedThrough observes an election through a member: with one client after the other, as clients choose theirs by chance.
func (w *world) observedThrough(member int, name string) (cli *etcdtest.Client, leaders <-chan etcdlock.Leader) {
	w.t.Helper()
	for range 24 {
		cli = w.Client(w.t)
		leaders = w.observe(cli, name)
		w.sees(leaders, "one")
		if cli.WatchedBy(w.t, w.Cluster) == member {
			break
		}
	}
	return cli, leaders
}

// away is what happens to a client: it is cut off, the history that it would resume from is compacted, and it comes back.
func (w *world) away(cli *etcdtest.Client, meanwhile func()) {
	cli.Cut()
	meanwhile()
	w.Compact(w.t)
	cli.Mend()
}

// Nothing is missed between a read and the watch that follows, nor mistaken when etcd has compacted the history that a watch would resume from.
//
//kata:zh 读取与随后的 watch 之间发生的事不会漏掉；watch 要续的历史被压缩了，也不会失败或误判。
func TestNothingMissed(t *testing.T) {
	w := begin(t)
	w.theOneAheadLeaves()
	w.theLeaderChanges()
	w.compactedWhileWaiting()
	w.compactedWhileHolding()
	w.compactedWhileObserving()
}

func (w *world) theOneAheadLeaves() {
	w.t.Helper()
	w.lock(w.Client(w.t), "gap", long)
	key := w.Entries(w.t, "locks/gap/")[0]
	cli := w.Client(w.t)
	expire := sync.OnceFunc(func() { w.Expire(w.t, key.Lease) })
	cli.BeforeWatch(func(watch etcdtest.Watch) {
		if watch.Key == key.Key || watch.Range {
			expire()
		}
	})
	a := w.acquire(w.ctx, cli, "gap", long)
	if cli.Await(func() bool { return polls(cli) || watchesOf(cli, key.Key) > 0 || a.over() }) {
		expire() // if it waits by other means than a watch
	}
	if !w.Soon(a.over) {
		w.t.Fatalf("the one ahead was gone just before Acquire began to watch its key: Acquire does not return; the line is %v", w.Entries(w.t, a.line))
	}
	w.release(w.get(a))
}

func (w *world) theLeaderChanges() {
	w.t.Helper()
	leader := w.Client(w.t)
	one := w.campaign(leader, "gap", "one")
	cli := w.Client(w.t)
	changed := make(chan *attempt, 1)
	change := sync.OnceFunc(func() {
		if err := one.Resign(w.ctx); err == nil {
			two := w.run(w.ctx, leader, "gap", "two")
			<-two.done
			changed <- two
		}
	})
	cli.BeforeWatch(func(etcdtest.Watch) { change() })
	w.sees(w.observe(cli, "gap"), "two")
	w.resign(w.lead(<-changed))
}

func (w *world) compactedWhileWaiting() {
	w.t.Helper()
	holder := w.lock(w.Client(w.t), "wait", long)
	cli := w.Client(w.t)
	waiter := w.queue(cli, "wait", 2)
	key := w.Entries(w.t, "locks/wait/")[0].Key
	w.away(cli, func() {})
	// Resumed, refused, and begun anew: three watches.
	cli.Await(func() bool { return watchesOf(cli, key) >= 3 || polls(cli) || waiter.over() })
	waiter.stillWaits(w.t, "the lock is held, and no more happened than that etcd compacted its history")
	w.release(holder)
	w.release(w.get(waiter))
}

func (w *world) compactedWhileHolding() {
	w.t.Helper()
	cli := w.Client(w.t)
	holder := w.lock(cli, "hold", long)
	key := w.Entries(w.t, "locks/hold/")[0]
	// It watches its key, or asks for it now and then.
	cli.Await(func() bool { return watchesOf(cli, key.Key) > 0 || cli.Counts().Requests > 4 })
	if watchesOf(cli, key.Key) > 0 {
		w.away(cli, func() {})
		cli.Await(func() bool { return watchesOf(cli, key.Key) >= 3 || holder.Context().Err() != nil })
	}
	if err := holder.Context().Err(); err != nil {
		w.t.Fatalf("etcd compacted its history, and the holder's context ended: %v", context.Cause(holder.Context()))
	}
	w.release(holder)
}

func (w *world) compactedWhileObserving() {
	w.t.Helper()
	leader := w.Client(w.t)
	one := w.campaign(leader, "seen", "one")
	cli := w.Client(w.t)
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
}

// A hold lasts until Release, whatever becomes of the context of Acquire; Release may be called again, and says ErrLost of a lock that was lost.
//
//kata:zh 锁一直持有到 Release，与 Acquire 的 context 无关；Release 可以重复调用，锁已丢失时返回 ErrLost。
func TestRelease(t *testing.T) {
	w := begin(t)
	cli := w.Client(t)
	waiting, done := context.WithCancel(w.ctx)
	l := w.get(w.acquire(waiting, cli, "released", long))
	done()
	if l.Context().Err() != nil {
		t.Fatalf("the context of Acquire ended, and so did the holder's: %v", context.Cause(l.Context()))
	}
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
	w.ended(l.Context(), "Release was called")
	w.release(l)
	if left := w.Entries(t, "locks/released/"); len(left) > 0 {
		t.Errorf("Release was called again after it had failed: still there is %v", left)
	}

	for n := range 2 {
		var sent atomic.Int64
		w.releaseAgain(fmt.Sprintf("its context ended before it had sent more than %d request(s)", n), func(cli *etcdtest.Client, end func()) {
			cli.BeforeRequest(func(string) {
				if int(sent.Add(1)) == n+1 {
					end()
				}
			})
		})
	}
	for _, method := range []string{"Txn", "DeleteRange", "LeaseRevoke"} {
		w.releaseAgain("the answer to its "+method+" was lost", func(cli *etcdtest.Client, _ func()) { cli.LoseAnswer(method) })
	}
}

// releaseAgain has a Release disturbed half-way, and repeats it if it fails: it is the same release, not a lock that was lost.
func (w *world) releaseAgain(how string, disturb func(cli *etcdtest.Client, end func())) {
	w.t.Helper()
	leases := w.Leases(w.t)
	cli := w.Client(w.t)
	l := w.lock(cli, "halfway", long)
	ctx, end := context.WithCancel(w.ctx)
	defer end()
	disturb(cli, end)
	first := l.Release(ctx)
	if err := first; err != nil {
		if !errors.Is(err, etcdlock.ErrLost) {
			err = l.Release(w.ctx)
		}
		if err != nil {
			w.t.Errorf("Release() = %v as %s; called again, %v; want nil, for the lock was held until it was released", first, how, err)
		}
	}
	if left := w.Entries(w.t, "locks/halfway/"); len(left) > 0 {
		w.t.Errorf("Release() has succeeded although %s: still there is %v", how, left)
	}
	for _, lease := range w.Leases(w.t) {
		if !slices.Contains(leases, lease) {
			w.t.Errorf("Release() has succeeded although %s: lease %x is left", how, int64(lease))
		}
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
			t.Fatalf("%s: still there is %v", after, list)
		}
		for _, lease := range w.Leases(t) {
			if !slices.Contains(leases, lease) {
				t.Errorf("%s: lease %x is left", after, int64(lease))
			}
		}
		if !cli.Await(func() bool { return cli.OpenWatches() == 0 }) {
			t.Fatalf("%s: %d watch(es) are left", after, cli.OpenWatches())
		}
		if stack := w.newGoroutine(goroutines); stack != "" {
			t.Errorf("%s: a goroutine is left:\n%s", after, stack)
		}
	}
	w.release(w.lock(cli, "left", long))
	left(cli, "after Release")

	holder := w.lock(cli, "left", long)
	ctx, cancel := context.WithCancel(w.ctx)
	waiting := w.Client(t)
	waiter := w.inLine(w.acquire(ctx, waiting, "left", long), waiting, 2)
	cancel()
	if w.await(waiter); !errors.Is(waiter.err, context.Canceled) {
		t.Errorf("the context of Acquire was cancelled: it returned %v, want %v", waiter.err, context.Canceled)
	}
	if list := w.Entries(t, "locks/left/"); len(list) != 1 {
		t.Fatalf("an Acquire that was cancelled has returned: the line is %v, want only the holder", list)
	}
	w.release(holder)
	left(cli, "after Release")
	left(waiting, "after a cancelled Acquire")

	for _, method := range []string{"Txn", "Put"} {
		cli.LoseAnswer(method) // the key is written, Acquire is told that it failed
		a := w.acquire(w.ctx, cli, "left", long)
		if w.await(a); a.err == nil {
			w.release(a.lock)
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
func (w *world) newGoroutine(before map[string]string) (left string) {
	w.Soon(func() bool {
		left = ""
		for id, stack := range own() {
			if _, ok := before[id]; !ok {
				left = stack
			}
		}
		return left == ""
	})
	return left
}

func (w *world) observe(cli *etcdtest.Client, name string) <-chan etcdlock.Leader {
	ctx, cancel := context.WithCancel(w.ctx)
	w.t.Cleanup(cancel)
	return etcdlock.Observe(ctx, cli.Client, name)
}

// next waits for what Observe delivers next, and returns false when it has closed its channel.
func (w *world) next(leaders <-chan etcdlock.Leader, want string) (l etcdlock.Leader, ok bool) {
	w.t.Helper()
	if !w.inTheEnd(func() bool {
		select {
		case l, ok = <-leaders:
			return true
		default:
			return false
		}
	}) {
		w.t.Fatalf("Observe delivers nothing more, want %s", want)
	}
	return l, ok
}

// sees waits until Observe delivers a leader of that value, and returns it.
func (w *world) sees(leaders <-chan etcdlock.Leader, value string) etcdlock.Leader {
	w.t.Helper()
	var seen []etcdlock.Leader
	for {
		l, ok := w.next(leaders, fmt.Sprintf("a leader %q", value))
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
	}
}

// One leads at a time, in order of arrival, and everyone can ask who; a leader that was deposed proclaims nothing, and one that proclaims can still be deposed.
//
//kata:zh 同一时刻只有一个领导者，先到先当，谁都可以问是谁；已下台的宣告不了任何东西，宣告过的照样会下台。
func TestElection(t *testing.T) {
	w := begin(t)
	cli := w.Client(t)
	if l, err := etcdlock.Current(w.ctx, cli.Client, "led"); !errors.Is(err, etcdlock.ErrNoLeader) {
		t.Errorf("Current = %+v, %v before anybody campaigned, want ErrNoLeader", l, err)
	}
	one := w.campaign(w.Client(t), "led", "one")

	// Two stands behind one that gives up after the leader has proclaimed something: that does not make two the leader.
	giving, up := context.WithCancel(w.ctx)
	other := w.Client(t)
	gone := w.inLine(w.run(giving, other, "led", "gives up"), other, 2)
	second := w.Client(t)
	two := w.inLine(w.run(w.ctx, second, "led", "two"), second, 3)
	line := w.Entries(t, "elections/led/")
	if l, err := etcdlock.Current(w.ctx, cli.Client, "led"); err != nil || l != (etcdlock.Leader{Value: "one", Token: one.Token()}) {
		t.Errorf("Current = %+v, %v while three campaign, want {one %d}: the one that came first", l, err, one.Token())
	}
	if err := one.Proclaim(w.ctx, "one, moved"); err != nil {
		t.Errorf("Proclaim() = %v", err)
	}
	up()
	if w.await(gone); !errors.Is(gone.err, context.Canceled) {
		t.Errorf("Campaign = %v although its context was cancelled while \"one\" led, want %v", gone.err, context.Canceled)
	}
	if line := w.Entries(t, "elections/led/"); len(line) != 2 {
		t.Fatalf("one of three has given up, Campaign has returned: the line is %v, want \"one\" and \"two\"", line)
	}
	second.Await(func() bool { return watchesOf(second, line[0].Key) > 0 || polls(second) || two.over() })
	two.stillWaits(t, "\"one\" leads: the one that it waited for had only given up")
	if l, err := etcdlock.Current(w.ctx, cli.Client, "led"); err != nil || l.Value != "one, moved" || l.Token != one.Token() {
		t.Errorf("Current = %+v, %v after Proclaim(\"one, moved\"), want that value and the same token %d", l, err, one.Token())
	}
	w.resign(one)
	if cause := w.ended(one.Context(), "the leader resigned"); !errors.Is(cause, etcdlock.ErrReleased) {
		t.Errorf("after Resign, the cause of the leader's context is %v, want ErrReleased", cause)
	}
	if err := one.Resign(w.ctx); err != nil {
		t.Errorf("a second Resign() = %v, want nil", err)
	}
	term := w.lead(two)
	if l, err := etcdlock.Current(w.ctx, cli.Client, "led"); err != nil || l != (etcdlock.Leader{Value: "two", Token: term.Token()}) {
		t.Errorf("Current = %+v, %v after the first resigned, want {two %d}", l, err, term.Token())
	}
	w.resign(term)

	standing, stop := context.WithCancel(w.ctx)
	one = w.lead(w.run(standing, cli, "said", "one"))
	stop()
	if one.Context().Err() != nil {
		t.Errorf("the context of Campaign ended, and so did the leader's: %v", context.Cause(one.Context()))
	}
	if err := one.Proclaim(w.ctx, "one again"); err != nil {
		t.Errorf("Proclaim() = %v", err)
	}
	key := w.Entries(t, "elections/said/")[0]
	if key.Value != "one again" {
		t.Errorf("after Proclaim(\"one again\"), the key holds %q", key.Value)
	}
	w.Expire(t, key.Lease)
	term = w.campaign(w.Client(t), "said", "two")
	if err := one.Proclaim(w.ctx, "one, late"); !errors.Is(err, etcdlock.ErrLost) {
		t.Errorf("Proclaim() of a leader whose lease has ended = %v, want ErrLost", err)
	}
	if list := w.Entries(t, "elections/said/"); len(list) != 1 || list[0].Value != "two" {
		t.Errorf("the deposed leader's Proclaim left %v, want only the value \"two\"", list)
	}
	w.resign(term)

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
	if l, ok := w.next(leaders, "the new value \"two b\""); !ok || l.Value != "two b" {
		t.Errorf("Observe delivered %+v, want the leader's new value \"two b\" and nothing in between", l)
	}
	w.resign(two)
	cancel()
	for {
		if _, ok := w.next(leaders, "its channel closed, as its context has ended"); !ok {
			return
		}
	}
}
