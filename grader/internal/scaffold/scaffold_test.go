package scaffold_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/scaffold"
	"github.com/roadkata/roadkata/grader/internal/verify"
)

func TestRefusals(t *testing.T) {
	dir := workspace(t)
	write(t, filepath.Join(dir, "one", "topic", "taken", "notes.txt"), "mine")
	c := load(t, dir)
	for name, want := range map[string]string{
		"one/topic":          "want STAGE/TOPIC/KATA",
		"one/topic/a/b":      "want STAGE/TOPIC/KATA",
		"two/topic/kata":     `there is no stage "two"; there are one`,
		"one/topic/my-kata":  "is no package name",
		"one/topic/MyKata":   "is no package name",
		"one/topic/3d":       "is no package name",
		"one/topic/练习":       "is no package name",
		"one/topic/select":   "is a reserved word",
		"one/internal/kata":  "is a reserved word",
		"one/topic/main":     "is a reserved word",
		"one/topic/taken":    "one/topic/taken exists",
		"one/../../etc/kata": "there is no stage",
		"../one/topic/kata":  "want STAGE/TOPIC/KATA",
		"":                   "want STAGE/TOPIC/KATA",
	} {
		if _, err := scaffold.New(c, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%q) = %v, want an error with %q", name, err, want)
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "one"))
	if err != nil || len(entries) != 3 {
		t.Errorf("refusals leave something behind: %v, %v", entries, err)
	}
}

func TestPlannedKatasNeedNoEntry(t *testing.T) {
	made, err := scaffold.New(load(t, workspace(t)), "one/topic/first")
	if err != nil {
		t.Fatal(err)
	}
	if !made.Planned {
		t.Error("New(one/topic/first) does not say that the roadmap names the kata")
	}
}

// TestVerifyGuidesToCompletion plays an author who knows nothing but what verify
// says: each message has one action, and the kata is complete when it is silent.
func TestVerifyGuidesToCompletion(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a kata several times")
	}
	dir := workspace(t)
	made, err := scaffold.New(load(t, dir), "one/topic/percent")
	if err != nil {
		t.Fatal(err)
	}
	a := &author{T: t, root: dir, dir: filepath.Join(dir, "one", "topic", "percent"), made: made, heard: map[string]bool{}}
	for round := 1; ; round++ {
		c := load(t, dir)
		r, err := verify.Run(t.Context(), c, []*course.Kata{c.Kata(made.Path)}, verify.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if r.OK() {
			break
		}
		if round > 6 {
			t.Fatalf("after %d rounds verify still says %v", round, messages(r))
		}
		for _, m := range messages(r) {
			a.obey(m)
		}
	}
	for says := range a.actions() {
		if !a.heard[says] {
			t.Errorf("verify never said %q", says)
		}
	}
}

// author does what verify says.
type author struct {
	*testing.T
	root, dir string
	made      *scaffold.Made
	heard     map[string]bool
}

// actions maps what verify says to what the author does about it.
func (a *author) actions() map[string]func() {
	return map[string]func(){
		"the kata is on no roadmap; name it in one/roadmap.yaml": a.addToRoadmap,
		"no //kata:level; say 1, 2 or 3":                         func() { a.direct("level 1") },
		"no //kata:minutes":                                      func() { a.direct("minutes 10") },
		"no //kata:engine":                                       func() { a.direct("engine real Go runtime") },
		"TestDo: no //kata:zh line":                              a.addChinese,
		"a kata has at least four":                               a.addIntents,
		"solution does not pass": func() {
			a.program("solution", "", "if n < 0 {\n\t\treturn 0\n\t}\n\tif n > 100 {\n\t\treturn 100\n\t}\n\treturn n")
		},
		"accept/another does not pass":         func() { a.program("accept/another", "", "return max(0, min(n, 100))") },
		"reject/misconception names no intent": func() { a.reject("TestDo", "return n + 1") },
		"no reject is caught by TestDo alone": func() {
			a.reject("TestDo", "if n > 0 && n < 100 {\n\t\treturn n + 1\n\t}\n\treturn max(0, min(n, 100))")
		},
		"no reject is caught by TestBelow alone":                       func() { a.reject("TestBelow", "return min(n, 100)") },
		"no reject is caught by TestAbove alone":                       func() { a.reject("TestAbove", "return max(0, n)") },
		"no reject is caught by TestBounds alone":                      func() { a.reject("TestBounds", "if n == 100 {\n\t\treturn 99\n\t}\n\treturn max(0, min(n, 100))") },
		"there is a TODO left in the brief":                            a.writeBriefs,
		"write at least two, from a nudge to nearly the answer":        a.writeHints,
		"the kata's folder differs from .kata/stub; copy one over the": a.copyStub,
	}
}

// obey does what a message asks for. Several messages may follow from one fault,
// as those on the rejects that there are not yet.
func (a *author) obey(message string) {
	a.Helper()
	for says, do := range a.actions() {
		if strings.Contains(message, says) {
			a.heard[says] = true
			do()
			return
		}
	}
	follows := []string{"rejects; add mistakes", "does not pass the example"}
	if !slices.ContainsFunc(follows, func(f string) bool { return strings.Contains(message, f) }) {
		a.Errorf("verify says %q, and an author does not know what to do", message)
	}
}

func (a *author) addToRoadmap() {
	file := filepath.Join(a.root, filepath.FromSlash(a.made.Roadmap))
	text := read(a.T, file)
	if !strings.Contains(text, a.made.Entry) {
		write(a.T, file, text+a.made.Entry)
	}
}

func (a *author) direct(directive string) {
	a.edit(".kata/intents_test.go", "package percent_test", "//\n//kata:"+directive+"\npackage percent_test")
}

func (a *author) addChinese() {
	a.edit(".kata/intents_test.go", "func TestDo(", "//\n//kata:zh 原样返回百分数。\nfunc TestDo(")
}

func (a *author) addIntents() {
	for _, in := range []struct{ name, text, arg, want string }{
		{"TestBelow", "What is less than nothing is nothing", "-1", "0"},
		{"TestAbove", "What is more than all is all", "101", "100"},
		{"TestBounds", "All is all", "100", "100"},
	} {
		a.append(".kata/intents_test.go", fmt.Sprintf("\n// %s.\n//\n//kata:zh 边界。\nfunc %s(t *testing.T) {\n\tif got := percent.Do(%s); got != %s {\n\t\tt.Errorf(\"Do(%s) = %%d, want %s\", got)\n\t}\n}\n",
			in.text, in.name, in.arg, in.want, in.arg, in.want))
	}
	// Whoever writes the suite completes the contract, too, and forgets the stub's copy.
	a.edit("percent.go", "// Do returns TODO", "// Do returns n within 0 and 100. TODO")
}

func (a *author) reject(intent, body string) {
	_ = os.RemoveAll(filepath.Join(a.dir, ".kata", "reject", "misconception"))
	a.program("reject/"+strings.ToLower(intent), "// A mistake.\n//\n//kata:caught-by "+intent+"\n", body)
}

func (a *author) program(variant, doc, body string) {
	write(a.T, filepath.Join(a.dir, ".kata", filepath.FromSlash(variant), "percent.go"),
		doc+"package percent\n\n// Do returns n within 0 and 100.\nfunc Do(n int) int {\n\t"+body+"\n}\n")
}

func (a *author) writeBriefs() {
	for name, sections := range verify.Sections {
		text := "# Percent\n"
		for _, s := range sections {
			text += "\n## " + s + "\n\nAll that is needed.\n"
		}
		write(a.T, filepath.Join(a.dir, name), text)
	}
}

func (a *author) writeHints() {
	for _, name := range []string{"hints.md", "hints.zh-CN.md"} {
		write(a.T, filepath.Join(a.dir, ".kata", name), "## 1\n\nLook.\n\n## 2\n\nmin and max.\n")
	}
}

func (a *author) copyStub() {
	write(a.T, filepath.Join(a.dir, ".kata", "stub", "percent.go"), read(a.T, filepath.Join(a.dir, "percent.go")))
}

func (a *author) edit(name, old, text string) {
	a.Helper()
	file := filepath.Join(a.dir, filepath.FromSlash(name))
	before := read(a.T, file)
	if !strings.Contains(before, old) {
		a.Fatalf("%s has no %q", name, old)
	}
	write(a.T, file, strings.Replace(before, old, text, 1))
}

func (a *author) append(name, text string) {
	file := filepath.Join(a.dir, filepath.FromSlash(name))
	write(a.T, file, read(a.T, file)+text)
}

func messages(r *verify.Report) []string {
	var out []string
	for _, p := range r.Roadmap {
		out = append(out, p.String())
	}
	for _, k := range r.Katas {
		for _, p := range k.Problems {
			out = append(out, p.String())
		}
	}
	return out
}

func load(t *testing.T, dir string) *course.Course {
	t.Helper()
	c, err := course.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func workspace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "one", "go.mod"), "module example.com/one\n\ngo 1.26.0\n")
	write(t, filepath.Join(dir, "one", "roadmap.yaml"), `title: {en: One, zh: 一}
goal: {en: Goal, zh: 目标}
topics:
  - id: topic
    title: {en: Topic, zh: 主题}
    items:
      - id: first
        title: {en: First, zh: 第一}
        katas: [topic/first]
`)
	return dir
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}
