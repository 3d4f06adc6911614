//go:build unix

// Command services starts the real servers that this machine has, for suites
// that otherwise run against an embedded or simulated one.
//
//	services                 starts them, prints the ROADKATA_* variables, stops them at Ctrl-C
//	services -- COMMAND …    starts them, runs COMMAND with the variables, stops them
//	services -test GRADER    starts them and has GRADER verify the right solutions of
//	                         every kata that can use one of them
//
// Nothing runs as a daemon: every server is a child in a process group of its
// own, listens on a free loopback port, keeps its files in one temporary folder,
// and is gone when this program is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "services:", err)
		code = 1
	}
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (int, error) {
	flags := flag.NewFlagSet("services", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "the services to start, by name and with commas; all that are found if empty")
	grader := flags.String("test", "", "a grader program: verify the katas that can use the services")
	root := flags.String("root", "..", "the workspace")
	if err := flags.Parse(args); err != nil {
		return 2, nil // the flag package has said why
	}
	chosen, err := choose(*only)
	if err != nil {
		return 2, err
	}
	dir, err := os.MkdirTemp("", "roadkata-services")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	var running group
	defer running.stop()
	var missing []service
	for _, s := range chosen {
		fmt.Fprintf(stderr, "%-11s ", s.name)
		value, err := running.start(ctx, s, dir)
		switch {
		case errors.Is(err, errMissing):
			fmt.Fprintf(stderr, "not on this machine (Debian: apt-get install %s)\n", s.debian)
			missing = append(missing, s)
		case err != nil:
			return 0, fmt.Errorf("start %s: %w", s.name, err)
		default:
			fmt.Fprintf(stderr, "%s=%s\n", s.variable, value)
		}
	}
	switch {
	case *grader != "":
		return test(ctx, *root, *grader, running.env, missing, stdout, stderr)
	case flags.NArg() > 0:
		return command(ctx, "", running.env, stdout, stderr, flags.Args()...)
	}
	for _, e := range running.env {
		name, value, _ := strings.Cut(e, "=")
		fmt.Fprintf(stdout, "export %s='%s'\n", name, value)
	}
	fmt.Fprintln(stderr, "Ctrl-C stops them.")
	<-ctx.Done()
	return 0, nil
}

// choose returns the services with the names, all of them for "".
func choose(names string) ([]service, error) {
	if names == "" {
		return services, nil
	}
	var out []service
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(services, func(s service) bool { return s.name == name })
		if i < 0 {
			var known []string
			for _, s := range services {
				known = append(known, s.name)
			}
			return nil, fmt.Errorf("no service is called %q; known: %s", name, strings.Join(known, ", "))
		}
		out = append(out, services[i])
	}
	return out, nil
}

// command runs a command in dir with the variables and returns its exit status.
func command(ctx context.Context, dir string, env []string, stdout, stderr io.Writer, args ...string) (int, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}

// test verifies the right solutions of the katas that can use what runs, and
// says which katas nobody looked at.
func test(ctx context.Context, root, grader string, env []string, missing []service, stdout, stderr io.Writer) (int, error) {
	users, err := findUsers(root)
	if err != nil {
		return 0, err
	}
	var katas []string
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		fmt.Fprintf(stdout, "%s: %s\n", name, orNone(users[name]))
		katas = append(katas, users[name]...)
	}
	for _, s := range missing {
		fmt.Fprintf(stdout, "%s: skipped, %s is not on this machine: %s\n", s.variable, s.name, orNone(users[s.variable]))
	}
	slices.Sort(katas)
	katas = slices.Compact(katas)
	if len(katas) == 0 {
		fmt.Fprintln(stdout, "no kata can use what runs here")
		return 0, nil
	}
	if grader, err = filepath.Abs(grader); err != nil {
		return 0, err
	}
	return command(ctx, root, env, stdout, stderr, slices.Concat([]string{grader, "verify", "--right", "--count", "2", "--shuffle"}, katas)...)
}

func orNone(katas []string) string {
	if len(katas) == 0 {
		return "no kata uses it yet"
	}
	return strings.Join(katas, ", ")
}
