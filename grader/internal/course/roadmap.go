package course

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

const roadmapFile = "roadmap.yaml"

type roadmapYAML struct {
	Title  Text        `yaml:"title"`
	Goal   Text        `yaml:"goal"`
	Topics []topicYAML `yaml:"topics"`
}

type topicYAML struct {
	ID    string     `yaml:"id"`
	Title Text       `yaml:"title"`
	Items []itemYAML `yaml:"items"`
}

type itemYAML struct {
	ID    string   `yaml:"id"`
	Title Text     `yaml:"title"`
	Katas []string `yaml:"katas"`
}

// readRoadmap reads the stage's roadmap.yaml. All katas that it names start as
// planned; the caller matches them with what is on disk.
func readRoadmap(dir string) (*Stage, error) {
	id := filepath.Base(dir)
	where := path.Join(id, roadmapFile)
	data, err := os.ReadFile(filepath.Join(dir, roadmapFile))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", where, err)
	}
	var y roadmapYAML
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&y); err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w; compare it with the roadmap.yaml of another stage, or restore it with git", where, err)
	}
	st := &Stage{ID: id, Dir: dir, Title: y.Title, Goal: y.Goal}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(where+": "+format, args...))
	}
	both := func(t Text, what string) {
		if strings.TrimSpace(t.EN) == "" || strings.TrimSpace(t.ZH) == "" {
			bad("%s needs a text in en and in zh", what)
		}
	}
	both(y.Title, "title")
	both(y.Goal, "goal")
	if len(y.Topics) == 0 {
		bad("no topics; add at least one below `topics:`")
	}
	seen := map[string]bool{}
	for _, ty := range y.Topics {
		both(ty.Title, "topic "+ty.ID+": title")
		t := &Topic{ID: ty.ID, Title: ty.Title}
		for _, iy := range ty.Items {
			what := fmt.Sprintf("topic %s, item %q", ty.ID, iy.ID)
			both(iy.Title, what+": title")
			if iy.ID == "" {
				bad("%s: no id", what)
			}
			if len(iy.Katas) == 0 {
				bad("%s: no katas; name them even if they are not written yet (they show as planned)", what)
			}
			for _, k := range iy.Katas {
				if path.Clean(k) != k || path.IsAbs(k) || strings.HasPrefix(k, "..") || !strings.Contains(k, "/") {
					bad("%s: %q is not a kata's path below the stage (topic/kata)", what, k)
				}
				if seen[k] {
					bad("%s: kata %s stands twice", what, k)
				}
				seen[k] = true
			}
			t.Items = append(t.Items, &Item{ID: iy.ID, Title: iy.Title, Planned: iy.Katas})
		}
		st.Topics = append(st.Topics, t)
	}
	return st, errors.Join(errs...)
}
