// The suite runs the tools in process on the learner's file, and the package through its API.
//
//kata:level 2
//kata:minutes 40
//kata:engine real go vet and modernize analyzers
//kata:race
//kata:solo
//kata:timeout 90s
package vetclean_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/appends"
	"golang.org/x/tools/go/analysis/passes/assign"
	"golang.org/x/tools/go/analysis/passes/atomic"
	"golang.org/x/tools/go/analysis/passes/bools"
	"golang.org/x/tools/go/analysis/passes/buildtag"
	"golang.org/x/tools/go/analysis/passes/copylock"
	"golang.org/x/tools/go/analysis/passes/defers"
	"golang.org/x/tools/go/analysis/passes/directive"
	"golang.org/x/tools/go/analysis/passes/errorsas"
	"golang.org/x/tools/go/analysis/passes/ifaceassert"
	"golang.org/x/tools/go/analysis/passes/loopclosure"
	"golang.org/x/tools/go/analysis/passes/lostcancel"
	"golang.org/x/tools/go/analysis/passes/modernize"
	"golang.org/x/tools/go/analysis/passes/nilfunc"
	"golang.org/x/tools/go/analysis/passes/printf"
	"golang.org/x/tools/go/analysis/passes/shift"
	"golang.org/x/tools/go/analysis/passes/stdmethods"
	"golang.org/x/tools/go/analysis/passes/stringintconv"
	"golang.org/x/tools/go/analysis/passes/structtag"
	"golang.org/x/tools/go/analysis/passes/timeformat"
	"golang.org/x/tools/go/analysis/passes/unreachable"
	"golang.org/x/tools/go/analysis/passes/unusedresult"
	"golang.org/x/tools/go/analysis/passes/waitgroup"

	"github.com/roadkata/roadkata/stage1/engineering/vetclean"
	"github.com/roadkata/roadkata/stage1/internal/kit/stall"
)

// gofmt would change nothing.
//
//kata:zh gofmt 没有任何要改的地方。
func TestFormatted(t *testing.T) {
	text := read(t)
	want, err := format.Source(text)
	if err != nil {
		t.Fatalf("gofmt vetclean.go: %v", err)
	}
	got, formatted := strings.Split(string(text), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(got), len(formatted)) {
		if got[i] != formatted[i] {
			t.Fatalf("gofmt would change vetclean.go:%d: it reads\n\t%q\nwant\n\t%q", i+1, got[i], formatted[i])
		}
	}
	if len(got) != len(formatted) {
		t.Fatalf("gofmt would change the end of vetclean.go: %d lines, want %d", len(got), len(formatted))
	}
}

// go vet has nothing to say: no lock is copied, no cancel function lost, no verb wrong.
//
//kata:zh go vet 无话可说：没有复制的锁，没有丢掉的 cancel，没有用错的格式化动词。
func TestVet(t *testing.T) {
	silent(t, "go vet", []*analysis.Analyzer{
		appends.Analyzer, assign.Analyzer, atomic.Analyzer, bools.Analyzer, buildtag.Analyzer, copylock.Analyzer,
		defers.Analyzer, directive.Analyzer, errorsas.Analyzer, ifaceassert.Analyzer, loopclosure.Analyzer,
		lostcancel.Analyzer, nilfunc.Analyzer, printf.Analyzer, shift.Analyzer, stdmethods.Analyzer,
		stringintconv.Analyzer, structtag.Analyzer, timeformat.Analyzer, unreachable.Analyzer, unusedresult.Analyzer,
		waitgroup.Analyzer,
	})
}

// The modernizers of go fix find no old idiom.
//
//kata:zh go fix 的现代化分析器找不到旧写法。
func TestModern(t *testing.T) {
	silent(t, "go fix", modernize.Suite)
}

// No value is compared with true or false (S1002), nothing goes to _ without need (S1005), no value is stored and never read (SA4006).
//
//kata:zh 没有与 true、false 的比较（S1002），没有多余的 _（S1005），没有存了却从不读取的值（SA4006）。
func TestStaticcheck(t *testing.T) {
	f := load(t)
	ast.Inspect(f.file, func(n ast.Node) bool {
		if n != nil {
			for _, found := range [...]string{f.s1002(n), f.s1005(n), f.sa4006(n)} {
				if found != "" {
					t.Errorf("staticcheck: vetclean.go:%d: %s", f.fset.PositionFor(n.Pos(), false).Line, found)
				}
			}
		}
		return true
	})
}

// No comment tells a tool to look away.
//
//kata:zh 没有让工具闭嘴的注释。
func TestNothingSilenced(t *testing.T) {
	loud := regexp.MustCompile(`(?i)^(//|/\*)\s*(nolint|lint:|#nosec|nosec|revive:|golangci|staticcheck:|exhaustive:|nocover|line )|^// Code generated .* DO NOT EDIT\.$|^//(go:|\s*\+build)`)
	f := load(t)
	for _, group := range f.file.Comments {
		for _, c := range group.List {
			if loud.MatchString(c.Text) {
				t.Errorf("vetclean.go:%d: the comment %q silences a tool; want what it complains of mended",
					f.fset.PositionFor(c.Pos(), false).Line, c.Text)
			}
		}
	}
}

// Each branch has the whole limit to itself, and its context lives until it has been read, no longer.
//
//kata:zh 每个分店独享完整的时限；它的 context 活到读完为止，不会更久。
func TestLimit(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		var opened []context.Context
		over := func(when string) {
			t.Helper()
			for i, ctx := range opened {
				if ctx.Err() == nil {
					t.Fatalf("%s, the context of branch %d, which had been read, was still alive: want it cancelled", when, i+1)
				}
			}
		}
		c := vetclean.New(open(func(ctx context.Context, branch string) (io.ReadCloser, error) {
			over("when " + branch + " was opened")
			if ctx.Err() != nil {
				t.Fatalf("Open(%s) got a context that had ended: %v", branch, ctx.Err())
			}
			if ctx.Value(key{}) != "caller's" {
				t.Fatalf("Open(%s) got a context that does not descend from the one given to Load", branch)
			}
			opened = append(opened, ctx)
			switch branch {
			case "gone":
				return nil, errors.New("gone")
			case "slow":
				<-ctx.Done()
				return nil, ctx.Err()
			case "bad":
				return text("tea"), nil
			}
			time.Sleep(400 * time.Millisecond)
			r := strings.NewReader("tea 1\n")
			return io.NopCloser(readFunc(func(p []byte) (int, error) {
				if branch == "stalls" {
					<-ctx.Done()
				}
				time.Sleep(100 * time.Millisecond)
				if ctx.Err() != nil {
					return 0, ctx.Err()
				}
				return r.Read(p)
			})), nil
		}), time.Second)
		parent, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "caller's"), time.Hour)
		defer cancel()
		for _, branch := range []string{"slow", "stalls"} {
			start := time.Now()
			c.Load(parent, branch)
			if took := time.Since(start); took < 900*time.Millisecond || took > 1200*time.Millisecond {
				t.Fatalf("Load(%s), which waits for its context to end, took %v, limit 1 s; want 1 s", branch, took)
			}
		}
		opened = nil // the next three are the first
		if err := c.Load(parent, "north", "south", "west"); err != nil {
			t.Fatalf("Load of three branches that take 0.6 s each, limit 1 s = %v, want nil: each has the limit to itself, and needs its context until it has been read", err)
		}
		over("after Load")
		for _, branch := range []string{"gone", "bad"} {
			c.Load(parent, branch) // what it returns is TestErrors' affair
			over("after Load(" + branch + "), which failed")
		}
	})
}

// Every file is closed, once, before the next one is opened, whatever became of it.
//
//kata:zh 不论结果如何，每个文件都在打开下一个之前关闭，且只关闭一次。
func TestClosed(t *testing.T) {
	closed := map[string]int{}
	last := ""
	c := vetclean.New(open(func(_ context.Context, branch string) (io.ReadCloser, error) {
		if last != "" && closed[last] != 1 {
			t.Errorf("when %s was opened, %s had been closed %d times; want once", branch, last, closed[last])
		}
		last = branch
		content := io.Reader(strings.NewReader("tea 1\n"))
		switch branch {
		case "short":
			content = strings.NewReader("tea\n")
		case "bad":
			content = strings.NewReader("tea ten\n")
		case "breaks":
			content = iotest.ErrReader(errors.New("broken pipe"))
		}
		return &file{content, func() error { closed[branch]++; return errors.New("close failed") }}, nil
	}), time.Second)
	if err := c.Load(t.Context(), "north", "south", "west"); err != nil {
		t.Fatalf("Load of files whose Close fails = %v, want nil: they have been read", err)
	}
	for _, branch := range []string{"short", "bad", "breaks"} {
		c.Load(t.Context(), branch)
	}
	for _, branch := range []string{"north", "south", "west", "short", "bad", "breaks"} {
		if closed[branch] != 1 {
			t.Errorf("after Load, %s has been closed %d times; want once", branch, closed[branch])
		}
	}
}

// The first failure ends Load, is returned with its branch, line and cause, and nothing of its branch counts.
//
//kata:zh 第一个失败使 Load 结束，返回时带着分店、行号和原因，并且该分店的数字一个也不计入。
func TestErrors(t *testing.T) {
	errPipe := errors.New("broken pipe")
	for _, c := range []struct {
		content io.Reader // nil: Open fails
		want    string
		is      error
	}{
		{strings.NewReader("tea 5\n\n# a comment\ncoffee ten\ntea 1\n"), `load east: line 4: strconv.Atoi: parsing "ten": invalid syntax`, strconv.ErrSyntax},
		{strings.NewReader("tea 5\ncoffee 99999999999999999999\n"), `load east: line 2: strconv.Atoi: parsing "99999999999999999999": value out of range`, strconv.ErrRange},
		{strings.NewReader("tea 5\ncoffee\n"), "load east: line 2: want a product and an amount", nil},
		{strings.NewReader("green tea 5\n"), "load east: line 1: want a product and an amount", nil},
		{io.MultiReader(strings.NewReader("tea 5\n"), iotest.ErrReader(errPipe)), "load east: broken pipe", errPipe},
		{nil, "load east: broken pipe", errPipe},
	} {
		var opened []string
		l := vetclean.New(open(func(_ context.Context, branch string) (io.ReadCloser, error) {
			opened = append(opened, branch)
			if branch != "east" {
				return text("tea 1\n"), nil
			}
			if c.content == nil {
				return nil, errPipe
			}
			return io.NopCloser(c.content), nil
		}), time.Second)
		err := l.Load(t.Context(), "north", "east", "west")
		if err == nil || err.Error() != c.want {
			t.Fatalf("Load(north, east, west) = %v, want %s", err, c.want)
		}
		if c.is != nil && !errors.Is(err, c.is) {
			t.Fatalf("Load = %v, which errors.Is does not trace to %v", err, c.is)
		}
		if want := []string{"north", "east"}; !slices.Equal(opened, want) {
			t.Fatalf("Load(north, east, west), where east fails, opened %v, want %v", opened, want)
		}
		if got, want := report(t, l), "tea 1\n"; got != want {
			t.Fatalf("after Load(north, east, west), where east fails, the report is %q, want %q: all of north, nothing of east", got, want)
		}
	}
}

// A report shows the totals of one moment, sorted and aligned, and a slow writer holds up neither Load nor another report.
//
//kata:zh 报告反映同一时刻的合计，排好序、对齐；写得慢的 Writer 既不拖住 Load，也不拖住别的报告。
func TestReport(t *testing.T) {
	fresh := func() *vetclean.Collector {
		return vetclean.New(open(func(_ context.Context, branch string) (io.ReadCloser, error) {
			return text("# the figures\n\nTea 3\n  espresso\t 10\nTEA -1\nmate 4\n"), nil
		}), time.Minute)
	}
	const once, twice = "espresso 10\nmate     4\ntea      2\n", "espresso 20\nmate     8\ntea      4\n"

	c := fresh()
	if got := report(t, c); got != "" {
		t.Fatalf("the report before any Load is %q, want nothing", got)
	}
	if err := c.Load(t.Context(), "north"); err != nil {
		t.Fatalf("Load(north) = %v", err)
	}
	if got := report(t, c); got != once {
		t.Fatalf("the report is\n%s\nwant\n%s", got, once)
	}

	c = vetclean.New(open(func(context.Context, string) (io.ReadCloser, error) { return text("tea 3\ntea -3\ncoffee 0\n"), nil }), time.Minute)
	if err := c.Load(t.Context(), "north"); err != nil {
		t.Fatalf("Load of tea 3, tea -3, coffee 0 = %v", err)
	}
	if got, want := report(t, c), "coffee 0\ntea    0\n"; got != want {
		t.Fatalf("after Load of tea 3, tea -3, coffee 0 the report is\n%s\nwant a line for each product, also if its total is 0:\n%s", got, want)
	}

	c = fresh()
	if err := c.Load(t.Context(), "north"); err != nil {
		t.Fatalf("Load(north) = %v", err)
	}
	errFull := errors.New("disk full")
	if err := c.Report(writeFunc(func([]byte) (int, error) { return 0, errFull })); !errors.Is(err, errFull) {
		t.Fatalf("Report to a writer that fails = %v, want its error %v", err, errFull)
	}

	// While the report is being written, another branch comes in, and another report is asked for.
	var out, other bytes.Buffer
	done := make(chan error, 1)
	began, held := false, false
	err := c.Report(writeFunc(func(p []byte) (int, error) {
		if !began {
			began = true
			go func() { done <- errors.Join(c.Load(t.Context(), "south"), c.Report(&other)) }()
			if err, ok := stall.Receive(done); ok {
				done <- err
			} else {
				held = true
			}
		}
		return out.Write(p)
	}))
	if err := errors.Join(err, <-done); err != nil {
		t.Fatalf("Load and Report while a report is being written: %v", err)
	}
	if held {
		t.Fatal("while Report waited for its writer, a Load and another Report did not come back: every goroutine waits; want the lock held only while the totals are copied")
	}
	if got := out.String(); got != once {
		t.Fatalf("the report, during which another branch was loaded, is\n%s\nwant the totals as they were when it began:\n%s", got, once)
	}
	if got := other.String(); got != twice {
		t.Fatalf("the report after the second branch is\n%s\nwant\n%s", got, twice)
	}

	// Every load adds one to every product: a report of one moment shows the same total for all.
	// Besides, the suite is built with the race detector, which sees what no lock keeps apart. Many short
	// loads show more than few long ones: what takes time is parsing.
	const products, goroutines, loads = 40, 4, 40
	var file strings.Builder
	for i := range products {
		fmt.Fprintf(&file, "p%d 1\n", i)
	}
	c = vetclean.New(open(func(context.Context, string) (io.ReadCloser, error) { return text(file.String()), nil }), time.Minute)
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range loads {
				if err := c.Load(t.Context(), "north"); err != nil {
					t.Errorf("Load, called by four goroutines = %v", err)
				}
				var b strings.Builder
				c.Report(&b)
				fields := strings.Fields(b.String())
				if len(fields) != 2*products {
					t.Errorf("while branches of %d products were loaded, a report had %d fields, want %d", products, len(fields), 2*products)
					return
				}
				for i := 1; i < len(fields); i += 2 {
					if fields[i] != fields[1] {
						t.Errorf("while every load added 1 to every product, one report showed %s %s and %s %s: want the totals of one moment",
							fields[0], fields[1], fields[i-1], fields[i])
						return
					}
				}
			}
		})
	}
	wg.Wait()
	total := goroutines * loads
	if got := strings.Count(report(t, c), fmt.Sprintf(" %d\n", total)); got != products && !t.Failed() {
		t.Fatalf("after %d loads by four goroutines %d of %d products have the total %d; want all", total, got, products, total)
	}
}

func report(t *testing.T, c *vetclean.Collector) string {
	t.Helper()
	var b strings.Builder
	if err := c.Report(&b); err != nil {
		t.Fatalf("Report = %v", err)
	}
	return b.String()
}

type open func(ctx context.Context, branch string) (io.ReadCloser, error)

func (f open) Open(ctx context.Context, branch string) (io.ReadCloser, error) { return f(ctx, branch) }

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

type writeFunc func(p []byte) (int, error)

func (f writeFunc) Write(p []byte) (int, error) { return f(p) }

type file struct {
	io.Reader
	close func() error
}

func (f *file) Close() error { return f.close() }

func text(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

// silent fails if one of the analyzers has something to say about the learner's file.
func silent(t *testing.T, tool string, analyzers []*analysis.Analyzer) {
	t.Helper()
	f := load(t)
	for _, a := range analyzers {
		if err := f.run(a); err != nil {
			t.Fatalf("%s: analyzer %s: %v", tool, a.Name, err)
		}
	}
	for _, a := range analyzers {
		for _, d := range f.said[a] {
			t.Errorf("%s: vetclean.go:%d: %s (%s)", tool, f.fset.PositionFor(d.Pos, false).Line, d.Message, a.Name)
		}
	}
}

// checked is the learner's file, type-checked, with what analyzers have found so far.
type checked struct {
	fset    *token.FileSet
	file    *ast.File
	pkg     *types.Package
	info    *types.Info
	results map[*analysis.Analyzer]any
	said    map[*analysis.Analyzer][]analysis.Diagnostic
	facts   map[factKey]analysis.Fact
}

type factKey struct {
	of   any // a types.Object or a *types.Package
	kind reflect.Type
}

func path() string { return filepath.Join(os.Getenv("ROADKATA_FILES"), "vetclean.go") }

func read(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(path())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// load returns the file, which is read and type-checked once a process. Tests run one after the other and may share what
// the analyzers have found.
func load(t *testing.T) *checked {
	t.Helper()
	f, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var loaded = sync.OnceValues(func() (*checked, error) {
	f := &checked{
		fset: token.NewFileSet(),
		info: &types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Instances: map[*ast.Ident]types.Instance{},
			Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
			Implicits: map[ast.Node]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{},
			Scopes: map[ast.Node]*types.Scope{}, FileVersions: map[*ast.File]string{},
		},
		results: map[*analysis.Analyzer]any{},
		said:    map[*analysis.Analyzer][]analysis.Diagnostic{},
		facts:   map[factKey]analysis.Fact{},
	}
	var err error
	if f.file, err = parser.ParseFile(f.fset, path(), nil, parser.ParseComments|parser.SkipObjectResolution); err != nil {
		return nil, err
	}
	exports, err := exportData(f.file)
	if err != nil {
		return nil, err
	}
	conf := types.Config{GoVersion: "go1.26", Importer: importer.ForCompiler(f.fset, "gc", exports)}
	f.pkg, err = conf.Check("github.com/roadkata/roadkata/stage1/engineering/vetclean", f.fset, []*ast.File{f.file}, f.info)
	return f, err
})

// exportData asks the go command where the compiled packages lie that the file imports.
func exportData(file *ast.File) (importer.Lookup, error) {
	args := []string{"list", "-export", "-f", "{{.ImportPath}}={{.Export}}"}
	for _, spec := range file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		if path != "unsafe" {
			args = append(args, path)
		}
	}
	cmd := exec.Command("go", args...)
	// A garbage collector and more threads cost such a short command more than they bring.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOGC=off", "GOMAXPROCS=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("go list -export: %v\n%s", err, out)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if path, export, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			files[path] = export
		}
	}
	return func(path string) (io.ReadCloser, error) {
		if files[path] == "" {
			return nil, fmt.Errorf("no export data for %s", path)
		}
		return os.Open(files[path])
	}, nil
}

// run runs an analyzer after those that it requires. What other packages would tell it (facts), it does not hear.
func (f *checked) run(a *analysis.Analyzer) error {
	if _, ok := f.results[a]; ok {
		return nil
	}
	results := map[*analysis.Analyzer]any{}
	for _, r := range a.Requires {
		if err := f.run(r); err != nil {
			return err
		}
		results[r] = f.results[r]
	}
	pass := &analysis.Pass{
		Analyzer: a, Fset: f.fset, Files: []*ast.File{f.file}, Pkg: f.pkg, TypesInfo: f.info,
		TypesSizes: types.SizesFor("gc", "amd64"), ResultOf: results, ReadFile: os.ReadFile,
		Module:            &analysis.Module{Path: "github.com/roadkata/roadkata/stage1", GoVersion: "1.26"},
		Report:            func(d analysis.Diagnostic) { f.said[a] = append(f.said[a], d) },
		ImportObjectFact:  func(o types.Object, into analysis.Fact) bool { return f.fact(o, into) },
		ExportObjectFact:  func(o types.Object, fact analysis.Fact) { f.facts[factKey{o, reflect.TypeOf(fact)}] = fact },
		ImportPackageFact: func(p *types.Package, into analysis.Fact) bool { return f.fact(p, into) },
		AllObjectFacts:    func() []analysis.ObjectFact { return nil },
		AllPackageFacts:   func() []analysis.PackageFact { return nil },
	}
	pass.ExportPackageFact = func(fact analysis.Fact) { f.facts[factKey{f.pkg, reflect.TypeOf(fact)}] = fact }
	var err error
	f.results[a], err = a.Run(pass)
	return err
}

func (f *checked) fact(of any, into analysis.Fact) bool {
	fact, ok := f.facts[factKey{of, reflect.TypeOf(into)}]
	if ok {
		reflect.ValueOf(into).Elem().Set(reflect.ValueOf(fact).Elem())
	}
	return ok
}

func (f *checked) s1002(n ast.Node) string {
	e, ok := n.(*ast.BinaryExpr)
	if !ok || e.Op != token.EQL && e.Op != token.NEQ {
		return ""
	}
	for _, operand := range []ast.Expr{e.X, e.Y} {
		if id, ok := ast.Unparen(operand).(*ast.Ident); ok {
			if o := f.info.Uses[id]; o == types.Universe.Lookup("true") || o == types.Universe.Lookup("false") {
				return fmt.Sprintf("a comparison with %s says nothing that the other side does not say (S1002)", id.Name)
			}
		}
	}
	return ""
}

func (f *checked) s1005(n ast.Node) string {
	const found = "an assignment to _ that is not needed (S1005)"
	switch n := n.(type) {
	case *ast.RangeStmt:
		if blank(n.Value) || n.Value == nil && blank(n.Key) {
			return found
		}
	case *ast.AssignStmt:
		if len(n.Rhs) != 1 || !blank(n.Lhs[len(n.Lhs)-1]) {
			return ""
		}
		switch e := ast.Unparen(n.Rhs[0]).(type) {
		case *ast.UnaryExpr:
			if e.Op == token.ARROW {
				return found
			}
		case *ast.IndexExpr:
			if _, ok := f.info.TypeOf(e.X).Underlying().(*types.Map); ok && len(n.Lhs) == 2 {
				return found
			}
		}
	}
	return ""
}

func blank(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "_"
}

// sa4006 finds what needs no flow analysis: a function's variable that is read nowhere behind the assignment, which stands
// in no loop or function literal that the variable outlives.
func (f *checked) sa4006(n ast.Node) string {
	a, ok := n.(*ast.AssignStmt)
	if !ok || a.Tok != token.ASSIGN && a.Tok != token.DEFINE {
		return ""
	}
	for _, left := range a.Lhs {
		id, ok := left.(*ast.Ident)
		if !ok || id.Name == "_" {
			continue
		}
		o := f.info.ObjectOf(id)
		if o == nil || o.Parent() == f.pkg.Scope() || f.read(o, a) {
			continue
		}
		return fmt.Sprintf("the value stored in %s is never read (SA4006)", id.Name)
	}
	return ""
}

// read reports whether o may be read after the assignment.
func (f *checked) read(o types.Object, a *ast.AssignStmt) bool {
	stored := map[*ast.Ident]bool{}
	may := false
	ast.Inspect(f.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok == token.ASSIGN || n.Tok == token.DEFINE {
				for _, left := range n.Lhs {
					if id, ok := left.(*ast.Ident); ok {
						stored[id] = true
					}
				}
			}
		case *ast.ForStmt:
			may = may || within(a, n) && !declares(n.Body, o)
		case *ast.RangeStmt:
			may = may || within(a, n) && !declares(n.Body, o)
		case *ast.FuncLit:
			// A literal that shares the variable may run at any time.
			may = may || !declares(n, o) && f.mentions(n, o) || n.Type.Results != nil && declares(n.Type.Results, o)
		case *ast.FuncDecl:
			// A named result is read by every return.
			may = may || n.Type.Results != nil && declares(n.Type.Results, o)
		case *ast.UnaryExpr:
			if id, ok := n.X.(*ast.Ident); ok && n.Op == token.AND && f.info.Uses[id] == o {
				may = true
			}
		}
		return true
	})
	for id, used := range f.info.Uses {
		if used == o && !stored[id] && id.Pos() >= a.End() {
			may = true
		}
	}
	return may
}

func within(inner, outer ast.Node) bool {
	return outer.Pos() <= inner.Pos() && inner.End() <= outer.End()
}

func declares(n ast.Node, o types.Object) bool { return n.Pos() <= o.Pos() && o.Pos() < n.End() }

func (f *checked) mentions(n ast.Node, o types.Object) bool {
	for id, used := range f.info.Uses {
		if used == o && within(id, n) {
			return true
		}
	}
	return false
}
