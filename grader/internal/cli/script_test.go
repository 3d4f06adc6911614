package cli_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/roadkata/roadkata/grader/internal/cli"
	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"grader": func() { os.Exit(cli.Main(os.Args[1:], cli.System())) },
	})
}

// TestScripts runs testdata/script/*.txtar, each in a copy of testdata/course.
// Besides testscript's own commands they have:
//
//	exits CODE PROG ARG…     runs a program that must end with this exit code
//	clone NEW                makes a kata base/basics/NEW that is like basics/add
//	solve KATA [VARIANT]     puts a variant's files (solution) in the learner's place
//	verdict FILE KATA STATUS [WORD…]   the JSON report in FILE gives KATA this status, and
//	                         each WORD is a reason or a kind of problem in it
//	waitfile FILE            waits until the file exists
//	unix2dos FILE            gives the file a byte-order mark and Windows line ends
//	copytree FROM TO         copies a folder
//
// $GRADER is the grader's path, for scripts that empty PATH.
func TestScripts(t *testing.T) {
	goEnv := goEnvironment(t)
	grader, err := exec.LookPath("grader")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("LANG", "C")
			e.Setenv("GOTOOLCHAIN", "local")
			e.Setenv("GOPROXY", "off")
			e.Setenv("GRADER", grader)
			for name, value := range goEnv {
				e.Setenv(name, value)
			}
			e.Cd = filepath.Join(e.WorkDir, "course")
			return os.CopyFS(e.Cd, os.DirFS(filepath.Join("testdata", "course")))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"clone":    clone,
			"solve":    solve,
			"verdict":  verdict,
			"waitfile": waitFile,
			"unix2dos": unix2dos,
			"copytree": copyTree,
		},
	})
}

// goEnvironment hands the scripts, whose home is empty, the real caches.
func goEnvironment(t *testing.T) map[string]string {
	out, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOPATH").Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	var env map[string]string
	if err := json.Unmarshal(out, &env); err != nil {
		t.Fatal(err)
	}
	return env
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROG ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%s: %v", args[1], err)
	}
	if code != want {
		ts.Fatalf("%s ended with %d, want %d", strings.Join(args[1:], " "), code, want)
	}
}

func clone(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: clone NEW")
	}
	from, to := ts.MkAbs("base/basics/add"), ts.MkAbs("base/basics/"+args[0])
	ts.Check(os.CopyFS(to, os.DirFS(from)))
	ts.Check(filepath.WalkDir(to, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".go") {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(p, []byte(strings.ReplaceAll(string(data), "base/basics/add", "base/basics/"+args[0])), 0o666)
	}))
}

func solve(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 1 {
		ts.Fatalf("usage: solve KATA [VARIANT]")
	}
	variant := "solution"
	if len(args) > 1 {
		variant = args[1]
	}
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), course.AuthorDir, filepath.FromSlash(variant), "*"))
	ts.Check(err)
	for _, f := range files {
		data, err := os.ReadFile(f)
		ts.Check(err)
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), filepath.Base(f)), data, 0o666))
	}
}

func verdict(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: verdict FILE KATA STATUS [WORD…]")
	}
	var r grade.Report
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &r))
	i := slices.IndexFunc(r.Katas, func(k grade.Kata) bool { return k.Path == args[1] })
	if i < 0 {
		ts.Fatalf("the report has no %s", args[1])
	}
	k := r.Katas[i]
	said := words(k)
	for _, w := range args[3:] {
		if !slices.Contains(said, w) {
			ts.Fatalf("%s says %v, want %s among it", k.Path, said, w)
		}
	}
	if string(k.Status) != args[2] {
		ts.Fatalf("%s is %s, want %s; it says %v", k.Path, k.Status, args[2], said)
	}
}

// words are the reasons and kinds of problems of a verdict, and what it left out.
func words(k grade.Kata) []string {
	out := slices.Clone(k.Unchecked)
	for _, p := range k.Problems {
		out = append(out, p.Kind)
	}
	for _, in := range k.Intents {
		if in.Because != nil {
			out = append(out, string(in.Because.Kind))
		}
	}
	return out
}

func waitFile(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("%s did not come within a minute", args[0])
}

func unix2dos(ts *testscript.TestScript, _ bool, args []string) {
	for _, a := range args {
		text := strings.ReplaceAll(ts.ReadFile(a), "\n", "\r\n")
		ts.Check(os.WriteFile(ts.MkAbs(a), []byte(fmt.Sprint("\ufeff", text)), 0o666))
	}
}

func copyTree(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: copytree FROM TO")
	}
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(ts.MkAbs(args[0]))))
}
