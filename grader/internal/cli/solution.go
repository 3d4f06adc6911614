package cli

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/progress"
	"github.com/roadkata/roadkata/grader/internal/term"
)

// SolutionOptions are the flags and arguments of `grader solution`.
type SolutionOptions struct {
	*Factory
	Selector string
	Spoil    bool
}

// NewCmdSolution shows the reference of a kata that has passed.
func NewCmdSolution(f *Factory, runF func(*SolutionOptions) error) *cobra.Command {
	o := &SolutionOptions{Factory: f}
	cmd := &cobra.Command{
		Use:               "solution [KATA]",
		Short:             f.T("cmd.solution"),
		Long:              f.T("cmd.solution.long"),
		Args:              f.between(0, 1),
		ValidArgsFunction: f.completeKatas,
		RunE: func(_ *cobra.Command, args []string) error {
			o.Selector = strings.Join(args, "")
			if runF != nil {
				return runF(o)
			}
			return solutionRun(o)
		},
	}
	cmd.Flags().BoolVar(&o.Spoil, "spoil", false, f.T("flag.spoil"))
	return cmd
}

func solutionRun(o *SolutionOptions) error {
	k, err := o.Kata(o.Selector)
	if err != nil {
		return o.allDone(err)
	}
	state, err := o.Store().Load()
	o.warnProgress(err)
	if state.Kata(k.Path).PassedAt.IsZero() {
		if !o.Spoil {
			return &openError{o.T("solution.notyet", k.Path)}
		}
		o.Remember(func(s *progress.State) { s.Spoiled(k.Path, o.Now()) })
	}
	reference := k.Solution()
	if len(reference.Problems) > 0 {
		return fmt.Errorf("show the reference of %s: %v", k.Path, reference.Problems[0])
	}
	yours := k.Yours()
	for _, rel := range slices.Sorted(maps.Keys(reference.Files)) {
		if err := o.compare(k, rel, reference.Files[rel], yours.Files[rel]); err != nil {
			return err
		}
	}
	return o.others(k)
}

// compare prints one file of the reference and the way to it from the learner's.
func (o *SolutionOptions) compare(k *course.Kata, rel, reference, yours string) error {
	want, err := os.ReadFile(reference)
	if err != nil {
		return fmt.Errorf("read the reference: %w", err)
	}
	var have []byte
	if yours != "" {
		if have, err = os.ReadFile(yours); err != nil {
			return fmt.Errorf("read your file: %w", err)
		}
	}
	have, want = []byte(course.Normal(have)), []byte(course.Normal(want))
	s := o.Style()
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\n\n%s\n", s.Bold("== "+o.T("solution.reference", path.Join(k.Path, rel))), want)
	changes := diff.Diff("yours/"+rel, have, "reference/"+rel, want)
	if len(changes) == 0 {
		fmt.Fprintf(&out, "%s\n\n", o.T("solution.same", rel))
	} else {
		fmt.Fprintf(&out, "%s\n\n%s\n", s.Bold("== "+o.T("solution.diff", path.Join(k.Path, rel))), painted(changes, s))
	}
	_, err = o.Out.Write(out.Bytes())
	return err
}

// painted colours the lines of a diff.
func painted(changes []byte, s term.Style) string {
	var b strings.Builder
	for line := range strings.Lines(string(changes)) {
		text := strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(text, "diff "):
			continue
		case strings.HasPrefix(text, "---"), strings.HasPrefix(text, "+++"):
			text = s.Bold(text)
		case strings.HasPrefix(text, "@@"):
			text = s.Name(text)
		case strings.HasPrefix(text, "-"):
			text = s.Bad(text)
		case strings.HasPrefix(text, "+"):
			text = s.Good(text)
		}
		b.WriteString(text + "\n")
	}
	return b.String()
}

// others says where right solutions of another structure are: the reference is
// one way, not the way.
func (o *SolutionOptions) others(k *course.Kata) error {
	entries, err := os.ReadDir(k.AuthorPath("accept"))
	if err != nil || len(entries) == 0 {
		return nil // a kata may have none
	}
	var dirs []string
	for _, e := range entries {
		dirs = append(dirs, path.Join(k.Path, course.AuthorDir, "accept", e.Name()))
	}
	_, err = fmt.Fprintln(o.Out, o.T("solution.others", strings.Join(dirs, ", ")))
	return err
}
