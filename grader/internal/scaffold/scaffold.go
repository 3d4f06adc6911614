// Package scaffold lays out a new kata: every file that a kata has, with words
// on what belongs there. `grader verify` says what is still to be written.
//
// It never changes a file that exists.
package scaffold

import (
	_ "embed"
	"errors"
	"fmt"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"golang.org/x/mod/modfile"
	"golang.org/x/tools/txtar"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// Made is what New has laid out.
type Made struct {
	Path    string   // stage1/topic/kata
	Files   []string // below the kata's folder, in reading order
	Roadmap string   // the stage's roadmap, below the workspace
	Planned bool     // the roadmap names the kata already
	Entry   string   // else the item to add to it
}

// RefusedError says that the name is none for a new kata.
type RefusedError struct {
	Name string
	Why  string
}

func (e *RefusedError) Error() string { return fmt.Sprintf("new kata %q: %s", e.Name, e.Why) }

//go:embed kata.txtar
var anatomy string

// New lays out the kata at stage/topic/kata below the workspace of c.
func New(c *course.Course, name string) (*Made, error) {
	refused := func(format string, args ...any) error { return &RefusedError{name, fmt.Sprintf(format, args...)} }
	stage, topic, kata, err := split(name)
	if err != nil {
		return nil, refused("%v", err)
	}
	i := slices.IndexFunc(c.Stages, func(s *course.Stage) bool { return s.ID == stage })
	if i < 0 {
		return nil, refused("there is no stage %q; there are %s. A new stage is a folder with a go.mod and a roadmap.yaml",
			stage, strings.Join(stages(c), ", "))
	}
	dir := filepath.Join(c.Stages[i].Dir, topic, kata)
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil, refused("%s exists; choose another name, or remove it first", c.Rel(dir))
	}
	module, err := moduleOf(c.Stages[i].Dir)
	if err != nil {
		return nil, fmt.Errorf("new kata %q: %w", name, err)
	}
	files, err := fill(anatomy, map[string]string{
		"Name": kata, "Title": strings.ToUpper(kata[:1]) + kata[1:], "Path": path.Join(stage, topic, kata),
		"Import": path.Join(module, topic, kata), "Topic": topic,
	})
	if err != nil {
		return nil, err
	}
	if err := write(dir, files); err != nil {
		return nil, fmt.Errorf("new kata %q: %w", name, err)
	}
	m := &Made{Path: path.Join(stage, topic, kata), Roadmap: path.Join(stage, "roadmap.yaml")}
	for _, f := range files {
		m.Files = append(m.Files, f.Name)
	}
	m.Planned = planned(c.Stages[i], m.Path)
	m.Entry = entry(topic, kata)
	return m, nil
}

var packageName = regexp.MustCompile(`^[a-z][a-z0-9]*$`)

// reserved are names of folders that the go command or a stage gives a meaning.
var reserved = []string{"internal", "vendor", "testdata", "main", "cmd"}

func split(name string) (stage, topic, kata string, err error) {
	parts := strings.Split(strings.Trim(path.Clean(filepath.ToSlash(name)), "/"), "/")
	if len(parts) != 3 {
		return "", "", "", errors.New("want STAGE/TOPIC/KATA, such as stage1/concurrency/semaphore")
	}
	for _, p := range parts[1:] {
		switch {
		case !packageName.MatchString(p):
			return "", "", "", fmt.Errorf("%q is no package name: small letters and digits, a letter first", p)
		case token.IsKeyword(p) || slices.Contains(reserved, p):
			return "", "", "", fmt.Errorf("%q is a reserved word; choose another name", p)
		}
	}
	return parts[0], parts[1], parts[2], nil
}

func stages(c *course.Course) []string {
	var out []string
	for _, s := range c.Stages {
		out = append(out, s.ID)
	}
	return out
}

func moduleOf(dir string) (string, error) {
	file := filepath.Join(dir, "go.mod")
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the stage's module: %w; a stage is a module, `go mod init` makes one", err)
	}
	p := modfile.ModulePath(data)
	if p == "" {
		return "", fmt.Errorf("%s has no module line; add `module PATH` as its first line", file)
	}
	return p, nil
}

// fill puts values into the anatomy and takes it apart into files.
func fill(anatomy string, values map[string]string) ([]txtar.File, error) {
	t, err := template.New("kata.txtar").Option("missingkey=error").Parse(anatomy)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	if err := t.Execute(&b, values); err != nil {
		return nil, err
	}
	return txtar.Parse([]byte(b.String())).Files, nil
}

// write creates dir with the files in one step: a half kata never stands.
func write(dir string, files []txtar.File) error {
	topic := filepath.Dir(dir)
	if err := os.MkdirAll(topic, 0o777); err != nil {
		return fmt.Errorf("make the topic's folder: %w", err)
	}
	tmp, err := os.MkdirTemp(topic, ".new-kata")
	if err != nil {
		return fmt.Errorf("make a folder in %s: %w", topic, err)
	}
	defer os.RemoveAll(tmp)
	for _, f := range files {
		file := filepath.Join(tmp, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(file, f.Data, 0o666); err != nil {
			return err
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil { // MkdirTemp keeps it to its owner
		return err
	}
	return os.Rename(tmp, dir)
}

func planned(st *course.Stage, kata string) bool {
	for _, t := range st.Topics {
		for _, it := range t.Items {
			if slices.Contains(it.Planned, kata) {
				return true
			}
		}
	}
	return false
}

func entry(topic, kata string) string {
	return fmt.Sprintf("      - id: %s\n        title: {en: %s, zh: %s}\n        katas: [%s/%s]\n", kata, kata, kata, topic, kata)
}
