package suite

import (
	"bytes"
	"go/format"
	"strings"
	"text/template"
)

// program is one linked test binary: the suites of many pairs.
type program struct {
	key     groupKey
	layouts []*layout
	name    string // element below runDir, unique in its module
	file    string // the binary
}

// groupKey tells which pairs may share a program.
type groupKey struct {
	module     string // its folder
	modulePath string
	race       bool
	experiment string
	alone      string // of whom it is, where it is not shared
}

// environment variables between the grader and the wrapper.
const (
	envRecords = "ROADKATA_RECORDS"
	envNonce   = "ROADKATA_NONCE"
	envProbe   = "ROADKATA_PROBE"
	envFiles   = "ROADKATA_FILES"
	envProgram = "ROADKATA_PROGRAM"
)

// wrapperSource generates the program's only file: each test of each pair under
// a name of its own, with its records.
func wrapperSource(p *program) ([]byte, error) {
	type test struct {
		Func, Name, Symbol, Pkg string
		testFunc
	}
	type view struct {
		Imports []struct{ Name, Path string }
		Tests   []test
	}
	var v view
	for i, l := range p.layouts {
		if len(l.tests) == 0 {
			continue
		}
		name := "s" + itoa(i)
		v.Imports = append(v.Imports, struct{ Name, Path string }{name, l.suitePath()})
		for _, t := range l.tests {
			v.Tests = append(v.Tests, test{Func: wrapped(i, t.name), Name: t.name, Symbol: l.symbol(t.name), Pkg: name, testFunc: t})
		}
	}
	var buf bytes.Buffer
	if err := wrapper.Execute(&buf, struct {
		view
		EnvRecords, EnvNonce, EnvProbe string
	}{v, envRecords, envNonce, envProbe}); err != nil {
		return nil, err
	}
	return format.Source(buf.Bytes())
}

// wrapped is the name under which the test of pair i stands in the program.
func wrapped(i int, test string) string { return "TestP" + itoa(i) + "_" + test }

// unwrap restores the suite's own names in what a program printed.
func unwrap(out string, i int) string { return strings.ReplaceAll(out, "TestP"+itoa(i)+"_", "") }

func (t testFunc) Output() string  { return t.output }
func (t testFunc) Example() bool   { return t.example }
func (t testFunc) Unordered() bool { return t.unordered }

// The records go to a file that only this program knows, unbuffered and in order.
// An end record comes from t.Cleanup, so it also comes after a panic; it says
// passed only if the body returned and the test neither failed nor skipped.
var wrapper = template.Must(template.New("wrapper").Parse(`package run

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
{{range .Imports}}
	{{.Name}} "{{.Path}}"
{{- end}}
)

type recorder struct {
	mu    sync.Mutex
	file  *os.File
	nonce string
}

var rec recorder

func (r *recorder) write(fields ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file != nil {
		fmt.Fprintln(r.file, r.nonce, strings.Join(fields, " "))
	}
}

func TestMain(m *testing.M) {
	rec.nonce = os.Getenv("{{.EnvNonce}}")
	name := os.Getenv("{{.EnvRecords}}")
	os.Unsetenv("{{.EnvNonce}}")
	os.Unsetenv("{{.EnvRecords}}")
	if name != "" {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			fmt.Fprintln(os.Stderr, "open the record file:", err)
			os.Exit(3)
		}
		rec.file = f
	}
	rec.write("ready")
	if os.Getenv("{{.EnvProbe}}") != "" {
		os.Exit(0)
	}
	code := m.Run()
	rec.write("done")
	os.Exit(code)
}

func run(t *testing.T, name string, body func(*testing.T)) {
	returned := false
	rec.write("start", name)
	t.Cleanup(func() {
		failed, skipped := t.Failed(), t.Skipped()
		rec.write("end", name,
			fmt.Sprintf("passed=%t failed=%t skipped=%t returned=%t", returned && !failed && !skipped, failed, skipped, returned))
	})
	body(t)
	returned = true
}

// example runs a visible example and compares what it prints, as go test does.
func example(t *testing.T, f func(), want string, unordered bool) {
	old := os.Stdout
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan string)
	go func() {
		b, _ := io.ReadAll(r)
		out <- string(b)
	}()
	os.Stdout = w
	func() {
		defer func() { os.Stdout = old; w.Close() }()
		f()
	}()
	got, want := strings.TrimSpace(<-out), strings.TrimSpace(want)
	if unordered {
		sorted := func(s string) string {
			lines := strings.Split(s, "\n")
			slices.Sort(lines)
			return strings.Join(lines, "\n")
		}
		got, want = sorted(got), sorted(want)
	}
	if got != want {
		t.Errorf("the example printed\n%s\nwant\n%s", got, want)
	}
}

var _ = example
{{range .Tests}}
func {{.Func}}(t *testing.T) {
	{{- if .Example}}
	run(t, "{{.Name}}", func(t *testing.T) { example(t, {{.Pkg}}.{{.Symbol}}, {{printf "%q" .Output}}, {{.Unordered}}) })
	{{- else}}
	run(t, "{{.Name}}", {{.Pkg}}.{{.Symbol}})
	{{- end}}
}
{{end}}`))
