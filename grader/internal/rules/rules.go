// Package rules enforces what may and may not stand in a variant's files: the
// kata's `//kata:forbid` for everybody, vet, staticcheck and gofmt for the
// author's right solutions. It looks at types, not at text.
package rules

import (
	"context"
	"fmt"
	"go/ast"
	"go/types"
	"path/filepath"
	"slices"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/course"
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
	for v, pkgs := range loaded {
		for _, pkg := range pkgs {
			c := &inspector{kata: v.Kata, pkg: pkg}
			out[v] = append(out[v], c.run()...)
		}
	}
	return out, nil
}

// inspector applies a kata's rules to one package.
type inspector struct {
	kata     *course.Kata
	pkg      *typed
	problems []course.Problem
}

func (c *inspector) run() []course.Problem {
	for _, f := range c.pkg.learner {
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
		if obj := c.pkg.info.Uses[n]; obj != nil {
			c.object(n, obj)
		}
	case *ast.MapType:
		c.mapUse(n)
	case ast.Expr:
		// A value of map type that came from elsewhere: http.Header{}, maps.Collect(…).
		if t := c.pkg.info.TypeOf(n); t != nil && isMap(t) && !c.already(n) {
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
	p := c.pkg.fset.Position(n.Pos())
	p.Filename = course.RelTo(c.kata.Root, filepath.FromSlash(p.Filename))
	return p.String()
}
