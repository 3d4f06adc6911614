package cli

import (
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roadkata/roadkata/grader/internal/msg"
	"github.com/roadkata/roadkata/grader/internal/report"
)

// NewCmdRoot returns the grader itself; without a subcommand it says where the
// learner stands.
func NewCmdRoot(f *Factory) *cobra.Command {
	verbose := false
	f.Watch = watchRun
	root := &cobra.Command{
		Use:           "grader",
		Short:         f.T("cmd.root"),
		Long:          f.T("cmd.root.long"),
		Version:       version(),
		Args:          f.noSuchCommand,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(*cobra.Command, []string) error { return statusRun(f, verbose) },
	}
	root.Flags().BoolVarP(&verbose, "verbose", "v", false, f.T("flag.status.verbose"))
	root.SuggestionsMinimumDistance = 2
	persistentFlags(root, f)
	root.AddCommand(
		NewCmdList(f, nil),
		NewCmdShow(f, nil),
		NewCmdCheck(f, nil),
		NewCmdHint(f, nil),
		NewCmdSolution(f, nil),
		NewCmdNext(f, nil),
		NewCmdReset(f, nil),
		NewCmdDoctor(f, nil),
		NewCmdCompletion(f, nil),
		NewCmdWatch(f, nil),
	)
	root.AddCommand(authorCommands(f)...)
	speak(root, f)
	return root
}

func persistentFlags(root *cobra.Command, f *Factory) {
	var lang string
	p := root.PersistentFlags()
	p.StringVarP(&f.Chdir, "chdir", "C", "", f.T("flag.chdir"))
	p.StringVar(&lang, "lang", string(f.Lang), f.T("flag.lang"))
	p.BoolVar(&f.NoColor, "no-color", false, f.T("flag.nocolor"))
	p.BoolP("help", "h", false, f.T("flag.help"))
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		l, ok := msg.Parse(lang)
		if !ok {
			return &usageError{f.T("err.lang", lang), cmd.CommandPath()}
		}
		f.Lang = l
		return nil
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{err.Error(), cmd.CommandPath()}
	})
	_ = root.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions([]string{"zh", "en"}, cobra.ShellCompDirectiveNoFileComp))
	_ = root.MarkPersistentFlagDirname("chdir")
}

// noSuchCommand explains a first argument that is no command: a slip, or a
// selector without its command.
func (f *Factory) noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return &usageError{f.T("err.command.near", args[0], strings.Join(near, ", ")), cmd.CommandPath()}
	}
	if c, err := f.Course(); err == nil {
		if _, err := c.Select(f.Cwd(), args, nil); err == nil {
			return &usageError{f.T("err.command.selector", args[0]), cmd.CommandPath()}
		}
	}
	return &usageError{f.T("err.command", args[0]), cmd.CommandPath()}
}

// speak makes cobra's own words the learner's.
func speak(root *cobra.Command, f *Factory) {
	root.CompletionOptions.DisableDefaultCmd = true
	root.InitDefaultHelpCmd()
	root.InitDefaultVersionFlag()
	if v := root.Flags().Lookup("version"); v != nil {
		v.Usage = f.T("flag.version")
	}
	for _, c := range root.Commands() {
		if c.Name() == "help" {
			c.Short = f.T("cmd.help")
		}
	}
	root.SetUsageTemplate(strings.NewReplacer(
		"Usage:", f.T("help.usage"),
		"Examples:", f.T("help.examples"),
		"Available Commands:", f.T("help.commands"),
		"Global Flags:", f.T("help.global"),
		"Flags:", f.T("help.flags"),
		`Use "{{.CommandPath}} [command] --help" for more information about a command.`, f.T("help.more", "{{.CommandPath}}"),
	).Replace(root.UsageTemplate()))
}

// version names the build: a tag, or the commit with its time.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version + " " + info.GoVersion
}

func statusRun(f *Factory, verbose bool) error {
	st, err := f.Standing()
	if err != nil {
		return err
	}
	return report.Status(f.Out, st, f.Report(verbose))
}
