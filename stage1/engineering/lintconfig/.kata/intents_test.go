// A team's .golangci.yml, judged by what it makes golangci-lint say about a repository whose good and bad lines are known.
//
//kata:level 2
//kata:minutes 45
//kata:engine simulated golangci-lint: a model of its configuration over findings recorded from v2.15.0; the real one is used where it is on PATH or in ROADKATA_GOLANGCI_LINT
//kata:timeout 120s
package lintconfig_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"

	"github.com/roadkata/roadkata/stage1/engineering/lintconfig"
)

// The file is a valid configuration of version 2: no key that nobody reads, no linter that does not exist.
//
//kata:zh 文件是合法的第 2 版配置：没有无人读取的键，没有不存在的 linter。
func TestValid(t *testing.T) {
	c := load(t)
	for _, problem := range c.problems {
		t.Errorf(".golangci.yml: %s", problem)
	}
	if tool := golangci(); tool != "" && !t.Failed() {
		cmd := exec.CommandContext(t.Context(), tool, "config", "verify")
		cmd.Dir = checkout(t)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("golangci-lint config verify: %v\n%s", err, out)
		}
	}
}

// Every bug of the team's list is flagged: lost errors, wrapped errors compared, unchecked assertions, missing cases, unclosed bodies, requests without context.
//
//kata:zh 团队清单上的每一种 bug 都会被报告：丢失的错误、直接比较被包装的错误、未检查的类型断言、漏掉的分支、没关的 body、不带 context 的请求。
func TestBugs(t *testing.T) {
	flagged(t, func(p place) bool { return p.area() == "ordinary" && p.rule != "clock" })
}

// Whoever asks time.Now is flagged, under whatever name time is imported.
//
//kata:zh 谁调用 time.Now 都会被报告，不论 time 以什么名字导入。
func TestClock(t *testing.T) {
	flagged(t, func(p place) bool { return p.area() == "ordinary" && p.rule == "clock" })
}

// Good code is left in peace: what breaks no rule of the team is not flagged.
//
//kata:zh 好代码不受打扰：没有违反团队规则的地方不会被报告。
func TestQuiet(t *testing.T) {
	quiet(t, "ordinary", "integration", "format")
}

// A nolint comment names its linter, gives a reason, and silences something.
//
//kata:zh nolint 注释要写明 linter 和理由，并且确实压住了什么。
func TestNolint(t *testing.T) {
	flagged(t, func(p place) bool { return p.area() == "nolint" })
	quiet(t, "nolint")
}

// In tests, unchecked errors and requests without a context are allowed, and nothing else.
//
//kata:zh 测试里允许不检查错误、不带 context 发请求，除此之外都不放宽。
func TestTests(t *testing.T) {
	flagged(t, func(p place) bool { return p.area() == "tests" })
	quiet(t, "tests")
}

// Generated code is left out; a file that merely talks about generating is not.
//
//kata:zh 生成的代码不检查；只是在文字里提到“生成”的文件照样检查。
func TestGenerated(t *testing.T) {
	flagged(t, func(p place) bool { return p.area() == "generated" })
	quiet(t, "generated")
}

// The frozen folder and the clock's own package are excepted, and none of their neighbours.
//
//kata:zh 只有冻结的目录和时钟自己的包是例外，名字相近的邻居都不是。
func TestNarrow(t *testing.T) {
	flagged(t, func(p place) bool { return p.area() == "narrow" })
	quiet(t, "narrow", "frozen")
}

// Everything that is found is shown and fails the run: no cap, no "only what is new", no code behind a build tag forgotten.
//
//kata:zh 发现的问题全部显示，并使运行失败：没有数量上限，不“只看新代码”，不漏掉构建标签后面的代码。
func TestNothingHidden(t *testing.T) {
	c := load(t)
	c.usable(t)
	if key := c.narrowed(); key != "" {
		t.Errorf(".golangci.yml: issues.%s keeps findings from those who should mend them", key)
	}
	for key, limit := range map[string]*int{"max-issues-per-linter": c.Issues.MaxPerLinter, "max-same-issues": c.Issues.MaxSame} {
		if limit != nil && *limit > 0 {
			t.Errorf(".golangci.yml: issues.%s is %d: what lies beyond is not shown, want no limit (0)", key, *limit)
		}
	}
	if code := c.Run.ExitCode; code != nil && *code == 0 {
		t.Error(".golangci.yml: run.issues-exit-code is 0: CI stays green whatever is found")
	}
	flagged(t, func(p place) bool { return p.area() == "integration" })
	// Lines are compared, for a line with two findings shows one of them (issues.uniq-by-line).
	shown := map[place]bool{}
	for f := range run(t, true) {
		shown[place{file: f.file, line: f.line}] = true
	}
	hidden := map[string]int{}
	for f := range run(t, false) {
		if !shown[place{file: f.file, line: f.line}] {
			hidden[f.linter]++
		}
	}
	for _, linter := range slices.Sorted(maps.Keys(hidden)) {
		t.Errorf("%s finds more than is shown, hidden lines: %d (issues.max-same-issues is 3 and issues.max-issues-per-linter 50 unless you say otherwise)", linter, hidden[linter])
	}
}

// Formatting and the grouping of imports are checked as well.
//
//kata:zh 格式和 import 分组也在检查之列。
func TestFormatted(t *testing.T) {
	flagged(t, func(p place) bool { return p.area() == "format" })
}

// A place is a line of the repository, or with line 0 a file, that a mark says something about.
type place struct {
	file string
	line int
	rule string
}

func (p place) String() string {
	if p.line == 0 {
		return p.file
	}
	return fmt.Sprintf("%s:%d", p.file, p.line)
}

// area tells which promise a file is about.
func (p place) area() string {
	for _, a := range areas() {
		if a.pattern.MatchString(p.file) {
			return a.name
		}
	}
	return "ordinary"
}

type area struct {
	name    string
	pattern *regexp.Regexp
}

// areas are asked for each mark and each finding: compiled only once.
var areas = sync.OnceValue(func() []area {
	return []area{
		{"frozen", regexp.MustCompile(`^legacy/`)},
		{"format", regexp.MustCompile(`/(unformatted(_test)?|imports)\.go$`)},
		{"tests", regexp.MustCompile(`_test\.go$`)},
		{"generated", regexp.MustCompile(`/(status_string|kind_gen|table)\.go$`)},
		{"integration", regexp.MustCompile(`/export_integration\.go$`)},
		{"nolint", regexp.MustCompile(`/compare\.go$`)},
		{"narrow", regexp.MustCompile(`^internal/(clock|clocks|clockwork|latest|legacy|legacyimport)/|^(cmd/admin|legacyshop)/|/tests\.go$`)},
	}
})

// flagged demands a finding at each of those marked places.
func flagged(t *testing.T, those func(place) bool) {
	t.Helper()
	found := run(t, false)
	for _, p := range tree().marks {
		if !those(p) {
			continue
		}
		ok := false
		for f := range found {
			ok = ok || f.file == p.file && (p.line == f.line || p.line == 0 && slices.Contains(p.linters(), f.linter))
		}
		if !ok {
			t.Errorf("%s breaks the rule %q and is not flagged%s", p, p.rule, tree().quote(p))
		}
	}
}

// linters are those that may flag a file as a whole.
func (p place) linters() []string {
	if p.rule == "imports" {
		return []string{"goimports", "gci", "gofumpt"}
	}
	return []string{"gofmt", "gofumpt", "goimports", "gci", "golines"}
}

// quiet demands that there be no finding in these areas where nothing is marked.
func quiet(t *testing.T, those ...string) {
	t.Helper()
	var noise []finding
	for f := range run(t, false) {
		p := place{file: f.file, line: f.line}
		marked := slices.ContainsFunc(tree().marks, func(m place) bool {
			return m.file == f.file && (m.line == f.line || m.line == 0)
		})
		if slices.Contains(those, p.area()) && !marked {
			noise = append(noise, f)
		}
	}
	slices.SortFunc(noise, func(a, b finding) int {
		return strings.Compare(fmt.Sprintf("%s:%4d %s", a.file, a.line, a.linter), fmt.Sprintf("%s:%4d %s", b.file, b.line, b.linter))
	})
	for i, f := range noise {
		if i == 5 {
			t.Errorf("… and %d more", len(noise)-i)
			break
		}
		t.Errorf("%s:%d breaks no rule and is flagged all the same: %s (%s)%s", f.file, f.line, f.text, f.linter, tree().quote(place{f.file, f.line, ""}))
	}
}

// A checked is the repository with its marks.
type checked struct {
	files *txtar.Archive
	lines map[string][]string
	marks []place
}

func (c *checked) quote(p place) string {
	if p.line == 0 {
		return ""
	}
	return "\n\t" + strings.TrimSpace(c.lines[p.file][p.line-1])
}

var mark = regexp.MustCompile(`// want (?:(next|file) )?(\w+)$`)

var tree = sync.OnceValue(func() *checked {
	c := &checked{files: txtar.Parse([]byte(hidden)), lines: map[string][]string{}}
	repo := lintconfig.Repository()
	err := fs.WalkDir(repo, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(repo, name)
		c.files.Files = append(c.files.Files, txtar.File{Name: name, Data: text})
		return err
	})
	if err != nil {
		panic(err) // it is an archive in memory
	}
	// Many findings of one kind, more than any cap lets through.
	many := "// Package meters reads meters.\npackage meters\n\nimport \"time\"\n"
	for i := range 60 {
		many += fmt.Sprintf("\n// Read%d reads a meter.\nfunc Read%d() time.Time {\n\treturn time.Now() // want clock\n}\n", i, i)
	}
	c.files.Files = append(c.files.Files, txtar.File{Name: "internal/meters/meters.go", Data: []byte(many)})
	for _, f := range c.files.Files {
		c.lines[f.Name] = strings.Split(string(f.Data), "\n")
		for i, line := range c.lines[f.Name] {
			m := mark.FindStringSubmatch(line)
			switch {
			case m == nil:
			case m[1] == "file":
				c.marks = append(c.marks, place{f.Name, 0, m[2]})
			case m[1] == "next":
				c.marks = append(c.marks, place{f.Name, i + 2, m[2]})
			default:
				c.marks = append(c.marks, place{f.Name, i + 1, m[2]})
			}
		}
	}
	return c
})

// A finding is what golangci-lint says.
type finding struct {
	file   string
	line   int
	linter string
	text   string
}

// ran keeps what run has found: the learner's file does not change while the suite runs.
var ran = map[bool]map[finding]bool{}

// run is what golangci-lint says about the repository, with the caps of the configuration or without.
func run(t *testing.T, capped bool) map[finding]bool {
	t.Helper()
	c := load(t)
	c.usable(t)
	if ran[capped] == nil {
		if tool := golangci(); tool != "" {
			ran[capped] = runTool(t, tool, capped)
		} else {
			ran[capped] = c.apply(capped)
		}
	}
	return ran[capped]
}

// golangci is the path of a golangci-lint of version 2, if there is one.
var golangci = sync.OnceValue(func() string {
	tool := os.Getenv("ROADKATA_GOLANGCI_LINT")
	if tool == "" {
		tool, _ = exec.LookPath("golangci-lint")
	}
	if tool == "" {
		return ""
	}
	out, err := exec.Command(tool, "version").CombinedOutput()
	if err != nil || !regexp.MustCompile(`version v?2\.`).Match(out) {
		return ""
	}
	return tool
})

// checkout writes the repository and the learner's file to a folder.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range tree().files.Files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, f.Data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(os.Getenv("ROADKATA_FILES"), ".golangci.yml"))
	if err := errors.Join(err, os.WriteFile(filepath.Join(dir, ".golangci.yml"), text, 0o644)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// runTool runs the real golangci-lint. What narrows the findings to a part of the code is switched off: TestNothingHidden looks at it by itself.
func runTool(t *testing.T, tool string, capped bool) map[finding]bool {
	t.Helper()
	args := []string{"run", "--allow-parallel-runners", "--issues-exit-code=0", "--fix=false", "--new=false", "--new-from-rev=", "--new-from-merge-base=", "--new-from-patch=",
		"--show-stats=false", "--output.text.path=stderr", "--output.json.path=stdout", "--path-mode=", "--path-prefix="}
	if !capped {
		args = append(args, "--max-issues-per-linter=0", "--max-same-issues=0", "--uniq-by-line=false")
	}
	cmd := exec.CommandContext(t.Context(), tool, args...)
	cmd.Dir = checkout(t)
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("golangci-lint run: %v\n%s", err, stderr.String())
	}
	var report struct {
		Issues []struct {
			FromLinter, Text string
			Pos              struct {
				Filename string
				Line     int
			}
		}
	}
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&report); err != nil {
		t.Fatalf("golangci-lint run: %v\n%s", err, out)
	}
	found := map[finding]bool{}
	for _, i := range report.Issues {
		found[finding{filepath.ToSlash(i.Pos.Filename), i.Pos.Line, i.FromLinter, i.Text}] = true
	}
	return found
}

// A config is a model of the configuration: the keys of version 2 and, for the linters that the repository has something for, their settings.
type config struct {
	Version yaml.Node `yaml:"version"`
	Run     struct {
		Timeout, Go  string
		Concurrency  int
		PathMode     string   `yaml:"relative-path-mode"`
		BuildTags    []string `yaml:"build-tags"`
		DownloadMode string   `yaml:"modules-download-mode"`
		BuildVCS     bool     `yaml:"enable-build-vcs"`
		ExitCode     *int     `yaml:"issues-exit-code"`
		Tests        *bool
		Parallel     bool `yaml:"allow-parallel-runners"`
		Serial       bool `yaml:"allow-serial-runners"`
	}
	Linters struct {
		Default         string
		Enable, Disable []string
		Settings        map[string]yaml.Node
		Exclusions      struct {
			Generated   string
			WarnUnused  bool `yaml:"warn-unused"`
			Presets     []string
			Rules       []rule
			Paths       []string
			PathsExcept []string `yaml:"paths-except"`
		}
	}
	Formatters struct {
		Enable     []string
		Settings   map[string]yaml.Node
		Exclusions struct {
			Generated  string
			WarnUnused bool `yaml:"warn-unused"`
			Paths      []string
		}
	}
	Issues struct {
		MaxPerLinter  *int  `yaml:"max-issues-per-linter"`
		MaxSame       *int  `yaml:"max-same-issues"`
		UniqueByLine  *bool `yaml:"uniq-by-line"`
		New           bool
		FromRev       string `yaml:"new-from-rev"`
		FromMergeBase string `yaml:"new-from-merge-base"`
		FromPatch     string `yaml:"new-from-patch"`
		WholeFiles    bool   `yaml:"whole-files"`
		Fix           bool
	}
	Output struct {
		Formats    map[string]yaml.Node
		SortOrder  []string `yaml:"sort-order"`
		ShowStats  *bool    `yaml:"show-stats"`
		PathPrefix string   `yaml:"path-prefix"`
		PathMode   string   `yaml:"path-mode"`
	}
	Severity struct {
		Default string
		Rules   []struct {
			rule     `yaml:",inline"`
			Severity string
		}
	}

	fatal    string   // what golangci-lint refuses to run with
	problems []string // all that is wrong
	enabled  map[string]bool
	errcheck struct {
		DisableDefaults bool     `yaml:"disable-default-exclusions"`
		Assertions      bool     `yaml:"check-type-assertions"`
		Blank           bool     `yaml:"check-blank"`
		Exclude         []string `yaml:"exclude-functions"`
		Verbose         bool
	}
	errorlint struct {
		Errorf     bool
		Multi      bool `yaml:"errorf-multi"`
		Asserts    bool
		Comparison bool
		Allowed    []struct{ Err, Fun string } `yaml:"allowed-errors"`
		Wildcard   []struct{ Err, Fun string } `yaml:"allowed-errors-wildcard"`
	}
	exhaustive struct {
		Check            []string
		Explicit         bool     `yaml:"explicit-exhaustive"`
		OnlyTypes        []string `yaml:"only-types"`
		IgnoreTypes      []string `yaml:"ignore-types"`
		IgnoreConstants  []string `yaml:"ignore-constants"`
		Default          bool     `yaml:"default-signifies-exhaustive"`
		DefaultRequired  bool     `yaml:"default-case-required"`
		PackageScopeOnly bool     `yaml:"package-scope-only"`
	}
	forbidigo struct {
		Forbid       []struct{ Pattern, Pkg, Msg string }
		Examples     bool `yaml:"exclude-godoc-examples"`
		AnalyzeTypes bool `yaml:"analyze-types"`
	}
	nolintlint struct {
		Explanation bool     `yaml:"require-explanation"`
		Specific    bool     `yaml:"require-specific"`
		Without     []string `yaml:"allow-no-explanation"`
		Unused      bool     `yaml:"allow-unused"`
	}
	revive struct {
		AllRules bool `yaml:"enable-all-rules"`
		Rules    []struct {
			Name     string
			Disabled bool
			Rest     map[string]yaml.Node `yaml:",inline"`
		}
		Rest map[string]yaml.Node `yaml:",inline"`
	}
}

type rule struct {
	Path       string
	PathExcept string `yaml:"path-except"`
	Linters    []string
	Text       string
	Source     string
}

const (
	standardLinters = "errcheck govet ineffassign staticcheck unused"
	fastLinters     = "asciicheck bidichk copyloopvar cyclop decorder depguard dogsled dupl dupword embeddedstructfieldcheck funcorder funlen gocheckcompilerdirectives gochecknoinits gocognit gocyclo godoclint godot godox goheader gomoddirectives gomodguard gomodguard_v2 goprintffuncname grouper inamedparam ineffassign interfacebloat iotamixing lll maintidx misspell mnd nakedret nestif nlreturn nolintlint nosprintfhostport promlinter tagalign testableexamples testpackage unqueryvet usestdlibvars whitespace wsl"
	otherLinters    = "arangolint asasalint bodyclose canonicalheader clickhouselint containedctx contextcheck durationcheck err113 errcheck errchkjson errname errorlint exhaustive exhaustruct exhaustruct_v5 exptostd fatcontext forbidigo forcetypeassert ginkgolinter gochecknoglobals gochecksumtype goconst gocritic gosec gosmopolitan govet iface importas intrange ireturn loggercheck makezero mirror modernize musttag nilerr nilnesserr nilnil noctx noinlineerr nonamedreturns paralleltest perfsprint prealloc predeclared protogetter reassign recvcheck revive rowserrcheck sloglint spancheck sqlclosecheck staticcheck tagliatelle testifylint thelper tparallel unconvert unparam unused usetesting varnamelen wastedassign wrapcheck wsl_v5 zerologlint"
	formatters      = "gci gofmt gofumpt goimports golines swaggo"
)

func words(lists ...string) []string { return strings.Fields(strings.Join(lists, " ")) }

// load reads the learner's file.
func load(t *testing.T) *config {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(os.Getenv("ROADKATA_FILES"), ".golangci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	c := new(config)
	c.errorlint.Asserts, c.errorlint.Comparison = true, true
	c.read("", text, c)
	c.check()
	return c
}

var unknownKey = regexp.MustCompile(`^line (\d+): field (\S+) not found in type`)

// read decodes a part of the configuration. golangci-lint itself runs over keys that it does not know, and its `config verify` does not.
func (c *config) read(at string, text []byte, into any) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	err := d.Decode(into)
	if err == nil || errors.Is(err, io.EOF) {
		return
	}
	var wrong *yaml.TypeError
	if !errors.As(err, &wrong) {
		c.die("%s%v", at, err)
		return
	}
	for _, message := range wrong.Errors {
		if m := unknownKey.FindStringSubmatch(message); m == nil {
			c.die("%s%s", at, message)
		} else if at == "" {
			c.blame("line %s: version 2 has no key %s here", m[1], m[2])
		} else {
			c.blame("%sthere is no key %s", at, m[2])
		}
	}
}

func (c *config) blame(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

func (c *config) die(format string, args ...any) {
	c.blame(format, args...)
	if c.fatal == "" {
		c.fatal = c.problems[len(c.problems)-1]
	}
}

func (c *config) check() {
	switch v := c.Version; {
	case v.Value != "2":
		c.die(`version is %q, want "2": golangci-lint v2 reads no other`, v.Value)
	case v.Tag != "!!str":
		c.blame(`version is the number 2, want the string "2"`)
	}
	if _, err := time.ParseDuration(c.Run.Timeout); c.Run.Timeout != "" && err != nil {
		c.die("run.timeout: %v", err)
	}
	c.oneOf("run.relative-path-mode", c.Run.PathMode, true, "", "gomod", "gitroot", "cfg", "wd")
	c.oneOf("run.modules-download-mode", c.Run.DownloadMode, true, "", "mod", "readonly", "vendor")
	c.oneOf("linters.default", c.Linters.Default, true, "", "standard", "all", "none", "fast")
	c.oneOf("linters.exclusions.generated", c.Linters.Exclusions.Generated, false, "", "strict", "lax", "disable")
	c.oneOf("formatters.exclusions.generated", c.Formatters.Exclusions.Generated, false, "", "strict", "lax", "disable")
	for _, preset := range c.Linters.Exclusions.Presets {
		c.oneOf("linters.exclusions.presets", preset, true, "comments", "std-error-handling", "common-false-positives", "legacy")
	}
	known := words(fastLinters, otherLinters)
	for _, name := range slices.Concat(c.Linters.Enable, c.Linters.Disable) {
		if slices.Contains(words(formatters), name) {
			c.die("linters: %s is a formatter", name)
		} else if !slices.Contains(known, name) {
			c.die("linters: there is no linter %s", name)
		}
	}
	for _, name := range c.Formatters.Enable {
		c.oneOf("formatters.enable", name, true, words(formatters)...)
	}
	for name := range c.Formatters.Settings {
		c.oneOf("formatters.settings", name, false, words(formatters)...)
	}
	for i, r := range c.Linters.Exclusions.Rules {
		c.checkRule(fmt.Sprintf("linters.exclusions.rules[%d]", i), r, 2)
	}
	for i, r := range c.Severity.Rules {
		c.checkRule(fmt.Sprintf("severity.rules[%d]", i), r.rule, 1)
	}
	for _, pattern := range slices.Concat(c.Linters.Exclusions.Paths, c.Linters.Exclusions.PathsExcept, c.Formatters.Exclusions.Paths) {
		c.checkRegexp("paths", pattern)
	}

	for name, node := range c.Linters.Settings {
		into, ok := map[string]any{
			"errcheck": &c.errcheck, "errorlint": &c.errorlint, "exhaustive": &c.exhaustive,
			"forbidigo": &c.forbidigo, "nolintlint": &c.nolintlint, "revive": &c.revive,
		}[name]
		if !ok {
			// What the settings of the others may hold, only the real tool knows.
			c.oneOf("linters.settings", name, false, append(known, "custom")...)
			continue
		}
		text, err := yaml.Marshal(&node)
		if err != nil {
			c.die("linters.settings.%s: %v", name, err)
			continue
		}
		c.read("linters.settings."+name+": ", text, into)
	}
	for _, what := range c.exhaustive.Check {
		c.oneOf("linters.settings.exhaustive.check", what, false, "switch", "mapliteral", "typeswitch")
	}
	for _, f := range c.forbidigo.Forbid {
		c.checkRegexp("linters.settings.forbidigo", f.Pattern)
		c.checkRegexp("linters.settings.forbidigo", f.Pkg)
	}

	c.enabled = map[string]bool{}
	for _, name := range map[string][]string{
		"": words(standardLinters), "standard": words(standardLinters), "fast": words(fastLinters), "all": known,
	}[c.Linters.Default] {
		c.enabled[name] = true
	}
	for _, name := range slices.Concat(c.Linters.Enable, c.Formatters.Enable) {
		c.enabled[name] = true
	}
	for _, name := range c.Linters.Disable {
		delete(c.enabled, name)
	}
}

func (c *config) oneOf(key, value string, fatal bool, values ...string) {
	if slices.Contains(values, value) {
		return
	}
	if fatal {
		c.die("%s: there is no %q", key, value)
	} else {
		c.blame("%s: there is no %q", key, value)
	}
}

func (c *config) checkRule(at string, r rule, conditions int) {
	n := 0
	for _, given := range [...]bool{r.Path+r.PathExcept != "", len(r.Linters) > 0, r.Text != "", r.Source != ""} {
		if given {
			n++
		}
	}
	if n < conditions {
		c.die("%s: want at least %d of path (or path-except), linters, text, source", at, conditions)
	}
	if r.Path != "" && r.PathExcept != "" {
		c.die("%s: path and path-except exclude one another", at)
	}
	for _, pattern := range [...]string{r.Path, r.PathExcept, r.Text, r.Source} {
		c.checkRegexp(at, pattern)
	}
}

func (c *config) checkRegexp(at, pattern string) {
	if _, err := regexp.Compile(pattern); err != nil {
		c.die("%s: %v", at, err)
	}
}

// usable ends the test if golangci-lint would not run.
func (c *config) usable(t *testing.T) {
	t.Helper()
	if c.fatal != "" {
		t.Fatalf("golangci-lint does not run with this .golangci.yml: %s", c.fatal)
	}
}

// narrowed is a key that shows only a part of the findings, or mends in silence.
func (c *config) narrowed() string {
	switch i := c.Issues; {
	case i.New:
		return "new"
	case i.FromRev != "":
		return "new-from-rev"
	case i.FromMergeBase != "":
		return "new-from-merge-base"
	case i.FromPatch != "":
		return "new-from-patch"
	case i.Fix:
		return "fix"
	}
	return ""
}

// apply is the model of golangci-lint: it filters what is known to be found.
func (c *config) apply(capped bool) map[finding]bool {
	var found []finding
	for line := range strings.Lines(strings.ReplaceAll(recorded, "'", "`")) {
		part := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		file, number, _ := strings.Cut(part[0], ":")
		n, _ := strconv.Atoi(number)
		f := finding{file, n, part[1], part[3]}
		if c.enabled[f.linter] && c.when(part[2]) && !c.excusedCall(f) {
			found = append(found, f)
		}
	}
	if c.enabled["forbidigo"] {
		found = append(found, c.forbidden()...)
	}
	shown := map[finding]bool{}
	same, perLinter := map[string]int{}, map[string]int{}
	for _, f := range found {
		if c.excluded(f) {
			continue
		}
		same[f.text]++
		perLinter[f.linter]++
		if capped && (over(same[f.text], c.Issues.MaxSame, 3) || over(perLinter[f.linter], c.Issues.MaxPerLinter, 50)) {
			continue
		}
		shown[f] = true
	}
	return shown
}

func over(n int, limit *int, fallback int) bool {
	if limit == nil {
		limit = &fallback
	}
	return *limit > 0 && n > *limit
}

// when tells whether the settings are such that a finding is made.
func (c *config) when(condition string) bool {
	switch condition {
	case "assertions":
		return c.errcheck.Assertions
	case "blank":
		return c.errcheck.Blank
	case "asserts":
		return c.errorlint.Asserts
	case "comparison":
		return c.errorlint.Comparison
	case "switch":
		return c.switches()
	case "nodefault":
		return c.switches() && !c.exhaustive.Default
	case "explain":
		return c.nolintlint.Explanation && !slices.Contains(c.nolintlint.Without, "errorlint")
	case "specific":
		return c.nolintlint.Specific
	case "unused":
		return !c.nolintlint.Unused && c.enabled["errorlint"]
	case "unused-any":
		return !c.nolintlint.Unused && !c.enabled["errorlint"]
	}
	name, ok := strings.CutPrefix(condition, "rule:")
	if !ok {
		return true
	}
	for _, r := range c.revive.Rules {
		if r.Name == name {
			return !r.Disabled
		}
	}
	return c.revive.AllRules
}

// switches tells whether exhaustive looks at switches of itself.
func (c *config) switches() bool {
	e := c.exhaustive
	return !e.Explicit && (len(e.Check) == 0 || slices.Contains(e.Check, "switch"))
}

// excusedCall tells whether errcheck is told not to mind the function.
func (c *config) excusedCall(f finding) bool {
	if f.linter != "errcheck" {
		return false
	}
	for call, functions := range map[string][]string{
		"`w.Flush`":         {"(*bufio.Writer).Flush"},
		"`w.WriteString`":   {"(*bufio.Writer).WriteString", "(io.StringWriter).WriteString"},
		"`f.Close`":         {"(io.Closer).Close", "(io.WriteCloser).Close"},
		"`resp.Body.Close`": {"(io.Closer).Close", "(io.ReadCloser).Close"},
		"`os.Remove`":       {"os.Remove"},
		"`os.Rename`":       {"os.Rename"},
		"`os.RemoveAll`":    {"os.RemoveAll"},
		"`os.Setenv`":       {"os.Setenv"},
		"`os.Unsetenv`":     {"os.Unsetenv"},
		"`io.ReadAll`":      {"io.ReadAll"},
	} {
		if strings.Contains(f.text, call) {
			return slices.ContainsFunc(functions, func(name string) bool { return slices.Contains(c.errcheck.Exclude, name) })
		}
	}
	return false
}

// excluded tells whether the configuration keeps a finding out.
func (c *config) excluded(f finding) bool {
	lines := tree().lines[f.file]
	if strings.HasSuffix(f.file, "_test.go") && c.Run.Tests != nil && !*c.Run.Tests {
		return true
	}
	if lines[0] == "//go:build integration" && !slices.Contains(c.Run.BuildTags, "integration") {
		return true
	}
	x := c.Linters.Exclusions
	head, _, _ := strings.Cut(strings.Join(lines, "\n"), "\npackage ")
	switch x.Generated {
	case "", "strict":
		if regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`).MatchString(head) {
			return true
		}
	case "lax":
		if regexp.MustCompile(`(?i)code generated|do not edit|autogenerated file`).MatchString(head) {
			return true
		}
	}
	isHere := func(pattern string) bool { return regexp.MustCompile(pattern).MatchString(f.file) }
	if slices.ContainsFunc(x.Paths, isHere) || len(x.PathsExcept) > 0 && !slices.ContainsFunc(x.PathsExcept, isHere) {
		return true
	}
	if slices.Contains(c.Formatters.Enable, f.linter) && slices.ContainsFunc(c.Formatters.Exclusions.Paths, isHere) {
		return true
	}
	return slices.ContainsFunc(slices.Concat(x.Rules, presets(x.Presets)), func(r rule) bool {
		return (r.Path == "" || isHere(r.Path)) && (r.PathExcept == "" || !isHere(r.PathExcept)) &&
			(len(r.Linters) == 0 || slices.Contains(r.Linters, f.linter)) &&
			regexp.MustCompile(r.Text).MatchString(f.text) && regexp.MustCompile(r.Source).MatchString(lines[f.line-1])
	})
}

// presets are the ready-made exclusions that concern a finding on record.
func presets(names []string) (rules []rule) {
	if slices.Contains(names, "std-error-handling") {
		rules = append(rules, rule{Linters: []string{"errcheck"}, Text: "(?i)Error return value of .(.*Close|.*Flush|os\\.Remove(All)?|os\\.(Un)?Setenv). is not checked"})
	}
	if slices.Contains(names, "legacy") {
		rules = append(rules, rule{Linters: []string{"gosec"}, Text: "G104"})
	}
	return rules
}

// forbidden is what forbidigo says: it matches the patterns against what the source says or, with analyze-types, against what it means.
func (c *config) forbidden() (found []finding) {
	list := c.forbidigo.Forbid
	if len(list) == 0 {
		list = append(list, struct{ Pattern, Pkg, Msg string }{`^(fmt\.Print(|f|ln)|print|println)$`, "", ""})
	}
	for name, lines := range tree().lines {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, strings.Join(lines, "\n"), 0)
		if err != nil {
			panic(err) // the repository is given
		}
		imported := map[string]string{}
		for _, i := range file.Imports {
			importPath, _ := strconv.Unquote(i.Path.Value)
			local := importPath[strings.LastIndex(importPath, "/")+1:]
			if i.Name != nil {
				local = i.Name.Name
			}
			imported[local] = importPath
		}
		say := func(n ast.Node, source, meaning, pkg string) {
			match := source
			if c.forbidigo.AnalyzeTypes {
				match = meaning
			} else {
				pkg = ""
			}
			for _, f := range list {
				if match != "" && regexp.MustCompile(f.Pattern).MatchString(match) && regexp.MustCompile(f.Pkg).MatchString(pkg) {
					found = append(found, finding{name, fset.Position(n.Pos()).Line, "forbidigo", fmt.Sprintf("use of `%s` forbidden by pattern `%s`", source, f.Pattern)})
				}
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ImportSpec:
				return false
			case *ast.SelectorExpr:
				x, ok := n.X.(*ast.Ident)
				if !ok {
					say(n, sourceOf(n), "", "")
					return true
				}
				if pkg, ok := imported[x.Name]; ok {
					say(n, sourceOf(n), pkg[strings.LastIndex(pkg, "/")+1:]+"."+n.Sel.Name, pkg)
				} else if x.Name == "c" {
					// The only variable of the repository whose method anyone may take for a clock.
					say(n, sourceOf(n), "clock.Clock."+n.Sel.Name, "example.com/shop/internal/clock")
				} else {
					say(n, sourceOf(n), "", "")
				}
				return false
			}
			return true
		})
	}
	return found
}

// sourceOf is the source of a selector.
func sourceOf(n *ast.SelectorExpr) string {
	switch x := n.X.(type) {
	case *ast.Ident:
		return x.Name + "." + n.Sel.Name
	case *ast.SelectorExpr:
		return sourceOf(x) + "." + n.Sel.Name
	}
	return "()." + n.Sel.Name
}
