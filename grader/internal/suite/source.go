package suite

import (
	"errors"
	"go/ast"
	"go/doc"
	"go/scanner"
	"go/token"
	"strings"
	"unicode/utf8"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// mustLinkAlone reports whether a file does something before main: a foreign
// init could change another kata's verdict without dying.
func mustLinkAlone(f *ast.File) bool {
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == "init" {
				return true
			}
		case *ast.GenDecl:
			if d.Tok != token.VAR {
				continue
			}
			for _, spec := range d.Specs {
				for _, v := range spec.(*ast.ValueSpec).Values {
					if acts(v) {
						return true
					}
				}
			}
		}
	}
	return false
}

// harmless are calls that may initialise a package variable: they only make a value.
var harmless = map[string]bool{
	"make": true, "new": true, "len": true, "cap": true, "append": true, "min": true, "max": true, "string": true, "byte": true,
	"errors.New": true, "fmt.Errorf": true, "fmt.Sprintf": true, "regexp.MustCompile": true, "strings.NewReplacer": true,
	"sync.OnceFunc": true, "sync.NewCond": true, "big.NewInt": true, "maphash.MakeSeed": true, "time.Duration": true,
	"time.Date": true, "time.Unix": true, "time.UnixMilli": true, "errors.Join": true, "strings.Repeat": true,
	"template.New": true, "template.Must": true, "reflect.TypeFor": true, "http.StatusText": true,
}

func acts(e ast.Expr) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false // it is made here, not called; a call of it is a CallExpr with a FuncLit below
		case *ast.CallExpr:
			if _, literal := ast.Unparen(n.Fun).(*ast.FuncLit); literal || !harmless[callName(n.Fun)] {
				found = true
			}
		case *ast.UnaryExpr:
			found = found || n.Op == token.ARROW
		}
		return !found
	})
	return found
}

func callName(fun ast.Expr) string {
	switch f := ast.Unparen(fun).(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
	case *ast.IndexExpr:
		return callName(f.X)
	case *ast.ArrayType, *ast.MapType, *ast.ChanType, *ast.StarExpr:
		return "make" // a conversion
	}
	return ""
}

// testsOf lists what a suite's file runs. Examples with an output comment count
// only among the visible tests.
func testsOf(f *ast.File, examples bool) []testFunc {
	var out []testFunc
	for _, name := range course.TestFuncs(f) {
		if name != "TestMain" {
			out = append(out, testFunc{name: name})
		}
	}
	if examples {
		for _, ex := range doc.Examples(f) {
			if ex.Output != "" || ex.EmptyOutput {
				out = append(out, testFunc{name: "Example" + ex.Name, example: true, output: ex.Output, unordered: ex.Unordered})
			}
		}
	}
	return out
}

func syntaxProblems(root, file string, err error) []course.Problem {
	var list scanner.ErrorList
	if !errors.As(err, &list) {
		return []course.Problem{{Kind: "compile", At: course.RelTo(root, file), Text: err.Error()}}
	}
	list.RemoveMultiples()
	var out []course.Problem
	for i, e := range list {
		if i == 10 {
			break
		}
		p := e.Pos
		p.Filename = course.RelTo(root, file)
		out = append(out, course.Problem{Kind: "compile", At: p.String(), Text: e.Msg})
	}
	return out
}

func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return i
			}
		}
	}
	return -1
}

// below makes the file of a position relative to the workspace.
func below(root, at string) string {
	file, rest := at, ""
	if i := positionStart(at); i >= 0 {
		file, rest = at[:i], at[i:]
	}
	return course.RelTo(root, file) + rest
}

// positionStart returns where `:line[:col]` begins in at, or -1.
func positionStart(at string) int {
	end := len(at)
	start := -1
	for range 2 {
		i := strings.LastIndexByte(at[:end], ':')
		if i < 0 || i+1 == end || strings.Trim(at[i+1:end], "0123456789") != "" {
			break
		}
		start, end = i, i
	}
	return start
}
