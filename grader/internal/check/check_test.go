package check_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roadkata/roadkata/grader/internal/check"
	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
	"github.com/roadkata/roadkata/grader/internal/suite"
)

// workspace copies the fixture course, so that tests may write into it. Its path
// has a space and Chinese in it.
func workspace(t *testing.T) *course.Course {
	t.Helper()
	root := filepath.Join(t.TempDir(), "我的 course")
	require.NoError(t, os.CopyFS(root, os.DirFS("testdata/course")))
	return load(t, root)
}

func load(t *testing.T, root string) *course.Course {
	t.Helper()
	c, err := course.Load(root)
	require.NoError(t, err)
	for _, k := range c.Katas() {
		require.Empty(t, k.Faults)
	}
	return c
}

const (
	right = "package counter\n\nimport \"sync/atomic\"\n\ntype Counter struct{ n atomic.Int64 }\n"
	add   = "func (c *Counter) Add(n int) { c.n.Add(int64(n)) }\n"
	value = "func (c *Counter) Value() int { return int(c.n.Load()) }\n"
)

// with returns a right solution with other imports and more code; body replaces Add's.
func with(imports, more, body string) string {
	src := strings.Replace(right, "import \"sync/atomic\"", "import (\n\t\"sync/atomic\"\n"+imports+")", 1)
	if body == "" {
		return src + more + add + value
	}
	return src + more + "func (c *Counter) Add(n int) {\n" + body + "\n}\n" + value
}

// submissions are what a learner's file can hold, each with the verdict that it
// must get: the kata's status, and for some intents "status reason".
var submissions = []struct {
	name, src string
	status    grade.Status
	intents   map[string]string
	problem   string // a part of some problem's kind and text
}{
	{"right", right + add + value, grade.Passed, nil, ""},
	{"wrong_sum", with("", "", "c.n.Store(int64(n))"), grade.Failed, map[string]string{"TestAdds": "failed assertion", "TestZero": "passed"}, ""},
	{"panics", with("", "", `panic("boom")`), grade.Failed, map[string]string{"TestAdds": "failed panic", "TestZero": "passed", "TestNoLeak": "failed panic"}, ""},
	{"panics_in_goroutine", with("", "", `done := make(chan int); go func() { defer close(done); panic("boom") }(); <-done`), grade.Failed,
		map[string]string{"TestAdds": "failed panic", "TestZero": "passed"}, ""},
	{"exits_in_init", with("\t\"os\"\n", "func init() { os.Exit(0) }\n", ""), grade.Failed, map[string]string{"TestAdds": "notrun exit", "TestZero": "notrun exit"}, ""},
	{"exits_in_variable", with("\t\"syscall\"\n", "var _ = func() int { syscall.Exit(0); return 1 }()\n", ""), grade.Failed, map[string]string{"TestZero": "notrun exit"}, ""},
	{"os_exit", with("\t\"os\"\n", "", "os.Exit(0)"), grade.Failed, map[string]string{"TestAdds": "failed exit", "TestZero": "passed"}, ""},
	{"raw_exit", with("\t\"syscall\"\n", "", "syscall.Exit(0)"), grade.Failed, map[string]string{"TestAdds": "failed exit", "TestZero": "passed"}, ""},
	{"prints_pass", with("\t\"fmt\"\n\t\"syscall\"\n", "", `fmt.Print("\x16--- PASS: TestAdds (0.00s)\n--- PASS: TestP0_TestAdds (0.00s)\nPASS\nok\n"); syscall.Exit(0)`), grade.Failed,
		map[string]string{"TestAdds": "failed exit"}, ""},
	{"races", strings.Replace(with("", "", "c.m += n"), "n atomic.Int64", "n atomic.Int64; m int", 1), grade.Failed, map[string]string{"TestConcurrent": "failed race"}, ""},
	{"leaks", with("", "", "c.n.Add(int64(n)); go func() { select {} }()"), grade.Failed, map[string]string{"TestAdds": "passed", "TestNoLeak": "failed leak"}, ""},
	{"loops", with("", "", "for {\n}"), grade.Failed, map[string]string{"TestAdds": "failed timeout", "TestZero": "passed"}, ""},
	{"deadlocks", with("", "", "select {}"), grade.Failed, map[string]string{"TestAdds": "failed deadlock", "TestZero": "passed", "TestNoLeak": "failed deadlock"}, ""},
	{"floods", with("\t\"fmt\"\n\t\"strings\"\n", "", "for {\nfmt.Println(strings.Repeat(\"x\", 1<<16))\n}"), grade.Failed, map[string]string{"TestAdds": "failed output"}, ""},
	{"goexit", with("\t\"runtime\"\n", "", "runtime.Goexit()"), grade.Failed, map[string]string{"TestAdds": "failed *", "TestZero": "passed"}, ""},
	{"does_not_compile", right + "func (c *Counter) Add(n int) { undefined(n) }\n" + value, grade.Failed, map[string]string{"TestAdds": "notrun compile"}, "compile undefined: undefined"},
	{"syntax_error", right + "func (c *Counter) Add(n int {\n", grade.Failed, nil, "compile counter.go:6"},
	{"other_signature", right + "func (c *Counter) Add(n, m int) {}\n" + value, grade.Failed, nil, "compile no longer has the signatures"},
	{"wrong_package", strings.Replace(right, "package counter", "package main", 1) + add + value, grade.Failed, nil, "compile belongs to package counter"},
	{"empty", "", grade.Failed, nil, "compile empty"},
	{"not_utf8", right + "// \xff\n" + add + value, grade.Failed, nil, "compile not UTF-8"},
	{"bom_and_crlf", "\ufeff" + strings.ReplaceAll(right+add+value, "\n", "\r\n"), grade.Passed, nil, ""},
	{"unknown_import", with("\t_ \"example.com/nowhere\"\n", "", ""), grade.Failed, nil, "compile example.com/nowhere"},
	{"forbidden_map", with("", "var m = map[int]int{}\n", ""), grade.Failed, map[string]string{"TestAdds": "passed"}, "forbid builtin:map"},
	{"forbidden_map_hidden", with("\t\"net/url\"\n", "", "v := url.Values{}; _ = v; c.n.Add(int64(n))"), grade.Failed, nil, "forbid builtin:map"},
	{"forbidden_name_dot_import", with("\t. \"sort\"\n", "", "Ints(nil); c.n.Add(int64(n))"), grade.Failed, nil, "forbid \"sort\".Ints"},
	{"forbidden_name_shadowed", with("", "type s struct{}\n\nfunc (s) Ints([]int) {}\n\nvar sort s\n", "sort.Ints(nil); c.n.Add(int64(n))"), grade.Passed, nil, ""},
	{"forbidden_package", with("\t_ \"os/exec\"\n", "", ""), grade.Failed, nil, "forbid \"os/exec\""},
	{"imports_the_suite", with("\t_ \"example.com/course/stage1/basics/counter/.kata/solution\"\n", "", ""), grade.Failed, nil, "forbid belongs to the suites"},
	{"kills_its_group", with("\t\"syscall\"\n", "", "syscall.Kill(0, syscall.SIGKILL)"), grade.Failed, map[string]string{"TestAdds": "failed exit", "TestZero": "passed"}, ""},
	{"recovers_nothing", with("\t\"os\"\n", "", `f, _ := os.OpenFile(os.Getenv("ROADKATA_RECORDS"), os.O_WRONLY, 0); f.WriteString("end TestAdds passed=true\n"); c.n.Store(0)`), grade.Failed, map[string]string{"TestAdds": "failed assertion"}, ""},
}

// Every submission gets its verdict although all of them are checked in one
// call: none may change another's.
func TestSubmissions(t *testing.T) {
	if !suite.RaceAvailable() {
		t.Skip("the verdict on races needs a C compiler")
	}
	c := workspace(t)
	k := c.Kata("stage1/basics/counter")
	require.NotNil(t, k)
	var variants []*course.Variant
	asked := submissions[:0:0]
	for _, s := range submissions {
		if runtime.GOOS == "windows" && strings.Contains(s.src, "syscall.Kill") {
			continue
		}
		dir := filepath.Join(t.TempDir(), s.name)
		require.NoError(t, os.MkdirAll(dir, 0o777))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "counter.go"), []byte(s.src), 0o666))
		asked = append(asked, s)
		variants = append(variants, k.Submitted(dir))
	}
	got, err := check.Variants(context.Background(), variants, check.Options{})
	require.NoError(t, err)
	for i, s := range asked {
		t.Run(s.name, func(t *testing.T) { compare(t, s.status, s.intents, s.problem, got[i]) })
	}
}

func compare(t *testing.T, status grade.Status, intents map[string]string, problem string, got grade.Kata) {
	t.Helper()
	if got.Status != status {
		t.Errorf("status = %s, want %s; problems %v", got.Status, status, got.Problems)
	}
	for _, in := range got.Intents {
		have := string(in.Status)
		if in.Because != nil {
			have += " " + string(in.Because.Kind)
		}
		want, asked := intents[in.Name]
		if !asked || have == want || strings.HasSuffix(want, "*") && strings.HasPrefix(have, want[:len(want)-1]) {
			continue
		}
		t.Errorf("%s: %s, want %s (%+v)\n%s", in.Name, have, want, in.Because, strings.Join(in.Output, "\n"))
	}
	if problem == "" {
		if len(got.Problems) > 0 {
			t.Errorf("problems %v, want none", got.Problems)
		}
		return
	}
	kind, text, _ := strings.Cut(problem, " ")
	for _, p := range got.Problems {
		if p.Kind == kind && strings.Contains(p.String(), text) {
			return
		}
	}
	t.Errorf("problems %v, want one of kind %s with %q", got.Problems, kind, text)
}

// A symlinked workspace is the same workspace: the go command resolves links,
// and overlay keys that differ from its view are silently ignored.
func TestSymlinkedWorkspace(t *testing.T) {
	real := workspace(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(real.Root, link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	c := load(t, link)
	k := c.Kata("stage1/basics/counter")
	require.NoError(t, os.WriteFile(filepath.Join(k.Dir, "counter.go"), []byte(right+add+value), 0o666))
	got, err := check.Learner(context.Background(), []*course.Kata{k}, check.Options{NoRace: true})
	require.NoError(t, err)
	require.Equal(t, grade.Passed, got[0].Status, "%v", got[0].Problems)
	if suite.RaceAvailable() {
		require.Equal(t, []string{"race"}, got[0].Unchecked)
	}
}

// An untouched stub is not started, whatever an editor did to its form.
func TestUntouched(t *testing.T) {
	c := workspace(t)
	k := c.Kata("stage1/basics/counter")
	stub, err := os.ReadFile(filepath.Join(k.Dir, "counter.go"))
	require.NoError(t, err)
	for _, text := range []string{
		string(stub),
		"\ufeff" + strings.ReplaceAll(string(stub), "\n", "\r\n"),
		strings.Replace(string(stub), "type Counter struct{}", "type   Counter   struct{}", 1),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(k.Dir, "counter.go"), []byte(text), 0o666))
		got, err := check.Learner(context.Background(), []*course.Kata{k}, check.Options{})
		require.NoError(t, err)
		require.Equal(t, grade.Untouched, got[0].Status)
	}
}

// A remembered verdict needs no go command, and any change of what it rests on forgets it.
func TestCache(t *testing.T) {
	c := workspace(t)
	k := c.Kata("stage1/basics/counter")
	file := filepath.Join(k.Dir, "counter.go")
	opts := check.Options{NoRace: true, Cache: check.NewCache(filepath.Join(t.TempDir(), "cache"))}
	run := func() grade.Kata {
		t.Helper()
		got, err := check.Learner(context.Background(), []*course.Kata{k}, opts)
		require.NoError(t, err)
		return got[0]
	}
	write := func(name, text string) {
		t.Helper()
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o777))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o666))
	}
	write(file, right+add+value)
	require.False(t, run().Cached)
	again := run()
	require.True(t, again.Cached)
	require.Equal(t, grade.Passed, again.Status)

	for _, change := range []struct{ file, text string }{
		{file, right + add + value + "\n// changed\n"},
		{filepath.Join(k.Root, "stage1", "internal", "kit", "data.txt"), "a fixture of the kit's"},
		{filepath.Join(k.Dir, "testdata", "x"), "a fixture of the kata's"},
		{filepath.Join(k.ModuleDir, "go.sum"), "\n"},
	} {
		write(change.file, change.text)
		require.False(t, run().Cached, "after a change of %s", change.file)
		require.True(t, run().Cached)
	}
}

// A kata whose suite does not compile is the kata's fault, not the learner's.
func TestBrokenSuite(t *testing.T) {
	c := workspace(t)
	k := c.Kata("stage1/basics/counter")
	suiteFile := k.AuthorPath("intents_test.go")
	text, err := os.ReadFile(suiteFile)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(suiteFile, append(text, []byte("\nvar x int = \"no\"\n")...), 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(k.Dir, "counter.go"), []byte(right+add+value), 0o666))
	got, err := check.Learner(context.Background(), []*course.Kata{k}, check.Options{NoRace: true})
	require.NoError(t, err)
	require.Equal(t, grade.Broken, got[0].Status)
	require.Contains(t, got[0].Problems[0].At, "stage1/basics/counter/.kata/intents_test.go:")
}

// Cancelling ends everything at once and leaves nothing behind.
func TestCancel(t *testing.T) {
	c := workspace(t)
	k := c.Kata("stage1/basics/counter")
	require.NoError(t, os.WriteFile(filepath.Join(k.Dir, "counter.go"), []byte(with("", "", "for {\n}")), 0o666))
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, err := check.Learner(ctx, []*course.Kata{k}, check.Options{NoRace: true, Step: func(s suite.Step) { cancel() }})
	require.ErrorIs(t, err, context.Canceled)
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// Without a go command the message says what to install.
func TestNoGo(t *testing.T) {
	c := workspace(t)
	k := c.Kata("stage1/basics/counter")
	require.NoError(t, os.WriteFile(filepath.Join(k.Dir, "counter.go"), []byte(right+add+value), 0o666))
	t.Setenv("PATH", t.TempDir())
	if _, err := exec.LookPath("go"); err == nil {
		t.Skip("a go command is found without PATH")
	}
	_, err := check.Learner(context.Background(), []*course.Kata{k}, check.Options{NoRace: true})
	require.ErrorIs(t, err, suite.ErrNoGo)
}
