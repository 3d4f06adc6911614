// The intents of oncecache.
//
//kata:level 3
//kata:minutes 60
//kata:engine real Go runtime
//kata:race
//kata:forbid "golang.org/x/sync/singleflight"
package oncecache_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/roadkata/roadkata/stage1/internal/kit/stall"
	"github.com/roadkata/roadkata/stage1/stdlib/oncecache"
)

// One load per key, whatever the crowd; then the value is at hand.
//
//kata:zh 无论多少人同时来要，一个键只加载一次；此后值就在手边。
func TestOneLoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var loads atomic.Int64
		c := oncecache.New(time.Minute, func(context.Context, string) (int64, error) {
			time.Sleep(time.Second)
			return loads.Add(1), nil
		})
		var crowd sync.WaitGroup
		for i := range 60 {
			crowd.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond) // before, during and after the load
				if got, err := c.Get(t.Context(), "key"); got != 1 || err != nil {
					t.Errorf(`Get(ctx, "key") of number %d = %v, %v; want 1, nil: the value of the first load`, i, got, err)
				}
			})
		}
		crowd.Wait()
		if got := loads.Load(); got != 1 {
			t.Errorf("60 asked for one key within 6s of a ttl of 1m: %d loads, want 1", got)
		}
	})
}

// Keys have nothing to do with each other: a slow load holds up no other key.
//
//kata:zh 各个键互不相干：一个键加载得慢，不会拖住别的键。
func TestKeysApart(t *testing.T) {
	// Not in a bubble: who waits for a mutex there stops the clock.
	hashes := oncecache.New(time.Minute, func(context.Context, any) (string, error) { return "value", nil })
	func() {
		defer func() {
			if recover() == nil {
				t.Error("Cache[any, string]: Get(ctx, []int{1}) returned, want a panic: a slice cannot be hashed")
			}
		}()
		hashes.Get(t.Context(), []int{1})
	}()
	other := make(chan string, 1)
	go func() { other <- returned(hashes.Get(context.Background(), "key")) }()
	if got, ok := stall.Receive(other); !ok {
		t.Fatal(`Get(ctx, []int{1}) has panicked; then Get(ctx, "key") does not return: is a mutex still held?`)
	} else if want := returned("value", nil); got != want {
		t.Errorf(`Get(ctx, []int{1}) has panicked; then Get(ctx, "key"): %s, want: %s`, got, want)
	}

	bubble(t, func(t *testing.T) {
		c := oncecache.New(time.Minute, func(_ context.Context, key string) (string, error) {
			if key == "slow" {
				time.Sleep(time.Hour)
			}
			time.Sleep(time.Second)
			return "value of " + key, nil
		})
		slow := get(t.Context(), c, "slow")
		fast := get(t.Context(), c, "fast")
		time.Sleep(time.Second)
		fast.wants(t, returned("value of fast", nil), `Get(ctx, "fast") that takes 1s while the load of "slow" takes an hour`)
		time.Sleep(time.Hour)
		slow.wants(t, returned("value of slow", nil), `Get(ctx, "slow") after an hour`)
	})
	bubble(t, func(t *testing.T) {
		var c *oncecache.Cache[string, string]
		c = oncecache.New(time.Minute, func(ctx context.Context, key string) (string, error) {
			if key == "country" {
				return "Nepal", nil
			}
			country, err := c.Get(ctx, "country")
			return key + " in " + country, err
		})
		city := get(t.Context(), c, "Patan")
		city.wants(t, returned("Patan in Nepal", nil), `Get(ctx, "Patan"), whose load asks the cache for "country"`)
	})
}

// An error goes to all that wait for the load, and is not kept: the next Get loads again.
//
//kata:zh 错误交给所有等待这次加载的调用，但不会留存：下一次 Get 重新加载。
func TestErrorsNotKept(t *testing.T) {
	down := errors.New("the database is down")
	bubble(t, func(t *testing.T) {
		var loads atomic.Int64
		c := oncecache.New(time.Minute, func(context.Context, string) (string, error) {
			time.Sleep(time.Second)
			if loads.Add(1)%2 == 1 {
				return "", down
			}
			return "value", nil
		})
		var crowd []*call
		for range 5 {
			crowd = append(crowd, get(t.Context(), c, "key"))
		}
		time.Sleep(time.Second)
		for i, one := range crowd {
			one.wants(t, returned("", down), "5 wait for a load that fails: number %d", i+1)
		}
		if got := loads.Load(); got != 1 {
			t.Errorf("5 waited for a load that failed: %d loads, want 1", got)
		}
		next := get(t.Context(), c, "key")
		time.Sleep(time.Second)
		next.wants(t, returned("value", nil), "Get after a load that failed, now the load succeeds")

		time.Sleep(time.Hour)
		stale := get(t.Context(), c, "key")
		time.Sleep(time.Second)
		stale.wants(t, returned("", down), "Get after the value has expired, and the load fails")
	})
}

// Who leaves gets the cause at once, and takes nothing away from those that stay.
//
//kata:zh 中途离开的调用立刻拿到原因，而且丝毫不影响留下的调用。
func TestOneLeaves(t *testing.T) {
	shutdown := errors.New("shutting down")
	for _, leaver := range []string{"first", "second"} {
		bubble(t, func(t *testing.T) {
			var loads atomic.Int64
			c := oncecache.New(time.Minute, func(ctx context.Context, _ string) (string, error) {
				loads.Add(1)
				select {
				case <-time.After(10 * time.Second):
					return "value", nil
				case <-ctx.Done():
					return "", fmt.Errorf("load: %w", ctx.Err())
				}
			})
			leaving, leave := context.WithCancelCause(t.Context())
			ctx := map[string]context.Context{"first": t.Context(), "second": t.Context(), leaver: leaving}
			calls := map[string]*call{}
			for _, name := range []string{"first", "second"} {
				calls[name] = get(ctx[name], c, "key")
				time.Sleep(time.Second)
			}
			leave(shutdown)
			calls[leaver].wants(t, returned("", shutdown), "two wait for a load of 10s, the context of the %s is cancelled because of %q: its Get", leaver, shutdown)
			time.Sleep(10 * time.Second)
			for name, stays := range calls {
				if name != leaver {
					stays.wants(t, returned("value", nil), "two wait for a load, the %s leaves: the Get of the %s", leaver, name)
				}
			}
			get(t.Context(), c, "key").wants(t, returned("value", nil), "two waited for a load, the %s left: a Get thereafter", leaver)
			if got := loads.Load(); got != 1 {
				t.Errorf("two waited for a load, the %s left: %d loads, want 1", leaver, got)
			}
		})
	}
}

// When the last one leaves, the load is told: its context is cancelled.
//
//kata:zh 最后一个等待者离开时，加载会得到通知：它的 context 被取消。
func TestLastLeaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := time.Now()
		told := make(chan time.Duration, 1)
		c := oncecache.New(time.Minute, func(ctx context.Context, _ string) (string, error) {
			select {
			case <-ctx.Done():
			case <-time.After(time.Hour):
			}
			told <- time.Since(start)
			return "", ctx.Err()
		})
		for i := range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Second)
			defer cancel()
			get(ctx, c, "key")
		}
		if got := <-told; got != 3*time.Second {
			t.Errorf("three wait for a load and leave after 1s, 2s and 3s; the context of the load was done after %v, want 3s", got)
		}
	})
}

// A load that all have left counts no more: the next Get starts afresh, and the old outcome is dropped.
//
//kata:zh 被所有人放弃的加载不再算数：下一次 Get 重新开始，旧的结果作废。
func TestAbandonedLoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var loads atomic.Int64
		c := oncecache.New(time.Hour, func(context.Context, string) (string, error) {
			if loads.Add(1) == 1 {
				time.Sleep(10 * time.Second) // does not look at its context
				return "old", nil
			}
			time.Sleep(20 * time.Second)
			return "new", nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		get(ctx, c, "key")
		time.Sleep(2 * time.Second)

		second := get(t.Context(), c, "key") // at 2s: the load runs until 22s
		if got := loads.Load(); got != 2 {
			t.Fatalf("the only Get left its load, which runs on; after the next Get there were %d loads, want 2", got)
		}
		time.Sleep(13 * time.Second)
		second.wants(t, waits, "Get whose load takes 20s, after an older, abandoned load has ended")
		third := get(t.Context(), c, "key")
		third.wants(t, waits, "Get during the second load, after the abandoned first one has ended")
		time.Sleep(10 * time.Second)
		second.wants(t, returned("new", nil), "the Get that started the second load")
		third.wants(t, returned("new", nil), "the Get that joined the second load")
		get(t.Context(), c, "key").wants(t, returned("new", nil), "Get after both loads")
		if got := loads.Load(); got != 2 {
			t.Errorf("one load was abandoned, the next shared by all: %d loads, want 2", got)
		}
	})
	for _, end := range []string{"returns a value", "returns an error", "panics"} {
		bubble(t, func(t *testing.T) {
			var loads atomic.Int64
			c := oncecache.New(time.Hour, func(context.Context, string) (string, error) {
				if loads.Add(1) > 1 {
					return "new", nil
				}
				time.Sleep(10 * time.Second) // does not look at its context
				switch end {
				case "panics":
					panic("in a load for which nobody waits")
				case "returns an error":
					return "", errors.New("in a load for which nobody waits")
				}
				return "old", nil
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			get(ctx, c, "key")
			time.Sleep(20 * time.Second)
			get(t.Context(), c, "key").wants(t, returned("new", nil), "Get long after an abandoned load that %s in the end", end)
		})
	}
}

// A panic of the load reaches all that wait, with its value, and is not kept.
//
//kata:zh 加载中的 panic 带着原值传给所有等待者，而且不会留存。
func TestPanic(t *testing.T) {
	value := &struct{ s string }{"the value"}
	bubble(t, func(t *testing.T) {
		var loads atomic.Int64
		c := oncecache.New(time.Minute, func(context.Context, string) (string, error) {
			time.Sleep(time.Second)
			if loads.Add(1) == 1 {
				panic(value)
			}
			return "value", nil
		})
		got := make(chan any, 3)
		for range cap(got) {
			go func() {
				defer func() { got <- recover() }()
				c.Get(t.Context(), "key")
			}()
		}
		for i := range cap(got) {
			select {
			case v := <-got:
				if v != value {
					t.Errorf("three wait for a load that panics with %p; Get number %d to end panicked with %v, want the same value", value, i+1, v)
				}
			case <-time.After(time.Minute):
				t.Fatalf("three wait for a load that panics; %d of them still wait a minute later", cap(got)-i)
			}
		}
		next := make(chan any, 1)
		go func() {
			defer func() { next <- recover() }()
			if v, err := c.Get(t.Context(), "key"); v != "value" || err != nil {
				t.Errorf(`Get after a load that panicked = %q, %v; want "value", nil`, v, err)
			}
		}()
		if v := <-next; v != nil {
			t.Errorf("Get after a load that panicked panics with %v, want a new load", v)
		}
	})
}

// A value is kept for ttl from the moment it was loaded, however often it is asked for.
//
//kata:zh 值从加载完成起保留 ttl 这么久，与被访问多少次无关。
func TestExpiry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var loads atomic.Int64
		c := oncecache.New(time.Minute, func(context.Context, string) (int64, error) {
			time.Sleep(time.Hour)
			return loads.Add(1), nil
		})
		c.Get(t.Context(), "key")
		for _, step := range []time.Duration{30 * time.Second, 30*time.Second - 1} {
			time.Sleep(step)
			if v, err := c.Get(t.Context(), "key"); v != 1 || err != nil {
				t.Fatalf("ttl 1m: within a minute of the end of a load of 1h, Get = %v, %v; want 1, nil, the kept value", v, err)
			}
		}
		time.Sleep(2)
		if v, err := c.Get(t.Context(), "key"); v != 2 || err != nil {
			t.Errorf("ttl 1m: 1m and 1ns after the end of the load, Get = %v, %v; want 2, nil, the value of a second load", v, err)
		}
	})
	for _, ttl := range []time.Duration{0, -time.Hour} {
		bubble(t, func(t *testing.T) {
			var loads atomic.Int64
			c := oncecache.New(ttl, func(context.Context, string) (int64, error) {
				time.Sleep(time.Second)
				return loads.Add(1), nil
			})
			var two sync.WaitGroup
			for range 2 {
				two.Go(func() { c.Get(t.Context(), "key") })
			}
			two.Wait()
			if v, err := c.Get(t.Context(), "key"); v != 2 || err != nil {
				t.Errorf("ttl %v: two Gets together and then one: the last = %v, %v; want 2, nil, for nothing is kept", ttl, v, err)
			}
		})
	}
	bubble(t, func(t *testing.T) {
		type large [64 << 10]byte
		var first weak.Pointer[large]
		var loads atomic.Int64
		c := oncecache.New(time.Minute, func(context.Context, string) (*large, error) {
			if loads.Add(1) > 1 {
				return nil, errors.New("the database is down")
			}
			v := new(large)
			first = weak.Make(v)
			return v, nil
		})
		c.Get(t.Context(), "key")
		time.Sleep(time.Hour)
		c.Get(t.Context(), "key")
		time.Sleep(time.Second) // until the load's goroutine has ended, too
		for range 5 {
			runtime.GC()
		}
		if first.Value() != nil {
			t.Error("ttl 1m: after an hour, Get loads again, and fails: the expired value is still in memory, want it gone with that Get")
		}
		runtime.KeepAlive(c)
	})
}

// The context of a load has the values of the Get that started it, no deadline of its own, and ends with the load.
//
//kata:zh 加载用的 context 带着发起它的 Get 的值，没有截止时间，随加载结束而结束。
func TestLoadContext(t *testing.T) {
	type trace struct{}
	bubble(t, func(t *testing.T) {
		var seen context.Context
		c := oncecache.New(time.Minute, func(ctx context.Context, _ string) (string, error) {
			seen = ctx
			if d, ok := ctx.Deadline(); ok {
				t.Errorf("the Get that started a load has a deadline of 1h; the context of the load has one too, in %v, want none", time.Until(d))
			}
			if got := ctx.Value(trace{}); got != "trace 7" {
				t.Errorf(`the context of the Get that started a load has the value "trace 7"; in the load it is %v`, got)
			}
			if err := ctx.Err(); err != nil {
				t.Errorf("somebody waits, and the context of the load is done: %v", err)
			}
			return "value", nil
		})
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), trace{}, "trace 7"), time.Hour)
		defer cancel()
		c.Get(ctx, "key")
		synctest.Wait()
		if seen == nil || seen.Err() == nil {
			t.Error("the load has ended, and its context is not cancelled: what hangs on to it leaks")
		}
	})
	for _, end := range []struct {
		how  string
		load func() (string, error)
	}{
		{"with a value", func() (string, error) { return "value", nil }},
		{"with an error", func() (string, error) { return "", errors.New("the database is down") }},
		{"by a panic", func() (string, error) { panic("in the load") }},
	} {
		bubble(t, func(t *testing.T) {
			var seen context.Context
			c := oncecache.New(time.Minute, func(ctx context.Context, _ string) (string, error) {
				seen = ctx
				return end.load()
			})
			func() {
				defer func() { recover() }() // what becomes of a panic is another intent's
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				c.Get(ctx, "key")
			}()
			synctest.Wait()
			if seen == nil || seen.Err() == nil {
				t.Errorf("the load has ended %s, and its context is not cancelled: what hangs on to it leaks", end.how)
			}
		})
	}
}

// A Get whose context is done beforehand says why, and neither loads nor looks.
//
//kata:zh context 事先已结束的 Get 直接说明原因，既不加载也不查缓存。
func TestDoneBeforehand(t *testing.T) {
	gone := errors.New("the client has gone")
	bubble(t, func(t *testing.T) {
		var loads atomic.Int64
		c := oncecache.New(time.Minute, func(context.Context, string) (string, error) {
			loads.Add(1)
			return "value", nil
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		get(ctx, c, "key").wants(t, returned("", gone), "Get with a context cancelled beforehand because of %q, nothing kept", gone)
		if got := loads.Load(); got != 0 {
			t.Errorf("Get with a context cancelled beforehand: %d loads, want 0", got)
		}
		c.Get(t.Context(), "key")
		get(ctx, c, "key").wants(t, returned("", gone), "Get with a context cancelled beforehand because of %q, the value kept", gone)
	})
}

// bubble runs f in virtual time, where a deadlock is reported at once. The clock
// stands still while a goroutine waits for a mutex or spins: the guard ends the one,
// and a deadline in real time both.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	defer stall.Guard(t)()
	deadline := time.AfterFunc(5*time.Second, func() {
		panic("The cache has come to a standstill. Is a mutex held during a load, or does somebody wait in a busy loop?")
	})
	defer deadline.Stop()
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(24 * time.Hour) // whatever still runs may end, after a failure too
		f(t)
	})
}

// A call is a Get in a goroutine of its own.
type call struct {
	done chan string
	end  string
}

const waits = "still waits"

// get starts a Get, and returns when it has ended or waits.
func get(ctx context.Context, c *oncecache.Cache[string, string], key string) *call {
	one := &call{done: make(chan string, 1)}
	go func() { one.done <- returned(c.Get(ctx, key)) }()
	synctest.Wait()
	return one
}

func returned(v string, err error) string {
	if err != nil {
		return fmt.Sprintf("returned error %q", err)
	}
	return fmt.Sprintf("returned %q", v)
}

// wants compares what has become of the call.
func (c *call) wants(t *testing.T, want, format string, args ...any) {
	t.Helper()
	synctest.Wait()
	if c.end == "" {
		select {
		case c.end = <-c.done:
		default:
		}
	}
	got := c.end
	if got == "" {
		got = waits
	}
	if got != want {
		t.Fatalf("%s: %s, want: %s", fmt.Sprintf(format, args...), got, want)
	}
}
