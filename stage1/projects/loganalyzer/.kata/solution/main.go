// Command loganalyzer answers questions about access logs: how many, which most often, how slow.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// The program's exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // something could not be read or written
	exitUsage   = 2
	exitBad     = 3 // bad lines, and --strict
)

// errBadLines ends a --strict run that met bad lines. They have been reported one by one.
var errBadLines = errors.New("bad lines")

// failure marks an error of the work itself. All others come from cobra: the command line is wrong.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(stdin, stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(context.Background())
	_, failed := errors.AsType[failure](err)
	switch {
	case err == nil:
		return exitOK
	case failed:
		fmt.Fprintf(stderr, "loganalyzer: %v\n", err)
		return exitFailure
	case errors.Is(err, errBadLines):
		return exitBad
	default:
		fmt.Fprintf(stderr, "loganalyzer: %v\n\nSee 'loganalyzer --help'.\n", err)
		return exitUsage
	}
}

// options are what all analysing commands share.
type options struct {
	output  output
	workers positive
	strict  bool

	stdin          io.Reader
	stdout, stderr io.Writer
}

func newRoot(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	opts := &options{output: "table", workers: positive(runtime.GOMAXPROCS(0)), stdin: stdin, stdout: stdout, stderr: stderr}
	root := &cobra.Command{
		Use:   "loganalyzer",
		Short: "Answers questions about access logs",
		// run prints errors, and the usage does not help against a missing file.
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(*cobra.Command, []string) error { return errors.New("which command?") },
	}
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.CompletionOptions.DisableDefaultCmd = true
	flags := root.PersistentFlags()
	flags.VarP(&opts.output, "output", "o", "table, json or csv")
	flags.VarP(&opts.workers, "workers", "w", "how many files are read at once")
	flags.BoolVar(&opts.strict, "strict", false, "exit with 3 if there were bad lines")
	root.AddCommand(parseCommand(opts), countCommand(opts), topCommand(opts), latencyCommand(opts), followCommand(opts))
	return root
}

func parseCommand(opts *options) *cobra.Command {
	return &cobra.Command{
		Use:   "parse [FILE…]",
		Short: "Prints each good line as a JSON object",
		RunE: func(_ *cobra.Command, files []string) error {
			out := newRecordWriter(opts.stdout)
			// One file after the other: the output keeps the input's order without holding it in memory.
			one := *opts
			one.workers = 1
			err := analyze(&one, files, func() *recordWriter { return out }, func(*recordWriter) {})
			return errors.Join(err, out.flush())
		},
	}
}

func countCommand(opts *options) *cobra.Command {
	return &cobra.Command{
		Use:   "count [FILE…]",
		Short: "Counts lines and bytes by class of status",
		RunE: func(_ *cobra.Command, files []string) error {
			var total classes
			err := analyze(opts, files, func() *classes { return new(classes) }, total.merge)
			return errors.Join(err, opts.print(total.table()))
		},
	}
}

func topCommand(opts *options) *cobra.Command {
	by, k := dimension("path"), positive(10)
	cmd := &cobra.Command{
		Use:   "top [FILE…]",
		Short: "Lists the most frequent values",
		RunE: func(_ *cobra.Command, files []string) error {
			total := newTally(by)
			err := analyze(opts, files, func() *tally { return newTally(by) }, total.merge)
			return errors.Join(err, opts.print(total.top(int(k))))
		},
	}
	cmd.Flags().Var(&by, "by", "path, host, method or status")
	cmd.Flags().VarP(&k, "limit", "k", "how many values")
	return cmd
}

func latencyCommand(opts *options) *cobra.Command {
	ps := percentiles{50, 90, 99}
	cmd := &cobra.Command{
		Use:   "latency [FILE…]",
		Short: "Estimates percentiles of the durations, to 1 %",
		RunE: func(_ *cobra.Command, files []string) error {
			total := new(sketch)
			err := analyze(opts, files, func() *sketch { return new(sketch) }, total.merge)
			return errors.Join(err, opts.print(total.table(ps)))
		},
	}
	cmd.Flags().VarP(&ps, "percentiles", "p", "which ones, above 0 and up to 100, separated by commas")
	return cmd
}

func followCommand(opts *options) *cobra.Command {
	poll := 250 * time.Millisecond
	cmd := &cobra.Command{
		Use:   "follow FILE",
		Short: "Prints each good line as a JSON object, and goes on as the file grows or is rotated",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if poll <= 0 {
				return fmt.Errorf("invalid argument %q for \"--poll\": must be positive", poll)
			}
			// Only here: the other commands have nothing to finish when they are interrupted.
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if err := follow(ctx, opts, args[0], poll); err != nil {
				return failure{err}
			}
			return nil
		},
	}
	cmd.Flags().DurationVar(&poll, "poll", poll, "how often to look for news")
	return cmd
}

// positive is a number of at least 1, as a flag.
type positive int

func (p *positive) String() string { return strconv.Itoa(int(*p)) }
func (p *positive) Type() string   { return "n" }

func (p *positive) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return errors.New("must be a number of at least 1")
	}
	*p = positive(n)
	return nil
}
