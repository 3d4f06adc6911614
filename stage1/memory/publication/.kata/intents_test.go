// Waits end when every goroutine waits, and are not in a synctest bubble, for a goroutine that waits for a mutex does not count as blocked there.
//
//kata:level 2
//kata:minutes 40
//kata:engine real Go runtime
//kata:race
//kata:timeout 40s
package publication_test

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"

	"github.com/roadkata/roadkata/stage1/internal/kit/stall"
	"github.com/roadkata/roadkata/stage1/memory/publication"
)

type Config = publication.Config

// Readers see one whole version, the old one while f is at work and the new one afterwards, without a data race.
//
//kata:zh 读者看到的总是一个完整的版本：f 运行期间是旧的，之后是新的；没有数据竞争。
func TestWhole(t *testing.T) {
	s := publication.New(&Config{Version: 1, Limits: map[string]int{"a": 1}})
	half := make(chan string, 1)
	update(t, s, func(c *Config) error {
		c.Version = 2
		go func() {
			// May come back only after f, if Load waits. What counts here is that it is one of the two.
			c := s.Load()
			half <- fmt.Sprintf("version %d with limit %d", c.Version, c.Limits["a"])
		}()
		yield()
		c.Limits["a"] = 2
		return nil
	})
	got := receive(t, half, "Load() while f of Update runs")
	if got != "version 1 with limit 1" && got != "version 2 with limit 2" {
		t.Fatalf("a Load() while f changes version 1 with limit 1 to version 2 with limit 2 = %s", got)
	}

	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 100 {
				_ = s.Update(func(c *Config) error {
					c.Version++
					c.Limits["a"]++
					c.Hosts = append(c.Hosts[:0], &publication.Host{Weight: c.Version})
					return nil
				})
			}
		})
	}
	for range 4 {
		wg.Go(func() {
			last := 0
			for range 200 {
				c := s.Load()
				if c.Version != c.Limits["a"] || len(c.Hosts) > 0 && c.Hosts[0].Weight != c.Version {
					t.Errorf("each version has its number as limit and weight; Load() = version %d with limit %d, hosts %v", c.Version, c.Limits["a"], c.Hosts)
					return
				}
				if c.Version < last {
					t.Errorf("a goroutine loads version %d, then version %d: want no way back", last, c.Version)
					return
				}
				last = c.Version
			}
		})
	}
	finished := make(chan bool, 1)
	go func() { wg.Wait(); finished <- true }()
	receive(t, finished, "readers beside writers")
}

// A version never changes once it can be loaded, in no part of it; nor does it when the caller changes what it gave to New.
//
//kata:zh 版本一旦可以被读到，任何部分都不再变化；调用者改动交给 New 的配置，也不影响它。
func TestNeverChanges(t *testing.T) {
	mine := full(1)
	s := publication.New(mine)
	scramble(mine)
	if diff := cmp.Diff(full(1), s.Load()); diff != "" {
		t.Fatalf("the caller changed the Config that it had given to New. Load() then and now (-then +now):\n%s", diff)
	}
	var loaded []*Config
	for v := 2; v <= 5; v++ {
		loaded = append(loaded, s.Load())
		update(t, s, func(c *Config) error {
			scramble(c)
			*c = *full(v)
			return nil
		})
	}
	for i, got := range loaded {
		if diff := cmp.Diff(full(i+1), got); diff != "" {
			t.Fatalf("version %d, which a reader holds, was changed by later calls of Update (-then +now):\n%s", i+1, diff)
		}
	}
	before := s.Load()
	_ = s.Update(func(c *Config) error {
		scramble(c)
		return errors.New("refused")
	})
	if diff := cmp.Diff(full(5), before); diff != "" {
		t.Fatalf("version 5, which a reader holds, was changed by an Update that failed (-then +now):\n%s", diff)
	}
}

// The f of Update is given all that the current version has, nil where it has nil, and no more.
//
//kata:zh Update 的 f 拿到的与当前版本完全相同：该有的都有，原来是 nil 的仍是 nil。
func TestFaithful(t *testing.T) {
	empty := &Config{Limits: map[string]int{}, Routes: map[string][]string{"/none": nil, "/empty": {}}, Hosts: []*publication.Host{}}
	for _, want := range []*Config{{}, empty, full(1), {Version: 3, Hosts: []*publication.Host{{Addr: "a", Tags: []string{}}}}} {
		s := publication.New(want)
		if diff := cmp.Diff(want, s.Load()); diff != "" {
			t.Fatalf("New(c), then Load() differs from c (-c +Load()):\n%s", diff)
		}
		update(t, s, func(c *Config) error {
			if diff := cmp.Diff(want, c); diff != "" {
				t.Errorf("what f of Update is given differs from the current version (-current +given):\n%s", diff)
			}
			return nil
		})
		if diff := cmp.Diff(want, s.Load()); diff != "" {
			t.Fatalf("an Update that changes nothing changed the version (-before +after):\n%s", diff)
		}
	}
}

// Updates run one after the other, and each is based on the one before: none is lost, and f is called once for each.
//
//kata:zh 更新逐个进行，每次都以上一次的结果为基础：一个都不丢，每次更新只调用一次 f。
func TestNoLostUpdate(t *testing.T) {
	const others, rounds = 8, 5
	for range rounds {
		s := publication.New(&Config{})
		var calls atomic.Int64
		started, release, ended := make(chan struct{}), make(chan struct{}), make(chan bool, 1+others)
		go func() {
			_ = s.Update(func(c *Config) error {
				c.Version += 100
				if calls.Add(1) == 1 {
					close(started)
				}
				<-release
				return nil
			})
			ended <- true
		}()
		<-started
		for range others {
			go func() {
				_ = s.Update(func(c *Config) error {
					c.Version++
					calls.Add(1)
					return nil
				})
				ended <- true
			}()
		}
		yield()
		close(release)
		for range 1 + others {
			receive(t, ended, "an Update beside others")
		}
		if got, want := s.Load().Version, 100+others; got != want {
			t.Fatalf("%d Updates at the same time, one adds 100 to the version, the others 1: it is %d, want %d", 1+others, got, want)
		}
		if got, want := int(calls.Load()), 1+others; got != want {
			t.Fatalf("%d Updates at the same time called their f %d times in all, want once each", want, got)
		}
	}
}

// Readers do not wait for a writer: while f of Update is at work, Load returns at once.
//
//kata:zh 读者不等写者：Update 的 f 运行期间，Load 立即返回。
func TestReadersDoNotWait(t *testing.T) {
	s := publication.New(&Config{Version: 1})
	started, release := make(chan struct{}), make(chan struct{})
	ended, second := make(chan bool, 1), make(chan bool, 1)
	var once sync.Once
	go func() {
		_ = s.Update(func(*Config) error {
			once.Do(func() { close(started) })
			<-release
			return nil
		})
		ended <- true
	}()
	<-started
	go func() {
		_ = s.Update(func(*Config) error { return nil })
		second <- true
	}()
	yield()
	loaded := make(chan int, 1)
	go func() { loaded <- s.Load().Version }()
	defer func() {
		close(release)
		receive(t, ended, "Update")
		receive(t, second, "Update")
	}()
	if v := receive(t, loaded, "Load() while f of Update runs and another Update waits"); v != 1 {
		t.Errorf("Load() while f of Update runs = version %d, want 1", v)
	}
}

// An f that returns an error or panics publishes nothing, its error comes back as it is, and the next Update goes on.
//
//kata:zh f 返回错误或 panic 时什么也不发布；错误原样返回，panic 传给调用者；之后的更新照常进行。
func TestRefused(t *testing.T) {
	s := publication.New(full(1))
	refused := errors.New("refused")
	if err := s.Update(func(c *Config) error { c.Version = 2; return refused }); err != refused {
		t.Errorf("Update(f) = %v, want the very error that f returned, %v", err, refused)
	}
	func() {
		defer func() {
			if v := recover(); v != "boom" {
				t.Errorf("f panics with \"boom\": the caller of Update recovers %v", v)
			}
		}()
		_ = s.Update(func(c *Config) error { c.Version = 3; panic("boom") })
	}()
	got := make(chan *Config, 1)
	go func() { got <- s.Load() }()
	if diff := cmp.Diff(full(1), receive(t, got, "Load() after an f that panicked")); diff != "" {
		t.Errorf("an f that returned an error and one that panicked changed the version (-before +after):\n%s", diff)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Update(func(c *Config) error { c.Version++; return nil }) }()
	if err := receive(t, ended, "an Update after an f that panicked"); err != nil || s.Load().Version != 2 {
		t.Errorf("an Update that adds 1, after those that failed = %v, version %d; want nil, version 2", err, s.Load().Version)
	}
}

// An old version that no reader holds any more is garbage.
//
//kata:zh 没有读者再持有的旧版本会被垃圾回收。
func TestCollectable(t *testing.T) {
	s := publication.New(full(1))
	var old []weak.Pointer[Config]
	for v := 2; v <= 6; v++ {
		old = append(old, weak.Make(s.Load()))
		update(t, s, func(c *Config) error { c.Version = v; return nil })
	}
	_ = s.Update(func(c *Config) error {
		old = append(old, weak.Make(c))
		return errors.New("refused")
	})
	kept := len(old)
	for range 10 {
		runtime.GC()
		old = slices.DeleteFunc(old, func(p weak.Pointer[Config]) bool { return p.Value() == nil })
		if kept = len(old); kept == 0 {
			break
		}
	}
	if kept > 0 {
		t.Errorf("after 5 Updates and one that failed, no reader holds an old version: %d of 6 are still in memory after garbage collection, want 0", kept)
	}
	if v := s.Load().Version; v != 6 {
		t.Errorf("after 5 Updates Load() = version %d, want 6", v)
	}
}

// A reader's Load allocates nothing.
//
//kata:zh 读者的 Load 不分配内存。
func TestLoadAllocatesNothing(t *testing.T) {
	s := publication.New(full(1))
	if n := testing.AllocsPerRun(100, func() { sink = s.Load() }); n != 0 {
		t.Errorf("Load() allocates %v times, want 0", n)
	}
}

var sink *Config

// full returns a Config in which everything is set, in version v.
func full(v int) *Config {
	return &Config{
		Version: v,
		Timeout: time.Duration(v) * time.Second,
		Token:   fmt.Sprint("token ", v),
		Limits:  map[string]int{"acme": v, "umbrella": 10 * v},
		Routes:  map[string][]string{"/": {"a", "b"}, "/pay": {fmt.Sprint("c", v)}},
		Hosts: []*publication.Host{
			{Addr: "a:80", Weight: v, Tags: []string{"ssd", fmt.Sprint("rack ", v)}},
			{Addr: "b:80"},
		},
		Fallback: &publication.Host{Addr: "f:80", Weight: v, Tags: []string{"old"}},
	}
}

// scramble changes every part of c where it is, and the spare room of its slices as well.
func scramble(c *Config) {
	c.Version, c.Timeout, c.Token = -1, -1, "scrambled"
	for k := range maps.Clone(c.Limits) {
		c.Limits[k] = -1
	}
	c.Limits["added"] = -1
	for k, route := range c.Routes {
		route[0] = "scrambled"
		c.Routes[k] = append(route[:len(route)-1], "scrambled")
	}
	delete(c.Routes, "/")
	for _, h := range append(slices.Clone(c.Hosts), c.Fallback) {
		h.Addr, h.Weight = "scrambled", -1
		for i := range h.Tags {
			h.Tags[i] = "scrambled"
		}
	}
	c.Hosts[0] = c.Hosts[1]
}

func update(t *testing.T, s *publication.Store, f func(*Config) error) {
	t.Helper()
	if err := s.Update(f); err != nil {
		t.Fatalf("Update(f) with an f that returns nil = %v", err)
	}
}

// yield lets the other goroutines go on to where they wait.
func yield() {
	for range 1000 {
		runtime.Gosched()
	}
}

// receive fails if no value comes because nobody is left to send it.
func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	v, ok := stall.Receive(c)
	if !ok {
		t.Fatalf("%s did not come back: every goroutine waits", what)
	}
	return v
}
