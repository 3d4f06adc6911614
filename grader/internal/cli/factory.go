package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/check"
	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
	"github.com/roadkata/roadkata/grader/internal/msg"
	"github.com/roadkata/roadkata/grader/internal/progress"
	"github.com/roadkata/roadkata/grader/internal/report"
	"github.com/roadkata/roadkata/grader/internal/suite"
	"github.com/roadkata/roadkata/grader/internal/term"
)

// proseWidth is the widest line that reads well.
const proseWidth = 100

// Factory hands the commands what they have in common. What costs something is
// made when it is first asked for.
type Factory struct {
	IO
	Lang    msg.Lang
	Chdir   string // -C: the folder to work in, "" for the working directory
	NoColor bool

	// Watch is what `check --watch` does; the flag exists only where it is set.
	Watch func(ctx context.Context, o *CheckOptions) error

	course *course.Course
}

// T returns a message in the learner's language.
func (f *Factory) T(key string, args ...any) string { return f.Lang.T(key, args...) }

// Cwd is the folder that selectors are relative to.
func (f *Factory) Cwd() string {
	if filepath.IsAbs(f.Chdir) {
		return f.Chdir
	}
	return filepath.Join(f.Dir, f.Chdir)
}

// Course reads the workspace that the working directory lies in.
func (f *Factory) Course() (*course.Course, error) {
	if f.course != nil {
		return f.course, nil
	}
	if fi, err := os.Stat(f.Cwd()); err != nil || !fi.IsDir() {
		return nil, f.usage("err.nodir", f.Chdir)
	}
	c, err := course.Load(f.Cwd())
	if err != nil {
		return nil, err
	}
	f.course = c
	return c, nil
}

// Store is the learner's progress on disk. The workspace must have been read.
func (f *Factory) Store() *progress.Store { return progress.At(f.course.Root) }

// Remember changes the progress; what cannot be kept is a warning.
func (f *Factory) Remember(change func(*progress.State)) {
	f.warnProgress(f.Store().Update(change))
}

// Standing reads the workspace and where the learner stands in it.
func (f *Factory) Standing() (*progress.Standing, error) {
	c, err := f.Course()
	if err != nil {
		return nil, err
	}
	state, err := f.Store().Load()
	f.warnProgress(err)
	return progress.Stand(c, state), nil
}

func (f *Factory) warnProgress(err error) {
	var damaged *progress.DamagedError
	var newer *progress.NewerError
	switch {
	case err == nil:
		return
	case errors.As(err, &newer):
		f.warn(f.T("warn.progress.newer", newer.File))
	case errors.As(err, &damaged):
		f.warn(f.T("warn.progress.damaged", damaged.Saved, damaged.Kept))
	default:
		f.warn(f.T("warn.progress.lost", err))
	}
}

// Style says how text on stdout may look.
func (f *Factory) Style() term.Style {
	s := term.Style{Color: f.OutTTY && f.colors()}
	if f.OutTTY && f.Width > 0 {
		s.Width = min(f.Width, proseWidth)
	}
	return s
}

func (f *Factory) errStyle() term.Style { return term.Style{Color: f.ErrTTY && f.colors()} }

func (f *Factory) colors() bool {
	return !f.NoColor && f.Getenv("NO_COLOR") == "" && f.Getenv("TERM") != "dumb"
}

// Report says how reports on stdout are written.
func (f *Factory) Report(verbose bool) report.Options {
	s := f.Style()
	return report.Options{Lang: f.Lang, Color: s.Color, Width: s.Width, Verbose: verbose}
}

// Kata resolves a selector to the one kata that it names; without one it is
// where the learner stands.
func (f *Factory) Kata(selector string) (*course.Kata, error) {
	if selector == "" {
		return f.here()
	}
	c, err := f.Course()
	if err != nil {
		return nil, err
	}
	sel, err := c.Select(f.Cwd(), []string{selector}, nil)
	if err != nil {
		return nil, err
	}
	switch len(sel.Katas) {
	case 0:
		return nil, f.onlyPlanned(selector)
	case 1:
		return sel.Katas[0], nil
	}
	return nil, f.usage("err.many", selector, len(sel.Katas), someOf(sel.Katas, 3))
}

func (f *Factory) onlyPlanned(selectors ...string) error {
	return &openError{f.T("err.planned", strings.Join(selectors, " "))}
}

func someOf(katas []*course.Kata, n int) string {
	var names []string
	for _, k := range katas[:min(n, len(katas))] {
		names = append(names, k.Path)
	}
	if len(katas) > n {
		names = append(names, "…")
	}
	return strings.Join(names, ", ")
}

// here is the kata of the working directory, else the one that was worked on
// last and has not passed, else the next one.
func (f *Factory) here() (*course.Kata, error) {
	st, err := f.Standing()
	if err != nil {
		return nil, err
	}
	if k := f.kataAround(st.Course); k != nil {
		return k, nil
	}
	if st.Current != nil {
		return st.Current, nil
	}
	if st.Next != nil {
		return st.Next, nil
	}
	return nil, errNothingLeft
}

// errNothingLeft says that every kata has passed: good news.
var errNothingLeft = errors.New("every kata has passed")

// kataAround returns the kata whose folder the working directory lies in, or nil.
func (f *Factory) kataAround(c *course.Course) *course.Kata {
	dir, err := filepath.EvalSymlinks(f.Cwd())
	if err != nil {
		return nil
	}
	for _, k := range c.Katas() {
		if dir == k.Dir || strings.HasPrefix(dir, k.Dir+string(filepath.Separator)) {
			return k
		}
	}
	return nil
}

// JudgeOptions say how the learner's files are judged.
type JudgeOptions struct {
	Jobs    int
	NoRace  bool
	NoCache bool
	Step    func(suite.Step) // may be nil
}

// Judge checks the learner's files of the katas and remembers the verdicts.
func (f *Factory) Judge(ctx context.Context, katas []*course.Kata, o JudgeOptions) ([]grade.Kata, error) {
	opts := check.Options{Jobs: o.Jobs, NoRace: o.NoRace, Step: o.Step}
	if !o.NoCache {
		opts.Cache = check.NewCache(filepath.Join(f.Store().Dir(), "cache"))
	}
	verdicts, err := check.Learner(ctx, katas, opts)
	if err != nil {
		return nil, err
	}
	// Where nothing was ever kept, untouched stubs are no reason to begin.
	if !f.Store().Exists() && !slices.ContainsFunc(verdicts, begun) {
		return verdicts, nil
	}
	now := f.Now()
	f.Remember(func(s *progress.State) {
		for _, v := range verdicts {
			s.Record(v, now)
		}
	})
	return verdicts, nil
}

func begun(v grade.Kata) bool { return v.Status == grade.Passed || v.Status == grade.Failed }
