package main

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// bench holds two copies of a stage: one for the grader, one laid out for go
// test, with the intents beside the learner's files. Both are solved.
type bench struct {
	options
	ctx    context.Context
	tmp    string
	grader string // the program
	ours   string // workspace for the grader
	theirs string // workspace for go test
	katas  []*course.Kata
	touch  int // how often files were changed
}

// suitePrefix keeps intents apart from the examples of the same name.
const suitePrefix = "zz_"

func (b *bench) prepare(root string) error {
	build := b.command(filepath.Join(root, "grader"), "go", "build", "-o", b.grader, ".")
	if m, err := measure(build); err != nil {
		return fmt.Errorf("build the grader: %w\n%s", err, m.output)
	}
	b.ours, b.theirs = filepath.Join(b.tmp, "ours"), filepath.Join(b.tmp, "theirs")
	for _, dir := range []string{b.ours, b.theirs} {
		if err := os.CopyFS(filepath.Join(dir, b.stage), os.DirFS(filepath.Join(root, b.stage))); err != nil {
			return fmt.Errorf("copy %s: %w", b.stage, err)
		}
	}
	var err error
	if b.ours, err = filepath.EvalSymlinks(b.ours); err != nil {
		return err
	}
	if b.theirs, err = filepath.EvalSymlinks(b.theirs); err != nil {
		return err
	}
	c, err := course.Load(b.ours)
	if err != nil {
		return err
	}
	wanted, err := regexp.Compile(b.options.katas)
	if err != nil {
		return err
	}
	for _, k := range c.Katas() {
		if !wanted.MatchString(k.Path) {
			continue
		}
		if why := leaveOut(k); why != "" {
			fmt.Printf("left out on both sides: %s, %s\n", k.Path, why)
			continue
		}
		b.katas = append(b.katas, k)
		if err := b.solve(k); err != nil {
			return fmt.Errorf("solve %s: %w", k.Path, err)
		}
	}
	if len(b.katas) == 0 {
		return fmt.Errorf("%s has no complete kata to measure", b.stage)
	}
	return nil
}

// leaveOut says why a kata cannot be compared.
func leaveOut(k *course.Kata) string {
	switch {
	case len(k.Faults) > 0 || slices.ContainsFunc(k.Variants(), func(v *course.Variant) bool { return len(v.Problems) > 0 }):
		return "it is not complete"
	case k.Kind == course.Tests:
		return "go test has nothing like its subjects"
	}
	return ""
}

// in is the kata's folder in one of the copies.
func (b *bench) in(workspace string, k *course.Kata) string {
	return filepath.Join(workspace, filepath.FromSlash(k.Path))
}

// solve puts the reference in place of the stub in both copies, and lays what go
// test needs for the same verdicts beside it.
func (b *bench) solve(k *course.Kata) error {
	for rel, file := range k.Solution().Files {
		for _, dir := range []string{b.ours, b.theirs} {
			if err := copyFile(file, filepath.Join(b.in(dir, k), filepath.FromSlash(rel))); err != nil {
				return err
			}
		}
	}
	if err := removeExamples(b.in(b.theirs, k)); err != nil {
		return err
	}
	for _, file := range k.SuiteFiles() {
		if err := copyFile(file, filepath.Join(b.in(b.theirs, k), suitePrefix+filepath.Base(file))); err != nil {
			return err
		}
	}
	return nil
}

// removeExamples leaves go test with the intents alone, as the grader has them.
func removeExamples(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	for _, f := range files {
		err = os.Remove(f)
	}
	return err
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o666)
}

// chill appends a comment to every Go file of the katas in a copy but test data
// and generated code, so that no result and no package of theirs is remembered;
// dependencies stay built.
func (b *bench) chill(workspace string) error {
	b.touch++
	for _, k := range b.katas {
		err := filepath.WalkDir(b.in(workspace, k), func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && d.Name() == "testdata" {
				return fs.SkipDir // what a suite compares with, byte by byte
			}
			if d.IsDir() || filepath.Ext(p) != ".go" {
				return nil
			}
			f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err == nil && ast.IsGenerated(f) {
				return nil // a suite may generate it again
			}
			return appendComment(p, b.touch)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func appendComment(file string, n int) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "\n// touched %d\n", n)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// overlay writes an overlay that puts v in place of the learner's files in the
// copy for go test.
func (b *bench) overlay(v *course.Variant) (string, error) {
	dir := b.in(b.theirs, v.Kata)
	replace := map[string]string{}
	for rel := range v.Kata.Stub {
		replace[filepath.Join(dir, filepath.FromSlash(rel))] = ""
	}
	for rel, file := range v.Files {
		replace[filepath.Join(dir, filepath.FromSlash(rel))] = file
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(b.tmp, "overlay.json")
	return name, os.WriteFile(name, text, 0o666)
}

// packageOf is the package pattern of a kata below its module, in the copy for go test.
func (b *bench) packageOf(k *course.Kata) string {
	return "./" + strings.TrimPrefix(k.Path, b.stage+"/")
}
