// Package dockerfile is the kata's Go side: it shows the build context of the service that the learner's Dockerfile packs.
//
// Nothing in here is to be edited. The answer is in Dockerfile and .dockerignore.
package dockerfile

import (
	_ "embed"
	"io/fs"

	"golang.org/x/tools/txtar"
)

//go:embed app.txtar
var app []byte

// Context is the folder that `docker build` is called in: the repository of the service, with all that lies about on a developer's
// disk. Dockerfile and .dockerignore lie at its root.
func Context() fs.FS {
	context, err := txtar.FS(txtar.Parse(app))
	if err != nil {
		panic(err) // app.txtar is given
	}
	return context
}
