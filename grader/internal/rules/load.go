package rules

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/suite"
)

// typed is one type-checked package of a variant.
type typed struct {
	fset    *token.FileSet
	path    string
	files   []*ast.File
	learner []*ast.File // those of files that are the learner's
	pkg     *types.Package
	info    *types.Info
	failed  bool
}

// load type-checks the variants' own packages from source, and what they import
// from the compiler's export data: one go command a module. (go/packages with an
// overlay would type-check every dependency from source.)
func load(ctx context.Context, variants []*course.Variant) (map[*course.Variant][]*typed, error) {
	byModule := map[string][]*parsed{}
	for _, v := range variants {
		if p := parse(v); p != nil {
			byModule[v.Kata.ModuleDir] = append(byModule[v.Kata.ModuleDir], p)
		}
	}
	out := map[*course.Variant][]*typed{}
	for _, dir := range slices.Sorted(maps.Keys(byModule)) {
		imports := map[string]bool{}
		for _, p := range byModule[dir] {
			maps.Copy(imports, p.foreign())
		}
		exports, err := suite.ExportData(ctx, dir, imports)
		if err != nil {
			return nil, err
		}
		for _, p := range byModule[dir] {
			out[p.variant] = p.check(exports)
		}
	}
	return out, nil
}

// parsed is a variant's files by package.
type parsed struct {
	variant *course.Variant
	fset    *token.FileSet
	files   map[string][]*ast.File // import path → files
	mine    map[*ast.File]bool     // the learner's
}

// parse reads the variant's Go files for this system; nil where one is not Go.
func parse(v *course.Variant) *parsed {
	p := &parsed{variant: v, fset: token.NewFileSet(), files: map[string][]*ast.File{}, mine: map[*ast.File]bool{}}
	files, err := suite.PackageFiles(v)
	if err != nil {
		return nil
	}
	for _, rel := range slices.Sorted(maps.Keys(files)) {
		if !p.add(rel, files[rel], path.Join(v.Kata.ImportPath, path.Dir(rel))) {
			return nil
		}
	}
	for _, rel := range slices.Sorted(maps.Keys(v.Files)) {
		if strings.HasSuffix(rel, "_test.go") && !p.add(rel, v.Files[rel], v.Kata.ImportPath+"_test") {
			return nil
		}
	}
	return p
}

func (p *parsed) add(rel, file, pkg string) bool {
	if !strings.HasSuffix(rel, ".go") {
		return true
	}
	if ok, err := build.Default.MatchFile(filepath.Dir(file), filepath.Base(file)); err != nil || !ok {
		return true
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	f, err := parser.ParseFile(p.fset, file, course.Normal(data), parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return false // the build reports it
	}
	p.files[pkg] = append(p.files[pkg], f)
	p.mine[f] = p.variant.Files[rel] == file
	return true
}

// foreign is what the files import from outside the kata.
func (p *parsed) foreign() map[string]bool {
	out := map[string]bool{}
	for _, files := range p.files {
		for _, f := range files {
			for _, im := range f.Imports {
				if name, _ := strconv.Unquote(im.Path.Value); p.files[name] == nil && name != "unsafe" && name != "C" {
					out[name] = true
				}
			}
		}
	}
	return out
}

// check type-checks all packages of the variant that hold a file of the learner's.
func (p *parsed) check(exports map[string]string) []*typed {
	im := &variantImporter{parsed: p, done: map[string]*typed{}}
	im.rest = importer.ForCompiler(p.fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no package %s", path)
		}
		return os.Open(exports[path])
	})
	var out []*typed
	for _, name := range slices.Sorted(maps.Keys(p.files)) {
		if t := im.check(name); len(t.learner) > 0 {
			out = append(out, t)
		}
	}
	return out
}

// variantImporter finds the variant's own packages in source, others in export data.
type variantImporter struct {
	*parsed
	rest types.Importer
	done map[string]*typed
}

// Import implements types.Importer.
func (im *variantImporter) Import(name string) (*types.Package, error) {
	if im.files[name] == nil {
		return im.rest.Import(name)
	}
	if t := im.check(name); t.pkg != nil {
		return t.pkg, nil
	}
	return nil, errors.New("import cycle through " + name)
}

func (im *variantImporter) check(name string) *typed {
	if t := im.done[name]; t != nil {
		return t
	}
	t := &typed{fset: im.fset, path: name, files: im.files[name], info: &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
		Implicits: map[ast.Node]types.Object{}, Instances: map[*ast.Ident]types.Instance{}, Scopes: map[ast.Node]*types.Scope{},
		Selections: map[*ast.SelectorExpr]*types.Selection{}, FileVersions: map[*ast.File]string{},
	}}
	im.done[name] = t
	for _, f := range t.files {
		if im.mine[f] {
			t.learner = append(t.learner, f)
		}
	}
	conf := types.Config{Importer: im, GoVersion: "go1.26", Error: func(error) { t.failed = true }}
	t.pkg, _ = conf.Check(name, im.fset, t.files, t.info)
	return t
}

func (t *typed) learnerFiles() map[string]bool {
	out := map[string]bool{}
	for _, f := range t.learner {
		out[t.fset.Position(f.Package).Filename] = true
	}
	return out
}

// forAnalysis gives the package the form that analyzers are run on. Imports are
// left out: facts about dependencies would need their syntax; printf and its like
// know the standard library's functions by name.
func (t *typed) forAnalysis(v *course.Variant) *packages.Package {
	return &packages.Package{
		ID: v.Kata.Path + " " + v.ID() + " " + t.path, Name: t.pkg.Name(), PkgPath: t.path, Fset: t.fset,
		Syntax: t.files, Types: t.pkg, TypesInfo: t.info, TypesSizes: types.SizesFor("gc", build.Default.GOARCH),
	}
}
