// The intents of errgroup. Tasks are held back by channels and time is virtual, so that "at once", "first" and
// "while it runs" are facts and not races against a clock.
//
//kata:level 2
//kata:minutes 60
//kata:engine real Go runtime
//kata:race
//kata:forbid "golang.org/x/sync/errgroup"
package errgroup_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadkata/roadkata/stage1/concurrency/errgroup"
	"github.com/roadkata/roadkata/stage1/internal/kit/stall"
)

var errBoom = errors.New("boom")

// bubble runs f in virtual time. A bubble never settles while a goroutine spins or waits for a mutex: that is a
// failure, too, as soon as nobody can go on, else after ten real seconds.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	defer stall.Guard(t)()
	stuck := time.AfterFunc(10*time.Second, func() {
		panic("stuck for 10 s: a goroutine spins, or waits for a mutex that another holds while it blocks")
	})
	defer stuck.Stop()
	synctest.Test(t, f)
}

func newGroup() *errgroup.Group {
	g, _ := errgroup.WithContext(context.Background())
	return g
}

// outcome is what a call of Wait came to.
type outcome struct {
	err      error
	panicked any
}

func (o outcome) String() string {
	if o.panicked != nil {
		if p, ok := o.panicked.(*errgroup.PanicError); ok {
			return fmt.Sprintf("panicked with a *PanicError of %v", p.Value)
		}
		return fmt.Sprintf("panicked with a %T: %v", o.panicked, o.panicked)
	}
	return fmt.Sprintf("returned %v", o.err)
}

// startWait calls Wait in a goroutine of its own; the channel gets what it came to.
func startWait(g *errgroup.Group) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			o.panicked = recover()
			done <- o
		}()
		o.err = g.Wait()
	}()
	return done
}

// wait is for a bubble in which every task has ended or can end by itself.
func wait(t *testing.T, g *errgroup.Group) outcome {
	t.Helper()
	done := startWait(g)
	select {
	case o := <-done:
		if _, ok := o.panicked.(*errgroup.PanicError); o.panicked != nil && !ok {
			t.Errorf("Wait() %v; want no panic that is not a *PanicError", o)
		}
		return o
	case <-time.After(24 * time.Hour):
		t.Fatal("Wait() does not return although every task has ended")
		return outcome{}
	}
}

// tryGo is g.TryGo for a bubble; a TryGo that blocks fails the test.
func tryGo(t *testing.T, g *errgroup.Group, f func() error) bool {
	t.Helper()
	got := make(chan bool, 1)
	go func() { got <- g.TryGo(f) }()
	synctest.Wait()
	select {
	case ok := <-got:
		return ok
	default:
		t.Error("TryGo blocks, want an answer at once")
		return false
	}
}

// Wait returns only when every task has ended, also after one has failed.
//
//kata:zh 全部任务结束后 Wait 才返回，哪怕早有任务失败。
func TestWaitsForAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGroup()
		var ended atomic.Int32
		g.Go(func() error { return errBoom })
		for i := range 3 {
			g.Go(func() error {
				time.Sleep(time.Duration(i) * time.Minute)
				ended.Add(1)
				return nil
			})
		}
		synctest.Wait()
		wait(t, g)
		if n := ended.Load(); n != 3 {
			t.Errorf("one task failed; Wait() returned when %d of the other 3 had ended, want all 3", n)
		}
	})
	bubble(t, func(t *testing.T) {
		g := newGroup()
		var ended atomic.Bool
		g.Go(func() error {
			time.Sleep(time.Minute)
			g.Go(func() error {
				time.Sleep(time.Minute)
				ended.Store(true)
				return nil
			})
			return nil
		})
		wait(t, g)
		if !ended.Load() {
			t.Error("a task started another one; Wait() returned before that one had ended")
		}
	})
}

// Wait returns the first error in time, whatever it is and just as the task returned it.
//
//kata:zh Wait 返回时间上最早的那个错误，无论它是什么，都原样返回。
func TestFirstError(t *testing.T) {
	second := errors.New("second")
	for _, first := range []error{errors.New("first"), context.Canceled} {
		bubble(t, func(t *testing.T) {
			g := newGroup()
			releaseFirst, releaseSecond := make(chan struct{}), make(chan struct{})
			g.Go(func() error { <-releaseSecond; return second })
			g.Go(func() error { <-releaseFirst; return first })
			g.Go(func() error { return nil })

			synctest.Wait()
			close(releaseFirst)
			synctest.Wait()
			close(releaseSecond)
			if o := wait(t, g); o.err != first {
				t.Errorf("tasks failed with %q, then with %q: Wait() %v, want %q itself", first, second, o, first)
			}
		})
	}
}

// yielding is a context that lets others go first when it is asked for its Done. Package context asks a parent for it
// at the end of a cancellation: the cause stands then, and whoever has cancelled is not back yet.
type yielding struct{ context.Context }

func (y yielding) Done() <-chan struct{} {
	for range 200 {
		runtime.Gosched()
	}
	return y.Context.Done()
}

// Tasks may fail, and start tasks, all at the same moment: no data race, and Wait and the context's cause agree.
//
//kata:zh 许多任务可以同时失败、同时派生任务：没有数据竞争，Wait 的错误与 context 的 cause 一致。
func TestAtTheSameTime(t *testing.T) {
	for range 20 {
		g, ctx := errgroup.WithContext(yielding{context.Background()})
		errs := make([]error, 8)
		var ready sync.WaitGroup
		ready.Add(len(errs))
		fail := make(chan struct{})
		for i := range errs {
			errs[i] = fmt.Errorf("task %d", i)
			g.Go(func() error {
				g.Go(func() error { return nil })
				// Nothing that synchronises may come after the barrier: it could order what would otherwise race.
				ready.Done()
				<-fail
				return errs[i]
			})
		}
		ready.Wait()
		close(fail)

		o, ok := stall.Receive(startWait(g))
		if !ok {
			t.Fatal("8 tasks failed at once, every one has ended: Wait() does not return")
		}
		if !slices.Contains(errs, o.err) {
			t.Fatalf("8 tasks failed at once: Wait() %v, want one of their errors", o)
		}
		if cause := context.Cause(ctx); cause != o.err {
			t.Fatalf("Wait() = %v and context.Cause(ctx) = %v, want the same error", o.err, cause)
		}
	}

	for range 20 {
		g := newGroup()
		const tasks = 8
		var ready sync.WaitGroup
		ready.Add(tasks)
		fail := make(chan struct{})
		for range tasks {
			g.Go(func() error { ready.Done(); <-fail; panic("oops") })
		}
		ready.Wait()
		close(fail)

		// What it comes to is another intent's; here no two of them may race.
		if _, ok := stall.Receive(startWait(g)); !ok {
			t.Fatal("8 tasks panicked at once, every one has ended: Wait() does not return")
		}
	}

	for range 20 {
		bubble(t, func(t *testing.T) {
			g := newGroup()
			g.Go(func() error { return nil }) // the first comes before Wait; later ones may come beside it
			wait(t, g)
			begin, release := make(chan struct{}), make(chan struct{})
			go func() {
				<-begin
				g.Go(func() error { <-release; return nil })
			}()
			ended := make(chan outcome, 2)
			for range cap(ended) {
				go func() {
					var o outcome
					defer func() {
						o.panicked = recover()
						ended <- o
					}()
					<-begin
					for range 5 { // the first ones may come before Go
						o.err = g.Wait()
					}
				}()
			}
			close(begin)
			synctest.Wait()
			close(release)
			synctest.Wait()
			for range cap(ended) {
				select {
				case o := <-ended:
					if o != (outcome{}) {
						t.Errorf("nothing runs, then Go and Wait are called at the same moment: Wait() %v, want nil", o)
					}
				default:
					t.Fatal("nothing runs, then Go and Wait are called at the same moment: Wait() does not return although every task has ended")
				}
			}
		})
	}
}

// The first error cancels the group's context at once and is its cause.
//
//kata:zh 第一个错误立刻取消组的 context，并成为它的 cause。
func TestErrorCancels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, ctx := errgroup.WithContext(context.Background())
		release := make(chan struct{})
		g.Go(func() error { <-release; return errors.New("a later error") })
		g.Go(func() error { return errBoom })

		synctest.Wait()
		if ctx.Err() == nil {
			t.Error("a task has failed, another still runs: the context is not cancelled")
		} else if cause := context.Cause(ctx); cause != errBoom {
			t.Errorf("a task failed with %q: context.Cause(ctx) = %v, want that error", errBoom, cause)
		}
		close(release)
		wait(t, g)
	})
}

// Without a failure the context stays alive until Wait returns, and is cancelled then.
//
//kata:zh 没有失败时，context 一直有效，到 Wait 返回时才取消。
func TestWaitEndsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, ctx := errgroup.WithContext(context.Background())
		g.Go(func() error { return nil })
		synctest.Wait()
		if ctx.Err() != nil {
			t.Errorf("the only task returned nil, nobody has called Wait: ctx.Err() = %v, want nil", ctx.Err())
		}
		release := make(chan struct{})
		g.Go(func() error { <-release; return nil })
		done := startWait(g)
		synctest.Wait()
		if ctx.Err() != nil {
			t.Errorf("no task has failed, Wait still waits for one: ctx.Err() = %v, want nil", ctx.Err())
		}
		close(release)
		if o := <-done; o != (outcome{}) {
			t.Errorf("every task returned nil: Wait() %v, want nil", o)
		}
		if err, cause := ctx.Err(), context.Cause(ctx); err != context.Canceled || cause != context.Canceled {
			t.Errorf("after Wait: ctx.Err() = %v, context.Cause(ctx) = %v, want %v for both", err, cause, context.Canceled)
		}
	})
	bubble(t, func(t *testing.T) {
		g, ctx := errgroup.WithContext(context.Background())
		if o := wait(t, g); o != (outcome{}) {
			t.Errorf("a group without any task: Wait() %v, want nil", o)
		}
		if err := ctx.Err(); err != context.Canceled {
			t.Errorf("a group without any task, after Wait: ctx.Err() = %v, want %v", err, context.Canceled)
		}
	})
}

// The group's context is a child of the caller's: values, deadline and cancellation pass down, never up.
//
//kata:zh 组的 context 是调用者 context 的子节点：值、截止时间和取消都向下传递，绝不向上。
func TestChildContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type key struct{}
		parent, cancel := context.WithCancelCause(context.WithValue(context.Background(), key{}, "v"))
		defer cancel(nil)

		failing, child := errgroup.WithContext(parent)
		failing.Go(func() error { return errBoom })
		wait(t, failing)
		if parent.Err() != nil {
			t.Errorf("a task failed: the caller's own context has Err() = %v, want nil", parent.Err())
		}
		if v := child.Value(key{}); v != "v" {
			t.Errorf("the group's context: Value(key) = %v, want the caller's value", v)
		}

		g, child := errgroup.WithContext(parent)
		release := make(chan struct{})
		g.Go(func() error { <-release; return nil })
		why := errors.New("the caller gave up")
		cancel(why)
		synctest.Wait()
		if cause := context.Cause(child); cause != why {
			t.Errorf("the caller's context was cancelled: context.Cause of the group's = %v, want %q", cause, why)
		}
		close(release)
		if o := wait(t, g); o != (outcome{}) {
			t.Errorf("the caller's context was cancelled, no task failed: Wait() %v, want nil", o)
		}
	})
}

// At the limit Go blocks until a task has ended.
//
//kata:zh 达到上限时 Go 阻塞，直到有任务结束。
func TestGoBlocks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGroup()
		g.SetLimit(2)
		var started atomic.Int32
		step := make(chan struct{})
		task := func() error { started.Add(1); <-step; return nil }
		var returned atomic.Int32
		go func() {
			for range 3 {
				g.Go(task)
				returned.Add(1)
			}
		}()

		synctest.Wait()
		if n := returned.Load(); n != 2 {
			t.Errorf("limit 2, both slots taken: %d of 3 calls of Go returned, want 2", n)
		}
		if n := started.Load(); n != 2 {
			t.Errorf("limit 2: %d of 3 tasks run, want 2", n)
		}
		step <- struct{}{}
		synctest.Wait()
		if n := returned.Load(); n != 3 {
			t.Errorf("limit 2, one task has ended: %d of 3 calls of Go returned, want 3", n)
		}
		close(step)
		synctest.Wait()
		wait(t, g)
	})
}

// However many goroutines call Go, never more than n tasks run at once, and n do when there is work.
//
//kata:zh 无论多少 goroutine 在调用 Go，同时运行的任务不超过 n 个；有活干时正好 n 个。
func TestNeverMoreThanLimit(t *testing.T) {
	// Not in a bubble: callers of Go may well queue up at a mutex, where a bubble never settles.
	const limit, callers = 2, 7
	for range 20 {
		g := newGroup()
		g.SetLimit(limit)
		var running, most atomic.Int32
		started, step := make(chan struct{}, callers), make(chan struct{})
		for range callers {
			go g.Go(func() error {
				n := running.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				started <- struct{}{}
				<-step
				running.Add(-1)
				return nil
			})
		}
		seen := 0
		for ended := range callers {
			for seen < min(ended+limit, callers) {
				if _, ok := stall.Receive(started); !ok {
					close(step)
					t.Fatalf("limit %d, %d callers of Go, %d tasks ended: %d have started, want %d",
						limit, callers, ended, seen, min(ended+limit, callers))
				}
				seen++
			}
			step <- struct{}{}
		}
		if _, ok := stall.Receive(startWait(g)); !ok {
			t.Fatalf("limit %d, %d tasks have run to their end: Wait() does not return", limit, callers)
		}
		if n := most.Load(); n > limit {
			t.Fatalf("limit %d, %d callers of Go: up to %d tasks ran at once, want at most %d", limit, callers, n, limit)
		}
	}
}

// TryGo never blocks: it starts the task or says no, and a refused task never runs.
//
//kata:zh TryGo 从不阻塞：要么启动任务，要么拒绝；被拒绝的任务永不运行。
func TestTryGo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGroup()
		var refusedRan, ran atomic.Bool
		refused := func() error { refusedRan.Store(true); return nil }
		release := make(chan struct{})

		if !tryGo(t, g, func() error { return nil }) {
			t.Error("no limit: TryGo() = false, want true")
		}
		synctest.Wait()
		g.SetLimit(1)
		if !tryGo(t, g, func() error { <-release; return nil }) {
			t.Error("limit 1, nothing runs: TryGo() = false, want true")
		}
		if tryGo(t, g, refused) {
			t.Error("limit 1, a task runs: TryGo() = true, want false")
		}
		go g.Go(func() error { ran.Store(true); return nil })
		synctest.Wait()
		if tryGo(t, g, refused) {
			t.Error("limit 1, a task runs and another caller waits in Go: TryGo() = true, want false")
		}
		close(release)
		synctest.Wait()
		wait(t, g)
		if refusedRan.Load() {
			t.Error("TryGo refused a task that ran nevertheless")
		}
		if !ran.Load() {
			t.Error("a task that waited in Go beside calls of TryGo never ran")
		}
	})
}

// A task frees its slot however it ends: with nil, with an error or by a panic.
//
//kata:zh 任务无论怎样结束（nil、错误、panic），都归还名额。
func TestSlotFreed(t *testing.T) {
	for _, end := range []struct {
		how  string
		task func() error
	}{
		{"returned nil", func() error { return nil }},
		{"returned an error", func() error { return errBoom }},
		{"panicked", func() error { panic("oops") }},
	} {
		bubble(t, func(t *testing.T) {
			g := newGroup()
			g.SetLimit(1)
			g.Go(end.task)
			synctest.Wait()
			if !tryGo(t, g, func() error { return nil }) {
				t.Errorf("limit 1, the only task has %s: TryGo() = false, want true", end.how)
			}
			synctest.Wait()
		})
	}
}

// A panic in a task is raised again from Wait, as a *PanicError with the task's value, after every task has ended.
//
//kata:zh 任务的 panic 在全部任务结束后由 Wait 重新抛出，类型为 *PanicError，带着原来的值。
func TestPanicRaised(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGroup()
		var ended atomic.Bool
		value := &struct{ n int }{7}
		release := make(chan struct{})
		g.Go(func() error { <-release; time.Sleep(time.Minute); ended.Store(true); panic("a later panic") })
		g.Go(func() error { panic(value) })
		synctest.Wait()
		close(release)

		o := wait(t, g)
		if p, ok := o.panicked.(*errgroup.PanicError); !ok || p.Value != any(value) {
			t.Errorf("a task panicked with %v, later another one with a string: Wait() %v, want a panic with a *PanicError of %v", value, o, value)
		}
		if !ended.Load() {
			t.Error("Wait() panicked while another task was still running")
		}
	})
}

// explodeDeepInTheTask is a name to look for in a stack.
//
//go:noinline
func explodeDeepInTheTask() error { panic("oops") }

// The stack in a PanicError is the one of the task, where the panic came from.
//
//kata:zh PanicError 里的栈是任务自己的栈，指向 panic 发生之处。
func TestPanicStack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGroup()
		g.Go(func() error { return explodeDeepInTheTask() })
		synctest.Wait()

		p, ok := wait(t, g).panicked.(*errgroup.PanicError)
		if ok && !strings.Contains(string(p.Stack), "explodeDeepInTheTask") {
			t.Errorf("the stack of the PanicError does not show the function that panicked; it is:\n%s", p.Stack)
		}
		if !ok {
			t.Error("Wait() did not panic with a *PanicError")
		}
	})
}

// A panic cancels the group's context at once, with the *PanicError as the cause.
//
//kata:zh panic 立刻取消组的 context，cause 就是那个 *PanicError。
func TestPanicCancels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, ctx := errgroup.WithContext(context.Background())
		release := make(chan struct{})
		g.Go(func() error { <-release; return nil })
		g.Go(func() error { panic(errBoom) })

		synctest.Wait()
		if ctx.Err() == nil {
			t.Error("a task has panicked, another still runs: the context is not cancelled")
		} else if p, ok := context.Cause(ctx).(*errgroup.PanicError); !ok || p.Value != errBoom {
			t.Errorf("a task panicked with %q: context.Cause(ctx) is a %T: %[2]v, want a *PanicError of it", errBoom, context.Cause(ctx))
		}
		close(release)
		wait(t, g)
	})
}

// A panic outweighs errors: Wait raises it even when another task had failed before.
//
//kata:zh panic 压过错误：即使之前已有任务失败，Wait 仍然抛出 panic。
func TestPanicOutweighsError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGroup()
		release := make(chan struct{})
		g.Go(func() error { <-release; panic("oops") })
		g.Go(func() error { return errBoom })
		synctest.Wait()
		close(release)

		o := wait(t, g)
		if p, ok := o.panicked.(*errgroup.PanicError); !ok || p.Value != "oops" {
			t.Errorf("a task failed, then another panicked: Wait() %v, want a panic with a *PanicError of oops", o)
		}
	})
}

// A task that ends by runtime.Goexit counts as one that returned nil.
//
//kata:zh 以 runtime.Goexit 结束的任务，与返回 nil 的一样。
func TestGoexit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, ctx := errgroup.WithContext(context.Background())
		g.SetLimit(1)
		g.Go(func() error { runtime.Goexit(); return errBoom })
		synctest.Wait()
		if ctx.Err() != nil {
			t.Errorf("a task called runtime.Goexit: context.Cause(ctx) = %v, want a context that is still alive", context.Cause(ctx))
		}
		if !tryGo(t, g, func() error { return nil }) {
			t.Error("limit 1, the only task has called runtime.Goexit: TryGo() = false, want true")
		}
		synctest.Wait()
		if o := wait(t, g); o != (outcome{}) {
			t.Errorf("a task called runtime.Goexit: Wait() %v, want nil", o)
		}
	})
}

// The zero Group works: no limit, no context.
//
//kata:zh Group 的零值可用：没有上限，没有 context。
func TestZeroValue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var idle errgroup.Group
		if o := wait(t, &idle); o != (outcome{}) {
			t.Errorf("var g Group without a task: Wait() %v, want nil", o)
		}

		var g errgroup.Group
		var running atomic.Int32
		release := make(chan struct{})
		const tasks = 100
		returned := make(chan struct{})
		go func() {
			for range tasks - 1 {
				g.Go(func() error { running.Add(1); <-release; return nil })
			}
			g.Go(func() error { running.Add(1); <-release; return errBoom })
			close(returned)
		}()
		synctest.Wait()
		if n := running.Load(); n != tasks {
			t.Errorf("var g Group, %d calls of Go: %d tasks run at once, want all", tasks, n)
		}
		close(release)
		<-returned
		if o := wait(t, &g); o.err != errBoom {
			t.Errorf("var g Group, a task failed with %q: Wait() %v, want that error", errBoom, o)
		}
	})
}

// SetLimit: a negative limit is none, zero lets no task start.
//
//kata:zh SetLimit：负数表示不限，零表示一个任务也不能启动。
func TestSetLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGroup()
		g.SetLimit(0)
		if tryGo(t, g, func() error { return nil }) {
			t.Error("SetLimit(0): TryGo() = true, want false")
		}
		synctest.Wait()

		g.SetLimit(1)
		g.SetLimit(-1)
		release := make(chan struct{})
		defer close(release)
		for i := range 3 {
			if !tryGo(t, g, func() error { <-release; return nil }) {
				t.Errorf("SetLimit(-1), %d tasks run: TryGo() = false, want true", i)
			}
		}
	})
}

// SetLimit panics while tasks are running, and works again when they have ended.
//
//kata:zh 有任务在运行时调用 SetLimit 会 panic；任务全部结束后又可以调用。
func TestSetLimitWhileRunning(t *testing.T) {
	setLimit := func(g *errgroup.Group) (panicked bool) {
		defer func() { panicked = recover() != nil }()
		g.SetLimit(3)
		return
	}
	for _, limit := range []int{2, -1} {
		bubble(t, func(t *testing.T) {
			g := newGroup()
			g.SetLimit(limit)
			release := make(chan struct{})
			g.Go(func() error { <-release; return nil })
			if !setLimit(g) {
				t.Errorf("SetLimit(%d), then a task is started: SetLimit(3) returned, want a panic", limit)
			}
			close(release)
			wait(t, g)
			if setLimit(g) {
				t.Errorf("SetLimit(%d), the task has ended and Wait has returned: SetLimit(3) panicked", limit)
			}
		})
	}
}

// Go runs tasks also after a failure: giving up is the task's own business.
//
//kata:zh 失败之后 Go 照样运行任务：要不要放弃，由任务自己看 context 决定。
func TestRunsAfterFailure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGroup()
		g.Go(func() error { return errBoom })
		synctest.Wait()

		var ran atomic.Int32
		g.Go(func() error { ran.Add(1); return nil })
		if !tryGo(t, g, func() error { ran.Add(1); return nil }) {
			t.Error("a task has failed: TryGo() = false, want true")
		}
		wait(t, g)
		if n := ran.Load(); n != 2 {
			t.Errorf("a task has failed; Go and TryGo were called with one more task each: %d of 2 ran, want both", n)
		}
	})
}

// Wait may be called again and by several goroutines: every call has the same outcome.
//
//kata:zh Wait 可以重复调用，也可以由多个 goroutine 同时调用：结果都一样。
func TestWaitAgain(t *testing.T) {
	for _, end := range []struct {
		how  string
		task func() error
		want string
	}{
		{"failed", func() error { return errBoom }, "returned boom"},
		{"panicked", func() error { panic("oops") }, "panicked with a *PanicError of oops"},
	} {
		bubble(t, func(t *testing.T) {
			g := newGroup()
			release := make(chan struct{})
			g.Go(func() error { <-release; return end.task() })
			a, b := startWait(g), startWait(g)
			synctest.Wait()
			close(release)
			synctest.Wait()
			c := startWait(g)
			synctest.Wait()
			for i, done := range []<-chan outcome{a, b, c} {
				select {
				case o := <-done:
					if o.String() != end.want {
						t.Errorf("the task %s: call %d of Wait() %v, want: %s", end.how, i+1, o, end.want)
					}
				default:
					t.Fatalf("the task %s: call %d of Wait() blocks", end.how, i+1)
				}
			}
		})
	}
}
