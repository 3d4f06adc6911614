package suite

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// PackageFiles returns the Go and other files that make up the kata's package
// with the variant's own among them, tests left out: relative name → file.
func PackageFiles(v *course.Variant) (map[string]string, error) {
	files, err := givenFiles(v.Kata)
	if err != nil {
		return nil, fmt.Errorf("list the files of %s: %w", v.Kata.Path, err)
	}
	for rel, file := range v.Files {
		if !strings.HasSuffix(rel, "_test.go") {
			files[rel] = file
		}
	}
	return files, nil
}

// ExportData asks the go command for the compiler's export data of packages and
// of all that they import: import path → file. What cannot be built is left out.
func ExportData(ctx context.Context, moduleDir string, imports map[string]bool) (map[string]string, error) {
	exports := map[string]string{}
	if len(imports) == 0 {
		return exports, nil
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		return nil, ErrNoGo
	}
	// An own GOTMPDIR, because a go command that is cancelled leaves its work behind.
	tmp, err := os.MkdirTemp("", "roadkata")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the go command: %w", err)
	}
	defer removeAll(tmp)
	args := append([]string{"list", "-e", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}, slices.Sorted(maps.Keys(imports))...)
	cmd := exec.CommandContext(ctx, goTool, args...)
	cmd.Dir = moduleDir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOTMPDIR="+tmp, "PWD="+moduleDir)
	ownGroup(cmd)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil && len(out) == 0 {
		return nil, fmt.Errorf("list what is imported in %s: %w\n%s", moduleDir, err, strings.TrimSpace(stderr.String()))
	}
	sc := bufio.NewScanner(bytes.NewReader(out))
	for sc.Scan() {
		if p, file, ok := strings.Cut(sc.Text(), "\t"); ok && file != "" {
			exports[p] = file
		}
	}
	return exports, nil
}
