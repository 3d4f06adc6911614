package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/roadkata/roadkata/grader/internal/doctor"
)

// DoctorOptions are the options of `grader doctor`.
type DoctorOptions struct{ *Factory }

// NewCmdDoctor looks at the machine.
func NewCmdDoctor(f *Factory, runF func(*DoctorOptions) error) *cobra.Command {
	o := &DoctorOptions{Factory: f}
	return &cobra.Command{
		Use:               "doctor",
		Short:             f.T("cmd.doctor"),
		Long:              f.T("cmd.doctor.long"),
		Args:              f.between(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if runF != nil {
				return runF(o)
			}
			return doctorRun(cmd.Context(), o)
		},
	}
}

func doctorRun(ctx context.Context, o *DoctorOptions) error {
	s := o.Style()
	marks := map[doctor.Level]string{doctor.Fine: s.Good("✓"), doctor.Weak: s.Warn("!"), doctor.Missing: s.Bad("✗")}
	healthy := true
	for _, finding := range doctor.Examine(ctx, o.Cwd(), o.Lang) {
		fmt.Fprintf(o.Out, "%s %s\n", marks[finding.Level], finding.Text)
		if finding.Next != "" {
			fmt.Fprintf(o.Out, "  → %s\n", finding.Next)
		}
		healthy = healthy && finding.Level != doctor.Missing
	}
	if !healthy {
		return exitCode(exitNotPassed)
	}
	return nil
}
