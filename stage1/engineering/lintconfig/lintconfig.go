// Package lintconfig is the kata's Go side: it shows the repository that the learner's .golangci.yml is for.
//
// Nothing in here is to be edited. The answer is in .golangci.yml.
package lintconfig

import (
	_ "embed"
	"io/fs"

	"golang.org/x/tools/txtar"
)

//go:embed repo.txtar
var repo []byte

// Repository is the team's repository; .golangci.yml lies at its root.
func Repository() fs.FS {
	fsys, err := txtar.FS(txtar.Parse(repo))
	if err != nil {
		panic(err) // repo.txtar is given
	}
	return fsys
}
