package report

import (
	"fmt"
	"html"
	"io"
	"regexp"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/grade"
)

// Markdown writes a summary such as GitHub shows for a job: tables first, then
// what did not pass.
func Markdown(w io.Writer, r *grade.Report, o Options) error {
	m := &markdown{Options: o}
	begun, untouched := started(r.Katas)
	c := r.Summary.Katas
	m.printf("## %s\n\n", m.Lang.T("md.title", c["passed"], c["total"]))
	m.katas(begun)
	m.list("○", "untouched.some", pathsOf(untouched))
	m.list("·", "planned.some", planned(r))
	m.items(r.Items)
	for _, k := range begun {
		m.details(k)
	}
	_, err := io.WriteString(w, m.text.String())
	return err
}

type markdown struct {
	Options
	text strings.Builder
}

func (m *markdown) printf(format string, args ...any) { fmt.Fprintf(&m.text, format, args...) }

var emoji = map[grade.Status]string{grade.Passed: "✅", grade.Failed: "❌", grade.Broken: "💥", grade.NotRun: "⏸️", grade.Partial: "🌓", grade.Open: "⬜", grade.Planned: "🗓️"}

func (m *markdown) katas(katas []*grade.Kata) {
	if len(katas) == 0 {
		return
	}
	m.printf("| | %s | %s | %s | |\n|---|---|---|---|---|\n", m.Lang.T("md.kata"), m.Lang.T("md.intents"), m.Lang.T("md.engine"))
	for _, k := range katas {
		var notes []string
		for _, u := range k.Unchecked {
			notes = append(notes, "⚠️ "+m.Lang.T("md.unchecked", u))
		}
		m.printf("| %s | `%s` %s | %d/%d | %s | %s |\n", emoji[k.Status], k.Path, cell(k.Title.In(string(m.Lang))), tally(k)[grade.Passed], len(k.Intents),
			cell(m.Lang.T("engine."+k.Engine.Kind, k.Engine.Name)), cell(strings.Join(notes, " ")))
	}
	m.printf("\n")
}

func (m *markdown) list(mark, key string, paths []string) {
	if len(paths) > 0 {
		m.printf("%s %s: `%s`\n\n", mark, m.Lang.T(key, len(paths)), strings.Join(paths, "`, `"))
	}
}

func (m *markdown) items(items []grade.Item) {
	if len(items) == 0 {
		return
	}
	m.printf("| | %s | %s |\n|---|---|---|\n", m.Lang.T("md.item"), m.Lang.T("md.katas"))
	for _, it := range items {
		title := cell(it.Title.In(string(m.Lang)))
		if it.Simulated {
			title += " *(" + m.Lang.T("item.simulated") + ")*"
		}
		m.printf("| %s | %s | %s |\n", emoji[it.Status], title, code(it.Katas))
	}
	m.printf("\n")
}

func (m *markdown) details(k *grade.Kata) {
	bad := failing(k)
	if len(bad) == 0 && len(k.Problems) == 0 {
		return
	}
	m.printf("### %s `%s` %s\n\n", emoji[k.Status], k.Path, cell(k.Title.In(string(m.Lang))))
	if k.Status == grade.Broken {
		m.printf("%s\n\n", m.Lang.T("kata.broken"))
	}
	for _, p := range k.Problems {
		m.item(emoji[k.Status], p.Kind, p.At, grade.Say(p.Text, string(m.Lang)))
	}
	for _, in := range bad {
		text := ""
		if in.Because != nil {
			text = grade.Say(in.Because.Text, string(m.Lang))
			if l := label(m.Lang, in.Because.Kind); l != "" {
				text = l + "\n" + text
			}
		}
		m.item(emoji[in.Status], in.Text.In(string(m.Lang)), in.At, text)
	}
	m.printf("\n")
}

// item writes one failure: its sentence, its place, its text in a fence.
func (m *markdown) item(mark, sentence, at, text string) {
	m.printf("- %s **%s**", mark, cell(sentence))
	if at != "" {
		m.printf(" `%s`", strings.ReplaceAll(at, "`", "'"))
	}
	m.printf("\n")
	if text == "" {
		return
	}
	fence := fenceFor(text)
	m.printf("  %stext\n", fence)
	for line := range strings.Lines(text) {
		m.printf("  %s\n", strings.TrimRight(line, "\n"))
	}
	m.printf("  %s\n", fence)
}

// fenceFor returns a fence that the text cannot close.
func fenceFor(text string) string {
	longest := 2
	for run := range strings.FieldsFuncSeq(text, func(r rune) bool { return r != '`' }) {
		longest = max(longest, len(run))
	}
	return strings.Repeat("`", longest+1)
}

var markdownActive = regexp.MustCompile("[\\\\`*_{}\\[\\]|~]")

// cell makes text harmless inside a table or a line of prose.
func cell(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return markdownActive.ReplaceAllString(html.EscapeString(s), `\$0`)
}

func code(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "`" + strings.Join(names, "` `") + "`"
}

func pathsOf(katas []*grade.Kata) []string {
	var out []string
	for _, k := range katas {
		out = append(out, k.Path)
	}
	return out
}
