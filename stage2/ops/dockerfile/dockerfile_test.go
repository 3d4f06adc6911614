package dockerfile_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/roadkata/roadkata/stage2/ops/dockerfile"
)

// The same parser as in `docker build` reads your file. This prints the stages that it sees: run it with -v.
func TestExampleStages(t *testing.T) {
	// The grader names the folder of your files; `go test` finds them here.
	text, err := os.ReadFile(filepath.Join(os.Getenv("ROADKATA_FILES"), "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("BuildKit cannot read the Dockerfile: %v", err)
	}
	stages, _, err := instructions.Parse(file.AST, nil)
	if err != nil {
		t.Fatalf("BuildKit cannot read the Dockerfile: %v", err)
	}
	for _, stage := range stages {
		t.Logf("line %d: stage %q from %s, %d instructions", stage.Location[0].Start.Line, stage.Name, stage.BaseName, len(stage.Commands))
	}
	if len(stages) < 2 {
		t.Errorf("the Dockerfile has %d stage(s): compile in one, and start the image from another", len(stages))
	}
}

// The build context is the service's repository, as it lies on a developer's disk.
func TestExampleContext(t *testing.T) {
	for _, name := range []string{"go.mod", "go.sum", "cmd/notes/main.go", ".env", ".git/config"} {
		if _, err := fs.Stat(dockerfile.Context(), name); err != nil {
			t.Errorf("the build context should hold %s: %v", name, err)
		}
	}
}
