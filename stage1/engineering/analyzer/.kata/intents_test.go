// The intents of analyzer.
//
//kata:level 3
//kata:minutes 75
//kata:engine real go/types and analysistest
//kata:timeout 90s
package analyzer_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/analysistest"
	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/ast/astutil"
	"golang.org/x/tools/go/packages"
	"golang.org/x/tools/txtar"

	"github.com/roadkata/roadkata/stage1/engineering/analyzer"
)

// Every function of package time that reads the clock or waits for it is reported in test code, called or not.
//
//kata:zh 测试代码里凡是读取时钟或等待时钟的 time 包函数都会报告，不论是调用还是当作值使用。
func TestFinds(t *testing.T) {
	check(t, `
-- a/a_test.go --
package a

import "time"

var start = time.Now() // want "time.Now"

var sleep func(time.Duration) = time.Sleep // want "time.Sleep"

func f() time.Duration {
	time.Sleep(1) // want "time.Sleep"
	<-time.After(1) // want "time.After"
	time.AfterFunc(1, func() { // want "time.AfterFunc"
		time.Now() // want "time.Now"
	})
	_ = time.Tick(1) // want "time.Tick"
	defer time.NewTimer(1).Stop() // want "time.NewTimer"
	defer time.NewTicker(1).Stop() // want "time.NewTicker"
	now := time.Now // want "time.Now"
	use(now, time.Since(start)) // want "time.Since"
	return time.Until(time.Now()) // want "time.Until" "time.Now"
}

func use(...any) {}
-- a/b_test.go --
package a_test

import "time"

func g() { time.Sleep(1) } // want "time.Sleep"
-- help/kit/help.go --
package kittest

import "time"

func Wait() { time.Sleep(1) } // want "time.Sleep"
`)
}

// Code that is no test may use the clock as it likes.
//
//kata:zh 非测试代码可以随意使用时钟。
func TestOnlyTests(t *testing.T) {
	const body = `
import "time"

var start = time.Now()

func F() { time.Sleep(1); <-time.After(time.Since(start)) }

func g() { F() }
`
	check(t, "-- a/a.go --\npackage a\n"+body+
		"-- b/test.go --\npackage b\n"+body+
		"-- c_test.go/test_helper.go --\npackage c\n"+body+
		"-- test/testing/d.go --\npackage d\n"+body+
		"-- e/e_test_data.go --\npackage tests\n"+body+
		"-- f/ftest/f.go --\npackage f\n"+body)
}

// Whatever name a file gives to package time, it is seen through.
//
//kata:zh 无论文件给 time 包起什么名字，都能识破。
func TestNames(t *testing.T) {
	check(t, `
-- a/a_test.go --
package a

import clk "time"

func f() {
	clk.Sleep(1) // want "time.Sleep"
	(clk.Sleep)(1) // want "time.Sleep"
}
-- a/b_test.go --
package a

import . "time"

func g() Time {
	Sleep(1) // want "time.Sleep"
	sleep := Sleep // want "time.Sleep"
	sleep(2)
	return Now() // want "time.Now"
}
-- a/c_test.go --
package a

import (
	clock "time"
	_ "time"
)

var start = clock.Now() // want "time.Now"
`)
}

// What is only called like it is not reported: methods, other packages, variables, and what does not read the clock.
//
//kata:zh 只是同名的不报告：方法、别的包、变量，以及并不读取时钟的函数。
func TestInnocent(t *testing.T) {
	check(t, `
-- other/time/time.go --
package time

func Sleep(n int) {}
func Now() int { return 0 }
-- a/a_test.go --
package a

import "other/time"

func f() int {
	time.Sleep(1)
	return time.Now()
}
-- a/b_test.go --
package a

import "time"

type baby struct{ Now func() time.Time }

func (baby) Sleep(time.Duration) {}

type clock interface {
	Now() time.Time
	Since(time.Time) time.Duration
}

func Sleep(d time.Duration) {}

func g(b baby, c clock, t time.Time) bool {
	b.Sleep(time.Second)
	b.Now()
	c.Now()
	c.Since(t)
	Sleep(time.Minute)
	time.Unix(1, 0)
	return t.After(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
}

func h() {
	time := baby{}
	time.Sleep(1)
	time.Now()
}
`)
}

// What runs in a bubble of testing/synctest is left alone, and only that.
//
//kata:zh 在 testing/synctest 气泡里运行的代码不报告，也只有这些不报告。
func TestBubble(t *testing.T) {
	check(t, `
-- low/low.go --
package low

import "time"

func Pause() { time.Sleep(1) }
-- own/own.go --
package own

import "testing"

func Test(t *testing.T, f func(*testing.T)) { f(t) }
-- a/a_test.go --
package a

import (
	"low"
	"own"
	"testing"
	bubble "testing/synctest"
	"time"
)

func f(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		time.Sleep(1)
		low.Pause()
		func() { time.Now() }()
	})
	time.Sleep(1) // want "time.Sleep"
	bubble.Test(pick(t, time.Now()), func(*testing.T) { time.Now() }) // want "time.Now"
	bubble.Test(func() *testing.T { time.Sleep(1); return t }(), g) // want "time.Sleep"
	bubble.Test(t, g)
	own.Test(t, func(*testing.T) {
		time.Sleep(1) // want "time.Sleep"
	})
	bubble.Wait()
}

func g(t *testing.T) {
	time.Sleep(1) // want "time.Sleep"
}

func pick(t *testing.T, _ time.Time) *testing.T { return t }
-- a/b_test.go --
package a

import (
	"testing"
	. "testing/synctest"
	"time"
)

func h(t *testing.T) {
	Test(t, func(*testing.T) { time.Sleep(1) })
}
`)
}

// A call of a function that sleeps, itself or through others, is reported in test code: methods and generic functions too.
//
//kata:zh 测试代码里调用会睡眠的函数（自己睡，或经由其他函数），会被报告，方法和泛型函数也一样。
func TestCalls(t *testing.T) {
	check(t, `
-- a/a.go --
package a

import "time"

type Poller struct{}

func (p *Poller) Poll() { first(3) }

func (p Poller) Age(t time.Time) time.Duration { return time.Since(t) }

func first(n int) {
	if n > 0 {
		second(n)
	}
}

func second(n int) {
	first(n - 1)
	third()
}

func third() { if true { defer time.Sleep(1) } }

func Retry[T any](f func() T) T {
	third()
	return f()
}

type Queue[T any] struct{ items []T }

func (q *Queue[T]) Take() { third() }

func Background() {
	go func() { time.Sleep(1) }()
}

func With(sleep func(time.Duration)) { sleep(1) }

func Default() { With(time.Sleep) }

func Now() time.Time { return time.Now() }

func Wait() { <-time.After(1) }
-- a/a_test.go --
package a

var loaded = Retry[int](nil) // want "a.Retry"

type poller interface{ Poll() }

func f(i poller) {
	p := new(Poller)
	p.Poll() // want "Poll"
	Poller{}.Age(Now())
	first(2) // want "a.first"
	third() // want "a.third"
	Retry(func() int { return 1 }) // want "a.Retry"
	Retry[string](nil) // want "a.Retry"
	(*Poller).Poll(p) // want "Poll"
	new(Queue[int]).Take() // want "Take"
	run(func() {
		third() // want "a.third"
	})

	Background()
	Default()
	With(nil)
	Wait()
	i.Poll()
	poll := p.Poll
	poll()
}

func g() { f(nil) } // want "a.f"

func run(f func()) { f() }
`)
}

// It is known across packages which functions sleep.
//
//kata:zh 哪些函数会睡眠，跨包也知道。
func TestPackages(t *testing.T) {
	check(t, `
-- low/low.go --
package low

import "time"

type Conn struct{ backoff }

type backoff struct{}

func (backoff) Wait() { time.Sleep(1) }

func Dial() Conn { return Conn{} }
-- mid/mid.go --
package mid

import "low"

func Connect() {
	c := low.Dial()
	retry(c)
}

func retry(c low.Conn) { c.Wait() }

func Each[T any](list []T) { Connect() }
-- top/top.go --
package top

import m "mid"

func Start() { m.Connect() }
-- toptest/a.go --
package toptest

import (
	"low"
	"mid"
	. "top"
)

func f() {
	Start() // want "top.Start"
	mid.Connect() // want "mid.Connect"
	mid.Each([]int{1}) // want "mid.Each"
	low.Dial().Wait() // want "Wait"
}
`)
}

// Each fix alone, and all together, compile and leave nothing more to fix.
//
//kata:zh 每个修复单独应用、全部一起应用，都能编译，且不再有可修之处。
func TestFixes(t *testing.T) {
	for _, src := range []string{`
-- a/a_test.go --
package a

import "time"

func f() {
	start := time.Now()
	time.Sleep(time.Second)
	<-time.After(time.Since(start))
}
`, `
-- a/a_test.go --
package a

import (
	t "time"
)

var now = t.Now

func f() bool {
	defer t.NewTimer(1).Stop()
	return (t.Now)().IsZero()
}
-- a/b_test.go --
package a

import "fmt"
import . "time"

func g(clock int) { fmt.Println(clock) }

func h() {
	Sleep(Until(Now()))
	f := AfterFunc
	f(Second, nil)
}
`, `
-- a/a_test.go --
package a

import "time"

func f() time.Time {
	clock := time.Now()
	return clock
}
`} {
		fix(t, src, true)
	}
}

// A fix uses the import that is there already, and there is none where the name means something else.
//
//kata:zh 已有的导入会被沿用；名字另有所指的地方不给修复。
func TestFixNames(t *testing.T) {
	for _, src := range []string{`
-- a/a_test.go --
package a

import (
	c "company.example/clock"
	"time"
)

var start = c.Now()

func f() { time.Sleep(time.Second) }
`, `
-- a/a_test.go --
package a

import (
	"company.example/clock"
	"time"
)

var start = clock.Now()

func f() { time.Sleep(time.Second) }
`, `
-- a/a_test.go --
package a

import (
	. "company.example/clock"
	"time"
)

var start = Now()

func f(clock int) { time.Sleep(time.Duration(clock)) }
`} {
		fix(t, src, true)
	}
	for _, src := range []string{`
-- a/a_test.go --
package a

import "time"

func f(clock int) { time.Sleep(time.Duration(clock)) }
`, `
-- a/a_test.go --
package a

import "time"

func f() { time.Sleep(1) }
-- a/a.go --
package a

type clock struct{}
`, `
-- other/clock/clock.go --
package clock

func Tell() {}
-- a/a_test.go --
package a

import (
	"other/clock"
	"time"
)

func f() { time.Sleep(1); clock.Tell() }
`, `
-- a/a_test.go --
package a

import (
	c "company.example/clock"
	"time"
)

func f() { c := c.Now(); time.Sleep(c.Sub(c)) }
`, `
-- a/a_test.go --
package a

import (
	. "company.example/clock"
	"time"
)

var start = Now()

func f(Sleep int) { time.Sleep(time.Duration(Sleep)) }
`} {
		fix(t, src, false)
	}
}

// The tools take the analyzer: analysistest runs it on a program with the real standard library.
//
//kata:zh 工具链能使用这个分析器：analysistest 在含真实标准库的程序上运行它。
func TestAnalysistest(t *testing.T) {
	if err := analysis.Validate([]*analysis.Analyzer{analyzer.Analyzer}); err != nil {
		t.Fatalf("the tools refuse the analyzer: %v", err)
	}
	if name := analyzer.Analyzer.Name; name != "realclock" {
		t.Errorf("the analyzer is called %q, want realclock", name)
	}
	// What fails on an empty package need not see the library.
	if _, _, err := analyze(t, "-- a/a.go --\npackage a\n"); err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	// Most of what the standard library makes of memory lives until the end: collecting garbage would cost a third more,
	// and sharing the work among processors something, too.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for key, value := range map[string]string{
		"GOGC": "off", "GOMAXPROCS": "1", "GOFLAGS": "", // for the go command, which lists the packages
		"GOOS": "js", "GOARCH": "wasm", // a library as real as any, smaller than most, and the same on every machine
	} {
		t.Setenv(key, value)
	}
	analysistest.RunWithSuggestedFixes(reporter{t}, dir, analyzer.Analyzer, "poll", "polltest")
}

// reporter is all that analysistest needs of a test. Given the test itself, it would first build a program, to see
// whether there is a go command; loading the packages shows that, too.
type reporter struct{ t *testing.T }

func (r reporter) Errorf(format string, args ...any) {
	r.t.Helper()
	r.t.Errorf(format, args...)
}

// std is as much of the standard library as the programs here need, and the package that the fixes use.
// It takes milliseconds to load; the real one is for analysistest.
const std = `
-- time/time.go --
package time

type (
	Duration int64
	Month    int
	Time     struct{}
	Location struct{}
	Timer    struct{ C <-chan Time }
	Ticker   struct{ C <-chan Time }
)

const (
	Second Duration = 1e9
	Minute          = 60 * Second
)

var UTC *Location

func (Time) After(Time) bool    { return false }
func (Time) Sub(Time) Duration  { return 0 }
func (Time) IsZero() bool       { return true }
func (*Timer) Stop() bool       { return false }
func (*Ticker) Stop()           {}
func Unix(sec, nsec int64) Time { return Time{} }
func Date(year int, month Month, day, hour, min, sec, nsec int, loc *Location) Time {
	return Time{}
}

func Sleep(Duration)                    {}
func After(Duration) <-chan Time        { return nil }
func AfterFunc(Duration, func()) *Timer { return nil }
func Tick(Duration) <-chan Time         { return nil }
func NewTimer(Duration) *Timer          { return nil }
func NewTicker(Duration) *Ticker        { return nil }
func Now() Time                         { return Time{} }
func Since(Time) Duration               { return 0 }
func Until(Time) Duration               { return 0 }
-- testing/testing.go --
package testing

type T struct{}
-- testing/synctest/synctest.go --
package synctest

import "testing"

func Test(t *testing.T, f func(*testing.T)) {}
func Wait()                                 {}
-- fmt/fmt.go --
package fmt

func Println(...any) {}
-- company.example/clock/clock.go --
package clock

import "time"

func Sleep(time.Duration)                         {}
func After(time.Duration) <-chan time.Time        { return nil }
func AfterFunc(time.Duration, func()) *time.Timer { return nil }
func Tick(time.Duration) <-chan time.Time         { return nil }
func NewTimer(time.Duration) *time.Timer          { return nil }
func NewTicker(time.Duration) *time.Ticker        { return nil }
func Now() time.Time                              { return time.Time{} }
func Since(time.Time) time.Duration               { return 0 }
func Until(time.Time) time.Duration               { return 0 }
`

// finding is a diagnostic and where it is.
type finding struct {
	file string
	line int
	analysis.Diagnostic
	fset *token.FileSet
}

// check holds the diagnostics against the comments that begin with want.
func check(t *testing.T, src string) {
	t.Helper()
	findings, _, err := analyze(t, src)
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile(`"[^"]*"`)
	for _, f := range txtar.Parse([]byte(src)).Files {
		n := 0
		for line := range strings.Lines(string(f.Data)) {
			n++
			code, comment, _ := strings.Cut(line, "// want ")
			var got []string
			fixes := 0
			for _, d := range findings {
				if d.file == f.Name && d.line == n {
					got = append(got, d.Message)
					fixes += len(d.SuggestedFixes)
				}
			}
			want := quoted.FindAllString(comment, -1)
			rest := slices.Clone(got)
			for _, w := range want {
				i := slices.IndexFunc(rest, func(m string) bool { return strings.Contains(m, strings.Trim(w, `"`)) })
				if i < 0 {
					t.Errorf("%s:%d: %s\n\treported: %q, want a diagnostic with %s", f.Name, n, strings.TrimSpace(code), got, w)
					continue
				}
				rest = slices.Delete(rest, i, i+1)
			}
			if fixes > 0 && !strings.Contains(comment, `"time.`) {
				t.Errorf("%s:%d: %s\n\treported: %q, with a fix; want none: this is no use of package time", f.Name, n, strings.TrimSpace(code), got)
			}
			if len(rest) > 0 {
				t.Errorf("%s:%d: %s\n\treported: %q, want no such diagnostic here", f.Name, n, strings.TrimSpace(code), rest)
			}
		}
	}
}

// fix applies the fixes of src, each alone and all together. Or there must be none.
func fix(t *testing.T, src string, wanted bool) {
	t.Helper()
	findings, sources, err := analyze(t, src)
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) == 0 {
		t.Errorf("nothing is reported in%s", src)
	}
	type edit struct {
		file       string
		start, end int
		text       string
	}
	apply := func(what string, edits []edit, left int) {
		t.Helper()
		// Fixes that want the same import say the same; a driver merges that.
		slices.SortFunc(edits, func(a, b edit) int {
			return cmp.Or(cmp.Compare(b.file, a.file), cmp.Compare(b.start, a.start), cmp.Compare(b.end, a.end), cmp.Compare(b.text, a.text))
		})
		edits = slices.Compact(edits)
		fixed := maps.Clone(sources)
		for _, e := range edits {
			s := fixed[e.file]
			fixed[e.file] = s[:e.start] + e.text + s[e.end:]
		}
		var all strings.Builder
		for _, name := range slices.Sorted(maps.Keys(fixed)) {
			fmt.Fprintf(&all, "-- %s --\n%s", name, fixed[name])
		}
		after, cleaned, err := analyze(t, all.String())
		if err != nil {
			t.Errorf("%s: it does not compile any more: %v\nthe fixed program:\n%s", what, err, all.String())
			return
		}
		if len(after) != left {
			t.Errorf("%s: %d diagnostics are left, want %d\nthe fixed program:\n%s", what, len(after), left, all.String())
		}
		for name, s := range cleaned {
			if strings.Count(s, strconv.Quote(analyzer.Clock)) > 1 {
				t.Errorf("%s: %s imports %s twice:\n%s", what, name, analyzer.Clock, s)
			}
		}
	}

	var together []edit
	for _, d := range findings {
		where := fmt.Sprintf("%s:%d: %q", d.file, d.line, d.Message)
		if !wanted {
			if len(d.SuggestedFixes) > 0 {
				t.Errorf("%s has a fix, want none: the name that it would use means something else there, in%s", where, src)
			}
			continue
		}
		if len(d.SuggestedFixes) != 1 {
			t.Errorf("%s has %d fixes, want 1, in%s", where, len(d.SuggestedFixes), src)
			continue
		}
		var edits []edit
		for _, e := range d.SuggestedFixes[0].TextEdits {
			end := e.End
			if !end.IsValid() {
				end = e.Pos
			}
			f := d.fset.File(e.Pos)
			edits = append(edits, edit{nameOf(f.Name(), sources), f.Offset(e.Pos), f.Offset(end), string(e.NewText)})
		}
		apply("the fix of "+where, slices.Clone(edits), len(findings)-1)
		together = append(together, edits...)
	}
	if wanted && !t.Failed() {
		apply("all fixes together", together, 0)
	}
}

// nameOf returns the name in sources of a file on disk.
func nameOf(file string, sources map[string]string) string {
	for name := range sources {
		if strings.HasSuffix(filepath.ToSlash(file), "/src/"+name) {
			return name
		}
	}
	return file
}

// analyze loads the packages of src, runs the analyzer on them, and returns what it reports,
// and the files without imports that are not used.
func analyze(t *testing.T, src string) ([]finding, map[string]string, error) {
	t.Helper()
	library, err := loadStd()
	if err != nil {
		t.Fatalf("the suite's own fault: %v", err)
	}
	p := &program{
		dir:  filepath.Join(t.TempDir(), "src"), // an analyzer may read the files
		fset: library.fset,
		pkgs: maps.Clone(library.pkgs),
	}
	own, err := p.take(src)
	if err != nil {
		return nil, nil, err
	}
	var roots []*packages.Package
	for _, id := range slices.Compact(slices.Sorted(maps.Values(own))) {
		pkg, err := p.load(id)
		if err != nil {
			return nil, nil, err
		}
		roots = append(roots, pkg)
	}
	graph, err := checker.Analyze([]*analysis.Analyzer{analyzer.Analyzer}, roots, &checker.Options{SanityCheck: true})
	if err != nil {
		t.Fatalf("the tools refuse the analyzer: %v", err)
	}
	var findings []finding
	for _, act := range graph.Roots {
		if act.Err != nil {
			t.Fatalf("the analyzer failed on package %s: %v", act.Package.PkgPath, act.Err)
		}
		for _, d := range act.Diagnostics {
			at := p.fset.Position(d.Pos)
			f := finding{line: at.Line, Diagnostic: d, fset: p.fset}
			name, err := filepath.Rel(p.dir, at.Filename)
			if err != nil {
				t.Fatalf("the diagnostic %q has no place in a file", d.Message)
			}
			f.file = filepath.ToSlash(name)
			findings = append(findings, f)
		}
	}
	cleaned := map[string]string{}
	for name, id := range own {
		cleaned[name] = p.src[id][name]
	}
	return findings, cleaned, nil
}

// loadStd loads std, once for all programs. The grader gives each process a TMPDIR of its own and removes it.
var loadStd = sync.OnceValues(func() (*program, error) {
	dir, err := os.MkdirTemp("", "std")
	if err != nil {
		return nil, err
	}
	p := &program{dir: filepath.Join(dir, "src"), fset: token.NewFileSet(), pkgs: map[string]*packages.Package{}}
	own, err := p.take(std)
	if err != nil {
		return nil, err
	}
	for _, id := range own {
		if _, err := p.load(id); err != nil {
			return nil, err
		}
	}
	return p, nil
})

// program is what analyze loads: the driver of an analysis in small.
type program struct {
	dir  string
	fset *token.FileSet
	src  map[string]map[string]string // by package and file
	pkgs map[string]*packages.Package
}

// take reads the packages of an archive, and returns the package of each file.
func (p *program) take(archive string) (map[string]string, error) {
	p.src = map[string]map[string]string{}
	own := map[string]string{}
	for _, f := range txtar.Parse([]byte(archive)).Files {
		id := path.Dir(f.Name)
		file, err := parser.ParseFile(token.NewFileSet(), f.Name, f.Data, parser.PackageClauseOnly)
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(file.Name.Name, "_test") {
			id += "_test"
		}
		if p.src[id] == nil {
			p.src[id] = map[string]string{}
		}
		p.src[id][f.Name] = string(f.Data)
		own[f.Name] = id
	}
	return own, nil
}

func (p *program) Import(path string) (*types.Package, error) {
	pkg, err := p.load(path)
	if err != nil {
		return nil, err
	}
	return pkg.Types, nil
}

func (p *program) load(id string) (*packages.Package, error) {
	if pkg := p.pkgs[id]; pkg != nil {
		return pkg, nil
	}
	if p.src[id] == nil {
		return nil, fmt.Errorf("there is no package %q", id)
	}
	pkg, unused, err := p.typecheck(id)
	if err == nil && unused {
		// What a fix leaves unused, a driver removes.
		pkg, _, err = p.typecheck(id)
	}
	p.pkgs[id] = pkg
	return pkg, err
}

func (p *program) typecheck(id string) (*packages.Package, bool, error) {
	pkg := &packages.Package{
		ID: id, PkgPath: id, Fset: p.fset,
		Imports:    map[string]*packages.Package{},
		TypesSizes: types.SizesFor("gc", runtime.GOARCH),
		TypesInfo: &types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Instances: map[*ast.Ident]types.Instance{},
			Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}, Implicits: map[ast.Node]types.Object{},
			Selections: map[*ast.SelectorExpr]*types.Selection{}, Scopes: map[ast.Node]*types.Scope{},
			FileVersions: map[*ast.File]string{},
		},
	}
	for _, name := range slices.Sorted(maps.Keys(p.src[id])) {
		file := filepath.Join(p.dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(p.src[id][name]), 0o600)); err != nil {
			return nil, false, err
		}
		f, err := parser.ParseFile(p.fset, file, p.src[id][name], parser.ParseComments)
		if err != nil {
			return nil, false, err
		}
		pkg.Syntax = append(pkg.Syntax, f)
		pkg.Name = f.Name.Name
		pkg.CompiledGoFiles = append(pkg.CompiledGoFiles, file)
	}
	pkg.GoFiles = pkg.CompiledGoFiles

	unused := false
	var first error
	config := types.Config{Importer: p, GoVersion: "go1.26", Sizes: pkg.TypesSizes, Error: func(err error) {
		if te, ok := errors.AsType[types.Error](err); ok && strings.Contains(te.Msg, "imported") && strings.Contains(te.Msg, "not used") {
			unused = p.dropImport(id, pkg, te.Pos) || unused
			return
		}
		first = cmp.Or(first, err)
	}}
	pkg.Types, _ = config.Check(id, p.fset, pkg.Syntax, pkg.TypesInfo)
	for _, imported := range pkg.Types.Imports() {
		pkg.Imports[imported.Path()] = p.pkgs[imported.Path()]
	}
	return pkg, unused, first
}

// dropImport removes the import at pos from the source.
func (p *program) dropImport(id string, pkg *packages.Package, pos token.Pos) bool {
	for i, f := range pkg.Syntax {
		for _, spec := range f.Imports {
			if pos < spec.Pos() || spec.End() < pos {
				continue
			}
			name := ""
			if spec.Name != nil {
				name = spec.Name.Name
			}
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return false
			}
			// On a copy: this syntax tree is being checked.
			file := slices.Sorted(maps.Keys(p.src[id]))[i]
			fset := token.NewFileSet()
			again, err := parser.ParseFile(fset, file, p.src[id][file], parser.ParseComments)
			if err != nil {
				return false
			}
			astutil.DeleteNamedImport(fset, again, name, imported)
			var out bytes.Buffer
			if err := format.Node(&out, fset, again); err != nil {
				return false
			}
			p.src[id][file] = out.String()
			return true
		}
	}
	return false
}
