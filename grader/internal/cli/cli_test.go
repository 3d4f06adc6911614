package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/roadkata/roadkata/grader/internal/msg"
	"github.com/roadkata/roadkata/grader/internal/suite"
)

// bench is a Factory on a copy of the test course, with writers to look into.
func bench(t *testing.T, tty bool) (*Factory, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "course"))); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	f := &Factory{Lang: msg.EN, IO: IO{
		In: strings.NewReader(""), Out: &out, Err: &errs, OutTTY: tty, ErrTTY: tty, Width: 72, Dir: dir,
		Getenv:  func(string) string { return "" },
		Now:     func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
		Context: func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) },
	}}
	return f, &out, &errs
}

func TestFlags(t *testing.T) {
	f, _, _ := bench(t, false)
	f.Watch = func(context.Context, *CheckOptions) error { return nil }
	var got any
	for _, c := range []struct {
		cmd  *cobra.Command
		args string
		want any
	}{
		{NewCmdCheck(f, func(o *CheckOptions) error { got = *o; return nil }), "", CheckOptions{Factory: f, Selectors: []string{}, Format: "terminal"}},
		{NewCmdCheck(f, func(o *CheckOptions) error { got = *o; return nil }), "a b --topic x,y --topic z --no-race --no-cache --format json -j 3 -v --watch",
			CheckOptions{Factory: f, Selectors: []string{"a", "b"}, Topics: []string{"x", "y", "z"}, Format: "json", Jobs: 3, NoRace: true, NoCache: true, Verbose: true, Watch: true}},
		{NewCmdList(f, func(o *ListOptions) error { got = *o; return nil }), "a --json --topic x", ListOptions{Factory: f, Selectors: []string{"a"}, Topics: []string{"x"}, JSON: true}},
		{NewCmdShow(f, func(o *ShowOptions) error { got = *o; return nil }), "a", ShowOptions{f, "a"}},
		{NewCmdHint(f, func(o *HintOptions) error { got = *o; return nil }), "a --all", HintOptions{f, "a", true}},
		{NewCmdSolution(f, func(o *SolutionOptions) error { got = *o; return nil }), "--spoil", SolutionOptions{f, "", true}},
		{NewCmdNext(f, func(o *NextOptions) error { got = *o; return nil }), "", NextOptions{f}},
		{NewCmdReset(f, func(o *ResetOptions) error { got = *o; return nil }), "a", ResetOptions{f, "a"}},
		{NewCmdDoctor(f, func(o *DoctorOptions) error { got = *o; return nil }), "", DoctorOptions{f}},
	} {
		got = nil
		c.cmd.SetArgs(strings.Fields(c.args))
		if err := c.cmd.Execute(); err != nil {
			t.Errorf("%s %s: %v", c.cmd.Name(), c.args, err)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s %s fills %+v, want %+v", c.cmd.Name(), c.args, got, c.want)
		}
	}
}

// --watch exists only where somebody has put it in, and then gets the options.
func TestWatchHook(t *testing.T) {
	f, _, _ := bench(t, false)
	if NewCmdCheck(f, nil).Flags().Lookup("watch") != nil {
		t.Error("check has --watch though nothing would follow it")
	}
	called := false
	f.Watch = func(_ context.Context, o *CheckOptions) error {
		called = len(o.Selectors) == 1
		return nil
	}
	cmd := NewCmdCheck(f, nil)
	cmd.SetArgs([]string{"base", "--watch"})
	if err := cmd.Execute(); err != nil || !called {
		t.Errorf("check base --watch: %v, hook called %t", err, called)
	}
}

func run(f *Factory, args ...string) int { return Main(args, f.IO) }

func TestTerminal(t *testing.T) {
	f, out, errs := bench(t, true)
	if code := run(f, "show", "addition"); code != 0 {
		t.Fatalf("show = %d: %s", code, errs)
	}
	for _, want := range []string{"\x1b[1;4;36mAdding", "\x1b[33mbase/basics/add/add.go", "    \x1b[35mfunc\x1b[0m Add", "• It adds."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("show on a terminal lacks %q:\n%s", want, out)
		}
	}
	out.Reset()
	if code := run(f, "next"); code != 0 || !strings.Contains(out.String(), "grader show base/basics/add") {
		t.Errorf("next on a terminal = %d, %s", code, out)
	}
	out.Reset()
	if code := run(f, "list", "--no-color"); code != 0 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("list --no-color = %d, %q", code, out)
	}
}

func TestNoColor(t *testing.T) {
	for name, env := range map[string]string{"NO_COLOR": "1", "TERM": "dumb"} {
		f, out, _ := bench(t, true)
		f.Getenv = func(k string) string {
			if k == name {
				return env
			}
			return ""
		}
		if code := run(f, "show", "base/basics/add"); code != 0 || strings.Contains(out.String(), "\x1b") {
			t.Errorf("with %s=%s show = %d, %q; want no escape sequence", name, env, code, out)
		}
	}
}

// The live line is wiped before the report, and is not there without a terminal.
func TestLive(t *testing.T) {
	f, _, errs := bench(t, true)
	l := f.startLive(3)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && !drawnTwice(l); {
		l.step(suite.Step{Phase: "done", Done: 1, Of: 3})
		time.Sleep(10 * time.Millisecond)
	}
	l.stop()
	if text := errs.String(); !strings.Contains(text, "1 of 3 done") || !strings.HasSuffix(text, "\r\x1b[K") {
		t.Errorf("the live line wrote %q, want progress, and the line wiped at last", text)
	}
	f, _, errs = bench(t, false)
	l = f.startLive(3)
	l.step(suite.Step{})
	l.stop()
	if errs.Len() > 0 {
		t.Errorf("without a terminal the live line wrote %q", errs)
	}
}

func drawnTwice(l *live) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.drawn > 1
}

func TestProgressIsKeptUnderNow(t *testing.T) {
	f, _, _ := bench(t, false)
	if code := run(f, "solution", "base/basics/add", "--spoil"); code != 0 {
		t.Fatalf("solution --spoil = %d", code)
	}
	data, err := os.ReadFile(filepath.Join(f.Dir, ".grader", "progress.json"))
	if err != nil || !strings.Contains(string(data), `"spoiled_at": "2026-01-02T03:04:05Z"`) {
		t.Errorf("progress.json = %s, %v; want spoiled_at under IO.Now", data, err)
	}
}

func TestExitCodes(t *testing.T) {
	f, _, errs := bench(t, false)
	for _, c := range []struct {
		err  error
		code int
		says string
	}{
		{nil, 0, ""},
		{exitCode(1), 1, ""},
		{f.usage("err.jobs", 7), 2, "--jobs 7"},
		{&openError{"later"}, 1, "later"},
		{suite.ErrNoGo, 3, "no go command"},
		{errors.Join(errors.New("one"), errors.New("two")), 3, "grader: one\n  two\n"},
	} {
		errs.Reset()
		if code := f.exit(c.err); code != c.code || !strings.Contains(errs.String(), c.says) {
			t.Errorf("exit(%v) = %d and says %q, want %d and %q", c.err, code, errs, c.code, c.says)
		}
	}
}

func TestLanguageBeforeFlags(t *testing.T) {
	zh := func(k string) string { return map[string]string{"LANG": "zh_CN"}[k] }
	for _, c := range []struct {
		args string
		want msg.Lang
	}{{"check", msg.ZH}, {"check --lang en", msg.EN}, {"--lang=en", msg.EN}, {"--lang", msg.ZH}, {"show -- --lang en", msg.ZH}} {
		if got := language(strings.Fields(c.args), zh); got != c.want {
			t.Errorf("language(%s) = %s, want %s", c.args, got, c.want)
		}
	}
}

// What every command pays for when it starts must stay light: a highlighter's
// lexers took 13 ms.
func TestStartIsLight(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../..").Output()
	if err != nil {
		t.Fatalf("go list -deps: %v", err)
	}
	for dep := range strings.Lines(string(out)) {
		for _, heavy := range []string{"github.com/alecthomas/chroma", "github.com/charmbracelet/glamour", "github.com/stretchr/testify"} {
			if strings.HasPrefix(dep, heavy) {
				t.Errorf("the grader links %s", dep)
			}
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestClosedPipe(t *testing.T) {
	for _, args := range []string{"", "list", "list --json", "show addition", "next", "hint addition", "solution addition --spoil", "check --format json"} {
		f, _, errs := bench(t, false)
		f.Out = failing{}
		if code := run(f, strings.Fields(args)...); code != 3 || !strings.Contains(errs.String(), "closed pipe") {
			t.Errorf("grader %s on a closed pipe = %d, %q; want 3 and the reason", args, code, errs)
		}
	}
}
