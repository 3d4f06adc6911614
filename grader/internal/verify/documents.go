package verify

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// Sections are the parts of every brief, in order.
var Sections = map[string][]string{
	"README.md":       {"Why", "Contract", "Promises", "Builds on, leads to", "Read on"},
	"README.zh-CN.md": {"为什么", "约定", "承诺", "前后联系", "延伸阅读"},
}

var heading = regexp.MustCompile(`(?m)^##[ \t]+(.*?)[ \t]*$`)

// documents checks briefs and hints in both languages.
func documents(k *course.Kata) []course.Problem {
	var out []course.Problem
	say := func(file, format string, args ...any) {
		out = append(out, course.Problem{Kind: "verify", At: course.RelTo(k.Root, file), Text: fmt.Sprintf(format, args...)})
	}
	for _, name := range []string{"README.md", "README.zh-CN.md"} {
		file := filepath.Join(k.Dir, name)
		text, err := os.ReadFile(file)
		if err != nil {
			say(file, "no brief in this language; write it with the sections %s", strings.Join(Sections[name], ", "))
			continue
		}
		if got := headings(text); !slices.Equal(got, Sections[name]) {
			say(file, "the sections are [%s], want [%s]", strings.Join(got, ", "), strings.Join(Sections[name], ", "))
		}
		for _, s := range empty(text) {
			say(file, "the section %q is empty", s)
		}
		if strings.Contains(string(text), "TODO") {
			say(file, "there is a TODO left in the brief")
		}
	}
	en, zh := hints(k, "hints.md"), hints(k, "hints.zh-CN.md")
	if len(en) < 2 {
		say(k.AuthorPath("hints.md"), "%d hints; write at least two, from a nudge to nearly the answer, each under `## 1`, `## 2`, …", len(en))
	}
	if len(en) != len(zh) {
		say(k.AuthorPath("hints.zh-CN.md"), "%d hints, hints.md has %d; both languages are complete", len(zh), len(en))
	}
	for i, h := range en {
		if h != fmt.Sprint(i+1) {
			say(k.AuthorPath("hints.md"), "heading `## %s`, want `## %d`", h, i+1)
		}
	}
	return out
}

func headings(text []byte) []string {
	var out []string
	for _, m := range heading.FindAllSubmatch(withoutCode(text), -1) {
		out = append(out, string(m[1]))
	}
	return out
}

var fence = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```[ \t]*$")

func withoutCode(text []byte) []byte {
	return fence.ReplaceAll([]byte(course.Normal(text)), []byte("code"))
}

// empty lists sections without text.
func empty(text []byte) []string {
	plain := withoutCode(text)
	at := heading.FindAllSubmatchIndex(plain, -1)
	var out []string
	for i, m := range at {
		end := len(plain)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		if strings.TrimSpace(string(plain[m[1]:end])) == "" {
			out = append(out, string(plain[m[2]:m[3]]))
		}
	}
	return out
}

func hints(k *course.Kata, name string) []string {
	text, err := os.ReadFile(k.AuthorPath(name))
	if err != nil {
		return nil
	}
	return headings(text)
}

// authorEntries is what may stand in .kata.
var authorEntries = []string{"hints.md", "hints.zh-CN.md", "stub", "solution", "accept", "reject", "testdata", "subjects", "doc.go"}

// files checks that nothing strays about and that the stub is a stub.
func files(k *course.Kata) []course.Problem {
	var out []course.Problem
	say := func(file, format string, args ...any) {
		out = append(out, course.Problem{Kind: "verify", At: course.RelTo(k.Root, file), Text: fmt.Sprintf(format, args...)})
	}
	entries, err := os.ReadDir(k.AuthorPath())
	if err != nil {
		say(k.AuthorPath(), "%v", err)
	}
	for _, e := range entries {
		if slices.Contains(authorEntries, e.Name()) || strings.HasSuffix(e.Name(), "_test.go") && k.Kind != course.Tests {
			continue
		}
		say(k.AuthorPath(e.Name()), "stray file; .kata holds the suite, hints, stub, solution, accept, reject, testdata")
	}
	for rel, file := range k.Stub {
		text, err := os.ReadFile(file)
		if err == nil && strings.HasSuffix(rel, ".go") && !strings.Contains(string(text), "TODO") && len(k.Stub) == 1 {
			say(file, "the stub has no TODO; a learner looks for it")
		}
	}
	for _, bad := range strays(k.Dir) {
		say(bad, "stray file")
	}
	return out
}

// strays finds what editors and runs leave behind.
func strays(dir string) []string {
	var out []string
	_ = filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		n := d.Name()
		if slices.Contains([]string{".orig", ".rej", ".swp", ".test", ".out", ".prof", ".bak"}, filepath.Ext(n)) || strings.HasSuffix(n, "~") || n == ".DS_Store" {
			out = append(out, p)
		}
		return nil
	})
	return out
}

// workspaceProblems checks the roadmap against what is on disk, for the stages
// of the selected katas.
func workspaceProblems(c *course.Course, katas []*course.Kata) []course.Problem {
	out := []course.Problem{}
	for _, st := range c.Stages {
		for _, k := range st.Strays {
			if slices.Contains(katas, k) {
				out = append(out, course.Problem{Kind: "verify", At: k.Path, Text: "the kata is on no roadmap; name it in " + st.ID + "/roadmap.yaml"})
			}
		}
	}
	return append(out, depsProblems(c, katas)...)
}
