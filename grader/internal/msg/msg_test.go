package msg

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

var verb = regexp.MustCompile(`%(?:\[(\d+)\])?[#+\- 0]*\d*(?:\.\d+)?([a-zA-Z%])`)

// verbs lists the verbs of a format by argument: "1d", "2s".
func verbs(format string) []string {
	var out []string
	n := 0
	for _, m := range verb.FindAllStringSubmatch(format, -1) {
		if m[2] == "%" {
			continue
		}
		n++
		if m[1] != "" {
			n, _ = strconv.Atoi(m[1])
		}
		if v := strconv.Itoa(n) + m[2]; !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

func TestBothLanguages(t *testing.T) {
	for key, m := range table {
		if m.en == "" || m.zh == "" {
			t.Errorf("%s: en %q, zh %q; want a text in both", key, m.en, m.zh)
		}
		if en, zh := verbs(m.en), verbs(m.zh); !slices.Equal(en, zh) {
			t.Errorf("%s: the English text takes %v, the Chinese %v", key, en, zh)
		}
		if strings.IndexFunc(m.en, func(r rune) bool { return unicode.Is(unicode.Han, r) }) >= 0 {
			t.Errorf("%s: Chinese in the English text %q", key, m.en)
		}
	}
}

// Every key that the code names exists, and every key of the table is named.
func TestKeysAreUsed(t *testing.T) {
	literals := stringLiterals(t, "..")
	calls := 0
	for lit, called := range literals {
		if !called {
			continue
		}
		calls++
		if _, ok := table[lit]; !ok && !strings.HasSuffix(lit, ".") {
			t.Errorf("the code asks for the message %q, which the table does not have", lit)
		}
	}
	if calls < 50 {
		t.Fatalf("found only %d calls; does the test look in the right place?", calls)
	}
	for key := range table {
		base := strings.TrimSuffix(key, ".one")
		prefix := key[:strings.LastIndex(key, ".")+1]
		_, named := literals[base]
		_, built := literals[prefix]
		if !named && !built {
			t.Errorf("nothing uses the message %q", key)
		}
	}
}

// stringLiterals collects the strings of all packages below dir; true marks
// those that are the first argument of a call for a message.
func stringLiterals(t *testing.T, dir string) map[string]bool {
	out := map[string]bool{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == "testdata" {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") || filepath.Base(p) == "table.go" {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil // another author's work in progress
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if s, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
					out[s] = out[s] || false
				}
			case *ast.CallExpr:
				if s, ok := messageCall(n); ok {
					out[s] = true
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// messageCall returns the literal key of f.T("key"), t.say("key"), l.N("key", n).
func messageCall(call *ast.CallExpr) (string, bool) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) == 0 || !slices.Contains([]string{"T", "N", "say", "usage"}, sel.Sel.Name) {
		return "", false
	}
	lit, ok := call.Args[0].(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

func TestCounts(t *testing.T) {
	for n, want := range map[int]string{1: "1 hint taken", 3: "3 hints taken"} {
		if got := EN.N("hints.taken", n); got != want {
			t.Errorf("EN.N(hints.taken, %d) = %q, want %q", n, got, want)
		}
	}
}

func TestFromEnv(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want Lang
	}{
		{nil, EN},
		{map[string]string{"LANG": "zh_CN.UTF-8"}, ZH},
		{map[string]string{"LANG": "de_DE.UTF-8"}, EN},
		{map[string]string{"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, EN},
		{map[string]string{"LC_ALL": "zh-Hans", "LANG": "en_US.UTF-8"}, ZH},
		{map[string]string{"ROADKATA_LANG": "zh", "LC_ALL": "en_US.UTF-8"}, ZH},
		{map[string]string{"ROADKATA_LANG": "en", "LC_ALL": "zh_TW"}, EN},
		{map[string]string{"ROADKATA_LANG": "klingon", "LANG": "zh_CN"}, ZH},
	} {
		if got := FromEnv(func(k string) string { return c.env[k] }); got != c.want {
			t.Errorf("FromEnv(%v) = %s, want %s", c.env, got, c.want)
		}
	}
}
