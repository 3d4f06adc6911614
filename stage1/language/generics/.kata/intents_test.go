// The intents of generics.
//
//kata:level 2
//kata:minutes 40
//kata:engine real Go runtime
package generics_test

import (
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/roadkata/roadkata/stage1/language/generics"
)

// Each function yields the right values in the right order, and copes with empty sequences.
//
//kata:zh 每个函数都按正确的次序给出正确的值，空序列也不例外。
func TestValues(t *testing.T) {
	numbers := func(n int) iter.Seq[int] { return (&source{n: n}).seq() }

	expect(t, "Map([0 1 2], square)", generics.Map(numbers(3), func(v int) int { return v * v }), 0, 1, 4)
	expect(t, "Map([], square)", generics.Map(numbers(0), func(v int) int { return v * v }))
	expect(t, "Filter([0 1 2 3 4], odd)", generics.Filter(numbers(5), func(v int) bool { return v%2 == 1 }), 1, 3)
	expect(t, "Filter([0 1 2], none)", generics.Filter(numbers(3), func(int) bool { return false }))

	expect(t, "Chunk([0 1 2 3 4], 2)", generics.Chunk(numbers(5), 2), []int{0, 1}, []int{2, 3}, []int{4})
	expect(t, "Chunk([0 1 2 3], 2)", generics.Chunk(numbers(4), 2), []int{0, 1}, []int{2, 3})
	expect(t, "Chunk([0 1], 1)", generics.Chunk(numbers(2), 1), []int{0}, []int{1})
	expect(t, "Chunk([0 1], math.MaxInt)", generics.Chunk(numbers(2), math.MaxInt), []int{0, 1})
	expect(t, "Chunk([], 2)", generics.Chunk(numbers(0), 2))

	for _, c := range []struct{ a, b, want int }{{3, 3, 3}, {2, 4, 2}, {4, 2, 2}, {0, 2, 0}, {2, 0, 0}} {
		var want []string
		for i := range c.want {
			want = append(want, fmt.Sprint(i, "-", i))
		}
		expect(t, fmt.Sprintf("Zip(0 … of length %d, 0 … of length %d)", c.a, c.b), pairs(generics.Zip(numbers(c.a), numbers(c.b))), want...)
	}

	spell := func(s string, v int) string { return "(" + s + " " + strconv.Itoa(v) + ")" }
	for n, want := range []string{"init", "(init 0)", "((init 0) 1)", "(((init 0) 1) 2)"} {
		if got := generics.Reduce(numbers(n), "init", spell); got != want {
			t.Errorf(`Reduce(0 … of length %d, "init", spell) = %q, want %q`, n, got, want)
		}
	}

	words := []string{"bee", "ant", "ape", "bat", "ass", "cat"}
	got := generics.GroupBy(words, func(s string) string { return s[:1] })
	want := map[string][]string{"a": {"ant", "ape", "ass"}, "b": {"bee", "bat"}, "c": {"cat"}}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("GroupBy(%q, first letter) = %q, want %q", words, got, want)
	}
}

// Nothing happens before a value is asked for, and then only what this value needs.
//
//kata:zh 没人要值就什么也不做；有人要时，也只做这一个值所需要的事。
func TestLazy(t *testing.T) {
	for _, s := range stages {
		src := &source{n: 7}
		seq := s.of(src.seq())
		if src.ranged > 0 {
			t.Errorf("%s was called, nobody ranges over the result: its source is read already", s.name)
			continue
		}
		i := 0
		for range seq {
			if i < len(s.needs) && src.given != s.needs[i] {
				t.Errorf("%s: when value number %d arrives, %d values were taken from the source, want %d", s.name, i+1, src.given, s.needs[i])
				break
			}
			i++
		}
	}

	calls := 0
	for range generics.Filter((&source{n: 5}).seq(), func(v int) bool { calls++; return v < 3 }) {
	}
	if calls != 5 {
		t.Errorf("Filter(5 values, keep) calls keep %d times, want once a value", calls)
	}
	calls = 0
	for range generics.Map((&source{n: 5}).seq(), func(v int) int { calls++; return v }) {
	}
	if calls != 5 {
		t.Errorf("Map(5 values, f) calls f %d times, want once a value", calls)
	}

	long := &source{n: 7}
	for range generics.Zip((&source{n: 2}).seq(), long.seq()) {
	}
	if long.given != 2 {
		t.Errorf("Zip(a, b), where a has 2 values and b 7: %d were taken from b, want 2, for a is asked first", long.given)
	}
	long = &source{n: 7}
	for range generics.Zip(long.seq(), (&source{n: 2}).seq()) {
	}
	if long.given != 3 {
		t.Errorf("Zip(a, b), where a has 7 values and b 2: %d were taken from a, want 3, for a is asked first", long.given)
	}
}

// A break ends it all: no value comes any more, and the source has run its deferred calls.
//
//kata:zh break 结束一切：不再给出任何值，数据源也已执行完它的 defer。
func TestBreak(t *testing.T) {
	for _, s := range stages {
		if strings.HasPrefix(s.name, "Zip") {
			continue // see TestZipStopsBoth
		}
		for n := 1; n <= 3; n++ {
			src := &source{n: 7}
			got, late := 0, 0
			s.of(src.seq())(func(string) bool {
				if got == n {
					late++
					return false
				}
				got++
				return got < n
			})
			if got != n {
				continue // so many values there are not
			}
			if late > 0 {
				t.Errorf("the loop over %s ended with value number %d, and was given %d more", s.name, n, late)
			}
			if src.given == src.n && s.needs[n-1] < src.n {
				t.Errorf("the loop over %s ended with value number %d, and the source was read to its end", s.name, n)
			}
			if src.released != 1 {
				t.Errorf("the loop over %s ended with value number %d, and the source was released %d times, want once", s.name, n, src.released)
			}
		}
	}
}

// Zip releases both sources before the loop ends, whoever ends it: a source, a break or a panic.
//
//kata:zh Zip 在循环结束前释放两个数据源，无论循环因谁结束：某个源、break 或 panic。
func TestZipStopsBoth(t *testing.T) {
	for _, c := range []struct {
		end  string
		a, b int
		body func(i int) bool
	}{
		{"a ends first", 2, 7, func(int) bool { return true }},
		{"b ends first", 7, 2, func(int) bool { return true }},
		{"both end", 2, 2, func(int) bool { return true }},
		{"the body breaks", 7, 7, func(i int) bool { return i < 2 }},
		{"the body panics", 7, 7, func(i int) bool {
			if i == 2 {
				panic("in the body")
			}
			return true
		}},
	} {
		a, b := &source{n: c.a}, &source{n: c.b}
		func() {
			defer func() {
				if v := recover(); v != nil && v != "in the body" {
					panic(v)
				}
			}()
			i := 0
			for range generics.Zip(a.seq(), b.seq()) {
				if !c.body(i) {
					break
				}
				i++
			}
		}()
		if a.released != 1 || b.released != 1 {
			t.Errorf("a loop over Zip(a, b), where %s: a was released %d times, b %d times; want once each", c.end, a.released, b.released)
		}
	}
}

// Each chunk is the receiver's own: it may be kept, changed and appended to.
//
//kata:zh 每个分块都归接收者所有：可以留存、修改、追加，互不影响。
func TestChunksApart(t *testing.T) {
	var kept [][]int
	for chunk := range generics.Chunk((&source{n: 5}).seq(), 2) {
		kept = append(kept, chunk)
	}
	if got, want := fmt.Sprint(kept), "[[0 1] [2 3] [4]]"; got != want {
		t.Fatalf("the chunks of Chunk([0 1 2 3 4], 2), kept until after the loop, are %v, want %v", got, want)
	}
	_ = append(kept[0], 100)
	kept[1][1] = 200
	if got, want := fmt.Sprint(kept), "[[0 1] [2 200] [4]]"; got != want {
		t.Errorf("chunks [[0 1] [2 3] [4]] after append(first, 100) and second[1] = 200: %v, want %v", got, want)
	}

	kept = nil
	for chunk := range generics.Chunk((&source{n: 5}).seq(), 2) {
		_ = append(chunk, 100, 101)
		clear(chunk)
		kept = append(kept, slices.Clone(chunk))
	}
	if got, want := fmt.Sprint(kept), "[[0 0] [0 0] [0]]"; got != want {
		t.Errorf("the body appends to each chunk of Chunk([0 1 2 3 4], 2) and clears it: got %v, want %v", got, want)
	}
}

// GroupBy keeps the type of the caller's slice, with its methods.
//
//kata:zh GroupBy 保留调用方的切片类型及其方法。
func TestNamedSlice(t *testing.T) {
	groups := generics.GroupBy(lines{"ant", "ape", "bee"}, func(s string) byte { return s[0] })
	got, ok := any(groups).(map[byte]lines)
	if !ok {
		t.Fatalf("type lines []string; GroupBy(lines{…}, first letter) is a %T, want a map[uint8]lines", groups)
	}
	if got := got['a'].join(); got != "ant+ape" {
		t.Errorf("GroupBy(lines{ant ape bee}, first letter)['a'].join() = %q, want %q", got, "ant+ape")
	}
}

// Groups share no memory, neither with the input nor with each other, and the map is never nil.
//
//kata:zh 各组既不与输入共享底层数组，也不互相共享；返回的 map 绝不为 nil。
func TestGroupsApart(t *testing.T) {
	letter := func(s string) string { return s[:1] }
	in := []string{"ant", "bee", "ape", "bat", "cat"} // c is a group of one
	before := slices.Clone(in)
	groups := generics.GroupBy(in, letter)
	for _, g := range groups {
		_ = append(g, "appended", "appended")
	}
	want := map[string][]string{"a": {"ant", "ape"}, "b": {"bee", "bat"}, "c": {"cat"}}
	if !maps.EqualFunc(groups, want, slices.Equal) || !slices.Equal(in, before) {
		t.Errorf("groups of %q after something was appended to each: %q, and the input is %q; want %q, and the input as it was", before, groups, in, want)
	}
	for _, g := range groups {
		clear(g)
	}
	if !slices.Equal(in, before) {
		t.Errorf("the groups of %q were cleared, and the input is %q, want it as it was", before, in)
	}

	for _, in := range [][]string{nil, {}} {
		if got := generics.GroupBy(in, letter); got == nil || len(got) > 0 {
			t.Errorf("GroupBy(%#v, first letter) = %#v, want an empty map that is not nil", in, got)
		}
	}
}

// A result may be ranged over again, and each loop begins anew, also after a break.
//
//kata:zh 结果可以反复遍历，每次都从头开始，break 之后也一样。
func TestRangedAgain(t *testing.T) {
	for _, s := range stages {
		seq := s.of((&source{n: 7}).seq())
		first := slices.Collect(seq)
		for range seq {
			break
		}
		if again := slices.Collect(seq); !slices.Equal(again, first) {
			t.Errorf("%s, ranged over, then again with a break, then again: first %q, at last %q", s.name, first, again)
		}
	}
}

// A chunk size less than 1 panics where Chunk is called, not where somebody ranges.
//
//kata:zh 分块大小小于 1 时，在调用 Chunk 处就 panic，而不是等到遍历时。
func TestChunkSize(t *testing.T) {
	for _, n := range []int{0, -1, math.MinInt} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Chunk(seq, %d) did not panic", n)
				}
			}()
			generics.Chunk((&source{n: 2}).seq(), n)
		}()
	}
	generics.Chunk((&source{n: 2}).seq(), 1) // is no mistake
}

// stages are the functions over a source of 0, 1, 2 …; needs says how many of its
// values are needed for the first result, the second and so on.
var stages = []struct {
	name  string
	of    func(iter.Seq[int]) iter.Seq[string]
	needs []int
}{
	{"Map(source, f)", func(s iter.Seq[int]) iter.Seq[string] {
		return generics.Map(s, strconv.Itoa)
	}, []int{1, 2, 3, 4, 5, 6, 7}},
	{"Filter(source, even)", func(s iter.Seq[int]) iter.Seq[string] {
		return printed(generics.Filter(s, func(v int) bool { return v%2 == 0 }))
	}, []int{1, 3, 5, 7}},
	{"Chunk(source, 3)", func(s iter.Seq[int]) iter.Seq[string] {
		return printed(generics.Chunk(s, 3))
	}, []int{3, 6, 7}},
	{"Zip(source, numbers)", func(s iter.Seq[int]) iter.Seq[string] {
		return pairs(generics.Zip(s, (&source{n: 9}).seq()))
	}, []int{1, 2, 3, 4, 5, 6, 7}},
	{"Zip(numbers, source)", func(s iter.Seq[int]) iter.Seq[string] {
		return pairs(generics.Zip((&source{n: 9}).seq(), s))
	}, []int{1, 2, 3, 4, 5, 6, 7}},
}

// A source has the values 0, 1, 2 … n-1 and keeps account of what happens to it.
type source struct {
	n                       int
	ranged, given, released int
}

func (s *source) seq() iter.Seq[int] {
	return func(yield func(int) bool) {
		s.ranged++
		defer func() { s.released++ }()
		for i := range s.n {
			s.given++
			if !yield(i) {
				return
			}
		}
	}
}

type lines []string

func (l lines) join() string { return strings.Join(l, "+") }

// printed is the sequence of the values of seq as text.
func printed[T any](seq iter.Seq[T]) iter.Seq[string] {
	return func(yield func(string) bool) {
		seq(func(v T) bool { return yield(fmt.Sprint(v)) })
	}
}

func pairs[A, B any](seq iter.Seq2[A, B]) iter.Seq[string] {
	return func(yield func(string) bool) {
		seq(func(a A, b B) bool { return yield(fmt.Sprint(a, "-", b)) })
	}
}

// expect compares the values of seq with want. It takes few more than are wanted.
func expect[T any](t *testing.T, call string, seq iter.Seq[T], want ...T) {
	t.Helper()
	got := []T{}
	for v := range seq {
		got = append(got, v)
		if len(got) > len(want)+3 {
			break
		}
	}
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s yields %s, want %s", call, g, w)
	}
}
