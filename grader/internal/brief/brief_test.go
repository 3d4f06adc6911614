package brief

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/roadkata/roadkata/grader/internal/term"
)

var update = flag.Bool("update", false, "write the golden files")

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"two", "## 1\n\nLook.\n\n## 2\nThink.\n", []string{"Look.\n", "Think.\n"}},
		{"title before", "# Hints\n\nintro\n\n## 1\nLook.\n", []string{"Look.\n"}},
		{"fenced heading", "## 1\n```md\n## 2\n```\nafter\n", []string{"```md\n## 2\n```\nafter\n"}},
		{"deeper heading", "## 1\n### Detail\nx\n", []string{"### Detail\nx\n"}},
		{"none", "text\n", nil},
	} {
		if got := split(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s: split(%q) = %q, want %q", c.name, c.text, got, c.want)
		}
	}
}

func TestRenderGolden(t *testing.T) {
	source, err := os.ReadFile("testdata/brief.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, style := range map[string]term.Style{"plain.txt": {Width: 60}, "color.txt": {Width: 76, Color: true}, "endless.txt": {}} {
		got := Render(string(source), style)
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
			t.Errorf("%s differs; got:\n%s", file, got)
		}
	}
}

// Whatever a file holds, rendering comes to an end without a panic.
func FuzzRender(f *testing.F) {
	source, err := os.ReadFile("testdata/brief.md")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(source), 60)
	f.Add("```go\n\"unclosed\n`\n", 3)
	f.Add("| a |\n|---|\n| b | c |\n", 1)
	f.Add("1. > - \xff", 0)
	f.Fuzz(func(t *testing.T, text string, width int) {
		Render(text, term.Style{Width: width, Color: true})
	})
}
