package rules

import (
	"bytes"
	"context"
	"fmt"
	"go/format"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/analysis/passes/appends"
	"golang.org/x/tools/go/analysis/passes/assign"
	"golang.org/x/tools/go/analysis/passes/atomic"
	"golang.org/x/tools/go/analysis/passes/bools"
	"golang.org/x/tools/go/analysis/passes/composite"
	"golang.org/x/tools/go/analysis/passes/copylock"
	"golang.org/x/tools/go/analysis/passes/defers"
	"golang.org/x/tools/go/analysis/passes/errorsas"
	"golang.org/x/tools/go/analysis/passes/httpresponse"
	"golang.org/x/tools/go/analysis/passes/ifaceassert"
	"golang.org/x/tools/go/analysis/passes/loopclosure"
	"golang.org/x/tools/go/analysis/passes/lostcancel"
	"golang.org/x/tools/go/analysis/passes/nilfunc"
	"golang.org/x/tools/go/analysis/passes/printf"
	"golang.org/x/tools/go/analysis/passes/shift"
	"golang.org/x/tools/go/analysis/passes/sigchanyzer"
	"golang.org/x/tools/go/analysis/passes/stdmethods"
	"golang.org/x/tools/go/analysis/passes/stringintconv"
	"golang.org/x/tools/go/analysis/passes/structtag"
	"golang.org/x/tools/go/analysis/passes/testinggoroutine"
	"golang.org/x/tools/go/analysis/passes/unmarshal"
	"golang.org/x/tools/go/analysis/passes/unreachable"
	"golang.org/x/tools/go/analysis/passes/unusedresult"
	"golang.org/x/tools/go/analysis/passes/waitgroup"
	"golang.org/x/tools/go/packages"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// Vet are the analyzers of go vet that read plain Go. go vet itself fails in
// folders that exist only in an overlay.
func Vet() []*analysis.Analyzer {
	return []*analysis.Analyzer{
		appends.Analyzer, assign.Analyzer, atomic.Analyzer, bools.Analyzer, composite.Analyzer, copylock.Analyzer,
		defers.Analyzer, errorsas.Analyzer, httpresponse.Analyzer, ifaceassert.Analyzer, loopclosure.Analyzer,
		lostcancel.Analyzer, nilfunc.Analyzer, printf.Analyzer, shift.Analyzer, sigchanyzer.Analyzer, stdmethods.Analyzer,
		stringintconv.Analyzer, structtag.Analyzer, testinggoroutine.Analyzer, unmarshal.Analyzer, unreachable.Analyzer,
		unusedresult.Analyzer, waitgroup.Analyzer,
	}
}

// Lint returns what gofmt and the analyzers say of right solutions.
func Lint(ctx context.Context, variants []*course.Variant, analyzers []*analysis.Analyzer) (map[*course.Variant][]course.Problem, error) {
	out := map[*course.Variant][]course.Problem{}
	for _, v := range variants {
		out[v] = Unformatted(v)
	}
	loaded, err := load(ctx, variants)
	if err != nil {
		return nil, err
	}
	var pkgs []*packages.Package
	owner := map[*packages.Package]*course.Variant{}
	learner := map[*packages.Package]map[string]bool{}
	for v, checked := range loaded {
		for _, t := range checked {
			if t.failed {
				continue // the build reports it
			}
			p := t.forAnalysis(v)
			pkgs = append(pkgs, p)
			owner[p] = v
			learner[p] = t.learnerFiles()
		}
	}
	if len(pkgs) == 0 {
		return out, nil
	}
	graph, err := checker.Analyze(analyzers, pkgs, nil)
	if err != nil {
		return nil, fmt.Errorf("run the analyzers: %w", err)
	}
	for _, act := range graph.Roots {
		v := owner[act.Package]
		if act.Err != nil {
			return nil, fmt.Errorf("%s on %s: %w", act.Analyzer.Name, act.Package.PkgPath, act.Err)
		}
		for _, d := range act.Diagnostics {
			pos := act.Package.Fset.Position(d.Pos)
			if !learner[act.Package][pos.Filename] {
				continue
			}
			pos.Filename = course.RelTo(v.Kata.Root, pos.Filename)
			out[v] = append(out[v], course.Problem{Kind: "lint", At: pos.String(), Text: act.Analyzer.Name + ": " + d.Message})
		}
	}
	for v := range out {
		slices.SortFunc(out[v], func(a, b course.Problem) int { return strings.Compare(a.At+a.Text, b.At+b.Text) })
	}
	return out, nil
}

// Unformatted names the Go files of v that gofmt would change.
func Unformatted(v *course.Variant) []course.Problem {
	var out []course.Problem
	for _, rel := range slices.Sorted(maps.Keys(v.Files)) {
		if !strings.HasSuffix(rel, ".go") {
			continue
		}
		src, err := os.ReadFile(v.Files[rel])
		if err != nil {
			continue
		}
		if formatted, err := format.Source(src); err == nil && !bytes.Equal(src, formatted) {
			out = append(out, course.Problem{Kind: "lint", At: course.RelTo(v.Kata.Root, v.Files[rel]), Text: "gofmt would change it; run gofmt -w"})
		}
	}
	return out
}
