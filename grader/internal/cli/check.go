package cli

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/doctor"
	"github.com/roadkata/roadkata/grader/internal/grade"
	"github.com/roadkata/roadkata/grader/internal/report"
)

// CheckOptions are the flags and arguments of `grader check`.
type CheckOptions struct {
	*Factory
	Selectors []string
	Topics    []string
	Format    string
	Jobs      int
	NoRace    bool
	NoCache   bool
	Verbose   bool
	Watch     bool
}

// NewCmdCheck runs the hidden suites on the learner's files.
func NewCmdCheck(f *Factory, runF func(*CheckOptions) error) *cobra.Command {
	o := &CheckOptions{Factory: f}
	cmd := &cobra.Command{
		Use:               "check [SELECTOR…]",
		Short:             f.T("cmd.check"),
		Long:              f.T("cmd.check.long"),
		Example:           "  grader check\n  grader check stage1/concurrency\n  grader check --topic concurrency --format json",
		ValidArgsFunction: f.completeSelectors,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Selectors = args
			if _, ok := report.For(o.Format); !ok {
				return &usageError{f.T("err.format", o.Format, strings.Join(report.Formats(), ", ")), cmd.CommandPath()}
			}
			if o.Jobs < 0 {
				return &usageError{f.T("err.jobs", o.Jobs), cmd.CommandPath()}
			}
			if runF != nil {
				return runF(o)
			}
			if o.Watch {
				return f.Watch(cmd.Context(), o)
			}
			return checkRun(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	f.topicFlag(cmd, &o.Topics)
	flags.StringVar(&o.Format, "format", "terminal", f.T("flag.format"))
	flags.IntVarP(&o.Jobs, "jobs", "j", 0, f.T("flag.jobs"))
	flags.BoolVar(&o.NoRace, "no-race", false, f.T("flag.norace"))
	flags.BoolVar(&o.NoCache, "no-cache", false, f.T("flag.nocache"))
	flags.BoolVarP(&o.Verbose, "verbose", "v", false, f.T("flag.check.verbose"))
	if f.Watch != nil {
		flags.BoolVar(&o.Watch, "watch", false, f.T("flag.watch"))
	}
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(report.Formats(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func checkRun(ctx context.Context, o *CheckOptions) error {
	sel, err := o.Selection()
	if err != nil {
		return o.allDone(err)
	}
	live := o.startLive(len(sel.Katas))
	verdicts, err := o.Judge(ctx, sel.Katas, JudgeOptions{Jobs: o.Jobs, NoRace: o.NoRace, NoCache: o.NoCache, Step: live.step})
	live.stop()
	if err != nil {
		return err
	}
	r := grade.Assemble(sel.Items, verdicts)
	write, _ := report.For(o.Format)
	if err := write(o.Out, r, o.Report(o.Verbose)); err != nil {
		return err
	}
	if len(sel.Katas) == 0 && len(sel.Items) > 0 {
		return o.onlyPlanned(append(o.Selectors, o.Topics...)...)
	}
	if code := r.ExitCode(); code != 0 {
		o.explainBuilds(ctx, r)
		return exitCode(code)
	}
	return nil
}

// explainBuilds looks whether builds that failed for no kata's fault failed for
// the go command's.
func (o *CheckOptions) explainBuilds(ctx context.Context, r *grade.Report) {
	unbuilt := func(k grade.Kata) bool {
		return k.Status == grade.Broken && slices.ContainsFunc(k.Problems, func(p course.Problem) bool { return p.Kind == "build" })
	}
	if !slices.ContainsFunc(r.Katas, unbuilt) {
		return
	}
	for _, finding := range doctor.Go(ctx, o.course, o.Lang) {
		if finding.Level == doctor.Missing {
			o.errorf("%s", finding.Text)
			o.hintf("%s", finding.Next)
		}
	}
}

// Selection is what was asked for; where nothing was, it is where the learner stands.
func (o *CheckOptions) Selection() (*course.Selection, error) {
	c, err := o.Course()
	if err != nil {
		return nil, err
	}
	if len(o.Selectors)+len(o.Topics) > 0 {
		return c.Select(o.Cwd(), o.Selectors, o.Topics)
	}
	k, err := o.here()
	if errors.Is(err, errNothingLeft) && o.Format != "terminal" {
		return &course.Selection{}, nil // machines get an empty report
	}
	if err != nil {
		return nil, err
	}
	return c.Select(c.Root, []string{k.Path}, nil)
}
