package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// CompletionOptions are the arguments of `grader completion`.
type CompletionOptions struct {
	*Factory
	Shell string
	root  *cobra.Command
}

var shells = []string{"bash", "zsh", "fish", "powershell"}

// NewCmdCompletion prints the script that makes a shell complete commands,
// flags and selectors.
func NewCmdCompletion(f *Factory, runF func(*CompletionOptions) error) *cobra.Command {
	o := &CompletionOptions{Factory: f}
	return &cobra.Command{
		Use:       "completion bash|zsh|fish|powershell",
		Short:     f.T("cmd.completion"),
		Long:      f.T("cmd.completion.long"),
		Example:   "  source <(grader completion bash)\n  grader completion zsh > \"${fpath[1]}/_grader\"\n  grader completion fish | source",
		Args:      f.between(1, 1),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Shell, o.root = args[0], cmd.Root()
			if runF != nil {
				return runF(o)
			}
			return completionRun(o)
		},
	}
}

func completionRun(o *CompletionOptions) error {
	switch o.Shell {
	case "bash":
		return o.root.GenBashCompletionV2(o.Out, true)
	case "zsh":
		return o.root.GenZshCompletion(o.Out)
	case "fish":
		return o.root.GenFishCompletion(o.Out, true)
	case "powershell":
		return o.root.GenPowerShellCompletionWithDesc(o.Out)
	}
	return &usageError{o.T("err.shell", o.Shell, strings.Join(shells, ", ")), "grader completion"}
}

// topicFlag adds --topic, which names topics across stages.
func (f *Factory) topicFlag(cmd *cobra.Command, topics *[]string) {
	cmd.Flags().StringSliceVar(topics, "topic", nil, f.T("flag.topic"))
	_ = cmd.RegisterFlagCompletionFunc("topic", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return f.names(func(_ *course.Stage, t *course.Topic, it *course.Item, k *course.Kata) string {
			if t != nil && it == nil {
				return t.ID + "\t" + t.Title.In(string(f.Lang))
			}
			return ""
		}), cobra.ShellCompDirectiveNoFileComp
	})
}

// completeSelectors offers stages, topics, items and katas.
func (f *Factory) completeSelectors(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return f.names(func(s *course.Stage, t *course.Topic, it *course.Item, k *course.Kata) string {
		switch {
		case k != nil:
			return k.Path + "\t" + k.Title.In(string(f.Lang))
		case it != nil:
			return it.ID + "\t" + it.Title.In(string(f.Lang))
		case t != nil:
			return s.ID + "/" + t.ID + "\t" + t.Title.In(string(f.Lang))
		}
		return s.ID + "\t" + s.Title.In(string(f.Lang))
	}), cobra.ShellCompDirectiveNoFileComp
}

// completeKatas offers the katas, for a command that takes one.
func (f *Factory) completeKatas(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return f.names(func(_ *course.Stage, _ *course.Topic, _ *course.Item, k *course.Kata) string {
		if k == nil {
			return ""
		}
		return k.Path + "\t" + k.Title.In(string(f.Lang))
	}), cobra.ShellCompDirectiveNoFileComp
}

// names walks the course and collects what name makes of each thing, once. A
// workspace that cannot be read completes nothing; a command will say why.
func (f *Factory) names(name func(*course.Stage, *course.Topic, *course.Item, *course.Kata) string) []string {
	c, err := f.Course()
	if err != nil {
		return nil
	}
	var out []string
	seen := map[string]bool{"": true}
	add := func(s *course.Stage, t *course.Topic, it *course.Item, k *course.Kata) {
		if n := name(s, t, it, k); !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	for _, s := range c.Stages {
		add(s, nil, nil, nil)
		for _, t := range s.Topics {
			add(s, t, nil, nil)
			for _, it := range t.Items {
				add(s, t, it, nil)
				for _, k := range it.Katas {
					add(s, t, it, k)
				}
			}
		}
	}
	return out
}
