package course

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Kind says what the learner writes, and so how a kata is judged.
type Kind string

const (
	Library Kind = "library" // a package: the suite imports it
	Program Kind = "program" // package main: the suite runs it
	Tests   Kind = "tests"   // a test suite: judged by right and wrong subjects
)

// DefaultTimeout bounds one process of a kata that asks for nothing else.
const DefaultTimeout = 20 * time.Second

// Kata is one exercise.
type Kata struct {
	Path       string // stage1/concurrency/workerpool
	Dir        string // absolute
	Root       string // the workspace
	ModuleDir  string // the module that it is built in
	ModulePath string
	ImportPath string
	Package    string
	Kind       Kind
	Title      Text

	Level      int
	Minutes    int
	Engine     Engine
	Race       bool
	Solo       bool
	Timeout    time.Duration
	Forbid     []Rule
	Experiment string
	FileGlobs  []string // files that the learner may add

	Steps    []Step
	Intents  []Intent
	Subjects []Subject // write-the-tests katas

	// Stub holds the learner's files: relative name → pristine copy in .kata/stub.
	Stub map[string]string
	// Faults are the author's: the kata is broken, whatever the learner wrote.
	Faults []Problem
	// Lapses are the author's too, but do not keep the suite from judging: a
	// missing translation, a missing title. verify reports them.
	Lapses []Problem

	onRoadmap bool
}

// Engine says what a suite runs against.
type Engine struct {
	Kind string `json:"kind"` // real, embedded, simulated
	Name string `json:"name"`
}

// Rule is one thing that the learner's files may not use.
type Rule struct {
	Package string // import path, or ""
	Name    string // a name in Package, or "" for the whole package
	Builtin string // map, append, …
}

func (r Rule) String() string {
	switch {
	case r.Builtin != "":
		return "builtin:" + r.Builtin
	case r.Name != "":
		return fmt.Sprintf("%q.%s", r.Package, r.Name)
	}
	return fmt.Sprintf("%q", r.Package)
}

// Step is a part of a project: one suite file.
type Step struct {
	ID    string // step1
	Title Text
}

// Intent is one hidden test and the sentence it stands for.
type Intent struct {
	Name   string
	Step   string // id of its step, "" where the kata has none
	Text   Text
	Shares string // why no reject is caught by it alone
	Needs  string // the environment variable that names the real server without which it is not run
	At     string // position below the workspace
}

// Subject is an implementation that judges a learner's suite.
type Subject struct {
	Name  string
	Right bool
	Dir   string
}

// Intent returns the id of the intent that the subject stands for.
func (s Subject) Intent() string {
	if s.Right {
		return "accepts/" + s.Name
	}
	return "catches/" + s.Name
}

// Met reports whether what the intent needs is there.
func (in *Intent) Met() bool { return in.Needs == "" || os.Getenv(in.Needs) != "" }

// AuthorPath returns the path of an entry of the author's side.
func (k *Kata) AuthorPath(elem ...string) string {
	return filepath.Join(append([]string{k.Dir, AuthorDir}, elem...)...)
}

// SuiteFiles returns the hidden suite's Go files, sorted by name.
func (k *Kata) SuiteFiles() []string {
	files, _ := filepath.Glob(filepath.Join(escapeGlob(k.AuthorPath()), "*_test.go"))
	return files
}

// IntentByName returns the intent called name, or nil.
func (k *Kata) IntentByName(name string) *Intent {
	for i := range k.Intents {
		if k.Intents[i].Name == name {
			return &k.Intents[i]
		}
	}
	return nil
}

func (k *Kata) fault(at, format string, args ...any) {
	k.Faults = append(k.Faults, Problem{Kind: "kata", At: RelTo(k.Root, at), Text: fmt.Sprintf(format, args...)})
}

func (k *Kata) lapse(at, format string, args ...any) {
	k.Lapses = append(k.Lapses, Problem{Kind: "kata", At: RelTo(k.Root, at), Text: fmt.Sprintf(format, args...)})
}

func loadKata(root, dir string) *Kata {
	k := &Kata{Path: RelTo(root, dir), Dir: dir, Root: root, Timeout: DefaultTimeout, Kind: Library}
	k.locateModule()
	k.loadStub()
	k.Title = Text{EN: firstHeading(filepath.Join(dir, "README.md")), ZH: firstHeading(filepath.Join(dir, "README.zh-CN.md"))}
	if k.Title.EN == "" {
		k.lapse(dir, "README.md has no `# Title`; add it as the first line")
		k.Title.EN = path.Base(k.Path)
	}
	if isDir(k.AuthorPath("subjects")) {
		k.Kind = Tests
		k.loadSubjects()
		return k
	}
	k.loadSuite()
	return k
}

func (k *Kata) locateModule() {
	for d := k.Dir; ; d = filepath.Dir(d) {
		if mod, err := modulePath(filepath.Join(d, "go.mod")); err == nil {
			k.ModuleDir, k.ModulePath = d, mod
			k.ImportPath = path.Join(mod, filepath.ToSlash(strings.TrimPrefix(k.Dir, d)))
			return
		}
		if d == k.Root || d == filepath.Dir(d) {
			k.fault(k.Dir, "no go.mod between here and the workspace; a stage is a module")
			return
		}
	}
}

var moduleLine = regexp.MustCompile(`(?m)^module[ \t]+"?([^\s"]+)"?`)

func modulePath(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	m := moduleLine.FindSubmatch(data)
	if m == nil {
		return "", fmt.Errorf("%s has no module line", file)
	}
	return string(m[1]), nil
}

func (k *Kata) loadStub() {
	k.Stub = map[string]string{}
	files, err := filesBelow(k.AuthorPath("stub"))
	if err != nil || len(files) == 0 {
		k.fault(k.AuthorPath("stub"), "no pristine stub; put copies of exactly the learner's files there")
		return
	}
	k.Stub = files
	pkg := ""
	for _, rel := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(rel, ".go") || strings.Contains(rel, "/") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), files[rel], nil, parser.PackageClauseOnly)
		if err != nil {
			k.fault(files[rel], "the stub does not parse: %v", err)
			continue
		}
		pkg = strings.TrimSuffix(f.Name.Name, "_test")
	}
	if pkg == "" {
		pkg = path.Base(k.Path)
	}
	k.Package = pkg
	if pkg == "main" {
		k.Kind = Program
	}
}

func (k *Kata) loadSuite() {
	files := k.SuiteFiles()
	if len(files) == 0 {
		k.fault(k.AuthorPath("intents_test.go"), "%s: no hidden suite; write .kata/intents_test.go with a func TestXxx for each intent", k.Path)
		return
	}
	var sources []*source
	for i, file := range files {
		s := newSource(k, file)
		if s == nil {
			continue
		}
		sources = append(sources, s)
		k.directives(s, i == 0)
		k.intents(s)
	}
	k.idleInitialisers(sources)
	if len(k.Intents) == 0 {
		k.fault(files[0], "%s: no intent in %s; add a func TestXxx", k.Path, filepath.Base(files[0]))
	}
	seen := map[string]string{}
	for _, in := range k.Intents {
		if first, dup := seen[in.Name]; dup {
			k.Faults = append(k.Faults, Problem{Kind: "kata", At: in.At, Text: fmt.Sprintf("intent %s stands already at %s; names are unique in a kata", in.Name, first)})
		}
		seen[in.Name] = in.At
	}
}

var stepFile = regexp.MustCompile(`^(step\d+)_test\.go$`)

func (k *Kata) intents(s *source) {
	step := ""
	if m := stepFile.FindStringSubmatch(filepath.Base(s.path)); m != nil {
		step = m[1]
		title := Text{EN: strings.TrimSuffix(firstSentence(s.file.Doc), ".")}
		for _, d := range s.directivesOf(s.file.Doc) {
			if d.Name == "zh" {
				title.ZH = strings.TrimSuffix(d.Args, "。")
			}
		}
		if title.EN == "" || title.ZH == "" {
			k.lapse(s.at(s.file.Package), "the step has no title; the package clause's doc comment is `// Title.` with `//kata:zh …`")
		}
		k.Steps = append(k.Steps, Step{ID: step, Title: title})
		slices.SortFunc(k.Steps, func(a, b Step) int { return len(a.ID)*1000 - len(b.ID)*1000 + strings.Compare(a.ID, b.ID) })
	}
	for _, decl := range s.file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Recv != nil {
			continue
		}
		name := fn.Name.Name
		switch {
		case isTestName(name, "Test"):
			if name == "TestMain" || !isTestFunc(s.file, fn) {
				k.fault(s.at(fn.Pos()), "%s is no intent: a suite holds only func TestXxx(t *testing.T), and no TestMain", name)
				continue
			}
		case isTestName(name, "Benchmark"), isTestName(name, "Fuzz"), isTestName(name, "Example"):
			k.fault(s.at(fn.Pos()), "%s: a hidden suite holds no benchmarks, fuzz targets or examples; make it a func TestXxx or rename it", name)
			continue
		case name == "init":
			k.fault(s.at(fn.Pos()), "a hidden suite has no func init: it is linked together with others")
			continue
		default:
			if len(s.directivesOf(fn.Doc)) > 0 {
				k.fault(s.at(fn.Pos()), "%s has //kata: directives and is no intent", name)
			}
			continue
		}
		in := Intent{Name: name, Step: step, At: s.at(fn.Pos()), Text: Text{EN: firstSentence(fn.Doc)}}
		for _, d := range s.directivesOf(fn.Doc) {
			switch d.Name {
			case "zh":
				in.Text.ZH = d.Args
			case "shares":
				in.Shares = d.Args
				if d.Args == "" {
					k.fault(s.at(d.Slash), "//kata:shares needs a reason")
				}
			case "needs":
				in.Needs = d.Args
				if !strings.HasPrefix(d.Args, "ROADKATA_") || strings.ContainsAny(d.Args, " \t=") {
					k.fault(s.at(d.Slash), "//kata:needs wants the variable that names the server, such as ROADKATA_POSTGRES_DSN; it has %q", d.Args)
				}
			default:
				k.fault(s.at(d.Slash), "unknown or misplaced directive //kata:%s on an intent; known here: zh, shares, needs", d.Name)
			}
		}
		if in.Text.EN == "" {
			k.lapse(in.At, "%s: no doc comment; its first sentence is what the learner reads", name)
		}
		if in.Text.ZH == "" {
			k.lapse(in.At, "%s: no //kata:zh line", name)
		}
		k.Intents = append(k.Intents, in)
	}
}

// idleInitialisers asks a suite's package variables not to call functions of its
// own: what they do is done in every process of every kata that shares the program.
func (k *Kata) idleInitialisers(sources []*source) {
	own := map[string]bool{}
	for _, s := range sources {
		for _, decl := range s.file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
				own[fn.Name.Name] = true
			}
		}
	}
	for _, s := range sources {
		for _, decl := range s.file.Decls {
			vars, ok := decl.(*ast.GenDecl)
			if !ok || vars.Tok != token.VAR {
				continue
			}
			ast.Inspect(vars, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncLit:
					return false // runs when it is called
				case *ast.CallExpr:
					if fn, ok := n.Fun.(*ast.Ident); ok && own[fn.Name] {
						k.lapse(s.at(n.Pos()), "a package variable calls %s, in every process of every kata that shares the program; use sync.OnceValue", fn.Name)
					}
				}
				return true
			})
		}
	}
}

// loadSubjects reads a write-the-tests kata: directives from .kata/doc.go, one
// intent for each subject.
func (k *Kata) loadSubjects() {
	if s := newSource(k, k.AuthorPath("doc.go")); s != nil {
		k.directives(s, true)
	}
	for _, side := range []struct {
		name  string
		right bool
	}{{"right", true}, {"wrong", false}} {
		dirs, err := subDirs(k.AuthorPath("subjects", side.name))
		if err != nil || len(dirs) == 0 {
			k.fault(k.AuthorPath("subjects", side.name), "no subjects; add a folder for each implementation that a suite must tell apart")
			continue
		}
		for _, d := range dirs {
			sub := Subject{Name: filepath.Base(d), Right: side.right, Dir: d}
			k.Subjects = append(k.Subjects, sub)
			in := Intent{Name: sub.Intent(), At: RelTo(k.Root, d)}
			doc := findDoc(k, d)
			if doc != nil {
				in.Text.EN = firstSentence(doc.file.Doc)
				for _, dir := range doc.directivesOf(doc.file.Doc) {
					switch dir.Name {
					case "zh":
						in.Text.ZH = dir.Args
					case "shares":
						in.Shares = dir.Args
					default:
						k.fault(doc.at(dir.Slash), "unknown or misplaced directive //kata:%s on a subject; known here: zh, shares", dir.Name)
					}
				}
			}
			if in.Text.EN == "" || in.Text.ZH == "" {
				k.lapse(d, "%s: the subject's package doc comment needs a sentence and a //kata:zh line", sub.Intent())
			}
			k.Intents = append(k.Intents, in)
		}
	}
}

// Normal returns source text as `check` compares it: no byte-order mark, plain
// line ends; gofmt is applied by the caller that has reason to.
func Normal(data []byte) string {
	s := strings.TrimPrefix(string(data), "\ufeff")
	return strings.ReplaceAll(s, "\r\n", "\n")
}

func firstHeading(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		line := strings.TrimPrefix(sc.Text(), "\ufeff")
		if h, ok := strings.CutPrefix(line, "# "); ok {
			return strings.TrimSpace(h)
		}
		if strings.TrimSpace(line) != "" {
			return ""
		}
	}
	return ""
}

func isDir(p string) bool {
	fi, err := os.Stat(p)
	return err == nil && fi.IsDir()
}

func subDirs(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out, nil
}

// filesBelow lists the regular files below dir: relative name with slashes → absolute path.
func filesBelow(dir string) (map[string]string, error) {
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		out[RelTo(dir, p)] = p
		return nil
	})
	return out, err
}
