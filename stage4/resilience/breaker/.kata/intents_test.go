// The intents of breaker.
//
//kata:level 2
//kata:minutes 60
//kata:engine real Go runtime
//kata:race
package breaker_test

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

	"github.com/roadkata/roadkata/stage4/resilience/breaker"
)

// The breaker opens when a call ends and at least FailureRate of the calls in the window have failed, given at least MinCalls of them.
//
//kata:zh 调用结束时，如果窗口内至少有 MinCalls 次调用、失败率达到 FailureRate，就熔断。
func TestOpensByFailureRate(t *testing.T) {
	for _, c := range []struct {
		calls string // o is right, x fails
		want  breaker.State
	}{
		{"oxox", breaker.Open},
		{"oxx", breaker.Closed}, // too few
		{"xooo", breaker.Closed},
		{"xxoo", breaker.Open}, // a call that is right makes it four
		{"oooooxxxx", breaker.Closed},
		{"oooooxxxxx", breaker.Open},
		{"ooxoox", breaker.Closed},
	} {
		bubble(t, usual, func(r *rig) {
			for _, call := range c.calls {
				r.is(breaker.Closed)
				r.do(map[rune]error{'o': nil, 'x': errBoom}[call], 0)
			}
			r.is(c.want)
		})
	}
	bubble(t, with(func(c *breaker.Config) { c.MinCalls, c.FailureRate = 1, 1 }), func(r *rig) {
		r.do(nil, 0)
		r.do(errBoom, 0)
		r.is(breaker.Closed)
		r.sleep(r.Window)
		r.do(errBoom, 0)
		r.is(breaker.Open)
	})
}

// A call that took SlowCall or longer is slow, whether right or failed, and the breaker opens at SlowRate of them.
//
//kata:zh 耗时达到 SlowCall 的调用（无论成败）算慢调用；慢调用比例达到 SlowRate 就熔断。
func TestOpensBySlowRate(t *testing.T) {
	bubble(t, usual, func(r *rig) {
		r.do(nil, time.Second)
		r.do(nil, time.Second-1)
		r.do(nil, time.Second)
		r.is(breaker.Closed)
		r.do(nil, time.Second)
		r.is(breaker.Open)
	})
	bubble(t, usual, func(r *rig) { // half of them slow, the other half failed quickly: neither rate is reached
		r.do(nil, time.Second)
		r.do(nil, 2*time.Second)
		r.do(errBoom, 0)
		r.do(nil, time.Second-1)
		r.is(breaker.Closed)
	})
	bubble(t, with(func(c *breaker.Config) { c.FailureRate = 1 }), func(r *rig) { // a failed call can be slow as well
		r.do(nil, time.Second)
		r.do(errBoom, time.Second)
		r.do(nil, 0)
		r.is(breaker.Closed)
		r.do(errBoom, time.Second)
		r.is(breaker.Open)
	})
}

// A call counts from its end on for exactly Window, and no call changes how long another counts.
//
//kata:zh 滑动窗口是精确的：一次调用从结束起恰好计入 Window 这么久，其他调用不影响它。
func TestSlidingWindow(t *testing.T) {
	two := with(func(c *breaker.Config) { c.MinCalls, c.FailureRate, c.SlowRate = 2, 1, 1 })
	for _, c := range []struct {
		between time.Duration
		want    breaker.State
	}{{10*time.Second - 1, breaker.Open}, {10 * time.Second, breaker.Closed}, {10*time.Second + 1, breaker.Closed}} {
		for _, offset := range []time.Duration{0, 3700 * time.Millisecond} { // wherever it falls among seconds and windows
			bubble(t, two, func(r *rig) {
				r.sleep(offset)
				r.do(errBoom, 0)
				r.sleep(c.between)
				r.do(errBoom, 0)
				r.is(c.want)
			})
		}
	}
	bubble(t, two, func(r *rig) { // counts from its end, not from its beginning
		slow := r.begin(r.Context())
		r.sleep(time.Hour)
		slow.end(errBoom)
		r.sleep(9 * time.Second)
		r.do(errBoom, 0)
		r.is(breaker.Open)
	})
	bubble(t, usual, func(r *rig) { // each leaves by itself
		r.do(errBoom, 0)
		r.sleep(4 * time.Second)
		r.do(nil, 0)
		r.do(nil, 0)
		r.sleep(4 * time.Second)
		r.do(nil, 0)
		r.sleep(2 * time.Second)
		r.do(errBoom, 0) // the first one has just left: 1 of 4
		r.is(breaker.Closed)
		r.sleep(4 * time.Second)
		r.do(errBoom, 0) // two of three
		r.is(breaker.Closed)
		r.sleep(time.Second)
		r.do(nil, 0) // two of four
		r.is(breaker.Open)
	})
}

// For OpenFor after it opened, no more and no less, the breaker runs no call and Do returns ErrOpen.
//
//kata:zh 熔断后恰好 OpenFor 这么久，不运行任何调用，Do 返回 ErrOpen；被拒绝的调用不会延长它。
func TestOpenRefuses(t *testing.T) {
	bubble(t, usual, func(r *rig) {
		r.sleep(7 * time.Second)
		r.open()
		for range 29 {
			r.refuses()
			r.sleep(time.Second)
		}
		r.sleep(time.Second - 1)
		r.refuses()
		r.is(breaker.Open)
		r.sleep(1)
		r.is(breaker.Open) // until a call comes
		probe := r.begin(r.Context())
		r.is(breaker.HalfOpen)
		probe.end(nil)
	})
	bubble(t, with(func(c *breaker.Config) { c.SlowCall = time.Hour }), func(r *rig) { // from the opening, not from the call that led to it
		for range 3 {
			r.do(errBoom, 0)
		}
		r.do(errBoom, 9*time.Second)
		r.sleep(r.OpenFor - 1)
		r.refuses()
		r.sleep(1)
		r.do(nil, 0)
	})
}

// Half-open, exactly Probes calls are let through; when all of them have succeeded the breaker closes, with nothing counted.
//
//kata:zh 半开时恰好放行 Probes 个调用；全部成功后关闭，计数清零。
func TestProbes(t *testing.T) {
	bubble(t, usual, func(r *rig) {
		r.open()
		r.sleep(r.OpenFor)
		one, two := r.begin(r.Context()), r.begin(r.Context())
		one.end(nil)
		r.is(breaker.HalfOpen)
		three := r.begin(r.Context())
		r.refuses()
		three.end(nil)
		r.refuses()
		r.is(breaker.HalfOpen)
		two.end(nil)
		r.is(breaker.Closed)
		r.do(errBoom, 0) // one of one: too few
		r.do(errBoom, 0)
		r.is(breaker.Closed)
	})
	bubble(t, with(func(c *breaker.Config) { c.Window = time.Hour }), func(r *rig) { // what was counted before it opened counts no more
		r.open()
		r.sleep(r.OpenFor)
		for range r.Probes {
			r.do(nil, 0)
		}
		r.do(errBoom, 0)
		r.do(errBoom, 0)
		r.do(errBoom, 0)
		r.is(breaker.Closed)
	})
	bubble(t, usual, func(r *rig) { // again, from the beginning
		r.open()
		for range 2 {
			r.sleep(r.OpenFor)
			r.do(nil, 0)
			r.do(nil, 0)
			r.is(breaker.HalfOpen)
			r.do(errBoom, 0)
			r.is(breaker.Open)
		}
		r.sleep(r.OpenFor)
		r.do(nil, 0)
		r.do(nil, 0)
		r.is(breaker.HalfOpen)
		r.do(nil, 0)
		r.is(breaker.Closed)
	})
}

// One probe that fails or is slow opens the breaker again, at once and for all of OpenFor.
//
//kata:zh 只要有一个探测失败或太慢，立刻重新熔断，完整地持续 OpenFor。
func TestProbeFails(t *testing.T) {
	for _, bad := range []struct {
		err  error
		took time.Duration
	}{{errBoom, 0}, {nil, time.Second}} {
		bubble(t, usual, func(r *rig) {
			r.open()
			r.sleep(r.OpenFor + time.Minute)
			other := r.begin(r.Context())
			r.do(bad.err, bad.took)
			r.is(breaker.Open)
			r.refuses()
			other.end(nil)
			r.sleep(r.OpenFor - 1)
			r.refuses()
			r.sleep(1)
			r.do(nil, time.Second-1)
			r.is(breaker.HalfOpen)
		})
	}
}

// A call whose caller cancelled it counts for nothing, and a probe gives its place back; one that ran out of time has failed.
//
//kata:zh 被调用方取消的调用不计入任何统计，探测则归还名额；超时的调用算失败。
func TestCancelled(t *testing.T) {
	why := errors.New("the client is gone")
	bubble(t, usual, func(r *rig) {
		for range 10 {
			ctx, cancel := context.WithCancelCause(r.Context())
			c := r.begin(ctx)
			r.sleep(2 * time.Second)
			cancel(why)
			c.end(fmt.Errorf("get: %w", context.Canceled))
		}
		r.is(breaker.Closed)
		for range 3 { // the cancelled ones were no calls: these are too few
			r.do(errBoom, 0)
		}
		r.is(breaker.Closed)
	})
	bubble(t, usual, func(r *rig) { // the dependency's own cancellation is a failure of the dependency
		for range 4 {
			r.do(context.Canceled, 0)
		}
		r.is(breaker.Open)
	})
	bubble(t, usual, func(r *rig) { // and so is a deadline that was missed
		for range 4 {
			ctx, cancel := context.WithTimeout(r.Context(), time.Millisecond)
			c := r.begin(ctx)
			r.sleep(time.Millisecond)
			c.end(context.DeadlineExceeded)
			cancel()
		}
		r.is(breaker.Open)
	})
	bubble(t, usual, func(r *rig) { // who succeeded in spite of it, succeeded
		for range 2 {
			ctx, cancel := context.WithCancel(r.Context())
			c := r.begin(ctx)
			cancel()
			c.end(nil)
			r.is(breaker.Closed)
			r.do(errBoom, 0)
		}
		r.is(breaker.Open) // two of four
	})
	bubble(t, usual, func(r *rig) {
		r.open()
		r.sleep(r.OpenFor)
		ctx, cancel := context.WithCancel(r.Context())
		one, two, three := r.begin(ctx), r.begin(ctx), r.begin(r.Context())
		cancel()
		one.end(context.Canceled)
		r.is(breaker.HalfOpen)
		again := r.begin(r.Context())
		r.refuses()
		two.end(errBoom) // whatever error it is: the caller had left
		r.do(nil, 0)
		r.refuses()
		three.end(nil)
		r.is(breaker.HalfOpen)
		again.end(nil)
		r.is(breaker.Closed)
	})
	bubble(t, usual, func(r *rig) { // cancelled beforehand: nothing happens, in no state
		gone, cancel := context.WithCancelCause(r.Context())
		cancel(why)
		nothing := func() {
			t.Helper()
			ran := false
			if err := r.Do(gone, func(context.Context) error { ran = true; return errBoom }); err != why || ran {
				r.fatal("ctx was cancelled before because of %q: Do = %v, call was run: %v; want the cause and no call", why, err, ran)
			}
		}
		for range 10 {
			nothing()
		}
		r.is(breaker.Closed)
		r.open()
		nothing()
		r.sleep(r.OpenFor)
		nothing()
		r.announced("closed→open")
		for range r.Probes {
			nothing()
			r.do(nil, 0)
		}
		r.is(breaker.Closed)
	})
}

// A call that panics or ends its goroutine has failed, and the panic goes on to the caller.
//
//kata:zh 调用 panic 或用 runtime.Goexit 结束 goroutine 都算失败；panic 原样传给调用者。
func TestPanic(t *testing.T) {
	goexit := func(context.Context) error { runtime.Goexit(); return nil }
	ends := func(r *rig) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.Do(r.Context(), goexit)
		}()
		<-done
		r.note("Goexit")
	}
	panics := func(r *rig) {
		defer func() {
			if p := recover(); p != errBoom {
				r.fatal("call panicked with %q: what came out of Do is %v, want the same panic", errBoom, p)
			}
		}()
		r.note("panic")
		r.Do(r.Context(), func(context.Context) error { panic(errBoom) })
	}
	for _, bad := range []func(*rig){panics, ends} {
		bubble(t, usual, func(r *rig) {
			for range 4 {
				bad(r)
			}
			r.is(breaker.Open)
			r.announced("closed→open")
			r.sleep(r.OpenFor)
			r.do(nil, 0)
			bad(r)
			r.is(breaker.Open)
		})
	}
	bubble(t, usual, func(r *rig) { // a cancellation does not excuse a panic
		ctx, cancel := context.WithCancel(r.Context())
		cancelled := func() {
			defer func() { recover() }()
			c, cancel := context.WithCancel(ctx)
			r.note("cancelled, panic")
			r.Do(c, func(context.Context) error { cancel(); panic(errBoom) })
		}
		for range 4 {
			cancelled()
		}
		cancel()
		r.is(breaker.Open)
	})
}

// A result counts only if the state has not changed since its call began.
//
//kata:zh 调用开始之后状态变过，它的结果就不再计入：迟到的旧结果不影响新状态。
func TestLateResults(t *testing.T) {
	bubble(t, usual, func(r *rig) { // of the closed breaker, when it is half-open
		late, fine := r.begin(r.Context()), r.begin(r.Context())
		r.open()
		r.sleep(r.OpenFor)
		r.do(nil, 0)
		late.end(errBoom)
		r.is(breaker.HalfOpen)
		fine.end(nil)
		r.do(nil, 0)
		r.is(breaker.HalfOpen)
		r.do(nil, 0)
		r.is(breaker.Closed)
	})
	bubble(t, with(func(c *breaker.Config) { c.SlowCall = time.Hour }), func(r *rig) { // of the closed breaker, when it is open, then closed again
		open := []*call{r.begin(r.Context()), r.begin(r.Context()), r.begin(r.Context()), r.begin(r.Context()), r.begin(r.Context())}
		r.open()
		r.sleep(time.Second)
		open[0].end(errBoom)
		r.sleep(r.OpenFor - time.Second)
		for range r.Probes {
			r.do(nil, 0)
		}
		r.is(breaker.Closed)
		for _, c := range open[1:] {
			c.end(errBoom)
		}
		r.is(breaker.Closed)
		for range 3 {
			r.do(errBoom, 0)
		}
		r.is(breaker.Closed)
	})
	bubble(t, with(func(c *breaker.Config) { c.SlowCall = time.Hour }), func(r *rig) { // of a probe, in the next half-open state
		r.open()
		r.sleep(r.OpenFor)
		ctx, cancel := context.WithCancel(r.Context())
		gone, bad, fine := r.begin(ctx), r.begin(r.Context()), r.begin(r.Context())
		bad.end(errBoom)
		r.sleep(r.OpenFor)
		one, two, three := r.begin(r.Context()), r.begin(r.Context()), r.begin(r.Context())
		cancel()
		gone.end(context.Canceled) // gives back a place that is none of this round
		r.refuses()
		fine.end(nil)
		one.end(nil)
		two.end(nil)
		r.is(breaker.HalfOpen)
		three.end(nil)
		r.is(breaker.Closed)
	})
}

// OnChange is told of each change once, one at a time, in order, before Do goes on, and may use the breaker.
//
//kata:zh 每次状态变化通知一次 OnChange，逐个、按序、在 Do 继续之前；OnChange 里可以使用熔断器。
func TestAnnounced(t *testing.T) {
	bubble(t, usual, func(r *rig) {
		r.open()
		r.announced("closed→open")
		r.refuses()
		r.sleep(r.OpenFor)
		probe := r.begin(r.Context())
		r.announced("closed→open", "open→half-open") // while the probe runs
		probe.end(errBoom)
		r.announced("closed→open", "open→half-open", "half-open→open")
		r.sleep(r.OpenFor)
		for range r.Probes {
			r.do(nil, 0)
		}
		r.announced("closed→open", "open→half-open", "half-open→open", "open→half-open", "half-open→closed")
	})

	// A slow listener delays neither calls nor the order, and makes no call slow.
	bubble(t, usual, func(r *rig) {
		r.open()
		r.sleep(r.OpenFor)
		r.listen = func() { time.Sleep(time.Minute) }
		probe := r.call(r.Context())
		r.note("the first probe comes, OnChange takes 1m0s")
		r.sleep(time.Minute)
		synctest.Wait()
		probe.release(nil)
		probe.wait()
		r.note("the probe returns at once")
		r.is(breaker.HalfOpen)
	})
	bubble(t, usual, func(r *rig) {
		var listening atomic.Int32
		hold := make(chan struct{})
		free := sync.OnceFunc(func() { close(hold) })
		defer free()
		r.listen = func() {
			if n := listening.Add(1); n > 1 {
				r.Errorf("%d calls of OnChange at the same time, want one after the other", n)
			}
			<-hold
			listening.Add(-1)
		}
		for range 3 {
			r.do(errBoom, 0)
		}
		slow := r.begin(r.Context())
		slow.release(errBoom) // its Do is held by OnChange
		synctest.Wait()
		r.sleep(r.OpenFor)
		for range r.Probes {
			r.do(nil, 0)
		}
		r.is(breaker.Closed)
		free()
		slow.wait()
		r.announced("closed→open", "open→half-open", "half-open→closed")
	})

	// In real time: a goroutine that waits for its own lock would stop the clock of a bubble.
	told := make(chan string, 1)
	var b *breaker.Breaker
	c := usual()
	c.MinCalls = 1
	c.OnChange = func(_, to breaker.State) {
		err := b.Do(context.Background(), func(context.Context) error { return nil })
		told <- fmt.Sprintf("State() = %v, Do = %v", b.State(), err)
	}
	b = breaker.New(c)
	go b.Do(context.Background(), func(context.Context) error { return errBoom })
	select {
	case got := <-told:
		if want := fmt.Sprintf("State() = open, Do = %v", breaker.ErrOpen); got != want {
			t.Errorf("OnChange, told that the breaker opens, uses it: %s, want %s", got, want)
		}
	case <-time.After(3 * time.Second):
		t.Error("OnChange calls Do and State: they do not return")
	}
}

// Calls run at the same time, and of a crowd no more than Probes get through, without a data race.
//
//kata:zh 调用并发执行；一拥而上时放行的也不超过 Probes 个，没有数据竞争。
func TestConcurrent(t *testing.T) {
	bubble(t, usual, func(r *rig) {
		one, two := r.begin(r.Context()), r.begin(r.Context())
		one.end(nil)
		two.end(nil)
	})
	bubble(t, with(func(c *breaker.Config) { c.MinCalls = 1000 }), func(r *rig) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for i := range 50 {
					r.Do(context.Background(), func(context.Context) error {
						return map[bool]error{true: errBoom}[i%3 == 0]
					})
					r.State()
				}
			})
		}
		all.Wait()
		r.is(breaker.Closed)
	})
	bubble(t, usual, func(r *rig) {
		var all sync.WaitGroup
		all.Go(func() {
			for range 100 {
				r.State()
			}
		})
		all.Go(func() {
			for range r.MinCalls {
				r.Do(context.Background(), func(context.Context) error { return errBoom })
			}
		})
		all.Wait()
		r.is(breaker.Open)
	})
	for range 10 {
		bubble(t, usual, func(r *rig) {
			r.open()
			r.sleep(r.OpenFor)
			start, hold := make(chan struct{}), make(chan struct{})
			var all sync.WaitGroup
			var through, refused atomic.Int32
			for range 40 {
				all.Go(func() {
					<-start
					err := r.Do(context.Background(), func(context.Context) error {
						through.Add(1)
						<-hold
						return nil
					})
					if err != nil {
						refused.Add(1)
					}
				})
			}
			synctest.Wait()
			close(start)
			synctest.Wait()
			if n := through.Load(); n != 3 {
				r.Errorf("half-open, Probes 3, 40 calls at once: %d were let through, %d refused", n, refused.Load())
			}
			close(hold)
			all.Wait()
			r.is(breaker.Closed)
		})
	}
}

var errBoom = errors.New("boom")

// usual is the configuration of most tests.
func usual() breaker.Config {
	return breaker.Config{
		Window:      10 * time.Second,
		MinCalls:    4,
		FailureRate: 0.5,
		SlowCall:    time.Second,
		SlowRate:    0.75,
		OpenFor:     30 * time.Second,
		Probes:      3,
	}
}

func with(change func(*breaker.Config)) func() breaker.Config {
	return func() breaker.Config {
		c := usual()
		change(&c)
		return c
	}
}

// rig is a breaker and what has been done with it.
type rig struct {
	*breaker.Breaker
	breaker.Config
	*testing.T
	start  time.Time
	done   []string
	listen func()
	calls  []*call

	mu      sync.Mutex
	changes []string
	late    atomic.Bool
}

// bubble runs f in virtual time.
func bubble(t *testing.T, config func() breaker.Config, f func(r *rig)) {
	t.Helper()
	r := &rig{Config: config()}
	// Real time, outside the bubble: whoever waits for a mutex stops the clock of a bubble, and whoever loops never lets it go on.
	defer time.AfterFunc(1500*time.Millisecond, func() { r.late.Store(true) }).Stop()
	defer time.AfterFunc(10*time.Second, func() {
		panic("the breaker has come to a standstill: does it hold a lock while a call runs, or wait in a busy loop?")
	}).Stop()
	synctest.Test(t, func(t *testing.T) {
		r.T, r.start = t, time.Now()
		c := r.Config
		c.OnChange = func(from, to breaker.State) {
			r.mu.Lock()
			r.changes = append(r.changes, fmt.Sprint(from, "→", to))
			r.mu.Unlock()
			if r.listen != nil {
				r.listen()
			}
		}
		r.Breaker = breaker.New(c)
		defer func() { // nobody is left behind
			for _, c := range r.calls {
				c.release(nil)
			}
		}()
		f(r)
	})
}

func (r *rig) note(format string, args ...any) { r.done = append(r.done, fmt.Sprintf(format, args...)) }

// fatal reports what was wrong, and what had been done before.
func (r *rig) fatal(format string, args ...any) {
	r.Helper()
	r.Fatalf("Window %v, MinCalls %d, FailureRate %v, SlowCall %v, SlowRate %v, OpenFor %v, Probes %d.\nWhat was done, by virtual time: %s.\n%s",
		r.Window, r.MinCalls, r.FailureRate, r.SlowCall, r.SlowRate, r.OpenFor, r.Probes,
		strings.Join(r.done, ", "), "Then "+fmt.Sprintf(format, args...))
}

// call is a call under way.
type call struct {
	*rig

	number  int
	begun   atomic.Bool
	over    chan struct{}
	result  chan error
	release func(error)
	err     error
}

// call calls Do.
func (r *rig) call(ctx context.Context) *call {
	c := &call{rig: r, number: len(r.calls) + 1, over: make(chan struct{}), result: make(chan error, 1)}
	var once sync.Once
	c.release = func(err error) { once.Do(func() { c.result <- err }) }
	r.calls = append(r.calls, c)
	go func() {
		defer close(c.over)
		c.err = r.Do(ctx, func(inner context.Context) error {
			if inner != ctx {
				r.Errorf("the context of call is %v, want that of Do", inner)
			}
			c.begun.Store(true)
			return <-c.result
		})
	}()
	return c
}

// try calls Do and waits until the call runs or Do has returned.
func (r *rig) try(ctx context.Context) *call {
	c := r.call(ctx)
	if !r.spin(func() bool { return c.begun.Load() || c.returned() }) {
		r.Helper()
		r.fatal("another Do neither ran its call nor returned: does it wait for a lock that is held while a call or OnChange runs?")
	}
	return c
}

// spin waits for cond without letting virtual time pass. It gives up when it is late, but only after the others had another chance to run:
// perhaps it was the machine that stood still.
func (r *rig) spin(cond func() bool) bool {
	for chances := 0; chances < 100_000; chances++ {
		if cond() {
			return true
		}
		if !r.late.Load() {
			chances = 0
		}
		runtime.Gosched()
	}
	return false
}

func (c *call) returned() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

// begin begins a call that must be let through.
func (r *rig) begin(ctx context.Context) *call {
	r.Helper()
	c := r.try(ctx)
	if !c.begun.Load() {
		r.fatal("Do = %v, and the call was not run; want it let through (State() = %v)", c.err, r.State())
	}
	r.note("%v: call %d begins", time.Since(r.start), c.number)
	return c
}

// wait waits until Do has returned.
func (c *call) wait() {
	if !c.spin(c.returned) {
		c.Helper()
		c.fatal("the call had ended, and Do did not return")
	}
}

// end has the call return err.
func (c *call) end(err error) {
	c.Helper()
	c.release(err)
	c.wait()
	c.note("%v: call %d = %v", time.Since(c.start), c.number, err)
	if c.err != err {
		c.fatal("call %d returned %v: Do = %v, want the same", c.number, err, c.err)
	}
}

// do makes a call that must be let through.
func (r *rig) do(err error, took time.Duration) {
	r.Helper()
	c := r.begin(r.Context())
	r.sleep(took)
	c.end(err)
}

// refuses tries a call that must not be let through.
func (r *rig) refuses() {
	r.Helper()
	c := r.try(r.Context())
	if c.begun.Load() {
		r.fatal("at %v another call was let through (State() = %v), want ErrOpen", time.Since(r.start), r.State())
	}
	if c.err != breaker.ErrOpen {
		r.fatal("at %v Do = %v and did not run its call, want ErrOpen", time.Since(r.start), c.err)
	}
	r.note("%v: refused", time.Since(r.start))
}

// open opens a breaker of the usual MinCalls.
func (r *rig) open() {
	r.Helper()
	for range r.MinCalls {
		r.do(errBoom, 0)
	}
	r.is(breaker.Open)
}

func (r *rig) is(want breaker.State) {
	r.Helper()
	if got := r.State(); got != want {
		r.fatal("State() = %v, want %v", got, want)
	}
}

func (r *rig) announced(want ...string) {
	r.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.changes, want) {
		r.fatal("OnChange had been told %v, want %v", r.changes, want)
	}
}

func (r *rig) sleep(d time.Duration) { time.Sleep(d) }
