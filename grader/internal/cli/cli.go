// Package cli is the grader's command line: one file a command, each of which
// parses, calls and prints. It holds no logic of its own.
//
// Commands reach the outside world only through their Factory, never through
// os.Stdout or the process's working directory.
package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mattn/go-colorable"
	"golang.org/x/term"

	"github.com/roadkata/roadkata/grader/internal/msg"
)

// IO is everything of the outside world that a command may touch, but for files
// and the go command.
type IO struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
	// OutTTY and ErrTTY tell whether a person watches; Width is how many columns
	// they see, 0 if unknown.
	OutTTY bool
	ErrTTY bool
	Width  int

	Dir    string // the working directory
	Getenv func(string) string
	Now    func() time.Time
	// Context returns a context that ends when the user wants to stop.
	Context func() (context.Context, context.CancelFunc)
}

// System returns the process's own IO.
func System() IO {
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	s := IO{
		In:      os.Stdin,
		Out:     colorable.NewColorable(os.Stdout),
		Err:     colorable.NewColorable(os.Stderr),
		OutTTY:  term.IsTerminal(int(os.Stdout.Fd())),
		ErrTTY:  term.IsTerminal(int(os.Stderr.Fd())),
		Dir:     dir,
		Getenv:  os.Getenv,
		Now:     time.Now,
		Context: untilInterrupted,
	}
	if w, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
		s.Width = w
	}
	return s
}

// untilInterrupted ends with the first Ctrl-C; the second one ends the process.
func untilInterrupted() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Main runs the command line and returns its exit code: 3 if a kata or the grader
// is at fault; else 1 if something selected has not passed; else 0; 2 for wrong
// usage; 130 if interrupted.
func Main(args []string, sys IO) int {
	f := &Factory{IO: sys, Lang: language(args, sys.Getenv)}
	ctx, stop := sys.Context()
	defer stop()
	root := NewCmdRoot(f)
	root.SetArgs(args)
	root.SetIn(sys.In)
	root.SetOut(sys.Out)
	root.SetErr(sys.Err)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil {
		f.errorf("%s", f.T("err.stopped"))
		return exitStopped
	}
	return f.exit(err)
}

// language must be known before the commands describe themselves, so it is
// looked for before the flags are parsed.
func language(args []string, getenv func(string) string) msg.Lang {
	lang := msg.FromEnv(getenv)
	for i, a := range args {
		value := ""
		switch {
		case a == "--":
			return lang
		case a == "--lang" && i+1 < len(args):
			value = args[i+1]
		case len(a) > len("--lang=") && a[:len("--lang=")] == "--lang=":
			value = a[len("--lang="):]
		}
		if l, ok := msg.Parse(value); ok {
			lang = l
		}
	}
	return lang
}
