// Package doctor looks at the machine: is everything here that a check needs?
//
// It changes nothing and never checks a kata.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/msg"
	"github.com/roadkata/roadkata/grader/internal/progress"
	"github.com/roadkata/roadkata/grader/internal/suite"
)

// Level says how much a finding matters.
type Level int

// The levels.
const (
	Fine    Level = iota
	Weak          // the grader works, but something is weaker, slower or about to fail
	Missing       // the grader cannot work
)

// Finding is what was found out about one thing.
type Finding struct {
	Level Level
	Text  string
	Next  string // what to do about it; "" if fine
}

// enoughDisk is what a stage's dependencies and test programs take, generously.
const enoughDisk = 3 << 30

// Examine looks at everything, the workspace that dir lies in included.
func Examine(ctx context.Context, dir string, l msg.Lang) []Finding {
	d := &doctor{ctx: ctx, lang: l, env: map[string]string{}}
	d.course, d.courseErr = course.Load(dir)
	return d.examine()
}

// Go looks only at the go command and what the course asks of it.
func Go(ctx context.Context, c *course.Course, l msg.Lang) []Finding {
	d := &doctor{ctx: ctx, lang: l, env: map[string]string{}, course: c}
	d.goCommand()
	return d.findings
}

func (d *doctor) examine() []Finding {
	d.goCommand()
	d.race()
	d.workspace()
	d.writable()
	d.modules()
	d.disk()
	d.git()
	return d.findings
}

type doctor struct {
	ctx       context.Context
	lang      msg.Lang
	course    *course.Course
	courseErr error
	goTool    string
	env       map[string]string // go env
	findings  []Finding
}

func (d *doctor) found(level Level, next, key string, args ...any) {
	f := Finding{Level: level, Text: d.lang.T(key, args...)}
	if next != "" {
		f.Next = d.lang.T(next)
	}
	d.findings = append(d.findings, f)
}

func (d *doctor) goCommand() {
	tool, err := exec.LookPath("go")
	if err != nil {
		d.found(Missing, "doctor.go.next", "doctor.go.missing")
		return
	}
	names := []string{"GOVERSION", "GOTOOLCHAIN", "GOMODCACHE", "GOPROXY", "GOCACHE", "CGO_ENABLED"}
	out, err := d.run(tool, os.TempDir(), append([]string{"env"}, names...)...)
	values := strings.Split(strings.TrimRight(out, "\r\n"), "\n")
	if err != nil || len(values) != len(names) {
		d.found(Missing, "doctor.go.next", "doctor.go.failed", tool, firstLine(out, err))
		return
	}
	for i, name := range names {
		d.env[name] = strings.TrimSpace(values[i])
	}
	d.goTool = tool
	d.goVersion()
}

// goVersion compares the Go in PATH with what the stages ask for. A newer one
// may come by itself, unless GOTOOLCHAIN forbids it.
func (d *doctor) goVersion() {
	have, want := d.env["GOVERSION"], d.wanted()
	switch {
	case want == "" || version.Compare(have, want) >= 0 || strings.HasPrefix(have, "devel"):
		d.found(Fine, "", "doctor.go.fine", have, d.goTool)
	case strings.HasSuffix(d.env["GOTOOLCHAIN"], "auto"):
		d.found(Weak, "doctor.go.next", "doctor.go.switch", have, want)
	default:
		d.found(Missing, "doctor.go.next", "doctor.go.old", have, want, d.env["GOTOOLCHAIN"])
	}
}

// wanted is the highest version that a go.mod of the workspace asks for.
func (d *doctor) wanted() string {
	want := ""
	for _, dir := range d.moduleDirs() {
		if f := readMod(dir); f != nil && f.Go != nil {
			if v := "go" + f.Go.Version; want == "" || version.Compare(v, want) > 0 {
				want = v
			}
		}
	}
	return want
}

func (d *doctor) race() {
	switch {
	case d.goTool == "":
	case suite.RaceAvailable() && d.env["CGO_ENABLED"] != "0":
		d.found(Fine, "", "doctor.race.fine")
	default:
		d.found(Weak, "doctor.race.next", "doctor.race.missing")
	}
}

func (d *doctor) workspace() {
	if d.courseErr != nil {
		d.found(Missing, "doctor.workspace.next", "doctor.workspace.failed", d.courseErr)
		return
	}
	katas, bad := d.course.Katas(), []string{}
	for _, k := range katas {
		if len(k.Faults) > 0 {
			bad = append(bad, k.Path)
		}
	}
	d.found(Fine, "", "doctor.workspace.fine", d.course.Root, len(d.course.Stages), len(katas))
	if len(bad) > 0 {
		d.found(Weak, "doctor.katas.next", "doctor.katas.broken", strings.Join(bad, ", "))
	}
}

func (d *doctor) writable() {
	if d.course == nil {
		return
	}
	dir := progress.At(d.course.Root).Dir()
	probe := dir
	if _, err := os.Stat(dir); err != nil {
		probe = d.course.Root // it would be made here
	}
	f, err := os.CreateTemp(probe, ".doctor-*")
	if err != nil {
		d.found(Weak, "doctor.writable.next", "doctor.writable.failed", dir, err)
		return
	}
	err = errors.Join(f.Close(), os.Remove(f.Name()))
	if err != nil {
		d.found(Weak, "doctor.writable.next", "doctor.writable.failed", dir, err)
		return
	}
	d.found(Fine, "", "doctor.writable.fine", dir)
}

// modules counts what the stages need and the module cache does not hold.
func (d *doctor) modules() {
	if d.goTool == "" || d.course == nil {
		return
	}
	needed := map[module.Version]bool{}
	var missing []module.Version
	for _, dir := range d.moduleDirs() {
		for _, v := range requirements(dir) {
			if needed[v] {
				continue
			}
			needed[v] = true
			if !d.cached(v) {
				missing = append(missing, v)
			}
		}
	}
	if len(missing) == 0 {
		d.found(Fine, "", "doctor.modules.fine", len(needed))
		return
	}
	if d.reachable(missing[0]) {
		d.found(Weak, "doctor.modules.next", "doctor.modules.missing", len(missing), len(needed), d.env["GOPROXY"])
		return
	}
	d.found(Missing, "doctor.proxy.next", "doctor.proxy.failed", len(missing), len(needed), d.env["GOPROXY"])
}

// moduleDirs lists the folders of the workspace's modules.
func (d *doctor) moduleDirs() []string {
	if d.course == nil {
		return nil
	}
	var dirs []string
	for _, s := range d.course.Stages {
		dirs = append(dirs, s.Dir)
	}
	for _, k := range d.course.Katas() {
		if k.ModuleDir != "" && !slices.Contains(dirs, k.ModuleDir) {
			dirs = append(dirs, k.ModuleDir)
		}
	}
	return dirs
}

func readMod(dir string) *modfile.File {
	file := filepath.Join(dir, "go.mod")
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	f, err := modfile.ParseLax(file, data, nil)
	if err != nil {
		return nil
	}
	return f
}

// requirements lists the modules that the one in dir asks for; those that a
// replace directive takes from a folder are there already.
func requirements(dir string) []module.Version {
	f := readMod(dir)
	if f == nil {
		return nil
	}
	replaced := map[string]module.Version{}
	for _, r := range f.Replace {
		replaced[r.Old.Path] = r.New
	}
	var out []module.Version
	for _, r := range f.Require {
		v := r.Mod
		if to, ok := replaced[v.Path]; ok {
			v = to
		}
		if v.Version != "" {
			out = append(out, v)
		}
	}
	return out
}

func (d *doctor) cached(v module.Version) bool {
	p, err := module.EscapePath(v.Path)
	if err != nil {
		return true // not a path that could be downloaded; the go command will say so
	}
	ver, err := module.EscapeVersion(v.Version)
	if err != nil {
		return true
	}
	_, err = os.Stat(filepath.Join(d.env["GOMODCACHE"], filepath.FromSlash(p)+"@"+ver))
	return err == nil
}

// reachable lets the go command itself ask for one module's description: it
// knows all about proxies and passwords.
func (d *doctor) reachable(v module.Version) bool {
	ctx, cancel := context.WithTimeout(d.ctx, 15*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.goTool, "list", "-m", "-json", v.Path+"@"+v.Version)
	cmd.Dir = d.course.Stages[0].Dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	return cmd.Run() == nil
}

func (d *doctor) disk() {
	for _, dir := range []string{os.TempDir(), d.env["GOCACHE"]} {
		free, ok := freeSpace(existing(dir))
		if !ok || free >= enoughDisk {
			continue
		}
		d.found(Weak, "doctor.disk.next", "doctor.disk.low", size(free), dir)
		return
	}
	d.found(Fine, "", "doctor.disk.fine")
}

// existing returns dir or the nearest folder above it that is there already.
func existing(dir string) string {
	for dir != "" && dir != filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

func (d *doctor) git() {
	if _, err := exec.LookPath("git"); err != nil {
		d.found(Weak, "doctor.git.next", "doctor.git.missing")
		return
	}
	d.found(Fine, "", "doctor.git.fine")
}

func (d *doctor) run(tool, dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(d.ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Dir = dir
	// The Go in PATH itself is asked, not one that it would fetch.
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func firstLine(out string, err error) string {
	line, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	if line == "" && err != nil {
		return err.Error()
	}
	return line
}

func size(n uint64) string {
	const mb = 1 << 20
	if n < 1<<30 {
		return strconv.FormatUint(n/mb, 10) + " MB"
	}
	return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
}
