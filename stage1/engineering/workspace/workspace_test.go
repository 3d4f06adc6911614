package workspace_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/modfile"

	"github.com/roadkata/roadkata/stage1/engineering/workspace"
)

// The proxy is laid out as the go command expects it; `go run ./offline` runs the go command on it.
func TestExampleProxy(t *testing.T) {
	dir := t.TempDir()
	if err := workspace.Lay(dir); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadFile(filepath.Join(dir, "example.com", "shop", "store", "@v", "list"))
	if err != nil || string(list) != "v1.3.0\nv1.4.0\n" {
		t.Errorf("published versions of example.com/shop/store: %q, %v, want v1.3.0 and v1.4.0", list, err)
	}
}

// Version 2 of a module has /v2 in its path.
func TestExampleMajorVersion(t *testing.T) {
	// The grader names the folder of your files; `go test` finds them here.
	text, err := os.ReadFile(filepath.Join(os.Getenv("ROADKATA_FILES"), "shop", "money", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := modfile.ModulePath(text), "example.com/shop/money/v2"; got != want {
		t.Errorf("shop/money/go.mod: module %s, want %s", got, want)
	}
}
