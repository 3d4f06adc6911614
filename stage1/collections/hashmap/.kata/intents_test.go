// The suite measures bytes and allocations, and time only by the time that another map takes. What may go on for ever, or
// allocate without end, runs under a guard.
//
//kata:level 3
//kata:minutes 120
//kata:engine real Go runtime
//kata:timeout 120s
//kata:forbid builtin:map "sync".Map "reflect"
package hashmap_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"testing"
	"time"
	"weak"

	"github.com/roadkata/roadkata/stage1/collections/hashmap"
)

// Get, Set, Delete, Len and All do what the built-in map does.
//
//kata:zh Get、Set、Delete、Len、All 的行为与内建 map 一致。
func TestModel(t *testing.T) {
	defer guard("30,000 random calls")()
	m, model := hashmap.New[string, int](), map[string]int{}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 30_000 {
		key := fmt.Sprint("key", r.IntN(4000))
		want, has := model[key]
		switch r.IntN(3) {
		case 0:
			if got, ok := m.Get(key); got != want || ok != has {
				t.Fatalf("call %d: Get(%q) = %d, %v, want %d, %v", i, key, got, ok, want, has)
			}
		case 1:
			m.Set(key, i)
			model[key] = i
		case 2:
			if got := m.Delete(key); got != has {
				t.Fatalf("call %d: Delete(%q) = %v, want %v", i, key, got, has)
			}
			delete(model, key)
		}
		if got, want := m.Len(), len(model); got != want {
			t.Fatalf("call %d: Len() = %d, want %d", i, got, want)
		}
	}
	for key, want := range model {
		if got, ok := m.Get(key); got != want || !ok {
			t.Fatalf("after 30,000 random calls: Get(%q) = %d, %v, want %d, true", key, got, ok, want)
		}
	}
	n := 0
	for key, got := range m.All() {
		n++
		if want, has := model[key]; got != want || !has {
			t.Fatalf("after 30,000 random calls: All() yields %q with %d; Get(%q) should say %d, %v", key, got, key, want, has)
		}
	}
	if n != len(model) {
		t.Fatalf("after 30,000 random calls: All() yields %d keys, want %d", n, len(model))
	}

	zeros := hashmap.New[float64, string]()
	zeros.Set(0, "plus")
	zeros.Set(math.Copysign(0, -1), "minus")
	for key, value := range zeros.All() {
		if zeros.Len() != 1 || value != "minus" || !math.Signbit(key) {
			t.Fatalf("Set(+0, plus), Set(-0, minus): Len() = %d, All() yields %v with %s, want one key, -0 with minus, as in a built-in map", zeros.Len(), key, value)
		}
	}
}

// The map grows a little at a time: no New and no Set allocates more than 64 KiB on the way to a million keys.
//
//kata:zh map 一点一点地增长：直到一百万个键，任何一次 New 或 Set 的分配都不超过 64 KiB。
func TestGrowsIncrementally(t *testing.T) {
	defer guard("600,000 Sets")()
	// What is doubled as a whole, and too large for a million keys, has been doubled once too often by now.
	fill(t, "New[int, int]()", 600_000, func() *hashmap.Map[int, int] { return hashmap.New[int, int]() })
}

// A hash function need only tell keys apart: it may do so in its low bits or in its high bits alone.
//
//kata:zh 哈希函数只要能区分键就行：差别只在低位或只在高位都可以。
func TestPoorHash(t *testing.T) {
	for _, c := range []struct {
		name string
		hash func(int) uint64
	}{
		{"hash(k) = k", func(k int) uint64 { return uint64(k) }},
		{"hash(k) = k << 44", func(k int) uint64 { return uint64(k) << 44 }},
		{"hash(k) = k << 22", func(k int) uint64 { return uint64(k) << 22 }},
	} {
		release := guard("20,000 Sets with " + c.name)
		fill(t, "NewHash, "+c.name, 20_000, func() *hashmap.Map[int, int] { return hashmap.NewHash[int, int](c.hash) })
		release()
	}
}

// Keys whose hashes are equal are still different keys, and cost memory for each key, not for each bit of the hash.
//
//kata:zh 哈希相同的键仍是不同的键；内存随键数增长，而不是随哈希的位数增长。
func TestCollide(t *testing.T) {
	for _, c := range []struct {
		name string
		hash func(int) uint64
	}{
		{"hash(k) = 0", func(int) uint64 { return 0 }},
		{"hash(k) = 1<<64 - 1", func(int) uint64 { return math.MaxUint64 }},
		{"hash(k) = k % 3", func(k int) uint64 { return uint64(k % 3) }},
	} {
		const keys = 1000
		release := guard(fmt.Sprintf("%d Sets with %s", keys, c.name))
		before := heap()
		m := hashmap.NewHash[int, int](c.hash)
		for k := range keys {
			m.Set(k, -k)
		}
		if kept := heap() - before; kept > mostKept(keys) {
			t.Fatalf("%d keys with %s: the map keeps %d KiB, want at most %d", keys, c.name, kept>>10, mostKept(keys)>>10)
		}
		for k := 0; k < keys; k += 2 {
			if !m.Delete(k) {
				t.Fatalf("%d keys with %s: Delete(%d) = false, want true", keys, c.name, k)
			}
		}
		for k := range keys {
			got, ok := m.Get(k)
			if has := k%2 == 1; ok != has || has && got != -k {
				t.Fatalf("%d keys with %s, the even ones deleted: Get(%d) = %d, %v", keys, c.name, k, got, ok)
			}
		}
		seen := collect(t, c.name, m)
		if m.Len() != keys/2 || len(seen) != keys/2 {
			t.Fatalf("%d keys with %s, the even ones deleted: Len() = %d, All() yields %d keys, want %d", keys, c.name, m.Len(), len(seen), keys/2)
		}
		release()
	}

	// They cost nothing once they are gone: here they come and go, a run of them for each hash, and one of each stays.
	const same, rounds = 800, 24
	defer guard(fmt.Sprintf("%d runs of %d keys with the same hash, set and deleted", rounds, same))()
	before := heap()
	m := hashmap.NewHash[int, int](func(k int) uint64 { return mixed(k / same) })
	for first := 0; first < rounds*same; first += same {
		for k := range same {
			m.Set(first+k, k)
		}
		for k := range same - 1 {
			m.Delete(first + k)
		}
	}
	if got := m.Len(); got != rounds {
		t.Fatalf("%d runs of %d keys with the same hash set, and all but one of each deleted: Len() = %d, want %d", rounds, same, got, rounds)
	}
	if kept := heap() - before; kept > mostKept(same+rounds) {
		t.Fatalf("%d runs of %d keys with the same hash set, and all but one of each deleted before the next: the map keeps %d KiB, want at most %d", rounds, same, kept>>10, mostKept(same+rounds)>>10)
	}
	runtime.KeepAlive(m)
}

// Deleted keys do not slow look-ups down, though they had the same hash as the key that is looked up.
//
//kata:zh 已删除的键不拖慢查找，哪怕它们与要找的键哈希相同。
func TestDeleteLeavesNoTrace(t *testing.T) {
	const keys, lookups, rounds, slower = 6000, 1000, 10, 50
	defer guard(fmt.Sprintf("Set and Delete of %d keys with the same hash, and look-ups", keys))()
	deleted, fresh := hashmap.NewHash[int, int](func(int) uint64 { return 42 }), hashmap.NewHash[int, int](func(int) uint64 { return 42 })
	deleted.Set(-1, 0)
	fresh.Set(-1, 0)
	for k := range keys {
		deleted.Set(k, k)
	}
	for k := range keys {
		deleted.Delete(k)
	}
	// How long a step takes is the machine's affair, and how long the other processes let it wait. But a look-up in the
	// one map is about as many steps as one in the other, past thousands of deleted slots thousands more. The shortest
	// of several times is that of the steps alone.
	shortest := func(m *hashmap.Map[int, int], least time.Duration) time.Duration {
		start := time.Now()
		for k := range lookups {
			if _, ok := m.Get(k); ok {
				t.Fatalf("Get(%d) = _, true, want false: the key was deleted, or never set", k)
			}
		}
		return min(least, time.Since(start))
	}
	var inDeleted, inFresh time.Duration = math.MaxInt64, math.MaxInt64
	for range rounds {
		inDeleted, inFresh = shortest(deleted, inDeleted), shortest(fresh, inFresh)
	}
	if times := float64(inDeleted) / float64(max(1, inFresh)); times > slower {
		t.Errorf("the map holds one key, and %d others with the same hash were deleted: a look-up takes %.0f times as long as in a map that never held them, want no longer",
			keys, times)
	}
}

// Memory depends on the most keys held at once, not on how many came and went.
//
//kata:zh 内存取决于同时存有的键最多时有多少，而不是来去过多少。
func TestChurn(t *testing.T) {
	defer guard("100,000 keys that come and go")()
	const live, passing = 1000, 100_000
	before := heap()
	m := hashmap.New[int, int]()
	for k := range passing {
		m.Set(k, k)
		m.Delete(k - live)
	}
	if got := m.Len(); got != live {
		t.Fatalf("%d keys set, each deleted %d keys later: Len() = %d, want %d", passing, live, got, live)
	}
	if kept := heap() - before; kept > mostKept(live) {
		t.Errorf("%d keys came and went, %d at a time: the map keeps %d KiB, want at most %d", passing, live, kept>>10, mostKept(live)>>10)
	}
	runtime.KeepAlive(m)
}

// While the loop sets new keys, every key that was there is yielded once, and no key twice.
//
//kata:zh 遍历中设置新键时，原有的键各出现一次，任何键都不出现两次。
func TestRangeInsert(t *testing.T) {
	defer guard("a range whose body sets keys")()
	for _, there := range []int{1, 7, 100, 3000} {
		m := hashmap.NewHash[int, int](mixed)
		for k := range there {
			m.Set(k, k)
		}
		next := there
		seen := map[int]bool{}
		for k := range m.All() {
			if seen[k] {
				t.Fatalf("range over %d keys, the body sets more: key %d is yielded twice, when the map has %d keys", there, k, m.Len())
			}
			seen[k] = true
			for range 7 {
				if next < there+15_000 {
					m.Set(next, next)
					next++
				}
			}
		}
		for k := range there {
			if !seen[k] {
				t.Fatalf("range over %d keys, the body sets more: key %d, which was there from the start, is not yielded", there, k)
			}
		}
	}
}

// While the loop deletes keys, no deleted key is yielded, and every other one once.
//
//kata:zh 遍历中删除键时，已删除的不再出现，其余的各出现一次。
func TestRangeDelete(t *testing.T) {
	defer guard("a range whose body deletes keys")()
	const most = 5000
	for _, c := range []struct {
		name string
		keys int
		hash func(int) uint64
		body func(m *hashmap.Map[int, int], k int)
	}{
		{"its own key", most, mixed, func(m *hashmap.Map[int, int], k int) { m.Delete(k) }},
		{"every third key, its own or another", most, mixed, func(m *hashmap.Map[int, int], k int) { m.Delete(k * 7 % most / 3 * 3) }},
		{"other keys", most, mixed, func(m *hashmap.Map[int, int], k int) { m.Delete((k + 1) % most); m.Delete((k + 2500) % most) }},
		{"its own key, all with the same hash", 500, func(int) uint64 { return 7 }, func(m *hashmap.Map[int, int], k int) { m.Delete(k) }},
		{"all keys, by Clear", most, mixed, func(m *hashmap.Map[int, int], _ int) { m.Clear() }},
	} {
		keys := c.keys
		m := hashmap.NewHash[int, int](c.hash)
		for k := range keys {
			m.Set(k, k)
		}
		seen := map[int]bool{}
		for k := range m.All() {
			if seen[k] {
				t.Fatalf("range over %d keys, the body deletes %s: key %d is yielded twice", keys, c.name, k)
			}
			seen[k] = true
			if _, ok := m.Get(k); !ok {
				t.Fatalf("range over %d keys, the body deletes %s: key %d is yielded after it was deleted", keys, c.name, k)
			}
			c.body(m, k)
		}
		for k := range keys {
			if _, ok := m.Get(k); ok && !seen[k] {
				t.Fatalf("range over %d keys, the body deletes %s: key %d, which is still there, is not yielded", keys, c.name, k)
			}
		}
	}
}

// A value that the loop sets for a key to come is the value that comes.
//
//kata:zh 循环体为尚未出现的键设置的值，就是随后出现的值。
func TestRangeValue(t *testing.T) {
	defer guard("a range whose body sets values")()
	m := hashmap.NewHash[int, int](mixed)
	for k := range 3000 {
		m.Set(k, 0)
	}
	version := 0
	for k, v := range m.All() {
		if v != version {
			t.Fatalf("range whose body sets every value to %d: key %d comes with %d", version, k, v)
		}
		if version < 5 {
			version++
			for k := range 3000 {
				m.Set(k, version)
			}
		}
	}
}

// The loop can be left at any key, and another one be inside it.
//
//kata:zh 循环可以在任何键处退出，也可以嵌套。
func TestRangeBreak(t *testing.T) {
	defer guard("ranges that break")()
	m := hashmap.NewHash[int, int](mixed)
	for k := range 2000 {
		m.Set(k, k)
	}
	for _, stop := range []int{1, 2, 500, 1999, 2000} {
		n := 0
		for range m.All() {
			if n++; n == stop {
				break
			}
		}
		if n != stop {
			t.Fatalf("range over 2000 keys, break at key %d: the body ran %d times", stop, n)
		}
	}
	outer := map[int]bool{}
	for k := range m.All() {
		if outer[k] {
			t.Fatalf("range with another range inside it: key %d is yielded twice", k)
		}
		outer[k] = true
		if len(outer)%400 == 1 {
			if n := len(collect(t, "range inside a range", m)); n != 2000 {
				t.Fatalf("range inside a range over 2000 keys yields %d keys, want 2000", n)
			}
		}
	}
	if len(outer) != 2000 {
		t.Fatalf("range over 2000 keys with another range inside it yields %d keys, want 2000", len(outer))
	}
}

// NaN keys behave as in a built-in map: each Set adds one that only All finds and only Clear removes.
//
//kata:zh NaN 键与内建 map 一致：每次 Set 都新增一个，只有 All 能看到，只有 Clear 能移除。
func TestNaN(t *testing.T) {
	const nans = 3000
	for _, c := range []struct {
		name string
		m    *hashmap.Map[float64, int]
	}{
		{"New", hashmap.New[float64, int]()},
		{"NewHash with math.Float64bits", hashmap.NewHash[float64, int](math.Float64bits)},
	} {
		release := guard(fmt.Sprintf("%s: %d NaN keys", c.name, nans))
		nan := math.NaN()
		for i := range nans {
			c.m.Set(nan, i)
			c.m.Set(float64(i), -1)
		}
		if got := c.m.Len(); got != 2*nans {
			t.Fatalf("%s: %d Sets of NaN and of %d other keys: Len() = %d, want %d", c.name, nans, nans, got, 2*nans)
		}
		if v, ok := c.m.Get(nan); ok {
			t.Fatalf("%s: Get(NaN) = %d, true; NaN equals nothing, so want false", c.name, v)
		}
		if c.m.Delete(nan) {
			t.Fatalf("%s: Delete(NaN) = true; NaN equals nothing, so want false", c.name)
		}
		var values []int
		for k, v := range c.m.All() {
			if math.IsNaN(k) {
				values = append(values, v)
			}
			c.m.Delete(1)
		}
		slices.Sort(values)
		for i := range nans {
			if len(values) != nans || values[i] != i {
				t.Fatalf("%s: Set(NaN, 0) … Set(NaN, %d): All() yields %d NaN keys, want each of them once", c.name, nans-1, len(values))
			}
		}
		yielded := 0
		for range c.m.All() {
			yielded++
			c.m.Clear()
		}
		if yielded != 1 {
			t.Fatalf("%s: range whose body clears the map yields %d keys, want 1", c.name, yielded)
		}
		for k, v := range c.m.All() {
			t.Fatalf("%s: after Clear, All() yields %v with %d", c.name, k, v)
		}
		if got := c.m.Len(); got != 0 {
			t.Fatalf("%s: after Clear, Len() = %d", c.name, got)
		}
		release()
	}
}

// Clear gives the memory back: a map that was cleared keeps no more than a new one.
//
//kata:zh Clear 归还内存：清空后的 map 占用不比新建的多。
func TestClear(t *testing.T) {
	defer guard("50,000 Sets and Clear")()
	before := heap()
	m := hashmap.New[int, int]()
	for k := range 50_000 {
		m.Set(k, k)
	}
	m.Clear()
	if kept := heap() - before; kept > 64<<10 {
		t.Errorf("50,000 Sets, then Clear: the map keeps %d KiB, want no more than a new one has", kept>>10)
	}
	if v, ok := m.Get(1); ok || m.Len() != 0 {
		t.Errorf("after Clear: Get(1) = %d, %v, Len() = %d, want 0, false, 0", v, ok, m.Len())
	}
	m.Set(1, 2)
	if v, ok := m.Get(1); v != 2 || !ok || m.Len() != 1 {
		t.Errorf("after Clear and Set(1, 2): Get(1) = %d, %v, Len() = %d, want 2, true, 1", v, ok, m.Len())
	}
}

// What was deleted or replaced is no longer kept alive by the map.
//
//kata:zh 已删除或被替换的内容，map 不再使其存活。
func TestReleases(t *testing.T) {
	defer guard("keys and values that are deleted")()
	type object struct{ _ [64]byte }
	const keys = 3000
	byNumber, byPointer := hashmap.NewHash[int, *object](mixed), hashmap.New[*object, int]()
	deleted, replaced, deletedKeys := make([]weak.Pointer[object], keys), make([]weak.Pointer[object], keys), make([]weak.Pointer[object], keys)
	// Only the maps hold the objects once this function has returned.
	func() {
		pointers := make([]*object, keys)
		for k := range keys {
			kept, value := new(object), new(object)
			byNumber.Set(k, kept)
			byNumber.Set(-1-k, value)
			deleted[k], replaced[k] = weak.Make(kept), weak.Make(value)
			pointers[k] = new(object)
			byPointer.Set(pointers[k], k)
			deletedKeys[k] = weak.Make(pointers[k])
		}
		for k := range keys {
			byNumber.Delete(k)
			byNumber.Set(-1-k, nil)
			byPointer.Delete(pointers[k])
		}
	}()
	runtime.GC()
	for _, c := range []struct {
		what string
		refs []weak.Pointer[object]
	}{
		{"values whose keys were deleted", deleted},
		{"values that were replaced", replaced},
		{"keys that were deleted", deletedKeys},
	} {
		alive := 0
		for _, ref := range c.refs {
			if ref.Value() != nil {
				alive++
			}
		}
		if alive > 0 {
			t.Errorf("%d of %d %s are still reachable through the map", alive, keys, c.what)
		}
	}
	runtime.KeepAlive(byNumber)
	runtime.KeepAlive(byPointer)
}

// Looking a key up, replacing its value and deleting it allocate nothing.
//
//kata:zh 查找键、替换值、删除键都不分配内存。
func TestNoAllocations(t *testing.T) {
	defer guard("look-ups")()
	type point struct {
		x, y int
		name string
	}
	ints, texts, points := hashmap.New[int, int](), hashmap.New[string, int](), hashmap.New[point, int]()
	text := func(k int) string { return fmt.Sprint("a text as key ", k) }
	for k := range 1000 {
		ints.Set(k, k)
		texts.Set(text(k), k)
		points.Set(point{k, k, text(k)}, k)
	}
	there, missing, next := 500, 5000, 700
	thereText, missingText := text(there), text(missing)
	for _, c := range []struct {
		call string
		run  func()
	}{
		{"Get of an int key", func() { ints.Get(there) }},
		{"Get of a missing int key", func() { ints.Get(missing) }},
		{"Get of a string key", func() { texts.Get(thereText) }},
		{"Get of a missing string key", func() { texts.Get(missingText) }},
		{"Get of a struct key", func() { points.Get(point{there, there, thereText}) }},
		{"Set of a string key that is there", func() { texts.Set(thereText, there) }},
		{"Delete of an int key", func() { ints.Delete(next); next++ }},
		{"Delete of a missing string key", func() { texts.Delete(missingText) }},
	} {
		if n := testing.AllocsPerRun(100, c.run); n != 0 {
			t.Fatalf("%s allocates %v times, want 0", c.call, n)
		}
	}
}

// mostKept is what a Map[int, int] may keep that never held more than the given number of keys at once.
func mostKept(keys int) int64 { return 64<<10 + 256*int64(keys) }

// mixed is a hash function that is the same on every run.
func mixed(k int) uint64 {
	h := uint64(k) + 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// fill makes a map, sets the keys 0 … keys-1 and fails if a single call allocates too much.
func fill(t *testing.T, name string, keys int, create func() *hashmap.Map[int, int]) {
	t.Helper()
	// The runtime counts objects of more than 32 KiB at once and exactly. It counts smaller ones when a span of
	// them is used up, or all spans at the next collection. So there is no collection here, and what
	// they add up to has a wider limit: whatever touches all keys at once is beyond it by far.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	const limit, manySmall = 64 << 10, 512 << 10
	// Asking the runtime costs more than a Set. Each of the first calls is looked at alone; the later ones, in which
	// what is touched as a whole is larger, a few at a time, which may allocate the limit for each large object.
	const alone, few = 1 << 14, 32
	before := allocated()
	check := func(first, last int) {
		if metrics.Read(allocs[:1]); allocs[0].Value.Uint64() == before.all {
			return
		}
		now := allocated()
		large, all, most := now.large-before.large, now.all-before.all, uint64(limit)
		if first < last {
			most *= max(1, now.objects-before.objects)
		}
		if before = now; large > most || all > manySmall+most {
			t.Fatalf("%s: Set of key number %d, or one of the %d before it, allocates %d KiB, want at most %d",
				name, last+1, last-first, max(large, all)>>10, limit>>10)
		}
	}
	m := create()
	if now := allocated(); now.large-before.large > limit || now.all-before.all > manySmall {
		t.Fatalf("%s: making an empty map allocates %d KiB, want at most %d", name, (now.all-before.all)>>10, limit>>10)
	}
	for k := range keys {
		m.Set(k, -k)
		switch {
		case k < alone:
			check(k, k)
		case k%few == few-1:
			check(k-few+1, k)
		}
	}
	if m.Len() != keys {
		t.Fatalf("%s: after %d Sets, Len() = %d", name, keys, m.Len())
	}
	for k := 0; k < keys; k += 61 {
		if v, ok := m.Get(k); v != -k || !ok {
			t.Fatalf("%s: after %d Sets, Get(%d) = %d, %v, want %d, true", name, keys, k, v, ok, -k)
		}
	}
	if v, ok := m.Get(keys); ok {
		t.Fatalf("%s: after %d Sets, Get(%d) = %d, true, want false", name, keys, keys, v)
	}
}

// collect returns what All yields, each key once.
func collect(t *testing.T, name string, m *hashmap.Map[int, int]) map[int]int {
	t.Helper()
	seen := map[int]int{}
	for k, v := range m.All() {
		if _, twice := seen[k]; twice {
			t.Fatalf("%s: All() yields key %d twice", name, k)
		}
		seen[k] = v
	}
	return seen
}

// allocations are bytes allocated since the process began.
type allocations struct{ all, large, objects uint64 } // objects: how many large ones

var allocs = []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/allocs-by-size:bytes"}}

func allocated() allocations {
	metrics.Read(allocs)
	a := allocations{all: allocs[0].Value.Uint64()}
	a.large = a.all
	// All buckets but the last are size classes of small objects, from one byte to the class below up to their size.
	sizes := allocs[1].Value.Float64Histogram()
	a.objects = sizes.Counts[len(sizes.Counts)-1]
	for i, n := range sizes.Counts[:len(sizes.Counts)-1] {
		a.large -= n * uint64(sizes.Buckets[i+1]-1)
	}
	return a
}

// heap returns how many bytes are reachable.
func heap() int64 {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

// guard ends the process if what is done before the call of the function that it returns takes for ever or
// more than half a gigabyte: a map that loops or doubles without end cannot be stopped otherwise.
func guard(what string) (release func()) {
	const memory, patience = 512 << 20, 30 * time.Second
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		late := time.After(patience)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-late:
				panic(fmt.Sprintf("%s: not done after %v", what, patience))
			case <-tick.C:
				if metrics.Read(sample); sample[0].Value.Uint64() > memory {
					panic(fmt.Sprintf("%s: the heap has grown to %d MiB", what, sample[0].Value.Uint64()>>20))
				}
			}
		}
	}()
	return func() { close(done); <-stopped }
}
