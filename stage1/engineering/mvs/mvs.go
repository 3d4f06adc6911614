// Package mvs selects module versions as the go command does: minimal version selection, for a main module
// that says `go 1.16` (every go.mod that is reached counts, nothing is pruned).
package mvs

import (
	"errors"

	"golang.org/x/mod/module"
)

// ErrNoVersion is what Latest returns where no version is left to choose.
var ErrNoVersion = errors.New("no matching version")

// Source knows the published modules, as a module proxy does. It is asked by one goroutine at a time.
type Source interface {
	// Versions lists the versions of a module, in no particular order. Pseudo-versions among them do not
	// count as published.
	Versions(path string) ([]string, error)

	// GoMod returns the go.mod file of a module version or, where m.Version is empty, of the folder m.Path.
	GoMod(m module.Version) ([]byte, error)
}

// Module is a module of a build list.
type Module struct {
	Path    string
	Version string         // the selected version; empty for the main module
	Replace module.Version // what stands in for it, if Path is not empty; a folder has no Version
}

// String returns the module as `go list -m` prints it:
//
//	example.com/main
//	example.com/a v1.2.0
//	example.com/b v1.0.0 => example.com/fork v1.3.0
//	example.com/c v1.1.0 => ./vendored/c
func (m Module) String() string {
	panic("TODO: the line of go list -m")
}

// BuildList returns the modules that take part in the build of the main module, whose go.mod file is main: the
// main module first, the others sorted by path, each in the highest version that a reached go.mod requires.
func BuildList(main []byte, src Source) ([]Module, error) {
	panic("TODO: walk the requirements, keep the highest version of each module")
}

// Latest returns the version of path that `path@latest` means for the main module whose go.mod file is main.
func Latest(main []byte, path string, src Source) (string, error) {
	panic("TODO: the highest version that is neither excluded nor retracted")
}
