package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
	"github.com/roadkata/roadkata/grader/internal/msg"
	"github.com/roadkata/roadkata/grader/internal/progress"
	"github.com/roadkata/roadkata/grader/internal/term"
)

// ListSchema names the JSON form of a List.
const ListSchema = "roadkata.list/v1"

// List is what `grader list --json` prints: the selected part of the roadmap, in
// teaching order, with where the learner stands.
//
//	schema     "roadkata.list/v1"
//	stages[]   id, title, goal, topics[], strays[] (katas on disk that the roadmap does not name)
//	topics[]   id, title, items[]
//	items[]    id, title, status, simulated, katas[], planned[] (paths still to be written)
//	katas[]    path, title, kind, level, minutes, engine, race, intents, steps, status, passed_at, hints
//
// Texts are objects with en and zh. An item's status is passed, partial, open or
// planned; a kata's passed, failed, open (worked on, no verdict yet), untouched
// or broken. kind is library, program or tests; level 1 to 3; engine.kind real,
// embedded or simulated; intents and steps are counts; passed_at, when the kata
// first passed, is missing if it never did; hints counts those taken.
type List struct {
	Schema string      `json:"schema"`
	Stages []ListStage `json:"stages"`
}

// ListStage is one stage of a List.
type ListStage struct {
	ID     string      `json:"id"`
	Title  course.Text `json:"title"`
	Goal   course.Text `json:"goal"`
	Topics []ListTopic `json:"topics"`
	Strays []ListKata  `json:"strays"`
}

// ListTopic is one topic of a List.
type ListTopic struct {
	ID    string      `json:"id"`
	Title course.Text `json:"title"`
	Items []ListItem  `json:"items"`
}

// ListItem is one line of the roadmap in a List.
type ListItem struct {
	ID        string       `json:"id"`
	Title     course.Text  `json:"title"`
	Status    grade.Status `json:"status"`
	Simulated bool         `json:"simulated"`
	Katas     []ListKata   `json:"katas"`
	Planned   []string     `json:"planned"`
}

// ListKata is one kata of a List.
type ListKata struct {
	Path     string        `json:"path"`
	Title    course.Text   `json:"title"`
	Kind     course.Kind   `json:"kind"`
	Level    int           `json:"level"`
	Minutes  int           `json:"minutes"`
	Engine   course.Engine `json:"engine"`
	Race     bool          `json:"race"`
	Intents  int           `json:"intents"`
	Steps    int           `json:"steps"`
	Status   grade.Status  `json:"status"`
	PassedAt *time.Time    `json:"passed_at,omitempty"`
	Hints    int           `json:"hints"`
}

// NewList lists the selection.
func NewList(st *progress.Standing, sel *course.Selection) *List {
	out := &List{Schema: ListSchema, Stages: []ListStage{}}
	for _, s := range st.Course.Stages {
		ls := ListStage{ID: s.ID, Title: s.Title, Goal: s.Goal, Topics: []ListTopic{}, Strays: listKatas(st, sel, s.Strays)}
		for _, t := range s.Topics {
			if items := listItems(st, sel, t.Items); len(items) > 0 {
				ls.Topics = append(ls.Topics, ListTopic{ID: t.ID, Title: t.Title, Items: items})
			}
		}
		if len(ls.Topics)+len(ls.Strays) > 0 {
			out.Stages = append(out.Stages, ls)
		}
	}
	return out
}

func listItems(st *progress.Standing, sel *course.Selection, items []*course.Item) []ListItem {
	out := []ListItem{}
	for _, it := range items {
		if !slices.Contains(sel.Items, it) {
			continue
		}
		judged := grade.ItemStatus(it, st.Statuses())
		out = append(out, ListItem{ID: it.ID, Title: it.Title, Status: judged.Status, Simulated: judged.Simulated,
			Katas: listKatas(st, sel, it.Katas), Planned: append([]string{}, it.Planned...)})
	}
	return out
}

func listKatas(st *progress.Standing, sel *course.Selection, katas []*course.Kata) []ListKata {
	out := []ListKata{}
	for _, k := range katas {
		if !slices.Contains(sel.Katas, k) {
			continue
		}
		p := st.Place(k.Path)
		lk := ListKata{Path: k.Path, Title: k.Title, Kind: k.Kind, Level: k.Level, Minutes: k.Minutes, Engine: k.Engine, Race: k.Race,
			Intents: len(k.Intents), Steps: len(k.Steps), Status: p.Status, Hints: p.Hints}
		if !p.PassedAt.IsZero() {
			lk.PassedAt = &p.PassedAt
		}
		out = append(out, lk)
	}
	return out
}

// JSON writes the list as roadkata.list/v1.
func (l *List) JSON(w io.Writer) error { return indented(w, l) }

// Terminal writes the list for people.
func (l *List) Terminal(w io.Writer, o Options) error {
	t := &lister{terminal{Sheet: term.Sheet{Style: term.Style{Color: o.Color, Width: o.Width}}, lang: o.Lang, verbose: o.Verbose}}
	for i := range l.Stages {
		t.Gap()
		t.stage(&l.Stages[i])
	}
	return t.Flush(w)
}

type lister struct{ terminal }

func (t *lister) stage(s *ListStage) {
	t.Line(0, t.Bold(s.ID)+"  "+t.Bold(s.Title.In(string(t.lang))))
	t.Para(0, s.Goal.In(string(t.lang)), t.Dim)
	for _, topic := range s.Topics {
		t.Gap()
		t.Line(2, t.Bold(topic.ID)+"  "+topic.Title.In(string(t.lang)))
		width := topicWidth(topic)
		for i := range topic.Items {
			t.item(&topic.Items[i], width)
		}
	}
	if len(s.Strays) > 0 {
		t.Gap()
		t.Line(2, t.Warn(t.say("list.strays")))
		for i := range s.Strays {
			t.listed(&s.Strays[i], 0)
		}
	}
}

func topicWidth(topic ListTopic) int {
	width := 0
	for _, it := range topic.Items {
		for _, k := range it.Katas {
			width = max(width, term.Width(k.Path))
		}
		for _, p := range it.Planned {
			width = max(width, term.Width(p))
		}
	}
	return width
}

func (t *lister) item(it *ListItem, width int) {
	title := it.Title.In(string(t.lang))
	if it.Simulated {
		title += " " + t.Warn("("+t.say("item.simulated")+")")
	}
	t.Line(4, fmt.Sprintf("%s %s %s", t.mark(it.Status), title, t.Dim(it.ID)))
	for i := range it.Katas {
		t.listed(&it.Katas[i], width)
	}
	for _, p := range it.Planned {
		t.Line(8, fmt.Sprintf("%s %s  %s", t.mark(grade.Planned), t.Dim(term.Pad(p, width)), t.Dim(t.say("kata.planned"))))
	}
}

func (t *lister) listed(k *ListKata, width int) {
	t.Line(8, fmt.Sprintf("%s %s  %s  %s", t.mark(k.Status), term.Pad(k.Path, width), k.Title.In(string(t.lang)), strings.Join(t.facts(k), t.Dim(" · "))))
}

// facts are what a learner weighs before choosing a kata.
func (t *lister) facts(k *ListKata) []string {
	engine := t.engine(k.Engine)
	if k.Engine.Kind == "simulated" {
		engine = t.Warn(engine)
	} else {
		engine = t.Dim(engine)
	}
	facts := []string{t.Dim(Level(k.Level)), t.Dim(t.say("minutes", k.Minutes)), engine}
	if k.Steps > 0 {
		facts = append(facts, t.Dim(t.lang.N("steps", k.Steps)))
	}
	if note := t.note(k); note != "" {
		facts = append(facts, note)
	}
	return facts
}

// note is what the mark alone does not say.
func (t *lister) note(k *ListKata) string {
	switch {
	case k.Status == grade.Broken:
		return t.Bad(t.say("md.broken"))
	case k.Status == grade.Open:
		return t.Warn(t.say("kata.open"))
	case k.Status != grade.Passed && k.PassedAt != nil:
		return t.Warn(t.say("kata.passedBefore", k.PassedAt.Local().Format(time.DateOnly)))
	}
	return ""
}

// Level draws the level of a kata, 1 to 3.
func Level(n int) string {
	n = min(max(n, 0), 3)
	return strings.Repeat("●", n) + strings.Repeat("○", 3-n)
}

// Facts says level, time and engine of a kata in one line.
func Facts(l msg.Lang, k *course.Kata) string {
	return strings.Join([]string{l.T("level", k.Level), l.T("minutes", k.Minutes), l.T("engine."+k.Engine.Kind, k.Engine.Name)}, " · ")
}
