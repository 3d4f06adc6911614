package hashmap_test

import (
	"testing"

	"github.com/roadkata/roadkata/stage1/collections/hashmap"
)

func TestExampleMap(t *testing.T) {
	m := hashmap.New[string, int]()
	m.Set("one", 1)
	m.Set("two", 2)
	m.Set("one", 11)

	if v, ok := m.Get("one"); v != 11 || !ok {
		t.Errorf(`after Set("one", 1) and Set("one", 11): Get("one") = %d, %v, want 11, true`, v, ok)
	}
	if !m.Delete("two") || m.Delete("two") {
		t.Errorf(`Delete("two") should return true the first time and false the second`)
	}
	if n := m.Len(); n != 1 {
		t.Errorf("Len() = %d, want 1", n)
	}
}

func TestExampleAll(t *testing.T) {
	m := hashmap.NewHash[int, int](func(k int) uint64 { return uint64(k % 10) })
	for k := range 100 {
		m.Set(k, k*k)
	}
	sum := 0
	for k, v := range m.All() {
		if v != k*k {
			t.Errorf("All() yields key %d with %d, want %d", k, v, k*k)
		}
		sum += k
		m.Delete(k)
	}
	if sum != 4950 || m.Len() != 0 {
		t.Errorf("a range that deletes what it sees: sum of keys %d, Len() after it %d, want 4950, 0", sum, m.Len())
	}
}
