package dockerbuild

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// GoBuild is one program that `go build` or `go install` wrote.
type GoBuild struct {
	Line     int
	Command  Command
	Package  string // its directory below the module's root: cmd/notes
	Output   string
	Stage    *Stage
	Platform string // os/arch that it was built for
	Step     *Step
}

// Flag is the value of one of the go command's flags, Flag("ldflags"), be it in its line or in GOFLAGS.
func (g *GoBuild) Flag(name string) string {
	if value, ok := goFlags(g.Command.Args[2:]).values[name]; ok {
		return value
	}
	return goFlags(strings.Fields(g.Command.Env["GOFLAGS"])).values[name]
}

// ModuleCache is where the go command of this environment keeps modules.
func (c Command) ModuleCache() string {
	if dir := c.Env["GOMODCACHE"]; dir != "" {
		return path.Clean(dir)
	}
	gopath := c.Env["GOPATH"]
	if gopath == "" {
		gopath = path.Join(c.Env["HOME"], "go")
	}
	return path.Join(gopath, "pkg/mod")
}

// IsDownload tells whether the command is `go mod download`.
func (c Command) IsDownload() bool {
	return len(c.Args) > 2 && path.Base(c.Args[0]) == "go" && c.Args[1] == "mod" && c.Args[2] == "download"
}

// run does what RUN does, as far as one can tell without running it.
func (b *Build) run(s *Stage, at int, c *instructions.RunCommand) {
	step := Step{Line: at, Files: maps.Clone(s.Files), Inputs: maps.Clone(s.inputs), Args: maps.Clone(s.Args)}
	for _, m := range instructions.GetMounts(c) {
		mount := *m
		if mount.Type == instructions.MountTypeSecret && mount.Target == "" && mount.Env == nil {
			mount.Target = path.Join("/run/secrets", path.Base(mount.CacheID+mount.Source))
		}
		if mount.Target != "" {
			mount.Target = s.abs(mount.Target)
		}
		step.Mounts = append(step.Mounts, &mount)
		b.mount(s, &step, &mount)
	}
	env := map[string]string{"HOME": "/root"}
	maps.Copy(env, s.Args)
	maps.Copy(env, s.Env)
	if c.PrependShell {
		step.Text = script(c)
		commands, err := shellCommands(step.Text, env, s.WorkDir)
		if err != nil {
			b.problem(at, "RUN: %v", err)
		}
		step.Commands = commands
		if !s.Shell {
			b.problem(at, "RUN needs a shell, and %s holds none", s.Root().Image)
		}
	} else {
		step.Text = strings.Join(c.CmdLine, " ")
		step.Commands = []Command{{Args: c.CmdLine, Env: env, Dir: s.WorkDir}}
	}
	s.Steps = append(s.Steps, step)
	for _, command := range step.Commands {
		b.goCommand(s, &step, command)
	}
}

// script is what the shell is given: the line, and the here-documents below it.
func script(c *instructions.RunCommand) string {
	text := strings.Join(c.CmdLine, " ")
	if len(c.Files) == 1 && strings.HasPrefix(text, "<<") && !strings.ContainsAny(text, " \t") {
		return c.Files[0].Data // RUN <<EOF: the document is the script
	}
	for _, file := range c.Files {
		text += "\n" + file.Data + file.Name
	}
	return text
}

// mount shows a step what a --mount=type=bind shows it.
func (b *Build) mount(s *Stage, step *Step, m *instructions.Mount) {
	var files map[string]File
	switch {
	case m.From != "":
		origin := b.from(m.From)
		s.Used = append(s.Used, Use{Line: step.Line, From: origin, Path: path.Join("/", m.Source)})
		maps.Copy(step.Inputs, origin.inputs)
		files = origin.Files
	case m.Type == instructions.MountTypeBind:
		files = b.contextFiles()
	default:
		return
	}
	if m.Target == "/" || m.Target == "" {
		b.problem(step.Line, "--mount: %q is no valid target", m.Target)
		return
	}
	seen := Stage{Files: step.Files, WorkDir: "/"}
	none := destination{s: &seen, path: m.Target}
	if !none.copy(files, path.Join("/", m.Source), nothing, false, step.Inputs) && m.From == "" {
		b.problem(step.Line, "the build context holds no %s (or .dockerignore keeps it out)", m.Source)
	}
}

// goCommand notes what a go command leaves behind: modules, programs, settings.
func (b *Build) goCommand(s *Stage, step *Step, c Command) {
	if len(c.Args) < 2 || path.Base(c.Args[0]) != "go" {
		return
	}
	for k, v := range s.goenv { // what `go env -w` wrote counts where the environment says nothing
		if _, ok := c.Env[k]; !ok {
			c.Env[k] = v
		}
	}
	switch c.Args[1] {
	case "env":
		if slices.Contains(c.Args, "-w") {
			for _, arg := range c.Args[2:] {
				if k, v, ok := strings.Cut(arg, "="); ok {
					s.goenv[k] = v
				}
			}
		}
	case "mod":
		if c.IsDownload() && !step.Cached(c.ModuleCache()) {
			s.Files[path.Join(c.ModuleCache(), "cache/download")] = File{Modules: true}
		}
	case "build", "install":
		b.goBuild(s, step, c)
	}
}

// Cached tells whether a cache mount covers dir: what is written there is not in the layer.
func (s *Step) Cached(dir string) bool {
	for _, m := range s.Mounts {
		if m.Type == instructions.MountTypeCache && (dir == m.Target || strings.HasPrefix(dir, m.Target+"/")) {
			return true
		}
	}
	return false
}

func (b *Build) goBuild(s *Stage, step *Step, c Command) {
	flags := goFlags(c.Args[2:])
	dir := c.Dir
	if to := flags.values["C"]; to != "" {
		dir = join(dir, to)
	}
	root := dir
	for root != "/" {
		if _, ok := step.Files[path.Join(root, "go.mod")]; ok {
			break
		}
		root = path.Dir(root)
	}
	modfile, ok := step.Files[path.Join(root, "go.mod")]
	if !ok {
		b.problem(step.Line, "go %s runs in %s, where no go.mod lies", c.Args[1], dir)
		return
	}
	packages := b.packages(step, root, dir, b.modulePath(modfile), flags.args)
	if len(packages) == 0 {
		b.problem(step.Line, "go %s %s finds no main package", c.Args[1], strings.Join(flags.args, " "))
	}
	goos, goarch, _ := strings.Cut(s.Platform, "/")
	goarch, _, _ = strings.Cut(goarch, "/")
	if c.Env["GOOS"] != "" {
		goos = c.Env["GOOS"]
	}
	if c.Env["GOARCH"] != "" {
		goarch = c.Env["GOARCH"]
	}
	for _, pkg := range packages {
		g := &GoBuild{Line: step.Line, Command: c, Package: pkg, Stage: s, Platform: goos + "/" + goarch, Step: step}
		g.Output = output(c, flags, s, dir, programName(pkg, b.modulePath(modfile)))
		s.Files[g.Output] = File{Built: g}
	}
}

// output is where the program of a package goes.
func output(c Command, flags flagSet, s *Stage, dir, name string) string {
	if c.Args[1] == "install" {
		bin := c.Env["GOBIN"]
		if bin == "" {
			bin = path.Join(c.Env["GOPATH"], "bin")
		}
		return join(bin, name)
	}
	out, ok := flags.values["o"]
	if !ok {
		return join(dir, name)
	}
	target := join(dir, out)
	if strings.HasSuffix(out, "/") || out == "." || s.holdsBelow(target) || target == s.WorkDir {
		return join(target, name)
	}
	return target
}

// packages are the directories, below the module's root, of the main packages that the arguments name.
func (b *Build) packages(step *Step, root, dir, module string, args []string) []string {
	if len(args) == 0 {
		args = []string{"."}
	}
	var found []string
	for _, main := range b.mains(step, root) {
		for _, arg := range args {
			at := join(dir, arg)
			if rest, ok := strings.CutPrefix(arg, module); ok && (rest == "" || rest[0] == '/') {
				at = path.Join(root, rest)
			}
			pattern, deep := strings.CutSuffix(at, "/...")
			here := path.Join(root, main)
			isFile := strings.HasSuffix(arg, ".go") && path.Dir(at) == here
			if here == at || isFile || deep && (here == pattern || strings.HasPrefix(here, strings.TrimSuffix(pattern, "/")+"/")) {
				found = append(found, main)
				break
			}
		}
	}
	return found
}

// mains are the directories of the main packages that a step sees below root.
func (b *Build) mains(step *Step, root string) []string {
	dirs := map[string]bool{}
	for name, f := range step.Files {
		rel, below := strings.CutPrefix(name, strings.TrimSuffix(root, "/")+"/")
		if below && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && strings.Contains(b.read(f), "package main\n") {
			dirs[path.Dir(rel)] = true
		}
	}
	return slices.Sorted(maps.Keys(dirs))
}

func (b *Build) modulePath(modfile File) string {
	for text := range strings.Lines(b.read(modfile)) {
		if module, ok := strings.CutPrefix(strings.TrimSpace(text), "module "); ok {
			return strings.TrimSpace(module)
		}
	}
	return ""
}

func programName(pkg, module string) string {
	if pkg == "." {
		return path.Base(module)
	}
	return path.Base(pkg)
}

func join(dir, name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(dir, name)
}
