package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/roadkata/roadkata/grader/internal/progress"
)

// ResetOptions are the arguments of `grader reset`.
type ResetOptions struct {
	*Factory
	Selector string
}

// NewCmdReset puts a stub back. It never guesses which.
func NewCmdReset(f *Factory, runF func(*ResetOptions) error) *cobra.Command {
	o := &ResetOptions{Factory: f}
	return &cobra.Command{
		Use:               "reset KATA",
		Short:             f.T("cmd.reset"),
		Long:              f.T("cmd.reset.long"),
		Args:              f.between(1, 1),
		ValidArgsFunction: f.completeKatas,
		RunE: func(_ *cobra.Command, args []string) error {
			o.Selector = args[0]
			if runF != nil {
				return runF(o)
			}
			return resetRun(o)
		},
	}
}

func resetRun(o *ResetOptions) error {
	k, err := o.Kata(o.Selector)
	if err != nil {
		return err
	}
	backup, done, err := o.Store().Reset(k, o.Now())
	if err != nil {
		return err
	}
	if !done {
		_, err = fmt.Fprintln(o.Out, o.T("reset.nothing", k.Path))
		return err
	}
	o.Remember(func(s *progress.State) { s.Restarted(k.Path, o.Now()) })
	text := o.T("reset.done", k.Path)
	if backup != "" {
		text += "\n" + o.T("reset.backup", backup)
	}
	_, err = fmt.Fprintln(o.Out, text)
	return err
}
