package progress

import (
	"os"
	"time"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
)

// Standing is where a learner stands in a course, found without running anything.
type Standing struct {
	Course *course.Course
	// Current is the kata that was worked on last and has not passed; nil if none.
	Current *course.Kata
	// Next is the first kata after that, in teaching order and round the end,
	// that has not passed; nil if none is left.
	Next   *course.Kata
	places map[string]Place
}

// Place is where a learner stands with one kata.
type Place struct {
	Kata
	// Status is passed, failed, open (worked on, without a verdict), untouched,
	// or broken (the kata itself has faults).
	Status   grade.Status
	Modified time.Time // the learner's files, unless the kata has passed or is untouched
}

// Stand compares the state with the learner's files.
func Stand(c *course.Course, s *State) *Standing {
	st := &Standing{Course: c, places: map[string]Place{}}
	for _, k := range c.Katas() {
		st.places[k.Path] = place(k, s.Kata(k.Path))
	}
	st.findCurrent()
	st.findNext()
	return st
}

// Place returns where the learner stands with the kata at path.
func (st *Standing) Place(path string) Place { return st.places[path] }

// Statuses returns the status of every kata by path.
func (st *Standing) Statuses() map[string]grade.Status {
	out := map[string]grade.Status{}
	for path, p := range st.places {
		out[path] = p.Status
	}
	return out
}

func place(k *course.Kata, known Kata) Place {
	p := Place{Kata: known, Status: known.Status}
	switch {
	case len(k.Faults) > 0:
		p.Status = grade.Broken
		return p
	case known.Status == grade.Passed:
		return p
	}
	yours := k.Yours()
	if yours.Untouched() {
		p.Status = grade.Untouched
		return p
	}
	if known.Status != grade.Failed {
		p.Status = grade.Open
	}
	for _, file := range yours.Files {
		if fi, err := os.Stat(file); err == nil && fi.ModTime().After(p.Modified) {
			p.Modified = fi.ModTime()
		}
	}
	return p
}

// findCurrent takes the kata whose files changed last. In a fresh clone all have
// the same time, so the later one in teaching order wins a tie.
func (st *Standing) findCurrent() {
	var latest time.Time
	for _, k := range onRoadmap(st.Course) {
		p := st.places[k.Path]
		if (p.Status == grade.Failed || p.Status == grade.Open) && !p.Modified.Before(latest) {
			latest, st.Current = p.Modified, k
		}
	}
}

func (st *Standing) findNext() {
	katas := onRoadmap(st.Course)
	start := st.anchor(katas)
	for i := range katas {
		k := katas[(start+1+i)%len(katas)]
		p := st.places[k.Path]
		if k != st.Current && p.Status != grade.Passed && p.Status != grade.Broken {
			st.Next = k
			return
		}
	}
}

// anchor returns the index of the kata that Next follows: the current one, else
// the one that passed last, else the place before the first.
func (st *Standing) anchor(katas []*course.Kata) int {
	at := -1
	var latest time.Time
	for i, k := range katas {
		if k == st.Current {
			return i
		}
		if p := st.places[k.Path]; p.Status == grade.Passed && !p.PassedAt.Before(latest) {
			latest, at = p.PassedAt, i
		}
	}
	return at
}

// onRoadmap lists the katas that stand on the roadmap, in teaching order.
func onRoadmap(c *course.Course) []*course.Kata {
	stray := map[*course.Kata]bool{}
	for _, st := range c.Stages {
		for _, k := range st.Strays {
			stray[k] = true
		}
	}
	var out []*course.Kata
	for _, k := range c.Katas() {
		if !stray[k] {
			out = append(out, k)
		}
	}
	return out
}
