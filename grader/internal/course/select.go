package course

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Selection is what a selector stands for: katas, and the items and stages that
// a report shows for them.
type Selection struct {
	Katas []*Kata
	Items []*Item // items with at least one selected kata or planned path below the selector
}

// UnknownSelectorError says that a selector names nothing.
type UnknownSelectorError struct {
	Selector string
	Near     []string
}

func (e *UnknownSelectorError) Error() string {
	msg := fmt.Sprintf("nothing is called %q", e.Selector)
	if len(e.Near) > 0 {
		return msg + "; did you mean " + strings.Join(e.Near, ", ") + "?"
	}
	return msg + "; `grader list` shows what there is"
}

// Select resolves selectors: paths or leading path elements (below the workspace,
// or below cwd), item ids. topics names topics across stages. No selector and no
// topic selects everything.
func (c *Course) Select(cwd string, selectors, topics []string) (*Selection, error) {
	var matches []func(p string, it *Item) bool
	for _, sel := range selectors {
		m, err := c.matcher(cwd, sel)
		if err != nil {
			return nil, err
		}
		matches = append(matches, m)
	}
	for _, topic := range topics {
		if !slices.Contains(c.topicNames(), topic) {
			return nil, &UnknownSelectorError{Selector: topic, Near: nearest(topic, c.topicNames())}
		}
		matches = append(matches, func(p string, _ *Item) bool {
			parts := strings.Split(p, "/")
			return len(parts) > 2 && parts[1] == topic
		})
	}
	if len(matches) == 0 {
		matches = append(matches, func(string, *Item) bool { return true })
	}
	return c.filter(matches), nil
}

func (c *Course) filter(matches []func(string, *Item) bool) *Selection {
	any := func(p string, it *Item) bool {
		return slices.ContainsFunc(matches, func(m func(string, *Item) bool) bool { return m(p, it) })
	}
	s := &Selection{}
	for _, st := range c.Stages {
		for _, t := range st.Topics {
			for _, it := range t.Items {
				hit := slices.ContainsFunc(it.Planned, func(p string) bool { return any(p, it) })
				for _, k := range it.Katas {
					if any(k.Path, it) {
						hit = true
						s.Katas = append(s.Katas, k)
					}
				}
				if hit {
					s.Items = append(s.Items, it)
				}
			}
		}
		for _, k := range st.Strays {
			if any(k.Path, nil) {
				s.Katas = append(s.Katas, k)
			}
		}
	}
	return s
}

func (c *Course) matcher(cwd, sel string) (func(string, *Item) bool, error) {
	if it := c.itemByID(sel); it != nil {
		return func(_ string, x *Item) bool { return x == it }, nil
	}
	for _, p := range c.asPaths(cwd, sel) {
		if p == "." {
			return func(string, *Item) bool { return true }, nil
		}
		below := func(q string, _ *Item) bool { return q == p || strings.HasPrefix(q, p+"/") }
		if slices.ContainsFunc(c.paths(), func(q string) bool { return below(q, nil) }) {
			return below, nil
		}
		// Inside a kata's folder (a sub-package, a testdata folder) the kata itself is meant.
		for q := p; q != "." && q != "/"; q = path.Dir(q) {
			if k := c.katas[q]; k != nil && p != q && isDir(filepath.Join(c.Root, p)) {
				return func(r string, _ *Item) bool { return r == q }, nil
			}
		}
	}
	return nil, &UnknownSelectorError{Selector: sel, Near: nearest(strings.Trim(filepath.ToSlash(sel), "./"), c.names())}
}

// asPaths returns what sel may mean as a path below the workspace: from the
// working directory first, then from the root.
func (c *Course) asPaths(cwd, sel string) []string {
	var out []string
	add := func(p string) {
		if p != "" && !strings.HasPrefix(p, "/") && !filepath.IsAbs(p) && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	sel = strings.TrimSuffix(filepath.ToSlash(sel), "/...")
	abs := sel
	if !filepath.IsAbs(filepath.FromSlash(sel)) {
		if real, err := filepath.EvalSymlinks(cwd); err == nil {
			cwd = real
		}
		abs = filepath.Join(cwd, filepath.FromSlash(sel))
	} else if real, err := filepath.EvalSymlinks(filepath.FromSlash(sel)); err == nil {
		abs = real
	}
	if rel := RelTo(c.Root, abs); rel != abs {
		add(rel)
	}
	add(path.Clean(sel))
	return out
}

func (c *Course) itemByID(id string) *Item {
	for _, st := range c.Stages {
		for _, t := range st.Topics {
			for _, it := range t.Items {
				if it.ID == id {
					return it
				}
			}
		}
	}
	return nil
}

// paths lists every kata's path, planned ones included.
func (c *Course) paths() []string {
	var out []string
	for _, st := range c.Stages {
		for _, t := range st.Topics {
			for _, it := range t.Items {
				for _, k := range it.Katas {
					out = append(out, k.Path)
				}
				out = append(out, it.Planned...)
			}
		}
		for _, k := range st.Strays {
			out = append(out, k.Path)
		}
	}
	return out
}

func (c *Course) names() []string {
	out := c.paths()
	for _, st := range c.Stages {
		out = append(out, st.ID)
		for _, t := range st.Topics {
			out = append(out, st.ID+"/"+t.ID)
			for _, it := range t.Items {
				out = append(out, it.ID)
			}
		}
	}
	return out
}

func (c *Course) topicNames() []string {
	var out []string
	for _, st := range c.Stages {
		for _, t := range st.Topics {
			if !slices.Contains(out, t.ID) {
				out = append(out, t.ID)
			}
		}
	}
	return out
}

// nearest returns up to three names that are close to what was typed: by edit
// distance, the last path element counting for itself.
func nearest(typed string, names []string) []string {
	type scored struct {
		name string
		d    int
	}
	var all []scored
	low := strings.ToLower(typed)
	for _, n := range names {
		d := min(distance(low, n), distance(low, path.Base(n)))
		if strings.Contains(n, low) && len(low) > 2 {
			d = min(d, 1)
		}
		if d <= max(2, len(low)/4) {
			all = append(all, scored{n, d})
		}
	}
	slices.SortStableFunc(all, func(a, b scored) int { return a.d - b.d })
	var out []string
	for _, s := range all {
		if !slices.Contains(out, s.name) && len(out) < 3 {
			out = append(out, s.name)
		}
	}
	return out
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diag, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diag+cost)
		}
	}
	return row[len(b)]
}
