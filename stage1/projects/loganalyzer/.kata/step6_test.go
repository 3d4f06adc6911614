// Output.
//
//kata:zh 输出
package main_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// A table has one line of headings and aligned columns; it is the default.
//
//kata:zh 表格有一行表头，各列对齐；默认输出即为表格。
func TestPrintsATable(t *testing.T) {
	log := strings.Repeat(line("/a/much/longer/path")+"\n", 12) + strings.Repeat(line("/b")+"\n", 3) + line("/文档/日志") + "\n"
	for _, args := range [][]string{{"top"}, {"top", "--output=table"}} {
		got := run(t, log, args...)
		lines := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
		want := [][]string{{"VALUE", "COUNT"}, {"/a/much/longer/path", "12"}, {"/b", "3"}, {"/文档/日志", "1"}}
		if len(lines) != len(want) {
			t.Errorf("%s printed %s, want %d lines", commandLine(args), got, len(want))
			continue
		}
		starts, ends := map[int]bool{}, map[int]bool{}
		for i, text := range lines {
			if fields := strings.Fields(text); !slices.Equal(fields, want[i]) {
				t.Errorf("%s, line %d: %q, want the columns %q", commandLine(args), i+1, text, want[i])
				continue
			}
			at := strings.LastIndex(text, want[i][1])
			starts[utf8.RuneCountInString(text[:at])] = true
			ends[utf8.RuneCountInString(text[:at]+want[i][1])] = true
			if !strings.HasSuffix(text[:at], "  ") {
				t.Errorf("%s, line %d: %q, want two spaces between columns", commandLine(args), i+1, text)
			}
		}
		if len(starts) > 1 && len(ends) > 1 {
			t.Errorf("%s: the second column is not aligned:\n%s", commandLine(args), got.stdout)
		}
	}
}

// JSON is one array of objects, also when there is nothing to say, and carries every string unharmed.
//
//kata:zh JSON 是一个对象数组，没有内容时也是；任何字符串都原样保留。
func TestPrintsJSON(t *testing.T) {
	path := "/<a>&\"b\"\\,\t\x01你"
	quoted, _ := json.Marshal(path)
	log := fmt.Sprintf(`{"time":"2026-03-01T12:00:00Z","host":"h","method":"GET","path":%s,"status":200}`, quoted) + "\nbad\n"
	got := run(t, log, "top", "-o", "json")
	var rows []map[string]any
	if err := json.Unmarshal([]byte(got.stdout), &rows); err != nil || !reflect.DeepEqual(rows, []map[string]any{{"value": path, "count": 1.0}}) {
		t.Errorf("top -o json of the path %q (and a bad line) printed %s, want one row with it", path, got)
	}
	for _, command := range []string{"top", "latency"} {
		got := run(t, "", command, "-o", "json")
		if strings.TrimSpace(got.stdout) != "[]" || got.code != 0 {
			t.Errorf("%s -o json of no lines printed %s, want []", command, got)
		}
	}
}

// CSV has a header, and a value with a comma, a quote or a newline stays one value.
//
//kata:zh CSV 有表头；含逗号、引号或换行的值仍是一个值。
func TestPrintsCSV(t *testing.T) {
	log := line(`/a,b`) + "\n" + line(`/say\"hi\"`) + "\n" + line(`/two\nlines`) + "\n" + timed("/d", 2_000_000) + "\n"
	equal := func(got, want string) bool { return got == want }
	near := func(got, want string) bool { // as numbers, to 1 %
		g, gerr := strconv.ParseFloat(got, 64)
		w, werr := strconv.ParseFloat(want, 64)
		return got == want || gerr == nil && werr == nil && math.Abs(g-w) <= w*0.01
	}
	for _, tc := range []struct {
		args string
		same func(got, want string) bool
		want [][]string
	}{
		{"top -o csv", equal, [][]string{{"value", "count"}, {"/a,b", "1"}, {"/d", "1"}, {`/say"hi"`, "1"}, {"/two\nlines", "1"}}},
		{"latency -p 50,99.5 -o csv", near, [][]string{{"percentile", "seconds"}, {"50", "0.01"}, {"99.5", "2"}}},
		{"count -o csv", equal, [][]string{{"class", "count", "bytes"}, {"2xx", "4", "40"}, {"all", "4", "40"}, {"bad", "0", "0"}}},
	} {
		got := run(t, log, strings.Fields(tc.args)...)
		rows, err := csv.NewReader(strings.NewReader(got.stdout)).ReadAll()
		same := func(got, want []string) bool { return slices.EqualFunc(got, want, tc.same) }
		if err != nil || !slices.EqualFunc(rows, tc.want, same) {
			t.Errorf("%s printed %s(read as %q, %v), want %q", tc.args, got, rows, err, tc.want)
		}
	}
}

// What strangers put into a log cannot steer the terminal.
//
//kata:zh 陌生人写进日志的内容不能控制终端。
func TestProtectsTheTerminal(t *testing.T) {
	log := strings.Join([]string{
		line(`/\x1b[2J\x1b]0;owned\x07`),
		line(`/\x9b31m`),
		line(`/delete\x7f`),
		line(`/new\nline\ttab`),
		`{"time":"2026-03-01T12:00:00Z","host":"h","method":"GET","path":"/\u009b31m\u0000","status":200}`,
		line("/raw\x1b[31m"),
		"bad \x1b[31m line",
		strings.Replace(line("/"), " 200 ", " \x1b[31m ", 1),
		strings.Replace(line("/"), "10/Oct", "\x1b[31m", 1),
		strings.Replace(line("/"), "GET /", "\x1b[31m", 1),
		strings.Replace(line("/"), "0.010", "\x1b[31m", 1),
		"{\"\x1b[31m",
		`{"time":"` + "\u009b31m" + `"}`,
	}, "\n") + "\n"
	got := run(t, log, "top")
	for name, text := range map[string]string{"stdout": got.stdout, "stderr": got.stderr} {
		if !utf8.ValidString(text) {
			t.Errorf("top prints bytes to %s that are not UTF-8: %q", name, text)
		}
		for shown := range strings.Lines(text) {
			if i := strings.IndexFunc(strings.TrimSuffix(shown, "\n"), unicode.IsControl); i >= 0 {
				t.Errorf("top prints a control character to %s: %q", name, shown)
			}
		}
	}
	if lines := strings.Count(got.stdout, "\n"); lines != 7 || strings.Count(got.stdout, `\x1b[`) != 2 || !strings.Contains(got.stdout, `/new\nline\ttab`) {
		t.Errorf("top prints %s, want a heading and six values with escapes such as \\x1b and \\n", got)
	}
	if bad := positions(got.stderr); len(bad) != 7 {
		t.Errorf("top reports %d bad lines, want 7:\n%s", len(bad), got.stderr)
	}
}

// The exit code tells a wrong command line from an unreadable file and, with --strict, from bad lines.
//
//kata:zh 退出码区分命令行错误、文件不可读，以及 --strict 下的坏行。
func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	good, bad := write(t, dir, "good.log", line("/1")), write(t, dir, "bad.log", line("/1"), "bad")
	missing := filepath.Join(dir, "missing.log")
	for _, tc := range []struct {
		args    []string
		code    int
		answers bool
	}{
		{[]string{"count", good}, 0, true},
		{[]string{"count", bad}, 0, true},
		{[]string{"count", "--strict", good}, 0, true},
		{[]string{"--help"}, 0, true},
		{[]string{"count", bad, "--strict"}, 3, true},
		{[]string{"parse", "--strict", bad, good}, 3, true},
		{[]string{"count", missing}, 1, true},
		{[]string{"count", "--strict", bad, missing}, 1, true},
		{[]string{"parse", missing, good}, 1, true},
		{[]string{}, 2, false},
		{[]string{"cuont", good}, 2, false},
		{[]string{"count", "--colour", good}, 2, false},
		{[]string{"count", "-o", "xml", good}, 2, false},
		{[]string{"count", "-w", "0", good}, 2, false},
		{[]string{"top", "-k", "0", good}, 2, false},
		{[]string{"top", "--by", "colour", good}, 2, false},
		{[]string{"latency", "-p", "0", good}, 2, false},
		{[]string{"latency", "-p", "50,101", good}, 2, false},
		{[]string{"latency", "-p", "NaN", good}, 2, false},
		{[]string{"latency", "-p", "", good}, 2, false},
		{[]string{"follow"}, 2, false},
		{[]string{"follow", good, bad}, 2, false},
		{[]string{"follow", "--poll", "0s", good}, 2, false},
	} {
		got := run(t, "", tc.args...)
		if got.code != tc.code {
			t.Errorf("%s ended with exit code %d, want %d %s", commandLine(tc.args), got.code, tc.code, got)
		}
		if (got.stdout != "") != tc.answers {
			t.Errorf("%s printed to stdout: %q, want something: %v", commandLine(tc.args), got.stdout, tc.answers)
		}
		if (tc.code == 1 || tc.code == 2) && got.stderr == "" {
			t.Errorf("%s says nothing about what is wrong", commandLine(tc.args))
		}
		if tc.code == 1 && strings.Contains(strings.ToLower(got.stdout+got.stderr), "usage") {
			t.Errorf("%s explains its usage, which does not help against a missing file: %s", commandLine(tc.args), got)
		}
	}
}

// An answer that cannot be written is a failure.
//
//kata:zh 答案写不出去就是失败。
func TestAFullDiskIsAFailure(t *testing.T) {
	for _, args := range [][]string{{"parse"}, {"count"}, {"top", "-o", "json"}, {"latency", "-o", "csv"}} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			// Nothing is always full here. At least the program runs.
			if got := run(t, line("/"), args...); got.code != 0 {
				t.Errorf("%s ended with %s", commandLine(args), got)
			}
			continue
		}
		got := runCommand(t, args, strings.NewReader(line("/")), full, program(t), args...)
		full.Close()
		if got.code != 1 || got.stderr == "" {
			t.Errorf("%s > /dev/full ended with %s, want exit code 1 and a message", commandLine(args), got)
		}
	}
}
