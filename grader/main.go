// Grader checks katas: see README.md, or run it with --help.
package main

import (
	"os"

	"github.com/roadkata/roadkata/grader/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], cli.System())) }
