// The intents of godoc.
//
//kata:level 1
//kata:minutes 30
//kata:engine real go doc
//kata:timeout 60s
package godoc_test

import (
	"context"
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/format"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/roadkata/roadkata/stage1/engineering/godoc/examples"
)

// The package comment begins with "Package godoc", and says more than one sentence.
//
//kata:zh 包注释以 “Package godoc” 开头，并且不止一段话。
func TestPackageComment(t *testing.T) {
	p := load(t)
	if !strings.HasPrefix(oneLine(p.Doc), "Package godoc ") {
		t.Errorf("the package comment is %.60q, want one that begins with \"Package godoc \", right above the package clause", p.Doc)
	}
	if n := len(p.Parser().Parse(p.Doc).Content); n < 2 {
		t.Errorf("the package comment has %d paragraphs, want at least 2: what it is for, and how to begin", n)
	}
}

// Every exported name has a comment that begins with it and is made of whole sentences; the code is as it was.
//
//kata:zh 每个导出名都有注释，以该名字开头，句子完整；代码保持原样。
func TestEveryName(t *testing.T) {
	entries := entries(load(t))
	for _, name := range []string{"ErrSyntax", "Amount", "Cent, Euro", "Parse", "MustParse", "FromFloat", "Amount.String", "Amount.Split"} {
		text, ok := entries[name]
		if !ok {
			t.Fatalf("%s is gone", name)
		}
		if text == "" {
			t.Errorf("%s has no doc comment", name)
			continue
		}
		base := name[strings.LastIndex(name, ".")+1:]
		begins := regexp.MustCompile(`^((A|An|The)\s+)?` + base + `\b`)
		if name != "Cent, Euro" && !begins.MatchString(text) { // a group is no name
			t.Errorf("the comment of %s begins with %.40q, want %q", name, text, base+" …")
		}
		if s := new(doc.Package).Synopsis(text); !strings.HasSuffix(s, ".") {
			t.Errorf("the first sentence of the comment of %s does not end with a full stop: %q", name, s)
		}
	}

	got := code(t, filepath.Join(os.Getenv("ROADKATA_FILES"), "godoc.go"))
	if want := code(t, filepath.Join(".kata", "stub", "godoc.go")); got != want {
		t.Errorf("the code of godoc.go has changed, want changes in comments only; without comments it is\n%s", got)
	}
}

// What is deprecated says so in a paragraph of its own, and what to use; nothing else is deprecated.
//
//kata:zh 弃用的函数以单独一段说明弃用，并指明替代；别的都没有弃用。
func TestDeprecated(t *testing.T) {
	p := load(t)
	for name, text := range entries(p) {
		note := ""
		for _, block := range p.Parser().Parse(text).Content {
			if par, ok := block.(*comment.Paragraph); ok {
				if s := plain(par.Text); strings.HasPrefix(s, "Deprecated: ") {
					note = s
				}
			}
		}
		switch {
		case name != "FromFloat" && note != "":
			t.Errorf("%s is marked as deprecated: %q, want only FromFloat to be", name, note)
		case name == "FromFloat" && note == "":
			t.Errorf("the comment of FromFloat is %q, want a paragraph that begins with \"Deprecated: \"", text)
		case name == "FromFloat" && !strings.Contains(note, "Parse"):
			t.Errorf("FromFloat: %q does not say to use Parse", note)
		}
	}
}

// Links lead somewhere, and what a reader needs next is linked.
//
//kata:zh 链接都有去处；读者接下来要看的，都给了链接。
func TestLinks(t *testing.T) {
	p := load(t)
	all := entries(p)
	all["the package"] = p.Doc
	bracket := regexp.MustCompile(`\[[^\]]+\]`) // nothing stands in those of []Amount
	links := map[string][]string{}
	for name, text := range all {
		d := p.Parser().Parse(text)
		for _, def := range d.Links {
			if !def.Used {
				t.Errorf("the comment of %s says where [%s] leads, and never uses it", name, def.Text)
			}
		}
		walk(d.Content, func(x comment.Text) {
			switch x := x.(type) {
			case comment.Plain:
				for _, s := range bracket.FindAllString(string(x), -1) {
					t.Errorf("the comment of %s: %s is no link: there is no such name, or no line that says where it leads", name, s)
				}
			case *comment.DocLink:
				links[name] = append(links[name], x.Name)
			}
		})
	}
	for _, want := range []struct{ from, to string }{{"Parse", "ErrSyntax"}, {"MustParse", "Parse"}, {"FromFloat", "Parse"}, {"the package", "Parse"}} {
		if !slices.Contains(links[want.from], want.to) {
			t.Errorf("the comment of %s links to %q, want a link to %s among them: %s", want.from, links[want.from], want.to, all[want.from])
		}
	}
}

// What panics says so.
//
//kata:zh 会 panic 的函数都有说明。
func TestPanics(t *testing.T) {
	for name, text := range entries(load(t)) {
		if (name == "MustParse" || name == "Amount.Split") && !strings.Contains(strings.ToLower(text), "panic") {
			t.Errorf("the comment of %s does not say when it panics: %q", name, text)
		}
	}
}

// Each example belongs to a name that exists, and says what comes out.
//
//kata:zh 每个示例都对应存在的名字，并写明输出。
func TestExamples(t *testing.T) {
	p := load(t)
	found := exampleMap(t)
	for _, name := range []string{"", "Parse", "Amount_Split"} {
		if found[name] == nil {
			t.Errorf("Example%s is gone", name)
		}
	}
	known := map[string]bool{}
	for names := range entries(p) {
		for _, name := range strings.Split(names, ", ") { // of a group, too
			known[name] = true
		}
	}
	for name, e := range found {
		if e.Output == "" && !e.EmptyOutput {
			t.Errorf("Example%s has no \"// Output:\" comment at its end, so it is never run", name)
		}
		sym := regexp.MustCompile(`(^|_)[a-z]\w*$`).ReplaceAllString(name, "")
		if sym != "" && !known[strings.Replace(sym, "_", ".", 1)] {
			t.Errorf("Example%s: package godoc has no %s", name, strings.Replace(sym, "_", ".", 1))
		}
	}
}

// The examples print what they promise.
//
//kata:zh 示例的输出与所写的一致。
func TestOutput(t *testing.T) {
	found := exampleMap(t)
	for name, f := range map[string]func(){
		"": examples.Example, "Parse": examples.ExampleParse, "Amount_Split": examples.ExampleAmount_Split,
	} {
		e := found[name]
		if e == nil {
			t.Errorf("Example%s is gone", name)
			continue
		}
		got := strings.TrimSpace(printed(t, f))
		want := strings.TrimSpace(e.Output)
		g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
		if e.Unordered {
			slices.Sort(g)
			slices.Sort(w)
		}
		if !slices.Equal(g, w) {
			t.Errorf("Example%s printed\n%s\nand promises\n%s", name, got, want)
		}
		if got == "" {
			t.Errorf("Example%s prints nothing", name)
		}
	}
}

// The tools show a first sentence that is whole and short: go list for the package, go doc for each name.
//
//kata:zh 工具显示的首句完整而简短：go list 显示包的，go doc 显示每个名字的。
func TestGoDoc(t *testing.T) {
	dir := t.TempDir()
	src, err := os.ReadFile(filepath.Join(os.Getenv("ROADKATA_FILES"), "godoc.go"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"godoc.go": src, "go.mod": []byte("module example.com/godoc\n\ngo 1.26\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synopsis := strings.TrimSpace(run(t, dir, "list", "-f", "{{.Doc}}", "."))
	p := load(t)
	sentence(t, "go list -f '{{.Doc}}'", synopsis, firstParagraph(p, p.Doc))
	shown := oneLine(run(t, dir, "doc", "-all", "."))
	for name, text := range entries(p) {
		s := oneLine(p.Synopsis(text))
		sentence(t, "the first sentence of "+name, s, firstParagraph(p, text))
		if !strings.Contains(shown, s) {
			t.Errorf("go doc -all does not show %q, the first sentence of %s", s, name)
		}
	}
}

// sentence checks the first sentence of a paragraph. Where an abbreviation ends the paragraph, it ends the sentence, too.
func sentence(t *testing.T, what, s, paragraph string) {
	t.Helper()
	cut := oneLine(s) != paragraph && regexp.MustCompile(`(?i)\b(e\.g|i\.e|etc|vs|cf|resp|approx)\.$`).MatchString(s)
	if s == "" || !strings.HasSuffix(s, ".") || cut {
		t.Errorf("%s is %q, want a whole sentence", what, s)
	}
	if n := utf8.RuneCountInString(s); n > 120 {
		t.Errorf("%s has %d characters, want 120 at most: %q", what, n, s)
	}
}

func firstParagraph(p *doc.Package, text string) string {
	for _, block := range p.Parser().Parse(text).Content {
		if par, ok := block.(*comment.Paragraph); ok {
			return oneLine(plain(par.Text))
		}
	}
	return ""
}

// oneLine takes the line breaks out of a text: where they stand does not matter.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOPROXY=off", "PWD="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// load reads the documentation from the learner's file.
func load(t *testing.T) *doc.Package {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, filepath.Join(os.Getenv("ROADKATA_FILES"), "godoc.go"), nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	p, err := doc.NewFromFiles(fset, []*ast.File{file}, "github.com/roadkata/roadkata/stage1/engineering/godoc")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// entries returns the comments by name.
func entries(p *doc.Package) map[string]string {
	all := map[string]string{}
	values := func(list []*doc.Value) {
		for _, v := range list {
			all[strings.Join(v.Names, ", ")] = v.Doc
		}
	}
	funcs := func(prefix string, list []*doc.Func) {
		for _, f := range list {
			all[prefix+f.Name] = f.Doc
		}
	}
	values(p.Consts)
	values(p.Vars)
	funcs("", p.Funcs)
	for _, typ := range p.Types {
		all[typ.Name] = typ.Doc
		values(typ.Consts)
		values(typ.Vars)
		funcs("", typ.Funcs)
		funcs(typ.Name+".", typ.Methods)
	}
	return all
}

func exampleMap(t *testing.T) map[string]*doc.Example {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(os.Getenv("ROADKATA_FILES"), "examples", "examples.go"), nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*doc.Example{}
	for _, e := range doc.Examples(file) {
		found[e.Name] = e
	}
	return found
}

// code returns a file without its comments.
func code(t *testing.T, name string) string {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := format.Node(&b, fset, file); err != nil {
		t.Fatal(err)
	}
	// Empty lines may come and go with comments.
	var lines []string
	for line := range strings.Lines(b.String()) {
		if strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// walk calls f for all text but code.
func walk(blocks []comment.Block, f func(comment.Text)) {
	texts := func(list []comment.Text) {
		for _, x := range list {
			f(x)
		}
	}
	for _, b := range blocks {
		switch b := b.(type) {
		case *comment.Paragraph:
			texts(b.Text)
		case *comment.Heading:
			texts(b.Text)
		case *comment.List:
			for _, item := range b.Items {
				walk(item.Content, f)
			}
		}
	}
}

func plain(list []comment.Text) string {
	var b strings.Builder
	for _, x := range list {
		switch x := x.(type) {
		case comment.Plain:
			b.WriteString(string(x))
		case comment.Italic:
			b.WriteString(string(x))
		case *comment.Link:
			b.WriteString(plain(x.Text))
		case *comment.DocLink:
			b.WriteString(plain(x.Text))
		}
	}
	return b.String()
}

// printed returns what f prints to standard output.
func printed(t *testing.T, f func()) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	stdout := os.Stdout
	os.Stdout = file
	func() {
		defer func() { os.Stdout = stdout }()
		f()
	}()
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
