// The intents of hello.
//
//kata:level 1
//kata:minutes 10
//kata:engine real Go runtime
package hello_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/roadkata/roadkata/stage1/language/hello"
)

// Every occurrence of a word counts, within a line and across lines.
//
//kata:zh 每次出现都计数：同一行之内和各行之间都要累加。
func TestCounts(t *testing.T) {
	expect(t, []string{"no, no, no", "yes", "yes and no"}, "no 4", "yes 2", "and 1")
}

// "Go", "go" and "GO" are one word, reported in lower case, in every alphabet.
//
//kata:zh “Go”“go”“GO” 是同一个词，以小写给出；任何字母文字都如此。
func TestIgnoresCase(t *testing.T) {
	expect(t, []string{"Go", "go", "GO"}, "go 3")
	expect(t, []string{"ÜBER", "über", "Über"}, "über 3")
	expect(t, []string{"ЖУК", "жук"}, "жук 2")
	expect(t, []string{"ΟΔΟΣ", "οδοσ", "οδος"}, "οδοσ 2", "οδος 1") // both sigmas are lower case already
}

// Letters, marks and digits of every script make words, and nothing else does.
//
//kata:zh 任何文字的字母、组合记号和数字都构成词，其余字符都不是词的一部分。
func TestUnicodeWords(t *testing.T) {
	expect(t, []string{"größe"}, "größe 1")
	expect(t, []string{"go1 go2"}, "go1 1", "go2 1")
	expect(t, []string{"世界，你好。"}, "世界 1", "你好 1")
	expect(t, []string{"हिन्दी"}, "हिन्दी 1") // carries nonspacing and spacing marks
	expect(t, []string{"२०२६"}, "२०२६ 1")
	expect(t, []string{"cafe\u0301"}, "cafe\u0301 1")
	expect(t, []string{"m²"}, "m 1") // a number, yet not a digit
	expect(t, []string{"a_b-c/d'e\u00a0f…g"}, "a 1", "b 1", "c 1", "d 1", "e 1", "f 1", "g 1")
}

// The most frequent word comes first, ties are in ascending order: the same on every run.
//
//kata:zh 出现最多的词在最前，次数相同的按升序排列：每次运行结果都一样。
func TestOrder(t *testing.T) {
	expect(t, []string{"zoo", "ant", "zoo"}, "zoo 2", "ant 1")
	expect(t, append(slices.Repeat([]string{"a"}, 10), "b", "b"), "a 10", "b 2")
	expect(t, []string{"öl zebra ab a zeb"}, "a 1", "ab 1", "zeb 1", "zebra 1", "öl 1")

	// Twelve ties: a map's random order does not hit upon the right one.
	expect(t, []string{"l k j i h g f e d c b a"},
		"a 1", "b 1", "c 1", "d 1", "e 1", "f 1", "g 1", "h 1", "i 1", "j 1", "k 1", "l 1")
}

// Without words the result is empty and not nil, and the empty word is none.
//
//kata:zh 没有词时，结果为空但不是 nil；空串不算词。
func TestEmptyInput(t *testing.T) {
	for _, lines := range [][]string{nil, {}, {""}, {"", "  \t", "—!?"}} {
		got := hello.Frequencies(lines)
		if len(got) != 0 || got == nil {
			t.Errorf("Frequencies(%#v) = %#v, want an empty slice that is not nil", lines, got)
		}
	}
	expect(t, []string{"", "  around  spaces  ", ""}, "around 1", "spaces 1")
}

// Neither the caller's slice nor the array behind it is changed.
//
//kata:zh 调用方的切片及其底层数组都不会被改动。
func TestInputUntouched(t *testing.T) {
	page := []string{"Two b two", "A", "the next page"}
	before := slices.Clone(page)
	hello.Frequencies(page[:2]) // the capacity still reaches the third line
	if !slices.Equal(page, before) {
		t.Errorf("page = %q; after Frequencies(page[:2]) it is %q, want it unchanged", before, page)
	}
}

// expect compares the counts of lines with want, each written as "word n".
func expect(t *testing.T, lines []string, want ...string) {
	t.Helper()
	got := []string{}
	for _, c := range hello.Frequencies(lines) {
		got = append(got, fmt.Sprintf("%s %d", c.Word, c.N))
	}
	if !slices.Equal(got, want) {
		t.Errorf("Frequencies(%q) = %q, want %q", lines, got, want)
	}
}
