// Package analyzer finds tests that depend on the real clock.
package analyzer

import (
	"go/ast"
	"go/types"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/inspect"
	"golang.org/x/tools/go/ast/inspector"
	"golang.org/x/tools/go/types/typeutil"
)

// Clock is the import path of the package whose functions stand in for those
// of package time.
const Clock = "company.example/clock"

// Analyzer reports where test code uses the real clock.
var Analyzer = &analysis.Analyzer{
	Name:      "realclock",
	Doc:       "report tests that depend on the real clock\n\nUse a clock of your own, or testing/synctest.",
	Run:       run,
	Requires:  []*analysis.Analyzer{inspect.Analyzer},
	FactTypes: []analysis.Fact{(*waits)(nil)},
}

// waits names the function through which a function comes to time.Sleep.
type waits struct{ Through string }

func (*waits) AFact()         {}
func (*waits) String() string { return "sleeps" }

// clock is what a name of package time is in the table.
var clock = map[string]bool{
	"After": true, "AfterFunc": true, "NewTicker": true, "NewTimer": true, "Now": true,
	"Since": true, "Sleep": true, "Tick": true, "Until": true,
}

func run(pass *analysis.Pass) (any, error) {
	in := pass.ResultOf[inspect.Analyzer].(*inspector.Inspector)
	marks(pass, in)

	in.WithStack([]ast.Node{new(ast.Ident), new(ast.CallExpr)}, func(n ast.Node, push bool, stack []ast.Node) bool {
		if !push || !test(pass, stack[0].(*ast.File)) {
			return false
		}
		if inBubble(pass, stack) {
			return false
		}
		if call, ok := n.(*ast.CallExpr); ok {
			if f := typeutil.StaticCallee(pass.TypesInfo, call); f != nil && pass.ImportObjectFact(f.Origin(), new(waits)) {
				pass.ReportRangef(call, "%s ends in time.Sleep", f.FullName())
			}
			return true
		}
		id := n.(*ast.Ident)
		f, ok := pass.TypesInfo.Uses[id].(*types.Func)
		if !ok || !clock[f.Name()] || f.FullName() != "time."+f.Name() {
			return true
		}
		var expr ast.Expr = id
		if sel, ok := stack[len(stack)-2].(*ast.SelectorExpr); ok {
			expr = sel
		}
		pass.Report(analysis.Diagnostic{
			Pos:            expr.Pos(),
			Message:        "real clock: time." + f.Name(),
			SuggestedFixes: fixes(pass, stack[0].(*ast.File), expr, f.Name()),
		})
		return true
	})
	return nil, nil
}

func test(pass *analysis.Pass, file *ast.File) bool {
	name := filepath.Base(pass.Fset.Position(file.Package).Filename)
	return strings.HasSuffix(name, "_test.go") || strings.HasSuffix(file.Name.Name, "test")
}

// marks exports facts, backwards from the functions that sleep themselves.
func marks(pass *analysis.Pass, in *inspector.Inspector) {
	callers := map[types.Object][]types.Object{}
	var todo []types.Object
	in.WithStack([]ast.Node{new(ast.CallExpr)}, func(n ast.Node, push bool, stack []ast.Node) bool {
		if !push {
			return false
		}
		var caller types.Object
		for _, outer := range stack {
			switch outer := outer.(type) {
			case *ast.FuncDecl:
				caller = pass.TypesInfo.Defs[outer.Name]
			case *ast.FuncLit:
				return false
			}
		}
		callee := typeutil.StaticCallee(pass.TypesInfo, n.(*ast.CallExpr))
		if caller == nil || callee == nil {
			return true
		}
		callee = callee.Origin()
		callers[callee] = append(callers[callee], caller)
		if callee.FullName() == "time.Sleep" || pass.ImportObjectFact(callee, new(waits)) {
			todo = append(todo, caller)
		}
		return true
	})
	for len(todo) > 0 {
		f := todo[0]
		todo = todo[1:]
		if !pass.ImportObjectFact(f, new(waits)) {
			pass.ExportObjectFact(f, &waits{Through: f.Name()})
			todo = append(todo, callers[f]...)
		}
	}
}

// inBubble reports whether a node lies in a function literal that is an argument of synctest.Test.
func inBubble(pass *analysis.Pass, stack []ast.Node) bool {
	for i, n := range stack[:len(stack)-1] {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			continue
		}
		if f, ok := typeutil.Callee(pass.TypesInfo, call).(*types.Func); !ok || f.FullName() != "testing/synctest.Test" {
			continue
		}
		if _, ok := stack[i+1].(*ast.FuncLit); ok {
			return true
		}
	}
	return false
}

// fixes returns no fix where the name is taken.
func fixes(pass *analysis.Pass, file *ast.File, expr ast.Expr, name string) []analysis.SuggestedFix {
	as := "clock"
	edits := []analysis.TextEdit{{Pos: file.Name.End(), End: file.Name.End(), NewText: []byte("\n\nimport " + `"` + Clock + `"`)}}
	for _, spec := range file.Imports {
		if spec.Path.Value == `"`+Clock+`"` {
			as, edits = pass.TypesInfo.PkgNameOf(spec).Name(), nil
		}
	}
	text := as + "." + name
	if as == "." {
		as, text = name, name
	}
	_, taken := pass.TypesInfo.Scopes[file].Innermost(expr.Pos()).LookupParent(as, expr.Pos())
	switch taken := taken.(type) {
	case nil:
	case *types.PkgName:
		if taken.Imported().Path() != Clock {
			return nil
		}
	case *types.Func:
		if taken.Pkg().Path() != Clock {
			return nil
		}
	default:
		return nil
	}
	edits = append(edits, analysis.TextEdit{Pos: expr.Pos(), End: expr.End(), NewText: []byte(text)})
	return []analysis.SuggestedFix{{Message: "Ask the injected clock", TextEdits: edits}}
}
