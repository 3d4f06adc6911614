package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/suite"
)

// Exit codes.
const (
	exitNotPassed = 1
	exitUsage     = 2
	exitFault     = 3
	exitStopped   = 130
)

// exitCode ends a command that has said all there is to say.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError says that the command line cannot be followed.
type usageError struct {
	text string
	help string // the command whose help explains it
}

func (e *usageError) Error() string { return e.text }

// openError says that there is nothing to do yet: no fault, and no pass.
type openError struct{ text string }

func (e *openError) Error() string { return e.text }

// usage returns a usageError with the message called key.
func (f *Factory) usage(key string, args ...any) error {
	return &usageError{text: f.T(key, args...)}
}

// exit says what was wrong and returns the exit code.
func (f *Factory) exit(err error) int {
	var (
		code      exitCode
		usage     *usageError
		open      *openError
		unknown   *course.UnknownSelectorError
		elsewhere *course.NotWorkspaceError
	)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		f.errorf("%s", usage.text)
		if usage.help != "" {
			f.hintf("%s", f.T("err.usage.next", usage.help))
		}
		return exitUsage
	case errors.As(err, &open):
		f.errorf("%s", open.text)
		return exitNotPassed
	case errors.As(err, &unknown):
		f.errorf("%s", f.unknownSelector(unknown))
		return exitUsage
	case errors.As(err, &elsewhere):
		f.errorf("%s", f.T("err.workspace", elsewhere.Dir))
		return exitUsage
	case errors.Is(err, suite.ErrNoGo):
		f.errorf("%s", f.T("err.nogo"))
	default:
		f.errorf("%v", err)
	}
	return exitFault
}

func (f *Factory) unknownSelector(e *course.UnknownSelectorError) string {
	if len(e.Near) == 0 {
		return f.T("err.unknown", e.Selector)
	}
	return f.T("err.unknown.near", e.Selector, strings.Join(e.Near, ", "))
}

// errorf writes an error for people; every line after the first is indented.
func (f *Factory) errorf(format string, args ...any) {
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	fmt.Fprintf(f.Err, "%s %s\n", f.errStyle().Bad("grader:"), strings.ReplaceAll(text, "\n", "\n  "))
}

// hintf writes the next step below an error or a warning.
func (f *Factory) hintf(format string, args ...any) {
	fmt.Fprintf(f.Err, "  → %s\n", fmt.Sprintf(format, args...))
}

// warn writes what does not keep the command from its work.
func (f *Factory) warn(text string) {
	fmt.Fprintf(f.Err, "%s %s\n", f.errStyle().Warn("!"), strings.ReplaceAll(text, "\n", "\n  "))
}

// between accepts a number of arguments.
func (f *Factory) between(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return &usageError{f.T("err.args.few", cmd.CommandPath(), cmd.UseLine()), cmd.CommandPath()}
		case len(args) > most:
			return &usageError{f.T("err.args.many", cmd.CommandPath(), strings.Join(args[most:], " "), cmd.UseLine()), cmd.CommandPath()}
		}
		return nil
	}
}
