package course

import (
	"errors"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/scanner"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// source is one parsed file of the author's.
type source struct {
	kata *Kata
	path string
	fset *token.FileSet
	file *ast.File
}

// newSource parses file; where that fails the kata gets a fault and the result is nil.
func newSource(k *Kata, file string) *source {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		var list scanner.ErrorList
		if errors.As(err, &list) {
			for _, e := range list {
				k.fault(e.Pos.String(), "%s", e.Msg)
			}
		} else {
			k.fault(file, "%v", err)
		}
		return nil
	}
	return &source{kata: k, path: file, fset: fset, file: f}
}

// findDoc returns the first Go file of dir that has a package doc comment.
func findDoc(k *Kata, dir string) *source {
	files, _ := filepath.Glob(filepath.Join(escapeGlob(dir), "*.go"))
	for _, f := range files {
		if s := newSource(k, f); s != nil && s.file.Doc != nil {
			return s
		}
	}
	return nil
}

func (s *source) at(pos token.Pos) string {
	p := s.fset.Position(pos)
	p.Filename = RelTo(s.kata.Root, p.Filename)
	p.Column = 0
	return p.String()
}

// directivesOf returns the //kata: directives of a comment group.
func (s *source) directivesOf(g *ast.CommentGroup) []ast.Directive {
	if g == nil {
		return nil
	}
	var out []ast.Directive
	for _, c := range g.List {
		if d, ok := ast.ParseDirective(c.Slash, c.Text); ok && d.Tool == "kata" {
			out = append(out, d)
		}
	}
	return out
}

// directives reads the kata's own directives from the doc comment of the package
// clause. Only the first suite file by name may have them; a step's file has a
// title besides.
func (k *Kata) directives(s *source, first bool) {
	step := stepFile.MatchString(filepath.Base(s.path))
	for _, d := range s.directivesOf(s.file.Doc) {
		at := s.at(d.Slash)
		if d.Name == "zh" && step {
			continue
		}
		if !first {
			k.fault(at, "//kata:%s stands in %s; the kata's directives belong to the first suite file by name", d.Name, filepath.Base(s.path))
			continue
		}
		if err := k.apply(d); err != nil {
			k.fault(at, "//kata:%s: %v", d.Name, err)
		}
	}
	k.misplaced(s)
	if !first {
		return
	}
	if k.Level == 0 {
		k.lapse(s.at(s.file.Package), "no //kata:level; say 1, 2 or 3 in the package clause's doc comment")
	}
	if k.Minutes == 0 {
		k.lapse(s.at(s.file.Package), "no //kata:minutes; give an honest estimate for the learner")
	}
	if k.Engine.Kind == "" {
		k.lapse(s.at(s.file.Package), "no //kata:engine; say what the suite runs against: real, embedded or simulated, and what")
	}
}

// misplaced reports directives that stand in no doc comment of the file: they would be silently ignored.
func (k *Kata) misplaced(s *source) {
	placed := map[*ast.CommentGroup]bool{s.file.Doc: true}
	for _, decl := range s.file.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok {
			placed[fn.Doc] = true
		}
	}
	for _, g := range s.file.Comments {
		if placed[g] {
			continue
		}
		for _, d := range s.directivesOf(g) {
			k.fault(s.at(d.Slash), "//kata:%s stands in no doc comment; put it above the package clause or an intent, with no blank line between", d.Name)
		}
	}
}

func (k *Kata) apply(d ast.Directive) error {
	switch d.Name {
	case "race":
		k.Race = true
		return noArgs(d)
	case "solo":
		k.Solo = true
		return noArgs(d)
	case "timeout":
		t, err := time.ParseDuration(d.Args)
		if err != nil || t <= 0 || t > 5*time.Minute {
			return fmt.Errorf("%q is no duration up to 5m, such as 20s", d.Args)
		}
		k.Timeout = t
	case "level":
		n, err := strconv.Atoi(d.Args)
		if err != nil || n < 1 || n > 3 {
			return fmt.Errorf("%q is no level; 1 is easy, 3 is hard", d.Args)
		}
		k.Level = n
	case "minutes":
		n, err := strconv.Atoi(d.Args)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is no number of minutes", d.Args)
		}
		k.Minutes = n
	case "engine":
		kind, name, _ := strings.Cut(d.Args, " ")
		if !slices.Contains([]string{"real", "embedded", "simulated"}, kind) || strings.TrimSpace(name) == "" {
			return fmt.Errorf("%q: want real, embedded or simulated, and then what", d.Args)
		}
		k.Engine = Engine{Kind: kind, Name: strings.TrimSpace(name)}
	case "experiment":
		if d.Args == "" {
			return errors.New("want the name of a GOEXPERIMENT")
		}
		k.Experiment = d.Args
	case "files":
		for _, g := range strings.Fields(d.Args) {
			if _, err := path.Match(g, ""); err != nil {
				return fmt.Errorf("%q is no file pattern", g)
			}
			k.FileGlobs = append(k.FileGlobs, g)
		}
		if len(k.FileGlobs) == 0 {
			return errors.New("want the patterns of files that the learner may add, such as *.go")
		}
	case "forbid":
		rules, err := parseRules(d.Args)
		k.Forbid = append(k.Forbid, rules...)
		return err
	default:
		return errors.New("unknown directive; known here: race, solo, timeout, level, minutes, engine, forbid, experiment, files")
	}
	return nil
}

func noArgs(d ast.Directive) error {
	if d.Args != "" {
		return fmt.Errorf("takes nothing, has %q", d.Args)
	}
	return nil
}

// parseRules reads `"import/path" "import/path".Name builtin:map`.
func parseRules(args string) ([]Rule, error) {
	var rules []Rule
	for _, f := range strings.Fields(args) {
		if b, ok := strings.CutPrefix(f, "builtin:"); ok && b != "" {
			rules = append(rules, Rule{Builtin: b})
			continue
		}
		quoted, name, _ := strings.Cut(f, `".`)
		if strings.HasSuffix(quoted, `"`) {
			name = ""
		} else {
			quoted += `"`
		}
		p, err := strconv.Unquote(quoted)
		if err != nil || p == "" || strings.HasSuffix(f, ".") {
			return rules, fmt.Errorf(`cannot read %s; want "import/path", "import/path".Name or builtin:map`, f)
		}
		rules = append(rules, Rule{Package: p, Name: name})
	}
	if len(rules) == 0 {
		return nil, errors.New(`names nothing; want "import/path", "import/path".Name or builtin:map`)
	}
	return rules, nil
}

// firstSentence returns the first sentence of a doc comment without its directives.
func firstSentence(g *ast.CommentGroup) string {
	if g == nil {
		return ""
	}
	var p doc.Package
	return p.Synopsis(g.Text())
}

func isTestName(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return false
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return rest == "" || !unicode.IsLower(r)
}

// isTestFunc reports whether fn has the shape func(*testing.T).
func isTestFunc(f *ast.File, fn *ast.FuncDecl) bool {
	t := fn.Type
	if t.TypeParams != nil || t.Results != nil || len(t.Params.List) != 1 || len(t.Params.List[0].Names) > 1 {
		return false
	}
	star, ok := t.Params.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	sel, ok := star.X.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "T" && importName(f, "testing") == ident(sel.X)
}

func ident(e ast.Expr) string {
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

func importName(f *ast.File, pkg string) string {
	for _, im := range f.Imports {
		if p, _ := strconv.Unquote(im.Path.Value); p == pkg {
			if im.Name != nil {
				return im.Name.Name
			}
			return path.Base(pkg)
		}
	}
	return ""
}

// TestFuncs lists the func TestXxx(*testing.T) of a parsed file, in order.
func TestFuncs(f *ast.File) []string {
	var out []string
	for _, decl := range f.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && isTestName(fn.Name.Name, "Test") && isTestFunc(f, fn) {
			out = append(out, fn.Name.Name)
		}
	}
	return out
}
