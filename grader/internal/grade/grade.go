// Package grade turns records into verdicts. It is pure: no files, no processes.
package grade

import (
	"fmt"
	"slices"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/suite"
)

// Schema names the JSON form of a Report.
const Schema = "roadkata.report/v1"

// Status of an intent, a step, a kata or an item.
type Status string

const (
	Passed    Status = "passed"
	Failed    Status = "failed"
	NotRun    Status = "notrun"
	Broken    Status = "broken"    // the kata's or the grader's own fault
	Untouched Status = "untouched" // kata: the stub as it was
	Partial   Status = "partial"   // item: some of its katas
	Open      Status = "open"      // item: none of its katas
	Planned   Status = "planned"   // item: no kata stands yet
)

// Report is everything that a check found out.
type Report struct {
	Schema  string  `json:"schema"`
	Summary Summary `json:"summary"`
	Items   []Item  `json:"items"`
	Katas   []Kata  `json:"katas"`
}

// Summary counts by status; "total" is among the keys.
type Summary struct {
	Katas   map[string]int `json:"katas"`
	Items   map[string]int `json:"items"`
	Intents map[string]int `json:"intents"`
}

// Item is one line of the roadmap.
type Item struct {
	ID      string      `json:"id"`
	Title   course.Text `json:"title"`
	Status  Status      `json:"status"`
	Katas   []string    `json:"katas"`
	Planned []string    `json:"planned,omitempty"`
	// Simulated says that every kata of the item rests on a simulation.
	Simulated bool `json:"simulated,omitempty"`
}

// Kata is the verdict on one kata.
type Kata struct {
	Path      string           `json:"path"`
	Title     course.Text      `json:"title"`
	Level     int              `json:"level"`
	Engine    course.Engine    `json:"engine"`
	Status    Status           `json:"status"`
	Seconds   float64          `json:"seconds"`
	Cached    bool             `json:"cached"`
	Problems  []course.Problem `json:"problems"`
	Unchecked []string         `json:"unchecked"`
	Steps     []Step           `json:"steps"`
	Intents   []Intent         `json:"intents"`
}

// Step is a part of a project.
type Step struct {
	ID     string      `json:"id"`
	Title  course.Text `json:"title"`
	Status Status      `json:"status"`
}

// Intent is the verdict on one intent.
type Intent struct {
	Name    string      `json:"name"`
	Step    string      `json:"step"`
	Text    course.Text `json:"text"`
	Status  Status      `json:"status"`
	Because *Because    `json:"because,omitempty"`
	At      string      `json:"at"` // where the suite, or the panic in the learner's file, stands
	Output  []string    `json:"output"`
}

// Because says why an intent did not pass.
type Because struct {
	Kind Reason `json:"kind"`
	Text string `json:"text"`
}

// Reason is the kind of a failure.
type Reason string

const (
	Assertion Reason = "assertion"
	Panic     Reason = "panic"
	Deadlock  Reason = "deadlock"
	Timeout   Reason = "timeout"
	Race      Reason = "race"
	Leak      Reason = "leak"
	Exit      Reason = "exit"
	Skip      Reason = "skip"
	Needs     Reason = "needs" // a real server that nobody named; it takes nothing from a pass
	Output    Reason = "output"
	Compile   Reason = "compile"
	Accepted  Reason = "accepted" // write the tests: a wrong subject slipped through
	Refused   Reason = "refused"  // write the tests: a right subject was not accepted
	Grader    Reason = "grader"
)

// Grade judges the results of one variant of k: one result, or one for each
// subject of a write-the-tests kata. found are problems of the static rules.
func Grade(k *course.Kata, results []*suite.Result, found []course.Problem) Kata {
	out := blank(k)
	out.Problems = append(out.Problems, found...)
	for _, r := range results {
		out.Seconds += r.Seconds
		out.Unchecked = union(out.Unchecked, r.Unchecked)
		out.Problems = append(out.Problems, fresh(out.Problems, r.Compile)...)
		if len(r.Faults) > 0 {
			out.Status = Broken
			out.Problems = append(out.Problems, fresh(out.Problems, r.Faults)...)
		}
	}
	if k.Kind == course.Tests {
		gradeSubjects(&out, k, results)
	} else if len(results) > 0 {
		gradeIntents(&out, results[0])
	}
	out.settle(k)
	return out
}

// NotStarted is the verdict on an untouched stub.
func NotStarted(k *course.Kata) Kata {
	out := blank(k)
	out.Status = Untouched
	out.steps(k)
	return out
}

// blank has every intent, none of them run.
func blank(k *course.Kata) Kata {
	out := Kata{Path: k.Path, Title: k.Title, Level: k.Level, Engine: k.Engine,
		Problems: []course.Problem{}, Unchecked: []string{}, Steps: []Step{}, Intents: []Intent{}}
	for _, in := range k.Intents {
		out.Intents = append(out.Intents, Intent{Name: in.Name, Step: in.Step, Text: in.Text, Status: NotRun, At: in.At, Output: []string{}})
	}
	return out
}

func gradeIntents(out *Kata, r *suite.Result) {
	for i := range out.Intents {
		in := &out.Intents[i]
		if len(r.Compile) > 0 {
			in.Because = &Because{Compile, "not run: the problems of the files come first"}
			continue
		}
		if len(r.Faults) > 0 {
			in.Status = Broken
			continue
		}
		judge(in, r, out)
	}
	// A report of the race detector that no single intent repeats still counts.
	if i := slices.IndexFunc(r.Runs, func(p suite.Process) bool { return p.Superseded }); i >= 0 && !out.any(Failed) {
		out.Problems = append(out.Problems, course.Problem{Kind: "race", At: out.Path,
			Text: "the race detector reported while the intents ran together, though none of them shows it alone:\n" + raceReport(r.Runs[i].Output)})
	}
	// A process that ends badly after its last intent: a goroutine left behind
	// has panicked, or something called os.Exit.
	if last := len(r.Runs) - 1; last >= 0 && !out.any(Failed) && !out.any(Broken) && !out.any(NotRun) {
		if p := r.Runs[last]; !p.Finished() || p.Exit.Code != 0 {
			b := because(&p)
			out.Problems = append(out.Problems, course.Problem{Kind: string(b.Kind), At: out.Path, Text: "after the last intent: " + b.Text})
		}
	}
}

// judge gives one intent its verdict from the last process that ran it.
func judge(in *Intent, r *suite.Result, out *Kata) {
	var p *suite.Process
	for i := range r.Runs {
		if !r.Runs[i].Superseded && slices.Contains(r.Runs[i].Asked, in.Name) {
			p = &r.Runs[i]
		}
	}
	if p == nil {
		if need := r.Pair.Kata.IntentByName(in.Name); need != nil && !need.Met() {
			in.Because = &Because{Needs, "not run: it needs the real server that " + need.Needs + " names"}
		} else if slices.Contains(r.Tests, in.Name) {
			in.Because = &Because{Grader, "it was not asked for"}
		}
		return
	}
	if p.Exit.Error != "" {
		in.Status = Broken
		in.Because = &Because{Grader, p.Exit.Error}
		return
	}
	starts, ends := 0, []suite.Event{}
	for _, e := range p.Events {
		if e.Test != in.Name {
			continue
		}
		switch e.Kind {
		case suite.Start:
			starts++
		case suite.End:
			ends = append(ends, e)
		}
	}
	bad := slices.IndexFunc(ends, func(e suite.Event) bool { return !e.Passed })
	in.Output = outputOf(p.Output, in.Name)
	switch {
	case starts == 0:
		in.Status = NotRun
		in.Because = notRun(p, r)
	case bad >= 0 && ends[bad].Skipped && !ends[bad].Failed:
		in.Status = Failed
		in.Because = &Because{Skip, "the test was skipped; a skip is no pass"}
	case bad >= 0 && ends[bad].Failed:
		in.Status = Failed
		in.Because = failedBecause(in, p, ends[bad])
	case bad >= 0 || len(ends) < starts:
		in.Status = Failed
		b := because(p)
		in.Because = &b
	case p.Racy() && len(p.Asked) == 1:
		in.Status = Failed
		in.Because = &Because{Race, raceReport(p.Output)}
	default:
		in.Status = Passed
		in.Output = []string{}
		return
	}
	if in.Because != nil && (in.Because.Kind == Panic || in.Because.Kind == Deadlock || in.Because.Kind == Timeout) && len(ends) < starts {
		in.Output = tailOf(p.Output, in.Output)
	}
	lines := in.Output
	if in.Because != nil && in.Because.Kind == Race {
		lines = strings.Split(in.Because.Text, "\n")
	}
	if at := learnerPosition(out.Path, lines); at != "" {
		in.At = at
	}
}

// settle derives the kata's status from its intents and problems.
func (out *Kata) settle(k *course.Kata) {
	out.steps(k)
	switch {
	case out.Status == Broken || out.any(Broken) || len(k.Faults) > 0:
		out.Status = Broken
	case len(out.Problems) > 0 || len(out.Intents) == 0 || out.any(Failed) || out.any(NotRun):
		out.Status = Failed
	default:
		out.Status = Passed
	}
}

func (out *Kata) steps(k *course.Kata) {
	out.Steps = []Step{}
	for _, s := range k.Steps {
		st := Step{ID: s.ID, Title: s.Title, Status: Passed}
		for _, in := range out.Intents {
			if in.Step == s.ID && in.Status != Passed && !in.Unmet() && st.Status != Failed {
				st.Status = in.Status
			}
		}
		out.Steps = append(out.Steps, st)
	}
}

func (out *Kata) any(s Status) bool {
	return slices.ContainsFunc(out.Intents, func(in Intent) bool { return in.Status == s && !in.Unmet() })
}

// Unmet reports whether the intent was not run because the real server that it
// needs was not named. That is said, and nobody fails for it.
func (in *Intent) Unmet() bool {
	return in.Status == NotRun && in.Because != nil && in.Because.Kind == Needs
}

// Passes reports whether the named intent passed.
func (out *Kata) Passes(name string) bool {
	return slices.ContainsFunc(out.Intents, func(in Intent) bool { return in.Name == name && in.Status == Passed })
}

// Assemble joins the verdicts on katas to a report on items.
func Assemble(items []*course.Item, katas []Kata) *Report {
	r := &Report{Schema: Schema, Items: []Item{}, Katas: katas}
	if r.Katas == nil {
		r.Katas = []Kata{}
	}
	status := map[string]Status{}
	r.Summary = Summary{Katas: map[string]int{"total": 0}, Items: map[string]int{"total": 0}, Intents: map[string]int{"total": 0}}
	for _, k := range katas {
		status[k.Path] = k.Status
		count(r.Summary.Katas, k.Status)
		for _, in := range k.Intents {
			count(r.Summary.Intents, in.Status)
		}
	}
	for _, it := range items {
		i := ItemStatus(it, status)
		count(r.Summary.Items, i.Status)
		r.Items = append(r.Items, i)
	}
	return r
}

// ItemStatus judges an item by the status of its katas. An item with katas still
// to be written is never passed: nobody can have shown all of it.
func ItemStatus(it *course.Item, status map[string]Status) Item {
	out := Item{ID: it.ID, Title: it.Title, Katas: []string{}, Planned: it.Planned, Simulated: len(it.Katas) > 0}
	passed := 0
	for _, k := range it.Katas {
		out.Katas = append(out.Katas, k.Path)
		out.Simulated = out.Simulated && k.Engine.Kind == "simulated"
		if status[k.Path] == Passed {
			passed++
		}
	}
	switch {
	case len(it.Katas) == 0:
		out.Status = Planned
	case passed == len(it.Katas) && len(it.Planned) == 0:
		out.Status = Passed
	case passed > 0:
		out.Status = Partial
	default:
		out.Status = Open
	}
	return out
}

func count(m map[string]int, s Status) {
	m[string(s)]++
	m["total"]++
}

// ExitCode is the exit status that the report stands for.
func (r *Report) ExitCode() int {
	code := 0
	for _, k := range r.Katas {
		switch k.Status {
		case Broken:
			return 3
		case Passed:
		default:
			code = 1
		}
	}
	return code
}

func union(a, b []string) []string {
	for _, x := range b {
		if !slices.Contains(a, x) {
			a = append(a, x)
		}
	}
	return a
}

// fresh returns the problems of add that old does not hold yet: the subjects of
// one suite share its compile errors.
func fresh(old, add []course.Problem) []course.Problem {
	var out []course.Problem
	for _, p := range add {
		if !slices.Contains(old, p) && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// gradeSubjects judges a learner's suite by what it said of each subject.
func gradeSubjects(out *Kata, k *course.Kata, results []*suite.Result) {
	bySubject := map[string][]*suite.Result{}
	for _, r := range results {
		if r.Pair.Subject != nil {
			name := r.Pair.Subject.Intent()
			bySubject[name] = append(bySubject[name], r)
		}
	}
	allAccepted := true
	for i := range out.Intents {
		in := &out.Intents[i]
		if strings.HasPrefix(in.Name, "accepts/") {
			acceptance(in, bySubject[in.Name])
			allAccepted = allAccepted && in.Status == Passed
		}
	}
	for i := range out.Intents {
		in := &out.Intents[i]
		if strings.HasPrefix(in.Name, "catches/") {
			detection(in, bySubject[in.Name], allAccepted)
		}
	}
}

func acceptance(in *Intent, results []*suite.Result) {
	in.Status = Passed
	for _, r := range results {
		switch {
		case len(r.Faults) > 0:
			in.Status = Broken
			return
		case len(r.Compile) > 0:
			in.Status, in.Because = NotRun, &Because{Compile, "not run: the problems of the files come first"}
			return
		case len(r.Tests) == 0:
			in.Status, in.Because = Failed, &Because{Refused, "there is no test: a suite needs at least one func TestXxx(t *testing.T)"}
			return
		}
		for _, p := range r.Runs {
			if test, why := firstFailure(&p); test != "" {
				in.Status = Failed
				how := ""
				switch {
				case r.Pair.Count > 1:
					how = " when all tests run twice in one process (state is left over)"
				case r.Pair.Shuffle != "":
					how = " when the tests run in another order"
				case r.Pair.Alone:
					how = " when it runs alone"
				}
				in.Because = &Because{Refused, fmt.Sprintf("%s fails on a right implementation%s: %s", test, how, why.Text)}
				in.Output = outputOf(p.Output, test)
				if why.Kind == Panic || why.Kind == Deadlock || why.Kind == Timeout {
					in.Output = tailOf(p.Output, in.Output)
				}
				return
			}
			if !p.Finished() || p.Exit.Code != 0 {
				b := because(&p)
				in.Status, in.Because = Failed, &Because{Refused, "the tests ended badly on a right implementation: " + b.Text}
				return
			}
		}
	}
	if len(results) == 0 {
		in.Status = NotRun
	}
}

func detection(in *Intent, results []*suite.Result, allAccepted bool) {
	for _, r := range results {
		if len(r.Faults) > 0 {
			in.Status = Broken
			return
		}
		if len(r.Compile) > 0 {
			in.Because = &Because{Compile, "not run: the problems of the files come first"}
			return
		}
	}
	if !allAccepted {
		in.Because = &Because{Refused, "counts only once every right implementation is accepted"}
		return
	}
	in.Status = Failed
	in.Because = &Because{Accepted, "your tests pass on this wrong implementation"}
	for _, r := range results {
		for _, p := range r.Runs {
			test, why := firstFailure(&p)
			if test != "" && why.Kind != Skip || test == "" && !p.Finished() {
				in.Status, in.Because = Passed, nil
				return
			}
		}
	}
}

// firstFailure returns the first test of a process that did not pass, and why.
func firstFailure(p *suite.Process) (string, Because) {
	for _, test := range p.Asked {
		var last *suite.Event
		starts, ends := 0, 0
		for i, e := range p.Events {
			if e.Test != test {
				continue
			}
			if e.Kind == suite.Start {
				starts++
			}
			if e.Kind == suite.End {
				ends++
				if !e.Passed && last == nil {
					last = &p.Events[i]
				}
			}
		}
		switch {
		case last != nil && last.Skipped && !last.Failed:
			return test, Because{Skip, "it skips"}
		case last != nil:
			in := Intent{Name: test, Output: outputOf(p.Output, test)}
			return test, *failedBecause(&in, p, *last)
		case starts > ends:
			return test, because(p)
		}
	}
	return "", Because{}
}

// Unpassed lists the tests of a result that did not pass.
func Unpassed(r *suite.Result) []string {
	var out []string
	for _, test := range r.Tests {
		in := Intent{Name: test}
		judge(&in, r, &Kata{})
		if in.Status != Passed {
			out = append(out, test)
		}
	}
	return out
}
