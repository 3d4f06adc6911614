// Every slice that is passed lies in the middle of a larger array, so that whatever is written beside it shows.
//
//kata:level 2
//kata:minutes 30
//kata:engine real Go runtime
//kata:forbid "slices" "reflect" "unsafe"
package aliasing_test

import (
	"fmt"
	"math"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage1/collections/aliasing"
)

// The results have the right elements, in the right order.
//
//kata:zh 结果的元素和顺序正确。
func TestElements(t *testing.T) {
	for n := range 8 {
		s := numbers(n)
		for i := range n + 1 {
			for _, values := range [][]int{nil, {70}, {70, 80, 90}} {
				want := slices.Concat(s[:i], values, s[i:])
				expect(t, fmt.Sprintf("Insert(%v, %d, %v...)", s, i, values), aliasing.Insert(slices.Clone(s), i, values...), want)
			}
			for j := i; j <= n; j++ {
				want := slices.Concat(s[:i], s[j:])
				expect(t, fmt.Sprintf("Delete(%v, %d, %d)", s, i, j), aliasing.Delete(slices.Clone(s), i, j), want)
			}
		}
		for size := 1; size < 10; size++ {
			got, want := aliasing.Chunk(slices.Clone(s), size), slices.Collect(slices.Chunk(s, size))
			if !slices.EqualFunc(got, want, slices.Equal) {
				t.Fatalf("Chunk(%v, %d)\n got %v\nwant %v", s, size, got, want)
			}
		}
	}
	s := numbers(5)
	want := slices.Concat(s[:2], s, s[2:])
	expect(t, fmt.Sprintf("Insert(s, 2, s...), s = %v", s), aliasing.Insert(slices.Clone(s), 2, s...), want)
	for _, s := range [][]int{nil, {}, {1}, {1, 1}, {1, 2}, {1, 1, 1}, {1, 2, 1, 2}, {1, 1, 2, 2, 2, 3, 1, 1}, {0, 0, 1, 0}, {2, 1, 1, 2, 2, 1}} {
		expect(t, fmt.Sprintf("Dedup(%v)", s), aliasing.Dedup(slices.Clone(s)), slices.Compact(slices.Clone(s)))
	}
	if got := aliasing.Dedup([]float64{math.NaN(), math.NaN(), 0, math.Copysign(0, -1)}); len(got) != 3 {
		t.Fatalf("Dedup([NaN NaN 0 -0]) = %v, want [NaN NaN 0]: a NaN equals nothing, and 0 equals -0", got)
	}
	type names []string
	var _ []names = aliasing.Chunk(aliasing.Dedup(aliasing.Delete(aliasing.Insert(names{"a"}, 0, "b"), 0, 1)), 1)
}

// Insert leaves the caller's array as it is, and shares nothing with s or the values.
//
//kata:zh Insert 不改动调用者的数组，也不与 s 或 values 共享底层数组。
func TestInsertStaysApart(t *testing.T) {
	for i := range 5 {
		for n := range 4 {
			array := numbers(12)
			s, values := array[2:6], array[7:7+n:10]
			got := aliasing.Insert(s, i, values...)
			if !slices.Equal(array, numbers(12)) {
				t.Fatalf("Insert(array[2:6], %d, array[7:%d]...): the array became\n     %v\nwant %v", i, 7+n, array, numbers(12))
			}
			for k := range got {
				got[k] = -1
			}
			if !slices.Equal(array, numbers(12)) {
				t.Fatalf("Insert(array[2:6], %d, array[7:%d]...): writing the result makes the array %v", i, 7+n, array)
			}
		}
	}
	values := []int{1, 2, 3}
	got := aliasing.Insert([]int(nil), 0, values...)
	if got[0] = -1; values[0] != 1 {
		t.Fatalf("Insert(nil, 0, values...): writing the result makes values %v", values)
	}
}

// Insert allocates once.
//
//kata:zh Insert 只分配一次。
func TestInsertAllocatesOnce(t *testing.T) {
	for _, n := range []int{1, 10, 1000} {
		s, values := make([]int, n, 2*n), make([]int, n)
		if got := testing.AllocsPerRun(10, func() { aliasing.Insert(s, n/2, values...) }); got > 1 {
			t.Fatalf("Insert of %d values into %d elements allocates %v times, want once", n, n, got)
		}
	}
}

// Delete and Dedup work in place and allocate nothing.
//
//kata:zh Delete 和 Dedup 就地完成，不分配内存。
func TestInPlace(t *testing.T) {
	array := []int{1, 1, 2, 2, 3, 3}
	if got := aliasing.Delete(array[1:5], 1, 2); &got[0] != &array[1] {
		t.Errorf("Delete(array[1:5], 1, 2) is not in the array that it was given")
	}
	if got := aliasing.Dedup(array[1:5]); &got[0] != &array[1] {
		t.Errorf("Dedup(array[1:5]) is not in the array that it was given")
	}
	s := make([]int, 1000)
	for call, run := range map[string]func(){
		"Delete(s, 10, 20)":  func() { aliasing.Delete(s, 10, 20) },
		"Delete(s, 10, 990)": func() { aliasing.Delete(s, 10, 990) },
		"Dedup(s)": func() {
			for i := range s {
				s[i] = i / 3
			}
			aliasing.Dedup(s)
		},
	} {
		if n := testing.AllocsPerRun(10, run); n != 0 {
			t.Errorf("%s, s of 1000 elements, allocates %v times, want 0", call, n)
		}
	}
}

// What Delete and Dedup drop at the end is zeroed, so that nothing is kept alive.
//
//kata:zh Delete 和 Dedup 把末尾腾出的元素清零，不让它们继续存活。
func TestTailZeroed(t *testing.T) {
	a, b := new(int), new(int)
	for _, c := range []struct {
		call string
		s    []*int
		run  func(s []*int) []*int
	}{
		{"Delete(s, 0, 1)", []*int{a, b, a, b}, func(s []*int) []*int { return aliasing.Delete(s, 0, 1) }},
		{"Delete(s, 1, 3)", []*int{a, b, a, b}, func(s []*int) []*int { return aliasing.Delete(s, 1, 3) }},
		{"Delete(s, 2, 4)", []*int{a, b, a, b}, func(s []*int) []*int { return aliasing.Delete(s, 2, 4) }},
		{"Delete(s, 0, 4)", []*int{a, b, a, b}, func(s []*int) []*int { return aliasing.Delete(s, 0, 4) }},
		{"Dedup(s), s = [a a b b]", []*int{a, a, b, b}, aliasing.Dedup[[]*int]},
		{"Dedup(s), s = [a b b a]", []*int{a, b, b, a}, aliasing.Dedup[[]*int]},
	} {
		got := c.run(c.s)
		for i := len(got); i < len(c.s); i++ {
			if c.s[i] != nil {
				t.Errorf("%s returns %d elements; s[%d] still holds a pointer, want nil", c.call, len(got), i)
				break
			}
		}
	}
}

// Nothing outside s[:len(s)] is touched: what lies beyond, in the same array, may be somebody else's.
//
//kata:zh 不触碰 s[:len(s)] 之外的元素：同一底层数组里其余的部分可能属于别人。
func TestNeighbours(t *testing.T) {
	for call, run := range map[string]func(s []int){
		"Delete(s, 0, 2)": func(s []int) { aliasing.Delete(s, 0, 2) },
		"Delete(s, 1, 4)": func(s []int) { aliasing.Delete(s, 1, 4) },
		"Delete(s, 4, 4)": func(s []int) { aliasing.Delete(s, 4, 4) },
		"Dedup(s)":        func(s []int) { aliasing.Dedup(s) },
		"Chunk(s, 3)":     func(s []int) { aliasing.Chunk(s, 3) },
	} {
		array := []int{1, 2, 7, 7, 7, 7, 3, 4, 5, 6}
		run(array[2:6])
		got := slices.Concat(array[:2], array[6:])
		if want := []int{1, 2, 3, 4, 5, 6}; !slices.Equal(got, want) {
			t.Errorf("s = array[2:6]; %s: the array around s is %v, want %v", call, got, want)
		}
	}
}

// Every result has as much capacity as elements: an append to it writes into nobody's array.
//
//kata:zh 所有结果的容量都等于长度：对结果 append 不会写进别人的数组。
func TestClipped(t *testing.T) {
	clipped := func(call string, got []int) {
		t.Helper()
		if cap(got) != len(got) {
			t.Errorf("%s, s with room for more: the result has length %d and capacity %d, want both the same", call, len(got), cap(got))
		}
	}
	s := func() []int { return numbers(20)[:7] }
	clipped("Insert(s, 2, 1)", aliasing.Insert(s(), 2, 1))
	clipped("Insert(s, 2, 1, 2, 3, 4)", aliasing.Insert(s(), 2, 1, 2, 3, 4))
	clipped("Insert(s, 2)", aliasing.Insert(s(), 2))
	clipped("Delete(s, 1, 3)", aliasing.Delete(s(), 1, 3))
	clipped("Delete(s, 0, 7)", aliasing.Delete(s(), 0, 7))
	clipped("Delete(s, 3, 3)", aliasing.Delete(s(), 3, 3))
	clipped("Dedup(s)", aliasing.Dedup([]int{1, 1, 2, 3, 3, 4}[:5]))
	clipped("Dedup(s), nothing to remove", aliasing.Dedup(s()))
	for _, n := range []int{2, 7, 10} {
		for i, piece := range aliasing.Chunk(s(), n) {
			clipped(fmt.Sprintf("piece %d of Chunk(s, %d)", i, n), piece)
		}
	}
}

// The pieces of Chunk are views of s; nothing is allocated but the list of them.
//
//kata:zh Chunk 的各段是 s 的视图；除段的列表外不分配内存。
func TestChunkViews(t *testing.T) {
	for _, n := range []int{1, 3, 10, 100} {
		s := numbers(10)
		at := 0
		for _, piece := range aliasing.Chunk(s, n) {
			if &piece[0] != &s[at] {
				t.Fatalf("Chunk(s, %d): the piece that begins with s[%d] is not in the array of s", n, at)
			}
			at += len(piece)
		}
	}
	s := numbers(1000)
	for _, n := range []int{1, 7, 1000, math.MaxInt} {
		if got := testing.AllocsPerRun(10, func() { aliasing.Chunk(s, n) }); got > 1 {
			t.Errorf("Chunk of 1000 elements in pieces of %d allocates %v times, want once", n, got)
		}
	}
}

// Indices and sizes out of range panic before anything is changed.
//
//kata:zh 下标或大小越界时 panic，且在此之前不做任何改动。
func TestPanics(t *testing.T) {
	// Just within the range, nothing panics.
	aliasing.Insert(numbers(4), 0, 9)
	aliasing.Insert(numbers(4), 4, 9)
	aliasing.Delete(numbers(4), 0, 4)
	aliasing.Delete(numbers(4), 4, 4)
	aliasing.Dedup([]int(nil))
	aliasing.Chunk(numbers(4), 1)
	aliasing.Chunk([]int(nil), 1)
	for _, c := range []struct {
		call string
		run  func(s []int)
	}{
		{"Insert(s, -1, 9)", func(s []int) { aliasing.Insert(s, -1, 9) }},
		{"Insert(s, 5, 9)", func(s []int) { aliasing.Insert(s, 5, 9) }},
		{"Insert(s, 5)", func(s []int) { aliasing.Insert(s, 5) }},
		{"Delete(s, -1, 2)", func(s []int) { aliasing.Delete(s, -1, 2) }},
		{"Delete(s, 1, 5)", func(s []int) { aliasing.Delete(s, 1, 5) }},
		{"Delete(s, 5, 5)", func(s []int) { aliasing.Delete(s, 5, 5) }},
		{"Delete(s, 3, 1)", func(s []int) { aliasing.Delete(s, 3, 1) }},
		{"Chunk(s, 0)", func(s []int) { aliasing.Chunk(s, 0) }},
		{"Chunk(s, -2)", func(s []int) { aliasing.Chunk(s, -2) }},
		{"Chunk(s[:0], 0)", func(s []int) { aliasing.Chunk(s[:0], 0) }},
	} {
		array := numbers(10)
		if !panics(c.call, func() { c.run(array[2:6]) }) {
			t.Errorf("%s, s of 4 elements with room for 4 more, does not panic", c.call)
		}
		if !slices.Equal(array, numbers(10)) {
			t.Errorf("s = array[2:6]; %s is out of range, and changes the array to %v, want %v", c.call, array, numbers(10))
		}
	}
}

// numbers returns 1 … n.
func numbers(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i + 1
	}
	return s
}

func expect(t *testing.T, call string, got, want []int) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s\n got %v\nwant %v", call, got, want)
	}
}

// panics calls f. It ends the process if f runs on without end, as a loop that never gets further may.
func panics(call string, f func()) (panicked bool) {
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		late := time.After(10 * time.Second)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		memory := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for {
			select {
			case <-done:
				return
			case <-late:
				panic(call + " neither returns nor panics")
			case <-tick.C:
				if metrics.Read(memory); memory[0].Value.Uint64() > 256<<20 {
					panic(call + " allocates without end")
				}
			}
		}
	}()
	defer func() {
		panicked = recover() != nil
		close(done)
		<-stopped
	}()
	f()
	return false
}
