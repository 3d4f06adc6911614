// The suite runs the real go command on the shop: on each module alone, as others get it, and in the workspace.
//
//kata:level 2
//kata:minutes 50
//kata:engine real go command, offline on a file-system module proxy
//kata:timeout 180s
package workspace_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/modfile"

	"github.com/roadkata/roadkata/stage1/engineering/workspace"
)

const (
	storePath = "example.com/shop/store"
	moneyPath = "example.com/shop/money"
	apiPath   = "example.com/shop/api"
	tool      = "example.com/dev/enumgen"
)

var (
	modules = []string{"money", "store", "api"}
	// yours are the learner's files; given ones lie in the kata's folder.
	yours = []string{
		"go.work", "money/go.mod", "store/go.mod", "store/go.sum", "store/store.go", "api/go.mod", "api/go.sum", "api/main.go",
	}
	given = []string{
		"money/money.go", "store/internal/rows/rows.go", "api/state_enum.go", "api/web/web.go", "api/web/package.json",
		"api/web/node_modules/flatted/golang/flatted.go",
	}
)

// Each module builds by itself, without the workspace and without the folders beside it.
//
//kata:zh 每个模块都能独自构建：没有工作区，旁边也没有别的目录。
func TestAlone(t *testing.T) {
	s := newShop(t)
	for _, m := range modules {
		if m == "money" && s.plainMoney() {
			// What builds of it in the workspace builds anywhere; the go command only has to take its go.mod.
			if out, err := s.alone(m, true).run("list", "-m"); err != nil {
				t.Errorf("%s, copied to an empty folder: %v\n%s", m, err, out)
			}
			continue
		}
		if _, err := s.asItIs(m); err == nil {
			continue
		}
		if out, err := s.alone(m, true).run("list", "-export", "./..."); err != nil {
			t.Errorf("%s, copied to an empty folder, does not build with what is published: %v\n%s", m, err, out)
		}
	}
}

// The workspace builds, and all three modules belong to it.
//
//kata:zh 工作区能构建，并且三个模块都在其中。
func TestWorkspace(t *testing.T) {
	s := newShop(t)
	w := s.together()
	out, err := w.run("list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		t.Fatalf("go list -m in the workspace: %v\n%s", err, out)
	}
	var got []string
	for dir := range strings.Lines(out) {
		got = append(got, filepath.Base(strings.TrimSpace(dir)))
	}
	slices.Sort(got)
	if want := []string{"api", "money", "store"}; !slices.Equal(got, want) {
		t.Fatalf("the workspace uses the modules in %v, want those in %v", got, want)
	}
	if _, err := s.program(); err == nil {
		return // It contains the packages of all three.
	}
	if out, err := w.run("list", "-export", "./api/...", "./money/...", "./store/..."); err != nil {
		t.Errorf("the workspace does not build: %v\n%s", err, out)
	}
}

// go mod tidy has nothing to change: nothing is missing in a go.mod, and nothing is left over in go.mod or go.sum.
//
//kata:zh go mod tidy 没有可改的：go.mod 什么也不缺，go.mod 和 go.sum 里也没有多余的。
func TestTidy(t *testing.T) {
	s := newShop(t)
	for _, m := range modules {
		if m == "money" && s.plainMoney() {
			continue // Nothing is required, and nothing is imported that would have to be.
		}
		c := s.alone(m, true)
		if out, err := c.run("mod", "tidy"); err != nil {
			t.Errorf("go mod tidy in %s: %v\n%s", m, err, out)
			continue
		}
		for _, line := range changed(s.read(m+"/go.mod"), c.read("go.mod")) {
			t.Errorf("go mod tidy would change %s/go.mod: %s", m, line)
		}
		tidy := keys(c.read("go.sum"))
		for _, line := range sumLines(s.read(m + "/go.sum")) {
			if !tidy[key(line)] {
				t.Errorf("go mod tidy would remove from %s/go.sum: %s", m, line)
			}
		}
	}
}

// No replace is left, neither by a folder nor by another version, in no go.mod and not in go.work.
//
//kata:zh go.mod 和 go.work 里都不再有 replace：不管是换成目录，还是换成另一个版本。
func TestNoReplace(t *testing.T) {
	s := newShop(t)
	for _, m := range modules {
		for _, r := range s.mod(t, m).Replace {
			t.Errorf("%s/go.mod:%d replaces %v by %v: whoever requires or installs the module does not get it so", m, r.Syntax.Start.Line, r.Old, r.New)
		}
	}
	work, err := modfile.ParseWork("go.work", []byte(s.read("go.work")), nil)
	if err != nil {
		t.Fatalf("go.work: %v", err)
	}
	for _, r := range work.Replace {
		t.Errorf("go.work:%d replaces %v by %v; what lies in the workspace is used, what does not is required", r.Syntax.Start.Line, r.Old, r.New)
	}
}

// money is version 2: its module path says so, and nobody requires or imports version 1 any more.
//
//kata:zh money 是第 2 版：模块路径里写明了，而且再没有人要求或导入第 1 版。
func TestMajorVersion(t *testing.T) {
	s := newShop(t)
	if got, want := s.mod(t, "money").Module.Mod.Path, moneyPath+"/v2"; got != want {
		t.Errorf("money/go.mod: module %s, want %s: the next release of it is v2.2.0", got, want)
	}
	for _, m := range modules {
		for _, r := range s.mod(t, m).Require {
			if r.Mod.Path == moneyPath {
				t.Errorf("%s/go.mod:%d requires %v, want %s/v2 and no version 1 beside it", m, r.Syntax.Start.Line, r.Mod, moneyPath)
			}
		}
	}
	for _, name := range []string{"store/store.go", "api/main.go"} {
		if _, imports := s.parse(t, name); slices.Contains(imports, moneyPath) {
			t.Errorf("%s imports %s, which is version 1, want %s/v2", name, moneyPath, moneyPath)
		}
	}
	if _, imports := s.parse(t, "store/store.go"); !slices.Contains(imports, moneyPath+"/v2") {
		t.Errorf("store/store.go imports %v, want %s/v2 among them: prices are amounts of it", imports, moneyPath)
	}
}

// What is internal to the store stays there, what it exports stays too, and the modules keep the paths by which they are known.
//
//kata:zh store 的 internal 只在 store 里用，它导出的一样不少；各模块的路径保持不变。
func TestInternal(t *testing.T) {
	s := newShop(t)
	for m, want := range map[string]string{"store": storePath, "api": apiPath} {
		if got := s.mod(t, m).Module.Mod.Path; got != want {
			t.Errorf("%s/go.mod: module %s, want %s: others know it by this path", m, got, want)
		}
	}
	_, imports := s.parse(t, "api/main.go")
	if slices.ContainsFunc(imports, func(p string) bool { return strings.Contains(p+"/", "/internal/") }) {
		t.Errorf("api/main.go imports %v: an internal package of another module; want what the store exports", imports)
	}
	if !slices.Contains(imports, storePath) {
		t.Errorf("api/main.go imports %v, want %s among them: it prints what the store has", imports, storePath)
	}
	store, _ := s.parse(t, "store/store.go")
	for _, name := range []string{"Item", "All", "Find"} {
		if !declares(store, name) {
			t.Errorf("store/store.go exports no %s: the published v1.4.0 does, and others use it", name)
		}
	}
}

func declares(f *ast.File, name string) bool {
	return slices.ContainsFunc(f.Decls, func(d ast.Decl) bool {
		switch d := d.(type) {
		case *ast.FuncDecl:
			return d.Recv == nil && d.Name.Name == name
		case *ast.GenDecl:
			return slices.ContainsFunc(d.Specs, func(spec ast.Spec) bool {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					return spec.Name.Name == name
				case *ast.ValueSpec:
					return slices.ContainsFunc(spec.Names, func(id *ast.Ident) bool { return id.Name == name })
				}
				return false
			})
		}
		return false
	})
}

// enumgen is a tool of the api module, in the version that the module pins, and go generate calls it by `go tool`.
//
//kata:zh enumgen 是 api 模块的工具，版本由模块固定，go generate 通过 go tool 调用它。
func TestTool(t *testing.T) {
	s := newShop(t)
	mod := s.mod(t, "api")
	if !slices.ContainsFunc(mod.Tool, func(x *modfile.Tool) bool { return x.Path == tool }) {
		t.Errorf("api/go.mod has no `tool %s`", tool)
	}
	file, _ := s.parse(t, "api/main.go")
	var calls []string
	for _, group := range file.Comments {
		for _, c := range group.List {
			if words, ok := strings.CutPrefix(c.Text, "//go:generate "); ok {
				calls = append(calls, strings.Join(strings.Fields(words), " "))
			}
		}
	}
	if len(calls) != 1 || !strings.HasPrefix(calls[0], "go tool enumgen ") && !strings.HasPrefix(calls[0], "go tool "+tool+" ") {
		t.Fatalf("api/main.go has the //go:generate lines %q, want one that runs `go tool enumgen`", calls)
	}

	c := s.alone("api", true)
	generated := filepath.Join(c.dir, "state_enum.go")
	want := c.read("state_enum.go")
	if err := os.Remove(generated); err != nil {
		t.Fatal(err)
	}
	if out, err := c.run("generate", "."); err != nil {
		t.Fatalf("go generate in api: %v\n%s", err, out)
	}
	if got, err := os.ReadFile(generated); err != nil || string(got) != want {
		t.Errorf("go generate in api wrote state_enum.go as\n%s(%v)\nwant it as it was\n%s", got, err, want)
	}
}

// In api, the pattern for all packages means the two packages of the api and nothing that npm has left there.
//
//kata:zh 在 api 里，./... 指的是 api 自己的两个包，不含 npm 留下的任何东西。
func TestIgnore(t *testing.T) {
	s := newShop(t)
	out, err := s.asItIs("api")
	if err != nil {
		if out, err = s.alone("api", true).run("list", "-e", "-f", dirs, "./..."); err != nil {
			t.Fatalf("go list ./... in api: %v\n%s", err, out)
		}
	}
	var got []string
	for line := range strings.Lines(out) {
		root, dir, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if dir == "" {
			continue
		}
		rel, err := filepath.Rel(root, dir)
		if err != nil {
			rel = dir
		}
		got = append(got, filepath.ToSlash(rel))
	}
	slices.Sort(got)
	if want := []string{".", "web"}; !slices.Equal(got, want) {
		t.Errorf("go list ./... in api finds packages in %v, want those in %v", got, want)
	}
}

// go.sum holds the checksum of each module that is needed, the right one: go mod verify finds nothing amiss.
//
//kata:zh go.sum 里有每个所需模块的校验和，而且是对的：go mod verify 挑不出毛病。
func TestVerify(t *testing.T) {
	s := newShop(t)
	for _, m := range []string{"store", "api"} {
		c := s.alone(m, false)
		if _, err := s.asItIs(m); err != nil {
			if out, err := c.run("list", "-deps", "all"); err != nil {
				t.Errorf("loading %s with its own go.sum: %v\n%s", m, err, out)
				continue
			}
		}
		if out, err := c.run("mod", "verify"); err != nil {
			t.Errorf("go mod verify in %s: %v\n%s", m, err, out)
		}
	}
}

// The program prints what it printed: names, prices and the total, to the cent.
//
//kata:zh 程序的输出和从前一样：名称、价格和合计，精确到分。
func TestReceipt(t *testing.T) {
	program, err := newShop(t).program()
	if err != nil {
		t.Fatalf("go build ./api in the workspace: %v\n%s", err, program)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "tea\ncoffee\n"},
		{[]string{"tea", "coffee"}, "tea                 12.50\ncoffee               9.80\ntotal (Open)        22.30\n"},
		{[]string{"coffee"}, "coffee               9.80\ntotal (Open)         9.80\n"},
	} {
		out, err := exec.Command(program, c.args...).CombinedOutput()
		if err != nil || string(out) != c.want {
			t.Errorf("api %s prints (%v)\n%swant\n%s", strings.Join(c.args, " "), err, out, c.want)
		}
	}
	out, err := exec.Command(program, "milk").CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || string(out) != "no item \"milk\"\n" {
		t.Errorf("api milk prints (%v)\n%swant exit status 1 and\nno item \"milk\"", err, out)
	}
}

// dirs lists the packages that are meant by ./..., each with its module's folder in front. Those that are only imported are
// meant by "all" alone.
const dirs = "{{range .Match}}{{if eq . \"./...\"}}{{with $.Module}}{{.Dir}}{{end}}\t{{$.Dir}}{{end}}{{end}}"

// asItIs loads and builds everything in a module alone, with the learner's own go.sum. If that works, it
// answers what several intents ask; if not, each of them asks the go command its own question.
func (s *shop) asItIs(m string) (string, error) {
	s.t.Helper()
	return once("alone "+m, func() (string, error) {
		return s.alone(m, false).run("list", "-export", "-f", dirs, "./...", "all")
	})
}

// program builds the program in the workspace and returns where it is, or what the go command complains of.
func (s *shop) program() (string, error) {
	s.t.Helper()
	w := s.together()
	return once("program", func() (string, error) {
		// Unlike go build, go run keeps programs in its cache. Instead of the program it starts "go version", which prints
		// where the program is; -work leaves it there, in the TMPDIR of this process.
		out, err := w.run("run", "-work", "-exec", "go version", "./api")
		if err != nil {
			return out, err
		}
		at := strings.LastIndex(out, ": ")
		if at < 0 {
			return out, errors.New("go version printed no path")
		}
		return out[:at], nil
	})
}

// plainMoney says whether money's go.mod has its module line and its go line, and nothing else to judge.
func (s *shop) plainMoney() bool {
	f, err := modfile.Parse("go.mod", []byte(s.read("money/go.mod")), nil)
	if err != nil || len(f.Syntax.Stmt) != 2 || f.Module == nil || f.Go == nil {
		return false
	}
	return string(modfile.Format(f.Syntax)) == s.read("money/go.mod")
}

// once does what is asked for only once in a process, whichever intent comes first: the files are always the same.
func once(what string, do func() (string, error)) (string, error) {
	f, _ := onces.LoadOrStore(what, sync.OnceValues(do))
	return f.(func() (string, error))()
}

var onces sync.Map

// root holds the proxy and the module cache. All intents of a process share it: what one of them has downloaded and
// compiled is there for the others. The grader gives each process a TMPDIR of its own and removes it.
var root = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "shop")
	return dir, errors.Join(err, workspace.Lay(filepath.Join(dir, "proxy")))
})

// rightSums are the checksums of all that is on the proxy.
var rightSums = sync.OnceValues(workspace.Sums)

// shop is the learner's workspace, ready to be copied.
type shop struct {
	t     *testing.T
	files map[string]string
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t, files: map[string]string{}}
	for _, name := range yours {
		s.take(filepath.Join(os.Getenv("ROADKATA_FILES"), "shop"), name)
	}
	for _, name := range given {
		s.take("shop", name)
	}
	return s
}

func (s *shop) take(dir, name string) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		s.t.Fatalf("no shop/%s: %v", name, err)
	}
	s.files[name] = strings.ReplaceAll(string(text), "\r\n", "\n")
}

func (s *shop) read(name string) string { return s.files[name] }

// checkout returns a folder for files, in parent or, without one, where nothing else is.
func (s *shop) checkout(parent, name, work string) *checkout {
	s.t.Helper()
	shared, err := root()
	if err != nil {
		s.t.Fatalf("the suite's own fault: %v", err)
	}
	if parent == "" {
		parent = s.t.TempDir()
	}
	return &checkout{t: s.t, root: shared, dir: filepath.Join(parent, name), work: work}
}

// checkout is a copy on disk in which the go command is run.
type checkout struct {
	t    *testing.T
	root string
	dir  string
	work string // GOWORK
}

// alone copies one module to a folder with nothing beside it. With sums, its go.sum is completed by right
// lines first, so that a wrong checksum is TestVerify's affair only.
func (s *shop) alone(m string, sums bool) *checkout {
	s.t.Helper()
	c := s.checkout("", m, "off")
	for name, text := range s.files {
		if rel, ok := strings.CutPrefix(name, m+"/"); ok {
			c.write(rel, text)
		}
	}
	if sums {
		c.write("go.sum", s.sums(m))
	}
	return c
}

// together copies the workspace, always to the same place, for which the compiler's cache is good.
func (s *shop) together() *checkout {
	s.t.Helper()
	parent, err := root()
	if err != nil {
		s.t.Fatalf("the suite's own fault: %v", err)
	}
	c := s.checkout(parent, "shop", "")
	for name, text := range s.files {
		c.write(name, text)
	}
	for _, m := range modules {
		c.write(m+"/go.sum", s.sums(m))
	}
	return c
}

func (s *shop) sums(m string) string {
	s.t.Helper()
	right, err := rightSums()
	if err != nil {
		s.t.Fatalf("the suite's own fault: %v", err)
	}
	right = slices.Clone(right)
	known := keys(strings.Join(right, "\n"))
	for _, line := range sumLines(s.read(m + "/go.sum")) {
		if !known[key(line)] {
			right = append(right, line)
		}
	}
	return strings.Join(right, "\n") + "\n"
}

func (c *checkout) write(name, text string) {
	c.t.Helper()
	name = filepath.Join(c.dir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o777), os.WriteFile(name, []byte(text), 0o666)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *checkout) read(name string) string {
	text, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.t.Fatal(err)
	}
	return string(text)
}

// run runs the go command and returns its output or, if it fails, what it complains of.
func (c *checkout) run(args ...string) (string, error) {
	cmd := c.command(args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		return string(out), nil
	}
	short := strings.NewReplacer(c.dir+string(filepath.Separator), "", filepath.ToSlash(c.root), "", c.root, "")
	text := ""
	for line := range strings.Lines(stderr.String()) {
		if !strings.HasPrefix(line, "go: downloading ") && !strings.HasPrefix(line, "WORK=") {
			text += short.Replace(line)
		}
	}
	return text, err
}

func (c *checkout) command(args ...string) *exec.Cmd {
	cmd := exec.Command("go", args...)
	cmd.Dir = c.dir
	cmd.Env = append(workspace.Env(c.root), "GOWORK="+c.work, "PWD="+c.dir,
		// There are many commands, and each is short: a garbage collector and more threads cost more than they bring, and
		// nobody debugs what is linked here. With -trimpath it makes no difference where the copy lies: what another process has
		// compiled from the same files is not compiled again.
		"GOGC=off", "GOMAXPROCS=1", "GOFLAGS=-modcacherw -buildvcs=false -ldflags=-w -trimpath",
	)
	return cmd
}

func (s *shop) mod(t *testing.T, m string) *modfile.File {
	t.Helper()
	f, err := modfile.Parse(m+"/go.mod", []byte(s.read(m+"/go.mod")), nil)
	if err != nil {
		t.Fatal(err)
	}
	if f.Module == nil {
		t.Fatalf("%s/go.mod has no module line", m)
	}
	return f
}

func (s *shop) parse(t *testing.T, name string) (*ast.File, []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path.Base(name), s.read(name), parser.ParseComments)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var imports []string
	for _, im := range f.Imports {
		p, _ := strconv.Unquote(im.Path.Value)
		imports = append(imports, p)
	}
	return f, imports
}

func sumLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// key is a line of go.sum without its hash.
func key(line string) string {
	f := append(strings.Fields(line), "", "")
	return f[0] + " " + f[1]
}

func keys(text string) map[string]bool {
	all := map[string]bool{}
	for _, line := range sumLines(text) {
		all[key(line)] = true
	}
	return all
}

// changed lists the lines that are in one text and not in the other.
func changed(from, to string) []string {
	var out []string
	old, tidy := strings.Split(from, "\n"), strings.Split(to, "\n")
	for _, line := range old {
		if !slices.Contains(tidy, line) {
			out = append(out, "- "+strings.TrimSpace(line))
		}
	}
	for _, line := range tidy {
		if !slices.Contains(old, line) {
			out = append(out, "+ "+strings.TrimSpace(line))
		}
	}
	if len(out) == 0 && from != to {
		out = append(out, "its lines stand in another order or layout")
	}
	return out
}
