package dockerbuild

import (
	"io"
	"io/fs"
	"maps"
	"strings"

	"github.com/moby/patternmatcher"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// Command is one command of a RUN, with its words expanded.
type Command struct {
	Args []string
	Env  map[string]string // what it finds in its environment
	Dir  string            // where it runs
}

// shellCommands lists the commands of a script in the order in which they stand, each with the environment and the directory that the
// lines before it left. Branches are all taken once; what a command substitution prints is not known and counts as nothing.
func shellCommands(script string, env map[string]string, dir string) ([]Command, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), "")
	if err != nil {
		return nil, err
	}
	w := &walker{env: maps.Clone(env), local: map[string]string{}, dir: dir}
	w.stmts(file.Stmts)
	return w.commands, nil
}

type walker struct {
	env      map[string]string // exported
	local    map[string]string // set, not exported
	dir      string
	commands []Command
}

func (w *walker) stmts(list []*syntax.Stmt) {
	for _, s := range list {
		w.command(s.Cmd)
	}
}

func (w *walker) command(c syntax.Command) {
	switch c := c.(type) {
	case *syntax.CallExpr:
		w.call(c)
	case *syntax.BinaryCmd:
		w.command(c.X.Cmd)
		w.command(c.Y.Cmd)
	case *syntax.DeclClause:
		w.declare(c)
	case *syntax.Block:
		w.stmts(c.Stmts)
	case *syntax.Subshell:
		inner := &walker{env: maps.Clone(w.env), local: maps.Clone(w.local), dir: w.dir}
		inner.stmts(c.Stmts)
		w.commands = append(w.commands, inner.commands...)
	case *syntax.IfClause:
		for ; c != nil; c = c.Else {
			w.stmts(c.Cond)
			w.stmts(c.Then)
		}
	case *syntax.ForClause:
		w.stmts(c.Do)
	case *syntax.WhileClause:
		w.stmts(c.Cond)
		w.stmts(c.Do)
	case *syntax.CaseClause:
		for _, item := range c.Items {
			w.stmts(item.Stmts)
		}
	case *syntax.TimeClause:
		if c.Stmt != nil {
			w.command(c.Stmt.Cmd)
		}
	}
}

// call notes a simple command: NAME=value … word word.
func (w *walker) call(c *syntax.CallExpr) {
	args := w.fields(c.Args)
	if len(args) == 0 {
		for _, a := range c.Assigns {
			w.set(a, w.env[a.Name.Value] != "")
		}
		return
	}
	env := maps.Clone(w.env)
	for _, a := range c.Assigns {
		env[a.Name.Value] = w.value(a)
	}
	args = throughEnv(args, env)
	if len(args) > 1 && args[0] == "cd" {
		w.dir = join(w.dir, args[len(args)-1])
	}
	if len(args) > 0 {
		w.commands = append(w.commands, Command{Args: args, Env: env, Dir: w.dir})
	}
}

// throughEnv takes off the commands that only start another one: `env A=b go build`, `exec go build`.
func throughEnv(args []string, env map[string]string) []string {
	for len(args) > 0 && (args[0] == "env" || args[0] == "exec" || args[0] == "command" || args[0] == "time") {
		isEnv := args[0] == "env"
		args = args[1:]
		for isEnv && len(args) > 0 {
			k, v, ok := strings.Cut(args[0], "=")
			if !ok {
				break
			}
			env[k] = v
			args = args[1:]
		}
	}
	return args
}

func (w *walker) declare(c *syntax.DeclClause) {
	for _, a := range c.Args {
		if a.Name != nil && (!a.Naked || w.local[a.Name.Value] != "") {
			w.set(a, c.Variant.Value == "export")
		}
	}
}

func (w *walker) set(a *syntax.Assign, export bool) {
	value := w.local[a.Name.Value]
	if !a.Naked {
		value = w.value(a)
	}
	w.local[a.Name.Value] = value
	if export {
		w.env[a.Name.Value] = value
	}
}

func (w *walker) value(a *syntax.Assign) string {
	if a.Value == nil {
		return ""
	}
	out, err := expand.Literal(w.config(), a.Value)
	if err != nil {
		return ""
	}
	return out
}

func (w *walker) fields(words []*syntax.Word) []string {
	out, err := expand.Fields(w.config(), words...)
	if err != nil {
		return nil
	}
	return out
}

func (w *walker) config() *expand.Config {
	return &expand.Config{
		Env: expand.FuncEnviron(func(name string) string {
			if v, ok := w.local[name]; ok {
				return v
			}
			return w.env[name]
		}),
		CmdSubst: func(io.Writer, *syntax.CmdSubst) error { return nil },
	}
}

var nothing, _ = patternmatcher.New(nil)

// read is the text of a file of the context.
func (b *Build) read(f File) string {
	if f.Context == "" {
		return ""
	}
	text, err := fs.ReadFile(b.context, f.Context)
	if err != nil {
		return ""
	}
	return string(text)
}

type flagSet struct {
	values map[string]string
	args   []string
}

// goFlags splits the arguments of go build and go install.
func goFlags(args []string) flagSet {
	set := flagSet{values: map[string]string{}}
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "-")
		if !isFlag {
			set.args = args[i:]
			break
		}
		name = strings.TrimPrefix(name, "-")
		name, value, inline := strings.Cut(name, "=")
		if !inline && takesValue[name] && i+1 < len(args) {
			i++
			value = args[i]
		}
		set.values[name] = value
	}
	return set
}

var takesValue = map[string]bool{
	"C": true, "asmflags": true, "buildmode": true, "compiler": true, "covermode": true, "coverpkg": true, "gccgoflags": true,
	"gcflags": true, "installsuffix": true, "ldflags": true, "mod": true, "modfile": true, "o": true, "overlay": true, "p": true,
	"pgo": true, "pkgdir": true, "tags": true, "toolexec": true,
}
