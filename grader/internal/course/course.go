// Package course reads a workspace: roadmap, katas, suites, directives and variants.
//
// It knows nothing of particular stages: every folder with a roadmap.yaml beside
// a go.mod is a stage. It never builds or runs anything.
package course

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// AuthorDir is the folder of a kata that holds the author's side.
const AuthorDir = ".kata"

// Text is a sentence in both languages.
type Text struct {
	EN string `json:"en" yaml:"en"`
	ZH string `json:"zh" yaml:"zh"`
}

// In returns the text in the language lang ("zh" or "en"); English where the other is missing.
func (t Text) In(lang string) string {
	if lang == "zh" && t.ZH != "" {
		return t.ZH
	}
	return t.EN
}

// Course is a whole workspace.
type Course struct {
	Root   string // absolute, without symbolic links
	Stages []*Stage
	katas  map[string]*Kata
}

// Stage is one module tree with a roadmap.yaml.
type Stage struct {
	ID     string // name of the folder: stage1
	Dir    string
	Title  Text
	Goal   Text
	Topics []*Topic
	// Strays are katas on disk that the roadmap does not name.
	Strays []*Kata
}

// Topic is a folder of katas: a chapter of the stage.
type Topic struct {
	ID    string
	Title Text
	Items []*Item
}

// Item is one line of the roadmap.
type Item struct {
	ID      string
	Title   Text
	Katas   []*Kata  // those that stand, in teaching order
	Planned []string // paths of those that do not stand yet
}

// Problem is a fault with a position, found without running anything.
type Problem struct {
	Kind string `json:"kind"` // compile, forbid, files, suite, …
	At   string `json:"at"`   // file:line:col below the workspace, or a path
	Text string `json:"text"`
}

func (p Problem) String() string {
	if p.At == "" {
		return p.Text
	}
	return p.At + ": " + p.Text
}

// Find returns the workspace that dir lies in: the nearest folder upwards that
// has a stage directly below it.
func Find(dir string) (string, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the workspace from %s: %w", dir, err)
	}
	// The go command resolves symbolic links; overlay keys that do not match its
	// view are silently ignored.
	start, err = filepath.EvalSymlinks(start)
	if err != nil {
		return "", fmt.Errorf("find the workspace from %s: %w", dir, err)
	}
	for d := start; ; {
		if stages, _ := filepath.Glob(filepath.Join(escapeGlob(d), "*", roadmapFile)); len(stages) > 0 {
			return d, nil
		}
		up := filepath.Dir(d)
		if up == d {
			return "", &NotWorkspaceError{Dir: start}
		}
		d = up
	}
}

// escapeGlob quotes what a folder's name may hold and a pattern would read.
func escapeGlob(p string) string {
	if filepath.Separator == '\\' {
		return p // Windows has no escape in patterns; its names rarely need one
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(p)
}

// NotWorkspaceError says that no workspace was found.
type NotWorkspaceError struct{ Dir string }

func (e *NotWorkspaceError) Error() string {
	return fmt.Sprintf("%s is not in a roadkata workspace: no folder here or above has a stage (a folder with %s); "+
		"cd into your clone, or name it with -C DIR", e.Dir, roadmapFile)
}

// Load reads the workspace at root. Faults inside a kata are kept with that kata
// (Kata.Faults); an error means that the workspace itself cannot be read.
func Load(root string) (*Course, error) {
	root, err := Find(root)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("read the workspace: %w", err)
	}
	c := &Course{Root: root, katas: map[string]*Kata{}}
	var errs []error
	for _, e := range entries {
		dir := filepath.Join(root, e.Name())
		if _, err := os.Stat(filepath.Join(dir, roadmapFile)); err != nil {
			continue
		}
		st, err := c.loadStage(dir)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.Stages = append(c.Stages, st)
	}
	errs = append(errs, c.checkIDs()...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Course) loadStage(dir string) (*Stage, error) {
	st, err := readRoadmap(dir)
	if err != nil {
		return nil, err
	}
	onDisk, err := findKatas(dir)
	if err != nil {
		return nil, fmt.Errorf("look for katas below %s: %w", st.ID, err)
	}
	found := map[string]*Kata{}
	for _, kdir := range onDisk {
		k := loadKata(c.Root, kdir)
		found[k.Path] = k
		c.katas[k.Path] = k
	}
	for _, t := range st.Topics {
		for _, it := range t.Items {
			planned := it.Planned
			it.Planned = nil
			for _, p := range planned {
				full := path.Join(st.ID, p)
				if k := found[full]; k != nil {
					k.onRoadmap = true
					it.Katas = append(it.Katas, k)
				} else {
					it.Planned = append(it.Planned, full)
				}
			}
		}
	}
	for _, p := range slices.Sorted(maps.Keys(found)) {
		if k := found[p]; !k.onRoadmap {
			st.Strays = append(st.Strays, k)
		}
	}
	return st, nil
}

// findKatas lists the folders below dir that have an author's side.
func findKatas(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() {
			return nil
		}
		name := d.Name()
		if name == AuthorDir {
			out = append(out, filepath.Dir(p))
			return fs.SkipDir
		}
		if p != dir && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules") {
			return fs.SkipDir
		}
		return nil
	})
	return out, err
}

func (c *Course) checkIDs() []error {
	var errs []error
	seen := map[string]string{}
	for _, st := range c.Stages {
		for _, t := range st.Topics {
			for _, it := range t.Items {
				where := path.Join(st.ID, roadmapFile)
				if first, dup := seen[it.ID]; dup {
					errs = append(errs, fmt.Errorf("%s: the item id %q stands already in %s; ids are unique over all stages", where, it.ID, first))
				}
				seen[it.ID] = where
			}
		}
	}
	return errs
}

// Kata returns the kata at path, or nil.
func (c *Course) Kata(p string) *Kata { return c.katas[p] }

// Katas returns every kata in teaching order, strays last in their stage.
func (c *Course) Katas() []*Kata {
	var out []*Kata
	seen := map[*Kata]bool{}
	add := func(k *Kata) {
		if !seen[k] {
			seen[k] = true
			out = append(out, k)
		}
	}
	for _, st := range c.Stages {
		for _, t := range st.Topics {
			for _, it := range t.Items {
				for _, k := range it.Katas {
					add(k)
				}
			}
		}
		for _, k := range st.Strays {
			add(k)
		}
	}
	return out
}

// Rel returns the path of file below the workspace, with slashes; file itself if it lies elsewhere.
func (c *Course) Rel(file string) string { return RelTo(c.Root, file) }

// RelTo returns the path of file below root, with slashes; file itself if it lies elsewhere.
func RelTo(root, file string) string {
	rel, err := filepath.Rel(root, file)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return file
	}
	return filepath.ToSlash(rel)
}

// Stage returns the stage of the kata at p.
func (c *Course) Stage(p string) *Stage {
	id, _, _ := strings.Cut(p, "/")
	i, ok := slices.BinarySearchFunc(c.Stages, id, func(s *Stage, id string) int { return cmp.Compare(s.ID, id) })
	if !ok {
		return nil
	}
	return c.Stages[i]
}
