//go:build unix

package main

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// findUsers returns, by variable, the katas whose suite or kit reads it.
func findUsers(root string) (map[string][]string, error) {
	c, err := course.Load(root)
	if err != nil {
		return nil, err
	}
	users := map[string][]string{}
	for _, k := range c.Katas() {
		for _, file := range k.SuiteFiles() {
			files := append([]string{file}, kitFiles(k, file)...)
			for _, s := range services {
				if anyMentions(files, s.variable) && !slices.Contains(users[s.variable], k.Path) {
					users[s.variable] = append(users[s.variable], k.Path)
				}
			}
		}
	}
	return users, nil
}

// kitFiles lists the files of the stage's kit that a suite's file imports.
func kitFiles(k *course.Kata, file string) []string {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return nil // the grader says what is wrong with a suite
	}
	var out []string
	for _, spec := range f.Imports {
		pkg, _ := strconv.Unquote(spec.Path.Value)
		if rel, ok := strings.CutPrefix(pkg, k.ModulePath+"/internal/kit/"); ok {
			files, _ := filepath.Glob(filepath.Join(k.ModuleDir, "internal", "kit", filepath.FromSlash(rel), "*.go"))
			out = append(out, files...)
		}
	}
	return out
}

func anyMentions(files []string, variable string) bool {
	return slices.ContainsFunc(files, func(file string) bool {
		if strings.HasSuffix(file, "_test.go") && !strings.Contains(file, string(filepath.Separator)+course.AuthorDir+string(filepath.Separator)) {
			return false // the kit's own tests
		}
		data, err := os.ReadFile(file)
		return err == nil && bytes.Contains(data, []byte(variable))
	})
}
