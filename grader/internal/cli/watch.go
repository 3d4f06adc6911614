package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
	"github.com/roadkata/roadkata/grader/internal/report"
	"github.com/roadkata/roadkata/grader/internal/suite"
	"github.com/roadkata/roadkata/grader/internal/watch"
)

// NewCmdWatch checks what is saved. `check --watch` is the same with check's flags.
func NewCmdWatch(f *Factory, runF func(*CheckOptions) error) *cobra.Command {
	o := &CheckOptions{Factory: f, Format: "terminal"}
	cmd := &cobra.Command{
		Use:               "watch [SELECTOR…]",
		Short:             f.T("cmd.watch"),
		Long:              f.T("cmd.watch.long"),
		Example:           "  grader watch\n  grader watch stage1/concurrency",
		ValidArgsFunction: f.completeSelectors,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Selectors = args
			if runF != nil {
				return runF(o)
			}
			return watchRun(cmd.Context(), o)
		},
	}
	f.topicFlag(cmd, &o.Topics)
	cmd.Flags().IntVarP(&o.Jobs, "jobs", "j", 0, f.T("flag.jobs"))
	cmd.Flags().BoolVar(&o.NoRace, "no-race", false, f.T("flag.norace"))
	cmd.Flags().BoolVarP(&o.Verbose, "verbose", "v", false, f.T("flag.check.verbose"))
	return cmd
}

func watchRun(ctx context.Context, o *CheckOptions) error {
	sel, current, err := watched(o)
	if err != nil {
		return err
	}
	if len(sel.Katas) == 0 {
		return o.onlyPlanned(append(o.Selectors, o.Topics...)...)
	}
	source, note := watch.Open(o.course.Root)
	defer source.Close()
	v := &watchView{CheckOptions: o}
	defer v.still()
	v.greet(len(sel.Katas), note)
	opts := watch.Options{Katas: sel.Katas, Current: current, Passed: map[string]bool{}, Check: v.check, View: v, Source: source, Hint: v.hint}
	st, err := o.Standing()
	if err != nil {
		return err
	}
	for path, status := range st.Statuses() {
		opts.Passed[path] = status == grade.Passed
	}
	if o.OutTTY {
		opts.Keys = watch.Keys(ctx, o.IO.In)
	}
	return watch.Run(ctx, opts)
}

// watched is the selection, and the kata in it that the learner works on. What
// is watched by default is everything: moving on must lead somewhere.
func watched(o *CheckOptions) (*course.Selection, *course.Kata, error) {
	c, err := o.Course()
	if err != nil {
		return nil, nil, err
	}
	sel, err := c.Select(o.Cwd(), o.Selectors, o.Topics)
	if err != nil {
		return nil, nil, err
	}
	current, err := o.here()
	if err != nil && !errors.Is(err, errNothingLeft) {
		return nil, nil, err
	}
	if !slices.Contains(sel.Katas, current) {
		current = nil
	}
	return sel, current, nil
}

// watchView prints what a watch finds.
type watchView struct {
	*CheckOptions
	line atomic.Pointer[live] // while a check runs
}

func (v *watchView) greet(katas int, note string) {
	s := v.errStyle()
	fmt.Fprintln(v.Err, s.Dim(v.Lang.N("watch.start", katas)))
	if note != "" {
		fmt.Fprintln(v.Err, s.Dim(v.T("watch.poll", note)))
	}
	if v.OutTTY {
		fmt.Fprintln(v.Err, s.Dim(v.T("watch.keys")))
	}
}

// check judges without the line on the terminal in its way.
func (v *watchView) check(ctx context.Context, katas []*course.Kata) ([]grade.Kata, error) {
	step := func(s suite.Step) {
		if l := v.line.Load(); l != nil {
			l.step(s)
		}
	}
	return v.Judge(ctx, katas, JudgeOptions{Jobs: v.Jobs, NoRace: v.NoRace, NoCache: v.NoCache, Step: step})
}

// Checking shows that work goes on.
func (v *watchView) Checking(katas []*course.Kata) {
	v.still()
	v.line.Store(v.startLive(len(katas)))
}

// Verdicts prints the report on what was saved: the katas, and not the rest of
// their items.
func (v *watchView) Verdicts(verdicts []grade.Kata) {
	v.still()
	if len(verdicts) == 1 && verdicts[0].Status == grade.Untouched {
		v.untouched(&verdicts[0])
		return
	}
	v.rule()
	write, _ := report.For(v.Format)
	if err := write(v.Out, grade.Assemble(nil, verdicts), v.Report(v.Verbose)); err != nil {
		v.Failed(err)
	}
}

// untouched says where to begin.
func (v *watchView) untouched(k *grade.Kata) {
	s := v.Style()
	fmt.Fprintf(v.Out, "%s %s  %s  %s\n  %s%s\n", s.Dim("○"), s.Bold(k.Path), k.Title.In(string(v.Lang)), v.T("kata.untouched"),
		s.Dim("→ "), v.T("next.untouched", s.Name("grader show "+k.Path)))
}

// rule tells one report from the one before.
func (v *watchView) rule() {
	if v.OutTTY {
		now := v.Now().Format("15:04:05")
		fmt.Fprintf(v.Out, "\n%s\n", v.Style().Dim("── "+now+" "+strings.Repeat("─", max(0, v.Style().Width-len(now)-4))))
	}
}

// MovedOn names the kata that comes next; its verdict follows.
func (v *watchView) MovedOn(to *course.Kata) {
	fmt.Fprintf(v.Out, "\n%s\n", v.Style().Bold(v.T("watch.on", to.Path)))
}

// AllPassed says that nothing is left.
func (v *watchView) AllPassed() {
	v.still()
	fmt.Fprintf(v.Out, "\n%s\n", v.Style().Good(v.T("watch.all")))
}

// Failed says why there is no verdict.
func (v *watchView) Failed(err error) {
	v.still()
	v.exit(err) // prints it; the watch goes on
}

func (v *watchView) hint(_ context.Context, k *course.Kata) error {
	return hintRun(&HintOptions{Factory: v.Factory, Selector: k.Path})
}

// still wipes the line that says what goes on.
func (v *watchView) still() {
	if l := v.line.Swap(nil); l != nil {
		l.stop()
	}
}
