package course

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// VariantKind tells the sides that a set of learner's files can come from.
type VariantKind string

const (
	Stub       VariantKind = "stub"
	Solution   VariantKind = "solution"
	Accept     VariantKind = "accept"
	Reject     VariantKind = "reject"
	Submission VariantKind = "submission" // the learner's own files, in place or in a folder
)

// Variant is a complete set of learner's files.
type Variant struct {
	Kata  *Kata
	Kind  VariantKind
	Name  string            // folder's name; "" for stub, solution and the learner's own
	Dir   string            // where the files lie
	Files map[string]string // relative name → absolute path

	// Rejects.
	CaughtBy []string
	Hangs    bool
	Text     string // the misconception

	Problems []Problem
}

// ID names the variant inside its kata: solution, reject/off_by_one, yours.
func (v *Variant) ID() string {
	if v.Name == "" {
		if v.Kind == Submission {
			return "yours"
		}
		return string(v.Kind)
	}
	return string(v.Kind) + "/" + v.Name
}

// Yours returns the learner's own files in the kata's folder.
func (k *Kata) Yours() *Variant { return k.Submitted(k.Dir) }

// Submitted returns the learner's files as they lie in dir, which is laid out
// like the kata's folder. Only files that the kata names are taken.
func (k *Kata) Submitted(dir string) *Variant {
	v := &Variant{Kata: k, Kind: Submission, Dir: dir, Files: map[string]string{}}
	for _, rel := range slices.Sorted(maps.Keys(k.Stub)) {
		file := filepath.Join(dir, filepath.FromSlash(rel))
		if fi, err := os.Stat(file); err != nil || !fi.Mode().IsRegular() {
			v.problem("files", file, "your file %s is missing; `grader reset %s` brings the stub back", rel, k.Path)
			continue
		}
		v.Files[rel] = file
	}
	for rel, file := range k.added(dir) {
		v.Files[rel] = file
	}
	return v
}

// added finds the files that `//kata:files` lets the learner add: not part of
// the stub, matching a pattern, at the top of the folder.
func (k *Kata) added(dir string) map[string]string {
	out := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return out
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || k.Stub[e.Name()] != "" || strings.HasSuffix(e.Name(), "_test.go") != (k.Kind == Tests) {
			continue
		}
		if k.mayAdd(e.Name()) {
			out[e.Name()] = filepath.Join(dir, e.Name())
		}
	}
	return out
}

func (k *Kata) mayAdd(rel string) bool {
	return slices.ContainsFunc(k.FileGlobs, func(g string) bool {
		ok, _ := path.Match(g, rel)
		return ok
	})
}

// Variants returns the author's variants: stub, solution, accepts, rejects.
func (k *Kata) Variants() []*Variant {
	out := []*Variant{k.authored(Stub, "", k.AuthorPath("stub"))}
	out = append(out, k.authored(Solution, "", k.AuthorPath("solution")))
	for _, kind := range []VariantKind{Accept, Reject} {
		dirs, _ := subDirs(k.AuthorPath(string(kind)))
		for _, d := range dirs {
			out = append(out, k.authored(kind, filepath.Base(d), d))
		}
	}
	return out
}

// Solution returns the reference.
func (k *Kata) Solution() *Variant { return k.authored(Solution, "", k.AuthorPath("solution")) }

func (k *Kata) authored(kind VariantKind, name, dir string) *Variant {
	v := &Variant{Kata: k, Kind: kind, Name: name, Dir: dir, Files: map[string]string{}}
	files, err := filesBelow(dir)
	if err != nil || len(files) == 0 {
		v.problem("files", dir, "%s: %s has no files", k.Path, v.ID())
		return v
	}
	// A reject without Go carries its directives in a doc.go, which is no file of the learner's.
	if f, ok := files["doc.go"]; ok && kind == Reject && k.Stub["doc.go"] == "" {
		v.readReject(f)
		delete(files, "doc.go")
	}
	for _, rel := range slices.Sorted(maps.Keys(k.Stub)) {
		if files[rel] == "" {
			v.problem("files", filepath.Join(dir, rel), "%s lacks %s; a variant is complete: the same files as .kata/stub", v.ID(), rel)
		}
	}
	for _, rel := range slices.Sorted(maps.Keys(files)) {
		if k.Stub[rel] == "" && !k.mayAdd(rel) {
			v.problem("files", files[rel], "%s is not in .kata/stub; remove it, or let the learner add files with //kata:files", rel)
			continue
		}
		v.Files[rel] = files[rel]
		if kind == Reject && strings.HasSuffix(rel, ".go") {
			v.readReject(files[rel])
		}
	}
	if kind == Reject && len(v.CaughtBy) == 0 {
		v.problem("files", dir, "%s names no intent; put `//kata:caught-by TestXxx` in the doc comment of its package clause", v.ID())
	}
	return v
}

// readReject reads what a reject says of itself.
func (v *Variant) readReject(file string) {
	holder := &Kata{Root: v.Kata.Root}
	s := newSource(holder, file)
	if s == nil {
		v.Problems = append(v.Problems, holder.Faults...)
		return
	}
	for _, d := range s.directivesOf(s.file.Doc) {
		switch d.Name {
		case "caught-by":
			for _, name := range strings.Fields(d.Args) {
				if name != "forbid" && v.Kata.IntentByName(name) == nil {
					v.problem("files", s.at(d.Slash), "//kata:caught-by %s: the kata has no such intent", name)
					continue
				}
				v.CaughtBy = append(v.CaughtBy, name)
			}
		case "hangs":
			v.Hangs = true
		default:
			v.problem("files", s.at(d.Slash), "unknown or misplaced directive //kata:%s on a reject; known here: caught-by, hangs", d.Name)
		}
	}
	if len(v.CaughtBy) > 0 && v.Text == "" {
		v.Text = firstSentence(s.file.Doc)
		if v.Text == "" {
			v.problem("files", s.at(s.file.Package), "no sentence names the misconception above //kata:caught-by")
		}
	}
}

func (v *Variant) problem(kind, at, format string, args ...any) {
	v.Problems = append(v.Problems, Problem{Kind: kind, At: RelTo(v.Kata.Root, at), Text: fmt.Sprintf(format, args...)})
}

// Untouched reports whether every file equals the pristine stub, but for line
// ends, a byte-order mark and gofmt.
func (v *Variant) Untouched() bool {
	if len(v.Files) != len(v.Kata.Stub) {
		return false
	}
	for rel, stub := range v.Kata.Stub {
		mine, ok := v.Files[rel]
		if !ok || !sameText(mine, stub) {
			return false
		}
	}
	return true
}
