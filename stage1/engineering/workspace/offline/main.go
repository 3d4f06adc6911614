// Command offline runs the go command on the shop's module proxy and nothing else:
//
//	go run ./offline -C shop/api mod tidy
//	GOWORK=off go run ./offline -C shop/money list -m -versions example.com/shop/store
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/roadkata/roadkata/stage1/engineering/workspace"
)

func main() {
	code, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "offline:", err)
		code = 1
	}
	os.Exit(code)
}

func run() (int, error) {
	dir, err := os.MkdirTemp("", "offline")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := workspace.Lay(filepath.Join(dir, "proxy")); err != nil {
		return 0, err
	}
	cmd := exec.Command("go", os.Args[1:]...)
	cmd.Env = workspace.Env(dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return failed.ExitCode(), nil
	}
	return 0, err
}
