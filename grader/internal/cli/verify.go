package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/roadkata/roadkata/grader/internal/changed"
	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/suite"
	"github.com/roadkata/roadkata/grader/internal/verify"
)

// VerifyOptions are the flags and arguments of `grader verify`.
type VerifyOptions struct {
	*Factory
	Selectors []string
	Topics    []string
	Count     int
	Shuffle   string
	Since     string
	Format    string
	Matrix    bool
	Jobs      int
	NoRace    bool
	Right     bool
}

// NewCmdVerify holds katas to what makes their verdicts trustworthy.
func NewCmdVerify(f *Factory, runF func(*VerifyOptions) error) *cobra.Command {
	o := &VerifyOptions{Factory: f}
	cmd := &cobra.Command{
		Use:               "verify [SELECTOR…]",
		Short:             f.T("cmd.verify"),
		Long:              f.T("cmd.verify.long"),
		Example:           "  grader verify stage1/concurrency/workerpool --matrix\n  grader verify --changed-since origin/main\n  grader verify --right --count 50 --shuffle",
		ValidArgsFunction: f.completeSelectors,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Selectors = args
			if err := o.validate(cmd.CommandPath()); err != nil {
				return err
			}
			if runF != nil {
				return runF(o)
			}
			return verifyRun(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	f.topicFlag(cmd, &o.Topics)
	flags.IntVar(&o.Count, "count", 1, f.T("flag.count"))
	flags.StringVar(&o.Shuffle, "shuffle", "", f.T("flag.shuffle"))
	flags.Lookup("shuffle").NoOptDefVal = "on"
	flags.StringVar(&o.Since, "changed-since", "", f.T("flag.since"))
	flags.StringVar(&o.Format, "format", "text", f.T("flag.vformat"))
	flags.BoolVar(&o.Matrix, "matrix", false, f.T("flag.matrix"))
	flags.IntVarP(&o.Jobs, "jobs", "j", 0, f.T("flag.jobs"))
	flags.BoolVar(&o.Right, "right", false, f.T("flag.right"))
	flags.BoolVar(&o.NoRace, "no-race", false, f.T("flag.norace"))
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o *VerifyOptions) validate(command string) error {
	wrong := func(key string, value any) error { return &usageError{o.T(key, value), command} }
	_, err := strconv.ParseInt(o.Shuffle, 10, 64)
	switch {
	case o.Format != "text" && o.Format != "json":
		return &usageError{o.T("err.format", o.Format, "text, json"), command}
	case o.Count < 1:
		return wrong("err.count", o.Count)
	case o.Jobs < 0:
		return wrong("err.jobs", o.Jobs)
	case o.Shuffle != "" && o.Shuffle != "on" && err != nil:
		return wrong("err.shuffle", o.Shuffle)
	}
	return nil
}

func verifyRun(ctx context.Context, o *VerifyOptions) error {
	katas, err := o.katas(ctx)
	if err != nil {
		return err
	}
	step, still := o.progress(len(katas))
	r, err := verify.Run(ctx, o.course, katas, verify.Options{Jobs: o.Jobs, NoRace: o.NoRace, Right: o.Right, Count: o.Count, Shuffle: o.Shuffle, Step: step})
	still()
	if err != nil {
		return err
	}
	if err := o.print(r); err != nil {
		return err
	}
	if !r.OK() {
		return exitCode(exitNotPassed)
	}
	return nil
}

// katas is what was selected, less what has not changed.
func (o *VerifyOptions) katas(ctx context.Context) ([]*course.Kata, error) {
	c, err := o.Course()
	if err != nil {
		return nil, err
	}
	sel, err := c.Select(o.Cwd(), o.Selectors, o.Topics)
	if err != nil {
		return nil, err
	}
	if o.Since == "" {
		if len(sel.Katas) == 0 {
			return nil, o.onlyPlanned(append(o.Selectors, o.Topics...)...)
		}
		return sel.Katas, nil
	}
	files, err := changed.Files(ctx, c.Root, o.Since)
	if err != nil {
		return nil, err
	}
	touched := changed.Katas(c, files)
	katas := slices.DeleteFunc(sel.Katas, func(k *course.Kata) bool { return !slices.Contains(touched, k) })
	if len(katas) == 0 {
		fmt.Fprintln(o.Err, o.T("verify.nothing", o.Since))
	}
	return katas, nil
}

func (o *VerifyOptions) print(r *verify.Report) error {
	if o.Format == "json" {
		enc := json.NewEncoder(o.Out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	verify.Print(o.Out, r, o.Matrix)
	return nil
}

// progress is a moving line on a terminal, a line now and then in a log.
func (o *VerifyOptions) progress(katas int) (step func(suite.Step), still func()) {
	if o.ErrTTY {
		l := o.startLive(katas)
		return l.step, l.stop
	}
	const often = 10 * time.Second
	began := o.Now()
	last := began
	var mu sync.Mutex
	return func(s suite.Step) {
		mu.Lock()
		defer mu.Unlock()
		if now := o.Now(); now.Sub(last) >= often {
			last = now
			fmt.Fprintln(o.Err, o.T("verify.run", s.Done, s.Of, int(now.Sub(began).Seconds())))
		}
	}, func() {}
}
