package shardedmap_test

import (
	"fmt"
	"hash/maphash"
	"testing"

	"github.com/roadkata/roadkata/stage1/collections/shardedmap"
)

func ExampleMap_LoadOrCompute() {
	seed := maphash.MakeSeed()
	m := shardedmap.New[string, int](8, func(s string) uint64 { return maphash.String(seed, s) })

	fmt.Println(m.LoadOrCompute("gopher", func() int { return len("gopher") }))
	fmt.Println(m.LoadOrCompute("gopher", func() int { panic("not called: the value is there") }))
	// Output:
	// 6 false
	// 6 true
}

func TestExampleRangeDeletes(t *testing.T) {
	m := shardedmap.New[int, string](4, func(k int) uint64 { return uint64(k) })
	m.Store(1, "one")
	m.Store(2, "two")
	m.Store(3, "three")
	m.Range(func(k int, _ string) bool {
		if k%2 == 1 {
			m.Delete(k)
		}
		return true
	})
	if v, ok := m.Load(2); m.Len() != 1 || v != "two" || !ok {
		t.Errorf("after a Range that deletes odd keys: Len() = %d, Load(2) = %q, %v; want 1, \"two\", true", m.Len(), v, ok)
	}
}
