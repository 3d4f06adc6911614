// Package verify holds every kata to what makes its verdicts trustworthy: the
// stub passes nothing, right solutions pass, every known wrong one is caught by
// the intent that it breaks, both languages are complete.
//
// It sends the author's variants down the same line as a learner's files.
package verify

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/tools/go/analysis"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
	"github.com/roadkata/roadkata/grader/internal/rules"
	"github.com/roadkata/roadkata/grader/internal/suite"
)

// Schema names the JSON form of a Report.
const Schema = "roadkata.verify/v1"

// Options of a verification.
type Options struct {
	Jobs    int
	NoRace  bool
	Count   int    // how often right solutions are run in one process; 0: once
	Shuffle string // "", "on" or a seed: the order of intents for right solutions
	Right   bool   // only right solutions, for flakes and other servers; the rest of the gates is left out
	// Analyzers look at right solutions; nil: rules.All.
	Analyzers []*analysis.Analyzer
	// Step is told what happens; may be nil.
	Step func(suite.Step)
}

// Report is what verify found.
type Report struct {
	Schema  string           `json:"schema"`
	Katas   []Kata           `json:"katas"`
	Roadmap []course.Problem `json:"roadmap"` // of the workspace, not of one kata
	Seconds float64          `json:"seconds"`
}

// Kata is what verify found out about one kata.
type Kata struct {
	Path      string           `json:"path"`
	OK        bool             `json:"ok"`
	Problems  []course.Problem `json:"problems"`
	Intents   []Intent         `json:"intents"`
	Right     []Right          `json:"right"`
	Rejects   []Reject         `json:"rejects"`
	Seconds   float64          `json:"seconds"` // wall time of the reference's own run
	Unique    int              `json:"unique"`  // intents that some reject breaks alone
	Unchecked []string         `json:"unchecked"`
	// SecondLook says that the rejects were run twice, the second time one by one.
	SecondLook bool `json:"second_look"`
}

// Intent is a column of the matrix.
type Intent struct {
	Name   string `json:"name"`
	Shares string `json:"shares,omitempty"`
	// OnlyBy names the rejects that this intent alone catches.
	OnlyBy []string `json:"only_by"`
}

// Right is a right solution and whether it passed.
type Right struct {
	Name   string       `json:"name"`
	Status grade.Status `json:"status"`
}

// Reject is a row of the matrix.
type Reject struct {
	Name     string   `json:"name"`
	Text     string   `json:"text"`
	CaughtBy []string `json:"caught_by"` // as it says
	Caught   []string `json:"caught"`    // every intent that it did not pass
}

// OK reports whether nothing is to be mended.
func (r *Report) OK() bool {
	return len(r.Roadmap) == 0 && !slices.ContainsFunc(r.Katas, func(k Kata) bool { return !k.OK })
}

// plan is everything that has to run for one kata.
type plan struct {
	kata     *course.Kata
	variants []*course.Variant
	whole    map[*course.Variant][]*suite.Pair // the hidden suite, or every subject; of a reject, what alone leaves
	alone    map[*course.Variant]*suite.Pair   // what caught-by names, one by one
	examples map[*course.Variant]*suite.Pair
	right    bool // right solutions only
	count    int  // how often they run
}

// Run verifies the katas and what the workspace says of them.
func Run(ctx context.Context, c *course.Course, katas []*course.Kata, opts Options) (*Report, error) {
	began := time.Now()
	if opts.Analyzers == nil {
		opts.Analyzers = rules.All()
	}
	if opts.Jobs <= 0 {
		// Rejects mostly wait to be caught: for a lock, for a deadline.
		opts.Jobs = 3 * runtime.NumCPU()
	}
	var plans []*plan
	var pairs []*suite.Pair
	var rights, all []*course.Variant
	for _, k := range katas {
		p := newPlan(k, opts)
		plans = append(plans, p)
		pairs = append(pairs, p.pairs()...)
		for _, v := range p.variants {
			all = append(all, v)
			if isRight(v) {
				rights = append(rights, v)
			}
		}
	}
	// The rules are judged while the processes run, many of which wait.
	var results []*suite.Result
	found := findings{results: map[*suite.Pair]*suite.Result{}}
	work, workCtx := errgroup.WithContext(ctx)
	work.Go(func() (err error) {
		results, err = suite.Run(workCtx, pairs, suite.Options{Jobs: opts.Jobs, NoRace: opts.NoRace, Progress: opts.Step})
		return err
	})
	work.Go(func() (err error) {
		if found.forbidden, err = rules.Forbidden(workCtx, all); err != nil {
			return err
		}
		found.lint, err = rules.Lint(workCtx, rights, opts.Analyzers)
		return err
	})
	err := work.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err() // what the two say of being stopped is no news
	}
	if err != nil {
		return nil, err
	}
	for _, r := range results {
		found.results[r.Pair] = r
	}
	rep := &Report{Schema: Schema, Roadmap: workspaceProblems(c, katas)}
	for _, p := range plans {
		k := judge(p, found)
		if k.onlyRejects() && ctx.Err() == nil {
			if k, err = secondLook(ctx, p, k, found, opts); err != nil {
				return nil, err
			}
		}
		rep.Katas = append(rep.Katas, k)
	}
	rep.Seconds = time.Since(began).Seconds()
	return rep, nil
}

// secondLook runs the rejects in doubt again, one process at a time. A reject
// that hangs or races needs the machine's time to be caught, and on a loaded one
// a wait that is meant for another intent can run out. Right solutions get no
// second look: one that fails once has failed.
func secondLook(ctx context.Context, p *plan, first Kata, f findings, opts Options) (Kata, error) {
	var again []*suite.Pair
	for _, v := range p.variants {
		if v.Kind != course.Reject || !first.doubts(v) {
			continue
		}
		again = append(again, p.whole[v]...)
		if alone := p.alone[v]; alone != nil {
			again = append(again, alone)
		}
	}
	results, err := suite.Run(ctx, again, suite.Options{Jobs: 1, NoRace: opts.NoRace, Progress: opts.Step})
	if err != nil {
		return Kata{}, err
	}
	for _, r := range results {
		f.results[r.Pair] = r
	}
	k := judge(p, f)
	k.SecondLook = true
	return k, nil
}

// doubts reports whether what is to mend may concern the reject: it was not
// caught, or names an intent that no reject is caught by alone.
func (k *Kata) doubts(v *course.Variant) bool {
	return slices.ContainsFunc(k.Problems, func(p course.Problem) bool {
		return p.At == course.RelTo(v.Kata.Root, v.Dir) || slices.ContainsFunc(v.CaughtBy, func(name string) bool {
			in := v.Kata.IntentByName(name)
			return in != nil && p.At == in.At
		})
	})
}

// onlyRejects reports whether all that is to mend concerns what catches rejects.
func (k *Kata) onlyRejects() bool {
	return len(k.Problems) > 0 && !slices.ContainsFunc(k.Problems, func(p course.Problem) bool { return p.Kind != uncaught })
}

// uncaught is the kind of problem that a second look may settle.
const uncaught = "uncaught"

// findings are the results that all katas are judged by.
type findings struct {
	results   map[*suite.Pair]*suite.Result
	forbidden map[*course.Variant][]course.Problem
	lint      map[*course.Variant][]course.Problem
}

func isRight(v *course.Variant) bool { return v.Kind == course.Solution || v.Kind == course.Accept }

func newPlan(k *course.Kata, opts Options) *plan {
	p := &plan{kata: k, variants: k.Variants(), right: opts.Right, count: max(opts.Count, 1), whole: map[*course.Variant][]*suite.Pair{},
		alone: map[*course.Variant]*suite.Pair{}, examples: map[*course.Variant]*suite.Pair{}}
	if len(k.Faults) > 0 {
		p.variants = nil
		return p
	}
	if p.right {
		p.variants = slices.DeleteFunc(p.variants, func(v *course.Variant) bool { return !isRight(v) })
	}
	for _, v := range p.variants {
		if len(v.Problems) > 0 {
			continue
		}
		pairs := suite.PairsOf(v)
		switch {
		case isRight(v):
			for _, pair := range pairs {
				if opts.Shuffle != "" && pair.Shuffle == "" {
					pair.Shuffle = opts.Shuffle
				}
				if opts.Count > 1 {
					pair.Count = opts.Count
					// The deadline is meant for one round.
					pair.Timeout = time.Duration(opts.Count) * k.Timeout
				}
			}
			if k.Kind == course.Library {
				p.examples[v] = &suite.Pair{Kata: k, Variant: v, Examples: true}
			}
		case v.Kind == course.Reject && k.Kind != course.Tests:
			if only := intentsOnly(v.CaughtBy); len(only) > 0 {
				p.alone[v] = &suite.Pair{Kata: k, Variant: v, Only: only, Alone: true}
				// The others run together, and without what is known to panic, to race or to hang.
				pairs[0].Only = others(k, only)
			}
		}
		p.whole[v] = pairs
	}
	return p
}

func intentsOnly(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "forbid" })
}

// others are the intents of k that are not among names; never nil.
func others(k *course.Kata, names []string) []string {
	out := []string{}
	for _, in := range k.Intents {
		if !slices.Contains(names, in.Name) {
			out = append(out, in.Name)
		}
	}
	return out
}

func (p *plan) pairs() []*suite.Pair {
	var out []*suite.Pair
	for _, v := range p.variants {
		out = append(out, p.whole[v]...)
		for _, extra := range []*suite.Pair{p.alone[v], p.examples[v]} {
			if extra != nil {
				out = append(out, extra)
			}
		}
	}
	return out
}

// judge applies the gates to one kata.
func judge(p *plan, f findings) Kata {
	j := &judgement{plan: p, findings: f, out: Kata{Path: p.kata.Path, Problems: []course.Problem{}, Intents: []Intent{},
		Right: []Right{}, Rejects: []Reject{}, Unchecked: []string{}}}
	j.add(p.kata.Faults...)
	j.add(p.kata.Lapses...)
	for _, in := range p.kata.Intents {
		j.out.Intents = append(j.out.Intents, Intent{Name: in.Name, Shares: in.Shares, OnlyBy: []string{}})
	}
	if j.faults(); len(j.out.Problems) == len(p.kata.Faults)+len(p.kata.Lapses) && len(p.kata.Faults) == 0 {
		for _, v := range p.variants {
			j.variant(v)
		}
		if !p.right {
			j.unique()
			j.enough()
		}
	}
	if !p.right {
		j.add(documents(p.kata)...)
		j.add(files(p.kata)...)
	}
	j.out.OK = len(j.out.Problems) == 0
	return j.out
}

type judgement struct {
	plan *plan
	findings
	out Kata
}

func (j *judgement) add(problems ...course.Problem) {
	for _, p := range problems {
		if !slices.Contains(j.out.Problems, p) {
			j.out.Problems = append(j.out.Problems, p)
		}
	}
}

func (j *judgement) say(v *course.Variant, format string, args ...any) {
	j.add(course.Problem{Kind: "verify", At: course.RelTo(v.Kata.Root, v.Dir), Text: fmt.Sprintf(format, args...)})
}

func (j *judgement) uncaught(v *course.Variant, format string, args ...any) {
	j.add(course.Problem{Kind: uncaught, At: course.RelTo(v.Kata.Root, v.Dir), Text: fmt.Sprintf(format, args...)})
}

func (j *judgement) grade(v *course.Variant) grade.Kata {
	var results []*suite.Result
	for _, p := range j.plan.whole[v] {
		results = append(results, j.results[p])
	}
	if p := j.plan.alone[v]; p != nil {
		both := *results[0]
		both.Runs = slices.Concat(j.results[p].Runs, both.Runs)
		results[0] = &both
	}
	return grade.Grade(v.Kata, results, j.forbidden[v])
}

func (j *judgement) variant(v *course.Variant) {
	if len(v.Problems) > 0 {
		j.add(v.Problems...)
		return
	}
	g := j.grade(v)
	switch v.Kind {
	case course.Stub:
		j.stub(v, g)
	case course.Reject:
		j.reject(v, g)
	default:
		j.right(v, g)
	}
}

// faults adds what the build said of the suite itself. Nothing that a suite says
// counts while it does not compile, so no more is asked then.
func (j *judgement) faults() {
	for _, pair := range j.plan.pairs() {
		if pair.Examples {
			continue // a matter between the examples and one solution
		}
		j.add(j.results[pair].Faults...)
	}
}

func (j *judgement) stub(v *course.Variant, g grade.Kata) {
	for _, p := range g.Problems {
		if p.Kind == "compile" || p.Kind == "files" {
			j.say(v, "the stub does not compile: %s", p)
		}
	}
	for _, in := range g.Intents {
		if in.Status == grade.Passed && !strings.HasPrefix(in.Name, "accepts/") {
			j.say(v, "the stub passes %s; an intent that nothing has to be written for asks nothing", in.Name)
		}
	}
	mine := v.Kata.Yours()
	j.add(mine.Problems...)
	if len(mine.Problems) == 0 && !mine.Untouched() {
		j.say(v, "the kata's folder differs from .kata/stub; copy one over the other (in a learner's clone that is your solution: `grader reset` brings the stub back)")
	}
}

func (j *judgement) right(v *course.Variant, g grade.Kata) {
	j.out.Right = append(j.out.Right, Right{Name: v.ID(), Status: g.Status})
	if v.Kind == course.Solution {
		j.out.Seconds = g.Seconds
		j.out.Unchecked = g.Unchecked
	}
	for _, p := range g.Problems {
		j.say(v, "%s has a problem: %s", v.ID(), p)
	}
	for _, in := range g.Intents {
		if in.Status != grade.Passed && !in.Unmet() {
			why := ""
			if in.Because != nil {
				why = ": " + in.Because.Text
			}
			j.say(v, "%s does not pass %s (%s)%s", v.ID(), in.Name, in.Status, why)
		}
	}
	if ex := j.plan.examples[v]; ex != nil {
		j.example(v, j.results[ex])
	}
	j.add(j.lint[v]...)
}

func (j *judgement) example(v *course.Variant, r *suite.Result) {
	for _, p := range append(slices.Clone(r.Compile), r.Faults...) {
		j.add(course.Problem{Kind: "verify", At: p.At, Text: "the examples do not compile with " + v.ID() + ": " + p.Text})
	}
	if len(r.Compile)+len(r.Faults) == 0 && len(r.Tests) == 0 {
		j.add(course.Problem{Kind: "verify", At: v.Kata.Path, Text: fmt.Sprintf("no visible examples; write one to three tests in %s_test.go", v.Kata.Package)})
	}
	for _, test := range grade.Unpassed(r) {
		j.say(v, "%s does not pass the example %s", v.ID(), test)
	}
}

func (j *judgement) reject(v *course.Variant, g grade.Kata) {
	row := Reject{Name: v.Name, Text: v.Text, CaughtBy: v.CaughtBy, Caught: []string{}}
	forbidden := false
	for _, p := range g.Problems {
		switch p.Kind {
		case "compile", "files":
			j.say(v, "%s does not compile: %s", v.ID(), p)
		case "forbid":
			forbidden = true
		}
	}
	for _, in := range g.Intents {
		if in.Status == grade.Passed || in.Unmet() || in.Because != nil && in.Because.Kind == grade.Refused && strings.HasPrefix(in.Name, "catches/") {
			continue
		}
		row.Caught = append(row.Caught, in.Name)
	}
	if forbidden {
		row.Caught = append(row.Caught, "forbid")
	}
	for _, name := range v.CaughtBy {
		j.caught(v, g, name, forbidden)
	}
	j.out.Rejects = append(j.out.Rejects, row)
	if len(row.Caught) == 1 {
		for i := range j.out.Intents {
			if j.out.Intents[i].Name == row.Caught[0] {
				j.out.Intents[i].OnlyBy = append(j.out.Intents[i].OnlyBy, v.Name)
			}
		}
	}
}

// caught holds a reject to the intent that it names, run alone.
func (j *judgement) caught(v *course.Variant, g grade.Kata, name string, forbidden bool) {
	if name == "forbid" {
		if !forbidden {
			j.say(v, "%s says that it is caught by forbid; no rule finds anything in it", v.ID())
		}
		return
	}
	i := slices.IndexFunc(g.Intents, func(in grade.Intent) bool { return in.Name == name })
	if i < 0 || g.Intents[i].Unmet() {
		return // what it needs is not here, and the report says so
	}
	in := g.Intents[i]
	if in.Because != nil && in.Because.Kind == grade.Grader {
		j.say(v, "%s could not be run against %s: %s", v.ID(), name, in.Because.Text) // which is no catch
		return
	}
	if in.Status == grade.Passed {
		j.uncaught(v, "%s is not caught by %s (run alone)", v.ID(), name)
		return
	}
	if in.Because != nil && in.Because.Kind == grade.Timeout && !v.Hangs {
		j.uncaught(v, "%s is caught by %s only through the deadline; bound the wait in the suite, or say //kata:hangs", v.ID(), name)
	}
}

// unique asks that every intent has a reject which it alone catches.
func (j *judgement) unique() {
	for i, in := range j.out.Intents {
		switch {
		case len(in.OnlyBy) > 0:
			j.out.Unique++
			if in.Shares != "" {
				j.add(course.Problem{Kind: "verify", At: j.plan.kata.Intents[i].At, Text: fmt.Sprintf("%s says //kata:shares and has a reject of its own (%s); remove the line", in.Name, in.OnlyBy[0])})
			}
		case in.Shares == "" && j.plan.kata.Intents[i].Met():
			j.add(course.Problem{Kind: uncaught, At: j.plan.kata.Intents[i].At, Text: fmt.Sprintf("no reject is caught by %s alone; add one, or give the reason with //kata:shares", in.Name)})
		}
	}
}

// enough asks for the number of intents, accepts and rejects that a kata needs.
func (j *judgement) enough() {
	k := j.plan.kata
	if n := len(k.Intents); n < 4 {
		j.add(course.Problem{Kind: "verify", At: k.Path, Text: fmt.Sprintf("%d intents; a kata has at least four", n)})
	}
	accepts := slices.ContainsFunc(j.plan.variants, func(v *course.Variant) bool { return v.Kind == course.Accept })
	if !accepts {
		j.add(course.Problem{Kind: "verify", At: k.Path + "/.kata/accept", Text: "no accept; add another right solution of different structure"})
	}
	if len(j.out.Rejects) < 3 {
		j.add(course.Problem{Kind: "verify", At: k.Path + "/.kata/reject", Text: fmt.Sprintf("%d rejects; add mistakes that people really make, at least three", len(j.out.Rejects))})
	}
	if limit := k.Timeout.Seconds() / 2 * float64(j.plan.count); j.out.Seconds > limit*float64(max(1, len(j.plan.whole[j.plan.variants[1]]))) {
		j.add(course.Problem{Kind: "verify", At: k.Path, Text: fmt.Sprintf("the reference takes %.1f s, more than half of its deadline; make the suite faster or raise //kata:timeout", j.out.Seconds)})
	}
}
