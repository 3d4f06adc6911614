// Asks what the name means anywhere in the scope: in `clock := time.Now()` the variable is not there yet.
//
//kata:caught-by TestFixes
package analyzer

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strconv"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/types/typeutil"
)

// Clock is the import path of the package whose functions stand in for those
// of package time.
const Clock = "company.example/clock"

// Analyzer reports where test code uses the real clock: the functions of package
// time that read it or wait for it, and calls of functions that call
// time.Sleep.
var Analyzer = &analysis.Analyzer{
	Name:      "realclock",
	Doc:       "report tests that depend on the real clock",
	Run:       run,
	FactTypes: []analysis.Fact{new(sleeps)},
}

// sleeps is the fact that a function calls time.Sleep, itself or through others.
type sleeps struct{}

func (*sleeps) AFact()         {}
func (*sleeps) String() string { return "sleeps" }

func run(pass *analysis.Pass) (any, error) {
	exportFacts(pass)
	for _, file := range pass.Files {
		if isTest(pass, file) {
			check(pass, file)
		}
	}
	return nil, nil
}

func isTest(pass *analysis.Pass, file *ast.File) bool {
	return strings.HasSuffix(pass.Fset.File(file.FileStart).Name(), "_test.go") || strings.HasSuffix(pass.Pkg.Name(), "test")
}

// exportFacts finds the functions of the package that sleep. One that calls a
// sleeper is one itself, so it goes on until nothing changes.
func exportFacts(pass *analysis.Pass) {
	callees := map[*types.Func][]*types.Func{}
	for _, file := range pass.Files {
		for _, decl := range file.Decls {
			decl, ok := decl.(*ast.FuncDecl)
			if !ok || decl.Body == nil {
				continue
			}
			caller, ok := pass.TypesInfo.Defs[decl.Name].(*types.Func)
			if !ok {
				continue
			}
			ast.Inspect(decl.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncLit:
					return false // whoever calls it need not be this function
				case *ast.CallExpr:
					if callee := callee(pass, n); callee != nil {
						callees[caller] = append(callees[caller], callee)
					}
				}
				return true
			})
		}
	}
	for changed := true; changed; {
		changed = false
		for caller, list := range callees {
			for _, callee := range list {
				if isTime(callee, "Sleep") || pass.ImportObjectFact(callee, new(sleeps)) {
					pass.ExportObjectFact(caller, new(sleeps))
					delete(callees, caller)
					changed = true
					break
				}
			}
		}
	}
}

// callee returns the declared function that is called, or nil. Of a generic one it is the origin, which has the facts.
func callee(pass *analysis.Pass, call *ast.CallExpr) *types.Func {
	return typeutil.StaticCallee(pass.TypesInfo, call)
}

// clockFuncs are the functions of package time that read the clock or wait for it.
var clockFuncs = []string{"Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Now", "Since", "Until"}

// isTime reports whether f is one of these functions of package time, and not a method.
func isTime(f *types.Func, names ...string) bool {
	if f.Pkg() == nil || f.Pkg().Path() != "time" || f.Signature().Recv() != nil {
		return false
	}
	for _, name := range names {
		if f.Name() == name {
			return true
		}
	}
	return false
}

func check(pass *analysis.Pass, file *ast.File) {
	var visit func(n ast.Node) bool
	visit = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			f := callee(pass, n)
			if f == nil {
				return true
			}
			if f.FullName() == "testing/synctest.Test" {
				for _, arg := range n.Args {
					if _, ok := ast.Unparen(arg).(*ast.FuncLit); !ok {
						ast.Inspect(arg, visit)
					}
				}
				return false // the clock of the bubble is not real
			}
			if pass.ImportObjectFact(f, new(sleeps)) {
				pass.Reportf(n.Pos(), "%s.%s calls time.Sleep: this test waits in real time", f.Pkg().Name(), f.Name())
			}
		case *ast.SelectorExpr:
			return !checkUse(pass, file, n, n.Sel)
		case *ast.Ident:
			checkUse(pass, file, n, n)
		}
		return true
	}
	ast.Inspect(file, visit)
}

// checkUse reports a use of the real clock, and whether it is one. What the
// identifier means is for the type checker to say: names may be imported as
// anything.
func checkUse(pass *analysis.Pass, file *ast.File, expr ast.Expr, id *ast.Ident) bool {
	f, ok := pass.TypesInfo.Uses[id].(*types.Func)
	if !ok || !isTime(f, clockFuncs...) {
		return false
	}
	d := analysis.Diagnostic{
		Pos:     expr.Pos(),
		End:     expr.End(),
		Message: fmt.Sprintf("time.%s in a test depends on the real clock", f.Name()),
	}
	if edits := replace(pass, file, expr, f.Name()); edits != nil {
		d.SuggestedFixes = []analysis.SuggestedFix{{
			Message:   fmt.Sprintf("Use clock.%s", f.Name()),
			TextEdits: edits,
		}}
	}
	pass.Report(d)
	return true
}

// replace returns the edits that make expr clock.name, or nil if they would not compile.
func replace(pass *analysis.Pass, file *ast.File, expr ast.Expr, name string) []analysis.TextEdit {
	pkg := "clock"
	imported := false
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil || path != Clock {
			continue
		}
		p := pass.TypesInfo.PkgNameOf(spec)
		switch {
		case p == nil || p.Name() == "_":
			continue
		case p.Name() == ".":
			pkg = ""
		default:
			pkg = p.Name()
		}
		imported = true
		break
	}

	// The name has to mean the package where it is to stand.
	use := pkg
	if pkg == "" {
		use = name
	}
	scope := pass.TypesInfo.Scopes[file].Innermost(expr.Pos())
	if _, obj := scope.LookupParent(use, token.NoPos); obj != nil {
		p, isPkg := obj.(*types.PkgName)
		f, isFunc := obj.(*types.Func)
		if !imported || !(isPkg && p.Imported().Path() == Clock || isFunc && f.Pkg().Path() == Clock) {
			return nil
		}
	}
	if pkg != "" {
		name = pkg + "." + name
	}
	edits := []analysis.TextEdit{{Pos: expr.Pos(), End: expr.End(), NewText: []byte(name)}}
	if !imported {
		// There is an import before which to put it: that of time.
		at := token.NoPos
		for _, decl := range file.Decls {
			if decl, ok := decl.(*ast.GenDecl); ok && decl.Tok == token.IMPORT {
				at = decl.Pos()
				break
			}
		}
		edits = append(edits, analysis.TextEdit{Pos: at, End: at, NewText: []byte("import " + strconv.Quote(Clock) + "\n")})
	}
	return edits
}
