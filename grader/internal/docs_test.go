package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	invariant = regexp.MustCompile("(?m)^\\| .* \\| (`.*`) \\|$")
	testName  = regexp.MustCompile("`(?:([a-z]+)\\.)?(Test[A-Za-z]+)`")
)

// TestInvariantsAreHeld: every test that ARCHITECTURE.md names as the keeper of
// an invariant exists, in the package that it names.
func TestInvariantsAreHeld(t *testing.T) {
	have := tests(t)
	for _, name := range []string{"ARCHITECTURE.md", "ARCHITECTURE.zh-CN.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, row := range invariant.FindAllStringSubmatch(string(text), -1) {
			pkg := ""
			for _, m := range testName.FindAllStringSubmatch(row[1], -1) {
				n++
				if m[1] != "" {
					pkg = m[1]
				}
				if !have[pkg+"."+m[2]] {
					t.Errorf("%s names %s.%s, and there is no such test", name, pkg, m[2])
				}
			}
		}
		if n < 10 {
			t.Errorf("%s: found only %d tests in the table of invariants", name, n)
		}
	}
}

// TestDocumentsInBothLanguages: what is written for people has the same sections
// in both languages.
func TestDocumentsInBothLanguages(t *testing.T) {
	heading := regexp.MustCompile(`(?m)^#+ `)
	for _, name := range []string{"README", "ARCHITECTURE", "CONTRIBUTING"} {
		var count []int
		for _, file := range []string{name + ".md", name + ".zh-CN.md"} {
			text, err := os.ReadFile(filepath.Join("..", "..", file))
			if err != nil {
				t.Fatal(err)
			}
			count = append(count, len(heading.FindAll(text, -1)))
		}
		if count[0] != count[1] {
			t.Errorf("%s.md has %d headings, %s.zh-CN.md %d", name, count[0], name, count[1])
		}
	}
}

// tests lists the test functions of the grader as package.Name.
func tests(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "testdata" {
			return fs.SkipDir
		}
		if !strings.HasSuffix(p, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
				out[strings.TrimSuffix(f.Name.Name, "_test")+"."+fn.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
