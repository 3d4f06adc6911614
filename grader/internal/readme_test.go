package internal_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roadkata/roadkata/grader/internal/course"
)

var update = flag.Bool("update", false, "write what the test wants")

const (
	roadmapBegin = "<!-- roadmap: written by `make readme` -->\n"
	roadmapEnd   = "<!-- /roadmap -->\n"
)

// TestReadmeRoadmap keeps the READMEs' roadmap equal to the stages' roadmap.yaml
// and to the katas that stand.
func TestReadmeRoadmap(t *testing.T) {
	c, err := course.Load(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, readme := range []struct{ name, lang string }{{"README.md", "en"}, {"README.zh-CN.md", "zh"}} {
		file := filepath.Join(c.Root, readme.name)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		have := course.Normal(data)
		before, rest, ok := strings.Cut(have, roadmapBegin)
		_, after, closed := strings.Cut(rest, roadmapEnd)
		if !ok || !closed {
			t.Fatalf("%s has no place for the roadmap between %q and %q", readme.name, roadmapBegin, roadmapEnd)
		}
		want := before + roadmapBegin + roadmap(c, readme.lang) + roadmapEnd + after
		if have == want {
			continue
		}
		if !*update {
			t.Errorf("%s does not show the roadmap as it stands; run `make readme`", readme.name)
			continue
		}
		if err := os.WriteFile(file, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// roadmap writes every stage, topic and item, with links to the katas that stand.
func roadmap(c *course.Course, lang string) string {
	var b strings.Builder
	for i, st := range c.Stages {
		heading := fmt.Sprintf("Stage %d: %s", i+1, st.Title.EN)
		if lang == "zh" {
			heading = fmt.Sprintf("阶段 %d：%s", i+1, st.Title.ZH)
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s\n", heading, st.Goal.In(lang))
		for _, topic := range st.Topics {
			fmt.Fprintf(&b, "\n**%s**\n\n", topic.Title.In(lang))
			for _, it := range topic.Items {
				fmt.Fprintf(&b, "- %s%s\n", it.Title.In(lang), katas(it, lang))
			}
		}
	}
	return b.String() + "\n"
}

func katas(it *course.Item, lang string) string {
	brief, colon, comma := "README.md", ": ", ", "
	if lang == "zh" {
		brief, colon, comma = "README.zh-CN.md", "：", "、"
	}
	var links []string
	for _, k := range it.Katas {
		links = append(links, fmt.Sprintf("[%s](%s/%s)", k.Title.In(lang), k.Path, brief))
	}
	if len(links) == 0 {
		return ""
	}
	return colon + strings.Join(links, comma)
}
