// The intents of batcher.
//
//kata:level 2
//kata:minutes 60
//kata:engine real Go runtime
//kata:race
package batcher_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/roadkata/roadkata/stage1/concurrency/batcher"
	"github.com/roadkata/roadkata/stage1/internal/kit/stall"
)

// A batch is flushed as soon as it holds size items.
//
//kata:zh 一批攒够 size 个，立刻刷出。
func TestFlushesWhenFull(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(2, time.Hour, 0)
		r.add(t, "a", "b")
		r.at(t, 5*time.Second)
		r.add(t, "c", "d", "e", "f")
		r.at(t, 6*time.Second)
		r.expect(t, "0s [a b]", "5s [c d]", "5s [e f]")
		r.Close()
	})
	bubble(t, func(t *testing.T) {
		r := newRig(1, time.Hour, 0)
		r.add(t, "a")
		r.at(t, time.Second)
		r.add(t, "b")
		r.at(t, 2*time.Second)
		r.expect(t, "0s [a]", "1s [b]")
		r.Close()
	})
}

// Age runs from the first item of a batch: not from the last, nor from anything in the batch before.
//
//kata:zh 时限从一批的第一个元素算起：不是最后一个元素，也与上一批无关。
func TestAgeOfFirstItem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(100, 10*time.Second, 0)
		r.at(t, 3*time.Second)
		r.add(t, "a")
		r.at(t, 9*time.Second)
		r.add(t, "b")
		r.at(t, 20*time.Second)
		r.add(t, "c")
		r.at(t, time.Hour)
		r.expect(t, "13s [a b]", "30s [c]")
		r.Close()
	})
	bubble(t, func(t *testing.T) {
		r := newRig(2, 10*time.Second, 0)
		r.add(t, "a")
		r.at(t, 5*time.Second)
		r.add(t, "b") // full, after half its age
		r.at(t, 6*time.Second)
		r.add(t, "c")
		r.at(t, time.Hour)
		r.expect(t, "5s [a b]", "16s [c]")
		r.Close()
	})
}

// An empty batch is never flushed: not by age, not by Close.
//
//kata:zh 绝不刷出空批次：到时不会，Close 也不会。
func TestNeverEmpty(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(2, time.Second, 0)
		r.at(t, time.Minute)
		r.add(t, "a", "b")
		r.at(t, time.Hour)
		r.Close()
		r.expect(t, "1m0s [a b]")
	})
}

// Flushes happen one at a time, in the order of the items, the last one by Close too.
//
//kata:zh 同一时刻只有一次刷出，元素保持次序；Close 触发的最后一次也不例外。
func TestOneFlushAtATime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(2, time.Hour, 10*time.Second)
		r.add(t, "a", "b", "c", "d", "e")
		r.Close()
		r.expect(t, "0s [a b]", "10s [c d]", "20s [e]")
		if r.most > 1 {
			t.Errorf("%d flushes ran at the same time, want one at a time", r.most)
		}
	})
}

// A batch that is due while flush runs goes as soon as flush has returned.
//
//kata:zh 刷出进行时到期的批次，在这次刷出返回后立刻刷出。
func TestDueDuringFlush(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(10, time.Second, 10*time.Second)
		r.add(t, "a")
		r.at(t, 2*time.Second)
		r.add(t, "b")
		r.at(t, time.Minute)
		r.expect(t, "1s [a]", "11s [b]")
		r.Close()
	})
}

// Add waits if, and only if, one batch is being flushed and the next one is full.
//
//kata:zh 当且仅当一批正在刷出、下一批也已攒满时，Add 才等待（背压）。
func TestBackpressure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(2, time.Hour, time.Minute)
		for i, item := range []string{"a", "b", "c", "d", "e"} {
			r.add(t, item)
			want := time.Duration(0)
			if item == "e" {
				want = time.Minute // when [c d] goes
			}
			if at := time.Since(r.start); at != want {
				t.Fatalf("size 2, flush takes 1m, Add a, b, c, d, e without a pause: number %d was accepted after %v, want %v",
					i+1, at, want)
			}
		}
		r.Close()
	})
	bubble(t, func(t *testing.T) {
		r := newRig(10, time.Second, time.Minute)
		r.add(t, "a")
		r.at(t, 2*time.Second)
		r.add(t, "b")
		r.at(t, 4*time.Second)
		r.add(t, "c")
		if at := time.Since(r.start); at != 4*time.Second {
			t.Errorf("size 10, [a] is being flushed, [b] is due: the next Add took %v, want no wait, [b] has room", at-4*time.Second)
		}
		r.Close()
	})
}

// When room is made, only as many waiting adders go on as there is room for.
//
//kata:zh 空出位置时，只有放得下的等待者继续，一批绝不超过 size 个。
func TestCrowd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(2, time.Hour, time.Second)
		var adders sync.WaitGroup
		for i := range 10 {
			adders.Go(func() { r.add(t, fmt.Sprint(i)) })
		}
		adders.Wait()
		r.Close()
		var got []string
		for _, f := range r.flushes {
			if len(f.items) > 2 {
				t.Errorf("10 goroutines add at once, size 2: flushed the batch %v, want no more than 2 items", f.items)
			}
			got = append(got, f.items...)
		}
		slices.Sort(got)
		if want := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}; !slices.Equal(got, want) {
			t.Errorf("10 goroutines add one item each: flushed, in all, %q, want %q", got, want)
		}
	})
}

// Cancelling ctx ends an Add that waits, at once and with context.Cause(ctx); cancelled beforehand, ctx lets nothing in.
//
//kata:zh ctx 取消后，等待中的 Add 立刻返回 context.Cause(ctx)；ctx 事先已取消，则什么都不接受。
func TestCancel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gone := errors.New("the client is gone")
		r := newRig(2, time.Minute, time.Hour)
		r.fill()
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(gone) })
		if err := r.Add(ctx, "late"); err != gone {
			t.Errorf("ctx is cancelled because of %q while Add waits: Add = %v, want %[1]q", gone, err)
		}
		if at := time.Since(r.start); at != time.Second {
			t.Errorf("ctx is cancelled after 1s while Add waits: Add returned after %v, want 1s", at)
		}
		time.Sleep(24 * time.Hour)
		r.Close()
		r.never(t, "late")
	})
	bubble(t, func(t *testing.T) {
		r := newRig(2, time.Minute, 0)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 64 { // a coin that is tossed does not fall right so often
			synctest.Wait()
			if err := r.Add(ctx, "a"); err == nil {
				t.Fatal("Add(cancelled ctx, a) = nil, want an error")
			}
		}
		r.Close()
		r.never(t, "a")
	})
}

// Close flushes the rest at once and returns when the last flush has: every Close, also the second.
//
//kata:zh Close 立刻刷出剩余元素，最后一次刷出返回后才返回；重复或同时调用的 Close 也是如此。
func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(2, time.Minute, time.Hour)
		r.add(t, "a")
		r.at(t, time.Second)
		r.Close()
		r.Close()
		r.expect(t, "1s [a]")
		if at := time.Since(r.start); at != time.Hour+time.Second {
			t.Errorf("[a] is not full, Close is called after 1s, flush takes 1h, Close is called again: returned after %v, want 1h0m1s", at)
		}
	})
	bubble(t, func(t *testing.T) {
		r := newRig(2, time.Minute, time.Hour)
		r.add(t, "a", "b")
		r.at(t, time.Second)
		r.Close()
		if at := time.Since(r.start); at != time.Hour {
			t.Errorf("no rest, but a flush runs until 1h: Close returned after %v, want 1h", at)
		}
	})
	// Two at once, in real time: one may wait for the other at a mutex, and that stops
	// the clock of a bubble.
	for range 20 {
		var released atomic.Bool
		release, returned := make(chan struct{}), make(chan bool, 2)
		b := batcher.New(1, time.Hour, func([]string) { <-release })
		if err := b.Add(t.Context(), "a"); err != nil {
			t.Fatalf(`Add(ctx, "a") = %v, want nil`, err)
		}
		for range 2 {
			go func() {
				b.Close()
				returned <- released.Load()
			}()
		}
		for range 1000 {
			runtime.Gosched() // time enough for a Close that does not wait
		}
		released.Store(true)
		close(release)
		for range 2 {
			afterFlush, ok := stall.Receive(returned)
			if !ok {
				t.Fatal("two goroutines call Close: the last flush has returned, and one still waits, like every goroutine")
			}
			if !afterFlush {
				t.Fatal("two goroutines call Close: one Close returned while flush was still running")
			}
		}
	}
}

// From Close on, Add returns ErrClosed, also an Add that waits for room, and such items are never flushed.
//
//kata:zh 从 Close 起，Add 一律返回 ErrClosed，正在等空位的 Add 也不例外；这些元素绝不会被刷出。
func TestClosedRefuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(2, time.Second, 0)
		r.add(t, "a", "b")
		r.at(t, time.Second)
		r.Close()
		for range 16 {
			if err := r.Add(t.Context(), "late"); !errors.Is(err, batcher.ErrClosed) {
				t.Fatalf("Add after Close = %v, want ErrClosed", err)
			}
		}
		time.Sleep(time.Hour)
		r.never(t, "late")
	})
	bubble(t, func(t *testing.T) {
		r := newRig(2, time.Minute, time.Hour)
		r.fill()
		time.AfterFunc(time.Second, r.Close)
		if err := r.Add(t.Context(), "late"); !errors.Is(err, batcher.ErrClosed) {
			t.Errorf("Close is called while Add waits for room: Add = %v, want ErrClosed", err)
		}
		if at := time.Since(r.start); at != time.Second {
			t.Errorf("Close is called after 1s while Add waits for room: Add returned after %v, want 1s", at)
		}
		time.Sleep(24 * time.Hour)
		r.never(t, "late")
	})
}

// After Close no goroutine is left, not even one that waits for an age to pass.
//
//kata:zh Close 之后不留下任何 goroutine，哪怕只是在等时限到期的。
func TestLeavesNoGoroutine(t *testing.T) {
	// In real time, for goleak says which goroutine is left and where it waits.
	others := goleak.IgnoreCurrent()
	b := batcher.New(2, time.Hour, func([]string) {})
	for _, item := range []string{"a", "b"} {
		if err := b.Add(t.Context(), item); err != nil {
			t.Fatalf("Add(ctx, %q) = %v, want nil", item, err)
		}
	}
	if !stall.Within(b.Close) {
		t.Fatal("Close did not come back, and there is nothing to wait for: every goroutine waits")
	}
	if err := goleak.Find(others); err != nil {
		t.Errorf("Close came back and left something behind: %v", err)
	}
}

// A batch belongs to flush: it may keep it and append to it, no other batch shares its array.
//
//kata:zh 批次归 flush 所有：可以留存，也可以继续追加；各批之间不共享底层数组。
func TestBatchBelongsToFlush(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var kept [][]string
		b := batcher.New(2, time.Minute, func(batch []string) {
			kept = append(kept, batch)
			_ = append(batch, "scribble")
			time.Sleep(time.Second)
		})
		for _, item := range []string{"a", "b", "c", "d", "e", "f"} {
			if err := b.Add(t.Context(), item); err != nil {
				t.Fatalf("Add(ctx, %q) = %v, want nil", item, err)
			}
			synctest.Wait()
		}
		b.Close()
		if got, want := fmt.Sprint(kept), "[[a b] [c d] [e f]]"; got != want {
			t.Errorf("flush kept the batches and appended to each: in the end they are %s, want %s", got, want)
		}
	})
}

// New panics if size is less than 1 or age is not positive.
//
//kata:zh size 小于 1 或 age 不为正时，New 会 panic。
func TestNewPanics(t *testing.T) {
	for _, c := range []struct {
		size   int
		age    time.Duration
		panics bool
	}{{1, 1, false}, {0, time.Second, true}, {-1, time.Second, true}, {1, 0, true}, {1, -time.Second, true}} {
		bubble(t, func(t *testing.T) {
			defer func() {
				if v := recover(); (v != nil) != c.panics {
					t.Errorf("New(%d, %v, flush): panic %v, want a panic: %t", c.size, c.age, v, c.panics)
				}
			}()
			batcher.New(c.size, c.age, func([]string) {}).Close()
		})
	}
}

// bubble runs f in virtual time, where a deadlock is reported at once. One thing
// escapes it: the clock stands still while a goroutine waits for a mutex or spins.
// A guard turns a mutex that nobody unlocks into a message, and a deadline in real
// time the rest.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	defer stall.Guard(t)()
	deadline := time.AfterFunc(5*time.Second, func() {
		panic("the batcher has come to a standstill. Does it hold a mutex while flush runs, or wait in a busy loop?")
	})
	defer deadline.Stop()
	synctest.Test(t, func(t *testing.T) {
		f(t)
		time.Sleep(24 * time.Hour) // whatever still runs may end: what doesn't is stuck
	})
}

// A rig is a Batcher with a record of its flushes.
type rig struct {
	*batcher.Batcher[string]
	start time.Time

	mu      sync.Mutex
	flushes []flushed
	running int // flushes that run now
	most    int // at most
}

type flushed struct {
	at    time.Duration
	items []string
}

// newRig returns a Batcher whose flushes take the given time.
func newRig(size int, age, takes time.Duration) *rig {
	r := &rig{start: time.Now()}
	r.Batcher = batcher.New(size, age, func(batch []string) {
		r.mu.Lock()
		r.flushes = append(r.flushes, flushed{time.Since(r.start), slices.Clone(batch)})
		r.running++
		r.most = max(r.most, r.running)
		r.mu.Unlock()

		time.Sleep(takes)

		r.mu.Lock()
		defer r.mu.Unlock()
		r.running--
	})
	return r
}

// at waits until the given time has passed since the start.
func (r *rig) at(t *testing.T, when time.Duration) {
	t.Helper()
	d := when - time.Since(r.start)
	if d < 0 {
		t.Fatalf("Add or Close took until %v after the start, want it back before %v", time.Since(r.start), when)
	}
	time.Sleep(d)
	synctest.Wait()
}

// add adds the items, which must be accepted.
func (r *rig) add(t *testing.T, items ...string) {
	t.Helper()
	for _, item := range items {
		if err := r.Add(t.Context(), item); err != nil {
			t.Errorf("Add(ctx, %q) = %v, want nil", item, err)
		}
	}
}

// fill adds four items to a Batcher of size 2 whose flush takes long: two are being
// flushed, two fill the next batch, and a further Add has to wait.
func (r *rig) fill() {
	for _, item := range []string{"a", "b", "c", "d"} {
		go r.Add(context.Background(), item)
		synctest.Wait()
	}
}

// never checks that the item was not flushed.
func (r *rig) never(t *testing.T, item string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.flushes {
		if slices.Contains(f.items, item) {
			t.Errorf("Add refused the item %q, and it was flushed all the same, in %q after %v", item, f.items, f.at)
		}
	}
}

// expect compares the record with the flushes wanted, each written as "5s [a b]".
func (r *rig) expect(t *testing.T, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	got := []string{}
	for _, f := range r.flushes {
		got = append(got, fmt.Sprintf("%v %v", f.at, f.items))
	}
	if !slices.Equal(got, want) {
		t.Errorf("flushes: %q, want %q", got, want)
	}
}
