package cli

import (
	"github.com/spf13/cobra"

	"github.com/roadkata/roadkata/grader/internal/report"
)

// ListOptions are the flags and arguments of `grader list`.
type ListOptions struct {
	*Factory
	Selectors []string
	Topics    []string
	JSON      bool
}

// NewCmdList lists stages, topics, items and katas.
func NewCmdList(f *Factory, runF func(*ListOptions) error) *cobra.Command {
	o := &ListOptions{Factory: f}
	cmd := &cobra.Command{
		Use:               "list [SELECTOR…]",
		Short:             f.T("cmd.list"),
		Long:              f.T("cmd.list.long"),
		Example:           "  grader list stage1\n  grader list --topic concurrency\n  grader list stage1 --json",
		ValidArgsFunction: f.completeSelectors,
		RunE: func(_ *cobra.Command, args []string) error {
			o.Selectors = args
			if runF != nil {
				return runF(o)
			}
			return listRun(o)
		},
	}
	cmd.Flags().BoolVar(&o.JSON, "json", false, f.T("flag.json"))
	f.topicFlag(cmd, &o.Topics)
	return cmd
}

func listRun(o *ListOptions) error {
	st, err := o.Standing()
	if err != nil {
		return err
	}
	sel, err := st.Course.Select(o.Cwd(), o.Selectors, o.Topics)
	if err != nil {
		return err
	}
	list := report.NewList(st, sel)
	if o.JSON {
		return list.JSON(o.Out)
	}
	return list.Terminal(o.Out, o.Report(false))
}
