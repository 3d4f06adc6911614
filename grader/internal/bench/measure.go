package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// used is what commands took.
type used struct {
	cpu, wall float64
	output    string
}

func (u *used) add(v used) {
	u.cpu += v.cpu
	u.wall += v.wall
}

// median takes the middle one of an odd number of rounds, by CPU time and by
// wall time each.
func median(rounds []used) used {
	pick := func(of func(used) float64) float64 {
		var all []float64
		for _, r := range rounds {
			all = append(all, of(r))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return used{cpu: pick(func(u used) float64 { return u.cpu }), wall: pick(func(u used) float64 { return u.wall })}
}

func (b *bench) command(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(b.ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if b.verbose {
		fmt.Printf("  $ %s\n", strings.Join(cmd.Args, " "))
	}
	return cmd
}

// measure runs a command. The system adds the time of its children to its own,
// as each of them is waited for.
func measure(cmd *exec.Cmd) (used, error) {
	began := time.Now()
	out, err := cmd.CombinedOutput()
	u := used{wall: time.Since(began).Seconds(), output: string(out)}
	if s := cmd.ProcessState; s != nil {
		u.cpu = (s.UserTime() + s.SystemTime()).Seconds()
	}
	return u, err
}

// grade runs the grader in its copy. Exit status 1 is as good as 0: what is
// measured may be work that fails.
func (b *bench) grade(args ...string) (used, error) {
	u, err := measure(b.command(b.ours, b.grader, args...))
	return u, tolerate(err, u, 1)
}

// tolerate forgives an exit status.
func tolerate(err error, u used, code int) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == code {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, tail(u.output))
	}
	return nil
}

// tail keeps a message readable.
func tail(output string) string {
	if n := len(output) - 4000; n > 0 {
		return "… " + output[n:]
	}
	return output
}

// group is what one call of go test can run.
type group struct {
	race       bool
	experiment string
	alone      string // a kata that needs an environment of its own
}

// goTest tests katas as a learner could: one command for those that can share it.
func (b *bench) goTest(katas []*course.Kata, flags ...string) (used, error) {
	var order []group
	packages := map[group][]string{}
	env := map[group][]string{}
	var total used
	for _, k := range katas {
		g := group{race: k.Race, experiment: k.Experiment}
		extra, built, err := b.surroundings(k, flags)
		if err != nil {
			return total, err
		}
		total.add(built)
		if extra != nil {
			g.alone = k.Path
			env[g] = extra
		}
		if packages[g] == nil {
			order = append(order, g)
		}
		packages[g] = append(packages[g], b.packageOf(k))
	}
	for _, g := range order {
		args := append([]string{"test", "-count=1"}, flags...)
		if g.race {
			args = append(args, "-race")
		}
		cmd := b.command(filepath.Join(b.theirs, b.stage), "go", append(args, packages[g]...)...)
		cmd.Env = append(cmd.Env, env[g]...)
		if g.experiment != "" {
			cmd.Env = append(cmd.Env, "GOEXPERIMENT="+g.experiment)
		}
		u, err := measure(cmd)
		if err := tolerate(err, u, 1); err != nil {
			return total, err
		}
		if strings.Contains(u.output, "[build failed]") || strings.Contains(u.output, "[setup failed]") {
			return total, fmt.Errorf("go test has nothing to compare with:\n%s", tail(u.output))
		}
		total.add(u)
	}
	return total, nil
}

// surroundings returns the environment of a kata that go test alone cannot run:
// files that are not Go, or a program that has to be built.
func (b *bench) surroundings(k *course.Kata, flags []string) ([]string, used, error) {
	var env []string
	for rel := range k.Stub {
		if filepath.Ext(rel) != ".go" {
			env = []string{"ROADKATA_FILES=" + b.in(b.theirs, k)}
		}
	}
	if k.Kind != course.Program {
		return env, used{}, nil
	}
	program := filepath.Join(b.tmp, filepath.Base(k.Path)+"-program"+exe())
	args := append([]string{"build", "-o", program}, flags...)
	if k.Race {
		args = append(args, "-race")
	}
	u, err := measure(b.command(filepath.Join(b.theirs, b.stage), "go", append(args, b.packageOf(k))...))
	if err != nil {
		return nil, u, fmt.Errorf("build %s: %w\n%s", k.Path, err, u.output)
	}
	return append(env, "ROADKATA_PROGRAM="+program), u, nil
}
