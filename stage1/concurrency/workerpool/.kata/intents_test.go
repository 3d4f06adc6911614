// The intents of workerpool.
//
//kata:level 2
//kata:minutes 45
//kata:engine real Go runtime
//kata:race
//kata:forbid "golang.org/x/sync/errgroup"
package workerpool_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/roadkata/roadkata/stage1/concurrency/workerpool"
)

// The results stand in the order of the input, whatever order the calls end in.
//
//kata:zh 无论各次调用以什么次序结束，结果都按输入的次序排列。
func TestOrder(t *testing.T) {
	in := []int{0, 1, 2, 3, 4, 5, 6, 7}
	want := []int{0, 1, 4, 9, 16, 25, 36, 49}
	for _, n := range []int{1, 3, len(in)} {
		bubble(t, func(t *testing.T) {
			got, err := workerpool.Map(t.Context(), n, in, func(_ context.Context, v int) (int, error) {
				time.Sleep(time.Duration(len(in)-v) * time.Second) // the first value takes longest
				return v * v, nil
			})
			if !slices.Equal(got, want) || err != nil {
				t.Errorf("Map(ctx, %d, %v, square) = %v, %v; want %v, nil", n, in, got, err, want)
			}
		})
	}
}

// Never more than n calls run at once.
//
//kata:zh 同时运行的调用不超过 n 个。
func TestBounded(t *testing.T) {
	for _, n := range []int{1, 2, 3} {
		if got := peak(t, n, 12); got > n {
			t.Errorf("Map(ctx, %d, 12 values, f) ran %d calls at once, want %[1]d at most", n, got)
		}
	}
}

// While enough values are left, n calls really run at once, more than there are CPUs too.
//
//kata:zh 只要还有足够的值，就确实有 n 个调用同时运行，即使 n 超过 CPU 数。
func TestParallel(t *testing.T) {
	n := runtime.NumCPU() + 8 // what waits for a network needs no CPU
	if got := peak(t, n, 2*n); got < n {
		t.Errorf("Map(ctx, %d, %d values, f) ran %d calls at once, want %[1]d", n, 2*n, got)
	}
}

// A slow call holds nothing up: a slot that becomes free takes the next value at once.
//
//kata:zh 慢调用不拖累其他调用：一有空位，立刻处理下一个值。
func TestFreeSlotIsFilled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := time.Now()
		var calls, last atomic.Int64
		workerpool.Map(t.Context(), 3, make([]int, 9), func(context.Context, int) (int, error) {
			if calls.Add(1) == 1 {
				time.Sleep(time.Hour)
				return 0, nil
			}
			time.Sleep(time.Second)
			last.Store(int64(time.Since(start)))
			return 0, nil
		})
		if got, want := time.Duration(last.Load()), 4*time.Second; got > want {
			t.Errorf("Map(ctx, 3, 9 values, f), where one call takes an hour and each of the other 8 a second: "+
				"the last of the 8 ended after %v, want %v (two at a time beside the slow one)", got, want)
		}
	})
}

// A long input does not mean many goroutines, nor does a large n.
//
//kata:zh 输入再长、n 再大，都不意味着一大堆 goroutine。
func TestFewGoroutines(t *testing.T) {
	const helpers = 8
	for _, c := range []struct{ n, values int }{{3, 1000}, {1000, 3}} {
		bubble(t, func(t *testing.T) {
			before := runtime.NumGoroutine()
			release, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				workerpool.Map(t.Context(), c.n, make([]int, c.values), func(context.Context, int) (int, error) {
					<-release
					return 0, nil
				})
			}()
			synctest.Wait()
			if got := runtime.NumGoroutine() - before; got > 3+helpers {
				t.Errorf("Map(ctx, %d, %d values, f) with 3 calls running keeps %d goroutines, want 3 and a few helpers",
					c.n, c.values, got)
			}
			close(release)
			<-done
		})
	}
}

// The error that comes first in time is returned as it is, and no results with it.
//
//kata:zh 返回时间上最先出现的那个错误，原样不包装，且不带结果。
func TestFirstErrorInTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := []string{"slow", "fails first", "slow too", "fine"}
		errs := map[string]error{
			"slow":        errors.New("slow failed, after the other"),
			"fails first": errors.New("failed first"),
			"slow too":    errors.New("slow too failed, after the other"),
		}
		got, err := workerpool.Map(t.Context(), 4, in, func(ctx context.Context, s string) (string, error) {
			switch s {
			case "fails first":
				time.Sleep(time.Second)
			case "slow", "slow too":
				wait(ctx, time.Hour)
			}
			return "result", errs[s]
		})
		if err != errs["fails first"] {
			t.Errorf("Map(ctx, 4, %q, f) = _, %q; want %q, the very error of the call that failed first in time",
				in, fmt.Sprint(err), errs["fails first"])
		}
		if got != nil {
			t.Errorf("Map(ctx, 4, %q, f) failed and returned the results %q, want nil", in, got)
		}
	})
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		time.AfterFunc(2*time.Second, cancel)
		first := errors.New("failed before ctx was cancelled")
		var calls atomic.Int64
		_, err := workerpool.Map(ctx, 2, make([]int, 2), func(context.Context, int) (int, error) {
			if calls.Add(1) == 1 {
				time.Sleep(time.Second)
				return 0, first
			}
			time.Sleep(time.Minute) // Map still waits for this one when ctx is cancelled
			return 0, nil
		})
		if err != first {
			t.Errorf("a call failed after 1s, ctx was cancelled after 2s, the other call ended after 1m: Map = _, %q; want %q, which came first",
				fmt.Sprint(err), first)
		}
	})
	bubble(t, func(t *testing.T) {
		_, err := workerpool.Map(t.Context(), 1, make([]int, 2), func(ctx context.Context, _ int) (int, error) {
			own, cancel := context.WithTimeout(ctx, time.Second) // the time limit of one request
			defer cancel()
			<-own.Done()
			return 0, own.Err()
		})
		if err != context.DeadlineExceeded {
			t.Errorf("a call ran into a time limit of its own, ctx has none: Map = _, %v; want %v, the very error of the call",
				err, context.DeadlineExceeded)
		}
	})
}

// Calls may fail at the same moment: one of their errors, or of their panics, comes of it, and nothing races.
//
//kata:zh 多个调用可以同时失败或 panic：传出其中一个，且没有数据竞争。
func TestFailuresTogether(t *testing.T) {
	bubble(t, func(t *testing.T) {
		errs := []error{errors.New("error 0"), errors.New("error 1"), errors.New("error 2"), errors.New("error 3")}
		_, err := workerpool.Map(t.Context(), len(errs), errs, func(_ context.Context, err error) (int, error) {
			time.Sleep(time.Second) // they wake at the same moment, and know nothing of each other
			return 0, err
		})
		if !slices.Contains(errs, err) {
			t.Errorf("four calls failed at once, Map = _, %v; want one of their errors", err)
		}
	})
	bubble(t, func(t *testing.T) {
		values := []any{"panic 0", "panic 1", "panic 2", "panic 3"}
		got := recovered(func() {
			workerpool.Map(t.Context(), len(values), values, func(_ context.Context, value any) (int, error) {
				time.Sleep(time.Second)
				panic(value)
			})
		})
		if !slices.Contains(values, got) {
			t.Errorf("four calls panicked at once, Map panicked with %v; want one of their values", got)
		}
	})
}

// When a call fails, the calls that run beside it see their context cancelled.
//
//kata:zh 有调用失败时，其他正在运行的调用会看到自己的 context 被取消。
func TestErrorCancelsRunning(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var waited atomic.Int64
		workerpool.Map(t.Context(), 2, []string{"fails", "waits"}, func(ctx context.Context, s string) (int, error) {
			if s == "fails" {
				time.Sleep(time.Second)
				return 0, errors.New("failed")
			}
			waited.Store(int64(wait(ctx, time.Hour)))
			return 0, ctx.Err()
		})
		synctest.Wait()
		if got := time.Duration(waited.Load()); got != time.Second {
			t.Errorf("a call failed after 1s; the one beside it waited %v for its context to be cancelled, want 1s", got)
		}
	})
}

// Once a call has failed, no further call starts.
//
//kata:zh 一旦有调用失败，就不再开始新的调用。
func TestErrorStartsNoMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := time.Now()
		var calls, late atomic.Int64
		workerpool.Map(t.Context(), 2, make([]int, 10), func(context.Context, int) (int, error) {
			if time.Since(start) >= time.Second {
				late.Add(1)
			}
			if calls.Add(1) == 1 {
				time.Sleep(time.Second)
				return 0, errors.New("failed")
			}
			time.Sleep(2 * time.Second) // does not look at its context
			return 0, nil
		})
		if n := late.Load(); n > 0 {
			t.Errorf("Map(ctx, 2, 10 values, f): %d calls started after the first had failed, want 0", n)
		}
	})
}

// Once ctx is cancelled, no further call starts, even if the calls never look at their context.
//
//kata:zh ctx 一旦取消，就不再开始新的调用，即使各次调用从不查看自己的 context。
func TestCancelStartsNoMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		time.AfterFunc(time.Second, cancel)
		var late atomic.Int64
		_, err := workerpool.Map(ctx, 2, make([]int, 10), func(context.Context, int) (int, error) {
			if ctx.Err() != nil {
				late.Add(1)
			}
			time.Sleep(2 * time.Second)
			return 0, nil
		})
		if n := late.Load(); n > 0 || err == nil {
			t.Errorf("Map(ctx, 2, 10 values, f), ctx cancelled during the first two calls: "+
				"%d calls started after that, error %v; want 0 calls and an error", n, err)
		}
	})
}

// When ctx is cancelled, running calls are told and Map returns context.Cause(ctx), whatever they return.
//
//kata:zh ctx 取消时，正在运行的调用会得到通知；无论它们返回什么，Map 都返回 context.Cause(ctx)。
func TestCancelCause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		shutdown := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		time.AfterFunc(time.Second, func() { cancel(shutdown) })
		var waited atomic.Int64
		got, err := workerpool.Map(ctx, 1, make([]int, 10), func(ctx context.Context, _ int) (int, error) {
			waited.Store(int64(wait(ctx, time.Hour)))
			return 0, fmt.Errorf("call: %w", ctx.Err())
		})
		if err != shutdown || got != nil {
			t.Errorf("ctx was cancelled because of %q, Map = %v, %q; want nil, %[1]q", shutdown, got, fmt.Sprint(err))
		}
		synctest.Wait()
		if got := time.Duration(waited.Load()); got != time.Second {
			t.Errorf("ctx was cancelled after 1s, the running call was told after %v", got)
		}
		_, err = workerpool.Map(ctx, 1, make([]int, 10), func(context.Context, int) (int, error) { return 0, nil })
		if err != shutdown {
			t.Errorf("ctx had been cancelled beforehand because of %q, Map = _, %q; want %[1]q", shutdown, fmt.Sprint(err))
		}
	})
}

// A context that is cancelled beforehand starts no call at all.
//
//kata:zh 如果 ctx 事先已取消，一次调用都不会开始。
func TestCancelledBeforehand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 64 { // a coin tossed between ctx and a free slot does not fall right so often
			var calls atomic.Int64
			_, err := workerpool.Map(ctx, 2, make([]int, 2), func(context.Context, int) (int, error) {
				calls.Add(1)
				return 0, nil
			})
			if calls.Load() != 0 || err == nil {
				t.Fatalf("Map(cancelled ctx, 2, 2 values, f) made %d calls and returned error %v; want no call and an error",
					calls.Load(), err)
			}
		}
	})
}

// Complete results are never thrown away: a cancellation that keeps no call from succeeding is no failure.
//
//kata:zh 完整的结果绝不丢弃：如果取消没有妨碍任何调用成功，就不算失败。
func TestCompleteInSpiteOfCancel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		time.AfterFunc(time.Second, cancel)
		got, err := workerpool.Map(ctx, 2, []int{1, 2}, func(_ context.Context, v int) (int, error) {
			time.Sleep(time.Duration(1+v) * time.Second)
			return 10 * v, nil
		})
		if want := []int{10, 20}; !slices.Equal(got, want) || err != nil {
			t.Errorf("ctx was cancelled while the last two calls ran, and both succeeded: Map = %v, %v; want %v, nil", got, err, want)
		}
		// Without values no result is missing either; whether Map panics there is for another intent to say.
		recovered(func() {
			_, err = workerpool.Map(ctx, 2, nil, func(_ context.Context, v int) (int, error) { return v, nil })
		})
		if err != nil {
			t.Errorf("Map(cancelled ctx, 2, no values, f) = _, %v; want no error: no value is left without a result", err)
		}
	})
}

// A panic in f reaches the caller of Map with its value, and stops the rest as an error does.
//
//kata:zh f 中的 panic 带着原值传到 Map 的调用方，并像错误一样叫停其余调用。
func TestPanic(t *testing.T) {
	value := &struct{ s string }{"the value"}
	bubble(t, func(t *testing.T) {
		start := time.Now()
		var calls, late atomic.Int64
		got := recovered(func() {
			workerpool.Map(t.Context(), 2, make([]int, 10), func(ctx context.Context, _ int) (int, error) {
				if time.Since(start) >= time.Second {
					late.Add(1)
				}
				if calls.Add(1) == 1 {
					time.Sleep(time.Second)
					panic(value)
				}
				wait(ctx, time.Hour)
				return 0, nil
			})
		})
		if got != value {
			t.Errorf("f panicked with %p; Map panicked with %v, want the same value", value, got)
		}
		if took := time.Since(start); late.Load() > 0 || took != time.Second {
			t.Errorf("the first call panicked after 1s: %d calls started after that, and Map ended after %v; want 0 calls, and 1s",
				late.Load(), took)
		}
	})
	bubble(t, func(t *testing.T) {
		var calls atomic.Int64
		got := recovered(func() {
			workerpool.Map(t.Context(), 2, make([]int, 2), func(ctx context.Context, _ int) (int, error) {
				if calls.Add(1) == 1 {
					time.Sleep(time.Second)
					return 0, errors.New("failed")
				}
				time.Sleep(2 * time.Second)
				panic(value)
			})
		})
		if got != value {
			t.Errorf("one call failed, then the other panicked with %p; Map panicked with %v, want the same value", value, got)
		}
	})
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var calls atomic.Int64
		got := recovered(func() {
			workerpool.Map(ctx, 2, make([]int, 10), func(context.Context, int) (int, error) {
				first := calls.Add(1) == 1
				time.Sleep(2 * time.Second)
				if first {
					panic(value)
				}
				return 0, nil
			})
		})
		if got != value {
			t.Errorf("ctx was cancelled, then a running call panicked with %p; Map panicked with %v, want the same value", value, got)
		}
	})
}

// Map returns, or panics, only after the calls that still run have returned.
//
//kata:zh Map 等仍在运行的调用全部返回之后，自己才返回或 panic。
func TestWaitsForRunning(t *testing.T) {
	for _, end := range []string{"a call fails", "a call panics", "ctx is cancelled"} {
		bubble(t, func(t *testing.T) {
			patience, stop := context.WithTimeout(t.Context(), time.Hour)
			defer stop()
			var running atomic.Int64
			endBy(t, patience, end, func(ctx context.Context) {
				running.Add(1)
				defer running.Add(-1)
				either(ctx, patience)
				time.Sleep(time.Minute) // clearing up takes its time
			})
			if n := running.Load(); n > 0 {
				t.Errorf("%s: Map came back while %d calls were still running, want 0", end, n)
			}
		})
	}
}

// Map leaves no goroutine behind, even if ctx lives on.
//
//kata:zh Map 不留下任何 goroutine，即使 ctx 还没有结束。
func TestLeavesNoGoroutine(t *testing.T) {
	// In real time, for goleak says which goroutine is left and where it waits. How long a call waits to be told that
	// another has failed does not matter here.
	patience, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	for _, end := range []string{"a call fails", "a call panics", "all calls succeed"} {
		others := goleak.IgnoreCurrent()
		endBy(t, patience, end, func(ctx context.Context) { either(ctx, patience) })
		if err := goleak.Find(others); err != nil {
			t.Errorf("%s: Map came back and left something behind: %v", end, err)
		}
	}
}

// The context of the calls derives from ctx: it carries its values and its deadline.
//
//kata:zh 各次调用的 context 由 ctx 派生：带着它的值和截止时间。
func TestDerivesContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type key struct{}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "trace 7"), time.Minute)
		defer cancel()
		in := []string{"value", "deadline"}
		want := []string{"trace 7", "1m0s"}
		got, err := workerpool.Map(ctx, 1, in, func(ctx context.Context, what string) (string, error) {
			if what == "deadline" {
				end, _ := ctx.Deadline()
				return time.Until(end).String(), nil
			}
			return fmt.Sprint(ctx.Value(key{})), nil
		})
		if !slices.Equal(got, want) || err != nil {
			t.Errorf("the calls saw the %q of ctx as %q (error %v), want %q", in, got, err, want)
		}
	})
}

// When Map returns, the context of the calls is cancelled, after a success too: nothing hangs on to ctx.
//
//kata:zh Map 返回后，各次调用的 context 都已取消，成功时也不例外：ctx 上不留任何挂靠。
func TestReleasesContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var of atomic.Pointer[context.Context]
		_, err := workerpool.Map(t.Context(), 1, []int{1}, func(ctx context.Context, v int) (int, error) {
			of.Store(&ctx)
			return v, nil
		})
		if ctx := of.Load(); ctx == nil || err != nil || (*ctx).Err() == nil {
			t.Errorf("Map(ctx, 1, [1], f) returned error %v, and the context of the call is not cancelled; want no error, and it cancelled", err)
		}
	})
}

// Without values there is nothing to do: no result, no error, no call.
//
//kata:zh 没有值就无事可做：没有结果，没有错误，也没有调用。
func TestEmpty(t *testing.T) {
	for _, in := range [][]int{nil, {}} {
		bubble(t, func(t *testing.T) {
			got, err := workerpool.Map(t.Context(), 3, in, func(context.Context, int) (int, error) {
				t.Error("f was called for an empty input")
				return 0, nil
			})
			if len(got) != 0 || err != nil {
				t.Errorf("Map(ctx, 3, %#v, f) = %v, %v; want no results and no error", in, got, err)
			}
		})
	}
}

// An n below 1 is a mistake of the caller's: Map panics before it calls f.
//
//kata:zh n 小于 1 是调用方的错误：Map 在调用 f 之前就 panic。
func TestNBelowOne(t *testing.T) {
	for _, n := range []int{1, 0, -1} {
		bubble(t, func(t *testing.T) {
			var calls atomic.Int64
			var got []int
			var err error
			panicked := recovered(func() {
				got, err = workerpool.Map(t.Context(), n, []int{1, 2}, func(_ context.Context, v int) (int, error) {
					calls.Add(1)
					return v, nil
				})
			})
			switch {
			case n == 1 && panicked != nil:
				t.Errorf("Map(ctx, 1, [1 2], f) panicked: %v; want [1 2], nil", panicked)
			case n < 1 && panicked == nil:
				t.Errorf("Map(ctx, %d, [1 2], f) = %v, %v; want a panic", n, got, err)
			case n < 1 && calls.Load() > 0:
				t.Errorf("Map(ctx, %d, [1 2], f) called f %d times before it panicked, want never", n, calls.Load())
			}
			empty := recovered(func() {
				got, err = workerpool.Map(t.Context(), n, nil, func(_ context.Context, v int) (int, error) { return v, nil })
			})
			if n < 1 && empty == nil {
				t.Errorf("Map(ctx, %d, no values, f) = %v, %v; want a panic: n is as wrong without values", n, got, err)
			}
		})
	}
}

// bubble runs f in virtual time, where a deadlock is reported at once. One thing
// escapes it: the clock stands still while a goroutine waits for a mutex or spins.
// A deadline in real time turns that into a message.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	deadline := time.AfterFunc(5*time.Second, func() {
		panic("Map has come to a standstill. Does it hold a mutex while f runs, or wait in a busy loop?")
	})
	defer deadline.Stop()
	synctest.Test(t, func(t *testing.T) {
		f(t)
		time.Sleep(24 * time.Hour) // whatever still runs may end: what doesn't is stuck
	})
}

// peak returns how many calls ran at once at most.
func peak(t *testing.T, n, values int) int {
	t.Helper()
	var running, most atomic.Int64
	bubble(t, func(t *testing.T) {
		workerpool.Map(t.Context(), n, make([]int, values), func(context.Context, int) (int, error) {
			now := running.Add(1)
			defer running.Add(-1)
			for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
			}
			time.Sleep(time.Second)
			return 0, nil
		})
	})
	return int(most.Load())
}

// wait waits until ctx is cancelled, but no longer than most, and says how long that took.
func wait(ctx context.Context, most time.Duration) time.Duration {
	start := time.Now()
	select {
	case <-ctx.Done():
	case <-time.After(most):
	}
	return time.Since(start)
}

// endBy has Map make three calls at a time, of ten: while two of them wait, the
// first brings about the given end.
func endBy(t *testing.T, patience context.Context, end string, wait func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel) // not before: ctx outlives the call
	var calls atomic.Int64
	both, bothWait := context.WithCancel(context.Background())
	run := func() {
		workerpool.Map(ctx, 3, make([]int, 10), func(ctx context.Context, _ int) (int, error) {
			if end == "all calls succeed" {
				return 0, nil
			}
			if i := calls.Add(1); i > 1 {
				if i == 3 {
					bothWait()
				}
				wait(ctx)
				return 0, nil
			}
			either(both, patience)
			switch end {
			case "a call fails":
				return 0, errors.New("failed")
			case "a call panics":
				panic("panicked")
			}
			cancel()
			return 0, nil
		})
	}
	if end == "a call panics" {
		recovered(run)
	} else {
		run()
	}
}

// either waits until one of the two is done.
func either(a, b context.Context) {
	select {
	case <-a.Done():
	case <-b.Done():
	}
}

// recovered returns the value that f panics with, or nil.
func recovered(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}
