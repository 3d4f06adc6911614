package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roadkata/roadkata/grader/internal/scaffold"
)

// NewOptions are the arguments of `grader new`.
type NewOptions struct {
	*Factory
	Kata string
}

// NewCmdNew lays out a new kata.
func NewCmdNew(f *Factory, runF func(*NewOptions) error) *cobra.Command {
	o := &NewOptions{Factory: f}
	return &cobra.Command{
		Use:               "new STAGE/TOPIC/KATA",
		Short:             f.T("cmd.new"),
		Long:              f.T("cmd.new.long"),
		Example:           "  grader new stage1/concurrency/semaphore",
		Args:              f.between(1, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(_ *cobra.Command, args []string) error {
			o.Kata = args[0]
			if runF != nil {
				return runF(o)
			}
			return newRun(o)
		},
	}
}

func newRun(o *NewOptions) error {
	c, err := o.Course()
	if err != nil {
		return err
	}
	made, err := scaffold.New(c, o.Kata)
	var refused *scaffold.RefusedError
	if errors.As(err, &refused) {
		return &usageError{text: refused.Error()}
	}
	if err != nil {
		return err
	}
	s := o.Style()
	var b strings.Builder
	fmt.Fprintln(&b, s.Good(o.T("new.made", made.Path)))
	for _, file := range made.Files {
		fmt.Fprintf(&b, "  %s\n", s.Dim(file))
	}
	if made.Planned {
		fmt.Fprintln(&b, o.T("new.planned", made.Roadmap))
	} else {
		fmt.Fprintf(&b, "%s\n%s", o.T("new.roadmap", made.Roadmap), s.Name(made.Entry))
	}
	fmt.Fprintf(&b, "%s\n%s\n", o.T("new.write"), o.T("new.verify", s.Name("grader verify "+made.Path)))
	_, err = fmt.Fprint(o.Out, b.String())
	return err
}
