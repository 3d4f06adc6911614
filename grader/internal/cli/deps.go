package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/roadkata/roadkata/grader/internal/verify"
)

// DepsOptions are the flags of `grader deps`.
type DepsOptions struct {
	*Factory
	Check bool
}

// NewCmdDeps keeps in go.mod what only .kata imports.
func NewCmdDeps(f *Factory, runF func(*DepsOptions) error) *cobra.Command {
	o := &DepsOptions{Factory: f}
	cmd := &cobra.Command{
		Use:               "deps",
		Short:             f.T("cmd.deps"),
		Long:              f.T("cmd.deps.long"),
		Args:              f.between(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			if runF != nil {
				return runF(o)
			}
			return depsRun(o)
		},
	}
	cmd.Flags().BoolVar(&o.Check, "check", false, f.T("flag.depscheck"))
	return cmd
}

func depsRun(o *DepsOptions) error {
	c, err := o.Course()
	if err != nil {
		return err
	}
	modules := verify.Modules(c.Katas())
	drifted := 0
	for _, dir := range modules {
		want, err := verify.Deps(dir)
		if err != nil {
			return fmt.Errorf("find what the katas of %s import: %w", c.Rel(dir), err)
		}
		file := filepath.Join(dir, filepath.FromSlash(verify.DepsFile))
		if have, err := os.ReadFile(file); err == nil && bytes.Equal(have, want) || errors.Is(err, fs.ErrNotExist) && want == nil {
			continue
		}
		drifted++
		if o.Check {
			fmt.Fprintln(o.Out, o.T("deps.drift", c.Rel(file)))
			continue
		}
		if err := writeDeps(file, want); err != nil {
			return err
		}
		fmt.Fprintln(o.Out, o.T("deps.wrote", c.Rel(file)))
	}
	switch {
	case drifted == 0:
		fmt.Fprintln(o.Out, o.T("deps.fine", len(modules)))
	case o.Check:
		return exitCode(exitNotPassed)
	}
	return nil
}

// writeDeps writes the file, or removes it where nothing is left to keep.
func writeDeps(file string, text []byte) error {
	if text == nil {
		return os.Remove(file)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return os.WriteFile(file, text, 0o666)
}
