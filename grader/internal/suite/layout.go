package suite

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"hash/fnv"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// The virtual folders of a pair lie inside the kata's own folder, so that its
// internal packages and the stage's kit stay importable. They exist only in the
// overlay: a key that the go command does not see makes the build fail, it
// cannot silently grade something else.
const (
	virtualDir  = ".v"
	suiteDir    = ".suite"
	countingDir = ".counting" // of a suite that counts allocations
	runDir      = ".kata-run"
)

// layout is where the files of a pair stand in the overlay. Pairs that differ
// only in how they are run share one.
type layout struct {
	pair  *Pair
	pairs []*Pair
	base  string // virtual folder of the package
	path  string // its import path
	suite string // virtual folder of the suite
	tests []testFunc
	files map[string]string // virtual file → real file; Go files are spliced copies
	own   bool              // must be linked alone
	merge *renames          // the suite shares a package with others; nil: it has its own

	// back maps virtual folders to what a person knows, for messages.
	learner map[string]bool // real paths of the variant's files
	real    map[string]bool // real paths of all Go files
}

// symbol is what the suite's package calls a test.
func (l *layout) symbol(test string) string {
	if l.merge != nil {
		return test + l.merge.suffix
	}
	return test
}

// testFunc is one test of a suite, or an example with its wanted output.
type testFunc struct {
	name      string
	example   bool
	output    string
	unordered bool
}

func (l *layout) names() []string {
	var out []string
	for _, t := range l.tests {
		out = append(out, t.name)
	}
	return out
}

// suitePath is the import path of the suite's package.
func (l *layout) suitePath() string {
	return path.Join(l.pair.Kata.ImportPath, course.AuthorDir, virtualDir, filepath.Base(filepath.Dir(l.suite)), filepath.Base(l.suite))
}

func (p *Pair) slug() string {
	s := p.Variant.ID()
	if p.Subject != nil {
		s += "--" + p.Subject.Intent()
	}
	if p.Examples {
		s += "--examples"
	}
	if p.Variant.Kind == course.Submission {
		return folder(p.Kata, s, p.Variant.Dir) // many people's files may be graded at once
	}
	return folder(p.Kata, s)
}

// packageSlug names the folder of the package that the suite imports. A subject
// is the same for every suite that it judges, so it is compiled once.
func (p *Pair) packageSlug() string {
	if p.Subject == nil || !onlyTests(p.Variant) {
		return p.slug()
	}
	return folder(p.Kata, "subject/"+p.Subject.Intent())
}

func onlyTests(v *course.Variant) bool {
	for rel := range v.Files {
		if !strings.HasSuffix(rel, "_test.go") {
			return false
		}
	}
	return true
}

// folder makes a folder's name from s. The hash keeps names apart that differ
// in what cannot stand in a path, or in apart.
func folder(k *course.Kata, s string, apart ...string) string {
	h := fnv.New32a()
	fmt.Fprint(h, k.Path, "\x00", s, apart)
	return unsafeName.ReplaceAllString(s, "-") + fmt.Sprintf("-%08x", h.Sum32())
}

var unsafeName = regexp.MustCompile(`[^A-Za-z0-9_]+`)

// arrange lays a pair out below tmp, where spliced copies are written. merge is
// nil for a suite that gets a package of its own.
func arrange(p *Pair, tmp string, merge *renames) (*layout, []course.Problem) {
	k := p.Kata
	l := &layout{pair: p, pairs: []*Pair{p}, files: map[string]string{}, learner: map[string]bool{}, real: map[string]bool{}}
	slug := p.slug()
	l.base = k.AuthorPath(virtualDir, p.packageSlug())
	l.path = path.Join(k.ImportPath, course.AuthorDir, virtualDir, p.packageSlug())
	l.suite = k.AuthorPath(virtualDir, slug, suiteDir)
	if merge != nil {
		l.merge = merge
		l.suite = p.mergedSuite()
	}

	pkg, err := givenFiles(k)
	if err != nil {
		return l, []course.Problem{{Kind: "files", At: k.Path, Text: err.Error()}}
	}
	suite := map[string]string{}
	for rel, file := range p.Variant.Files {
		l.learner[file] = true
		if strings.HasSuffix(rel, "_test.go") {
			suite[rel] = file
		} else {
			pkg[rel] = file
		}
	}
	if p.Subject != nil {
		for rel, file := range subjectFiles(p.Subject) {
			pkg[rel] = file
		}
	}
	switch {
	case p.Examples:
		suite = exampleFiles(k)
	case p.Subject == nil:
		suite = hiddenFiles(k)
	}

	fromOutside := p.Subject == nil && !p.Examples && !importsKata(k, suite)
	if fromOutside {
		// The suite is the same for all variants, so it is compiled once.
		l.suite = k.AuthorPath(virtualDir, folder(k, "suite"), suiteDir)
	}
	if merge == nil && countsAllocations(suite) {
		l.suite = filepath.Join(filepath.Dir(l.suite), countingDir)
	}

	w := &splicer{layout: l, tmp: filepath.Join(tmp, slug)}
	if err := os.MkdirAll(w.tmp, 0o777); err != nil {
		return l, []course.Problem{{Kind: "grader", Text: err.Error()}}
	}
	for _, rel := range slices.Sorted(maps.Keys(pkg)) {
		w.add(rel, pkg[rel], false)
	}
	for _, rel := range slices.Sorted(maps.Keys(suite)) {
		w.add(rel, suite[rel], true)
	}
	if fromOutside {
		l.own = false // what the variant does before main, it does in a program of its own
	}
	return l, w.problems
}

// importsKata reports whether a file imports the kata's package or one below it.
// A suite that judges from outside, a program or files that are not Go, does not.
func importsKata(k *course.Kata, files map[string]string) bool {
	for _, file := range files {
		if !strings.HasSuffix(file, ".go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return true // add says what is wrong
		}
		if slices.ContainsFunc(f.Imports, func(im *ast.ImportSpec) bool { return isBelow(k.ImportPath, im) }) {
			return true
		}
	}
	return false
}

// countsAllocations reports whether a suite may count allocations. What of the
// learner's code is inlined into its calls decides over some of them, so it is
// compiled as go test would; the others need no inlining.
func countsAllocations(files map[string]string) bool {
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return true // add says what is wrong
		}
		text := string(data)
		if slices.ContainsFunc(counting, func(name string) bool { return strings.Contains(text, name) }) {
			return true
		}
	}
	return false
}

var counting = []string{"AllocsPerRun", "ReadMemStats", "runtime/metrics", "runtime/pprof", "testing.Benchmark", "ReadGCStats"}

// isBelow reports whether own or a package below it is imported.
func isBelow(own string, im *ast.ImportSpec) bool {
	p, err := strconv.Unquote(im.Path.Value)
	return err == nil && (p == own || strings.HasPrefix(p, own+"/"))
}

// splicer writes copies of Go files in which the kata's own import path points
// to the virtual package.
type splicer struct {
	layout   *layout
	tmp      string
	n        int
	problems []course.Problem
}

func (w *splicer) add(rel, file string, inSuite bool) {
	l := w.layout
	virtual := filepath.Join(l.base, filepath.FromSlash(rel))
	if inSuite {
		// The suite becomes an ordinary package; stripping only _test keeps file
		// name constraints such as _linux.
		virtual = filepath.Join(l.suite, filepath.FromSlash(rel))
		if name, ok := strings.CutSuffix(virtual, "_test.go"); ok {
			virtual = name + ".go"
		}
		if l.merge != nil {
			virtual = mergedName(l.merge.suffix, virtual)
		}
	}
	if !strings.HasSuffix(rel, ".go") {
		l.files[virtual] = file
		return
	}
	data, err := os.ReadFile(file)
	if err != nil {
		w.problem("files", file, err.Error())
		return
	}
	text := course.Normal(data)
	if i := invalidUTF8(text); i >= 0 {
		line := 1 + strings.Count(text[:i], "\n")
		w.problem("compile", fmt.Sprintf("%s:%d", file, line), "the file is not UTF-8 here; save it as UTF-8")
		return
	}
	if strings.TrimSpace(text) == "" {
		w.problem("compile", file, "the file is empty; `grader reset "+l.pair.Kata.Path+"` brings the stub back (your file is kept as a backup)")
		return
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		w.problems = append(w.problems, syntaxProblems(l.pair.Kata.Root, file, err)...)
		return
	}
	if l.learner[file] {
		w.checkPackage(rel, file, f)
		w.checkImports(fset, f)
		if mustLinkAlone(f) {
			l.own = true
		}
	} else if !inSuite && mustLinkAlone(f) {
		l.own = true
	}
	if inSuite {
		l.tests = append(l.tests, testsOf(f, l.pair.Examples)...)
	}
	l.real[file] = true
	w.n++
	copyAt := filepath.Join(w.tmp, fmt.Sprintf("%d_%s", w.n, path.Base(rel)))
	if err := os.WriteFile(copyAt, []byte(splice(fset, f, text, file, l)), 0o666); err != nil {
		w.problem("grader", "", err.Error())
		return
	}
	l.files[virtual] = copyAt
}

// checkPackage refuses a file that has left its package: the go command would
// only say that it found two.
func (w *splicer) checkPackage(rel, file string, f *ast.File) {
	k := w.layout.pair.Kata
	if strings.Contains(rel, "/") {
		return
	}
	want := k.Package
	if strings.HasSuffix(rel, "_test.go") {
		want += "_test"
	}
	if f.Name.Name != want {
		w.problem("compile", file+":1", fmt.Sprintf("package %s; this file belongs to package %s", f.Name.Name, want))
	}
}

// checkImports keeps learners' files out of the author's side.
func (w *splicer) checkImports(fset *token.FileSet, f *ast.File) {
	k := w.layout.pair.Kata
	for _, im := range f.Imports {
		p, _ := strconv.Unquote(im.Path.Value)
		if strings.Contains(p, "/"+course.AuthorDir) || isStageInternal(k, p) {
			w.problem("forbid", fset.Position(im.Pos()).String(), fmt.Sprintf("imports %s, which belongs to the suites", p))
		}
	}
}

func isStageInternal(k *course.Kata, p string) bool {
	stage, _, _ := strings.Cut(k.Path, "/")
	i := strings.Index(k.ImportPath, "/"+stage+"/")
	return i >= 0 && strings.HasPrefix(p+"/", k.ImportPath[:i]+"/"+stage+"/internal/")
}

func (w *splicer) problem(kind, at, text string) {
	root := w.layout.pair.Kata.Root
	w.problems = append(w.problems, course.Problem{Kind: kind, At: below(root, at), Text: text})
}

// splice points imports of the kata's path to the virtual package and tells the
// compiler the file's real name. Lines stay where they are.
func splice(fset *token.FileSet, f *ast.File, text, file string, l *layout) string {
	var b strings.Builder
	fmt.Fprintf(&b, "//line %s:1:1\n", filepath.ToSlash(file))
	var edits []edit
	own := l.pair.Kata.ImportPath
	for _, im := range f.Imports {
		if !isBelow(own, im) {
			continue
		}
		p, _ := strconv.Unquote(im.Path.Value)
		edits = append(edits, edit{fset.PositionFor(im.Path.Pos(), false).Offset, fset.PositionFor(im.Path.End(), false).Offset,
			strconv.Quote(l.path + strings.TrimPrefix(p, own))})
	}
	if l.merge != nil {
		edits = append(edits, l.merge.edits[file]...)
	}
	slices.SortFunc(edits, func(a, b edit) int { return a.at - b.at })
	from := 0
	for _, e := range edits {
		b.WriteString(text[from:e.at])
		b.WriteString(e.text)
		from = e.end
	}
	b.WriteString(text[from:])
	return b.String()
}

// givenFiles are what lies in the kata's folder beside the learner's files:
// everything but the author's side, tests and notes.
func givenFiles(k *course.Kata) (map[string]string, error) {
	out := map[string]string{}
	err := filepath.WalkDir(k.Dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		hidden := strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
		if d.IsDir() {
			if p != k.Dir && (hidden || isModule(p)) {
				return fs.SkipDir
			}
			return nil
		}
		rel := course.RelTo(k.Dir, p)
		if hidden || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "README") || k.Stub[rel] != "" || !d.Type().IsRegular() {
			return nil
		}
		out[rel] = p
		return nil
	})
	return out, err
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func subjectFiles(s *course.Subject) map[string]string { return below2map(s.Dir) }

func exampleFiles(k *course.Kata) map[string]string {
	out := map[string]string{}
	files, _ := os.ReadDir(k.Dir)
	for _, e := range files {
		if strings.HasSuffix(e.Name(), "_test.go") && k.Stub[e.Name()] == "" {
			out[e.Name()] = filepath.Join(k.Dir, e.Name())
		}
	}
	return out
}

// hiddenFiles are the suite and what it may embed.
func hiddenFiles(k *course.Kata) map[string]string {
	out := map[string]string{}
	for _, f := range k.SuiteFiles() {
		out[filepath.Base(f)] = f
	}
	for rel, f := range below2map(k.AuthorPath("testdata")) {
		out["testdata/"+rel] = f
	}
	return out
}

func below2map(dir string) map[string]string {
	out := map[string]string{}
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			out[course.RelTo(dir, p)] = p
		}
		return nil
	})
	return out
}
