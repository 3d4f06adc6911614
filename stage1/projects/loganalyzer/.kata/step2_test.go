// Count.
//
//kata:zh 计数
package main_test

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
)

// Lines and bytes are counted by class of status, and bad lines apart.
//
//kata:zh 按状态码类别统计行数和字节数，坏行单独计数。
func TestCountsByClass(t *testing.T) {
	var log strings.Builder
	for _, tc := range []struct{ status, bytes, n int }{{200, 5_000_000_000, 3}, {204, 0, 1}, {301, 100, 2}, {503, 7, 1}, {404, 1, 1}, {101, 5, 1}} {
		for range tc.n {
			fmt.Fprintf(&log, "h - - [10/Oct/2025:13:55:36 +0000] \"GET / HTTP/1.1\" %d %d\n", tc.status, tc.bytes)
		}
	}
	log.WriteString("bad\n\nworse\n")
	for _, tc := range []struct {
		what, stdin string
		want        [][]any
	}{
		{"200 ×3, 204, 301 ×2, 503, 404, 101 and two bad lines", log.String(), [][]any{
			{"1xx", 1.0, 5.0}, {"2xx", 4.0, 15e9}, {"3xx", 2.0, 200.0}, {"4xx", 1.0, 1.0}, {"5xx", 1.0, 7.0}, {"all", 9.0, 15e9 + 213}, {"bad", 2.0, 0.0},
		}},
		{"nothing", "", [][]any{{"all", 0.0, 0.0}, {"bad", 0.0, 0.0}}},
	} {
		if got := rows(t, "class count bytes", tc.stdin, "count"); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("count of %s =\n    %v, want\n    %v", tc.what, got, tc.want)
		}
	}
}

// The most frequent values come first, and those of equal count in the order of their bytes.
//
//kata:zh 出现最多的值排在最前；次数相同则按字节序排列。
func TestListsTheTop(t *testing.T) {
	var log strings.Builder
	for i := range 30 { // /a00 once … /a14 fifteen times, and /b15 … /b29 five times
		n, path := i+1, fmt.Sprintf("/a%02d?q=%d", i, i)
		if i >= 15 {
			n, path = 5, fmt.Sprintf("/b%02d", i)
		}
		for j := range n {
			fmt.Fprintf(&log, "10.0.0.%d - - [10/Oct/2025:13:55:36 +0000] \"%s %s HTTP/1.1\" %d 1\n", j, []string{"PUT", "GET"}[i%2], path, 200+i/15)
		}
	}
	log.WriteString("bad\n")
	for _, tc := range []struct {
		args string
		want string
	}{
		{"top", "[/a14 15] [/a13 14] [/a12 13] [/a11 12] [/a10 11] [/a09 10] [/a08 9] [/a07 8] [/a06 7] [/a05 6]"},
		{"top -k 13 --by path", "[/a14 15] [/a13 14] [/a12 13] [/a11 12] [/a10 11] [/a09 10] [/a08 9] [/a07 8] [/a06 7] [/a05 6] [/a04 5] [/b15 5] [/b16 5]"},
		{"top --by method -k 1", "[PUT 99]"},
		{"top --by status -k 1000", "[200 120] [201 75]"},
		{"top --by host -k 6", "[10.0.0.0 30] [10.0.0.1 29] [10.0.0.2 28] [10.0.0.3 27] [10.0.0.4 26] [10.0.0.5 10]"},
	} {
		got := strings.Trim(fmt.Sprint(rows(t, "value count", log.String(), strings.Fields(tc.args)...)), "[]")
		if want := strings.Trim(tc.want, "[]"); got != want {
			t.Errorf("%s =\n    [%s], want\n    [%s]", tc.args, got, want)
		}
	}
}

// What top remembers is the values, not the lines that they came from, nor how many there were.
//
//kata:zh top 只记住各个不同的值，不记住它们所在的行，也不随行数增长。
func TestTopKeepsOnlyTheValues(t *testing.T) {
	const values, length, again = 55, 200_000, 100_000
	agent := strings.Repeat("A", length)
	pages := func(from, to int) func(io.Writer) {
		return func(w io.Writer) {
			for i := from; i < to; i++ {
				before, after, _ := strings.Cut(combined(fmt.Sprintf("/page/%04d", i), "\n"), "\n")
				io.WriteString(w, before)
				io.WriteString(w, agent)
				io.WriteString(w, after+"\n")
			}
		}
	}
	rest := func(w io.Writer) {
		pages(20, values)(w)
		often := "h - - [10/Oct/2025:13:55:36 +0000] \"GET /" + strings.Repeat("often", 12) + " HTTP/1.1\" 200 1\n"
		for range again / 1000 {
			io.WriteString(w, strings.Repeat(often, 1000))
		}
	}
	stdout, memory := feed(t, pages(0, 20), rest, "top", "-o", "json", "-k", "100")
	if n := strings.Count(stdout, "/page/"); n != values {
		t.Errorf("top -k 100 of %d values lists %d of them", values, n)
	}
	if !strings.Contains(stdout, fmt.Sprint(again)) {
		t.Errorf("top of one value %d times and %d others does not say so", again, values)
	}
	memory.check(t, fmt.Sprintf("top, reading %d short values in lines of 200 kB and one value %d times,", values, again))
}
