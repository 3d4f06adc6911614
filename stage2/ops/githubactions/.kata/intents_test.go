// A workflow of GitHub Actions, judged by actionlint and by what would happen: events are sent to it, expressions evaluated, scripts followed.
//
//kata:level 3
//kata:minutes 75
//kata:engine simulated GitHub Actions: the real actionlint, and a model that follows events, jobs, expressions and scripts; nothing runs on a runner
package githubactions_test

import (
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"

	"github.com/roadkata/roadkata/stage2/ops/githubactions"
)

// actionlint has nothing to say, and scripts are such that they can be followed.
//
//kata:zh actionlint 无话可说，脚本也都能跟着读下去。
func TestValid(t *testing.T) {
	for _, err := range lint(t) {
		if !strings.Contains(err.Message, "potentially untrusted") { // TestUntrusted looks at those
			t.Errorf("actionlint: ci.yml:%d:%d: %s", err.Line, err.Column, err.Message)
		}
	}
	_, w := read(t)
	for _, id := range slices.Sorted(maps.Keys(w.Jobs)) {
		if w.Jobs[id].WorkflowCall != nil {
			t.Errorf("ci.yml:%d: job %s calls another workflow: want all in this file", w.Jobs[id].Pos.Line, id)
		}
	}
	eachUse(t, func(_ *actionlint.Job, uses string, line int) {
		if strings.HasPrefix(uses, "./") {
			t.Errorf("ci.yml:%d: there is no action %s in the repository", line, uses)
		}
	})
	for _, h := range everything() {
		h.title, h.head = "a title", "a-branch"
		for _, what := range simulate(t, h).strange {
			t.Error(what)
		}
	}
}

func lint(t *testing.T) []*actionlint.Error {
	t.Helper()
	text, _ := read(t)
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	errs, err := linter.Lint("ci.yml", text, new(actionlint.Project))
	if err != nil {
		t.Fatal(err)
	}
	return errs
}

// eachUse visits the actions.
func eachUse(t *testing.T, visit func(j *actionlint.Job, uses string, line int)) {
	t.Helper()
	_, w := read(t)
	for _, id := range slices.Sorted(maps.Keys(w.Jobs)) {
		for _, s := range w.Jobs[id].Steps {
			if a, ok := s.Exec.(*actionlint.ExecAction); ok && a.Uses != nil {
				visit(w.Jobs[id], a.Uses.Value, a.Uses.Pos.Line)
			}
		}
	}
}

// The workflow runs for pull requests, pushes to main and version tags, once each, and for nothing that gives strangers' code its rights.
//
//kata:zh 工作流在 PR、推送 main、推送版本标签时各运行一次；不用任何会把权限交给陌生人代码的事件。
func TestTriggers(t *testing.T) {
	for _, h := range everything() {
		if !simulate(t, h).started {
			t.Errorf("nothing happens on a %s", h)
		}
	}
	for _, ref := range []string{"refs/heads/feature", "refs/heads/dependabot/go_modules/x", "refs/tags/nightly"} {
		if simulate(t, pushTo(ref)).started {
			t.Errorf("the workflow runs on a push of %s: want pushes of main and of tags v* (a branch's pull request runs it already)", ref)
		}
	}
	_, w := read(t)
	for _, e := range w.On {
		if !slices.Contains([]string{"push", "pull_request", "merge_group", "schedule", "workflow_dispatch"}, e.EventName()) {
			t.Errorf("the workflow runs on %s: what a stranger causes would run with the rights of the repository", e.EventName())
		}
	}
}

// everything is what the workflow has to deal with.
func everything() []happening {
	return []happening{pullRequest(), pushTo("refs/heads/main"), pushTo("refs/tags/v1.2.3")}
}

// The race detector watches all tests, on Linux and macOS, with both releases of Go.
//
//kata:zh 所有测试都在竞态检测器下运行：Linux 和 macOS，两个 Go 版本。
func TestRace(t *testing.T) {
	for _, h := range everything() {
		o := simulate(t, h)
		for _, system := range []string{"ubuntu", "macos"} {
			for version, alias := range map[string]string{"1.25": "oldstable", "1.26": "stable"} {
				raced := slices.ContainsFunc(o.steps, func(s step) bool {
					return s.program() && isTest(s.args) && slices.Contains(s.args, "-race") && slices.Contains(s.args, "./...") && s.inServer() && !picks(s.args) &&
						strings.HasPrefix(s.runner, system) && o.before(s, "actions/checkout") &&
						slices.ContainsFunc(o.in(s), func(g step) bool {
							given := g.with["go-version"]
							return g.action == "actions/setup-go" && g.line < s.line && (given == alias || strings.Contains(given, version))
						})
				})
				if !raced {
					t.Errorf("on a %s, no `go test -race ./...` runs in server/ on %s with Go %s", h, system, version)
				}
			}
		}
	}
}

// picks tells whether go test runs some of the tests only.
func picks(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool { return regexp.MustCompile(`^--?(run|skip|short)(=|$)`).MatchString(a) })
}

func (s step) inServer() bool { return s.dir == workspace+"/server" }

// before tells whether an action was used in front of a step, in the same job.
func (o outcome) before(s step, action string) bool {
	return slices.ContainsFunc(o.in(s), func(a step) bool { return a.action == action && a.line < s.line })
}

// govulncheck looks at the whole module every time.
//
//kata:zh govulncheck 每次都检查整个模块。
func TestVulnerabilities(t *testing.T) {
	for _, h := range everything() {
		o := simulate(t, h)
		if !slices.ContainsFunc(o.steps, func(s step) bool {
			if s.action == "golang/govulncheck-action" {
				return path.Clean(s.with["work-dir"]) == "server" && (s.with["go-package"] == "" || s.with["go-package"] == "./...")
			}
			return s.program() && isVulnCheck(s.args) && slices.Contains(s.args, "./...") && s.inServer() && o.before(s, "actions/checkout")
		}) {
			t.Errorf("on a %s, no govulncheck ./... runs in server/", h)
		}
	}
}

// A failure fails the run, and nothing is released after it.
//
//kata:zh 任何失败都使整次运行失败，之后什么也不会发布。
func TestFailures(t *testing.T) {
	what := map[string]string{"test": "a test", "vuln": "govulncheck", "title": "check-title"}
	for _, h := range everything() {
		for _, failing := range []string{"test", "vuln", "title"} {
			if failing == "title" && h.name != "pull_request" {
				continue
			}
			o := simulate(t, h.with(failing))
			if !slices.ContainsFunc(o.steps, func(s step) bool { return s.failed }) {
				continue // it does not run at all: that is for the intents beside this one
			}
			if o.ok {
				t.Errorf("%s fails on a %s, and the run succeeds all the same", what[failing], h)
			}
			for _, s := range o.steps {
				if isAttest(s) {
					t.Errorf("%s fails on a %s, and job %s attests a release all the same (ci.yml:%d)", what[failing], h, s.job, s.line)
				}
			}
		}
	}
	if o := simulate(t, pushTo("refs/tags/v1.2.3")); !o.started {
		t.Error("nothing runs on a tag, so nothing can fail")
	} else if len(o.steps) == 0 || !slices.ContainsFunc(o.steps, func(s step) bool { return s.program() && isTest(s.args) }) {
		t.Error("no test runs on a tag, so none can fail")
	}
}

func isAttest(s step) bool {
	return s.action == "actions/attest-build-provenance" || s.action == "actions/attest"
}

// The title and the branch of a pull request reach check-title as they are, and no shell takes them for a script.
//
//kata:zh PR 的标题和分支名原样传给 check-title，没有哪个 shell 会把它们当成脚本。
func TestUntrusted(t *testing.T) {
	for _, err := range lint(t) {
		if strings.Contains(err.Message, "potentially untrusted") {
			t.Errorf("actionlint: ci.yml:%d:%d: %s", err.Line, err.Column, err.Message)
		}
	}
	o := simulate(t, pullRequest())
	checked := false
	for _, s := range o.steps {
		if !s.program() {
			continue
		}
		if strings.HasPrefix(s.args[0], "pwned") {
			t.Errorf("ci.yml:%d: the title %s or the branch %s makes the shell run %q", s.line, evilTitle, evilBranch, s.args)
		}
		if !isTitleCheck(s.args, s.dir) || !o.before(s, "actions/checkout") {
			continue
		}
		if len(s.args) > 2 && slices.Equal(s.args[len(s.args)-2:], []string{evilTitle, evilBranch}) {
			checked = true
		} else {
			t.Errorf("ci.yml:%d: check-title is given %q, want the title and the branch:\n\t%q", s.line, s.args[1:], []string{evilTitle, evilBranch})
		}
	}
	if !checked && !t.Failed() {
		t.Error("scripts/check-title does not run for a pull request")
	}
	for _, h := range everything()[1:] {
		for _, s := range simulate(t, h).steps {
			if s.program() && isTitleCheck(s.args, s.dir) {
				t.Errorf("ci.yml:%d: check-title runs on a %s, which has no title", s.line, h)
			}
		}
	}
}

// Each job has the rights that it needs and no others, and leaves no token behind.
//
//kata:zh 每个 job 只有它需要的权限，也不留下令牌。
func TestPermissions(t *testing.T) {
	_, w := read(t)
	for _, id := range slices.Sorted(maps.Keys(w.Jobs)) {
		j := w.Jobs[id]
		has := rights(w, j)
		if has == nil {
			t.Errorf("ci.yml:%d: job %s has no permissions of its own, nor has the workflow: it gets whatever the repository's settings give, maybe everything", j.Pos.Line, id)
			continue
		}
		allowed := map[string]string{"contents": "read"}
		needed := map[string]string{}
		for _, s := range j.Steps {
			a, ok := s.Exec.(*actionlint.ExecAction)
			if !ok || a.Uses == nil {
				continue
			}
			switch name, _, _ := strings.Cut(a.Uses.Value, "@"); name {
			case "actions/checkout":
				needed["contents"] = "read"
				if keep := a.Inputs["persist-credentials"]; keep == nil || keep.Value == nil || keep.Value.Value != "false" {
					t.Errorf("ci.yml:%d: checkout leaves the job's token in .git/config, for every step that follows (persist-credentials)", s.Pos.Line)
				}
			case "actions/attest-build-provenance", "actions/attest":
				for _, scope := range []string{"id-token", "attestations"} {
					allowed[scope], needed[scope] = "write", "write"
				}
			}
		}
		for _, scope := range slices.Sorted(maps.Keys(has)) {
			if value := has[scope]; value != "none" && value != allowed[scope] && allowed[scope] != "write" {
				t.Errorf("ci.yml:%d: job %s may %s %s, which it does not need", j.Pos.Line, id, value, scope)
			}
		}
		for _, scope := range slices.Sorted(maps.Keys(needed)) {
			if has[scope] != needed[scope] && has[scope] != "write" {
				t.Errorf("ci.yml:%d: job %s may not %s %s, which it needs (the permissions of a job replace those of the workflow)", j.Pos.Line, id, needed[scope], scope)
			}
		}
	}
}

// rights are what a job may do, or nil if nobody says.
func rights(w *actionlint.Workflow, j *actionlint.Job) map[string]string {
	p := j.Permissions
	if p == nil {
		p = w.Permissions
	}
	if p == nil {
		return nil
	}
	if p.All != nil {
		return map[string]string{"everything": strings.TrimSuffix(p.All.Value, "-all")}
	}
	m := map[string]string{}
	for _, s := range p.Scopes {
		m[s.Name.Value] = s.Value.Value
	}
	return m
}

// What is fetched is pinned: actions by commit, images by digest, tools by version.
//
//kata:zh 取来的一切都已锁定：action 用提交，镜像用摘要，工具用版本。
func TestPinned(t *testing.T) {
	text, w := read(t)
	lines := strings.Split(string(text), "\n")
	owner := map[string]string{}
	for name, commit := range githubactions.Commits {
		owner[commit], _, _ = strings.Cut(name, " ")
	}
	eachUse(t, func(_ *actionlint.Job, uses string, line int) {
		if strings.HasPrefix(uses, "docker://") {
			if !strings.Contains(uses, "@sha256:") {
				t.Errorf("ci.yml:%d: %s is not pinned by a digest", line, uses)
			}
			return
		}
		name, commit, _ := strings.Cut(uses, "@")
		switch {
		case !regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(commit):
			t.Errorf("ci.yml:%d: %s is not pinned by a commit: who owns the tag %q decides tomorrow what runs here", line, name, commit)
		case owner[commit] != "" && owner[commit] != name:
			t.Errorf("ci.yml:%d: %s is the commit of %s, not of %s", line, commit, owner[commit], name)
		case !regexp.MustCompile(`#\s*v\d`).MatchString(lines[line-1]):
			t.Errorf("ci.yml:%d: nobody can see which version %s is: want a comment behind it (# v1.2.3)", line, commit)
		}
	})
	for _, id := range slices.Sorted(maps.Keys(w.Jobs)) {
		containers := []*actionlint.Container{w.Jobs[id].Container}
		if services := w.Jobs[id].Services; services != nil {
			for _, s := range services.Value {
				containers = append(containers, s.Container)
			}
		}
		for _, c := range containers {
			if c != nil && c.Image != nil && !strings.Contains(c.Image.Value, "@sha256:") {
				t.Errorf("ci.yml:%d: the image %s is not pinned by a digest", c.Pos.Line, c.Image.Value)
			}
		}
	}
	for _, h := range everything() {
		for _, s := range simulate(t, h).steps {
			if !s.program() || s.args[0] != "go" || len(s.args) < 3 || s.args[1] != "run" && s.args[1] != "install" {
				continue
			}
			for _, arg := range s.args[2:] {
				if _, version, ok := strings.Cut(arg, "@"); ok && !regexp.MustCompile(`^v\d+\.\d+\.\d+`).MatchString(version) {
					t.Errorf("ci.yml:%d: %s is not pinned by a version", s.line, arg)
				}
			}
		}
	}
}

// Jobs that call go find a cache that changes with server/go.sum.
//
//kata:zh 调用 go 的 job 都有缓存，并随 server/go.sum 变化。
func TestCache(t *testing.T) {
	for _, h := range everything()[:2] {
		o := simulate(t, h)
		calls, told := false, map[int]bool{} // once a line, however many combinations there are
		for _, s := range o.steps {
			if !s.program() || s.args[0] != "go" && !isVulnCheck(s.args) {
				continue
			}
			calls = true
			if !told[s.line] && !slices.ContainsFunc(o.in(s), func(c step) bool { return c.line < s.line && cached(c) }) {
				told[s.line] = true
				t.Errorf("ci.yml:%d: on a %s, `%s` finds no cache that server/go.sum is the key of (setup-go looks for go.sum at the root unless it is told where)", s.line, h, strings.Join(s.args, " "))
			}
		}
		if !calls {
			t.Errorf("on a %s, go is not called at all", h)
		}
	}
}

// cached tells whether a step brings a cache whose key changes with go.sum and is not shared between systems.
func cached(s step) bool {
	switch s.action {
	case "actions/setup-go":
		return s.with["cache"] != "false" && slices.ContainsFunc(strings.Fields(s.with["cache-dependency-path"]), func(p string) bool { return glob(p, "server/go.sum") })
	case "actions/cache":
		key := s.with["key"]
		system := "Linux"
		if strings.HasPrefix(s.runner, "macos") {
			system = "macOS"
		}
		return s.with["path"] != "" && strings.Contains(key, "<server/go.sum>") && (strings.Contains(key, system) || strings.Contains(key, s.runner))
	}
	return false
}

// A newer push to a pull request cancels the older run; nothing else is ever cancelled.
//
//kata:zh PR 有新推送时取消旧的运行；除此之外从不取消任何运行。
func TestConcurrency(t *testing.T) {
	_, w := read(t)
	if w.Concurrency == nil || w.Concurrency.Group == nil {
		t.Fatal("the workflow has no concurrency: old runs of a pull request go on while new ones wait for a runner")
	}
	group := func(h happening) (string, bool) {
		sc := &scope{contexts: object{"github": h.github(), "vars": object{}, "inputs": object{}}}
		return sc.interpolate(w.Concurrency.Group.Value), isTrue(sc, w.Concurrency.CancelInProgress)
	}
	first := pullRequest()
	second, other := first, first
	second.id, second.sha = "101", "aaab"
	// Somebody else's fork, with a branch of the same name.
	other.number, other.ref, other.id = 8, "refs/pull/8/merge", "102"
	before, _ := group(first)
	after, cancels := group(second)
	if before != after {
		t.Errorf("two runs of a pull request are in the groups %q and %q: the newer does not cancel the older", before, after)
	} else if !cancels {
		t.Error("the newer run of a pull request waits for the older, instead of cancelling it")
	}
	main, tag := pushTo("refs/heads/main"), pushTo("refs/tags/v1.2.3")
	main2, tag2 := main, pushTo("refs/tags/v1.2.4")
	main2.id, main2.sha = "201", "cccc"
	tag.id, tag2.id = "202", "203"
	for _, pair := range [][2]happening{{first, other}, {first, main}, {main, main2}, {main, tag}, {tag, tag2}} {
		a, _ := group(pair[0])
		b, cancels := group(pair[1])
		if a != b {
			continue
		}
		if cancels {
			t.Errorf("a %s cancels the run of a %s that came before it: both are in the group %q", pair[1], pair[0], a)
		} else {
			t.Errorf("a %s and a %s before it are in the same group %q: while one runs, only one may wait, and a third takes its place", pair[1], pair[0], a)
		}
	}
}

// A tag releases the program that was built, with its provenance attested, and nothing else does.
//
//kata:zh 打标签会发布构建好的程序，并为它生成来源证明；其他情况都不会。
func TestRelease(t *testing.T) {
	for _, h := range everything()[:2] {
		for _, s := range simulate(t, h).steps {
			if isAttest(s) {
				t.Errorf("ci.yml:%d: a %s attests a release", s.line, h)
			}
		}
	}
	o := simulate(t, pushTo("refs/tags/v1.2.3"))
	var build *step
	for i, s := range o.steps {
		if file := s.built(); file != "" && o.before(s, "actions/checkout") {
			build = &o.steps[i]
		}
	}
	if build == nil {
		t.Fatalf("on a tag, no `go build -trimpath -o FILE ./cmd/notes` runs in server/ (jobs: %v)", o.results)
	}
	attested, uploaded := false, false
	for _, s := range o.in(*build) {
		if s.line < build.line {
			continue
		}
		attested = attested || isAttest(s) && s.names("subject-path", build.built())
		uploaded = uploaded || s.action == "actions/upload-artifact" && s.names("path", build.built())
	}
	for what, done := range map[string]bool{"attested (subject-path)": attested, "uploaded (path)": uploaded} {
		if !done {
			t.Errorf("ci.yml:%d: go build writes %s, and in this job that file is not %s afterwards: paths of actions begin at the root of the repository", build.line, strings.TrimPrefix(build.built(), workspace+"/"), what)
		}
	}
}

// built is the file that the step builds the program to.
func (s step) built() string {
	if !s.program() || len(s.args) < 3 || s.args[0] != "go" || s.args[1] != "build" || !s.inServer() ||
		!slices.Contains(s.args, "./cmd/notes") || !slices.Contains(s.args, "-trimpath") {
		return ""
	}
	for i, a := range s.args[:len(s.args)-1] {
		if a == "-o" {
			if strings.HasSuffix(s.args[i+1], "/") {
				return join(s.dir, s.args[i+1]+"notes")
			}
			return join(s.dir, s.args[i+1])
		}
		if out, ok := strings.CutPrefix(a, "-o="); ok {
			return join(s.dir, out)
		}
	}
	return ""
}

// names tells whether an input of an action names a file.
func (s step) names(input, file string) bool {
	return slices.ContainsFunc(strings.FieldsFunc(s.with[input], func(r rune) bool { return r == '\n' || r == ',' }), func(p string) bool {
		p = join(workspace, strings.TrimSpace(p))
		return glob(p, file) || p == path.Dir(file) && input == "path"
	})
}

// What is released is built from nothing that another run has left in a cache.
//
//kata:zh 发布的程序构建时不用任何其他运行留在缓存里的东西。
func TestCleanRelease(t *testing.T) {
	o := simulate(t, pushTo("refs/tags/v1.2.3"))
	released := false
	for _, s := range o.steps {
		if !isAttest(s) {
			continue
		}
		released = true
		for _, c := range o.in(s) {
			switch {
			case strings.HasPrefix(c.action, "actions/cache"):
				t.Errorf("ci.yml:%d: job %s, which builds the release, restores a cache", c.line, c.job)
			case c.action == "actions/setup-go" && c.with["cache"] != "false":
				t.Errorf("ci.yml:%d: job %s, which builds the release, restores setup-go's cache, which is on unless it is switched off", c.line, c.job)
			}
		}
	}
	if !released {
		t.Error("a tag attests no release")
	}
}

// No job hangs for hours: each ends within 30 minutes.
//
//kata:zh 没有 job 会挂上几个小时：每个都在 30 分钟内结束。
func TestBounded(t *testing.T) {
	_, w := read(t)
	for _, id := range slices.Sorted(maps.Keys(w.Jobs)) {
		switch limit := w.Jobs[id].TimeoutMinutes; {
		case limit == nil:
			t.Errorf("ci.yml:%d: job %s has no timeout-minutes: GitHub waits for 360", w.Jobs[id].Pos.Line, id)
		case limit.Expression != nil:
			t.Errorf("ci.yml:%d: the timeout-minutes of job %s are an expression, want a number", w.Jobs[id].Pos.Line, id)
		case limit.Value <= 0 || limit.Value > 30:
			t.Errorf("ci.yml:%d: job %s may take %v minutes, want 30 at most", w.Jobs[id].Pos.Line, id, limit.Value)
		}
	}
}
