// The intents of contexttree.
//
//kata:level 3
//kata:minutes 75
//kata:engine real Go runtime
//kata:race
//kata:forbid "context".WithCancel "context".WithCancelCause "context".WithTimeout "context".WithTimeoutCause "context".WithDeadline "context".WithDeadlineCause "context".WithoutCancel
package contexttree_test

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/roadkata/roadkata/stage1/internal/kit/stall"
	"github.com/roadkata/roadkata/stage1/stdlib/contexttree"
)

type key struct{}

// When cancel returns, the context and all below it are done, and nothing above or beside it.
//
//kata:zh cancel 返回时，这个 context 及其下的全部都已结束，而它上面和旁边的都不受影响。
func TestCancelReachesAllBelow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		root, stopRoot := contexttree.WithCancelCause(context.WithValue(context.Background(), key{}, "value"))
		defer stopRoot(nil)
		beside, stopBeside := contexttree.WithTimeout(root, time.Hour)
		defer stopBeside()
		ctx, cancel := contexttree.WithCancelCause(root)
		below := map[string]context.Context{"the context itself": ctx}
		for i, name := range []string{"its child", "its grandchild", "its great-grandchild"} {
			child, stop := contexttree.WithCancelCause(ctx)
			if i == 1 {
				stop(nil)
				child, stop = withTimeout(ctx, time.Hour)
			}
			defer stop(nil)
			below[name] = child
			ctx = context.WithValue(child, name, i) // values in between make no difference
		}
		if v := ctx.Value(key{}); v != "value" {
			t.Errorf("the value of a context is not found from below: got %v", v)
		}

		cancel(nil)
		for name, c := range below { // at once: nobody else had a chance to run
			if c.Err() != context.Canceled || !isDone(c) {
				t.Errorf("a context was cancelled; %s has Err() = %v, done: %v; want context.Canceled, true", name, c.Err(), isDone(c))
			}
		}
		synctest.Wait()
		for name, c := range map[string]context.Context{"its parent": root, "its sibling": beside} {
			if c.Err() != nil || isDone(c) {
				t.Errorf("a context was cancelled; %s has Err() = %v, done: %v; want nil, false", name, c.Err(), isDone(c))
			}
		}
		late, stop := contexttree.WithCancelCause(ctx)
		defer stop(nil)
		if late.Err() != context.Canceled || !isDone(late) {
			t.Errorf("a child of a context that is done has Err() = %v, done: %v; want context.Canceled, true", late.Err(), isDone(late))
		}
	})

	for range 20 { // whether a second cancel comes while the first is at work is chance
		root, cancel := contexttree.WithCancelCause(context.Background())
		below := make([]context.Context, 20)
		for i := range below {
			below[i], _ = contexttree.WithCancelCause(root)
			for range 20 { // cheap to make, and much work for the first cancel: it starts a goroutine for each
				contexttree.AfterFunc(root, func() {})
			}
		}
		var first sync.WaitGroup
		first.Go(func() { cancel(nil) })
		<-root.Done()
		cancel(nil)
		alive := 0
		for _, c := range below {
			if c.Err() == nil {
				alive++
			}
		}
		first.Wait()
		if alive > 0 {
			t.Fatalf("a context with %d children was cancelled twice at the same time; when the second cancel returned, %d of them had Err() = nil, want none",
				len(below), alive)
		}
	}
}

// Err says that a context is done, Cause why: the first cause wins, and goes down the tree.
//
//kata:zh Err 表明 context 已结束，Cause 说明原因：最先的原因生效，并沿树传下去。
func TestCause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		early, first, second := errors.New("early"), errors.New("first"), errors.New("second")
		ctx, cancel := contexttree.WithCancelCause(context.Background())
		child, stopChild := contexttree.WithCancelCause(ctx)
		defer stopChild(nil)
		before, stopBefore := contexttree.WithCancelCause(ctx)
		timed, stopTimed := contexttree.WithTimeout(ctx, time.Hour)
		defer stopTimed()
		plain, stopPlain := contexttree.WithCancelCause(context.Background())

		check := func(when, name string, ctx context.Context, err, cause error) {
			t.Helper()
			if got, why := ctx.Err(), contexttree.Cause(ctx); got != err || why != cause {
				t.Errorf("%s: %s has Err() = %v and Cause = %v; want %v and %v", when, name, got, why, err, cause)
			}
		}
		check("before anything was cancelled", "a context", ctx, nil, nil)
		stopBefore(early)
		cancel(first)
		cancel(second)
		synctest.Wait()
		stopChild(second)
		when := `a context was cancelled with "first", then with "second"`
		check(when, "it", ctx, context.Canceled, first)
		check(when, "its child", child, context.Canceled, first)
		check(when, "a child with a timeout", timed, context.Canceled, first)
		check(when, "a context with a value below it", context.WithValue(child, key{}, 1), context.Canceled, first)
		check(when, `a child that was cancelled before, with "early",`, before, context.Canceled, early)
		late, stopLate := contexttree.WithCancelCause(child)
		defer stopLate(nil)
		check(when, "a child made after that", late, context.Canceled, first)

		stopPlain(nil)
		check("a context was cancelled with nil", "it", plain, context.Canceled, context.Canceled)
		stopPlain(second)
		check(`a context was cancelled with nil, then with "second"`, "it", plain, context.Canceled, context.Canceled)
	})
}

// Of the deadlines above a context the earliest counts; when it passes, the context is done with DeadlineExceeded.
//
//kata:zh context 以上的各个截止时间以最早的为准；到期后 context 以 DeadlineExceeded 结束。
func TestDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := time.Now()
		for _, c := range []struct{ parent, own, want time.Duration }{
			{2 * time.Second, time.Hour, 2 * time.Second},
			{time.Hour, 3 * time.Second, 3 * time.Second},
			{time.Hour, 0, 0},
			{time.Hour, -time.Second, -time.Second},
		} {
			parent, stopParent := contexttree.WithTimeout(context.Background(), c.parent)
			timed, stopTimed := contexttree.WithTimeout(parent, c.own)
			ctx, stop := contexttree.WithCancelCause(timed)
			if d, ok := ctx.Deadline(); !ok || !d.Equal(start.Add(c.want)) {
				t.Errorf("below WithTimeout(WithTimeout(background, %v), %v): Deadline() = %v from now, %v; want %v, true",
					c.parent, c.own, d.Sub(start), ok, c.want)
			}
			if c.want <= 0 {
				if timed.Err() != context.DeadlineExceeded {
					t.Errorf("WithTimeout(ctx, %v).Err() = %v, at once; want context.DeadlineExceeded", c.own, timed.Err())
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(24 * time.Hour):
			}
			synctest.Wait()
			if took := time.Since(start); took != max(c.want, 0) || ctx.Err() != context.DeadlineExceeded {
				t.Errorf("below WithTimeout(WithTimeout(background, %v), %v): done after %v with %v; want %v, context.DeadlineExceeded",
					c.parent, c.own, took, ctx.Err(), max(c.want, 0))
			}
			if cause := contexttree.Cause(ctx); cause != context.DeadlineExceeded {
				t.Errorf("a deadline has passed: Cause = %v, want context.DeadlineExceeded", cause)
			}
			stopTimed()
			stopParent()
			stop(nil)
			if ctx.Err() != context.DeadlineExceeded || timed.Err() != context.DeadlineExceeded {
				t.Errorf("cancelled after its deadline: Err() = %v, want context.DeadlineExceeded still", ctx.Err())
			}
			start = time.Now()
		}

		ctx, stop := contexttree.WithTimeout(context.Background(), time.Second)
		stop()
		time.Sleep(time.Minute)
		if ctx.Err() != context.Canceled {
			t.Errorf("cancelled before its deadline: Err() = %v after the deadline, want context.Canceled still", ctx.Err())
		}
	})
}

// AfterFunc calls its function once, in a goroutine of its own, unless stop comes first; stop tells which.
//
//kata:zh AfterFunc 的函数在自己的 goroutine 里只被调用一次，除非 stop 先到；stop 会告诉你是哪一种。
func TestAfterFunc(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := contexttree.WithCancelCause(context.Background())
		calls, release := make(chan struct{}, 10), make(chan struct{})
		stopRun := contexttree.AfterFunc(ctx, func() { calls <- struct{}{}; <-release })
		stopped := contexttree.AfterFunc(context.WithValue(ctx, key{}, 1), func() { t.Error("a function ran that was stopped before") })
		if !stopped() {
			t.Error("stop() = false before the context was done, want true: it has kept the function from being called")
		}
		if stopped() {
			t.Error("the second stop() = true, want false: the first had stopped it")
		}
		synctest.Wait()
		if len(calls) != 0 {
			t.Error("AfterFunc called its function before the context was done")
		}

		returned := make(chan struct{})
		go func() { cancel(nil); cancel(nil); close(returned) }()
		synctest.Wait()
		select {
		case <-returned:
			if stopRun() {
				t.Error("stop() = true after the function was called, want false")
			}
		default: // stop would wait, too
			t.Error("cancel waits for a function of AfterFunc to return")
		}
		if n := len(calls); n != 1 {
			t.Errorf("AfterFunc called its function %d times once the context was done, want 1", n)
		}
		close(release)
		<-returned

		returned = make(chan struct{})
		release = make(chan struct{})
		go func() {
			contexttree.AfterFunc(ctx, func() { calls <- struct{}{}; <-release })
			close(returned)
		}()
		synctest.Wait()
		if n := len(calls); n != 2 {
			t.Errorf("AfterFunc of a context that was done already called its function %d times, want 1", n-1)
		}
		select {
		case <-returned:
		default:
			t.Error("AfterFunc of a context that was done already waits for its function to return")
		}
		close(release)
		<-returned
	})
}

// WithoutCancel keeps the values, and has no end, no deadline and no cause.
//
//kata:zh WithoutCancel 保留值，但没有结束、没有截止时间、没有原因。
func TestWithoutCancel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ours, stopOurs := contexttree.WithTimeout(context.WithValue(context.Background(), key{}, "value"), time.Second)
		defer stopOurs()
		std, stopStd := context.WithTimeout(context.WithValue(context.Background(), key{}, "value"), time.Second)
		defer stopStd()
		for name, parent := range map[string]context.Context{"a context of this package": ours, "a standard context": std} {
			ctx := contexttree.WithoutCancel(parent)
			child, stopChild := contexttree.WithCancelCause(ctx)
			if _, ok := ctx.Deadline(); ok {
				t.Errorf("WithoutCancel(%s) has its deadline, want none", name)
			}
			if v := ctx.Value(key{}); v != "value" {
				t.Errorf(`WithoutCancel(%s).Value(key) = %v, want "value"`, name, v)
			}
			<-parent.Done()
			synctest.Wait()
			if ctx.Err() != nil || isDone(ctx) {
				t.Errorf("%s is done; WithoutCancel of it has Err() = %v, done: %v; want nil, false", name, ctx.Err(), isDone(ctx))
			}
			if cause := contexttree.Cause(ctx); cause != nil {
				t.Errorf("%s is done; WithoutCancel of it has Cause = %v, want nil", name, cause)
			}
			if child.Err() != nil {
				t.Errorf("%s is done; a child of WithoutCancel of it has Err() = %v, want nil", name, child.Err())
			}
			stopChild(nil)
			if child.Err() == nil {
				t.Errorf("a child of WithoutCancel(%s) was cancelled and is not done", name)
			}
		}
	})
}

// No context and no AfterFunc costs a goroutine where the parent is ours or standard, nor does a standard child of ours.
//
//kata:zh 只要父 context 是本包的或标准库的，任何 context 和 AfterFunc 都不占 goroutine；本包 context 的标准库子 context 也不占。
func TestNoGoroutines(t *testing.T) {
	bubble(t, func(t *testing.T) {
		root, cancel := contexttree.WithCancelCause(context.Background())
		std, cancelStd := context.WithCancel(context.Background())
		for what, add := range map[string]func(){
			"WithCancelCause(ours)":          func() { contexttree.WithCancelCause(root) },
			"WithTimeout(ours)":              func() { withTimeout(root, time.Hour) },
			"WithCancelCause(value of ours)": func() { contexttree.WithCancelCause(context.WithValue(root, key{}, 1)) },
			"WithCancelCause(standard)":      func() { contexttree.WithCancelCause(std) },
			"AfterFunc(ours)":                func() { contexttree.AfterFunc(root, func() {}) },
			"AfterFunc(value of ours)":       func() { contexttree.AfterFunc(context.WithValue(root, key{}, 1), func() {}) },
			"context.WithCancelCause(ours)":  func() { context.WithCancelCause(root) },
			"WithCancelCause(background)":    func() { contexttree.WithCancelCause(context.Background()) },
		} {
			synctest.Wait()
			before := runtime.NumGoroutine()
			for range 20 {
				add()
			}
			synctest.Wait()
			if n := runtime.NumGoroutine() - before; n > 2 {
				t.Errorf("20 times %s: %d more goroutines, want 0", what, n)
			}
		}
		cancel(nil)
		cancelStd()
		synctest.Wait()
	})
}

// A parent of any other type works: its end, its error and its cause reach the child, but not those of a context of ours behind it.
//
//kata:zh 任何其他类型的父 context 都可用：它的结束、错误和原因会传给子 context，而它背后的本包 context 不会越过它。
func TestForeignParent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		// A type that has values of ours, and an end of its own.
		behind, cancelBehind := contexttree.WithCancelCause(context.WithValue(context.Background(), key{}, "value"))
		foreign := &foreignContext{Context: behind, done: make(chan struct{})}
		child, stop := contexttree.WithCancelCause(foreign)
		defer stop(nil)
		ran := make(chan struct{}, 1)
		contexttree.AfterFunc(foreign, func() { ran <- struct{}{} })
		cancelBehind(nil)
		synctest.Wait()
		if child.Err() != nil || len(ran) != 0 || contexttree.Cause(foreign) != nil {
			t.Errorf("a foreign parent is not done, a context whose values it hands on is: child.Err() = %v, AfterFunc ran: %v, Cause(parent) = %v; want nil, false, nil",
				child.Err(), len(ran) != 0, contexttree.Cause(foreign))
		}
		foreign.end(errForeign)
		synctest.Wait()
		if child.Err() != errForeign || contexttree.Cause(child) != errForeign || !isDone(child) {
			t.Errorf("a foreign parent ended with %v: child.Err() = %v, Cause = %v, done: %v; want its error twice, true",
				errForeign, child.Err(), contexttree.Cause(child), isDone(child))
		}
		if len(ran) != 1 {
			t.Errorf("a foreign parent ended: AfterFunc called its function %d times, want 1", len(ran))
		}
		late, stopLate := contexttree.WithCancelCause(foreign)
		defer stopLate(nil)
		if late.Err() != errForeign {
			t.Errorf("a child of a foreign context that has ended: Err() = %v, at once; want %v", late.Err(), errForeign)
		}

		// A standard one, with a cause that it hands on.
		slow := errors.New("the database is slow")
		std, stopStd := context.WithTimeoutCause(context.Background(), time.Second, slow)
		defer stopStd()
		below, stopBelow := contexttree.WithTimeout(std, time.Hour)
		defer stopBelow()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if below.Err() != context.DeadlineExceeded || contexttree.Cause(below) != slow || contexttree.Cause(std) != slow {
			t.Errorf("a standard parent's deadline has passed, its cause is %q: child.Err() = %v, Cause(child) = %v, Cause(parent) = %v; want context.DeadlineExceeded and this cause",
				slow, below.Err(), contexttree.Cause(below), contexttree.Cause(std))
		}

		// Ours, a standard one below it, and ours below that.
		top, cancelTop := contexttree.WithCancelCause(context.Background())
		middle, stopMiddle := context.WithCancel(top)
		defer stopMiddle()
		bottom, stopBottom := contexttree.WithCancelCause(middle)
		defer stopBottom(nil)
		cancelTop(nil)
		synctest.Wait()
		if middle.Err() != context.Canceled || bottom.Err() != context.Canceled {
			t.Errorf("ours was cancelled: its standard child has Err() = %v, ours below that %v; want context.Canceled", middle.Err(), bottom.Err())
		}

		// A type that has the error of ours, too, and only an end of its own.
		shell := &foreignDone{Context: top, done: make(chan struct{})}
		inside, stopInside := contexttree.WithCancelCause(shell)
		defer stopInside(nil)
		synctest.Wait()
		if inside.Err() != nil || isDone(inside) {
			t.Errorf("the Done of a foreign parent is open, its Err() is that of ours, which is done: child.Err() = %v, done: %v; want nil, false",
				inside.Err(), isDone(inside))
		}
		close(shell.done)
		synctest.Wait()
		if inside.Err() != context.Canceled || !isDone(inside) {
			t.Errorf("the Done of a foreign parent is closed, its Err() is context.Canceled: child.Err() = %v, done: %v; want context.Canceled, true",
				inside.Err(), isDone(inside))
		}

		// A type with one more method, of a well-known name and of no use.
		more := &foreignMethods{foreignContext{Context: context.Background(), done: make(chan struct{})}}
		under, stopUnder := contexttree.WithCancelCause(more)
		defer stopUnder(nil)
		more.end(errForeign)
		synctest.Wait()
		if under.Err() != errForeign || !isDone(under) {
			t.Errorf("a foreign parent that has a method AfterFunc, too, ended with %v: child.Err() = %v, done: %v; want its error, true",
				errForeign, under.Err(), isDone(under))
		}

		// A type that promises a deadline and does not end with it.
		loose := foreignDeadline{context.Background(), time.Now().Add(time.Second)}
		kept, stopKept := contexttree.WithTimeout(loose, 2*time.Second)
		defer stopKept()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if kept.Err() == nil || !isDone(kept) { // with which error is another intent's
			t.Errorf("WithTimeout(parent, 2s), a foreign parent does not keep its deadline of 1s: after 3s Err() = %v, done: %v; want an error, true",
				kept.Err(), isDone(kept))
		}
	})
}

// What is done or stopped is forgotten: a parent that lives on keeps nothing of it in memory.
//
//kata:zh 已结束或已停止的都会被忘掉：仍然存活的父 context 不在内存里留下它们。
func TestForgets(t *testing.T) {
	var parents []context.Context
	var stops []context.CancelCauseFunc
	held := map[string]weak.Pointer[[4096]byte]{}
	for what, c := range map[string]struct {
		standard bool
		use      func(parent context.Context, payload *[4096]byte)
	}{
		"child cancelled": {false, func(parent context.Context, payload *[4096]byte) {
			_, cancel := contexttree.WithCancelCause(context.WithValue(parent, key{}, payload))
			cancel(nil)
		}},
		"child with a timeout cancelled": {false, func(parent context.Context, payload *[4096]byte) {
			_, cancel := contexttree.WithTimeout(context.WithValue(parent, key{}, payload), time.Hour)
			cancel()
		}},
		"child past its deadline": {false, func(parent context.Context, payload *[4096]byte) {
			contexttree.WithTimeout(context.WithValue(parent, key{}, payload), -1)
		}},
		"AfterFunc stopped": {false, func(parent context.Context, payload *[4096]byte) {
			contexttree.AfterFunc(parent, func() { runtime.KeepAlive(payload) })()
		}},
		"child of a standard parent cancelled": {true, func(parent context.Context, payload *[4096]byte) {
			_, cancel := contexttree.WithCancelCause(context.WithValue(parent, key{}, payload))
			cancel(nil)
		}},
		"standard child cancelled": {false, func(parent context.Context, payload *[4096]byte) {
			ctx, cancel := context.WithCancel(parent)
			context.AfterFunc(ctx, func() { runtime.KeepAlive(payload) })
			cancel()
		}},
	} {
		parent, stop := contexttree.WithCancelCause(context.Background())
		if c.standard {
			parent, stop = context.WithCancelCause(context.Background())
		}
		payload := new([4096]byte)
		held[what] = weak.Make(payload)
		c.use(parent, payload)
		parents, stops = append(parents, parent), append(stops, stop)
	}
	const done = "a parent was cancelled"
	parent, stop := contexttree.WithCancelCause(context.Background())
	payload := new([4096]byte)
	held[done] = weak.Make(payload)
	contexttree.WithCancelCause(context.WithValue(parent, key{}, payload))
	stop(nil)
	parents = append(parents, parent)

	for what := range uncollected(held) {
		if what == done {
			t.Error("a parent was cancelled and is still in use: its children are still held in memory")
		} else {
			t.Errorf("%s: its memory is still held while the parent lives on", what)
		}
	}
	runtime.KeepAlive(parents)
	for _, stop := range stops {
		stop(nil)
	}

	for _, kind := range []string{"of this package", "standard"} {
		bubble(t, func(t *testing.T) {
			parent, stop := contexttree.WithCancelCause(context.Background())
			if kind == "standard" {
				parent, stop = context.WithCancelCause(context.Background())
			}
			defer stop(nil)
			held := map[int]weak.Pointer[[4096]byte]{}
			for i := range 100 {
				payload := new([4096]byte)
				held[i] = weak.Make(payload)
				contexttree.WithTimeout(context.WithValue(parent, key{}, payload), time.Millisecond)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if n := len(uncollected(held)); n > 0 {
				t.Errorf("100 times WithTimeout(parent, 1ms) without a cancel, a second ago, the parent is %s and lives on: memory of %d such children is still held, want none", kind, n)
			}
			runtime.KeepAlive(parent)
		})
	}
}

// All of it may be used by many goroutines at once.
//
//kata:zh 以上一切都可以由多个 goroutine 同时使用。
func TestConcurrent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for range 20 {
			root, cancel := contexttree.WithCancelCause(context.Background())
			child, stopChild := contexttree.WithCancelCause(root)
			timed, stopTimed := contexttree.WithTimeout(root, time.Hour)
			unhook := contexttree.AfterFunc(root, func() {})
			made := make(chan context.Context, 3)
			begin := make(chan struct{})
			var wg sync.WaitGroup
			for _, op := range []func(){ // each in a goroutine that does nothing else, and so waits for nobody
				func() { cancel(nil) },
				func() { stopChild(nil) },
				func() { stopTimed() },
				func() { unhook() },
				func() { root.Err() },
				func() { child.Err() },
				func() { contexttree.Cause(root) },
				func() { contexttree.Cause(timed) },
				func() { timed.Deadline() },
				func() { c, _ := contexttree.WithCancelCause(root); made <- c },
				func() { c, _ := contexttree.WithTimeout(child, time.Hour); made <- c },
				func() { c, _ := contexttree.WithTimeout(timed, time.Hour); made <- c },
				func() { contexttree.AfterFunc(child, func() {}) },
			} {
				wg.Go(func() { <-begin; op() })
			}
			close(begin)
			wg.Wait()
			synctest.Wait()
			for _, c := range []context.Context{root, child, timed, <-made, <-made, <-made} {
				if c.Err() != context.Canceled || contexttree.Cause(c) != context.Canceled {
					t.Fatalf("contexts were made and cancelled by many goroutines below one that was cancelled: Err() = %v, Cause = %v, want context.Canceled",
						c.Err(), contexttree.Cause(c))
				}
			}
			contexttree.WithTimeout(context.Background(), time.Second)
			time.Sleep(2 * time.Second) // it ends by itself, untouched
		}
	})
}

// bubble runs f in virtual time. A mutex that is never released would stop that for good.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	defer stall.Guard(t)()
	synctest.Test(t, f)
}

// withTimeout is WithTimeout with the signature of WithCancelCause.
func withTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := contexttree.WithTimeout(parent, d)
	return ctx, func(error) { cancel() }
}

func isDone(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// uncollected returns what is still in memory after some garbage collections; others may have to let go of it first.
func uncollected[K comparable, T any](held map[K]weak.Pointer[T]) map[K]weak.Pointer[T] {
	for range 20 {
		runtime.GC()
		maps.DeleteFunc(held, func(_ K, memory weak.Pointer[T]) bool { return memory.Value() == nil })
		if len(held) == 0 {
			break
		}
		runtime.Gosched()
	}
	return held
}

var errForeign = errors.New("the foreign context has ended")

// foreignContext has the values of another context and an end of its own.
type foreignContext struct {
	context.Context
	done chan struct{}

	mu  sync.Mutex
	err error
}

func (f *foreignContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (f *foreignContext) Done() <-chan struct{}       { return f.done }

func (f *foreignContext) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *foreignContext) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	close(f.done)
}

// foreignDone has all of another context but its Done.
type foreignDone struct {
	context.Context
	done chan struct{}
}

func (f *foreignDone) Done() <-chan struct{} { return f.done }

// foreignMethods has a method that no Context needs to have.
type foreignMethods struct{ foreignContext }

func (f *foreignMethods) AfterFunc(func()) func() bool { return func() bool { return false } }

// foreignDeadline has a deadline that passes without any consequence.
type foreignDeadline struct {
	context.Context
	at time.Time
}

func (f foreignDeadline) Deadline() (time.Time, bool) { return f.at, true }
