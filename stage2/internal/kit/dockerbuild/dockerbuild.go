// Package dockerbuild follows a Dockerfile to the image that it would build, without building anything.
//
// BuildKit's own parser reads the file, its own shell lexer expands the variables and its own pattern matcher applies .dockerignore; a
// shell parser reads the RUN instructions. What comes out is a graph of stages: which files of the context lie where, which `go`
// commands ran in which environment, what crosses from stage to stage, and how the image starts. Suites judge that graph.
//
// It never runs a command, never pulls an image and never looks at the machine that it runs on. What it cannot know (what a base image
// holds, what a script writes) it leaves out.
package dockerbuild

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// Options are what `docker build` is told beside the Dockerfile.
type Options struct {
	Context        fs.FS             // the build context as it lies on the developer's disk
	Ignore         []byte            // .dockerignore; nil if there is none
	Args           map[string]string // --build-arg
	BuildPlatform  string            // where the build runs; linux/amd64 if empty
	TargetPlatform string            // --platform; BuildPlatform if empty
}

// Build is a Dockerfile, followed to its end.
type Build struct {
	Stages   []*Stage
	Sent     map[string]bool // the files of the context that .dockerignore lets through
	Problems []Problem       // what would make `docker build` fail

	context  fs.FS
	escape   rune
	platform map[string]string // BUILDPLATFORM, TARGETARCH, …
	args     map[string]string // --build-arg
	global   map[string]string // ARGs before the first FROM
	externs  map[string]*Stage // images that COPY --from and --mount name
}

// Problem is one thing wrong with a Dockerfile.
type Problem struct {
	Line int
	Text string
}

func (p Problem) String() string { return fmt.Sprintf("Dockerfile:%d: %s", p.Line, p.Text) }

// Stage is what one FROM began.
type Stage struct {
	Name     string // lower case, empty if it has none
	Line     int
	Image    string // the base image with its variables expanded; empty if the stage continues another one
	Base     *Stage // the stage that it continues, or nil
	Platform string // of its base

	Files map[string]File // what is known to lie in it at its end, by absolute path
	Steps []Step          // its RUN instructions
	Used  []Use           // what it takes from other stages and images by COPY or --mount

	Env         map[string]string
	Args        map[string]string // the ARGs in scope at its end
	Declared    []Declaration     // its ARG, ENV and LABEL lines
	WorkDir     string
	User        string
	Entrypoint  *Exec
	Cmd         *Exec
	HealthCheck *Exec // nil if nothing is said; Args is [NONE] if none is wanted
	Shell       bool  // false if its image is known to hold no shell

	inputs map[string]bool // the files of the context that its layers were made from
	goenv  map[string]string
}

// File is a path in a stage whose origin is known. Exactly one of the fields is set.
type File struct {
	Context string   // a file of the build context
	Built   *GoBuild // a program that `go build` wrote
	Opaque  *Opaque  // a path that was copied out of an image, with all below it
	Modules bool     // Go's module cache, filled
}

// Opaque is a path of an image whose contents nobody has told us; or, without an image, a path whose text stands in the Dockerfile.
type Opaque struct {
	Image string
	Path  string
}

// Use is one source of a `COPY --from` or of a `RUN --mount=…,from=`.
type Use struct {
	Line int
	From *Stage // for an image that no stage begins with: a stage of its own, with Image set
	Path string
}

// Declaration is one name that ARG, ENV or LABEL gives a value to.
type Declaration struct {
	Line       int
	Kind       string // ARG, ENV or LABEL
	Key, Value string // Value is as written
}

// Exec is how something starts: ENTRYPOINT, CMD or HEALTHCHECK.
type Exec struct {
	Line  int
	Args  []string
	Shell bool // the shell form: /bin/sh -c runs Args[0]
}

// Step is one RUN.
type Step struct {
	Line     int
	Text     string // the script, or the arguments of the exec form joined by spaces
	Commands []Command
	Mounts   []*instructions.Mount // targets are absolute
	Files    map[string]File       // what lay in the stage when it ran, mounts included
	Inputs   map[string]bool       // the files of the context whose change runs it again
	Args     map[string]string     // the ARGs in scope: a change of their value runs it again
}

// Final is the stage that becomes the image.
func (b *Build) Final() *Stage { return b.Stages[len(b.Stages)-1] }

// Root is the stage that s begins with in the end: the one that names an image.
func (s *Stage) Root() *Stage {
	for s.Base != nil {
		s = s.Base
	}
	return s
}

// Follow reads a Dockerfile. An error means that BuildKit's parser refuses it; what the parser takes and a build would still trip over
// is in Problems.
func Follow(dockerfile []byte, o Options) (*Build, error) {
	result, err := parser.Parse(bytes.NewReader(dockerfile))
	if err != nil {
		return nil, err
	}
	stages, meta, err := instructions.Parse(result.AST, nil)
	if err != nil {
		return nil, err
	}
	if len(stages) == 0 {
		return nil, fmt.Errorf("no FROM instruction")
	}
	b := &Build{
		context: o.Context, escape: result.EscapeToken, args: o.Args,
		platform: platformArgs(o), global: map[string]string{}, externs: map[string]*Stage{},
	}
	if b.Sent, err = sent(o.Context, o.Ignore); err != nil {
		return nil, fmt.Errorf(".dockerignore: %w", err)
	}
	for _, arg := range meta {
		for _, a := range arg.Args {
			b.global[a.Key] = b.argValue(a, b.expander(b.platform, b.global))
		}
	}
	for i := range stages {
		b.stage(&stages[i])
	}
	return b, nil
}

func platformArgs(o Options) map[string]string {
	build := o.BuildPlatform
	if build == "" {
		build = "linux/amd64"
	}
	target := o.TargetPlatform
	if target == "" {
		target = build
	}
	m := map[string]string{}
	for prefix, platform := range map[string]string{"BUILD": build, "TARGET": target} {
		os, arch, _ := strings.Cut(platform, "/")
		arch, variant, _ := strings.Cut(arch, "/")
		m[prefix+"PLATFORM"], m[prefix+"OS"], m[prefix+"ARCH"], m[prefix+"VARIANT"] = platform, os, arch, variant
	}
	return m
}

// sent lists what the client sends to the builder.
func sent(context fs.FS, ignore []byte) (map[string]bool, error) {
	patterns, err := ignorefile.ReadAll(bytes.NewReader(ignore))
	if err != nil {
		return nil, err
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, err
	}
	files := map[string]bool{}
	err = fs.WalkDir(context, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		ignored, err := matcher.MatchesOrParentMatches(name)
		if !ignored {
			files[name] = true
		}
		return err
	})
	return files, err
}

func (b *Build) problem(line int, format string, args ...any) {
	b.Problems = append(b.Problems, Problem{line, fmt.Sprintf(format, args...)})
}

// expander expands $NAME by BuildKit's rules; an earlier map hides a later one.
func (b *Build) expander(scopes ...map[string]string) instructions.SingleWordExpander {
	all := map[string]string{}
	for _, scope := range slices.Backward(scopes) {
		maps.Copy(all, scope)
	}
	var env []string
	for k, v := range all {
		env = append(env, k+"="+v)
	}
	getter := shell.EnvsFromSlice(env)
	return func(word string) (string, error) {
		out, _, err := shell.NewLex(b.escape).ProcessWord(word, getter)
		return out, err
	}
}

// argValue is the value that an ARG line gives to its name.
func (b *Build) argValue(a instructions.KeyValuePairOptional, expand instructions.SingleWordExpander) string {
	if v, ok := b.args[a.Key]; ok {
		return v
	}
	if a.Value == nil {
		if v, ok := b.platform[a.Key]; ok {
			return v
		}
		return b.global[a.Key]
	}
	v, err := expand(*a.Value)
	if err != nil {
		return *a.Value
	}
	return v
}

// stage follows one stage; those before it are done.
func (b *Build) stage(parsed *instructions.Stage) {
	s := &Stage{
		Name: strings.ToLower(parsed.Name), Line: line(parsed.Location), WorkDir: "/", Shell: true,
		Files: map[string]File{}, Env: map[string]string{}, Args: map[string]string{},
		inputs: map[string]bool{}, goenv: map[string]string{},
	}
	expand := b.expander(b.global, b.platform)
	base := b.must(s.Line, expand, parsed.BaseName)
	if base == "" {
		b.problem(s.Line, "FROM %s names no image: an ARG in it needs a default", parsed.BaseName)
	}
	s.Platform = b.platform["TARGETPLATFORM"]
	if parsed.Platform != "" {
		s.Platform = b.must(s.Line, expand, parsed.Platform)
	}
	if from := b.named(base); from != nil {
		s.inherit(from)
	} else {
		s.Image = base
		s.Shell = !Shellless(base)
		s.Env["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
		if isGo(base) {
			s.Env["PATH"] = "/go/bin:/usr/local/go/bin:" + s.Env["PATH"]
			s.Env["GOPATH"] = "/go"
		}
	}
	for _, command := range parsed.Commands {
		b.instruction(s, command)
	}
	b.Stages = append(b.Stages, s)
}

// inherit makes s begin where base ended. ARGs do not travel, all else does.
func (s *Stage) inherit(base *Stage) {
	s.Base, s.Platform, s.Shell = base, base.Platform, base.Shell
	s.Files, s.Env, s.inputs, s.goenv = maps.Clone(base.Files), maps.Clone(base.Env), maps.Clone(base.inputs), maps.Clone(base.goenv)
	s.WorkDir, s.User = base.WorkDir, base.User
	s.Entrypoint, s.Cmd, s.HealthCheck = base.Entrypoint, base.Cmd, base.HealthCheck
}

// named finds an earlier stage by its name.
func (b *Build) named(name string) *Stage {
	for _, s := range slices.Backward(b.Stages) {
		if s.Name != "" && s.Name == strings.ToLower(name) {
			return s
		}
	}
	return nil
}

// from finds what --from=name means: a stage by name or by number, else an image.
func (b *Build) from(name string) *Stage {
	if s := b.named(name); s != nil {
		return s
	}
	for i, s := range b.Stages {
		if fmt.Sprint(i) == name {
			return s
		}
	}
	if b.externs[name] == nil {
		b.externs[name] = &Stage{Image: name, WorkDir: "/", Files: map[string]File{}, inputs: map[string]bool{}, Shell: !Shellless(name)}
	}
	return b.externs[name]
}

// Images lists every image that the Dockerfile names, with the line that names it.
func (b *Build) Images() map[string]int {
	images := map[string]int{}
	for _, s := range b.Stages {
		if s.Image != "" {
			images[s.Image] = s.Line
		}
		for _, use := range s.Used {
			if use.From.Image != "" && b.externs[use.From.Image] == use.From {
				images[use.From.Image] = use.Line
			}
		}
	}
	return images
}

func (b *Build) must(line int, expand instructions.SingleWordExpander, word string) string {
	out, err := expand(word)
	if err != nil {
		b.problem(line, "%q: %v", word, err)
		return word
	}
	return out
}

// instruction does what one instruction does to its stage.
func (b *Build) instruction(s *Stage, command instructions.Command) {
	at := line(command.Location())
	expand := b.expander(s.Env, s.Args)
	if c, ok := command.(*instructions.ArgCommand); ok { // has its own rules
		for _, a := range c.Args {
			s.Args[a.Key] = b.argValue(a, expand)
			s.Declared = append(s.Declared, Declaration{at, "ARG", a.Key, a.ValueString()})
		}
		return
	}
	written := asWritten(command)
	if c, ok := command.(instructions.SupportsSingleWordExpansion); ok {
		if err := c.Expand(expand); err != nil {
			b.problem(at, "%v", err)
			return
		}
	}
	switch c := command.(type) {
	case *instructions.EnvCommand:
		for i, kv := range c.Env {
			s.Env[kv.Key] = kv.Value
			s.Declared = append(s.Declared, Declaration{at, "ENV", written[i].Key, written[i].Value})
		}
	case *instructions.LabelCommand:
		for i := range c.Labels {
			s.Declared = append(s.Declared, Declaration{at, "LABEL", written[i].Key, written[i].Value})
		}
	case *instructions.WorkdirCommand:
		s.WorkDir = s.abs(c.Path)
	case *instructions.UserCommand:
		s.User = c.User
	case *instructions.EntrypointCommand:
		s.Entrypoint = &Exec{at, c.CmdLine, c.PrependShell}
		if s.Base != nil && s.Cmd == s.Base.Cmd {
			s.Cmd = nil // an ENTRYPOINT forgets the CMD that it inherits
		}
	case *instructions.CmdCommand:
		s.Cmd = &Exec{at, c.CmdLine, c.PrependShell}
	case *instructions.HealthCheckCommand:
		kind, args := c.Health.Test[0], c.Health.Test[1:]
		if kind == "NONE" {
			args = []string{"NONE"}
		}
		s.HealthCheck = &Exec{at, args, kind == "CMD-SHELL"}
	case *instructions.CopyCommand:
		b.copy(s, at, c.SourcesAndDest, c.From, c.ExcludePatterns, c.Parents)
	case *instructions.AddCommand:
		b.copy(s, at, c.SourcesAndDest, "", c.ExcludePatterns, false)
	case *instructions.RunCommand:
		b.run(s, at, c)
	}
}

// asWritten keeps the key-value pairs of an instruction before their expansion: a literal secret and a variable are told apart by it.
func asWritten(command instructions.Command) instructions.KeyValuePairs {
	switch c := command.(type) {
	case *instructions.EnvCommand:
		return slices.Clone(c.Env)
	case *instructions.LabelCommand:
		return slices.Clone(c.Labels)
	}
	return nil
}

// Lookup finds the file that starts when a container of s is told to run name.
func (s *Stage) Lookup(name string) (File, bool) {
	if strings.Contains(name, "/") {
		f, ok := s.Files[s.abs(name)]
		return f, ok
	}
	for dir := range strings.SplitSeq(s.Env["PATH"], ":") {
		if f, ok := s.Files[path.Join(dir, name)]; ok {
			return f, ok
		}
	}
	return File{}, false
}

func (s *Stage) abs(name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join("/", s.WorkDir, name)
}

func line(ranges []parser.Range) int {
	if len(ranges) == 0 {
		return 0
	}
	return ranges[0].Start.Line
}
