package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
	"github.com/roadkata/roadkata/grader/internal/progress"
	"github.com/roadkata/roadkata/grader/internal/term"
)

// barWidth is the width of a stage's bar.
const barWidth = 20

// Status writes where a learner stands: a bar for each stage, a mark for each
// item of the stage that the learner is in, and what comes next.
func Status(w io.Writer, st *progress.Standing, o Options) error {
	t := &overview{terminal: terminal{Sheet: term.Sheet{Style: term.Style{Color: o.Color, Width: o.Width}}, lang: o.Lang, verbose: o.Verbose}, standing: st, statuses: st.Statuses()}
	for _, s := range st.Course.Stages {
		t.column = max(t.column, term.Width(s.ID+"  "+s.Title.In(string(o.Lang))))
	}
	for _, s := range st.Course.Stages {
		t.stage(s)
	}
	t.Gap()
	t.where()
	return t.Flush(w)
}

type overview struct {
	terminal
	standing *progress.Standing
	statuses map[string]grade.Status
}

func (t *overview) stage(s *course.Stage) {
	done, planned, all := 0, 0, 0
	for _, topic := range s.Topics {
		for _, it := range topic.Items {
			all++
			switch grade.ItemStatus(it, t.statuses).Status {
			case grade.Passed:
				done++
			case grade.Planned:
				planned++
			}
		}
	}
	text := t.say("status.items", done, all)
	if planned > 0 {
		text += t.Dim(" · " + t.say("count.planned", planned))
	}
	t.Line(0, fmt.Sprintf("%s  %s  %s", t.Bold(term.Pad(s.ID+"  "+s.Title.In(string(t.lang)), t.column)), t.Bar(done, all, barWidth), text))
	if t.verbose || s == t.here() {
		t.topics(s)
	}
}

// here is the stage that the learner is in.
func (t *overview) here() *course.Stage {
	k := t.standing.Current
	if k == nil {
		k = t.standing.Next
	}
	if k == nil {
		return nil
	}
	return t.standing.Course.Stage(k.Path)
}

func (t *overview) topics(s *course.Stage) {
	names, marks := 0, 0
	for _, topic := range s.Topics {
		names = max(names, term.Width(topic.ID))
		marks = max(marks, 2*len(topic.Items)-1)
	}
	for _, topic := range s.Topics {
		var row []string
		for _, it := range topic.Items {
			row = append(row, t.mark(grade.ItemStatus(it, t.statuses).Status))
		}
		fill := strings.Repeat(" ", marks-max(2*len(topic.Items)-1, 0))
		t.Line(2, fmt.Sprintf("%s  %s%s  %s", term.Pad(topic.ID, names), strings.Join(row, " "), fill, t.Dim(topic.Title.In(string(t.lang)))))
	}
}

// where names the kata that the learner works on and the one that comes next.
func (t *overview) where() {
	cur, next := t.standing.Current, t.standing.Next
	if cur != nil {
		state := t.say("kata.open")
		if p := t.standing.Place(cur.Path); p.Status == grade.Failed {
			state = t.Bad(t.say("kata.failed"))
			if p.Hints > 0 {
				state += t.Dim(" · " + t.lang.N("hints.taken", p.Hints))
			}
		}
		t.Line(0, fmt.Sprintf("%s  %s  %s  %s", t.say("status.current"), t.Bold(cur.Path), cur.Title.In(string(t.lang)), state))
		t.Line(2, t.Dim("→ ")+t.Name("grader check")+t.Dim(" · ")+t.Name("grader hint"))
	}
	if next != nil {
		t.Line(0, fmt.Sprintf("%s  %s  %s  %s", t.say("status.next"), t.Bold(next.Path), next.Title.In(string(t.lang)), t.Dim(Facts(t.lang, next))))
		t.Line(2, t.Dim("→ ")+t.Name("grader show "+next.Path))
	}
	if cur == nil && next == nil {
		t.Line(0, t.Good(t.say("status.done")))
	}
	t.openRaces()
}

// openRaces says how many passes were never looked at by the race detector.
func (t *overview) openRaces() {
	n := 0
	for _, k := range t.standing.Course.Katas() {
		if p := t.standing.Place(k.Path); p.Status == grade.Passed && slices.Contains(p.Unchecked, "race") {
			n++
		}
	}
	if n > 0 {
		t.Marked(0, t.Warn("!"), t.lang.N("caveat.race", n), t.Warn)
	}
}
