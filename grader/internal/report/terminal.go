package report

import (
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
	"github.com/roadkata/roadkata/grader/internal/msg"
	"github.com/roadkata/roadkata/grader/internal/term"
)

// How much of what a test printed, and of a race report, is shown unless asked for more.
const (
	outputLines = 8
	raceLines   = 10
)

// Terminal writes the report for people.
func Terminal(w io.Writer, r *grade.Report, o Options) error {
	t := &terminal{Sheet: term.Sheet{Style: term.Style{Color: o.Color, Width: o.Width}}, lang: o.Lang, verbose: o.Verbose, report: r}
	begun, untouched := started(r.Katas)
	for _, k := range begun {
		t.column = max(t.column, term.Width(k.Path))
		t.titles = max(t.titles, term.Width(k.Title.In(string(o.Lang))))
	}
	for _, k := range begun {
		t.kata(k)
	}
	t.untouched(untouched)
	t.planned()
	t.summary(begun)
	return t.Flush(w)
}

type terminal struct {
	term.Sheet
	lang    msg.Lang
	verbose bool
	report  *grade.Report
	column  int // width of the katas' paths
	titles  int // and of their titles
}

func (t *terminal) say(key string, args ...any) string { return t.lang.T(key, args...) }

func (t *terminal) kata(k *grade.Kata) {
	t.heading(k)
	if k.Status == grade.Broken {
		t.Para(2, t.fault(k), t.Bad)
	}
	for _, what := range k.Unchecked {
		t.Marked(2, t.Warn("!"), t.unchecked(what), t.Warn)
	}
	at := ""
	for _, p := range k.Problems {
		if p.At != "" && p.At != at {
			t.Line(2, t.Name(p.At))
		}
		at = p.At
		t.Para(6, grade.Say(p.Text, string(t.lang)), nil)
	}
	t.intents(k)
	t.nextStep(k)
}

// unchecked says what a verdict leaves open.
func (t *terminal) unchecked(what string) string {
	if what == "race" {
		return t.say("unchecked.race")
	}
	return t.say("unchecked.other", what)
}

// fault says whose it is: a build that fails for no file of the kata's fails for
// the machine's reasons.
func (t *terminal) fault(k *grade.Kata) string {
	other := func(p course.Problem) bool { return p.Kind != "build" }
	if len(k.Problems) > 0 && !slices.ContainsFunc(k.Problems, other) {
		return t.say("kata.unbuilt")
	}
	return t.say("kata.broken")
}

func (t *terminal) heading(k *grade.Kata) {
	facts := []string{t.count(k)}
	if k.Engine.Kind == "simulated" {
		facts = append(facts, t.Warn(t.engine(k.Engine)))
	} else if t.verbose {
		facts = append(facts, t.engine(k.Engine))
	}
	if k.Cached {
		facts = append(facts, t.Dim(t.say("kata.cached")))
	} else if k.Seconds > 0 {
		facts = append(facts, t.Dim(fmt.Sprintf("%.1f s", k.Seconds)))
	}
	t.Line(0, fmt.Sprintf("%s %s  %s  %s", t.mark(k.Status), t.Bold(term.Pad(k.Path, t.column)), term.Pad(k.Title.In(string(t.lang)), t.titles), strings.Join(facts, t.Dim(" · "))))
}

func (t *terminal) engine(e course.Engine) string { return t.say("engine."+e.Kind, e.Name) }

// count says how many intents stand, in the fewest words.
func (t *terminal) count(k *grade.Kata) string {
	n, all := tally(k), len(k.Intents)
	switch {
	case k.Status == grade.Passed && n[grade.Passed] == all:
		return t.Good(t.lang.N("intents.all", all))
	case k.Status == grade.Passed:
		return t.Good(t.say("intents.some", n[grade.Passed], all))
	}
	return t.Bad(t.say("intents.some", n[grade.Passed], all))
}

func (t *terminal) mark(s grade.Status) string {
	switch s {
	case grade.Passed:
		return t.Good("✓")
	case grade.Failed:
		return t.Bad("✗")
	case grade.NotRun:
		return t.Warn("…")
	case grade.Broken:
		return t.Bad("!")
	case grade.Partial:
		return t.Warn("◐")
	case grade.Planned:
		return t.Dim("·")
	}
	return t.Dim("○")
}

// intents writes what did not pass; all of them where the learner looks at a
// single kata.
func (t *terminal) intents(k *grade.Kata) {
	all := t.verbose || len(t.report.Katas) == 1
	waiting := 0
	step := ""
	for i := range k.Intents {
		in := &k.Intents[i]
		if waits(in) {
			waiting++
			continue
		}
		if in.Unmet() || in.Status == grade.Passed && !all || in.Status == grade.Broken && in.Because == nil {
			continue
		}
		if in.Step != step {
			step = in.Step
			t.step(k, step)
		}
		t.intent(in)
	}
	if waiting > 0 {
		t.Marked(2, t.mark(grade.NotRun), t.lang.N("intents.waiting", waiting), nil)
	}
}

func (t *terminal) step(k *grade.Kata, id string) {
	i := slices.IndexFunc(k.Steps, func(s grade.Step) bool { return s.ID == id })
	if i >= 0 {
		t.Line(2, t.Bold(t.say("step", strings.TrimPrefix(id, "step"), k.Steps[i].Title.In(string(t.lang)))))
	}
}

func (t *terminal) intent(in *grade.Intent) {
	t.Marked(2, t.mark(in.Status), in.Text.In(string(t.lang)), nil)
	if in.Status == grade.Passed {
		return
	}
	if b := in.Because; b != nil {
		if l := label(t.lang, b.Kind); l != "" {
			t.Line(6, t.Warn(l))
		}
		t.because(b)
	}
	if in.At != "" {
		t.at(in.At)
	}
	t.output(in)
}

// because writes the explanation: whole, but for the stacks of a race report,
// which are the longest and say the least.
func (t *terminal) because(b *grade.Because) {
	lines := strings.Split(grade.Say(b.Text, string(t.lang)), "\n")
	shown := lines
	if b.Kind == grade.Race && !t.verbose && len(lines) > raceLines+1 {
		shown = lines[:raceLines]
	}
	for _, l := range shown {
		t.Para(6, l, nil)
	}
	t.more(len(lines) - len(shown))
}

// at writes a position: bright where the learner's own code is.
func (t *terminal) at(position string) {
	if strings.Contains(position, "/"+course.AuthorDir+"/") {
		t.Line(6, t.Dim(position))
		return
	}
	t.Line(6, t.Name(position))
}

// more says how many lines were left out.
func (t *terminal) more(n int) {
	if n > 0 {
		t.Line(6, t.Dim("│ "+t.say("output.more", n)))
	}
}

// output shows a few of the lines that a test printed.
func (t *terminal) output(in *grade.Intent) {
	lines := news(in)
	shown := lines
	if !t.verbose && len(lines) > outputLines+1 {
		shown = lines[:outputLines]
	}
	for _, l := range shown {
		t.Line(6, t.Dim("│ "+l))
	}
	t.more(len(lines) - len(shown))
}

// news returns the lines of the output that the explanation does not hold
// already. Each line of the explanation stands for one of the output: a second
// failure that begins like the first keeps its beginning.
func news(in *grade.Intent) []string {
	known := map[string]int{}
	if in.Because != nil {
		for line := range strings.Lines(in.Because.Text) {
			known[bare(line)]++
		}
	}
	var out []string
	for _, l := range in.Output {
		b := bare(l)
		n, said := known[b]
		if b == "" || noise.MatchString(l) || said && recovered.MatchString(l) {
			continue
		}
		if n > 0 {
			known[b]--
			continue
		}
		out = append(out, strings.ReplaceAll(strings.TrimRight(l, " \t"), "\t", "    "))
	}
	return out
}

var (
	position  = regexp.MustCompile(`^\s+[^\s:]+\.go:\d+: `)
	recovered = regexp.MustCompile(` \[recovered[^\]]*\]$`)
	// noise is what testify and the race detector say of themselves.
	noise = regexp.MustCompile(`^\s+(Error Trace|Error|Test|Messages):\s|^=+$|race detected during execution of test`)
)

// bare is a line without what go test and the runtime add to it.
func bare(line string) string {
	return strings.TrimSpace(recovered.ReplaceAllString(position.ReplaceAllString(line, ""), ""))
}

func (t *terminal) nextStep(k *grade.Kata) {
	switch {
	case k.Status == grade.Passed && len(t.report.Katas) == 1:
		t.Line(2, t.Dim("→ ")+t.say("next.passed", t.Name("grader solution "+k.Path), t.Name("grader next")))
	case k.Status == grade.Failed && len(failing(k)) > 0:
		t.Line(2, t.Dim("→ ")+t.say("next.hint", t.Name("grader hint "+k.Path)))
	}
	if k.Status != grade.Passed {
		t.Gap()
	}
}

// untouched says what has not been started: by name if it is one, else by topic.
func (t *terminal) untouched(katas []*grade.Kata) {
	switch {
	case len(katas) == 0:
		return
	case len(t.report.Katas) == 1:
		k := katas[0]
		t.Line(0, fmt.Sprintf("%s %s  %s  %s", t.mark(k.Status), t.Bold(k.Path), k.Title.In(string(t.lang)), t.say("kata.untouched")))
		t.Line(2, t.Dim("→ ")+t.say("next.untouched", t.Name("grader show "+k.Path)))
		return
	}
	var paths []string
	for _, k := range katas {
		paths = append(paths, k.Path)
	}
	t.Line(0, t.mark(grade.Untouched)+" "+t.say("untouched.some", len(katas)))
	t.byTopic(paths)
}

func (t *terminal) planned() {
	paths := planned(t.report)
	if len(paths) == 0 {
		return
	}
	t.Line(0, t.mark(grade.Planned)+" "+t.say("planned.some", len(paths)))
	if t.verbose || len(paths) <= 8 {
		t.byTopic(paths)
	}
}

// byTopic lists paths, the folder named once.
func (t *terminal) byTopic(paths []string) {
	names := map[string][]string{}
	var dirs []string
	for _, p := range paths {
		dir := path.Dir(p)
		if names[dir] == nil {
			dirs = append(dirs, dir)
		}
		names[dir] = append(names[dir], path.Base(p))
	}
	for _, dir := range dirs {
		lines := t.Wrap(dir+": "+strings.Join(names[dir], ", "), 6)
		for i, l := range lines {
			t.Line(4+2*min(i, 1), t.Dim(l))
		}
	}
}

func (t *terminal) summary(begun []*grade.Kata) {
	s := t.report.Summary
	t.Gap()
	t.items()
	width := 0
	for _, key := range []string{"summary.katas", "summary.intents", "summary.items"} {
		width = max(width, term.Width(t.say(key)))
	}
	row := func(key string, counts map[string]int, order ...grade.Status) {
		if counts["total"] > 0 {
			t.Line(0, term.Pad(t.say(key), width)+"  "+t.counts(counts, order))
		}
	}
	row("summary.katas", s.Katas, grade.Passed, grade.Failed, grade.Broken, grade.Untouched)
	if len(begun) > 0 {
		row("summary.intents", s.Intents, grade.Passed, grade.Failed, grade.NotRun, grade.Broken)
	}
	row("summary.items", s.Items, grade.Passed, grade.Partial, grade.Open, grade.Planned)
	t.caveats(begun)
}

func (t *terminal) counts(counts map[string]int, order []grade.Status) string {
	paint := map[grade.Status]func(string) string{grade.Passed: t.Good, grade.Failed: t.Bad, grade.Broken: t.Bad, grade.NotRun: t.Warn, grade.Partial: t.Warn}
	var parts []string
	for _, s := range order {
		n := counts[string(s)]
		if n == 0 && s != grade.Passed {
			continue
		}
		text := t.say("count."+string(s), n)
		if p := paint[s]; p != nil && n > 0 {
			text = p(text)
		}
		parts = append(parts, text)
	}
	return strings.Join(append(parts, t.Dim(t.say("count.total", counts["total"]))), t.Dim(" · "))
}

// items lists the lines of the roadmap on which something has been achieved.
func (t *terminal) items() {
	n := 0
	for _, it := range t.report.Items {
		if it.Status != grade.Passed && it.Status != grade.Partial {
			continue
		}
		n++
		text := it.Title.In(string(t.lang))
		if it.Simulated {
			text += t.Dim(" · ") + t.Warn(t.say("item.simulated"))
		}
		if it.Status == grade.Partial {
			text += t.Dim(" · " + t.say("item.partial"))
		}
		t.Line(0, t.mark(it.Status)+" "+text)
	}
	if n > 0 {
		t.Gap()
	}
}

// caveats repeats at the end what the verdicts leave open: it must not scroll away.
func (t *terminal) caveats(begun []*grade.Kata) {
	n := 0
	for _, k := range begun {
		if slices.Contains(k.Unchecked, "race") {
			n++
		}
	}
	if n > 0 {
		t.Marked(0, t.Warn("!"), t.lang.N("caveat.race", n), t.Warn)
	}
}
