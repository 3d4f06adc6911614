// The suite watches the array: whether a slice has moved, what was written beside it, and how much was copied.
//
//kata:level 1
//kata:minutes 25
//kata:engine real Go runtime
//kata:forbid builtin:append "slices" "bytes" "strings" "reflect" "unsafe"
package slicegrow_test

import (
	"runtime"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/roadkata/roadkata/stage1/collections/slicegrow"
)

// The result is s and then the values, of whatever length either is.
//
//kata:zh 结果是 s 之后接上 values，无论两者多长。
func TestContents(t *testing.T) {
	for held := range 20 {
		for room := range 5 {
			for added := range 60 {
				s, values := make([]int, held, held+room), make([]int, added)
				for i := range s {
					s[i] = i + 1
				}
				for i := range values {
					values[i] = -i - 1
				}
				want := append(slices.Clone(s), values...)
				if got := slicegrow.Append(s, values...); !slices.Equal(got, want) {
					t.Fatalf("Append(%v with room for %d, %v...)\n got %v\nwant %v", s, room, values, got, want)
				}
			}
		}
	}
	if got, want := slicegrow.Append(texts{"a"}, "b", "c"), (texts{"a", "b", "c"}); !slices.Equal(got, want) {
		t.Errorf(`Append(texts{"a"}, "b", "c") = %q, want %q`, got, want)
	}
}

// Where the capacity suffices, the values are written in place, nothing else is, and nothing is allocated.
//
//kata:zh 容量足够时就地写入 values，不动其他元素，也不分配内存。
func TestInPlace(t *testing.T) {
	for _, added := range []int{1, 2, 3, 4} {
		array := []int{1, 2, 3, 4, 5, 6, 7, 8}
		s := array[:2:6] // the last two belong to somebody else
		values := []int{-1, -2, -3, -4}[:added]
		got := slicegrow.Append(s, values...)
		if &got[0] != &array[0] || cap(got) != 6 {
			t.Fatalf("Append(s, %v...), s has room for 4: the result is in another array, or has another capacity (%d, want 6)", values, cap(got))
		}
		want := []int{1, 2, 3, 4, 5, 6, 7, 8}
		copy(want[2:], values)
		if !slices.Equal(array, want) {
			t.Fatalf("Append(array[:2:6], %v...): the array is\n     %v\nwant %v", values, array, want)
		}
		if n := allocations(0, func() { slicegrow.Append(s, values...) }); n > 0 {
			t.Fatalf("Append(s, %v...), s has room for 4: allocates %v times, want 0", values, n)
		}
	}
}

// Where the capacity does not suffice, the result has an array of its own, and the old one stays as it was.
//
//kata:zh 容量不足时，结果用自己的新数组，旧数组保持原样。
func TestNewArray(t *testing.T) {
	for room := range 4 {
		array := []int{1, 2, 3, 4, 5, 6, 7, 8}
		before := slices.Clone(array)
		s := array[: 2 : 2+room]
		got := slicegrow.Append(s, -1, -2, -3, -4)
		if !slices.Equal(array, before) {
			t.Fatalf("Append(s, -1, -2, -3, -4), s has room for %d: the old array became\n     %v\nwant %v", room, array, before)
		}
		got[0], got[1] = 100, 100
		if !slices.Equal(array, before) {
			t.Fatalf("Append(s, -1, -2, -3, -4), s has room for %d: the result is still in the old array", room)
		}
	}
}

// The result never shares the array of the values, unless that is the array of s.
//
//kata:zh 结果绝不与 values 共享底层数组，除非那就是 s 的数组。
func TestValuesStayApart(t *testing.T) {
	for name, s := range map[string][]int{"nil": nil, "[]int{}": {}, "[]int{1}": {1}} {
		values := []int{7, 8, 9}
		got := slicegrow.Append(s, values...)
		values[0] = 100
		if got[len(s)] != 7 {
			t.Errorf("got := Append(%s, values...): writing values[0] writes got[%d]", name, len(s))
		}
		got[len(got)-1] = 200
		if values[2] != 9 {
			t.Errorf("got := Append(%s, values...): writing got[%d] writes values[2]", name, len(got)-1)
		}
	}
}

// A slice can be appended to itself, whole or in part, with room and without.
//
//kata:zh 切片可以追加到自身，整段或部分，容量够不够都行。
func TestItself(t *testing.T) {
	for _, room := range []int{0, 3, 6, 20} {
		for from := range 7 {
			for to := from; to <= 6; to++ {
				for keep := range 7 {
					if grows := keep+to-from > 6+room; grows && keep < 6 {
						continue // what happens to s then is another promise
					}
					s := make([]int, 6, 6+room)
					copy(s, []int{1, 2, 3, 4, 5, 6})
					want := append(slices.Clone(s[:keep]), slices.Clone(s[from:to])...)
					if got := slicegrow.Append(s[:keep], s[from:to]...); !slices.Equal(got, want) {
						t.Fatalf("s = [1 2 3 4 5 6] with room for %d: Append(s[:%d], s[%d:%d]...) = %v, want %v", room, keep, from, to, got, want)
					}
				}
			}
		}
	}
}

// Appending n elements one by one copies at most 6n.
//
//kata:zh 逐个追加 n 个元素，复制的元素不超过 6n 个。
func TestAmortised(t *testing.T) {
	var s []int
	copied := 0
	for len(s) < 1_000_000 {
		n := len(s) + 1
		copied += n - 1 // s is full
		if s = slicegrow.Append(s, n); len(s) != n {
			t.Fatalf("Append(s, value) of a full slice of %d elements: length %d, want %d", n-1, len(s), n)
		}
		if copied > 6*n {
			t.Fatalf("%d calls of Append(s, value) have copied %d elements, want at most %d", n, copied, 6*n)
		}
		s = s[:cap(s)] // the calls for which there is room copy nothing: here they are skipped
	}
}

// The capacity is at most twice the length of the result, and 64 more.
//
//kata:zh 容量不超过结果长度的两倍加 64。
func TestCapacity(t *testing.T) {
	check := func(got []byte, held, added int) {
		t.Helper()
		if limit := 2*len(got) + 64; cap(got) > limit {
			t.Fatalf("Append to a full slice of %d elements, %d more: the capacity is %d, want at most %d", held, added, cap(got), limit)
		}
	}
	for _, held := range []int{0, 1, 2, 7, 31, 32, 33, 100, 255, 256, 257, 300, 511, 1000, 5000, 100_000} {
		for _, added := range []int{1, 2, 10, 1000} {
			check(slicegrow.Append(make([]byte, held), make([]byte, added)...), held, added)
		}
	}
	var s []byte
	for n := range 10_000 {
		s = slicegrow.Append(s, 1)
		check(s, n, 1)
	}
}

// One call grows once, however many values it adds.
//
//kata:zh 一次调用只增长一次，无论追加多少个值。
func TestOneGrowth(t *testing.T) {
	for _, held := range []int{0, 1, 100} {
		for _, added := range []int{1, 10, 1000, 100_000} {
			s, values := make([]int, held), make([]int, added)
			if n := allocations(1, func() { slicegrow.Append(s, values...) }); n > 1 {
				t.Fatalf("Append to a full slice of %d elements, %d more: allocates %v times, want once", held, added, n)
			}
		}
	}
}

// Without values s comes back as it is; a nil slice stays nil, and an empty one does not become nil.
//
//kata:zh 没有 values 时原样返回 s；nil 切片仍是 nil，空切片也不会变成 nil。
func TestNothing(t *testing.T) {
	if got := slicegrow.Append[[]int](nil); got != nil {
		t.Errorf("Append(nil) = %#v, want nil", got)
	}
	if got := slicegrow.Append[[]int](nil, []int{}...); got != nil {
		t.Errorf("Append(nil, []int{}...) = %#v, want nil", got)
	}
	if got := slicegrow.Append([]int{}); got == nil {
		t.Errorf("Append([]int{}) = nil, want []int{}")
	}
	s := make([]int, 3, 5)
	if got := slicegrow.Append(s); len(got) != 3 || cap(got) != 5 || &got[0] != &s[0] {
		t.Errorf("Append(s), s of length 3 and capacity 5: length %d, capacity %d, want s itself", len(got), cap(got))
	}
}

// allocations returns how often f allocates: the least of several measurements, or the first that is within limit.
// What is counted are the allocations of the whole process, those of the runtime too; they can only add to f's.
func allocations(limit float64, f func()) float64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection that starts in between brings goroutines of its own
	least := testing.AllocsPerRun(5, f)
	for try := 1; try < 10 && least > limit; try++ {
		runtime.GC() // whoever has just begun something, a collection or a finalizer, gets to its end
		least = min(least, testing.AllocsPerRun(5, f))
	}
	return least
}

// texts has a name, which Append keeps.
type texts []string
