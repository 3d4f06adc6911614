// Package report writes a grade.Report in the forms that people and machines
// read: terminal, JSON, JUnit XML, Markdown and GitHub's workflow annotations.
//
// Every writer is a pure function of the report and its options. None of them
// decides anything: what passed stands in the report.
package report

import (
	"io"
	"slices"

	"github.com/roadkata/roadkata/grader/internal/grade"
	"github.com/roadkata/roadkata/grader/internal/msg"
)

// Options say how a report is written. The machines' forms ignore all but Lang.
type Options struct {
	Lang    msg.Lang
	Color   bool
	Width   int // columns; 0: lines are not broken
	Verbose bool
}

// Writer writes a report in one form.
type Writer func(w io.Writer, r *grade.Report, o Options) error

var writers = map[string]Writer{
	"terminal": Terminal,
	"json":     JSON,
	"junit":    JUnit,
	"markdown": Markdown,
	"github":   GitHub,
}

// Formats lists the names of the forms, the default first.
func Formats() []string { return []string{"terminal", "json", "junit", "github", "markdown"} }

// For returns the writer of a form.
func For(format string) (Writer, bool) {
	w, ok := writers[format]
	return w, ok
}

// tally counts the intents of a kata by status.
func tally(k *grade.Kata) map[grade.Status]int {
	n := map[grade.Status]int{}
	for _, in := range k.Intents {
		n[in.Status]++
	}
	return n
}

// started drops the katas that nobody has worked on yet.
func started(katas []grade.Kata) (begun, untouched []*grade.Kata) {
	for i := range katas {
		if k := &katas[i]; k.Status == grade.Untouched {
			untouched = append(untouched, k)
		} else {
			begun = append(begun, k)
		}
	}
	return begun, untouched
}

// planned lists the katas of the report's items that are still to be written.
func planned(r *grade.Report) []string {
	var out []string
	for _, it := range r.Items {
		out = append(out, it.Planned...)
	}
	return out
}

// waits reports whether an intent only waits for the code to compile; the
// kata's problems say what is wrong.
func waits(in *grade.Intent) bool {
	return in.Because != nil && in.Because.Kind == grade.Compile
}

// failing lists the intents that did not pass and have something of their own to
// say. What needs a server that nobody named is among the kata's unchecked.
func failing(k *grade.Kata) []*grade.Intent {
	var out []*grade.Intent
	for i := range k.Intents {
		if in := &k.Intents[i]; in.Status != grade.Passed && !waits(in) && !in.Unmet() {
			out = append(out, in)
		}
	}
	return out
}

// labelled are the reasons that a message names before its text; the text of
// the others speaks for itself.
var labelled = []grade.Reason{grade.Deadlock, grade.Timeout, grade.Race, grade.Leak, grade.Exit, grade.Skip, grade.Output, grade.Grader}

// label names the reason of a failure, or is empty.
func label(l msg.Lang, r grade.Reason) string {
	if !slices.Contains(labelled, r) {
		return ""
	}
	return l.T("because." + string(r))
}
