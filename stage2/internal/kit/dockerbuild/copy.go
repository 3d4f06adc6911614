package dockerbuild

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/patternmatcher"
)

// copy does what COPY and ADD do.
func (b *Build) copy(s *Stage, at int, c instructions.SourcesAndDest, from string, exclude []string, parents bool) {
	skip, err := patternmatcher.New(exclude)
	if err != nil {
		b.problem(at, "--exclude: %v", err)
		return
	}
	dest := destination{s: s, path: s.abs(c.DestPath)}
	// A destination is a directory if it says so, or if it is one already.
	dest.dir = strings.HasSuffix(c.DestPath, "/") || c.DestPath == "." || len(c.SourcePaths)+len(c.SourceContents) > 1 ||
		dest.path == "/" || dest.path == s.WorkDir || s.holdsBelow(dest.path)
	for _, content := range c.SourceContents {
		dest.put(content.Path, File{Opaque: &Opaque{Path: dest.path}})
	}
	for _, source := range c.SourcePaths {
		if from == "" && (strings.Contains(source, "://") || strings.HasPrefix(source, "git@")) {
			continue // ADD of something that is not in the context
		}
		files, origin := b.contextFiles(), (*Stage)(nil)
		if from != "" {
			origin = b.from(from)
			files = origin.Files
			s.Used = append(s.Used, Use{Line: at, From: origin, Path: path.Join("/", source)})
			maps.Copy(s.inputs, origin.inputs)
		}
		if !dest.copy(files, path.Join("/", source), skip, parents, s.inputs) {
			switch {
			case origin != nil && origin.Root().Image != "scratch":
				dest.putOpaque(source, &Opaque{Image: origin.Root().Image, Path: path.Join("/", source)})
			case origin != nil:
				b.problem(at, "stage %q holds no %s", from, source)
			case !strings.ContainsAny(source, "*?["):
				b.problem(at, "the build context holds no %s (or .dockerignore keeps it out)", source)
			}
		}
	}
}

// contextFiles are the files that the builder was sent, by absolute path.
func (b *Build) contextFiles() map[string]File {
	files := map[string]File{}
	for name := range b.Sent {
		files["/"+name] = File{Context: name}
	}
	return files
}

func (s *Stage) holdsBelow(dir string) bool {
	for name := range s.Files {
		if strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}

type destination struct {
	s    *Stage
	path string
	dir  bool
}

func (d destination) put(name string, f File) {
	if d.dir {
		d.s.Files[path.Join(d.path, name)] = f
	} else {
		d.s.Files[d.path] = f
	}
}

// putOpaque puts a path that may be a file or a directory: nobody has told us which, but a file's name mostly has a dot.
func (d destination) putOpaque(source string, o *Opaque) {
	isDir := strings.HasSuffix(source, "/")
	if !isDir {
		d.put(path.Base(source), File{Opaque: o})
	}
	if isDir || path.Ext(source) == "" {
		d.s.Files[d.path] = File{Opaque: o}
	}
}

// copy copies what source (a path or a pattern) matches among files, and tells whether it matched anything.
func (d destination) copy(files map[string]File, source string, skip *patternmatcher.PatternMatcher, parents bool, inputs map[string]bool) bool {
	matched := false
	for _, name := range slices.Sorted(maps.Keys(files)) {
		top, ok := match(source, name)
		if !ok {
			continue
		}
		matched = true
		if ignored, _ := skip.MatchesOrParentMatches(strings.TrimPrefix(name, "/")); ignored {
			continue
		}
		f := files[name]
		if f.Context != "" {
			inputs[f.Context] = true
		}
		switch {
		case parents:
			d.s.Files[path.Join(d.path, name)] = f
		case top == name:
			d.put(path.Base(name), f)
		default: // a directory: its contents are copied, not itself
			d.s.Files[path.Join(d.path, strings.TrimPrefix(name, top))] = f
		}
	}
	return matched
}

// match tells whether name is what the pattern names, or lies below it, and which leading part of it the pattern names.
func match(pattern, name string) (top string, ok bool) {
	if pattern == "/" {
		return "", true
	}
	n := strings.Count(pattern, "/")
	parts := strings.Split(name, "/")
	if len(parts) <= n {
		return "", false
	}
	top = strings.Join(parts[:n+1], "/")
	ok, _ = path.Match(pattern, top)
	return top, ok
}
