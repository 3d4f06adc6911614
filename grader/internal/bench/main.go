// Command bench measures the grader against the go command on the same work:
// the ratios that the project promises, side by side in one run.
//
//	go run ./grader/internal/bench [-stage stage1] [-katas language] [-only check,verify] [-sample 3] [-tolerance 0.1]
//
// It works on copies in a temporary folder and never touches the workspace. CPU
// is user and system time of all processes that were started.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/course"
)

func main() {
	var o options
	var only string
	flag.StringVar(&o.stage, "stage", "stage1", "the `stage` to measure")
	flag.StringVar(&o.katas, "katas", "", "measure only katas whose paths match this `regexp`")
	flag.StringVar(&only, "only", "check,unchanged,save,verify", "the `measurements` to take")
	flag.Float64Var(&o.tolerance, "tolerance", 0.1, "by which `part` a target may be missed")
	flag.IntVar(&o.rounds, "rounds", 3, "how often the short measurements are taken; the median counts")
	flag.IntVar(&o.sample, "sample", 3, "of how many variants of each kata the loop of go test is taken for verify; 0: all, which takes an hour")
	flag.BoolVar(&o.verbose, "v", false, "show the commands")
	flag.Parse()
	o.only = strings.Split(only, ",")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	missed, err := run(ctx, os.Stdout, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(3)
	}
	if missed {
		stop()
		os.Exit(1)
	}
}

type options struct {
	stage     string
	katas     string
	only      []string
	tolerance float64
	rounds    int
	sample    int
	verbose   bool
}

// run takes the measurements and reports whether a target was missed.
func run(ctx context.Context, out io.Writer, o options) (bool, error) {
	root, err := course.Find(".")
	if err != nil {
		return false, err
	}
	tmp, err := os.MkdirTemp("", "roadkata-bench")
	if err != nil {
		return false, fmt.Errorf("make a folder for the copies: %w", err)
	}
	defer os.RemoveAll(tmp)
	b := &bench{options: o, ctx: ctx, tmp: tmp, grader: filepath.Join(tmp, "grader"+exe())}
	fmt.Fprintf(out, "Building the grader and two copies of %s, every kata solved …\n", o.stage)
	if err := b.prepare(root); err != nil {
		return false, err
	}
	fmt.Fprintf(out, "%d katas, %d processors, %s; CPU and wall time in seconds, %d rounds\n\n", len(b.katas), runtime.NumCPU(), runtime.Version(), o.rounds)
	t := &table{out: out, tolerance: o.tolerance}
	t.head()
	for _, m := range []struct {
		name string
		take func(*table) error
	}{{"check", b.check}, {"unchanged", b.unchanged}, {"save", b.save}, {"verify", b.verify}} {
		if !slices.Contains(o.only, m.name) {
			continue
		}
		if err := m.take(t); err != nil {
			return false, fmt.Errorf("measure %s: %w", m.name, err)
		}
	}
	t.foot()
	return t.missed, nil
}

func exe() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// table prints measurements beside their targets.
type table struct {
	out       io.Writer
	tolerance float64
	missed    bool
}

const row = "%-40s %8s %8s %6s   %s\n"

func (t *table) head() { fmt.Fprintf(t.out, row, "", "grader", "go test", "ratio", "target") }

// ratio compares two times; target 0 means that none is promised.
func (t *table) ratio(what string, mine, theirs, target float64) {
	r := mine / theirs
	verdict := ""
	if target > 0 {
		verdict = t.verdict(r, target, fmt.Sprintf("≤ %.2f", target))
	}
	fmt.Fprintf(t.out, row, what, fmt.Sprintf("%.2f", mine), fmt.Sprintf("%.2f", theirs), fmt.Sprintf("%.2f", r), verdict)
}

// limit compares a time with a number of seconds.
func (t *table) limit(what string, mine, target float64) {
	fmt.Fprintf(t.out, row, what, fmt.Sprintf("%.2f", mine), "", "", t.verdict(mine, target, fmt.Sprintf("≤ %.1f s", target)))
}

// note prints a time that nothing is compared with.
func (t *table) note(what string, seconds float64) {
	fmt.Fprintf(t.out, row, what, fmt.Sprintf("%.2f", seconds), "", "", "")
}

// say prints a remark below a row.
func (t *table) say(text string) { fmt.Fprintln(t.out, text) }

func (t *table) verdict(got, target float64, text string) string {
	switch {
	case got <= target:
		return text + "  holds"
	case got <= target*(1+t.tolerance):
		return text + "  holds within the tolerance"
	}
	t.missed = true
	return text + "  MISSED"
}

func (t *table) foot() {
	if t.missed {
		fmt.Fprintf(t.out, "\nA target was missed by more than %.0f %%. On a loaded machine wall times say little: look at CPU first.\n", 100*t.tolerance)
	}
}
