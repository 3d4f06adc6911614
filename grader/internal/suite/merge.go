package suite

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// Verifying a write-the-tests kata means every suite against every subject:
// twenty suites and twenty subjects are four hundred packages, and a package
// costs more than its compilation. So the suites that judge one subject are
// merged into one package: whatever a suite declares at package level gets a
// suffix of the suite's own. That is decided by types, not by text; a suite for
// which it is not plain stays a package of its own.

// mergeFrom is how many suites make it worth while.
const mergeFrom = 4

// edit replaces text[at:end].
type edit struct {
	at, end int
	text    string
}

// renames are the edits of one variant's suite files, and its suffix.
type renames struct {
	suffix string
	edits  map[string][]edit // file → edits
}

// merges finds out which suites among the pairs can be merged.
func (b *builder) merges(pairs []*Pair) map[*course.Variant]*renames {
	byKata := map[*course.Kata][]*course.Variant{}
	for _, p := range pairs {
		v := p.Variant
		if p.Subject != nil && onlyTests(v) && len(v.Problems) == 0 && !slices.Contains(byKata[p.Kata], v) {
			byKata[p.Kata] = append(byKata[p.Kata], v)
		}
	}
	out := map[*course.Variant]*renames{}
	for k, vs := range byKata {
		if len(vs) < mergeFrom {
			continue
		}
		exports, err := ExportData(b.ctx, k.ModuleDir, importsOf(vs))
		if err != nil {
			continue // merging saves time, no more; the build will say what is wrong
		}
		for i, v := range vs {
			if r := rename(k, v, fmt.Sprintf("__%d", i), exports); r != nil {
				out[v] = r
			}
		}
	}
	return out
}

// importsOf is everything that the variants' files import.
func importsOf(vs []*course.Variant) map[string]bool {
	imports := map[string]bool{}
	for _, v := range vs {
		for _, file := range v.Files {
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				continue
			}
			for _, im := range f.Imports {
				p, _ := strconv.Unquote(im.Path.Value)
				imports[p] = true
			}
		}
	}
	return imports
}

// rename type-checks a suite and returns what has to be renamed, or nil where it
// must stay by itself.
func rename(k *course.Kata, v *course.Variant, suffix string, exports map[string]string) *renames {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, rel := range slices.Sorted(maps.Keys(v.Files)) {
		data, err := os.ReadFile(v.Files[rel])
		if err != nil {
			return nil
		}
		text := course.Normal(data)
		f, err := parser.ParseFile(fset, v.Files[rel], text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil || strings.Contains(text, "//go:") || mustLinkAlone(f) {
			return nil
		}
		files = append(files, f)
	}
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})}
	pkg, err := conf.Check(k.ImportPath+"_test", fset, files, info)
	if err != nil || slices.ContainsFunc(files, func(f *ast.File) bool { return embedsOwn(f, info, pkg) }) {
		return nil
	}
	r := &renames{suffix: suffix, edits: map[string][]edit{}}
	ours := func(id *ast.Ident, obj types.Object) {
		if obj == nil || obj.Parent() != pkg.Scope() || id.Name == "_" {
			return
		}
		pos := fset.PositionFor(id.Pos(), false)
		r.edits[pos.Filename] = append(r.edits[pos.Filename], edit{pos.Offset, pos.Offset + len(id.Name), id.Name + suffix})
	}
	for id, obj := range info.Defs {
		ours(id, obj)
	}
	for id, obj := range info.Uses {
		ours(id, obj)
	}
	return r
}

// embedsOwn reports whether a struct embeds a type of the package, whose name is
// then a field's name too; or whether a dot import hides where names come from.
func embedsOwn(f *ast.File, info *types.Info, pkg *types.Package) bool {
	for _, im := range f.Imports {
		if im.Name != nil && im.Name.Name == "." {
			return true
		}
	}
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.StructType)
		if !ok {
			return true
		}
		for _, field := range s.Fields.List {
			if len(field.Names) > 0 {
				continue
			}
			ast.Inspect(field.Type, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && info.Uses[id] != nil && info.Uses[id].Parent() == pkg.Scope() {
					found = true
				}
				return true
			})
		}
		return true
	})
	return found
}

// mergedSuite is the folder that the suites judging one subject share.
func (p *Pair) mergedSuite() string {
	return p.Kata.AuthorPath(virtualDir, folder(p.Kata, "suites/"+p.Subject.Intent()), suiteDir)
}

// mergedName keeps the files of merged suites apart.
func mergedName(suffix, virtual string) string {
	return filepath.Join(filepath.Dir(virtual), "v"+strings.Trim(suffix, "_")+"_"+filepath.Base(virtual))
}
