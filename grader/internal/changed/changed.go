// Package changed finds the katas that differ from a git revision.
//
// It only reads: git is asked, nothing is checked out.
package changed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"slices"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/verify"
)

// Files lists what differs from ref below root: changed, removed and new files,
// those that git does not know yet among them. Names have slashes.
func Files(ctx context.Context, root, ref string) ([]string, error) {
	if strings.HasPrefix(ref, "-") || ref == "" {
		return nil, fmt.Errorf("%q is no revision; name a branch, a tag or a commit, such as origin/main", ref)
	}
	known, err := git(ctx, root, "diff", "--name-only", "--relative", "--no-renames", "-z", ref, "--")
	if err != nil {
		return nil, fmt.Errorf("what has changed since %s: %w", ref, err)
	}
	untracked, err := git(ctx, root, "ls-files", "--others", "--exclude-standard", "-z")
	if err != nil {
		return nil, fmt.Errorf("which files are new: %w", err)
	}
	files := append(known, untracked...)
	slices.Sort(files)
	return slices.Compact(files), nil
}

func git(ctx context.Context, dir string, args ...string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("git %s says: %s", args[0], bytes.TrimSpace(exit.Stderr))
	}
	if err != nil {
		return nil, fmt.Errorf("run git: %w; install it, or name the katas instead", err)
	}
	var names []string
	for name := range strings.SplitSeq(string(out), "\x00") {
		if name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

// Katas maps files to the katas whose verdicts may rest on them: the kata that a
// file lies in, the whole stage for its kit and its module, everything for the
// grader.
func Katas(c *course.Course, files []string) []*course.Kata {
	return slices.DeleteFunc(c.Katas(), func(k *course.Kata) bool {
		return !slices.ContainsFunc(files, func(file string) bool { return bearsOn(k, file) })
	})
}

func bearsOn(k *course.Kata, file string) bool {
	stage, _, _ := strings.Cut(k.Path, "/")
	module := course.RelTo(k.Root, k.ModuleDir)
	return strings.HasPrefix(file, k.Path+"/") || shared(stage, file) || shared(module, file) || ofGrader(file)
}

// shared reports whether all katas of the stage or module dir rest on file.
func shared(dir, file string) bool {
	if file == path.Join(dir, verify.DepsFile) {
		return false // it is never built
	}
	return file == path.Join(dir, "go.mod") || file == path.Join(dir, "go.sum") || strings.HasPrefix(file, path.Join(dir, "internal")+"/")
}

func ofGrader(file string) bool {
	return file == "grader/go.mod" ||
		strings.HasPrefix(file, "grader/") && strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go")
}
