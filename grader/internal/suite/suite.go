// Package suite builds programs from (kata, variant) pairs, runs them, and
// yields records of what happened.
//
// Many pairs share one program, because linking is what costs; every pair runs
// in processes of its own. What a record says comes from the generated wrapper,
// out of band; what a program prints is kept for display and never believed.
// The package knows neither verdicts nor the roadmap.
package suite

import (
	"slices"
	"time"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// Pair is one thing to build and run: a package and the suite that judges it.
type Pair struct {
	Kata    *course.Kata
	Variant *course.Variant
	// Subject replaces the given files of a write-the-tests kata; nil elsewhere.
	Subject *course.Subject
	// Examples asks for the visible tests instead of the hidden suite.
	Examples bool

	// Only limits the run to these tests; nil runs all.
	Only []string
	// Alone gives every test a process of its own.
	Alone bool
	// Count and Shuffle are handed to the test program: how often, and in which
	// order ("", "on" or a seed).
	Count   int
	Shuffle string
	// Timeout overrides the kata's deadline for one process.
	Timeout time.Duration
	// NoRace builds without the race detector even where the kata asks for it.
	NoRace bool
}

// Result is what became of a pair.
type Result struct {
	Pair *Pair
	// Tests that the suite holds, in order.
	Tests []string
	// Compile holds the compile errors that the variant's author must mend.
	Compile []course.Problem
	// Faults are the kata's or the grader's own.
	Faults []course.Problem
	// Runs are the processes, in order; a test's last run counts.
	Runs []Process
	// Seconds of wall time spent in the processes.
	Seconds float64
	// Unchecked names what was left out, such as "race" without a C compiler, or
	// an intent with the variable that would name its server.
	Unchecked []string
}

// Process is one run of a program.
type Process struct {
	Asked   []string `json:"asked"`
	Events  []Event  `json:"events"`
	Exit    Exit     `json:"exit"`
	Output  string   `json:"output"` // capped, control sequences still in
	Seconds float64  `json:"seconds"`
	// Superseded says that the tests were run again, each alone, to find which
	// of them was to blame.
	Superseded bool `json:"superseded,omitempty"`
}

// Event is one authenticated record of the wrapper.
type Event struct {
	Test   string `json:"test"`
	Kind   Kind   `json:"kind"`
	Passed bool   `json:"passed,omitempty"`
	// Failed and Skipped are what testing.T said in Cleanup; Returned says that
	// the body came to its end.
	Failed   bool `json:"failed,omitempty"`
	Skipped  bool `json:"skipped,omitempty"`
	Returned bool `json:"returned,omitempty"`
}

// Kind of an event.
type Kind string

const (
	Ready Kind = "ready" // the program reached TestMain
	Start Kind = "start"
	End   Kind = "end"
	Done  Kind = "done" // all tests that were asked for have been run
)

// Exit says how a process ended.
type Exit struct {
	Code     int    `json:"code"`
	Signal   string `json:"signal,omitempty"`
	Deadline bool   `json:"deadline,omitempty"` // killed by us: time
	Output   bool   `json:"output,omitempty"`   // killed by us: too much output
	Error    string `json:"error,omitempty"`    // could not be started: the grader's fault
}

// Deadline is how long one process of the pair may take.
func (p *Pair) Deadline() time.Duration {
	if p.Timeout > 0 {
		return p.Timeout
	}
	return p.Kata.Timeout
}

// started and ended tell what a run's records say of a test.
func (r *Process) started(test string) bool {
	return slices.ContainsFunc(r.Events, func(e Event) bool { return e.Kind == Start && e.Test == test })
}

func (r *Process) ended(test string) bool {
	return slices.ContainsFunc(r.Events, func(e Event) bool { return e.Kind == End && e.Test == test })
}

// Finished reports whether the program ran everything that it was asked for.
func (r *Process) Finished() bool {
	return slices.ContainsFunc(r.Events, func(e Event) bool { return e.Kind == Done })
}

// raceExit is the status with which a race-built program ends after a report.
const raceExit = 66

// Racy reports whether the race detector spoke.
func (r *Process) Racy() bool { return r.Exit.Code == raceExit || hasRaceReport(r.Output) }

// PairsOf returns what has to run to judge v: the hidden suite; or, for a suite
// of the learner's, every subject. Right subjects run three times, because an
// accepted suite depends neither on the order of its tests nor on what an
// earlier run has left behind.
func PairsOf(v *course.Variant) []*Pair {
	if v.Kata.Kind != course.Tests {
		return []*Pair{{Kata: v.Kata, Variant: v}}
	}
	var out []*Pair
	for i := range v.Kata.Subjects {
		s := &v.Kata.Subjects[i]
		out = append(out, &Pair{Kata: v.Kata, Variant: v, Subject: s})
		if s.Right {
			out = append(out,
				&Pair{Kata: v.Kata, Variant: v, Subject: s, Shuffle: "2"},
				&Pair{Kata: v.Kata, Variant: v, Subject: s, Count: 2, Shuffle: "3"})
		}
	}
	return out
}
