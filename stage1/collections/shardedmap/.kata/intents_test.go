// The suite decides by its hash functions which keys share a shard. It does not run in a synctest bubble, for a goroutine that
// waits for a mutex (a right way to wait for a computation) does not count as blocked there.
//
//kata:level 2
//kata:minutes 50
//kata:engine real Go runtime
//kata:race
//kata:timeout 60s
//kata:forbid "sync".Map "golang.org/x/sync/singleflight"
package shardedmap_test

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/roadkata/roadkata/stage1/collections/shardedmap"
	"github.com/roadkata/roadkata/stage1/internal/kit/stall"
)

// Load, Store, Delete and Len answer as a built-in map does.
//
//kata:zh Load、Store、Delete、Len 的回答与内建 map 一致。
func TestMap(t *testing.T) {
	m := shardedmap.New[int, string](3, identity)
	want := map[int]string{}
	check := func(after string) {
		t.Helper()
		if got := m.Len(); got != len(want) {
			t.Fatalf("after %s: Len() = %d, want %d", after, got, len(want))
		}
		for k := range 10 {
			v, ok := m.Load(k)
			if w, has := want[k]; v != w || ok != has {
				t.Fatalf("after %s: Load(%d) = %q, %v; want %q, %v", after, k, v, ok, w, has)
			}
		}
		if got := contents(m); !maps.Equal(got, want) {
			t.Fatalf("after %s: Range yields %v, want %v", after, got, want)
		}
	}
	check("New")
	for k := range 10 {
		m.Store(k, fmt.Sprint("value ", k))
		want[k] = fmt.Sprint("value ", k)
	}
	check("ten Stores")
	m.Store(4, "again")
	want[4] = "again"
	check("a Store of a key that was there")
	m.Store(5, "")
	want[5] = ""
	check("a Store of the empty string")
	m.Delete(7)
	delete(want, 7)
	check("Delete(7)")
	m.Delete(7)
	m.Delete(1000)
	check("Delete of keys that are not there")
	m.LoadOrCompute(7, func() string { return "computed" })
	want[7] = "computed"
	check("LoadOrCompute(7, …)")
}

// A key belongs to the shard hash(key) % shards, whatever the number and the hash, and Range goes through the shards in order.
//
//kata:zh 键属于第 hash(key) % shards 个分片，分片数和哈希值不限；Range 按分片顺序遍历。
func TestShards(t *testing.T) {
	hashes := map[string]func(int) uint64{
		"the key":          identity,
		"^key":             func(k int) uint64 { return ^uint64(k) },
		"key * 2^57":       func(k int) uint64 { return uint64(k) << 57 },
		"a constant, 5":    func(int) uint64 { return 5 },
		"a multiplication": func(k int) uint64 { return uint64(k) * 0x9E3779B97F4A7C15 },
	}
	for _, shards := range []int{1, 3, 8, 10, 1000} {
		for _, name := range slices.Sorted(maps.Keys(hashes)) {
			hash := hashes[name]
			m := shardedmap.New[int, string](shards, hash)
			for k := range 200 {
				m.Store(k, "v")
			}
			last, n := uint64(0), 0
			m.Range(func(k int, _ string) bool {
				s := hash(k) % uint64(shards)
				if s < last {
					t.Errorf("%d shards, the hash is %s: Range yields key %d of shard %d after a key of shard %d", shards, name, k, s, last)
					return false
				}
				last = s
				n++
				return true
			})
			if t.Failed() {
				return
			}
			if n != 200 || m.Len() != 200 {
				t.Fatalf("%d shards, the hash is %s: 200 keys stored, Range yields %d, Len() = %d", shards, name, n, m.Len())
			}
		}
	}
	for _, shards := range []int{0, -1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New(%d, hash) did not panic", shards)
				}
			}()
			shardedmap.New[int, string](shards, identity)
		}()
	}
}

// However many ask for a key at the same time, it is computed once, all get the result, and one is told that it computed it.
//
//kata:zh 无论多少调用同时要同一个键，只计算一次；大家都拿到结果，其中恰好一个得知是自己算的。
func TestComputeOnce(t *testing.T) {
	const callers = 50
	var asked, computed, own atomic.Int64
	m := shardedmap.New[int, string](4, func(k int) uint64 { asked.Add(1); return uint64(k) })
	release := make(chan struct{})
	results := make(chan string, callers)
	for range callers {
		go func() {
			v, loaded := m.LoadOrCompute(1, func() string {
				computed.Add(1)
				<-release
				return "computed"
			})
			if !loaded {
				own.Add(1)
			}
			results <- v
		}()
	}
	settle(&asked, callers)
	close(release)
	within(t, fmt.Sprintf("LoadOrCompute(1, …) of %d goroutines", callers), func(errorf report) {
		for range callers {
			if v := <-results; v != "computed" {
				errorf("LoadOrCompute(1, …) = %q, want %q", v, "computed")
			}
		}
	})
	if n := computed.Load(); n != 1 {
		t.Errorf("%d goroutines called LoadOrCompute(1, …): compute ran %d times, want once", callers, n)
	}
	if n := own.Load(); n != 1 {
		t.Errorf("%d goroutines called LoadOrCompute(1, …): %d were told that the value is of their own computing, want 1", callers, n)
	}

	m.Store(2, "")
	for k, want := range map[int]string{1: "computed", 2: ""} {
		v, loaded := m.LoadOrCompute(k, func() string { return "a second value" })
		if v != want || !loaded {
			t.Errorf("LoadOrCompute(%d, …) of a key with the value %q = %q, %v; want %[2]q, true", k, want, v, loaded)
		}
	}
}

// While a key is being computed, all calls for other keys go on, in its shard too, and compute itself may use the map.
//
//kata:zh 某个键在计算时，对其他键的所有调用照常进行，即使在同一分片；compute 自己也可以使用这个 map。
func TestSlowComputeOtherKeys(t *testing.T) {
	m := shardedmap.New[int, string](4, identity)
	defer slow(t, m, 1, "slow")()
	for _, k := range []int{2, 5} {
		where := map[int]string{2: "of another shard", 5: "of the same shard"}[k]
		within(t, fmt.Sprintf("while key 1 is being computed, a call for a key %s", where), func(errorf report) {
			m.Store(k, "stored")
			m.Load(k)
			m.Delete(k)
			v, loaded := m.LoadOrCompute(k, func() string { return "computed" })
			if v != "computed" || loaded {
				errorf("LoadOrCompute(%d, …) = %q, %v; want \"computed\", false", k, v, loaded)
			}
		})
	}
	within(t, "while key 1 is being computed, a compute for key 9 that calls LoadOrCompute for key 13 of the same shard", func(errorf report) {
		v, _ := m.LoadOrCompute(9, func() string {
			m.Store(17, "17")
			v, _ := m.LoadOrCompute(13, func() string { return "13" })
			return v + " and 9"
		})
		if v != "13 and 9" {
			errorf("LoadOrCompute(9, …) = %q, want %q", v, "13 and 9")
		}
	})
}

// A key that is being computed is not there yet: Load, Len and Range say so at once.
//
//kata:zh 正在计算的键还不算存在：Load、Len、Range 立即照此回答，不等待。
func TestSlowComputeSameKey(t *testing.T) {
	m := shardedmap.New[int, string](4, identity)
	m.Store(5, "five")
	defer slow(t, m, 1, "slow")()
	within(t, "while key 1 is being computed, Load(1), Len or Range", func(errorf report) {
		if v, ok := m.Load(1); v != "" || ok {
			errorf("while key 1 is being computed: Load(1) = %q, %v; want \"\", false", v, ok)
		}
		if n := m.Len(); n != 1 {
			errorf("while key 1 is being computed beside key 5: Len() = %d, want 1", n)
		}
		if got, want := contents(m), map[int]string{5: "five"}; !maps.Equal(got, want) {
			errorf("while key 1 is being computed: Range yields %v, want %v", got, want)
		}
	})
}

// A panic in compute reaches its caller, nothing is stored, and whoever waited begins anew, like one who comes later.
//
//kata:zh compute 里的 panic 传到它的调用者，什么也不存；正在等的调用者重新开始，和后来的一样。
func TestPanic(t *testing.T) {
	for _, ending := range []struct {
		name string
		do   func()
	}{{"panics", func() { panic("boom") }}, {"calls runtime.Goexit", runtime.Goexit}} {
		var asked atomic.Int64
		m := shardedmap.New[int, string](4, func(k int) uint64 { asked.Add(1); return uint64(k) })
		started, release := make(chan struct{}), make(chan struct{})
		recovered, returned := make(chan any, 1), make(chan struct{}, 1)
		go func() {
			defer func() { recovered <- recover() }()
			m.LoadOrCompute(1, func() string {
				close(started)
				<-release
				ending.do()
				return "unreachable"
			})
			returned <- struct{}{}
		}()
		<-started
		const waiting = 8
		var computed atomic.Int64
		waited := make(chan string, waiting)
		for range waiting {
			go func() {
				v, _ := m.LoadOrCompute(1, func() string { computed.Add(1); return "second try" })
				waited <- v
			}()
		}
		settle(&asked, 1+waiting)
		close(release)

		within(t, fmt.Sprintf("compute %s: the call of LoadOrCompute", ending.name), func(errorf report) {
			v := <-recovered
			if ending.name == "panics" && v != "boom" {
				errorf("compute panics with \"boom\": the caller of LoadOrCompute recovers %v", v)
			}
		})
		select {
		case <-returned:
			t.Errorf("compute %s: LoadOrCompute returned to its caller as if there were a value", ending.name)
		default:
		}
		within(t, fmt.Sprintf("compute %s: other calls of LoadOrCompute that waited for it", ending.name), func(errorf report) {
			for range waiting {
				if v := <-waited; v != "second try" {
					errorf("compute %s: another LoadOrCompute that waited for it = %q, want %q, by a compute of those who waited", ending.name, v, "second try")
				}
			}
		})
		if n := computed.Load(); n != 1 {
			t.Errorf("compute %s: of the %d calls that waited, %d called their own compute, want 1", ending.name, waiting, n)
		}
	}
	panicAfter(t, "Store(1, \"stored\")", func(m *shardedmap.Map[int, string]) { m.Store(1, "stored") }, "stored", 0)
	panicAfter(t, "Delete(1)", func(m *shardedmap.Map[int, string]) { m.Delete(1) }, "second try", 1)

	m := shardedmap.New[int, string](4, identity)
	func() {
		defer func() { _ = recover() }()
		m.LoadOrCompute(1, func() string { panic("boom") })
	}()
	within(t, "after a compute of key 1 that panicked, a call for its shard", func(errorf report) {
		if v, ok := m.Load(1); v != "" || ok || m.Len() != 0 {
			errorf("after a compute of key 1 that panicked: Load(1) = %q, %v, Len() = %d; want \"\", false, 0", v, ok, m.Len())
		}
		m.Store(5, "five")
		v, loaded := m.LoadOrCompute(1, func() string { return "later" })
		if v != "later" || loaded {
			errorf("after a compute of key 1 that panicked: LoadOrCompute(1, …) = %q, %v; want \"later\", false", v, loaded)
		}
	})
}

// panicAfter lets a compute panic after the key was changed meanwhile, and checks what those who waited for it make of that.
func panicAfter(t *testing.T, what string, change func(*shardedmap.Map[int, string]), want string, computations int64) {
	t.Helper()
	var asked, computed atomic.Int64
	m := shardedmap.New[int, string](4, func(k int) uint64 { asked.Add(1); return uint64(k) })
	started, release := make(chan struct{}), make(chan struct{})
	go func() {
		defer func() { _ = recover() }()
		m.LoadOrCompute(1, func() string {
			close(started)
			<-release
			panic("boom")
		})
	}()
	<-started
	const waiting = 8
	waited := make(chan string, waiting)
	for range waiting {
		go func() {
			v, _ := m.LoadOrCompute(1, func() string { computed.Add(1); return "second try" })
			waited <- v
		}()
	}
	settle(&asked, 1+waiting)
	within(t, "while key 1 is being computed, "+what, func(report) { change(m) })
	close(release)
	within(t, "after "+what+" a compute of key 1 panics: other calls of LoadOrCompute that waited for it", func(errorf report) {
		for range waiting {
			if v := <-waited; v != want {
				errorf("after %s a compute of key 1 panics: another LoadOrCompute(1, …) that waited for it = %q, want %q", what, v, want)
			}
		}
	})
	if n := computed.Load(); n != computations {
		t.Errorf("after %s a compute of key 1 panics: of the %d calls that waited, %d called their own compute, want %d", what, waiting, n, computations)
	}
	if v, ok := m.Load(1); v != want || !ok {
		t.Errorf("after %s a compute of key 1 panics, and those who waited have a value: Load(1) = %q, %v; want %q, true", what, v, ok, want)
	}
}

// Who stores or deletes a key while it is being computed does not wait and has the last word: the late result is not stored.
//
//kata:zh 在键计算期间 Store 或 Delete 的调用不等待，并且说了算：迟到的计算结果不会写入。
func TestStoreWins(t *testing.T) {
	m := shardedmap.New[int, string](4, identity)
	finish := slow(t, m, 1, "late")
	defer finish()
	within(t, "while key 1 is being computed, Store(1, …)", func(report) { m.Store(1, "stored") })
	within(t, "after a Store(1, …) while key 1 is being computed, LoadOrCompute(1, …)", func(errorf report) {
		if v, loaded := m.LoadOrCompute(1, func() string { return "again" }); v != "stored" || !loaded {
			errorf("after a Store(1, \"stored\") while key 1 is being computed: LoadOrCompute(1, …) = %q, %v; want \"stored\", true", v, loaded)
		}
	})
	if got := finish(); got != "late false" {
		t.Errorf("a LoadOrCompute(1, …) whose key was stored meanwhile = %s; want its own result, late false", got)
	}
	if v, ok := m.Load(1); v != "stored" || !ok {
		t.Errorf("a Store(1, \"stored\") during the computation of key 1, which then ended: Load(1) = %q, %v; want \"stored\", true", v, ok)
	}

	m = shardedmap.New[int, string](4, identity)
	first := slow(t, m, 1, "first")
	defer first()
	within(t, "while key 1 is being computed, Delete(1)", func(report) { m.Delete(1) })
	second := slow(t, m, 1, "second") // must begin though the first still runs
	defer second()
	if got := first(); got != "first false" {
		t.Errorf("a LoadOrCompute(1, …) whose key was deleted meanwhile = %s; want its own result, first false", got)
	}
	const others = 8
	third := make(chan string, others)
	for range others {
		go func() {
			v, _ := m.LoadOrCompute(1, func() string { return "third" })
			third <- v
		}()
	}
	for range 1000 {
		runtime.Gosched()
	}
	second()
	within(t, "LoadOrCompute(1, …) that waits for a computation", func(errorf report) {
		for range others {
			if got := <-third; got != "second" {
				errorf("Delete(1) came between two computations of key 1, of which the first has ended: a LoadOrCompute(1, …) while the second runs = %q, "+
					"want its result, \"second\"", got)
				return
			}
		}
	})
	if v, ok := m.Load(1); v != "second" || !ok {
		t.Errorf("after the computation that began after Delete(1): Load(1) = %q, %v; want \"second\", true", v, ok)
	}
}

// Range yields each shard as it was when Range came to it, whatever f does to the map.
//
//kata:zh 无论 f 怎样改动 map，Range 给出的每个分片都是遍历到它那一刻的样子。
func TestRangeSnapshot(t *testing.T) {
	const shards, each = 4, 4
	m := shardedmap.New[int, string](shards, identity)
	want := map[int]string{}
	for k := range shards * each {
		m.Store(k, "old")
		want[k] = "old"
	}
	got := map[int]string{}
	within(t, "Range with an f that stores and deletes", func(errorf report) {
		seen := map[int]bool{}
		m.Range(func(k int, v string) bool {
			if _, twice := got[k]; twice {
				errorf("Range yields key %d twice", k)
			}
			got[k] = v
			if s := k % shards; !seen[s] {
				seen[s] = true
				for i := range each {
					if other := s + i*shards; other != k && i%2 == 0 {
						m.Delete(other)
					} else {
						m.Store(other, "new")
					}
					m.Store(1000+s+i*shards, "new")
				}
			}
			return true
		})
	})
	if !maps.Equal(got, want) {
		t.Errorf("f stores and deletes keys of the shard that Range is at:\n got %v\nwant %v, as the shards were when Range came to them", got, want)
	}

	m = shardedmap.New[int, string](shards, identity)
	m.Store(0, "first")
	m.Store(3, "deleted before Range comes to it")
	m.Store(7, "changed before Range comes to it")
	got = map[int]string{}
	within(t, "Range with an f that stores and deletes", func(report) {
		m.Range(func(k int, v string) bool {
			if k == 0 {
				m.Delete(3)
				m.Store(7, "changed")
				m.Store(11, "added")
			}
			got[k] = v
			return true
		})
	})
	if want := map[int]string{0: "first", 7: "changed", 11: "added"}; !maps.Equal(got, want) {
		t.Errorf("f changes shard 3 while Range is at shard 0:\n got %v\nwant %v, as the shards were when Range came to them", got, want)
	}
}

// The f of Range may call everything, may panic, and ends the whole Range by returning false.
//
//kata:zh Range 的 f 可以调用所有方法，可以 panic；返回 false 就结束整个 Range。
func TestRangeCalls(t *testing.T) {
	m := shardedmap.New[int, string](4, identity)
	for k := range 8 {
		m.Store(k, "v")
	}
	within(t, "Range with an f that calls the map's methods", func(report) {
		m.Range(func(k int, _ string) bool {
			m.Load(k)
			m.Len()
			m.LoadOrCompute(100+k, func() string { return "computed" })
			m.Range(func(k int, _ string) bool { m.Delete(k); return true })
			return true
		})
	})
	if n := m.Len(); n != 0 {
		t.Errorf("an f of Range deletes everything by another Range as its last act: Len() = %d, want 0", n)
	}

	for k := range 8 {
		m.Store(k, "v")
	}
	calls := 0
	m.Range(func(int, string) bool { calls++; return calls < 3 })
	if calls != 3 {
		t.Errorf("f returned false at its 3rd call: it was called %d times", calls)
	}
	func() {
		defer func() { _ = recover() }()
		m.Range(func(int, string) bool { panic("boom") })
	}()
	within(t, "after an f of Range has panicked, Store", func(report) {
		for k := range 8 {
			m.Store(k, "w")
		}
	})
}

// Any number of goroutines may call anything at the same time.
//
//kata:zh 任意多个 goroutine 可以同时调用任意方法，没有数据竞争。
func TestRaces(t *testing.T) {
	m := shardedmap.New[int, string](3, identity)
	for k := range 7 {
		m.Store(k, "stored")
	}
	methods := []func(k int){
		func(k int) { m.Store(k, "stored") },
		func(k int) { m.Load(k) },
		func(k int) { m.LoadOrCompute(k, func() string { return "computed" }) },
		func(k int) { m.Delete(k) },
		func(int) { m.Len() },
		func(int) { m.Range(func(int, string) bool { return true }) },
	}
	// Each goroutine keeps to one method: the locks of one method cannot put in order what another does without.
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, method := range slices.Concat(methods, methods) {
		wg.Go(func() {
			<-start
			for i := range 100 {
				method(i % 7)
			}
		})
	}
	close(start)
	within(t, "twelve goroutines that each call one method", func(report) { wg.Wait() })
}

func identity(k int) uint64 { return uint64(k) }

func contents(m *shardedmap.Map[int, string]) map[int]string {
	all := map[int]string{}
	m.Range(func(k int, v string) bool { all[k] = v; return true })
	return all
}

// slow begins a LoadOrCompute of the key. The function that it returns lets the computation end,
// and returns what LoadOrCompute returned, at each call the same.
func slow(t *testing.T, m *shardedmap.Map[int, string], key int, value string) (finish func() string) {
	t.Helper()
	started, release, result := make(chan struct{}), make(chan struct{}), make(chan string, 1)
	go func() {
		v, loaded := m.LoadOrCompute(key, func() string {
			close(started)
			<-release
			return value
		})
		result <- fmt.Sprint(v, " ", loaded)
	}()
	if _, ok := stall.Receive(started); !ok {
		close(release)
		t.Fatalf("LoadOrCompute(%d, …) of a key without a value does not call compute: every goroutine waits", key)
	}
	return sync.OnceValue(func() string {
		close(release)
		r, ok := stall.Receive(result)
		if !ok {
			return "nothing: every goroutine waits"
		}
		return r
	})
}

// report is t.Errorf for what may go on when the test is over.
type report func(format string, args ...any)

// within fails unless f comes back, and then with what f has reported.
func within(t *testing.T, what string, f func(errorf report)) {
	t.Helper()
	var complaints []string
	if !stall.Within(func() {
		f(func(format string, args ...any) { complaints = append(complaints, fmt.Sprintf(format, args...)) })
	}) {
		t.Fatalf("%s did not come back: every goroutine waits", what)
	}
	for _, c := range complaints {
		t.Error(c)
	}
}

// settle waits until the map has been asked n times for a shard, and lets those who asked go on from there to where they wait.
// The bound is for a map that does not ask. A right one stays right if somebody comes later.
func settle(asked *atomic.Int64, n int64) {
	for i := 0; asked.Load() < n && i < 20_000; i++ {
		runtime.Gosched()
	}
	for range 1000 {
		runtime.Gosched()
	}
}
