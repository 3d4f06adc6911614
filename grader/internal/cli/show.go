package cli

import (
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roadkata/roadkata/grader/internal/brief"
	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/report"
)

// ShowOptions are the arguments of `grader show`.
type ShowOptions struct {
	*Factory
	Selector string
}

// NewCmdShow shows the brief of a kata.
func NewCmdShow(f *Factory, runF func(*ShowOptions) error) *cobra.Command {
	o := &ShowOptions{Factory: f}
	return &cobra.Command{
		Use:               "show [KATA]",
		Short:             f.T("cmd.show"),
		Long:              f.T("cmd.show.long"),
		Example:           "  grader show stage1/language/hello\n  grader show stage1/language/hello > brief.md",
		Args:              f.between(0, 1),
		ValidArgsFunction: f.completeKatas,
		RunE: func(_ *cobra.Command, args []string) error {
			o.Selector = strings.Join(args, "")
			if runF != nil {
				return runF(o)
			}
			return showRun(o)
		},
	}
}

func showRun(o *ShowOptions) error {
	k, err := o.Kata(o.Selector)
	if err != nil {
		return o.allDone(err)
	}
	text, err := brief.Read(k, o.Lang)
	if err != nil {
		return fmt.Errorf("show %s: %w", k.Path, err)
	}
	return o.markdown(withFacts(text, k, o.Factory))
}

// withFacts adds below the title what a learner asks first: where, how hard, how
// long, against what, and which files are theirs.
func withFacts(text string, k *course.Kata, f *Factory) string {
	var files []string
	for _, rel := range slices.Sorted(maps.Keys(k.Stub)) {
		files = append(files, "`"+path.Join(k.Path, rel)+"`")
	}
	facts := "`" + k.Path + "` · " + report.Facts(f.Lang, k) + "\n\n" + f.T("show.files", strings.Join(files, ", ")) + "\n"
	title, rest, _ := strings.Cut(text, "\n")
	if !strings.HasPrefix(title, "# ") {
		return facts + "\n" + text
	}
	return title + "\n\n" + facts + rest
}

// markdown prints Markdown: laid out for a terminal, as it is for a pipe.
func (f *Factory) markdown(text string) error {
	if f.OutTTY {
		text = brief.Render(text, f.Style())
	}
	_, err := io.WriteString(f.Out, text)
	return err
}

// allDone turns "nothing is left" into good news.
func (f *Factory) allDone(err error) error {
	if err != errNothingLeft {
		return err
	}
	_, err = fmt.Fprintln(f.Out, f.Style().Good(f.T("status.done")))
	return err
}
