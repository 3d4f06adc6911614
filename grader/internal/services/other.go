//go:build !unix

// Command services starts real servers; it knows those of Unix systems only.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "services: only on Unix; compose.yaml has the same servers for Docker")
	os.Exit(1)
}
