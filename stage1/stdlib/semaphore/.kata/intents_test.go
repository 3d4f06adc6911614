// The intents of semaphore.
//
//kata:level 2
//kata:minutes 40
//kata:engine real Go runtime
//kata:race
//kata:forbid "golang.org/x/sync/semaphore"
package semaphore_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadkata/roadkata/stage1/internal/kit/stall"
	"github.com/roadkata/roadkata/stage1/stdlib/semaphore"
)

// Never more than the size is held at once, however large the numbers.
//
//kata:zh 任何时刻持有的权重都不超过总量，数字再大也一样。
func TestBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := semaphore.New(5)
		var held, most atomic.Int64
		var all sync.WaitGroup
		for i := range 60 {
			n := int64(i%4 + 1)
			all.Go(func() {
				if i%3 > 0 || !s.TryAcquire(n) {
					s.Acquire(t.Context(), n)
				}
				now := held.Add(n)
				for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
				}
				time.Sleep(time.Duration(n) * time.Millisecond)
				held.Add(-n)
				s.Release(n)
			})
		}
		all.Wait()
		if got := most.Load(); got > 5 {
			t.Errorf("60 goroutines shared New(5), and held %d at once, want 5 at most", got)
		}
	})

	bubble(t, func(t *testing.T) {
		s := semaphore.New(math.MaxInt64)
		if !s.TryAcquire(math.MaxInt64 - 1) {
			t.Fatal("New(math.MaxInt64).TryAcquire(math.MaxInt64-1) = false, want true")
		}
		if s.TryAcquire(2) {
			t.Error("all but 1 of New(math.MaxInt64) is held, TryAcquire(2) = true, want false")
		}
		c := acquire(t.Context(), s, math.MaxInt64)
		c.wants(t, waits, "Acquire(ctx, math.MaxInt64) while all but 1 of New(math.MaxInt64) is held")
		s.Release(math.MaxInt64 - 1)
		c.wants(t, served, "Acquire(ctx, math.MaxInt64) after all was released")
	})
}

// First come, first served: what fits does not pass what waits for more.
//
//kata:zh 先来先服务：放得下的小请求也不能越过正在等待的大请求。
func TestFirstComeFirstServed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := semaphore.New(10)
		take(t, s, 6)
		take(t, s, 4)
		big := acquire(t.Context(), s, 8)
		small := acquire(t.Context(), s, 3)

		s.Release(4)
		big.wants(t, waits, "New(10), 6 held, an Acquire of 8 waits and then one of 3: the 8")
		small.wants(t, waits, "New(10), 6 held, an Acquire of 8 waits and then one of 3: the 3, which would fit")
		late := acquire(t.Context(), s, 1)
		late.wants(t, waits, "New(10), 6 held, an Acquire of 8 and one of 3 wait: an Acquire of 1 that comes now")

		s.Release(6)
		big.wants(t, served, "New(10), none held, an Acquire of 8 is first in line: the 8")
		small.wants(t, waits, "New(10), 8 held, an Acquire of 3 is first in line: the 3")
		late.wants(t, waits, "New(10), 8 held, an Acquire of 3 waits and then one of 1: the 1, which would fit")
	})

	bubble(t, func(t *testing.T) {
		s := semaphore.New(10)
		take(t, s, 6)
		ctx, cancel := context.WithCancel(t.Context())
		first := acquire(t.Context(), s, 8)
		acquire(ctx, s, 5)
		last := acquire(t.Context(), s, 2)
		cancel()
		first.wants(t, waits, "New(10), 6 held, Acquires of 8, 5 and 2 wait, the 5 gives up: the 8")
		last.wants(t, waits, "New(10), 6 held, Acquires of 8, 5 and 2 wait, the 5 gives up: the 2, which still stands behind the 8")
	})

	bubble(t, func(t *testing.T) {
		s := semaphore.New(4)
		take(t, s, 4)
		var line []*call
		for range 5 {
			line = append(line, acquire(t.Context(), s, 3))
		}
		held := int64(4)
		for i, c := range line {
			s.Release(held)
			held = 3
			c.wants(t, served, "New(4), five Acquires of 3 wait, Release makes room for one: number %d in line", i+1)
			for j, c := range line[i+1:] {
				c.wants(t, waits, "New(4), five Acquires of 3 wait, Release makes room for one: number %d when %d is served", i+j+2, i+1)
			}
		}
	})
}

// One Release serves all at the head of the line for whom there is room.
//
//kata:zh 一次 Release 要让队首所有放得下的等待者都得到服务。
func TestServesAllThatFit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := semaphore.New(6)
		take(t, s, 6)
		var line []*call
		for _, n := range []int64{1, 2, 3, 1} {
			line = append(line, acquire(t.Context(), s, n))
		}
		s.Release(6)
		for i, want := range []string{served, served, served, waits} {
			line[i].wants(t, want, "New(6), Acquires of 1, 2, 3 and 1 wait, then Release(6): number %d", i+1)
		}
	})
}

// TryAcquire never waits, and never passes those that do.
//
//kata:zh TryAcquire 从不等待，也从不插到等待者前面。
func TestTryAcquire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := semaphore.New(3)
		if !s.TryAcquire(2) {
			t.Error("New(3).TryAcquire(2) = false, want true")
		}
		if s.TryAcquire(2) {
			t.Error("2 of New(3) are held, TryAcquire(2) = true, want false")
		}
		if !s.TryAcquire(1) {
			t.Error("2 of New(3) are held, TryAcquire(1) = false, want true: it fits exactly")
		}
		if s.TryAcquire(4) {
			t.Error("New(3).TryAcquire(4) = true, want false")
		}
	})
	bubble(t, func(t *testing.T) {
		s := semaphore.New(3)
		take(t, s, 2)
		big := acquire(t.Context(), s, 3)
		if s.TryAcquire(1) {
			t.Error("2 of New(3) are held and an Acquire of 3 waits: TryAcquire(1) = true, want false, it would pass who waits")
		}
		s.Release(2)
		big.wants(t, served, "Acquire(ctx, 3) after TryAcquire(1) failed and all was released")
	})
}

// An Acquire whose context ends says at once why, and holds nothing.
//
//kata:zh context 结束时，Acquire 立刻说明原因返回，并且什么也不占有。
func TestCancel(t *testing.T) {
	shutdown := errors.New("shutting down")
	bubble(t, func(t *testing.T) {
		s := semaphore.New(2)
		take(t, s, 2)
		ctx, cancel := context.WithCancelCause(t.Context())
		c := acquire(ctx, s, 2)
		c.wants(t, waits, "Acquire(ctx, 2) while 2 of New(2) are held")
		cancel(shutdown)
		c.wants(t, shutdown.Error(), "Acquire(ctx, 2), where ctx is cancelled because of %q while it waits", shutdown)
		s.Release(2)
		synctest.Wait()
		if !s.TryAcquire(2) {
			t.Error("an Acquire of 2 was cancelled while it waited, all else was released: TryAcquire(2) = false, want true")
		}
	})
	bubble(t, func(t *testing.T) {
		s := semaphore.New(2)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(shutdown)
		c := acquire(ctx, s, 1)
		c.wants(t, shutdown.Error(), "New(2).Acquire(ctx, 1), where ctx was cancelled beforehand because of %q", shutdown)
		if !s.TryAcquire(2) {
			t.Error("New(2), after an Acquire with a context cancelled beforehand: TryAcquire(2) = false, want true")
		}
	})
	bubble(t, func(t *testing.T) {
		s := semaphore.New(1)
		take(t, s, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		err := s.Acquire(ctx, 1)
		if took := time.Since(start); err != context.DeadlineExceeded || took != 3*time.Second {
			t.Errorf("Acquire(ctx, 1) with a deadline of 3s = %v after %v, want %v after 3s", err, took, context.DeadlineExceeded)
		}
	})
}

// When a waiter gives up, those behind it for whom there is room are served at once.
//
//kata:zh 有等待者放弃时，它后面放得下的等待者立刻得到服务。
func TestCancelServesTheNext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := semaphore.New(10)
		take(t, s, 6)
		ctx, cancel := context.WithCancel(t.Context())
		acquire(ctx, s, 8)
		small := acquire(t.Context(), s, 4)
		small.wants(t, waits, "New(10), 6 held, an Acquire of 8 waits and then one of 4: the 4")
		cancel()
		small.wants(t, served, "New(10), 6 held, an Acquire of 8 waits and then one of 4, the 8 gives up: the 4")
	})
}

// If a Release and a cancellation meet, no weight is lost and none is held twice.
//
//kata:zh Release 与取消同时发生时，权重既不会丢失，也不会被重复占有。
func TestCancelMeetsRelease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for i := range 300 {
			s := semaphore.New(1)
			take(t, s, 1)
			ctx, cancel := context.WithCancel(t.Context())
			c := acquire(ctx, s, 1)
			if i%2 == 0 {
				cancel()
				s.Release(1)
			} else {
				s.Release(1)
				cancel()
			}
			got := c.state()
			switch free := s.TryAcquire(1); {
			case got == served && free:
				t.Fatal("a waiting Acquire was served and cancelled at the same moment and returned nil; its weight is free all the same")
			case got != served && !free:
				t.Fatalf("a waiting Acquire was served and cancelled at the same moment; state: %s; the weight is held by nobody, and not free", got)
			}
		}
	})
}

// Releasing more than is held panics and changes nothing.
//
//kata:zh 释放的权重多于被持有的权重时 panic，并且不改变任何状态。
func TestOverRelease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := semaphore.New(3)
		if !panics(func() { s.Release(1) }) {
			t.Error("New(3).Release(1) with nothing held did not panic")
		}
		take(t, s, 2)
		if !panics(func() { s.Release(3) }) {
			t.Error("New(3).Release(3) with 2 held did not panic")
		}
		if s.TryAcquire(2) {
			t.Error("New(3), 2 held, Release(3) panicked: TryAcquire(2) = true, want false as before")
		}
		if !s.TryAcquire(1) {
			t.Error("New(3), 2 held, Release(3) panicked: TryAcquire(1) = false, want true as before")
		}
		s.Release(3)
	})
}

// A weight beyond the size fails at once with ErrTooHeavy, and is in nobody's way.
//
//kata:zh 超过总量的权重立刻以 ErrTooHeavy 失败，不妨碍任何人。
func TestTooHeavy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := semaphore.New(3)
		if got := acquire(t.Context(), s, 4).state(); got != semaphore.ErrTooHeavy.Error() {
			t.Errorf("New(3).Acquire(ctx, 4) %s, want %q at once", got, semaphore.ErrTooHeavy)
		}
		take(t, s, 3)
		next := acquire(t.Context(), s, 1)
		if got := acquire(t.Context(), s, 4).state(); got != semaphore.ErrTooHeavy.Error() {
			t.Errorf("New(3), 3 held, an Acquire of 1 waits: Acquire(ctx, 4) %s, want %q at once", got, semaphore.ErrTooHeavy)
		}
		s.Release(3)
		next.wants(t, served, "Acquire(ctx, 1), after an Acquire that is too heavy and Release(3)")
		if !s.TryAcquire(2) {
			t.Error("New(3), 1 held, after Acquires that are too heavy: TryAcquire(2) = false, want true")
		}

		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if got := acquire(gone, s, 4).state(); got != semaphore.ErrTooHeavy.Error() {
			t.Errorf("New(3).Acquire(cancelled ctx, 4) %s, want %q", got, semaphore.ErrTooHeavy)
		}
	})
}

// Weights and sizes less than 1 are the caller's mistake: they panic and change nothing.
//
//kata:zh 小于 1 的权重和总量是调用方的错误：panic，并且不改变任何状态。
func TestBelowOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, n := range []int64{0, -1, math.MinInt64} {
			if !panics(func() { semaphore.New(n) }) {
				t.Errorf("New(%d) did not panic", n)
			}
			s := semaphore.New(3)
			take(t, s, 2)
			if !panics(func() { s.Acquire(t.Context(), n) }) {
				t.Errorf("Acquire(ctx, %d) did not panic", n)
			}
			if !panics(func() { s.TryAcquire(n) }) {
				t.Errorf("TryAcquire(%d) did not panic", n)
			}
			if !panics(func() { s.Release(n) }) {
				t.Errorf("Release(%d) did not panic", n)
			}
			if !s.TryAcquire(1) || s.TryAcquire(1) {
				t.Errorf("2 of New(3) are held; after calls with weight %d, is there room for exactly 1? no, want yes", n)
			}
		}
	})

	// The mistake is seen first, whatever else there is to say about the call.
	bubble(t, func(t *testing.T) {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for _, n := range []int64{0, -1} {
			s := semaphore.New(3)
			if !panics(func() { s.Acquire(gone, n) }) {
				t.Errorf("New(3).Acquire(cancelled ctx, %d) did not panic", n)
			}
			take(t, s, 3)
			if !panics(func() { s.Acquire(gone, n) }) {
				t.Errorf("3 of New(3) are held: Acquire(cancelled ctx, %d) did not panic", n)
			}
			next := acquire(t.Context(), s, 1)

			soon, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if !panics(func() { s.Acquire(soon, n) }) {
				t.Errorf("3 of New(3) are held and an Acquire of 1 waits: Acquire(ctx, %d) did not panic", n)
			}
			if !panics(func() { s.TryAcquire(n) }) {
				t.Errorf("3 of New(3) are held and an Acquire of 1 waits: TryAcquire(%d) did not panic", n)
			}
			if !panics(func() { s.Release(n) }) {
				t.Errorf("3 of New(3) are held and an Acquire of 1 waits: Release(%d) did not panic", n)
			}
			next.wants(t, waits, "3 of New(3) are held, after calls with weight %d: an Acquire of 1", n)
			s.Release(3)
			next.wants(t, served, "calls with weight %d, then Release(3): an Acquire of 1 that waited", n)
			if !s.TryAcquire(2) || s.TryAcquire(1) {
				t.Errorf("1 of New(3) is held; after calls with weight %d, is there room for exactly 2? no, want yes", n)
			}
		}
	})
}

// Waiting costs nothing: nobody polls, and a waiter needs no second goroutine.
//
//kata:zh 等待没有代价：没有轮询，等待者也不需要第二个 goroutine。
func TestWaitingCostsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const waiting, helpers = 100, 8
		s := semaphore.New(1)
		take(t, s, 1)
		before := runtime.NumGoroutine()
		var woken atomic.Int64
		for range waiting {
			go func() {
				if s.Acquire(t.Context(), 1) == nil {
					woken.Add(1)
				}
			}()
		}
		synctest.Wait()
		if got := runtime.NumGoroutine() - before; got > waiting+helpers {
			t.Errorf("%d goroutines wait in Acquire, and there are %d more than before, want %[1]d", waiting, got)
		}

		const moment = 23_456_789 * time.Nanosecond // no round number: who looks now and then looks too late
		time.Sleep(moment)
		s.Release(1)
		synctest.Wait() // no time passes here
		if got := woken.Load(); got != 1 {
			t.Errorf("%d goroutines wait in Acquire(ctx, 1), then Release(1): %d of them are served at the same moment, want 1", waiting, got)
		}
	})
}

// bubble runs f in virtual time, where a deadlock is reported at once. The clock
// stands still while a goroutine waits for a mutex or spins: the guard ends the
// one, a deadline in real time the other.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	defer stall.Guard(t)()
	deadline := time.AfterFunc(10*time.Second, func() {
		panic("The semaphore gets nowhere. Does somebody wait in a busy loop?")
	})
	defer deadline.Stop()
	synctest.Test(t, f)
}

const (
	served = "returned nil"
	waits  = "still waits"
)

// A call is an Acquire in a goroutine of its own.
type call struct {
	done chan error
	err  error
	over bool
}

// acquire starts an Acquire, and returns when it has ended or waits.
func acquire(ctx context.Context, s *semaphore.Semaphore, n int64) *call {
	c := &call{done: make(chan error, 1)}
	go func() { c.done <- s.Acquire(ctx, n) }()
	synctest.Wait()
	return c
}

// take acquires what must be free.
func take(t *testing.T, s *semaphore.Semaphore, n int64) {
	t.Helper()
	if got := acquire(t.Context(), s, n).state(); got != served {
		t.Fatalf("Acquire(ctx, %d) with enough free and nobody in line %s, want nil at once", n, got)
	}
}

// state says what has become of the call.
func (c *call) state() string {
	synctest.Wait()
	if !c.over {
		select {
		case c.err = <-c.done:
			c.over = true
		default:
			return waits
		}
	}
	if c.err == nil {
		return served
	}
	return c.err.Error()
}

func (c *call) wants(t *testing.T, want, format string, args ...any) {
	t.Helper()
	if got := c.state(); got != want {
		t.Fatalf("%s: %s, want: %s", fmt.Sprintf(format, args...), got, want)
	}
}

func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}
