package analyzer_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/packages"

	"github.com/roadkata/roadkata/stage1/engineering/analyzer"
)

// standIn replaces package time: the real one drags the runtime in, which takes a second to load.
const standIn = `package time

type (
	Duration int64
	Time     struct{}
)

const (
	Second Duration = 1e9
	Minute          = 60 * Second
)

func Sleep(Duration)      {}
func Now() Time           { return Time{} }
func Since(Time) Duration { return 0 }
`

// TestExample runs the analyzer on the packages below testdata/src. The hidden suite does that too, with the real
// package time and by one line, which you can put into a test of your own:
//
//	analysistest.RunWithSuggestedFixes(t, analysistest.TestData(), analyzer.Analyzer, "poll", "polltest")
//
// It compares diagnostics and facts with the comments in testdata/src that begin with "want", and the fixed files
// with those called .golden.
func TestExample(t *testing.T) {
	p := example{}
	p.add(t, "time", "time.go", standIn)
	for _, path := range []string{"company.example/clock", "poll", "polltest"} {
		p.add(t, path, filepath.Join("testdata", "src", filepath.FromSlash(path), filepath.Base(path)+".go"), nil)
	}

	graph, err := checker.Analyze([]*analysis.Analyzer{analyzer.Analyzer}, []*packages.Package{p["poll"], p["polltest"]}, nil)
	if err != nil {
		t.Fatalf("the tools refuse the analyzer: %v", err)
	}
	var got []string
	for _, act := range graph.Roots {
		if act.Err != nil {
			t.Fatalf("the analyzer failed on package %s: %v", act.Package.PkgPath, act.Err)
		}
		for _, f := range act.AllObjectFacts() {
			if f.Object.Pkg() == act.Package.Types {
				got = append(got, fmt.Sprintf("%s.%s %v", f.Object.Pkg().Name(), f.Object.Name(), f.Fact))
			}
		}
		for _, d := range act.Diagnostics {
			at := act.Package.Fset.Position(d.Pos)
			name := "(no name)"
			for _, n := range []string{"poll.Until", "time.Now", "time.Sleep"} {
				if strings.Contains(d.Message, n) {
					name = n
					break
				}
			}
			got = append(got, fmt.Sprintf("%s:%d: %s, %d fix(es)", filepath.Base(at.Filename), at.Line, name, len(d.SuggestedFixes)))
		}
	}
	slices.Sort(got)
	want := []string{
		"poll.Until sleeps",
		"poll.pause sleeps",
		"polltest.Eventually sleeps",
		"polltest.go:10: time.Now, 1 fix(es)",
		"polltest.go:11: poll.Until, 0 fix(es)",
		"polltest.go:12: time.Sleep, 1 fix(es)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the facts and diagnostics are\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// example has the packages that have been type-checked, by path.
type example map[string]*packages.Package

// Import makes it a types.Importer.
func (p example) Import(path string) (*types.Package, error) {
	if p[path] == nil {
		return nil, fmt.Errorf("there is no package %q", path)
	}
	return p[path].Types, nil
}

// add parses and type-checks a package of one file; text is nil or stands for its content.
func (p example) add(t *testing.T, path, name string, text any) {
	t.Helper()
	pkg := &packages.Package{
		ID: path, PkgPath: path, Fset: token.NewFileSet(),
		Imports:    map[string]*packages.Package{},
		TypesSizes: types.SizesFor("gc", runtime.GOARCH),
		TypesInfo: &types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Instances: map[*ast.Ident]types.Instance{},
			Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}, Implicits: map[ast.Node]types.Object{},
			Selections: map[*ast.SelectorExpr]*types.Selection{}, Scopes: map[ast.Node]*types.Scope{},
			FileVersions: map[*ast.File]string{},
		},
	}
	if p["time"] != nil {
		pkg.Fset = p["time"].Fset
	}
	file, err := parser.ParseFile(pkg.Fset, name, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	pkg.Name, pkg.Syntax = file.Name.Name, []*ast.File{file}
	config := types.Config{Importer: p, GoVersion: "go1.26", Sizes: pkg.TypesSizes}
	if pkg.Types, err = config.Check(path, pkg.Fset, pkg.Syntax, pkg.TypesInfo); err != nil {
		t.Fatal(err)
	}
	for _, imported := range pkg.Types.Imports() {
		pkg.Imports[imported.Path()] = p[imported.Path()]
	}
	p[path] = pkg
}
