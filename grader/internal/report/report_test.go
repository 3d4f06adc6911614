package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
	"github.com/roadkata/roadkata/grader/internal/msg"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares what was written with testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; run go test ./internal/report -update", err)
	}
	if !bytes.Equal(got, bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))) {
		t.Errorf("%s differs; got:\n%s", file, got)
	}
}

func text(en, zh string) course.Text { return course.Text{EN: en, ZH: zh} }

// sample has one of everything that a report can hold.
func sample() *grade.Report {
	intent := func(name string, en, zh string, s grade.Status) grade.Intent {
		return grade.Intent{Name: name, Text: text(en, zh), Status: s, At: "stage1/a/pool/.kata/intents_test.go:20", Output: []string{}}
	}
	pool := grade.Kata{
		Path: "stage1/a/pool", Title: text("Worker pool", "工作池"), Level: 2, Engine: course.Engine{Kind: "real", Name: "Go runtime"},
		Status: grade.Failed, Seconds: 1.26, Unchecked: []string{"race"},
		Intents: []grade.Intent{
			intent("TestOrder", "Results come back in the order of the jobs.", "结果的顺序与任务一致。", grade.Passed),
			intent("TestBounded", "Never more than n jobs run at once.", "同时运行的任务不超过 n 个。", grade.Failed),
			intent("TestPanic", "A panic in a job reaches the caller.", "任务里的 panic 会传给调用方。", grade.Failed),
			intent("TestRace", "Run is safe for concurrent use.", "Run 可以并发调用。", grade.Failed),
			intent("TestDrain", "Close drains the queue.", "Close 会排空队列。", grade.NotRun),
		},
	}
	pool.Intents[1].Because = &grade.Because{Kind: grade.Assertion, Text: "Run(ctx, 2, jobs): 3 jobs ran at once, want at most 2\n\tjobs: 0, 1, 2"}
	pool.Intents[1].Output = []string{"    intents_test.go:25: Run(ctx, 2, jobs): 3 jobs ran at once, want at most 2", "starting", "job\t0 100% | done", "a", "b", "c", "d", "e", "f", "g", "h"}
	pool.Intents[2].Because = &grade.Because{Kind: grade.Panic, Text: "panic: boom [recovered]"}
	pool.Intents[2].At = "stage1/a/pool/pool.go:31"
	pool.Intents[2].Output = []string{"panic: boom [recovered]", "goroutine 7 [running]:", "main.run(...)"}
	pool.Intents[3].Because = &grade.Because{Kind: grade.Race, Text: "WARNING: DATA RACE\nWrite at 0x00c000014148 by goroutine 8"}
	pool.Intents[4].Because = &grade.Because{Kind: grade.Panic, Text: "not run: panic: boom [recovered]"}

	shop := grade.Kata{
		Path: "stage1/projects/shop", Title: text("Shop | API", "商店 API"), Level: 3, Engine: course.Engine{Kind: "simulated", Name: "payment gateway"},
		Status: grade.Failed, Seconds: 3.01,
		Steps: []grade.Step{{ID: "step1", Title: text("Log in", "登录"), Status: grade.Passed}, {ID: "step2", Title: text("Pay", "支付"), Status: grade.Failed}},
		Intents: []grade.Intent{
			{Name: "TestLogin", Step: "step1", Text: text("A user can log in.", "用户可以登录。"), Status: grade.Passed, Output: []string{}},
			{Name: "TestPay", Step: "step2", Text: text("An order is paid once.", "订单只会支付一次。"), Status: grade.Failed, Because: &grade.Because{Kind: grade.Timeout, Text: "it did not come back before the deadline; is there an endless loop?"}, Output: []string{}},
		},
	}
	hello := grade.Kata{
		Path: "stage1/a/hello", Title: text("Hello", "你好"), Level: 1, Engine: course.Engine{Kind: "real", Name: "Go runtime"}, Status: grade.Passed, Seconds: 0.2, Cached: true,
		Intents: []grade.Intent{intent("TestCounts", "Words are counted.", "统计词频。", grade.Passed)},
	}
	typo := grade.Kata{
		Path: "stage1/b/typo", Title: text("Typo", "笔误"), Level: 1, Engine: course.Engine{Kind: "embedded", Name: "etcd 3.7"}, Status: grade.Failed,
		Problems: []course.Problem{{Kind: "compile", At: "stage1/b/typo/my file,100%.go:12:3", Text: "undefined: foo\n\thave (int)\n\twant (string)"}},
		Intents:  []grade.Intent{intent("TestA", "A holds.", "A 成立。", grade.NotRun), intent("TestB", "B holds.", "B 成立。", grade.NotRun)},
	}
	for i := range typo.Intents {
		typo.Intents[i].Because = &grade.Because{Kind: grade.Compile, Text: "your code does not compile"}
	}
	broken := grade.Kata{
		Path: "stage2/x/broken", Title: text("Broken", "坏题"), Level: 2, Status: grade.Broken,
		Problems: []course.Problem{{Kind: "kata", At: "stage2/x/broken/.kata/intents_test.go:3", Text: "no //kata:level; say 1, 2 or 3"}},
		Intents:  []grade.Intent{{Name: "TestX", Text: text("X holds.", "X 成立。"), Status: grade.Broken, Output: []string{}}},
	}
	rest := []grade.Kata{
		{Path: "stage1/b/later", Title: text("Later", "以后"), Status: grade.Untouched, Intents: []grade.Intent{intent("TestL", "L holds.", "L 成立。", grade.NotRun)}},
		{Path: "stage2/x/much-later", Title: text("Much later", "很久以后"), Status: grade.Untouched},
	}
	katas := append([]grade.Kata{hello, pool, typo, shop, broken}, rest...)
	r := grade.Assemble(nil, katas)
	r.Items = []grade.Item{
		{ID: "syntax", Title: text("Go *syntax*", "Go 语法"), Status: grade.Passed, Katas: []string{"stage1/a/hello"}},
		{ID: "pools", Title: text("Pools", "池"), Status: grade.Partial, Katas: []string{"stage1/a/pool"}, Simulated: true},
		{ID: "later", Title: text("Later", "以后"), Status: grade.Planned, Katas: []string{}, Planned: []string{"stage3/k8s/operator", "stage3/k8s/webhook"}},
	}
	r.Summary.Items = map[string]int{"total": 3, "passed": 1, "partial": 1, "planned": 1}
	return r
}

func TestGolden(t *testing.T) {
	for _, c := range []struct {
		name   string
		format string
		o      Options
	}{
		{"terminal.en.txt", "terminal", Options{Lang: msg.EN, Width: 80}},
		{"terminal.zh.txt", "terminal", Options{Lang: msg.ZH, Width: 80}},
		{"terminal.color.txt", "terminal", Options{Lang: msg.EN, Color: true}},
		{"terminal.verbose.txt", "terminal", Options{Lang: msg.EN, Width: 60, Verbose: true}},
		{"report.json", "json", Options{}},
		{"junit.xml", "junit", Options{Lang: msg.EN}},
		{"summary.md", "markdown", Options{Lang: msg.EN}},
		{"summary.zh.md", "markdown", Options{Lang: msg.ZH}},
		{"github.txt", "github", Options{Lang: msg.EN}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, ok := For(c.format)
			if !ok {
				t.Fatalf("For(%q) knows no such form", c.format)
			}
			var buf bytes.Buffer
			if err := w(&buf, sample(), c.o); err != nil {
				t.Fatal(err)
			}
			golden(t, c.name, buf.Bytes())
		})
	}
}

// One kata alone shows all its intents and the next step.
func TestGoldenSingle(t *testing.T) {
	for i, name := range []string{"single.passed.txt", "single.failed.txt", "single.compile.txt", "single.project.txt", "single.broken.txt", "single.untouched.txt"} {
		r := grade.Assemble(nil, sample().Katas[i:i+1])
		var buf bytes.Buffer
		if err := Terminal(&buf, r, Options{Lang: msg.EN, Width: 100}); err != nil {
			t.Fatal(err)
		}
		golden(t, name, buf.Bytes())
	}
}

func TestJSONIsTheReport(t *testing.T) {
	var buf bytes.Buffer
	if err := JSON(&buf, sample(), Options{}); err != nil {
		t.Fatal(err)
	}
	var back grade.Report
	dec := json.NewDecoder(&buf)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&back); err != nil {
		t.Fatalf("the JSON does not decode into grade.Report: %v", err)
	}
	if want := sample(); back.Schema != "roadkata.report/v1" || !reflect.DeepEqual(back.Katas[1].Intents, want.Katas[1].Intents) {
		t.Errorf("the JSON decodes to %+v, want the report itself", back)
	}
}

func TestJUnitIsWellFormed(t *testing.T) {
	r := sample()
	r.Katas[1].Intents[1].Output = []string{"control \x01 and ]]> and \xff"}
	var buf bytes.Buffer
	if err := JUnit(&buf, r, Options{}); err != nil {
		t.Fatal(err)
	}
	var s junitSuites
	if err := xml.Unmarshal(buf.Bytes(), &s); err != nil {
		t.Fatalf("%v in\n%s", err, buf.String())
	}
	n := 0
	for _, suite := range s.Suites {
		n += len(suite.Cases)
	}
	if s.Tests != n || s.Failures == 0 || s.Errors == 0 || s.Skipped == 0 {
		t.Errorf("tests=%d failures=%d errors=%d skipped=%d for %d cases", s.Tests, s.Failures, s.Errors, s.Skipped, n)
	}
}

func TestGitHubEscapes(t *testing.T) {
	for _, c := range []struct{ at, file, line, col string }{
		{"a/b.go:12:3", "a/b.go", "12", "3"},
		{"a/b.go:12", "a/b.go", "12", ""},
		{"a/b", "a/b", "", ""},
		{"", "", "", ""},
		{`C:\x\b.go:7`, `C:\x\b.go`, "7", ""},
		{"odd:name.go:7", "odd:name.go", "7", ""},
	} {
		if f, l, col := splitPosition(c.at); f != c.file || l != c.line || col != c.col {
			t.Errorf("splitPosition(%q) = %q, %q, %q", c.at, f, l, col)
		}
	}
	g := &github{}
	g.command("error", "my file,1:2.go:3", "50%: a", "one\r\ntwo 100%\n::error::x")
	if got, want := g.text.String(), "::error file=my file%2C1%3A2.go,line=3,title=50%25%3A a::one%0D%0Atwo 100%25%0A::error::x\n"; got != want {
		t.Errorf("command wrote %q, want %q", got, want)
	}
}

func TestMarkdownCannotBreakOut(t *testing.T) {
	r := sample()
	r.Katas[1].Title = text("a | b </td><script>", "")
	r.Katas[1].Intents[1].Because.Text = "```\n## gotcha\n````"
	var buf bytes.Buffer
	if err := Markdown(&buf, r, Options{Lang: msg.EN}); err != nil {
		t.Fatal(err)
	}
	out := buf.String()
	if strings.Contains(out, "<script>") || !strings.Contains(out, "  `````text\n  ```\n  ## gotcha\n  ````\n  `````\n") {
		t.Errorf("hostile text escapes its cell or fence:\n%s", out)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriteErrorsComeBack(t *testing.T) {
	for _, f := range Formats() {
		w, _ := For(f)
		if err := w(brokenPipe{}, sample(), Options{}); err == nil {
			t.Errorf("%s on a closed pipe: nil, want its error", f)
		}
	}
}
