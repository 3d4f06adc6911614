package changed

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/roadkata/roadkata/grader/internal/course"
)

func TestKatas(t *testing.T) {
	c := load(t, workspace(t))
	for file, want := range map[string]string{
		"one/t/a/a.go":                        "one/t/a",
		"one/t/a/.kata/reject/x/a.go":         "one/t/a",
		"one/t/ab/README.md":                  "",
		"one/internal/kit/kit.go":             "one/t/a one/t/b",
		"one/go.mod":                          "one/t/a one/t/b",
		"one/go.sum":                          "one/t/a one/t/b",
		"one/internal/deps/deps.go":           "",
		"one/roadmap.yaml":                    "",
		"two/go.mod":                          "two/t/c",
		"README.md":                           "",
		"grader/internal/grade/grade.go":      "one/t/a one/t/b two/t/c",
		"grader/internal/grade/grade_test.go": "",
		"grader/go.mod":                       "one/t/a one/t/b two/t/c",
		"one/t/gone/.kata/stub/gone.go":       "",
		"one/t/b/.kata/solution/文件 with空格.go": "one/t/b",
	} {
		var got []string
		for _, k := range Katas(c, []string{file}) {
			got = append(got, k.Path)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("Katas(%s) = %q, want %q", file, got, want)
		}
	}
}

func TestFiles(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git")
	}
	outer := t.TempDir()
	dir := filepath.Join(outer, "练习 s") // the workspace may lie below the repository's root
	if err := os.Rename(workspace(t), dir); err != nil {
		t.Fatal(err)
	}
	gitIn(t, outer, "init", "-q")
	gitIn(t, outer, "add", ".")
	gitIn(t, outer, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "-m", "all")
	write(t, filepath.Join(dir, "one/t/a/a.go"), "package a // changed\n")
	write(t, filepath.Join(dir, "one/t/a/新.go"), "package a\n")
	write(t, filepath.Join(outer, "elsewhere.txt"), "not in the workspace\n")
	if err := os.Remove(filepath.Join(dir, "two/t/c/c.go")); err != nil {
		t.Fatal(err)
	}
	got, err := Files(t.Context(), dir, "HEAD")
	if want := []string{"one/t/a/a.go", "one/t/a/新.go", "two/t/c/c.go"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Files = %q, %v; want %q", got, err, want)
	}
	for _, ref := range []string{"no-such-branch", "--output=x", ""} {
		if _, err := Files(t.Context(), dir, ref); err == nil {
			t.Errorf("Files(%q): no error", ref)
		}
	}
}

func gitIn(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
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
	for _, k := range []string{"one/t/a", "one/t/b", "two/t/c"} {
		stage, name, pkg := k[:3], k[4:], k[6:]
		write(t, filepath.Join(dir, stage, "go.mod"), "module example.com/"+stage+"\n")
		write(t, filepath.Join(dir, k, pkg+".go"), "package "+pkg+"\n")
		write(t, filepath.Join(dir, k, ".kata/stub", pkg+".go"), "package "+pkg+"\n")
		write(t, filepath.Join(dir, stage, "roadmap.yaml"), "title: {en: T, zh: 题}\ngoal: {en: G, zh: 标}\ntopics:\n  - {id: t, title: {en: T, zh: 题}, items: [{id: "+stage+", title: {en: I, zh: 条}, katas: ["+name+"]}]}\n")
	}
	write(t, filepath.Join(dir, "one/roadmap.yaml"), "title: {en: T, zh: 题}\ngoal: {en: G, zh: 标}\ntopics:\n  - {id: t, title: {en: T, zh: 题}, items: [{id: one, title: {en: I, zh: 条}, katas: [t/a, t/b]}]}\n")
	return dir
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
