package verify_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/suite"
	"github.com/roadkata/roadkata/grader/internal/verify"
)

const kata = "stage1/basics/counter/"

// workspace copies the fixture course, whose one kata is complete.
func workspace(t *testing.T) string {
	t.Helper()
	if !suite.RaceAvailable() {
		t.Skip("the fixture needs the race detector, which needs a C compiler")
	}
	root := t.TempDir()
	require.NoError(t, os.CopyFS(root, os.DirFS("../check/testdata/course")))
	return root
}

func run(t *testing.T, root string, opts verify.Options) *verify.Report {
	t.Helper()
	c, err := course.Load(root)
	require.NoError(t, err)
	rep, err := verify.Run(context.Background(), c, c.Katas(), opts)
	require.NoError(t, err)
	return rep
}

func problems(r *verify.Report) string {
	var out []string
	for _, k := range r.Katas {
		for _, p := range k.Problems {
			out = append(out, p.String())
		}
	}
	for _, p := range r.Roadmap {
		out = append(out, p.String())
	}
	return strings.Join(out, "\n")
}

func TestCompleteKata(t *testing.T) {
	rep := run(t, workspace(t), verify.Options{Count: 3, Shuffle: "7"})
	require.True(t, rep.OK(), problems(rep))
	k := rep.Katas[0]
	require.Equal(t, 4, k.Unique)
	require.Len(t, k.Right, 2)
	for _, r := range k.Rejects {
		require.Subset(t, r.Caught, r.CaughtBy, r.Name)
	}
	var out bytes.Buffer
	verify.Print(&out, rep, true)
	require.Contains(t, out.String(), "TestConcurrent — alone: unlocked")
	require.Contains(t, out.String(), "1 katas verified")
}

// Every gate closes when what it guards is broken. The breakages of one entry
// are made together, because a run costs a link.
func TestGates(t *testing.T) {
	edit := func(file, old, new string) func(*testing.T, string) {
		return func(t *testing.T, root string) {
			name := filepath.Join(root, filepath.FromSlash(file))
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			require.Contains(t, string(text), old)
			require.NoError(t, os.WriteFile(name, []byte(strings.Replace(string(text), old, new, 1)), 0o666))
		}
	}
	remove := func(file string) func(*testing.T, string) {
		return func(t *testing.T, root string) {
			require.NoError(t, os.RemoveAll(filepath.Join(root, filepath.FromSlash(file))))
		}
	}
	write := func(file, text string) func(*testing.T, string) {
		return func(t *testing.T, root string) {
			name := filepath.Join(root, filepath.FromSlash(file))
			require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o777))
			require.NoError(t, os.WriteFile(name, []byte(text), 0o666))
		}
	}
	for _, tc := range []struct {
		name    string
		changes []func(*testing.T, string)
		want    []string
	}{
		{"right solutions", []func(*testing.T, string){
			edit(kata+".kata/accept/mutex/counter.go", "c.n += n", "c.n -= -n"),
			edit(kata+".kata/solution/counter.go", "int(c.n.Load()) }", "int(c.n.Load()) + 1 }"),
			edit(kata+".kata/accept/mutex/counter.go", "import \"sync\"", "import   \"sync\""),
			edit(kata+".kata/accept/mutex/counter.go", "	return c.n\n", "	m := c.mu\n	_ = &m\n	return c.n\n"),
		}, []string{
			"solution does not pass TestAdds (failed): Add(2), Add(3): Value() = 6, want 5",
			"solution does not pass the example TestExample",
			"solution does not pass the example ExampleCounter",
			"accept/mutex/counter.go: gofmt would change it",
			"copylocks:",
		}},
		{"rejects", []func(*testing.T, string){
			edit(kata+".kata/reject/starts_at_one/counter.go", "max(1, int(c.n.Load()))", "int(c.n.Load())"),
			edit(kata+".kata/reject/uses_a_map/counter.go", "caught-by forbid", "caught-by TestAdds"),
			edit(kata+".kata/reject/counts_calls/counter.go", "c.n.Add(1)", "undefined()"),
			edit(kata+".kata/reject/keeps_a_worker/counter.go", "//kata:caught-by TestNoLeak", "//kata:caught-by TestMissing"),
			write(kata+".kata/reject/unlocked/more.go", "package counter\n"),
		}, []string{
			"reject/starts_at_one is not caught by TestZero (run alone)",
			"reject/uses_a_map is not caught by TestAdds",
			"reject/counts_calls does not compile",
			"the kata has no such intent",
			"no reject is caught by TestZero alone",
			"more.go is not in .kata/stub; remove it, or let the learner add files with //kata:files",
		}},
		{"forbid and deadlines", []func(*testing.T, string){
			edit(kata+".kata/reject/uses_a_map/counter.go", "map[string]int\n", "[]int\n"),
			edit(kata+".kata/reject/uses_a_map/counter.go", "map[string]int{}", "[]int{0}"),
			edit(kata+".kata/reject/uses_a_map/counter.go", `c.m["n"] += n`, "c.m[0] += n"),
			edit(kata+".kata/reject/uses_a_map/counter.go", `return c.m["n"]`, "return c.m[0]"),
			edit(kata+".kata/reject/counts_calls/counter.go", "c.n.Add(1)", "for {\n\t}"),
		}, []string{
			"no rule finds anything in it",
			"is caught by TestAdds only through the deadline",
		}},
		{"stub", []func(*testing.T, string){
			edit(kata+".kata/stub/counter.go", `panic("TODO: value")`, "return 0"),
		}, []string{
			"the stub passes TestZero",
			"the kata's folder differs from .kata/stub",
		}},
		{"documents", []func(*testing.T, string){
			remove(kata + "README.zh-CN.md"),
			edit(kata+"README.md", "## Promises\nSafe for concurrent use; starts no goroutine that stays.\n", ""),
			edit(kata+".kata/hints.md", "## 2", "## 3"),
			edit(kata+".kata/hints.zh-CN.md", "## 2", ""),
			edit(kata+".kata/intents_test.go", "//kata:zh 从零开始。\n", ""),
			edit(kata+".kata/intents_test.go", "//kata:minutes 5\n", ""),
			write(kata+".kata/notes.txt", "remember"),
			write(kata+"counter.go.orig", "old"),
			edit("stage1/roadmap.yaml", "basics/counter, ", ""),
		}, []string{
			"README.zh-CN.md: no brief in this language",
			"README.md: the sections are [Why, Contract, Builds on, leads to, Read on]",
			"heading `## 3`, want `## 2`",
			"hints.zh-CN.md: 1 hints, hints.md has 2",
			"TestZero: no //kata:zh line",
			"no //kata:minutes",
			"notes.txt: stray file",
			"counter.go.orig: stray file",
			"the kata is on no roadmap",
		}},
		{"suite", []func(*testing.T, string){
			edit(kata+".kata/intents_test.go", "//kata:race", "//kata:racy"),
			edit(kata+".kata/intents_test.go", "//kata:timeout 2s", "//kata:timeout soon"),
			write(kata+".kata/more_test.go", "package counter_test\n\nimport \"testing\"\n\nfunc BenchmarkX(b *testing.B) {}\n\nfunc TestMain(m *testing.M) {}\n"),
		}, []string{
			"//kata:racy: unknown directive",
			`//kata:timeout: "soon" is no duration`,
			"BenchmarkX: a hidden suite holds no benchmarks",
			"TestMain is no intent",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := workspace(t)
			for _, change := range tc.changes {
				change(t, root)
			}
			rep := run(t, root, verify.Options{})
			require.False(t, rep.OK())
			got := problems(rep)
			for _, want := range tc.want {
				require.Contains(t, got, want)
			}
		})
	}
}

// What only .kata imports must stay in go.mod.
func TestDeps(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
	}
	write("go.mod", "module example.com/m\n")
	none, err := verify.Deps(dir)
	require.NoError(t, err)
	require.Nil(t, none)

	write("a/.kata/intents_test.go", "package a_test\n\nimport (\n\t\"fmt\"\n\t\"github.com/z/z\"\n\t\"example.com/m/a\"\n)\n")
	write("a/.kata/solution/a.go", "package a\n\nimport \"github.com/a/a/b\"\n")
	write("a/a.go", "package a\n\nimport \"github.com/elsewhere/x\"\n")
	write("nested/go.mod", "module example.com/m/nested\n")
	write("nested/.kata/intents_test.go", "package n\n\nimport \"github.com/other/other\"\n")
	got, err := verify.Deps(dir)
	require.NoError(t, err)
	require.Contains(t, string(got), "import (\n\t_ \"github.com/a/a/b\"\n\t_ \"github.com/z/z\"\n)")
	require.Contains(t, string(got), "//go:build katadeps")
	require.NotContains(t, string(got), "other")
}
