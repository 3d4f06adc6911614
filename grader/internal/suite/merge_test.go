package suite

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// Whatever a suite declares at package level gets its suffix, wherever it is
// used; what has the same name elsewhere keeps it.
func TestRename(t *testing.T) {
	for _, tc := range []struct{ name, src, want string }{
		{"functions, types, methods", `package k_test

import "testing"

type box struct{ n int }

func (b box) get() int { return b.n }

func check(t *testing.T, b box) {
	check := b.get()
	if check != 1 {
		t.Fatal("box")
	}
}

func TestBox(t *testing.T) {
	n := box{n: 1}
	check(t, n)
	t.Run("box", func(t *testing.T) { check(t, box{1}) })
}
`, `package k_test

import "testing"

type box__7 struct{ n int }

func (b box__7) get() int { return b.n }

func check__7(t *testing.T, b box__7) {
	check := b.get()
	if check != 1 {
		t.Fatal("box")
	}
}

func TestBox__7(t *testing.T) {
	n := box__7{n: 1}
	check__7(t, n)
	t.Run("box", func(t *testing.T) { check__7(t, box__7{1}) })
}
`},
		{"embeds a type of its own", "package k_test\n\nimport \"testing\"\n\ntype a struct{}\n\ntype b struct{ a }\n\nfunc TestX(t *testing.T) { _ = b{}.a }\n", ""},
		{"dot import", "package k_test\n\nimport . \"testing\"\n\nfunc TestX(t *T) {}\n", ""},
		{"acts before main", "package k_test\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nvar home = os.Getenv(\"HOME\")\n\nfunc TestX(t *testing.T) { _ = home }\n", ""},
		{"does not compile", "package k_test\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) { undefined() }\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/m\n\ngo 1.26\n"), 0o666))
			file := filepath.Join(dir, "k_test.go")
			require.NoError(t, os.WriteFile(file, []byte(tc.src), 0o666))
			k := &course.Kata{Dir: dir, ModuleDir: dir, ImportPath: "example.com/m"}
			v := &course.Variant{Kata: k, Files: map[string]string{"k_test.go": file}}
			exports, err := ExportData(context.Background(), dir, importsOf([]*course.Variant{v}))
			require.NoError(t, err)
			r := rename(k, v, "__7", exports)
			if tc.want == "" {
				require.Nil(t, r)
				return
			}
			require.NotNil(t, r)
			require.Equal(t, tc.want, applied(tc.src, r.edits[file]))
		})
	}
}

func applied(text string, edits []edit) string {
	slices.SortFunc(edits, func(a, b edit) int { return b.at - a.at })
	for _, e := range edits {
		text = text[:e.at] + e.text + text[e.end:]
	}
	return text
}

// A line without the nonce is somebody else's.
func TestRecordsNeedTheNonce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "records")
	require.NoError(t, os.WriteFile(file, []byte("secret ready\nforged end TestA passed=true\nsecret start TestA\nsecret end TestA passed=false failed=true skipped=false returned=true\n\nsecret\n"), 0o666))
	require.Equal(t, []Event{
		{Kind: Ready},
		{Kind: Start, Test: "TestA"},
		{Kind: End, Test: "TestA", Failed: true, Returned: true},
	}, readRecords(file, "secret"))
}

// The beginning and the end of a flood are kept, and the limit is told once.
func TestCapped(t *testing.T) {
	c := &capped{limit: 100, keep: 20, full: make(chan struct{})}
	for range 50 {
		n, err := c.Write([]byte("abcdefg"))
		require.NoError(t, err)
		require.Equal(t, 7, n)
	}
	<-c.full
	s := c.String()
	require.Contains(t, s, "output left out")
	require.Less(t, len(s), 100)
	require.Equal(t, "abcdefgabc", s[:10])
	require.Equal(t, "g", s[len(s)-1:])
}
