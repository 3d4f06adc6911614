package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/roadkata/roadkata/grader/internal/check"
	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
	"github.com/roadkata/roadkata/grader/internal/watch"
)

// check measures a stage with every kata solved: results cold, dependencies built.
func (b *bench) check(t *table) error {
	if err := b.warm(); err != nil {
		return err
	}
	var mine, theirs []used
	for range b.rounds {
		if err := b.chill(b.ours); err != nil {
			return err
		}
		u, err := b.grade(b.selected("check")...)
		if err != nil {
			return err
		}
		mine = append(mine, u)
		if err := b.chill(b.theirs); err != nil {
			return err
		}
		if u, err = b.goTest(b.katas); err != nil {
			return err
		}
		theirs = append(theirs, u)
	}
	m, g := median(mine), median(theirs)
	t.ratio("check, all solved, cold: CPU", m.cpu, g.cpu, 0.25)
	t.ratio("check, all solved, cold: wall", m.wall, g.wall, 0.35)
	own, err := b.ownTime()
	if err != nil {
		return err
	}
	t.note("of both: the suites' own time: wall", own)
	compiling, err := b.compiling()
	if err != nil {
		return err
	}
	t.note("of both: compiling katas and suites: CPU", compiling.cpu)
	return nil
}

// compiling is what the compiler takes for the katas and their suites, without
// linking, vetting and running: no grader can save it either.
func (b *bench) compiling() (used, error) {
	var total used
	if err := b.chill(b.theirs); err != nil {
		return total, err
	}
	for _, race := range []bool{false, true} {
		args := []string{"list", "-export", "-test", "-f", "{{.Export}}"}
		if race {
			args = append(args, "-race")
		}
		n := len(args)
		for _, k := range b.katas {
			if k.Race == race {
				args = append(args, b.packageOf(k))
			}
		}
		if len(args) == n {
			continue
		}
		u, err := measure(b.command(filepath.Join(b.theirs, b.stage), "go", args...))
		if err != nil {
			return total, fmt.Errorf("compile the suites: %w\n%s", err, tail(u.output))
		}
		total.add(u)
	}
	return total, nil
}

// ownTime is how long the suites ran in the last check. No grader can save that
// time, and go test spends it, too.
func (b *bench) ownTime() (float64, error) {
	u, err := b.grade(append(b.selected("check"), "--format", "json")...)
	if err != nil {
		return 0, err
	}
	var r grade.Report
	if err := json.Unmarshal([]byte(u.output), &r); err != nil {
		return 0, fmt.Errorf("read the report: %w", err)
	}
	total := 0.0
	for _, k := range r.Katas {
		if k.Status != grade.Passed {
			return 0, fmt.Errorf("%s is %s, want it passed: what fails takes another time\n%s", k.Path, k.Status, whatFailed(k))
		}
		total += k.Seconds
	}
	return total, nil
}

// whatFailed names the intents that failed, with what they printed.
func whatFailed(k grade.Kata) string {
	var b strings.Builder
	for _, p := range k.Problems {
		fmt.Fprintf(&b, "%s: %s\n", p.At, p.Text)
	}
	for _, i := range k.Intents {
		if i.Status == grade.Passed || i.Because == nil {
			continue
		}
		fmt.Fprintf(&b, "%s: %s: %s\n%s\n", i.Name, i.Because.Kind, i.Because.Text, strings.Join(i.Output, "\n"))
	}
	return b.String()
}

// selected is a command on the katas that are compared.
func (b *bench) selected(command string) []string {
	args := []string{command}
	for _, k := range b.katas {
		args = append(args, k.Path)
	}
	return args
}

// warm builds what both sides depend on.
func (b *bench) warm() error {
	u, err := b.grade(b.selected("check")...)
	if err != nil {
		return err
	}
	if u.output == "" {
		return errors.New("the grader says nothing about a solved stage")
	}
	_, err = b.goTest(b.katas)
	return err
}

// unchanged measures a second check of the same files.
func (b *bench) unchanged(t *table) error {
	if _, err := b.grade(b.selected("check")...); err != nil {
		return err
	}
	var mine []used
	for range b.rounds {
		u, err := b.grade(b.selected("check")...)
		if err != nil {
			return err
		}
		mine = append(mine, u)
	}
	t.limit("check, nothing changed: wall", median(mine).wall, 0.5)
	return nil
}

// save measures from a save to the verdict in watch's way.
func (b *bench) save(t *table) error {
	for _, k := range b.saved() {
		w := b.watch(k)
		var mine, theirs []float64
		for i := range b.rounds + 1 { // the first round warms up
			file := b.learnerFile(b.ours, k)
			began := time.Now()
			b.touch++
			if err := appendComment(file, b.touch); err != nil {
				return err
			}
			if err := w.verdict(b.ctx); err != nil {
				return err
			}
			m := time.Since(began).Seconds()
			if err := appendComment(b.learnerFile(b.theirs, k), b.touch); err != nil {
				return err
			}
			u, err := b.goTest([]*course.Kata{k})
			if err != nil {
				return err
			}
			if i > 0 {
				mine, theirs = append(mine, m), append(theirs, u.wall)
			}
		}
		w.stop()
		slices.Sort(mine)
		slices.Sort(theirs)
		t.ratio("save → verdict, "+filepath.Base(k.Path)+": wall", mine[len(mine)/2], theirs[len(theirs)/2], 1)
	}
	return nil
}

// saved picks a plain kata and one with the race detector.
func (b *bench) saved() []*course.Kata {
	var out []*course.Kata
	for _, race := range []bool{false, true} {
		i := slices.IndexFunc(b.katas, func(k *course.Kata) bool {
			return k.Kind == course.Library && k.Race == race && len(k.Experiment) == 0
		})
		if i >= 0 {
			out = append(out, b.katas[i])
		}
	}
	return out
}

func (b *bench) learnerFile(workspace string, k *course.Kata) string {
	for rel := range k.Stub {
		if filepath.Ext(rel) == ".go" {
			return filepath.Join(b.in(workspace, k), filepath.FromSlash(rel))
		}
	}
	return ""
}

// watcher runs a watch as `grader watch` does and hands its verdicts out.
type watcher struct {
	verdicts chan grade.Kata
	failed   chan error
	stop     func()
}

func (b *bench) watch(k *course.Kata) *watcher {
	ctx, cancel := context.WithCancel(b.ctx)
	w := &watcher{verdicts: make(chan grade.Kata), failed: make(chan error)}
	source, _ := watch.Open(b.ours)
	done := make(chan struct{})
	ready := make(chan struct{})
	go func() {
		defer close(done)
		_ = watch.Run(ctx, watch.Options{Katas: []*course.Kata{k}, View: &view{watcher: w, ctx: ctx, ready: ready}, Source: source,
			Check: func(ctx context.Context, katas []*course.Kata) ([]grade.Kata, error) {
				return check.Learner(ctx, katas, check.Options{Cache: check.NewCache(filepath.Join(b.ours, ".grader", "bench"))})
			}})
	}()
	w.stop = func() {
		cancel()
		<-done
		_ = source.Close()
	}
	<-ready
	return w
}

func (w *watcher) verdict(ctx context.Context) error {
	select {
	case v := <-w.verdicts:
		if v.Status != grade.Passed {
			return fmt.Errorf("%s is %s, want it passed: %v", v.Path, v.Status, v.Problems)
		}
		return nil
	case err := <-w.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// view waits for the check at the start of a watch, then hands verdicts out.
type view struct {
	*watcher
	ctx   context.Context
	ready chan struct{}
	begun bool
}

func (v *view) Checking([]*course.Kata) {}
func (v *view) MovedOn(*course.Kata)    {}
func (v *view) AllPassed()              {}

func (v *view) Verdicts(verdicts []grade.Kata) {
	if !v.begun {
		v.begun = true
		close(v.ready)
		return
	}
	select {
	case v.verdicts <- verdicts[0]:
	case <-v.ctx.Done():
	}
}

func (v *view) Failed(err error) {
	if !v.begun {
		v.begun = true
		close(v.ready)
	}
	select {
	case v.failed <- err:
	case <-v.ctx.Done():
	}
}

// verify measures the gates of the stage against a loop of go test -overlay. What
// the loop cannot do (subjects, programs) is left out on both sides; what it does
// not do (examples, intents run alone, linting) is not. The loop over all variants
// of a stage takes the better part of an hour, so it is run on some of each kata
// and counted for all of them.
func (b *bench) verify(t *table) error {
	var katas []*course.Kata
	args := []string{"verify"}
	for _, k := range b.katas {
		if k.Kind == course.Library {
			katas = append(katas, k)
			args = append(args, k.Path)
		}
	}
	if err := b.chill(b.ours); err != nil {
		return err
	}
	mine, err := b.grade(args...)
	if err != nil {
		return err
	}
	if err := b.chill(b.theirs); err != nil {
		return err
	}
	var theirs used
	all, looped := 0, 0
	for _, k := range katas {
		variants := k.Variants()
		some := sample(variants, b.sample)
		var sum used
		for _, v := range some {
			file, err := b.overlay(v)
			if err != nil {
				return err
			}
			u, err := b.goTest([]*course.Kata{k}, "-overlay="+file, "-timeout="+k.Timeout.String())
			if err != nil {
				return fmt.Errorf("%s, %s: %w", k.Path, v.ID(), err)
			}
			sum.add(u)
		}
		of := float64(len(variants)) / float64(len(some))
		theirs.add(used{cpu: sum.cpu * of, wall: sum.wall * of})
		all += len(variants)
		looped += len(some)
	}
	t.ratio(fmt.Sprintf("verify, %d variants: CPU", all), mine.cpu, theirs.cpu, 0.25)
	t.ratio(fmt.Sprintf("verify, %d variants: wall", all), mine.wall, theirs.wall, 0)
	t.say(fmt.Sprintf("  (go test: %d of them, counted for all)", looped))
	return nil
}

// sample takes n of all, evenly spread; 0 takes all.
func sample[T any](all []T, n int) []T {
	if n <= 0 || n >= len(all) {
		return all
	}
	var out []T
	for i := range n {
		out = append(out, all[(2*i+1)*len(all)/(2*n)])
	}
	return out
}
