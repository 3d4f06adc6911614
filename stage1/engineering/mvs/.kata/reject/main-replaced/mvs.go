// Builds all lines of the list alike, and so a replacement of the main module's older versions stands beside the main module itself.
//
//kata:caught-by TestCycles
package mvs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// ErrNoVersion is what Latest returns where no version is left to choose.
var ErrNoVersion = errors.New("no matching version")

// Source knows the published modules, as a module proxy does. It is asked by one goroutine at a time.
type Source interface {
	// Versions lists the versions of a module, in no particular order. Pseudo-versions among them do not
	// count as published.
	Versions(path string) ([]string, error)

	// GoMod returns the go.mod file of a module version or, where m.Version is empty, of the folder m.Path.
	GoMod(m module.Version) ([]byte, error)
}

// Module is a module of a build list.
type Module struct {
	Path    string
	Version string         // the selected version; empty for the main module
	Replace module.Version // what stands in for it, if Path is not empty; a folder has no Version
}

// String returns the module as `go list -m` prints it:
//
//	example.com/main
//	example.com/a v1.2.0
//	example.com/b v1.0.0 => example.com/fork v1.3.0
//	example.com/c v1.1.0 => ./vendored/c
func (m Module) String() string {
	fields := []string{m.Path}
	if m.Version != "" {
		fields = append(fields, m.Version)
	}
	if m.Replace.Path != "" {
		fields = append(fields, "=>", m.Replace.Path)
	}
	if m.Replace.Version != "" {
		fields = append(fields, m.Replace.Version)
	}
	return strings.Join(fields, " ")
}

// BuildList returns the modules that take part in the build of the main module, whose go.mod file is main: the
// main module first, the others sorted by path, each in the highest version that a reached go.mod requires.
func BuildList(main []byte, src Source) ([]Module, error) {
	r, err := parseMain(main)
	if err != nil {
		return nil, err
	}
	self := r.main.Module.Mod.Path
	selected := map[string]string{}
	reached := map[module.Version]bool{}
	// What waits to be read. A version that has lost, or will lose, is read all the same: what a go.mod
	// requires, it requires whether or not its own version is selected, else the answer would depend on the order.
	todo := r.requirements(r.main)
	for len(todo) > 0 {
		m := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if reached[m] {
			continue
		}
		reached[m] = true
		if v, ok := selected[m.Path]; !ok || semver.Compare(m.Version, v) > 0 {
			selected[m.Path] = m.Version
		}
		f, err := r.read(m, src)
		if err != nil {
			return nil, err
		}
		todo = append(todo, r.requirements(f)...)
	}

	// Whatever version of the main module others ask for: the one being built is the one at hand.
	delete(selected, self)
	list := []Module{{Path: self, Replace: r.replacement(module.Version{Path: self})}}
	for _, path := range slices.Sorted(maps.Keys(selected)) {
		m := module.Version{Path: path, Version: selected[path]}
		list = append(list, Module{Path: path, Version: m.Version, Replace: r.replacement(m)})
	}
	return list, nil
}

// Latest returns the version of path that `path@latest` means for the main module whose go.mod file is main.
func Latest(main []byte, path string, src Source) (string, error) {
	r, err := parseMain(main)
	if err != nil {
		return "", err
	}
	versions, err := src.Versions(path)
	if err != nil {
		return "", fmt.Errorf("versions of %s: %w", path, err)
	}
	versions = slices.DeleteFunc(slices.Clone(versions), module.IsPseudoVersion)

	// The newest word of the authors holds. It may retract the very version that carries it, and
	// what one main module excludes does not silence it.
	newest := highest(versions)
	if newest == "" {
		return "", fmt.Errorf("%s@latest: %w", path, ErrNoVersion)
	}
	f, err := parse(module.Version{Path: path, Version: newest}, src)
	if err != nil {
		return "", err
	}
	latest := highest(slices.DeleteFunc(versions, func(v string) bool {
		return r.excluded[module.Version{Path: path, Version: v}] || retracted(f, v)
	}))
	if latest == "" {
		return "", fmt.Errorf("%s@latest: %w", path, ErrNoVersion)
	}
	return latest, nil
}

// highest picks the highest release of versions, else the highest pre-release, and anything rather than a
// version that is +incompatible. Without versions it returns "".
func highest(versions []string) string {
	return slices.MaxFunc(append([]string{""}, versions...), func(v, w string) int {
		if c := rank(v) - rank(w); c != 0 {
			return c
		}
		return semver.Compare(v, w)
	})
}

func rank(v string) int {
	switch {
	case v == "":
		return 0
	case semver.Build(v) == "+incompatible" && semver.Prerelease(v) != "":
		return 1
	case semver.Build(v) == "+incompatible":
		return 2
	case semver.Prerelease(v) != "":
		return 3
	}
	return 4
}

func retracted(f *modfile.File, v string) bool {
	return slices.ContainsFunc(f.Retract, func(r *modfile.Retract) bool {
		return semver.Compare(r.Low, v) <= 0 && semver.Compare(v, r.High) <= 0
	})
}

// rules are the main module's file and what it alone may decide.
type rules struct {
	main     *modfile.File
	excluded map[module.Version]bool
	replaced map[module.Version]module.Version // the key of a replacement of all versions has no Version
}

func parseMain(data []byte) (*rules, error) {
	f, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		return nil, err
	}
	if f.Module == nil {
		return nil, errors.New("go.mod: no module line")
	}
	r := &rules{main: f, excluded: map[module.Version]bool{}, replaced: map[module.Version]module.Version{}}
	for _, x := range f.Exclude {
		r.excluded[x.Mod] = true
	}
	for _, x := range f.Replace {
		r.replaced[x.Old] = x.New
	}
	return r, nil
}

func (r *rules) replacement(m module.Version) module.Version {
	if by, ok := r.replaced[m]; ok {
		return by
	}
	return r.replaced[module.Version{Path: m.Path}]
}

// requirements lists what f requires. A requirement of an excluded version is void.
func (r *rules) requirements(f *modfile.File) []module.Version {
	var list []module.Version
	for _, req := range f.Require {
		if !r.excluded[req.Mod] {
			list = append(list, req.Mod)
		}
	}
	return list
}

// read returns the go.mod that counts for m: its own, or that of its replacement.
func (r *rules) read(m module.Version, src Source) (*modfile.File, error) {
	actual := m
	if by := r.replacement(m); by.Path != "" {
		actual = by
	}
	f, err := parse(actual, src)
	if err != nil {
		return nil, err
	}
	if actual.Version == "" {
		return f, nil // in a folder, anything goes
	}
	if f.Module == nil {
		return nil, fmt.Errorf("%v: go.mod has no module line", actual)
	}
	if path := f.Module.Mod.Path; path != m.Path && path != actual.Path {
		return nil, fmt.Errorf("%v: go.mod declares its path as %s, but it was required as %s", actual, path, m.Path)
	}
	return f, nil
}

// parse reads the go.mod of a dependency. It may have been written for a later Go: what it says in words that
// are not known here does not concern a main module anyway.
func parse(m module.Version, src Source) (*modfile.File, error) {
	data, err := src.GoMod(m)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", m, err)
	}
	f, err := modfile.ParseLax("go.mod", data, nil)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", m, err)
	}
	return f, nil
}
