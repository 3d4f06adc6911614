package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/roadkata/roadkata/grader/internal/report"
)

// NextOptions are the options of `grader next`.
type NextOptions struct{ *Factory }

// NewCmdNext names the next kata.
func NewCmdNext(f *Factory, runF func(*NextOptions) error) *cobra.Command {
	o := &NextOptions{Factory: f}
	return &cobra.Command{
		Use:               "next",
		Short:             f.T("cmd.next"),
		Long:              f.T("cmd.next.long"),
		Example:           "  grader next\n  grader show $(grader next)",
		Args:              f.between(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			if runF != nil {
				return runF(o)
			}
			return nextRun(o)
		},
	}
}

// nextRun prints the path alone into a pipe.
func nextRun(o *NextOptions) error {
	st, err := o.Standing()
	if err != nil {
		return err
	}
	k := st.Next
	if k == nil {
		k = st.Current
	}
	if k == nil {
		fmt.Fprintln(o.Err, o.T("status.done"))
		return nil
	}
	if !o.OutTTY {
		_, err := fmt.Fprintln(o.Out, k.Path)
		return err
	}
	s := o.Style()
	_, err = fmt.Fprintf(o.Out, "%s  %s\n%s\n  → %s\n", s.Bold(k.Path), k.Title.In(string(o.Lang)), s.Dim(report.Facts(o.Lang, k)), s.Name("grader show "+k.Path))
	return err
}
