// A lock in ZooKeeper, exclusive or shared, while connections break and sessions end.
//
//kata:level 3
//kata:minutes 150
//kata:engine simulated ZooKeeper, the client is go-zookeeper 1.0.4
//kata:timeout 60s
package zklock_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/roadkata/roadkata/stage3/distributed/zklock"
	"github.com/roadkata/roadkata/stage3/internal/kit/zktest"
)

// long is a session timeout that does not run out while a test runs: what a test sees happen, something else made happen.
const long = 40 * time.Second

// soon is how long a test waits for what a wrong solution may never do, where it can go on without.
const soon = 2 * time.Second

var anyone = zk.WorldACL(zk.PermAll)

// world is a server, the line of one lock, and the context of all calls.
type world struct {
	*zktest.Server
	t    *testing.T
	ctx  context.Context
	name string
	dir  string
}

func begin(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*zktest.Patience)
	t.Cleanup(cancel)
	w := &world{Server: zktest.Start(t), t: t, ctx: ctx}
	w.rename("orders")
	return w
}

// rename goes on with another lock.
func (w *world) rename(name string) {
	w.name = w.Name(name)
	w.dir = "/locks/" + w.name
}

// client is a client with a link of its own.
type client struct {
	*zklock.Client
	*zktest.Link
}

func (w *world) client(timeout time.Duration) *client {
	w.t.Helper()
	link := w.Link(w.t)
	c, err := zklock.Connect(link.Servers(), timeout)
	if err != nil {
		w.t.Fatalf("Connect(%v, %v) = %v", link.Servers(), timeout, err)
	}
	w.t.Cleanup(c.Close)
	return &client{c, link}
}

// attempt is a Lock or an RLock under way.
type attempt struct {
	*client
	call string
	from int // how many requests its client had made before
	done chan struct{}
	hold *zklock.Hold
	err  error
}

func (w *world) lock(ctx context.Context, cli *client) *attempt {
	return w.try(ctx, cli, "Lock", cli.Client.Lock)
}

func (w *world) rlock(ctx context.Context, cli *client) *attempt {
	return w.try(ctx, cli, "RLock", cli.Client.RLock)
}

func (w *world) try(ctx context.Context, cli *client, method string, call func(context.Context, string) (*zklock.Hold, error)) *attempt {
	a := &attempt{client: cli, call: fmt.Sprintf("%s(%q)", method, w.name), from: len(cli.Requests()), done: make(chan struct{})}
	name := w.name
	go func() {
		defer close(a.done)
		a.hold, a.err = call(ctx, name)
	}()
	return a
}

func (a *attempt) over() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// get waits until the attempt has the lock.
func (w *world) get(a *attempt) *zklock.Hold {
	w.t.Helper()
	w.await(a)
	if a.err != nil || a.hold == nil {
		w.t.Fatalf("%s = %v, %v", a.call, a.hold, a.err)
	}
	return a.hold
}

// await waits until the attempt has ended.
func (w *world) await(a *attempt) {
	w.t.Helper()
	if !zktest.Within(3*soon, a.over) {
		w.t.Fatalf("%s does not return; the line is %v", a.call, w.Children(w.t, w.dir))
	}
}

// held takes the lock at once.
func (w *world) held(cli *client) *zklock.Hold {
	w.t.Helper()
	return w.get(w.lock(w.ctx, cli))
}

func (w *world) release(h *zklock.Hold) {
	w.t.Helper()
	if err := h.Release(w.ctx); err != nil {
		w.t.Fatalf("Release() = %v", err)
	}
}

// watches counts how often the client has asked for a watch of that node.
func (c *client) watches(path string) (n int) {
	for _, r := range c.Requests() {
		if r.Watch && r.Path == path {
			n++
		}
	}
	return n
}

// polls tells whether the client has asked so often that it must be polling.
func (c *client) polls() bool { return len(c.Requests()) > 60 }

// inLine waits until the line is n long and the attempt, the last in it, watches another node, or has returned.
func (w *world) inLine(a *attempt, n int) *attempt {
	w.t.Helper()
	line := w.AwaitChildren(w.t, w.dir, n)
	own := line[n-1].Path
	zktest.Within(soon, func() bool {
		for _, r := range a.Requests()[a.from:] {
			if r.Watch && r.Path != own {
				return true
			}
		}
		return a.over() || a.polls()
	})
	return a
}

// stillWaits fails if the attempt has ended.
func (a *attempt) stillWaits(t *testing.T, while string) {
	t.Helper()
	if a.over() {
		t.Fatalf("%s returned (error %v) while %s", a.call, a.err, while)
	}
}

// lost waits until a hold's context has ended with ErrLost.
func (w *world) lost(h *zklock.Hold, why string) {
	w.t.Helper()
	if !zktest.Within(soon, func() bool { return h.Context().Err() != nil }) {
		w.t.Fatalf("%s, and the holder's context does not end", why)
	}
	if cause := context.Cause(h.Context()); !errors.Is(cause, zklock.ErrLost) {
		w.t.Errorf("%s: the cause of the holder's context is %v, want ErrLost", why, cause)
	}
}

// node adds a contender that is none of the learner's.
func (w *world) node(conn *zk.Conn, prefix string) string {
	w.t.Helper()
	p, err := conn.Create(w.dir+"/"+prefix, nil, zk.FlagEphemeralSequential, anyone)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// At most one holds the lock, in the order of the nodes' numbers; one who gives up in the middle of the line lets nobody in.
//
//kata:zh 同一时刻最多一个持有者，按节点序号先到先得；队伍中间有人放弃，不会让后面的人提前进来。
func TestInOrder(t *testing.T) {
	w := begin(t)
	w.inOrder()
	w.namesSayNothing()
	w.middleGivesUp()
	w.goneBeforeTheWatch()
}

func (w *world) inOrder() {
	w.t.Helper()
	holder := w.held(w.client(long))
	var waiters []*attempt
	for i := range 3 {
		a := w.inLine(w.lock(w.ctx, w.client(long)), i+2)
		a.stillWaits(w.t, "another one holds the lock")
		waiters = append(waiters, a)
	}
	for i, next := range waiters {
		for _, a := range waiters[i:] {
			a.stillWaits(w.t, fmt.Sprintf("holder %d of 4 holds the lock", i+1))
		}
		w.release(holder)
		holder = w.get(next)
	}
	w.release(holder)
}

// namesSayNothing has others in the line, whose names sort before and after all that a solution can choose.
func (w *world) namesSayNothing() {
	w.t.Helper()
	w.rename("sorted")
	w.Create(w.t, "/locks")
	w.Create(w.t, w.dir)
	conn := w.Link(w.t).Dial(w.t, long)
	first := w.node(conn, "~-lock-")
	a := w.inLine(w.lock(w.ctx, w.client(long)), 2)
	w.node(conn, "!-lock-")
	a.stillWaits(w.t, fmt.Sprintf("%s is ahead in the line: only the number tells the place", first))
	w.Delete(w.t, first)
	if !zktest.Within(soon, a.over) {
		w.t.Fatalf("%s still waits although it is the head of the line %v: only the number tells the place", a.call, w.Children(w.t, w.dir))
	}
	w.release(w.get(a))
}

func (w *world) middleGivesUp() {
	w.t.Helper()
	w.rename("middle")
	holder := w.held(w.client(long))
	first := w.Children(w.t, w.dir)[0]
	ctx, cancel := context.WithCancelCause(w.ctx)
	middle := w.inLine(w.lock(ctx, w.client(long)), 2)
	last := w.inLine(w.lock(w.ctx, w.client(long)), 3)

	// It is written to, not left.
	second := w.Children(w.t, w.dir)[1]
	w.Set(w.t, second.Path, "moved")
	zktest.Within(soon, func() bool { return last.watches(second.Path) != 1 || last.over() || last.polls() })
	last.stillWaits(w.t, "two are ahead of it: somebody has only written to the node before it")

	why := errors.New("enough waited")
	cancel(why)
	if w.await(middle); !errors.Is(middle.err, why) {
		w.t.Errorf("the context of Lock was cancelled: it returned %v, want the cause, %v", middle.err, why)
	}
	w.AwaitChildren(w.t, w.dir, 2)
	// The last one has heard of it when it looks at the holder's node instead.
	zktest.Within(soon, func() bool { return last.watches(first.Path) > 0 || last.over() || last.polls() })
	last.stillWaits(w.t, "the first one still holds the lock: the one before it had only given up")
	w.release(holder)
	w.release(w.get(last))
}

func (w *world) goneBeforeTheWatch() {
	w.t.Helper()
	w.rename("gap")
	w.held(w.client(long))
	first := w.Children(w.t, w.dir)[0].Path
	cli := w.client(long)
	gone := sync.OnceFunc(func() { w.Delete(w.t, first) })
	cli.BeforeRequest(func(r zktest.Request) {
		if r.Watch && r.Path == first {
			gone()
		}
	})
	a := w.lock(w.ctx, cli)
	if !zktest.Within(soon, func() bool {
		return cli.watches(first) > 0 || len(w.Children(w.t, w.dir)) == 2 && cli.watches(w.dir) > 0 || cli.polls()
	}) {
		w.t.Logf("%s does not watch %s", a.call, first)
	}
	gone()
	if !zktest.Within(soon, a.over) {
		w.t.Fatalf("the one before it left after %s had read the line and before it watched: it waits for what has happened; the line is %v", a.call, w.Children(w.t, w.dir))
	}
	w.release(w.get(a))
}

// The line is that of zk.NewLock, and may lie below nodes that come and go; tokens grow all the same.
//
//kata:zh 排的就是 zk.NewLock 的那条队；上级节点可以不存在、可以被删掉，令牌照样递增。
func TestSameLine(t *testing.T) {
	w := begin(t)
	cli := w.client(long)
	hold := w.held(cli) // nothing is there yet
	token := hold.Token()
	if token <= 0 {
		t.Errorf("Token() = %d, want the zxid of the node's creation", token)
	}
	if list := w.Children(t, w.dir); len(list) == 1 && list[0].Created != token {
		t.Errorf("Token() = %d, want %d, the zxid that created %v", token, list[0].Created, list[0].Path)
	}
	for i := range 2 {
		w.release(hold)
		w.AwaitChildren(t, w.dir, 0)
		if i == 1 {
			w.Delete(t, w.dir) // as some clean-up job does
		}
		hold = w.held(cli)
		if hold.Token() <= token {
			t.Errorf("the token is %d, the holder before had %d: want it to grow", hold.Token(), token)
		}
		token = hold.Token()
	}
	w.release(hold)

	w.rename("shared-line")
	recipe := zk.NewLock(w.Link(t).Dial(t, long), w.dir, anyone)
	if err := recipe.Lock(); err != nil {
		t.Fatal(err)
	}
	a := w.inLine(w.lock(w.ctx, cli), 2)
	a.stillWaits(t, "zk.NewLock's lock is held")
	if err := recipe.Unlock(); err != nil {
		t.Fatal(err)
	}
	hold = w.get(a)
	theirs := make(chan error, 1)
	link := w.Link(t)
	recipe = zk.NewLock(link.Dial(t, long), w.dir, anyone)
	go func() { theirs <- recipe.Lock() }()
	ours := w.AwaitChildren(t, w.dir, 2)[0].Path
	if !zktest.Within(soon, func() bool { return link.Watched(ours) || len(theirs) > 0 }) {
		t.Errorf("zk.NewLock does not wait for %s, which holds the lock", ours)
	}
	if len(theirs) > 0 {
		t.Fatalf("zk.NewLock's Lock() = %v while %s holds the lock, want it to wait", <-theirs, ours)
	}
	w.release(hold)
	select {
	case err := <-theirs:
		if err != nil {
			t.Errorf("zk.NewLock's Lock() = %v in one line with ours", err)
		}
	case <-time.After(soon):
		t.Errorf("zk.NewLock's Lock() does not return after ours was released")
	}
}

// A release wakes the next in line and no one else, and nobody polls.
//
//kata:zh 释放只唤醒队伍里的下一个，没有惊群；也没有人轮询。
func TestNoHerd(t *testing.T) {
	w := begin(t)
	holder := w.held(w.client(long))
	var waiters []*attempt
	for i := range 4 {
		waiters = append(waiters, w.inLine(w.lock(w.ctx, w.client(long)), i+2))
	}
	for len(waiters) > 2 {
		next := waiters[0]
		waiters = waiters[1:]
		w.undisturbed("a release woke one who is not next in line", waiters, func() {
			w.release(holder)
			holder = w.get(next)
		})
	}
	w.release(holder)
	for _, a := range waiters {
		w.release(w.get(a))
	}

	w.rename("shared")
	holder = w.held(w.client(long))
	ctx, up := context.WithCancel(w.ctx)
	defer up()
	gives := w.inLine(w.rlock(ctx, w.client(long)), 2)
	three := w.inLine(w.rlock(w.ctx, w.client(long)), 3)
	w.undisturbed("a shared one ahead gave up, and that woke a shared one that waits only for the holder", []*attempt{three}, func() {
		up()
		w.await(gives)
		w.AwaitChildren(t, w.dir, 2)
	})
	w.release(holder)
	w.release(w.get(three))
}

// undisturbed fails when an event reaches the others, or they ask for something, while that happens and for some time more.
func (w *world) undisturbed(what string, others []*attempt, happens func()) {
	w.t.Helper()
	type count struct{ requests, events int }
	before := map[*attempt]count{}
	for _, a := range others {
		before[a] = count{len(a.Requests()), a.Events()}
	}
	happens()
	zktest.Within(100*time.Millisecond, func() bool {
		for _, a := range others {
			requests, events := a.Requests(), a.Events()-before[a].events
			if n := len(requests) - before[a].requests; n > 0 || events > 0 {
				w.t.Fatalf("%s: it was sent %d watch event(s) and has asked %v", what, events, requests[len(requests)-n:])
			}
		}
		return false
	})
}

// Shared holders hold together; an exclusive one waits for all ahead of it, and a shared one for every exclusive one ahead, and for nobody else.
//
//kata:zh 共享锁可以同时持有；独占者等前面所有人，共享者等前面所有独占者，除此之外谁也不等。
func TestShared(t *testing.T) {
	w := begin(t)
	reader := func(n int) *attempt {
		a := w.rlock(w.ctx, w.client(long))
		return w.inLine(a, n)
	}
	one := w.get(w.rlock(w.ctx, w.client(long)))
	two := w.rlock(w.ctx, w.client(long))
	if !zktest.Within(soon, two.over) {
		t.Fatalf("%s waits although only a shared one is ahead of it", two.call)
	}
	writer := w.inLine(w.lock(w.ctx, w.client(long)), 3)
	writer.stillWaits(t, "two share the lock")
	three, four := reader(4), reader(5)
	for _, a := range []*attempt{three, four} {
		a.stillWaits(t, "an exclusive one waits ahead of it, which would never have its turn")
	}

	line := w.Children(t, w.dir)
	w.release(w.get(two))
	zktest.Within(soon, func() bool { return writer.watches(line[0].Path) > 0 || writer.over() || writer.polls() })
	writer.stillWaits(t, "one of the two that shared the lock still holds it")
	w.release(one)
	exclusive := w.get(writer)
	three.stillWaits(t, "an exclusive one holds the lock")
	four.stillWaits(t, "an exclusive one holds the lock")
	w.release(exclusive)
	for _, a := range []*attempt{three, four} {
		if !zktest.Within(soon, a.over) {
			t.Fatalf("%s still waits: the line is %v, all of them shared", a.call, w.Children(t, w.dir))
		}
		w.get(a)
	}
	w.release(three.hold)
	w.release(four.hold)
}

// If a node was created and only the answer was lost, the node is found again: no second one, no orphan.
//
//kata:zh 节点已经创建、只是应答丢失时，能认回自己的节点：不会再建一个，也不留孤儿。
func TestLostAnswer(t *testing.T) {
	w := begin(t)
	for _, lost := range [][]string{{"create"}, {"create", "getChildren"}} {
		w.rename("lost-" + strings.Join(lost, "-"))
		w.Create(t, "/locks")
		w.Create(t, w.dir)
		cli := w.client(long)
		for _, op := range lost {
			cli.LoseAnswer(op, 1)
		}
		what := "the answer to " + strings.Join(lost, ", then to ") + " was lost, the connection is back"
		a := w.lock(w.ctx, cli)
		zktest.Within(soon, func() bool { return a.over() || len(w.Children(t, w.dir)) > 1 })
		if line := w.Children(t, w.dir); len(line) > 1 {
			t.Fatalf("%s: the line is %v, want one node", what, line)
		}
		if !a.over() {
			t.Fatalf("%s: %s does not return; the line is %v", what, a.call, w.Children(t, w.dir))
		}
		if a.err != nil {
			t.Fatalf("%s: %s = %v, want the lock; the line is %v", what, a.call, a.err, w.Children(t, w.dir))
		}
		w.release(a.hold)
		if line := w.Children(t, w.dir); len(line) > 0 {
			t.Errorf("%s: after Release, there is still %v", what, line)
		}
	}

	// Nobody waits for the answer any more.
	w.rename("lost-cancelled")
	w.Create(t, w.dir)
	cli := w.client(long)
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	for _, op := range []string{"create", "sync", "getChildren"} {
		cli.LoseAnswer(op, 1)
	}
	cli.BeforeRequest(func(r zktest.Request) {
		if r.Op == "create" {
			cancel()
		}
	})
	a := w.lock(ctx, cli)
	if w.await(a); a.err == nil {
		w.release(a.hold)
	}
	if !zktest.Within(soon, func() bool { return len(w.Children(t, w.dir)) == 0 }) {
		t.Errorf("the context of Lock ended during the create whose answer was lost: there is still %v", w.Children(t, w.dir))
	}
}

// When the session expires or the node is deleted, the lock is free and the holder is told; who loses its place while waiting never holds the lock.
//
//kata:zh 会话过期或节点被删时，锁随即释放，持有者也会得知；等待期间丢了位置的人绝不会得到锁。
func TestLost(t *testing.T) {
	w := begin(t)
	cli := w.client(long)
	hold := w.held(cli)
	waiter := w.inLine(w.lock(w.ctx, w.client(long)), 2)
	cli.Expire(t)
	w.lost(hold, "the holder's session has expired")
	holder := w.get(waiter)
	if err := hold.Release(w.ctx); !errors.Is(err, zklock.ErrLost) {
		t.Errorf("Release() of a lock whose session has expired = %v, want ErrLost", err)
	}

	// The client has a new session, and can stand in the line again; it loses that one too, with its place.
	again := w.inLine(w.lock(w.ctx, cli), 2)
	held := w.Children(t, w.dir)[0].Path
	n := again.watches(held)
	again.Expire(t)
	zktest.Within(soon, func() bool { return again.over() || again.watches(held) > n || again.polls() })
	w.release(holder)
	if w.await(again); !errors.Is(again.err, zklock.ErrLost) {
		t.Fatalf("the session of one who waits has expired: %s = %v, want ErrLost; the line is %v", again.call, again.err, w.Children(t, w.dir))
	}

	// Written to, and then deleted.
	w.rename("deleted")
	cli = w.client(long)
	hold = w.held(cli)
	own := w.Children(t, w.dir)[0].Path
	n = cli.watches(own)
	w.Set(t, own, "hello")
	zktest.Within(soon/10, func() bool { return cli.watches(own) > n || hold.Context().Err() != nil })
	if hold.Context().Err() != nil {
		t.Fatalf("somebody has only written to the holder's node, and its context ended: %v", context.Cause(hold.Context()))
	}
	waiter = w.inLine(w.lock(w.ctx, w.client(long)), 2)
	w.Delete(t, own)
	w.lost(hold, "the holder's node was deleted")
	holder = w.get(waiter)
	waiter = w.inLine(w.lock(w.ctx, w.client(long)), 2)
	w.Delete(t, w.Children(t, w.dir)[1].Path)
	w.release(holder)
	if w.await(waiter); !errors.Is(waiter.err, zklock.ErrLost) {
		t.Errorf("the node of one who waits was deleted: %s = %v, want ErrLost", waiter.call, waiter.err)
	}
}

// A connection that breaks and comes back takes the lock from nobody and fails no call.
//
//kata:zh 连接断开又恢复，不会夺走任何人的锁，也不会让任何调用失败。
func TestShortCut(t *testing.T) {
	w := begin(t)
	cli := w.client(long)
	hold := w.held(cli)
	waiter := w.inLine(w.lock(w.ctx, w.client(long)), 2)
	for _, c := range []*zktest.Link{cli.Link, waiter.Link} {
		n := c.Connections()
		c.Cut()
		if !zktest.Soon(func() bool { return c.Connections() > n }) {
			t.Fatal("a client whose connection was cut does not connect again")
		}
	}
	// What is told of a broken connection has been told when the client asks again.
	w.release(w.get(w.lockElsewhere(w.ctx, cli, "elsewhere")))
	if hold.Context().Err() != nil {
		t.Fatalf("the holder's connection broke and came back, its session goes on: its context ended with %v", context.Cause(hold.Context()))
	}
	waiter.stillWaits(t, "the lock is held, and no more happened than that a connection broke and came back")

	// The turn comes while the waiter is away.
	waiter.Freeze()
	w.release(hold)
	waiter.Thaw()
	if !zktest.Within(soon, waiter.over) {
		t.Fatalf("its turn came while its connection was broken: %s still waits; the line is %v", waiter.call, w.Children(t, w.dir))
	}
	w.release(w.get(waiter))

	w.rename("answers")
	for _, op := range []string{"getChildren", "getData", "exists"} {
		holder := w.held(w.client(long))
		first := w.Children(t, w.dir)[0].Path
		cli := w.client(long)
		cli.LoseAnswer(op, 1)
		a := w.lock(w.ctx, cli)
		zktest.Within(soon, func() bool { return a.over() || cli.Watched(first) || cli.Watched(w.dir) || cli.polls() })
		if a.over() {
			t.Fatalf("the connection broke instead of answering %s, and was back at once: %s = %v, want it to wait its turn", op, a.call, a.err)
		}
		w.release(holder)
		hold := w.get(a)
		cli.LoseAnswer("delete", 1)
		if err := hold.Release(w.ctx); err != nil {
			t.Errorf("the connection broke instead of answering the delete, and was back at once: Release() = %v, want nil", err)
		}
		w.AwaitChildren(t, w.dir, 0)
	}
}

// lockElsewhere takes a lock of another name.
func (w *world) lockElsewhere(ctx context.Context, cli *client, name string) *attempt {
	other := *w
	other.rename(name)
	return other.lock(ctx, cli)
}

// A holder that is cut off from ZooKeeper ends its context by itself, when it has heard nothing for a session timeout; one that is back in time does not.
//
//kata:zh 与 ZooKeeper 断开的持有者，一个会话超时听不到音讯，就自己结束 context；及时恢复的不会。
func TestCutOff(t *testing.T) {
	w := begin(t)
	const timeout = 1500 * time.Millisecond
	silent := w.client(timeout)
	first := w.held(silent)
	waiter := w.inLine(w.lock(w.ctx, w.client(long)), 2)
	silent.Freeze()

	refused := w.client(timeout)
	second := w.get(w.lockElsewhere(w.ctx, refused, "refused"))
	refused.Down()
	ctx, cancel := context.WithTimeout(w.ctx, 50*time.Millisecond)
	defer cancel()
	late := w.lockElsewhere(ctx, refused, "late")

	const longer = 4 * time.Second
	brief := w.client(longer)
	third := w.get(w.lockElsewhere(w.ctx, brief, "brief"))
	n := brief.Connections()
	cut := time.Now()
	brief.Cut()
	if !zktest.Soon(func() bool { return brief.Connections() > n }) {
		t.Fatal("a client whose connection was cut does not connect again")
	}

	end := time.Now().Add(timeout + soon)
	for what, hold := range map[string]*zklock.Hold{"nothing is heard of ZooKeeper": first, "ZooKeeper's addresses take no connection": second} {
		if !zktest.Within(time.Until(end), func() bool { return hold.Context().Err() != nil }) {
			t.Fatalf("%s for %v (session timeout %v): the holder's context goes on", what, timeout+soon, timeout)
		}
		if cause := context.Cause(hold.Context()); !errors.Is(cause, zklock.ErrLost) {
			t.Errorf("%s: the cause of the holder's context is %v, want ErrLost", what, cause)
		}
		if err := hold.Release(w.ctx); !errors.Is(err, zklock.ErrLost) {
			t.Errorf("Release() of a lock that was lost = %v, want ErrLost", err)
		}
	}
	if w.await(late); late.err == nil {
		t.Errorf("ZooKeeper's addresses take no connection, the context of Lock has ended: %s = nil", late.call)
	}
	w.release(w.get(waiter))
	if zktest.Within(time.Until(cut.Add(longer/3)), func() bool { return third.Context().Err() != nil }) {
		t.Errorf("the connection was back at once (session timeout %v); %v later the holder's context has ended: %v", longer, time.Since(cut).Round(time.Second/10), context.Cause(third.Context()))
	}
	silent.Thaw()
	refused.Up()
	w.AwaitChildren(t, w.dir, 0)
}

// A hold lasts until Release, which takes the node away; however a hold or an attempt ends, nothing is left.
//
//kata:zh 锁一直持有到 Release，Release 会删掉节点；无论持有或尝试怎样结束，什么都不留下。
func TestNothingLeft(t *testing.T) {
	w := begin(t)
	cli := w.client(long)
	w.release(w.held(cli)) // connected, and all that a client needs runs
	running := own()
	left := func(after string) {
		t.Helper()
		if line := w.Children(t, w.dir); len(line) > 0 {
			t.Fatalf("%s: there is still %v", after, line)
		}
		if stack := newGoroutine(running); stack != "" {
			t.Errorf("%s: a goroutine is left:\n%s", after, stack)
		}
	}
	ctx, cancel := context.WithCancel(w.ctx)
	hold := w.get(w.lock(ctx, cli))
	cancel()
	if hold.Context().Err() != nil {
		t.Fatalf("the context of Lock ended, and so did the holder's: %v", context.Cause(hold.Context()))
	}
	w.release(hold)
	left("Release has returned")
	if cause := context.Cause(hold.Context()); !errors.Is(cause, zklock.ErrReleased) {
		t.Errorf("after Release, the cause of the holder's context is %v, want ErrReleased", cause)
	}
	if err := hold.Release(w.ctx); err != nil {
		t.Errorf("a second Release() = %v, want nil", err)
	}

	// Cancelled, once with a connection that breaks before it has carried the delete.
	holder := w.held(w.client(long))
	for _, cut := range []bool{false, true} {
		ctx, cancel := context.WithCancel(w.ctx)
		a := w.inLine(w.lock(ctx, cli), 2)
		if cut {
			once := sync.OnceFunc(cli.Cut)
			cli.BeforeRequest(func(r zktest.Request) {
				if r.Op == "delete" {
					once()
				}
			})
		}
		cancel()
		if w.await(a); !errors.Is(a.err, context.Canceled) {
			t.Errorf("the context of Lock was cancelled: it returned %v, want %v", a.err, context.Canceled)
		}
		if !zktest.Within(soon, func() bool { return len(w.Children(t, w.dir)) == 1 }) {
			t.Fatalf("a Lock was cancelled (connection cut meanwhile: %t): the line is %v, want only the holder", cut, w.Children(t, w.dir))
		}
	}
	cli.BeforeRequest(nil)
	w.release(holder)

	// Release cannot reach ZooKeeper, and says so; the node goes when it can.
	hold = w.held(cli)
	cli.Down()
	ctx, cancel = context.WithTimeout(w.ctx, 50*time.Millisecond)
	defer cancel()
	released := make(chan error, 1)
	go func() { released <- hold.Release(ctx) }()
	select {
	case err := <-released:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Release() = %v while ZooKeeper could not be reached and its context ended, want %v", err, context.DeadlineExceeded)
		}
	case <-time.After(soon):
		t.Errorf("the context of Release has ended, ZooKeeper cannot be reached: it does not return")
	}
	// It has tried the other addresses; now it tells all requests that there is no server, and pauses.
	if !zktest.Soon(func() bool { return cli.Refused() >= 2 }) {
		t.Fatal("a client whose connection was refused does not try again")
	}
	cli.Up()
	if !zktest.Within(2*soon, func() bool { return len(w.Children(t, w.dir)) == 0 }) {
		t.Fatalf("Release could not reach ZooKeeper, then it could, and the session goes on: there is still %v", w.Children(t, w.dir))
	}
	left("Release could not reach ZooKeeper, then it could")

	other := w.client(long)
	hold = w.held(other)
	waiter := w.inLine(w.lock(w.ctx, other), 2)
	other.Close()
	if w.await(waiter); !errors.Is(waiter.err, zklock.ErrLost) {
		t.Errorf("the client was closed: %s = %v, want ErrLost", waiter.call, waiter.err)
	}
	w.lost(hold, "the client was closed")
	w.AwaitChildren(t, w.dir, 0)
	left("Close has returned")
}

// own lists the goroutines that run the learner's code: their stacks by their first line's "goroutine 17".
func own() map[string]string {
	pkg := reflect.TypeFor[zklock.Hold]().PkgPath() + "."
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
func newGoroutine(before map[string]string) (left string) {
	zktest.Within(soon, func() bool {
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
