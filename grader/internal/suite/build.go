package suite

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/course"
)

func itoa(i int) string { return strconv.Itoa(i) }

// builder holds what the programs of one call have in common.
type builder struct {
	ctx     context.Context
	tmp     string
	goTool  string
	canRace bool
	many    bool // so many packages that the whole counts, not how long one takes
}

// enough is how many layouts fill a program; the kata that reaches it is still
// taken whole. A program of a thousand packages takes three times as long to start
// as one of two hundred, and while one is linked, the jobs of those before it run.
const enough = 250

// group spreads layouts over programs. Those of one kata follow each other.
func (b *builder) group(layouts []*layout) []*program {
	var out []*program
	index := map[groupKey]*program{}
	for _, l := range layouts {
		k := l.pair.Kata
		key := groupKey{module: k.ModuleDir, modulePath: k.ModulePath, race: b.race(l.pair), experiment: k.Experiment}
		switch {
		case l.own:
			// From everybody, and not from itself: its subjects may share. Many people's
			// files have the same name.
			key.alone = k.Path + " " + l.pair.Variant.ID() + " " + l.pair.Variant.Dir
		case k.Solo:
			key.alone = k.Path // from the other katas; its variants may share
		}
		p := index[key]
		if p == nil || len(p.layouts) >= enough && p.layouts[len(p.layouts)-1].pair.Kata != k {
			p = b.newProgram(key, len(out))
			index[key] = p
			out = append(out, p)
		}
		p.layouts = append(p.layouts, l)
	}
	return out
}

func (b *builder) race(p *Pair) bool { return p.Kata.Race && !p.NoRace && b.canRace }

func (b *builder) newProgram(key groupKey, n int) *program {
	name := "g" + itoa(n)
	if key.race {
		name += "race"
	}
	return &program{key: key, name: name}
}

// build links p. Pairs that do not compile are taken out and get their problems
// in bad; the others are linked all the same.
func (b *builder) build(p *program) (bad map[*layout][]course.Problem, err error) {
	bad = map[*layout][]course.Problem{}
	for len(p.layouts) > 0 {
		failed, err := b.link(p)
		if err != nil {
			return bad, err
		}
		if len(failed) == 0 {
			return bad, nil
		}
		p.layouts = slices.DeleteFunc(p.layouts, func(l *layout) bool {
			problems, ok := failed[l]
			if ok {
				bad[l] = problems
			}
			return ok
		})
	}
	return bad, nil
}

// link runs the go command once for p.
func (b *builder) link(p *program) (map[*layout][]course.Problem, error) {
	src, err := wrapperSource(p)
	if err != nil {
		return nil, fmt.Errorf("generate the test program: %w", err)
	}
	dir, err := os.MkdirTemp(b.tmp, p.name)
	if err != nil {
		return nil, err
	}
	wrapperFile := filepath.Join(dir, "run_test.go")
	if err := os.WriteFile(wrapperFile, src, 0o666); err != nil {
		return nil, err
	}
	replace := map[string]string{filepath.Join(p.key.module, runDir, p.name, "run_test.go"): wrapperFile}
	for _, l := range p.layouts {
		for virtual, real := range l.files {
			replace[virtual] = real
		}
	}
	overlay, err := writeOverlay(dir, replace)
	if err != nil {
		return nil, err
	}
	p.file = filepath.Join(dir, exe("suite"))
	out, ok := b.goCommand(p.key, "test", "-c", "-json", "-vet=off", "-overlay", overlay, "-ldflags=-s -w", "-o", p.file, "./"+path.Join(runDir, p.name))
	if err := b.ctx.Err(); err != nil {
		return nil, err
	}
	if !ok {
		return b.blame(p, out)
	}
	if _, err := os.Stat(p.file); err != nil {
		return nil, fmt.Errorf("go test -c said nothing and left no program: %w", err)
	}
	return b.programs(p, dir, overlay)
}

// programs builds the learner's programs of pairs that are judged from outside,
// all with one go command.
func (b *builder) programs(p *program, dir, overlay string) (map[*layout][]course.Problem, error) {
	judged := &program{key: p.key, name: p.name}
	args := []string{"-json", "-overlay", overlay, "-ldflags=-s -w", "-o", dir + string(filepath.Separator)}
	for _, l := range p.layouts {
		if l.pair.Kata.Kind == course.Program && !slices.ContainsFunc(judged.layouts, func(o *layout) bool { return o.base == l.base }) {
			judged.layouts = append(judged.layouts, l)
			args = append(args, l.path)
		}
	}
	if len(judged.layouts) == 0 {
		return nil, nil
	}
	out, ok := b.goCommand(p.key, "build", args...)
	if err := b.ctx.Err(); err != nil {
		return nil, err
	}
	if !ok {
		return b.blame(judged, out)
	}
	for _, l := range judged.layouts {
		if _, err := os.Stat(l.programFile(dir)); err != nil {
			return nil, fmt.Errorf("go build said nothing and left no program: %w", err)
		}
	}
	return nil, nil
}

func (l *layout) programFile(dir string) string {
	return filepath.Join(dir, exe(filepath.Base(l.base)))
}

func exe(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}

func writeOverlay(dir string, replace map[string]string) (string, error) {
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, "overlay*.json")
	if err != nil {
		return "", err
	}
	defer f.Close()
	_, err = f.Write(data)
	return f.Name(), err
}

// goCommand runs the go command in the group's module and returns what it printed.
func (b *builder) goCommand(key groupKey, verb string, args ...string) ([]byte, bool) {
	// The linker drops DWARF in any case (-s -w); not making it saves the compiler
	// a quarter of its time. Suites that count no allocations need no inlining either,
	// which is up to two fifths of theirs.
	all := []string{verb, "-buildvcs=false",
		"-gcflags=" + key.modulePath + "/...=-dwarf=false",
		"-gcflags=" + key.modulePath + "/.../" + virtualDir + "/.../" + suiteDir + "=-dwarf=false -l"}
	if key.race {
		all = append(all, "-race")
	}
	if b.many {
		all = append(all, "-p", itoa(runtime.NumCPU())) // by default GOMAXPROCS, which is set below
	}
	cmd := exec.CommandContext(b.ctx, b.goTool, append(all, args...)...)
	cmd.Dir = key.module
	// Each stage is built as its users would: without the workspace, whose
	// versions may differ. An own GOTMPDIR, because killed go commands leave
	// their work behind.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOTMPDIR="+b.tmp, "PWD="+key.module)
	if b.many {
		// Every processor is busy with a package of its own. A compiler that spreads
		// over several and collects garbage spends a twelfth more; the limit is for
		// the linker.
		cmd.Env = append(cmd.Env, "GOMAXPROCS=1", "GOGC=off", "GOMEMLIMIT=2GiB")
	}
	if key.experiment != "" {
		cmd.Env = append(cmd.Env, "GOEXPERIMENT="+key.experiment)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	ownGroup(cmd)
	err := cmd.Run()
	return out.Bytes(), err == nil
}

// failure is what the go command said of one package.
type failure struct {
	pkg  string
	text strings.Builder
}

// blame finds the pairs that a failed build is about.
func (b *builder) blame(p *program, out []byte) (map[*layout][]course.Problem, error) {
	fails := parseBuild(out)
	bad := map[*layout][]course.Problem{}
	for _, f := range fails {
		of := func(l *layout) bool {
			ofSuite := f.pkg == l.suitePath() && l.merge == nil // a merged package speaks of one of its suites: see mentioned
			return f.pkg == l.path || ofSuite || strings.HasPrefix(f.pkg, l.path+"/")
		}
		// A package has an owner. What the text names, others may have as well: a
		// suite's file belongs to every variant of its kata.
		owned := slices.ContainsFunc(p.layouts, of)
		for _, l := range p.layouts {
			if of(l) || !owned && l.mentioned(f.text.String()) {
				bad[l] = append(bad[l], l.problems(f)...)
			}
		}
	}
	if len(bad) > 0 {
		return bad, nil
	}
	if len(p.layouts) > 1 {
		return b.apart(p)
	}
	for _, l := range p.layouts {
		// Nothing in it speaks of the pair's files: a missing module, a full disk.
		bad[l] = []course.Problem{{Kind: "build", At: l.pair.Kata.Path, Text: buildText(out)}}
	}
	return bad, nil
}

// apart builds the katas one by one where nobody could be blamed, and the pairs
// of the last one.
func (b *builder) apart(p *program) (map[*layout][]course.Problem, error) {
	var katas [][]*layout
	for _, l := range p.layouts {
		i := slices.IndexFunc(katas, func(ls []*layout) bool { return ls[0].pair.Kata == l.pair.Kata })
		if i < 0 {
			i = len(katas)
			katas = append(katas, nil)
		}
		katas[i] = append(katas[i], l)
	}
	parts := katas
	if len(katas) == 1 {
		parts = parts[:0]
		for _, l := range p.layouts {
			parts = append(parts, []*layout{l})
		}
	}
	bad := map[*layout][]course.Problem{}
	said := ""
	for i, part := range parts {
		one := &program{key: p.key, layouts: part, name: p.name + "x" + itoa(i)}
		failed, err := b.link(one)
		if err != nil {
			return nil, err
		}
		for l, problems := range failed {
			bad[l] = problems
			if len(katas) > 1 || problems[0].Kind != "build" {
				continue
			}
			if said == problems[0].Text {
				// Two fail with the same words, which speak of no file of theirs: it is
				// the machine's or the module's fault, and the others would say the same.
				for _, l := range p.layouts {
					bad[l] = problems
				}
				return bad, nil
			}
			said = problems[0].Text
		}
	}
	if len(bad) == 0 {
		return nil, fmt.Errorf("the suites build one by one and not together; add //kata:solo to one of them")
	}
	return bad, nil
}

// mentioned reports whether the text names a file of the pair: a load error
// carries the position of the import, not the package.
func (l *layout) mentioned(text string) bool {
	for file := range l.real {
		if strings.Contains(text, course.RelTo(l.pair.Kata.ModuleDir, file)+":") || strings.Contains(text, file+":") {
			return true
		}
		// The go command shortens paths outside of the module, too.
		if rel, err := filepath.Rel(l.pair.Kata.ModuleDir, file); err == nil && strings.Contains("\n"+text, "\n"+rel+":") {
			return true
		}
	}
	return strings.Contains(text, filepath.Base(l.base)+"/")
}

func parseBuild(out []byte) []*failure {
	var fails []*failure
	index := map[string]*failure{}
	sc := bufio.NewScanner(bytes.NewReader(out))
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var e struct{ ImportPath, Action, Output string }
		if json.Unmarshal(sc.Bytes(), &e) != nil || e.Action != "build-output" {
			continue
		}
		f := index[e.ImportPath]
		if f == nil {
			f = &failure{pkg: strings.TrimSuffix(e.ImportPath, " [.test]")}
			index[e.ImportPath] = f
			fails = append(fails, f)
		}
		f.text.WriteString(e.Output)
	}
	return fails
}

// buildText is the go command's output for people.
func buildText(out []byte) string {
	var b strings.Builder
	for _, f := range parseBuild(out) {
		b.WriteString(f.text.String())
	}
	if b.Len() == 0 {
		b.Write(out)
	}
	text := strings.TrimSpace(b.String())
	if len(text) > 4000 {
		text = text[:4000] + " …"
	}
	return text
}

var compileLine = regexp.MustCompile(`^(.+?\.go):(\d+)(?::(\d+))?: (.*)$`)

// problems turns the compiler's lines into problems with positions below the workspace.
func (l *layout) problems(f *failure) []course.Problem {
	k := l.pair.Kata
	var out []course.Problem
	for line := range strings.Lines(f.text.String()) {
		line = strings.TrimRight(line, "\r\n")
		m := compileLine.FindStringSubmatch(line)
		switch {
		case m != nil:
			file := filepath.FromSlash(m[1])
			if !filepath.IsAbs(file) {
				file = filepath.Join(k.ModuleDir, file)
			}
			at := course.RelTo(k.Root, file) + ":" + m[2]
			if m[3] != "" {
				at += ":" + m[3]
			}
			kind := "compile"
			if !l.learner[file] {
				kind = "suite"
			}
			out = append(out, course.Problem{Kind: kind, At: at, Text: l.plain(m[4])})
		case strings.HasPrefix(line, "#"), line == "":
		case len(out) > 0 && strings.HasPrefix(line, "\t"):
			out[len(out)-1].Text += "\n" + l.plain(line)
		default:
			out = append(out, course.Problem{Kind: "compile", At: k.Path, Text: l.plain(line)})
		}
	}
	return out
}

// plain removes what only the overlay knows from a message.
func (l *layout) plain(text string) string {
	own := l.pair.Kata.ImportPath
	text = strings.ReplaceAll(text, l.suitePath(), own+"_test")
	// In stacks the dot of a path's last element is escaped.
	text = strings.ReplaceAll(text, path.Dir(l.suitePath())+"/%2e"+filepath.Base(l.suite)[1:], own+"_test")
	return strings.ReplaceAll(text, l.path, l.pair.Kata.ImportPath)
}
