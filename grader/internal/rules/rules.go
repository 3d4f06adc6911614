// Package rules enforces what may and may not stand in a variant's files: the
// kata's `//kata:forbid` for everybody, vet, staticcheck and gofmt for the
// author's right solutions. It looks at types, not at text.
package rules

import (
	"context"
	"fmt"
	"go/ast"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/suite"
)

// Forbidden returns, for each variant, what it uses against its kata's rules.
// Variants that do not compile yield what could still be seen; the compile error
// is reported by the build.
func Forbidden(ctx context.Context, variants []*course.Variant) (map[*course.Variant][]course.Problem, error) {
	ruled := slices.DeleteFunc(slices.Clone(variants), func(v *course.Variant) bool {
		return len(v.Kata.Forbid) == 0 || len(v.Problems) > 0
	})
	out := map[*course.Variant][]course.Problem{}
	loaded, err := load(ctx, ruled)
	if err != nil {
		return nil, err
	}
	for v, l := range loaded {
		for _, pkg := range l.pkgs {
			c := &inspector{kata: v.Kata, pkg: pkg, files: l.files}
			out[v] = append(out[v], c.run()...)
		}
	}
	return out, nil
}

// loadedVariant is a variant's type-checked package, and its suite where the
// learner writes that.
type loadedVariant struct {
	pkgs  []*packages.Package
	files map[string]bool // the learner's
}

// load type-checks variants where they stand in the overlay, one go command a module.
func load(ctx context.Context, variants []*course.Variant) (map[*course.Variant]*loadedVariant, error) {
	byModule := map[string][]*course.Variant{}
	for _, v := range variants {
		byModule[v.Kata.ModuleDir] = append(byModule[v.Kata.ModuleDir], v)
	}
	out := map[*course.Variant]*loadedVariant{}
	for dir, vs := range byModule {
		if err := loadModule(ctx, dir, vs, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func loadModule(ctx context.Context, dir string, vs []*course.Variant, out map[*course.Variant]*loadedVariant) error {
	tmp, err := os.MkdirTemp("", "roadkata-rules")
	if err != nil {
		return fmt.Errorf("make a folder for the rules' overlay: %w", err)
	}
	defer os.RemoveAll(tmp)
	overlay := map[string][]byte{}
	var patterns []string
	owner := map[string]*course.Variant{}
	for _, v := range vs {
		s, err := suite.Sources(v, tmp)
		if err != nil {
			continue // what cannot be laid out is reported by the build
		}
		for virtual, data := range s.Files {
			overlay[virtual] = data
		}
		for _, p := range s.Packages {
			patterns = append(patterns, p)
			owner[p] = v
		}
		out[v] = &loadedVariant{files: s.Learner}
	}
	if len(patterns) == 0 {
		return nil
	}
	cfg := &packages.Config{
		Context: ctx,
		Dir:     dir,
		Env:     append(os.Environ(), "GOWORK=off", "GOFLAGS=", "PWD="+dir),
		Overlay: overlay,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedTypes |
			packages.NeedTypesSizes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedModule | packages.NeedExportFile,
	}
	pkgs, err := packages.Load(cfg, patterns...)
	if err != nil {
		return fmt.Errorf("type-check the learner's files in %s: %w", filepath.Base(dir), err)
	}
	for _, p := range pkgs {
		if v := owner[p.PkgPath]; v != nil {
			out[v].pkgs = append(out[v].pkgs, p)
		}
	}
	return nil
}

// inspector applies a kata's rules to one package.
type inspector struct {
	kata     *course.Kata
	pkg      *packages.Package
	files    map[string]bool
	problems []course.Problem
}

func (c *inspector) run() []course.Problem {
	for _, f := range c.pkg.Syntax {
		if !c.files[filepath.FromSlash(c.pkg.Fset.Position(f.Package).Filename)] {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if n != nil {
				c.node(n)
			}
			return true
		})
	}
	return c.problems
}

func (c *inspector) node(n ast.Node) {
	switch n := n.(type) {
	case *ast.ImportSpec:
		p := strings.Trim(n.Path.Value, "\"`")
		for _, r := range c.kata.Forbid {
			if r.Package == p && r.Name == "" {
				c.found(n, r)
			}
		}
	case *ast.Ident:
		if obj := c.pkg.TypesInfo.Uses[n]; obj != nil {
			c.object(n, obj)
		}
	case *ast.MapType:
		c.mapUse(n)
	case ast.Expr:
		// A value of map type that came from elsewhere: http.Header{}, maps.Collect(…).
		if t := c.pkg.TypesInfo.TypeOf(n); t != nil && isMap(t) && !c.already(n) {
			switch n.(type) {
			case *ast.CallExpr, *ast.CompositeLit:
				c.mapUse(n)
			}
		}
	}
}

func (c *inspector) object(n *ast.Ident, obj types.Object) {
	for _, r := range c.kata.Forbid {
		switch {
		case r.Builtin != "" && obj.Parent() == types.Universe && obj.Name() == r.Builtin:
			c.found(n, r)
		case r.Name != "" && obj.Pkg() != nil && obj.Pkg().Path() == r.Package && (obj.Name() == r.Name || methodName(obj) == r.Name):
			c.found(n, r)
		}
	}
}

// methodName is Type.Method for a method, "" for anything else.
func methodName(obj types.Object) string {
	f, ok := obj.(*types.Func)
	if !ok {
		return ""
	}
	recv := f.Signature().Recv()
	if recv == nil {
		return ""
	}
	t := recv.Type()
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	if named, ok := t.(*types.Named); ok {
		return named.Obj().Name() + "." + f.Name()
	}
	return ""
}

func isMap(t types.Type) bool {
	_, ok := t.Underlying().(*types.Map)
	return ok
}

func (c *inspector) mapUse(n ast.Node) {
	for _, r := range c.kata.Forbid {
		if r.Builtin == "map" {
			c.found(n, r)
		}
	}
}

// already reports whether the line has been named: map[k]v{} is a type and a literal.
func (c *inspector) already(n ast.Node) bool {
	at := c.at(n)
	line := at[:strings.LastIndex(at, ":")+1]
	return slices.ContainsFunc(c.problems, func(p course.Problem) bool { return strings.HasPrefix(p.At, line) })
}

func (c *inspector) found(n ast.Node, r course.Rule) {
	c.problems = append(c.problems, course.Problem{Kind: "forbid", At: c.at(n), Text: fmt.Sprintf("this kata is about doing without %s", r)})
}

func (c *inspector) at(n ast.Node) string {
	p := c.pkg.Fset.Position(n.Pos())
	p.Filename = course.RelTo(c.kata.Root, filepath.FromSlash(p.Filename))
	return p.String()
}
