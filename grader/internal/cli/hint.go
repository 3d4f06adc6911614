package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roadkata/roadkata/grader/internal/brief"
	"github.com/roadkata/roadkata/grader/internal/progress"
)

// HintOptions are the flags and arguments of `grader hint`.
type HintOptions struct {
	*Factory
	Selector string
	All      bool
}

// NewCmdHint shows the next hint of a kata.
func NewCmdHint(f *Factory, runF func(*HintOptions) error) *cobra.Command {
	o := &HintOptions{Factory: f}
	cmd := &cobra.Command{
		Use:               "hint [KATA]",
		Short:             f.T("cmd.hint"),
		Long:              f.T("cmd.hint.long"),
		Args:              f.between(0, 1),
		ValidArgsFunction: f.completeKatas,
		RunE: func(_ *cobra.Command, args []string) error {
			o.Selector = strings.Join(args, "")
			if runF != nil {
				return runF(o)
			}
			return hintRun(o)
		},
	}
	cmd.Flags().BoolVar(&o.All, "all", false, f.T("flag.hint.all"))
	return cmd
}

func hintRun(o *HintOptions) error {
	k, err := o.Kata(o.Selector)
	if err != nil {
		return o.allDone(err)
	}
	hints, err := brief.Hints(k, o.Lang)
	if err != nil {
		return fmt.Errorf("read the hints of %s: %w", k.Path, err)
	}
	var from, to int // the hints to show
	o.Remember(func(s *progress.State) {
		taken := s.Kata(k.Path).Hints
		to = min(taken+1, len(hints))
		from = to - 1
		if o.All {
			from, to = 0, len(hints)
		}
		s.TakeHints(k.Path, to)
	})
	var text strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&text, "## %s\n\n%s\n", o.T("hint.title", k.Title.In(string(o.Lang)), i+1, len(hints)), hints[i])
	}
	if err := o.markdown(text.String()); err != nil {
		return err
	}
	if to == len(hints) {
		fmt.Fprintln(o.Err, o.errStyle().Dim(o.T("hint.last", k.Path)))
	}
	return nil
}
