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
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/roadkata/roadkata/stage1/concurrency/batcher"
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
}

// Age runs from the first item of a batch, not from the last item, nor from the batch before.
//
//kata:zh 时限从一批的第一个元素算起，而不是从最后一个元素或上一批算起。
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
}

// The age of a batch that was flushed because it was full does not cut the next one short.
//
//kata:zh 因攒满而刷出的那一批，它的计时不会让下一批提前刷出。
func TestAgeStartsAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(2, 10*time.Second, 0)
		r.add(t, "a")
		r.at(t, 5*time.Second)
		r.add(t, "b")
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
		idle := newRig(2, time.Second, 0)
		idle.at(t, time.Minute)
		idle.Close()
		idle.expect(t)

		r := newRig(2, time.Second, 0)
		r.add(t, "a", "b")
		r.at(t, time.Minute)
		r.Close()
		r.expect(t, "0s [a b]")
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

// While flush runs, Add fills the next batch and does not wait.
//
//kata:zh 刷出进行时，Add 继续攒下一批，不必等待。
func TestAddDoesNotWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(2, time.Minute, time.Hour)
		for i, item := range []string{"a", "b", "c", "d"} {
			before := time.Since(r.start)
			r.add(t, item)
			if took := time.Since(r.start) - before; took > 0 {
				t.Fatalf("size 2, flush takes 1h: Add number %d took %v, want no wait", i+1, took)
			}
		}
		r.Close()
	})
}

// When one batch is being flushed and the next is full, Add waits until there is room.
//
//kata:zh 一批正在刷出、下一批也已攒满时，Add 会等到有空位为止（背压）。
func TestBackpressure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(2, time.Minute, time.Hour)
		r.add(t, "a", "b", "c", "d")
		r.add(t, "e")
		if at := time.Since(r.start); at != time.Hour {
			t.Errorf("size 2, flush takes 1h, 5 items added at once: the last was accepted after %v, want 1h, "+
				"when the batch [c d] goes and leaves room", at)
		}
		r.Close()
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
		r.at(t, 5*time.Second)
		r.add(t, "c")
		r.at(t, time.Minute)
		r.expect(t, "1s [a]", "11s [b c]")
		r.Close()
	})
}

// When room is made, only as many waiting adders go on as there is room for.
//
//kata:zh 空出位置时，只有放得下的等待者继续，一批绝不超过 size 个。
func TestCrowd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(2, time.Hour, time.Second)
		r.add(t, "-", "-", "-", "-")
		var adders sync.WaitGroup
		for i := range 10 {
			adders.Go(func() { r.add(t, fmt.Sprint(i)) })
		}
		synctest.Wait()
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
		if want := []string{"-", "-", "-", "-", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}; !slices.Equal(got, want) {
			t.Errorf("10 goroutines add at once: flushed, in all, %q, want %q", got, want)
		}
	})
}

// An Add that waits returns context.Cause(ctx) as soon as its ctx is cancelled, and its item is not flushed.
//
//kata:zh 正在等待的 Add，其 ctx 一取消就返回 context.Cause(ctx)，且元素不会被刷出。
func TestCancelReleasesAdd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gone := errors.New("the client is gone")
		r := newRig(1, time.Minute, time.Hour)
		r.add(t, "a", "b")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(gone) })
		if err := r.Add(ctx, "c"); err != gone {
			t.Errorf("ctx is cancelled because of %q while Add waits: Add = %v, want %[1]q", gone, err)
		}
		if at := time.Since(r.start); at != time.Second {
			t.Errorf("ctx is cancelled after 1s while Add waits: Add returned after %v, want 1s", at)
		}
		r.Close()
		r.expect(t, "0s [a]", "1h0m0s [b]")
	})
}

// An Add whose ctx is cancelled beforehand never accepts the item.
//
//kata:zh 如果 ctx 事先已取消，Add 绝不接受元素。
func TestCancelledBeforehand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(1, time.Minute, 0)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 64 { // a coin that is tossed does not fall right so often
			synctest.Wait()
			if err := r.Add(ctx, "a"); err == nil {
				t.Fatal("Add(cancelled ctx, a) = nil, want an error")
			}
		}
		r.Close()
		r.expect(t)
	})
}

// Close flushes the rest at once, without waiting for its age.
//
//kata:zh Close 立刻刷出剩余元素，不等时限。
func TestCloseFlushesRest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(10, time.Minute, 0)
		r.add(t, "a", "b")
		r.at(t, time.Second)
		r.Close()
		if at := time.Since(r.start); at != time.Second {
			t.Errorf("Close was called after 1s and returned after %v, want at once", at)
		}
		r.at(t, time.Hour)
		r.expect(t, "1s [a b]")
	})
}

// After Close, Add returns ErrClosed.
//
//kata:zh Close 之后，Add 返回 ErrClosed。
func TestRefusesAfterClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(1, time.Second, 0)
		r.add(t, "a")
		r.at(t, time.Second)
		r.Close()
		for _, item := range []string{"b", "c", "d"} {
			if err := r.Add(t.Context(), item); !errors.Is(err, batcher.ErrClosed) {
				t.Errorf("Add(ctx, %q) after Close = %v, want ErrClosed", item, err)
			}
		}
		r.at(t, time.Hour)
		r.expect(t, "0s [a]")
	})
}

// An Add that waits for room returns ErrClosed as soon as Close is called, and its item is not flushed.
//
//kata:zh 正在等空位的 Add，在 Close 被调用时立刻返回 ErrClosed，且元素不会被刷出。
func TestCloseReleasesAdd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(1, time.Minute, time.Hour)
		r.add(t, "a", "b")
		time.AfterFunc(time.Second, r.Close)
		if err := r.Add(t.Context(), "c"); !errors.Is(err, batcher.ErrClosed) {
			t.Errorf("Close is called while Add waits for room: Add = %v, want ErrClosed", err)
		}
		if at := time.Since(r.start); at != time.Second {
			t.Errorf("Close is called after 1s while Add waits for room: Add returned after %v, want 1s", at)
		}
		r.at(t, 24*time.Hour)
		r.expect(t, "0s [a]", "1h0m0s [b]")
	})
}

// Close returns when the flush that runs has returned, and not before.
//
//kata:zh Close 等正在进行的刷出返回后才返回。
func TestCloseWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(1, time.Minute, time.Hour)
		r.add(t, "a")
		r.at(t, time.Second)
		r.Close()
		if at := time.Since(r.start); at != time.Hour {
			t.Errorf("Close was called while a flush runs that ends after 1h: it returned after %v, want 1h", at)
		}
	})
}

// Close may be called again and by several at once: each call returns when all is flushed.
//
//kata:zh Close 可以重复调用，也可以同时调用：每次都在全部刷出之后返回。
func TestCloseAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(1, time.Minute, time.Hour)
		r.add(t, "a")
		var closers sync.WaitGroup
		for range 3 {
			closers.Go(func() {
				r.Close()
				if at := time.Since(r.start); at != time.Hour {
					t.Errorf("three goroutines call Close, the last flush ends after 1h: one Close returned after %v, want 1h", at)
				}
			})
		}
		closers.Wait()
		r.Close()
		if at := time.Since(r.start); at != time.Hour {
			t.Errorf("Close, again, after all is flushed, took %v, want no time", at-time.Hour)
		}
	})
}

// After Close no goroutine is left, not even one that waits for an age to pass.
//
//kata:zh Close 之后不留下任何 goroutine，哪怕只是在等时限到期的。
func TestLeavesNoGoroutine(t *testing.T) {
	// In real time, for goleak says which goroutine is left and where it waits.
	others := goleak.IgnoreCurrent()
	b := batcher.New(2, time.Hour, func([]string) {})
	for _, item := range []string{"a", "b", "c"} {
		if err := b.Add(t.Context(), item); err != nil {
			t.Fatalf("Add(ctx, %q) = %v, want nil", item, err)
		}
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		b.Close()
	}()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Fatal("Close has not returned after 10s, and there is nothing to wait for")
	}
	if err := goleak.Find(others); err != nil {
		t.Errorf("Close came back and left something behind: %v", err)
	}
}

// A batch belongs to flush: what flush does with it later does no harm, nor does what Add does.
//
//kata:zh 批次归 flush 所有：flush 之后怎么用都没有害处，后续的 Add 也不会改动它。
func TestBatchBelongsToFlush(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var kept [][]string
		b := batcher.New(2, time.Minute, func(batch []string) {
			kept = append(kept, batch)
			_ = append(batch, "scribble") // must not reach into the next batch
			time.Sleep(time.Hour)
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
// A deadline in real time turns that into a message.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
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
