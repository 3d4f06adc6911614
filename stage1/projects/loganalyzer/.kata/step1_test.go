// Parse.
//
//kata:zh 解析
//kata:level 3
//kata:minutes 360
//kata:engine real files, pipes and signals
//kata:files *.go
//kata:timeout 90s
package main_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Real lines in the common and combined formats and in JSON are understood, with and without a duration.
//
//kata:zh 能读懂 common、combined 和 JSON 三种真实日志行，有无耗时均可。
func TestParsesAllFormats(t *testing.T) {
	cases := []struct{ line, want string }{
		{
			`127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326`,
			`{"time":"2000-10-10T13:55:36-07:00","host":"127.0.0.1","method":"GET","path":"/apache_pb.gif","status":200,"bytes":2326}`,
		}, {
			`2001:db8::1 - - [29/Feb/2024:23:59:59 +0530] "POST /cart?item=7&n=1 HTTP/2.0" 304 -`,
			`{"time":"2024-02-29T23:59:59+05:30","host":"2001:db8::1","method":"POST","path":"/cart","status":304,"bytes":0}`,
		}, {
			`10.0.0.9 - - [01/Jan/2026:00:00:00 +0000] "GET /a HTTP/1.1" 200 1 "https://example.com/?q=1" "Mozilla/5.0 (X11; Linux x86_64)"`,
			`{"time":"2026-01-01T00:00:00Z","host":"10.0.0.9","method":"GET","path":"/a","status":200,"bytes":1}`,
		}, {
			`10.0.0.9 - - [01/Jan/2026:00:00:00 +0000] "GET /a HTTP/1.1" 200 1 "-" "curl/8.5" 0.042`,
			`{"time":"2026-01-01T00:00:00Z","host":"10.0.0.9","method":"GET","path":"/a","status":200,"bytes":1,"duration":0.042}`,
		}, {
			`10.0.0.9 - - [01/Jan/2026:00:00:00 +0000] "GET /a HTTP/1.1" 200 1 3`,
			`{"time":"2026-01-01T00:00:00Z","host":"10.0.0.9","method":"GET","path":"/a","status":200,"bytes":1,"duration":3}`,
		}, {
			`10.0.0.9 - - [01/Jan/2026:00:00:00 +0000] "GET /a HTTP/1.1" 200 1 "-" "a \"quoted\" agent \\"`,
			`{"time":"2026-01-01T00:00:00Z","host":"10.0.0.9","method":"GET","path":"/a","status":200,"bytes":1}`,
		}, {
			`10.0.0.9 - - [01/Jan/2026:00:00:00 +0000] "GET /\"a\\b\xe4\xBD\xa0\x41\t\n HTTP/1.1" 200 1`,
			`{"time":"2026-01-01T00:00:00Z","host":"10.0.0.9","method":"GET","path":"/\"a\\b你A\t\n","status":200,"bytes":1}`,
		}, {
			`{"time":"2026-03-01T12:00:00.25+01:00","host":"::1","method":"DELETE","path":"/x/你?y=z","status":404,"bytes":12,"duration":1.5e-3,"level":"info","tags":["a"]}`,
			`{"time":"2026-03-01T12:00:00.25+01:00","host":"::1","method":"DELETE","path":"/x/你","status":404,"bytes":12,"duration":0.0015}`,
		}, {
			`{"status":500,"path":"/","method":"GET","host":"h","time":"2026-03-01T12:00:00Z"}`,
			`{"time":"2026-03-01T12:00:00Z","host":"h","method":"GET","path":"/","status":500,"bytes":0}`,
		}, {
			`10.0.0.9 - - [01/Jan/2026:00:00:00 +0000] "GET /a HTTP/1.1" 100 1 "" "" 0`,
			`{"time":"2026-01-01T00:00:00Z","host":"10.0.0.9","method":"GET","path":"/a","status":100,"bytes":1,"duration":0}`,
		}, {
			`10.0.0.9 - - [01/Jan/2026:00:00:00 +0000] "GET /a HTTP/1.1" 599 1`,
			`{"time":"2026-01-01T00:00:00Z","host":"10.0.0.9","method":"GET","path":"/a","status":599,"bytes":1}`,
		}, {
			`{"time":"2026-03-01T12:00:00Z","host":"h","method":"GET","path":"/","status":100,"bytes":1,"duration":0}`,
			`{"time":"2026-03-01T12:00:00Z","host":"h","method":"GET","path":"/","status":100,"bytes":1,"duration":0}`,
		}, {
			`{"time":"2026-03-01T12:00:00Z","host":"h","method":"GET","path":"/","status":599}`,
			`{"time":"2026-03-01T12:00:00Z","host":"h","method":"GET","path":"/","status":599,"bytes":0}`,
		},
	}
	var log strings.Builder
	for _, tc := range cases {
		log.WriteString(tc.line + "\n")
	}
	got := run(t, log.String(), "parse")
	if got.code != 0 || got.stderr != "" {
		t.Errorf("parse of good lines only printed %s, want exit code 0 and nothing on stderr; the lines:\n%s", got, log.String())
	}
	refused := positions(got.stderr)
	records := slices.Collect(strings.Lines(got.stdout))
	for i, tc := range cases {
		switch {
		case slices.Contains(refused, "-:"+strconv.Itoa(i+1)):
			t.Errorf("parse takes this for a bad line:\n    %s", tc.line)
		case len(records) == 0:
			t.Errorf("parse of\n    %s\nprinted nothing, want\n    %s", tc.line, tc.want)
		default:
			if !sameRecord(records[0], tc.want) {
				t.Errorf("parse of\n    %s\nprinted\n    %swant\n    %s", tc.line, records[0], tc.want)
			}
			records = records[1:]
		}
	}
	if len(records) > 0 {
		t.Errorf("parse of %d lines printed more records than that: %q", len(cases), records)
	}
}

// A bad line is reported as FILE:LINE, and only the good ones are printed.
//
//kata:zh 坏行按"文件:行号"报告，只打印好行。
func TestReportsBadLinesWithTheirNumber(t *testing.T) {
	dir := t.TempDir()
	one := write(t, dir, "one.log", line("/1"), "nonsense", "", "   ", line("/5")+"\r", `{"time":`, line("/7"))
	two := filepath.Join(dir, "two.log") // its last line has no newline
	if err := os.WriteFile(two, []byte(line("/1")+"\n\nbad"), 0o600); err != nil {
		t.Fatal(err)
	}
	dotted := strings.Join([]string{dir, ".", "one.log"}, string(filepath.Separator)) // is reported as it was given
	for _, tc := range []struct {
		stdin string
		args  []string
		paths []string
		bad   []string
	}{
		{"", []string{"parse", dotted}, []string{"/1", "/5", "/7"}, []string{dotted + ":2", dotted + ":6"}},
		{"", []string{"parse", one}, []string{"/1", "/5", "/7"}, []string{one + ":2", one + ":6"}},
		{"", []string{"parse", two, one}, []string{"/1", "/1", "/5", "/7"}, []string{two + ":3", one + ":2", one + ":6"}},
		{"bad\n" + line("/in"), []string{"parse"}, []string{"/in"}, []string{"-:1"}},
		{line("/in") + "\r\n\r\nbad\r\n", []string{"parse", "-", two}, []string{"/in", "/1"}, []string{"-:3", two + ":3"}},
	} {
		got := run(t, tc.stdin, tc.args...)
		if paths := paths(t, got.stdout); got.code != 0 || !slices.Equal(paths, tc.paths) {
			t.Errorf("%s printed %s, want the records of %q", commandLine(tc.args), got, tc.paths)
		}
		if bad := positions(got.stderr); !slices.Equal(bad, tc.bad) {
			t.Errorf("%s reported bad lines at %q, want %q; stderr:\n%s", commandLine(tc.args), bad, tc.bad, got.stderr)
		}
	}
}

// What is only almost a line of a log is a bad line.
//
//kata:zh 只是看起来像日志的行，一律算坏行。
func TestRefusesWhatIsAlmostRight(t *testing.T) {
	good := `h - - [10/Oct/2025:13:55:36 +0000] "GET / HTTP/1.1" 200 12 "-" "agent" 0.5`
	object := `{"time":"2026-03-01T12:00:00Z","host":"h","method":"GET","path":"/","status":200,"bytes":1,"duration":0.5}`
	bad := []string{
		strings.Replace(good, "10/Oct", "32/Oct", 1),
		strings.Replace(good, "10/Oct", "30/Feb", 1),
		strings.Replace(good, " +0000", "", 1),
		strings.Replace(good, "GET / HTTP/1.1", "GET /", 1),
		strings.Replace(good, "GET / HTTP/1.1", "GET / FTP/1.1", 1),
		strings.Replace(good, "GET / HTTP/1.1", "-", 1),
		strings.Replace(good, "GET / HTTP/1.1", `\x16\x03\x01`, 1),
		strings.Replace(good, "GET /", `GET /\q`, 1),
		strings.Replace(good, "GET /", `GET /\xg0`, 1),
		strings.Replace(good, "GET /", `GET /\你`, 1),
		strings.Replace(good, "agent", `\q`, 1),
		strings.Replace(good, "GET /", "GET ?a=b", 1),
		strings.Replace(good, "GET /", " /", 1),
		strings.TrimPrefix(good, "h"),
		strings.Replace(good, "200", "99", 1),
		strings.Replace(good, "200", "600", 1),
		strings.Replace(good, "200", "+200", 1),
		strings.Replace(good, "200", "OK", 1),
		strings.Replace(good, " 12 ", " -12 ", 1),
		strings.Replace(good, " 12 ", " 1.5 ", 1),
		strings.Replace(good, " 12 ", " 99999999999999999999 ", 1),
		strings.Replace(good, `"agent"`, `"agent`, 1),
		strings.Replace(good, `agent" 0.5`, `agent\"`, 1), // the string does not end, nor does it below
		`h - - [10/Oct/2025:13:55:36 +0000] "GET /\" 200 12`,
		`h - - [10/Oct/2025:13:55:36 +0000] "GET /\`,
		`h - - [10/Oct/2025:13:55:36 +0000] "GET /\x4`,
		strings.Replace(good, "0.5", "NaN", 1),
		strings.Replace(good, "0.5", "Inf", 1),
		strings.Replace(good, "0.5", "-0.5", 1),
		strings.Replace(good, "0.5", "0x1p-1", 1),
		strings.Replace(good, "0.5", "5e-1", 1),
		strings.Replace(good, "0.5", ".", 1),
		good + " more",
		good[:len(good)/2],
		strings.Replace(object, `"GET"`, `null`, 1),
		strings.Replace(object, `"host":"h",`, ``, 1),
		strings.Replace(object, `"path":"/"`, `"path":""`, 1),
		strings.Replace(object, `"path":"/"`, `"path":"?a=b"`, 1),
		strings.Replace(object, `"h"`, `""`, 1),
		strings.Replace(object, `"GET"`, `""`, 1),
		strings.Replace(object, `200`, `"200"`, 1),
		strings.Replace(object, `200`, `200.5`, 1),
		strings.Replace(object, `200`, `99`, 1),
		strings.Replace(object, `200`, `600`, 1),
		strings.Replace(object, `"bytes":1`, `"bytes":"x"`, 1),
		strings.Replace(object, `0.5`, `"0.5"`, 1),
		strings.Replace(object, `"bytes":1`, `"bytes":-1`, 1),
		strings.Replace(object, `0.5`, `-0.5`, 1),
		strings.Replace(object, `T12`, ` 12`, 1),
		object + object,
		object[:len(object)-1],
		"[" + object + "]",
	}
	got := run(t, good+"\n"+object+"\n"+strings.Join(bad, "\n"), "parse")
	reported := positions(got.stderr)
	for i, line := range bad {
		if !slices.Contains(reported, "-:"+strconv.Itoa(i+3)) {
			t.Errorf("parse takes this for a good line:\n    %s", line)
		}
	}
	if records := paths(t, got.stdout); len(records) != 2 || len(reported) != len(bad) {
		t.Errorf("parse of\n    %s\n    %s\nand %d bad lines printed %d records and reported bad lines at %q, want two records and lines 3 to %d",
			good, object, len(bad), len(records), reported, len(bad)+2)
	}
}

// A compressed log is recognised by what is in it, not by its name, and read to the end of its last part.
//
//kata:zh 按内容而非文件名识别压缩日志，并读到最后一个 gzip 分段。
func TestReadsGzipByItsContent(t *testing.T) {
	zipped := compress(line("/1")+"\n"+line("/2")+"\n") + compress("bad\n"+line("/4")+"\n") // as logrotate appends
	dir := t.TempDir()
	misnamed := filepath.Join(dir, "access.log")
	plain := write(t, dir, "plain.gz", line("/p"))
	if err := os.WriteFile(misnamed, []byte(zipped), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		stdin string
		args  []string
		want  []string
	}{
		{"", []string{"parse", misnamed, plain}, []string{"/1", "/2", "/4", "/p"}},
		{zipped, []string{"parse"}, []string{"/1", "/2", "/4"}},
		{compress(""), []string{"parse"}, nil},
		{"", []string{"parse"}, nil},
	} {
		got := run(t, tc.stdin, tc.args...)
		if records := paths(t, got.stdout); got.code != 0 || !slices.Equal(records, tc.want) {
			t.Errorf("%s with gzip in it printed %s, want the records of %q", commandLine(tc.args), got, tc.want)
		}
		if bad := positions(got.stderr); len(tc.want) > 2 && (len(bad) != 1 || !strings.HasSuffix(bad[0], ":3")) {
			t.Errorf("%s with gzip in it: bad lines at %q, want only line 3", commandLine(tc.args), bad)
		}
	}
}

// A line may be as long as 1 MiB; a longer one is one bad line, and the next is read as ever.
//
//kata:zh 一行最长 1 MiB；更长的算一个坏行，其后的行照常读取。
func TestReadsLongLines(t *testing.T) {
	const limit = 1 << 20
	// The lines are put together on their way into the pipe: each agent is a part of this.
	filler := strings.Repeat("x", 5*limit/2)
	text := func(path string, agent int) io.Reader {
		before, after, _ := strings.Cut(combined(path, "\n"), "\n")
		return io.MultiReader(strings.NewReader(before), strings.NewReader(filler[:agent]), strings.NewReader(after))
	}
	exact := limit - len(combined("/exact", ""))
	short := func(path string) io.Reader { return strings.NewReader(line(path) + "\n") }
	end := strings.NewReader
	got := runCommand(t, []string{"parse"}, io.MultiReader(
		text("/200k", 200<<10), end("\n"),
		text("/exact", exact), end("\n"),
		text("/long", limit), end("\n"),
		short("/4"),
		text("/longer", 5*limit/2), end("\n"),
		short("/6"),
		text("/exact", exact), end("\r\n"),
		strings.NewReader(filler[:limit+100<<10]),
	), nil, program(t), "parse")
	const lengths = "200 KiB, 1 MiB, 1 MiB and a bit, short, 2.5 MiB, short, 1 MiB, 1.1 MiB"
	if records, want := paths(t, got.stdout), []string{"/200k", "/exact", "/4", "/6", "/exact"}; !slices.Equal(records, want) {
		t.Errorf("lines of "+lengths+": parse printed %q, want %q", records, want)
	}
	if bad, want := positions(got.stderr), []string{"-:3", "-:5", "-:8"}; !slices.Equal(bad, want) {
		t.Errorf("lines of "+lengths+": bad lines at %q, want %q", bad, want)
	}
	if len(got.stderr) > 10_000 {
		t.Errorf("three lines that are too long make %d bytes of messages", len(got.stderr))
	}

	stdout, memory := feed(t, func(w io.Writer) {
		for range 4 {
			io.WriteString(w, filler[:1<<20])
		}
	}, func(w io.Writer) {
		for range 11 {
			io.WriteString(w, filler[:1<<20])
		}
		io.WriteString(w, "\n"+line("/next")+"\n")
	}, "parse")
	if records := paths(t, stdout); len(records) != 1 || records[0] != "/next" {
		t.Errorf("one line of 15 MiB and a short one: parse printed %q, want the short one", records)
	}
	memory.check(t, "parse, reading a line of 15 MiB,")
}

// —— helpers of all steps ——

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

// memoryLimit is what the program may use at its peak, whatever it reads, and memoryGrowth by how much that
// may rise once it has read the first 4 MB.
const memoryLimit, memoryGrowth = 40 << 20, 5 << 20

// result is what became of a run.
type result struct {
	stdout, stderr string
	code           int
}

func (r result) String() string {
	return fmt.Sprintf("(exit code %d)\n%s%s", r.code, indent("stdout", r.stdout), indent("stderr", r.stderr))
}

func indent(name, text string) string {
	if text == "" {
		return "    " + name + ": nothing\n"
	}
	if len(text) > 2000 {
		text = text[:2000] + "…"
	}
	return "    " + name + ": " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n        ") + "\n"
}

func program(t *testing.T) string {
	t.Helper()
	path := os.Getenv("ROADKATA_PROGRAM")
	if path == "" {
		t.Fatal("ROADKATA_PROGRAM does not say where the program is")
	}
	return path
}

// run runs the program to its end.
func run(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return runCommand(t, args, strings.NewReader(stdin), nil, program(t), args...)
}

// runCommand runs a command to its end; stdout replaces what would be collected.
func runCommand(t *testing.T, shown []string, stdin io.Reader, stdout *os.File, name string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	cmd.Stdin = stdin
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if stdout != nil {
		cmd.Stdout = stdout
	}
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s does not end", commandLine(shown))
	}
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok && !errors.Is(err, exec.ErrWaitDelay) {
		t.Logf("%s: %v", commandLine(shown), err) // it ended without reading its stdin to the end, say
	}
	r := result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
	if strings.Contains(r.stderr, "\ngoroutine ") {
		t.Fatalf("%s panicked %s", commandLine(shown), r)
	}
	return r
}

// commandLine renders a call for messages, without the directories.
func commandLine(args []string) string {
	short := []string{"loganalyzer"}
	for _, a := range args {
		if len(short) == 12 {
			short = append(short, "…")
			break
		}
		if filepath.IsAbs(a) {
			a = filepath.Base(a)
		}
		short = append(short, a)
	}
	return strings.Join(short, " ")
}

// line is a good line for path, without its newline.
func line(path string) string {
	return fmt.Sprintf(`203.0.113.7 - - [10/Oct/2025:13:55:36 +0000] "GET %s HTTP/1.1" 200 10 "-" "test" 0.010`, path)
}

// combined is a good line for path with an agent of any length.
func combined(path, agent string) string {
	return fmt.Sprintf(`203.0.113.7 - - [10/Oct/2025:13:55:36 +0000] "GET %s HTTP/1.1" 200 10 "-" "%s"`, path, agent)
}

// timed is a good line that took so many microseconds.
func timed(path string, micros int) string {
	return fmt.Sprintf(`203.0.113.7 - - [10/Oct/2025:13:55:36 +0000] "GET %s HTTP/1.1" 200 10 %d.%06d`, path, micros/1_000_000, micros%1_000_000)
}

func write(t *testing.T, dir, name string, lines ...string) (path string) {
	t.Helper()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func compress(text string) string {
	var buf bytes.Buffer
	w, _ := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	io.WriteString(w, text)
	w.Close()
	return buf.String()
}

// paths reads records, one JSON object a line, and returns their paths.
func paths(t *testing.T, stdout string) (all []string) {
	t.Helper()
	for text := range strings.Lines(stdout) {
		var r struct{ Path *string }
		if err := json.Unmarshal([]byte(text), &r); err != nil || r.Path == nil {
			t.Fatalf("stdout has a line that is no record: %s", text)
		}
		all = append(all, *r.Path)
	}
	return all
}

// positions returns the NAME:LINE of each message about a bad line.
func positions(stderr string) (all []string) {
	for text := range strings.Lines(stderr) {
		for at := 0; ; {
			i := strings.Index(text[at:], ": ")
			if i < 0 {
				break
			}
			at += i
			if j := strings.LastIndexByte(text[:at], ':'); j > 0 {
				if _, err := strconv.Atoi(text[j+1 : at]); err == nil {
					all = append(all, text[:at])
					break
				}
			}
			at++
		}
	}
	return all
}

// sameRecord tells whether two JSON objects say the same, at the same time.
func sameRecord(got, want string) bool {
	var g, w map[string]any
	if json.Unmarshal([]byte(got), &g) != nil || json.Unmarshal([]byte(want), &w) != nil {
		return false
	}
	gt, gerr := time.Parse(time.RFC3339, fmt.Sprint(g["time"]))
	wt, werr := time.Parse(time.RFC3339, fmt.Sprint(w["time"]))
	delete(g, "time")
	delete(w, "time")
	return gerr == nil && werr == nil && gt.Equal(wt) && fmt.Sprint(g) == fmt.Sprint(w)
}

// rows runs the program with -o json and returns its answer: each row's values in the order of columns.
func rows(t *testing.T, columns, stdin string, args ...string) (all [][]any) {
	t.Helper()
	args = append(slices.Clone(args), "-o", "json")
	got := run(t, stdin, args...)
	var objects []map[string]any
	if err := json.Unmarshal([]byte(got.stdout), &objects); err != nil || objects == nil {
		t.Fatalf("%s printed no JSON array (%v) %s", commandLine(args), err, got)
	}
	for _, object := range objects {
		var row []any
		for column := range strings.FieldsSeq(columns) {
			v, ok := object[column]
			if !ok {
				t.Fatalf("%s: a row without %q: %v", commandLine(args), column, object)
			}
			row = append(row, v)
		}
		if len(row) != len(object) {
			t.Fatalf("%s: a row %v, want the columns %s only", commandLine(args), object, columns)
		}
		all = append(all, row)
	}
	return all
}

// peak returns the most memory that a running process has used, or 0 where nobody knows.
func peak(pid int) (bytes int) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for text := range strings.Lines(string(status)) {
		if fields := strings.Fields(text); len(fields) > 1 && fields[0] == "VmHWM:" {
			kib, _ := strconv.Atoi(fields[1])
			return kib << 10
		}
	}
	return 0
}

// usage is the peak of a program's memory when it had read the first 4 MB, and at the end.
type usage struct{ first, last int }

func (u usage) check(t *testing.T, what string) {
	t.Helper()
	const mib = 1 << 20
	if u.last > memoryLimit {
		t.Errorf("%s used %d MiB of memory; want at most %d MiB", what, u.last/mib, memoryLimit/mib)
	}
	if grown := u.last - u.first; grown > memoryGrowth {
		t.Errorf("%s used %.1f MiB of memory after the first 4 MB and %.1f MiB in the end, %.1f MiB more; want at most %d MiB more",
			what, float64(u.first)/mib, float64(u.last)/mib, float64(grown)/mib, memoryGrowth/mib)
	}
}

// feed runs the program on what first and then rest write to its stdin, and returns how much memory it used. What
// counts is what the program holds: the garbage collector is kept keen, and on one processor it is never behind,
// whatever else this machine does.
func feed(t *testing.T, first, rest func(io.Writer), args ...string) (stdout string, memory usage) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t), args...)
	cmd.Env = append(os.Environ(), "GOGC=25", "GOMAXPROCS=1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first(stdin)
	memory.first = peak(cmd.Process.Pid)
	rest(stdin)
	memory.last = peak(cmd.Process.Pid) // it lives, as its stdin is still open
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s: %v\n%s", commandLine(args), err, indent("stderr", errs.String()))
	}
	return out.String(), memory
}

// posix tells whether there are named pipes, signals and limits here. Where there are none, nothing is checked.
func posix() bool { return runtime.GOOS != "windows" }
