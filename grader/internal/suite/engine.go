package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// Options of a call to Run.
type Options struct {
	Jobs   int  // processes at once; 0: one a processor
	NoRace bool // build everything without the race detector
	// Progress is told what happens, from one goroutine at a time; may be nil.
	Progress func(Step)
}

// Step is one piece of progress.
type Step struct {
	Phase string  // "build", "run", "done"
	Pair  *Pair   // nil while building
	Of    int     // how many pairs there are
	Done  int     // how many are finished
	R     *Result // when done
}

// ErrNoGo says that there is no go command.
var ErrNoGo = errors.New("no go command in PATH; install Go 1.26 or newer from https://go.dev/dl/, then run `grader doctor`")

// Run builds and runs the pairs and returns a result for each, in their order.
// An error means that the grader could not do its work, or was cancelled.
func Run(ctx context.Context, pairs []*Pair, opts Options) ([]*Result, error) {
	e := &engine{opts: opts, results: make([]*Result, len(pairs)), index: map[*Pair]int{}}
	for i, p := range pairs {
		p.NoRace = p.NoRace || opts.NoRace
		e.index[p] = i
	}
	if len(pairs) == 0 {
		return nil, ctx.Err()
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		return nil, ErrNoGo
	}
	tmp, err := os.MkdirTemp("", "roadkata")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the test programs: %w", err)
	}
	defer removeAll(tmp)
	e.b = &builder{ctx: ctx, tmp: tmp, goTool: goTool, canRace: raceAvailable(), many: len(pairs) >= enough}
	if err := e.all(pairs); err != nil {
		return nil, err
	}
	return e.results, ctx.Err()
}

type engine struct {
	b       *builder
	opts    Options
	index   map[*Pair]int
	mu      sync.Mutex
	results []*Result
	done    int
}

// all builds program after program, ahead of the jobs: while those of one run,
// and many only wait, the next is linked.
func (e *engine) all(pairs []*Pair) error {
	jobs := e.opts.Jobs
	if jobs <= 0 {
		jobs = runtime.NumCPU()
	}
	slots := make(chan struct{}, jobs)
	var wg sync.WaitGroup
	defer wg.Wait()

	e.report(Step{Phase: "build"})
	groups := e.b.group(e.arrange(pairs))
	linked := make(chan []*program, len(groups))
	var failed error
	go func() {
		defer close(linked)
		for _, prog := range groups {
			progs, err := e.link(prog)
			if err != nil {
				failed = err
				return
			}
			linked <- progs
		}
	}()
	for progs := range linked {
		for _, p := range progs {
			for i, l := range p.layouts {
				for _, pair := range l.pairs {
					slots <- struct{}{}
					wg.Go(func() {
						defer func() { <-slots }()
						e.runPair(p, i, l, pair)
					})
				}
			}
		}
	}
	return failed
}

// arrange lays the pairs out; those with problems before any build are finished.
func (e *engine) arrange(pairs []*Pair) []*layout {
	merges := e.b.merges(pairs)
	// Pairs that share a layout, in the order in which they first come.
	var todo []*arranged
	index := map[string]*arranged{}
	for _, p := range pairs {
		name := filepath.Join(p.Kata.Dir, p.slug())
		if a := index[name]; a != nil && a.pairs[0].Variant == p.Variant && a.pairs[0].NoRace == p.NoRace {
			a.pairs = append(a.pairs, p)
			continue
		}
		if len(p.Kata.Faults) > 0 {
			e.finish(&Result{Pair: p, Faults: p.Kata.Faults})
			continue
		}
		if len(p.Variant.Problems) > 0 {
			e.finish(&Result{Pair: p, Compile: p.Variant.Problems})
			continue
		}
		a := &arranged{pairs: []*Pair{p}}
		index[name] = a
		todo = append(todo, a)
	}
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for _, a := range todo {
		group.Go(func() error {
			a.layout, a.problems = arrange(a.pairs[0], e.b.tmp, merges[a.pairs[0].Variant])
			return nil
		})
	}
	_ = group.Wait()
	var out []*layout
	for _, a := range todo {
		if len(a.problems) > 0 {
			for _, p := range a.pairs {
				r := e.failed(a.layout, a.problems)
				r.Pair = p
				e.finish(r)
			}
			continue
		}
		a.layout.pairs = a.pairs
		out = append(out, a.layout)
	}
	return out
}

// arranged is a layout and whom it is for.
type arranged struct {
	pairs    []*Pair
	layout   *layout
	problems []course.Problem
}

// link builds prog and, where a package keeps the shared program from coming
// up, each of its pairs alone.
func (e *engine) link(prog *program) ([]*program, error) {
	bad, err := e.b.build(prog)
	if err != nil {
		return nil, err
	}
	if err := e.settle(bad); err != nil {
		return nil, err
	}
	if len(prog.layouts) < 2 || probe(e.b.ctx, prog, e.b.tmp) {
		return []*program{prog}, nil
	}
	var out []*program
	for i, l := range prog.layouts {
		key := prog.key
		key.alone = l.base
		one := &program{key: key, name: prog.name + "p" + itoa(i), layouts: []*layout{l}}
		bad, err := e.b.build(one)
		if err != nil {
			return nil, err
		}
		if err := e.settle(bad); err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// settle finishes pairs that do not compile. Where only the suite does not, the
// reference tells whose fault it is: a suite that fits the reference is right,
// and the variant has changed what the contract names.
func (e *engine) settle(bad map[*layout][]course.Problem) error {
	for l, problems := range bad {
		r := e.failed(l, problems)
		if len(r.Compile) == 0 && l.pair.Variant.Kind != course.Solution && l.pair.Subject == nil {
			fits, err := e.fitsReference(l)
			if err != nil {
				return err
			}
			if fits {
				r.Compile, r.Faults = misfit(l, r.Faults), nil
			}
		}
		for _, p := range l.pairs {
			same := *r
			same.Pair = p
			e.finish(&same)
		}
	}
	return nil
}

func (e *engine) fitsReference(l *layout) (bool, error) {
	p := *l.pair
	p.Variant = p.Kata.Solution()
	if len(p.Variant.Problems) > 0 {
		return false, nil
	}
	ref, problems := arrange(&p, e.b.tmp, nil)
	if len(problems) > 0 {
		return false, nil
	}
	prog := e.b.newProgram(groupKey{module: p.Kata.ModuleDir, modulePath: p.Kata.ModulePath, race: e.b.race(&p), experiment: p.Kata.Experiment}, 0)
	prog.name += "ref"
	prog.layouts = []*layout{ref}
	bad, err := e.b.build(prog)
	return len(bad) == 0, err
}

// misfit words the compile errors of a suite in the learner's terms.
func misfit(l *layout, faults []course.Problem) []course.Problem {
	out := slices.Clone(faults)
	for i := range out {
		out[i].Kind = "compile"
		out[i].At = l.pair.Kata.Path
		out[i].Text = "your package no longer has the signatures that the contract gives: " + out[i].Text
	}
	return out
}

// failed sorts problems by whose fault they are.
func (e *engine) failed(l *layout, problems []course.Problem) *Result {
	r := &Result{Pair: l.pair, Tests: l.names()}
	for _, p := range problems {
		switch p.Kind {
		case "suite", "build", "grader":
			r.Faults = append(r.Faults, p)
		default:
			r.Compile = append(r.Compile, p)
		}
	}
	if len(r.Compile) > 0 {
		r.Faults = nil // what follows from the learner's error is not the suite's
	}
	return r
}

func (e *engine) runPair(prog *program, i int, l *layout, pair *Pair) {
	if e.b.ctx.Err() != nil {
		return
	}
	r := &Result{Pair: pair}
	if pair.Kata.Race && !prog.key.race {
		r.Unchecked = append(r.Unchecked, "race")
	}
	j := &job{ctx: e.b.ctx, layout: l, pair: pair, prog: prog, index: i, tmp: e.b.tmp, result: r}
	j.run(pair.Only)
	if e.b.ctx.Err() != nil {
		return
	}
	e.finish(r)
}

func (e *engine) finish(r *Result) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.results[e.index[r.Pair]] = r
	e.done++
	e.tell(Step{Phase: "done", Pair: r.Pair, R: r})
}

func (e *engine) report(s Step) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tell(s)
}

func (e *engine) tell(s Step) {
	if e.opts.Progress != nil {
		s.Of, s.Done = len(e.results), e.done
		e.opts.Progress(s)
	}
}

// raceAvailable reports whether the race detector can be linked: it needs cgo
// and so a C compiler, except on macOS.
var raceAvailable = sync.OnceValue(func() bool {
	if !slices.Contains([]string{"amd64", "arm64", "ppc64le", "s390x", "loong64", "riscv64"}, runtime.GOARCH) {
		return false
	}
	if runtime.GOOS == "darwin" {
		return true
	}
	if os.Getenv("CGO_ENABLED") == "0" {
		return false
	}
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "gcc"
	}
	_, err := exec.LookPath(cc)
	return err == nil
})

// RaceAvailable reports whether races can be checked on this machine.
func RaceAvailable() bool { return raceAvailable() }

// RunVariants runs everything that judges each variant and returns the results
// variant by variant.
func RunVariants(ctx context.Context, variants []*course.Variant, opts Options) ([][]*Result, error) {
	var pairs []*Pair
	var ends []int
	for _, v := range variants {
		pairs = append(pairs, PairsOf(v)...)
		ends = append(ends, len(pairs))
	}
	results, err := Run(ctx, pairs, opts)
	if err != nil {
		return nil, err
	}
	var out [][]*Result
	from := 0
	for _, end := range ends {
		out = append(out, results[from:end])
		from = end
	}
	return out, nil
}
