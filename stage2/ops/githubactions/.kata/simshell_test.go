package githubactions_test

import (
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// A shell follows a script: it expands words as bash does, and instead of starting programs it tells which would be started.
type shell struct {
	vars     map[string]string
	dir      string
	errexit  bool
	pipefail bool
	// program is told of each program that would be started, and says whether it succeeds.
	program func(args []string, env map[string]string, dir string) bool
	// strange is what this shell cannot follow, also in a subshell.
	strange *string
	exited  bool
	status  bool
}

// run tells whether the script succeeds.
func (s *shell) run(script string) bool {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), "")
	if err != nil {
		// bash runs what stands in front of the error; here it is enough that the script fails.
		*s.strange = fmt.Sprintf("bash cannot read the script: %v", err)
		return false
	}
	s.status = true
	s.list(file.Stmts, true)
	return s.status
}

func (s *shell) list(stmts []*syntax.Stmt, guard bool) bool {
	ok := true
	for _, stmt := range stmts {
		if s.exited {
			return s.status
		}
		ok = s.stmt(stmt, guard)
		s.status = ok
	}
	return ok
}

// stmt runs a statement; guard says that a failure ends the script, as set -e has it.
func (s *shell) stmt(stmt *syntax.Stmt, guard bool) bool {
	for _, r := range stmt.Redirs {
		if r.Word != nil {
			s.fields(r.Word)
		}
	}
	if stmt.Background {
		// Nobody waits for it, so nobody learns how it ends.
		s.sub().command(stmt.Cmd, false)
		return true
	}
	ok := s.command(stmt.Cmd, guard && !stmt.Negated)
	if stmt.Negated {
		return !ok
	}
	list, isBinary := stmt.Cmd.(*syntax.BinaryCmd)
	isList := isBinary && (list.Op == syntax.AndStmt || list.Op == syntax.OrStmt)
	if !ok && guard && s.errexit && !isList && !s.exited {
		s.exited, s.status = true, false
	}
	return ok
}

func (s *shell) command(c syntax.Command, guard bool) bool {
	switch c := c.(type) {
	case nil:
		return true
	case *syntax.CallExpr:
		return s.call(c)
	case *syntax.DeclClause:
		for _, a := range c.Args {
			s.assign(s.vars, a)
		}
		return true
	case *syntax.Block:
		return s.list(c.Stmts, guard)
	case *syntax.Subshell:
		return s.sub().list(c.Stmts, guard)
	case *syntax.IfClause:
		for ; c != nil; c = c.Else {
			if len(c.Cond) == 0 || s.list(c.Cond, false) {
				return s.list(c.Then, guard)
			}
		}
		return true
	case *syntax.BinaryCmd:
		switch c.Op {
		case syntax.AndStmt:
			// Only the last command of a list ends the script.
			return s.stmt(c.X, false) && s.last(c.Y, guard)
		case syntax.OrStmt:
			return s.stmt(c.X, false) || s.last(c.Y, guard)
		}
		left := s.sub().stmt(c.X, false)
		right := s.sub().stmt(c.Y, false)
		return right && (left || !s.pipefail)
	}
	*s.strange = fmt.Sprintf("%T: only plain commands, lists, pipes and if are followed here", c)
	return true
}

func (s *shell) last(stmt *syntax.Stmt, guard bool) bool {
	ok := s.stmt(stmt, guard)
	if !ok && guard && s.errexit && !s.exited {
		s.exited, s.status = true, false
	}
	return ok
}

// sub is a subshell: what it sets or enters, it does for itself.
func (s *shell) sub() *shell {
	c := *s
	c.vars = maps.Clone(s.vars)
	return &c
}

func (s *shell) call(c *syntax.CallExpr) bool {
	args := s.fields(c.Args...)
	if len(args) == 0 {
		for _, a := range c.Assigns {
			s.assign(s.vars, a)
		}
		return true
	}
	switch args[0] {
	case "cd":
		if len(args) > 1 {
			s.dir = join(s.dir, args[1])
		}
		return true
	case "set":
		s.set(args[1:])
		return true
	case "exit":
		s.exited, s.status = true, len(args) < 2 || args[1] == "0"
		return s.status
	case "false":
		return false
	case "true", ":", "echo", "printf", "mkdir", "tee", "cat":
		return true
	case "test", "[":
		return s.test(args[1:])
	}
	env := maps.Clone(s.vars)
	for _, a := range c.Assigns {
		s.assign(env, a)
	}
	args, dir := unwrap(args, env, s.dir)
	if len(args) == 0 {
		return true
	}
	return s.program(args, env, dir)
}

// unwrap finds the program behind env and timeout, and the folder that -C tells go or govulncheck to go to.
func unwrap(args []string, env map[string]string, dir string) ([]string, string) {
	switch {
	case len(args) > 2 && args[0] == "timeout" && !strings.HasPrefix(args[1], "-"):
		return unwrap(args[2:], env, dir)
	case args[0] == "env":
		rest := args[1:]
		for len(rest) > 0 && strings.Contains(rest[0], "=") {
			name, value, _ := strings.Cut(rest[0], "=")
			env[name] = value
			rest = rest[1:]
		}
		if len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
			return unwrap(rest, env, dir)
		}
	case len(args) > 3 && (args[0] == "go" || args[0] == "govulncheck") && args[1] == "-C":
		return append([]string{args[0]}, args[3:]...), join(dir, args[2])
	}
	return args, dir
}

func (s *shell) set(args []string) {
	for i, a := range args {
		on := strings.HasPrefix(a, "-")
		switch {
		case a == "pipefail" && i > 0:
			s.pipefail = strings.HasPrefix(args[i-1], "-")
		case !strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "+"):
		case strings.Contains(a, "e"):
			s.errexit = on
		}
	}
}

func (s *shell) test(args []string) bool {
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "]" })
	switch {
	case len(args) == 2 && args[0] == "-n":
		return args[1] != ""
	case len(args) == 2 && args[0] == "-z":
		return args[1] == ""
	case len(args) == 3 && (args[1] == "=" || args[1] == "=="):
		return args[0] == args[2]
	case len(args) == 3 && args[1] == "!=":
		return args[0] != args[2]
	}
	return len(args) == 1 && args[0] != ""
}

func (s *shell) assign(vars map[string]string, a *syntax.Assign) {
	if a.Name == nil || a.Naked {
		return
	}
	value := ""
	if a.Value != nil {
		value, _ = expand.Literal(s.config(), a.Value)
	}
	vars[a.Name.Value] = value
}

func (s *shell) fields(words ...*syntax.Word) []string {
	out, err := expand.Fields(s.config(), words...)
	if err != nil {
		*s.strange = err.Error()
	}
	return out
}

func (s *shell) config() *expand.Config {
	var pairs []string
	for name, value := range s.vars {
		pairs = append(pairs, name+"="+value)
	}
	return &expand.Config{
		Env: expand.ListEnviron(pairs...),
		CmdSubst: func(_ io.Writer, c *syntax.CmdSubst) error {
			s.sub().list(c.Stmts, false)
			return nil
		},
	}
}

// join is where a path leads from a folder.
func join(dir, name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(dir, name)
}
