package githubactions_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
)

// repository is what a checkout brings, as far as anybody asks.
var repository = []string{"server/go.mod", "server/go.sum", "server/cmd/notes/main.go", "scripts/check-title", "README.md"}

const workspace = "/home/runner/work/notes/notes"

// A happening is something that GitHub tells workflows about.
type happening struct {
	name              string // pull_request, push, …
	ref, head, branch string // the ref; a pull request's branch in the fork, and the branch it is for
	number            int
	title, sha, id    string
	failing           string // the program that fails: test, vuln or title
}

func (h happening) String() string {
	if h.name == "pull_request" {
		return fmt.Sprintf("pull request #%d", h.number)
	}
	return h.name + " of " + h.ref
}

func (h happening) isTag() bool { return strings.HasPrefix(h.ref, "refs/tags/") }

// Titles and branches are chosen by whoever opens a pull request.
const (
	evilTitle  = `fix "quotes" and 'ticks'; pwned-by-semicolon $(pwned-by-substitution) $HOME * #`
	evilBranch = "a\";pwned-by-branch;\"$(pwned-by-branch)"
)

func pullRequest() happening {
	return happening{name: "pull_request", ref: "refs/pull/7/merge", head: evilBranch, branch: "main", number: 7, title: evilTitle, sha: "aaaa", id: "100"}
}

func pushTo(ref string) happening {
	return happening{name: "push", ref: ref, sha: "bbbb", id: "200"}
}

func (h happening) with(failing string) happening { h.failing = failing; return h }

// github is the context of that name.
func (h happening) github() object {
	kind, short := "branch", strings.TrimPrefix(strings.TrimPrefix(h.ref, "refs/heads/"), "refs/pull/")
	if h.isTag() {
		kind, short = "tag", strings.TrimPrefix(h.ref, "refs/tags/")
	}
	event := object{"ref": h.ref, "after": h.sha, "repository": object{"full_name": "acme/notes", "default_branch": "main", "fork": false}}
	if h.name == "pull_request" {
		event = object{"number": float64(h.number), "action": "synchronize", "repository": event["repository"], "pull_request": object{
			"number": float64(h.number), "title": h.title, "draft": false,
			"head": object{"ref": h.head, "sha": h.sha, "label": "mallory:" + h.head, "repo": object{"full_name": "mallory/notes", "fork": true}},
			"base": object{"ref": h.branch, "repo": object{"full_name": "acme/notes", "fork": false}},
		}}
	}
	return object{
		"event_name": h.name, "ref": h.ref, "ref_name": short, "ref_type": kind, "head_ref": h.head, "base_ref": h.branch, "sha": h.sha,
		"run_id": h.id, "run_number": h.id, "run_attempt": "1", "repository": "acme/notes", "repository_owner": "acme", "workflow": "ci",
		"actor": "mallory", "workspace": workspace, "token": "***", "server_url": "https://github.com", "event": event,
	}
}

// A step is one that ran: a program that was started, or an action that was used.
type step struct {
	job    string
	matrix object
	runner string
	line   int
	args   []string
	env    map[string]string
	dir    string
	action string // without version
	with   map[string]string
	failed bool
}

func (s step) program() bool { return s.action == "" }

// An outcome is what became of a run.
type outcome struct {
	started bool
	steps   []step
	results map[string]string
	ok      bool
	// strange is what could not be followed.
	strange []string
}

// in are the steps of a job's one run: with the same job and the same matrix.
func (o outcome) in(s step) (all []step) {
	for _, other := range o.steps {
		if other.job == s.job && maps.Equal(toStrings(other.matrix), toStrings(s.matrix)) {
			all = append(all, other)
		}
	}
	return all
}

func toStrings(o object) map[string]string {
	m := map[string]string{}
	for k, v := range o {
		m[k] = toString(v)
	}
	return m
}

// read is the learner's workflow, as text and as actionlint sees it.
func read(t *testing.T) ([]byte, *actionlint.Workflow) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(os.Getenv("ROADKATA_FILES"), "ci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	w, errs := actionlint.Parse(text)
	if w == nil || len(w.Jobs) == 0 {
		t.Fatalf("ci.yml is no workflow: %v", errs)
	}
	return text, w
}

// A simulation runs a workflow for a happening.
type simulation struct {
	w *actionlint.Workflow
	h happening
	o outcome
}

// simulate tells what would happen.
func simulate(t *testing.T, h happening) outcome {
	t.Helper()
	_, w := read(t)
	s := &simulation{w, h, outcome{results: map[string]string{}, ok: true}}
	s.o.started = s.triggered()
	if !s.o.started {
		return s.o
	}
	for done := true; done; {
		done = false
		for _, id := range slices.Sorted(maps.Keys(w.Jobs)) {
			if s.o.results[id] == "" && s.ready(w.Jobs[id]) {
				s.o.results[id] = s.job(id, w.Jobs[id])
				done = true
			}
		}
	}
	return s.o
}

// triggered tells whether the workflow listens to what happens.
func (s *simulation) triggered() bool {
	for _, e := range s.w.On {
		hook, ok := e.(*actionlint.WebhookEvent)
		if !ok || hook.Hook.Value != s.h.name {
			continue
		}
		if s.h.name == "pull_request" {
			types := hook.Types
			return selects(hook.Branches, hook.BranchesIgnore, s.h.branch) && hook.Paths == nil && hook.PathsIgnore == nil &&
				(len(types) == 0 || slices.ContainsFunc(types, func(t *actionlint.String) bool { return t.Value == "synchronize" }))
		}
		if tag, ok := strings.CutPrefix(s.h.ref, "refs/tags/"); ok {
			// A filter for branches alone leaves tags out, and the other way round.
			if hook.Tags == nil && hook.TagsIgnore == nil && (hook.Branches != nil || hook.BranchesIgnore != nil) {
				return false
			}
			return selects(hook.Tags, hook.TagsIgnore, tag)
		}
		if hook.Branches == nil && hook.BranchesIgnore == nil && (hook.Tags != nil || hook.TagsIgnore != nil) {
			return false
		}
		return selects(hook.Branches, hook.BranchesIgnore, strings.TrimPrefix(s.h.ref, "refs/heads/")) && hook.Paths == nil && hook.PathsIgnore == nil
	}
	return false
}

func selects(only, ignore *actionlint.WebhookEventFilter, name string) bool {
	if ignore != nil && len(ignore.Values) > 0 {
		return !slices.ContainsFunc(ignore.Values, func(p *actionlint.String) bool { return glob(p.Value, name) })
	}
	if only == nil || len(only.Values) == 0 {
		return true
	}
	selected := false
	for _, p := range only.Values {
		if pattern, not := strings.CutPrefix(p.Value, "!"); not {
			selected = selected && !glob(pattern, name)
		} else {
			selected = selected || glob(pattern, name)
		}
	}
	return selected
}

// glob matches as filters and hashFiles do: * within a folder, ** across, ? for an optional character before, + for one or more, [] for a set.
func glob(pattern, name string) bool {
	var re strings.Builder
	pattern = strings.TrimPrefix(pattern, "./")
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case strings.HasPrefix(pattern[i:], "**/"):
			re.WriteString("(.*/)?")
			i += 2
		case strings.HasPrefix(pattern[i:], "**"):
			re.WriteString(".*")
			i++
		case c == '*':
			re.WriteString("[^/]*")
		case strings.IndexByte("?+[]", c) >= 0:
			re.WriteByte(c)
		case c == '-' && strings.Contains(pattern[:i], "["):
			re.WriteByte(c)
		default:
			re.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	matches, err := regexp.MatchString("^"+re.String()+"$", name)
	return err == nil && matches
}

func (s *simulation) ready(j *actionlint.Job) bool {
	for _, n := range j.Needs {
		if s.o.results[strings.ToLower(n.Value)] == "" {
			return false
		}
	}
	return true
}

// scope is what the expressions of a job see before it has begun.
func (s *simulation) scope(j *actionlint.Job) *scope {
	needs := object{}
	sc := &scope{contexts: object{
		"github": s.h.github(), "needs": needs, "vars": object{}, "inputs": object{}, "env": object{},
		"secrets": object{"GITHUB_TOKEN": "***"},
	}}
	for _, n := range j.Needs {
		needs[n.Value] = object{"result": s.o.results[strings.ToLower(n.Value)], "outputs": object{}}
	}
	// A failure or a skip reaches through the whole chain of needs, even through a job that ran all the same.
	for id := range s.ancestors(j) {
		sc.failed = sc.failed || s.o.results[id] == "failure"
		sc.skipped = sc.skipped || s.o.results[id] == "skipped"
	}
	return sc
}

// ancestors are the jobs that a job needs, and those that they need.
func (s *simulation) ancestors(j *actionlint.Job) map[string]bool {
	all := map[string]bool{}
	for _, n := range j.Needs {
		id := strings.ToLower(n.Value)
		all[id] = true
		maps.Copy(all, s.ancestors(s.w.Jobs[id]))
	}
	return all
}

// job runs a job, once for each combination of its matrix.
func (s *simulation) job(id string, j *actionlint.Job) string {
	if sc := s.scope(j); !sc.holds(j.If) {
		return "skipped"
	}
	result := "success"
	for _, m := range s.combinations(j) {
		sc := s.scope(j)
		sc.contexts["matrix"] = m
		sc.failed, sc.skipped = false, false
		if !s.steps(id, j, m, sc) {
			result = "failure"
			if !isTrue(sc, j.ContinueOnError) {
				s.o.ok = false
			}
		}
	}
	if result == "failure" && isTrue(s.scope(j), j.ContinueOnError) {
		return "success"
	}
	return result
}

// combinations are the rows of the matrix, multiplied.
func (s *simulation) combinations(j *actionlint.Job) []object {
	if j.Strategy == nil || j.Strategy.Matrix == nil {
		return []object{{}}
	}
	m, sc := j.Strategy.Matrix, s.scope(j)
	all := []object{{}}
	for _, name := range slices.Sorted(maps.Keys(m.Rows)) {
		row := m.Rows[name]
		var values []any
		if row.Expression != nil {
			values, _ = sc.value(row.Expression.Value).([]any)
		}
		for _, v := range row.Values {
			values = append(values, raw(sc, v))
		}
		var next []object
		for _, o := range all {
			for _, v := range values {
				with := maps.Clone(o)
				with[row.Name.Value] = v
				next = append(next, with)
			}
		}
		all = next
	}
	if m.Exclude != nil {
		for _, c := range m.Exclude.Combinations {
			all = slices.DeleteFunc(all, func(o object) bool { return agrees(sc, o, c, false) })
		}
	}
	if m.Include == nil {
		return all
	}
	if len(m.Rows) == 0 {
		all = nil
	}
	rows := len(all)
	for _, c := range m.Include.Combinations {
		extended := false
		for _, o := range all[:rows] {
			if agrees(sc, o, c, true) {
				extended = true
				for _, a := range c.Assigns {
					o[a.Key.Value] = raw(sc, a.Value)
				}
			}
		}
		if !extended {
			o := object{}
			for _, a := range c.Assigns {
				o[a.Key.Value] = raw(sc, a.Value)
			}
			all = append(all, o)
		}
	}
	return all
}

// agrees tells whether a combination has the values that are given; lenient, what it has no value for is no matter.
func agrees(sc *scope, o object, c *actionlint.MatrixCombination, lenient bool) bool {
	for _, a := range c.Assigns {
		have, ok := o[a.Key.Value]
		if !ok && lenient {
			continue
		}
		if toString(have) != toString(raw(sc, a.Value)) {
			return false
		}
	}
	return true
}

func raw(sc *scope, v actionlint.RawYAMLValue) any {
	switch v := v.(type) {
	case *actionlint.RawYAMLString:
		return sc.value(v.Value)
	case *actionlint.RawYAMLArray:
		var list []any
		for _, e := range v.Elems {
			list = append(list, raw(sc, e))
		}
		return list
	case *actionlint.RawYAMLObject:
		o := object{}
		for k, e := range v.Props {
			o[k] = raw(sc, e)
		}
		return o
	}
	return nil
}

func isTrue(sc *scope, b *actionlint.Bool) bool {
	if b == nil {
		return false
	}
	if b.Expression != nil {
		return truthy(sc.value(b.Expression.Value))
	}
	return b.Value
}

// steps runs the steps of one run of a job, and tells whether it succeeds.
func (s *simulation) steps(id string, j *actionlint.Job, m object, sc *scope) bool {
	runner := ""
	if j.RunsOn != nil {
		for _, l := range j.RunsOn.Labels {
			runner = strings.TrimSpace(runner + " " + sc.interpolate(l.Value))
		}
		if j.RunsOn.LabelsExpr != nil {
			runner = toString(sc.value(j.RunsOn.LabelsExpr.Value))
		}
	}
	system := map[bool]string{true: "macOS", false: "Linux"}[strings.HasPrefix(runner, "macos")]
	sc.contexts["runner"] = object{"os": system, "temp": "/home/runner/work/_temp", "arch": "X64"}
	sc.contexts["job"] = object{"status": "success"}
	sc.contexts["strategy"] = object{}
	seen := object{}
	sc.contexts["steps"] = seen
	base := map[string]string{"HOME": "/home/runner", "GITHUB_WORKSPACE": workspace, "RUNNER_TEMP": "/home/runner/work/_temp", "GITHUB_ENV": "/env", "GITHUB_OUTPUT": "/output",
		"GITHUB_STEP_SUMMARY": "/summary", "GITHUB_REF": s.h.ref, "GITHUB_REF_NAME": toString(s.h.github()["ref_name"]), "GITHUB_SHA": s.h.sha,
		"GITHUB_HEAD_REF": s.h.head, "GITHUB_BASE_REF": s.h.branch, "GITHUB_EVENT_NAME": s.h.name, "RUNNER_OS": system, "CI": "true"}
	for _, e := range []*actionlint.Env{s.w.Env, j.Env} {
		add(sc, base, e)
	}
	for _, st := range j.Steps {
		env := maps.Clone(base)
		setEnv(sc, env)
		add(sc, env, st.Env)
		setEnv(sc, env)
		if !sc.holds(st.If) {
			continue
		}
		done := step{job: id, matrix: m, runner: runner, line: st.Pos.Line, env: env}
		ok := true
		switch exec := st.Exec.(type) {
		case *actionlint.ExecAction:
			ok = exec.Uses != nil && s.use(sc, done, exec)
		case *actionlint.ExecRun:
			ok = exec.Run != nil && s.script(sc, done, j, exec)
		}
		result := map[bool]string{true: "success", false: "failure"}[ok]
		forgiven := !ok && isTrue(sc, st.ContinueOnError)
		if st.ID != nil {
			conclusion := result
			if forgiven {
				conclusion = "success"
			}
			seen[st.ID.Value] = object{"outcome": result, "conclusion": conclusion, "outputs": object{}}
		}
		sc.failed = sc.failed || !ok && !forgiven
	}
	return !sc.failed
}

func setEnv(sc *scope, env map[string]string) {
	o := object{}
	for k, v := range env {
		o[k] = v
	}
	sc.contexts["env"] = o
}

func add(sc *scope, env map[string]string, e *actionlint.Env) {
	if e == nil {
		return
	}
	values := map[string]string{}
	for _, v := range e.Vars {
		if v.Value != nil {
			values[v.Name.Value] = sc.interpolate(v.Value.Value)
		}
	}
	maps.Copy(env, values)
}

func (s *simulation) use(sc *scope, done step, exec *actionlint.ExecAction) bool {
	done.action, _, _ = strings.Cut(exec.Uses.Value, "@")
	done.with = map[string]string{}
	for name, input := range exec.Inputs {
		if input.Value != nil {
			done.with[strings.ToLower(name)] = sc.interpolate(input.Value.Value)
		}
	}
	done.failed = s.h.failing == "vuln" && done.action == "golang/govulncheck-action"
	s.o.steps = append(s.o.steps, done)
	return !done.failed
}

func (s *simulation) script(sc *scope, done step, j *actionlint.Job, exec *actionlint.ExecRun) bool {
	name, dir := "", "."
	for _, d := range []*actionlint.Defaults{s.w.Defaults, j.Defaults} {
		if d != nil && d.Run != nil {
			if d.Run.Shell != nil {
				name = d.Run.Shell.Value
			}
			if d.Run.WorkingDirectory != nil {
				dir = sc.interpolate(d.Run.WorkingDirectory.Value)
			}
		}
	}
	if exec.Shell != nil {
		name = exec.Shell.Value
	}
	if exec.WorkingDirectory != nil {
		dir = sc.interpolate(exec.WorkingDirectory.Value)
	}
	sh := &shell{vars: done.env, dir: join(workspace, dir), errexit: true, pipefail: name == "bash", strange: new(string)}
	if name != "" && name != "sh" && !strings.HasPrefix(name, "bash") {
		s.o.strange = append(s.o.strange, fmt.Sprintf("ci.yml:%d: scripts for the shell %q are not followed here, want bash", done.line, name))
	}
	if strings.Contains(name, "{0}") {
		// A command line of one's own sets what it says, and nothing else.
		sh.errexit, sh.pipefail = regexp.MustCompile(` -\w*e`).MatchString(name), strings.Contains(name, "pipefail")
	}
	sh.program = func(args []string, env map[string]string, dir string) bool {
		p := done
		p.args, p.env, p.dir = args, env, dir
		p.failed = s.h.failing == "test" && isTest(args) || s.h.failing == "vuln" && isVulnCheck(args) || s.h.failing == "title" && isTitleCheck(args, dir)
		s.o.steps = append(s.o.steps, p)
		return !p.failed
	}
	ok := sh.run(sc.interpolate(exec.Run.Value))
	if *sh.strange != "" {
		s.o.strange = append(s.o.strange, fmt.Sprintf("ci.yml:%d, for a %s: %s", done.line, s.h, *sh.strange))
	}
	return ok
}

func isTest(args []string) bool { return len(args) > 1 && args[0] == "go" && args[1] == "test" }

// isVulnCheck tells whether it is govulncheck that runs, installed or by way of go run or go tool.
func isVulnCheck(args []string) bool {
	if args[0] == "go" && len(args) > 2 && (args[1] == "run" || args[1] == "tool") {
		args = args[2:]
	}
	name, _, _ := strings.Cut(args[0], "@")
	return strings.HasSuffix("/"+name, "/govulncheck")
}

func isTitleCheck(args []string, dir string) bool {
	name := args[0]
	if (name == "bash" || name == "sh") && len(args) > 1 {
		name = args[1]
	}
	return join(dir, name) == join(workspace, "scripts/check-title")
}

func fromJSON(text string) any {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return nil
	}
	return objects(v)
}

func objects(v any) any {
	switch v := v.(type) {
	case map[string]any:
		o := object{}
		for k, e := range v {
			o[k] = objects(e)
		}
		return o
	case []any:
		for i := range v {
			v[i] = objects(v[i])
		}
	}
	return v
}

func toJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}
