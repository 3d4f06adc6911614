// Package term lays text out for a terminal: colours, columns, lines that fit,
// with Chinese measured and broken as Chinese.
//
// It knows nothing of what the text says and writes nowhere by itself.
package term

import (
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/fatih/color"
	"github.com/mattn/go-runewidth"
)

// Style says how text may be drawn.
type Style struct {
	Color bool
	Width int // columns; 0: lines are not broken
}

// Span is a piece of text with its attributes.
type Span struct {
	Text  string
	Attrs []color.Attribute
}

// Paint draws text with attributes, or as it is where colours are off.
func (s Style) Paint(text string, attrs ...color.Attribute) string {
	if !s.Color || text == "" || len(attrs) == 0 {
		return text
	}
	c := color.New(attrs...)
	c.EnableColor()
	return c.Sprint(text)
}

// Good paints what has passed.
func (s Style) Good(text string) string { return s.Paint(text, color.FgGreen) }

// Bad paints what has failed.
func (s Style) Bad(text string) string { return s.Paint(text, color.FgRed) }

// Warn paints what asks for attention.
func (s Style) Warn(text string) string { return s.Paint(text, color.FgYellow) }

// Dim paints what may be overlooked.
func (s Style) Dim(text string) string { return s.Paint(text, color.Faint) }

// Bold paints headings.
func (s Style) Bold(text string) string { return s.Paint(text, color.Bold) }

// Name paints what can be typed or opened: commands, files.
func (s Style) Name(text string) string { return s.Paint(text, color.FgCyan) }

// cells measures text as terminals draw it. The marks ✓ ✗ ○ … take one cell
// nearly everywhere, in Chinese locales, too.
var cells = func() *runewidth.Condition {
	c := runewidth.NewCondition()
	c.EastAsianWidth = false
	return c
}()

// Width returns how many cells text takes. It must not be painted yet.
func Width(text string) int { return cells.StringWidth(text) }

// Pad fills text with blanks up to width cells.
func Pad(text string, width int) string {
	if n := width - Width(text); n > 0 {
		return text + strings.Repeat(" ", n)
	}
	return text
}

// Cut shortens text to at most width cells; 0 leaves it as it is.
func Cut(text string, width int) string {
	if width <= 0 {
		return text
	}
	return cells.Truncate(text, width, "…")
}

// Bar draws done of total as a bar of width cells.
func (s Style) Bar(done, total, width int) string {
	full := 0
	if total > 0 {
		full = done * width / total
	}
	if done > 0 && full == 0 {
		full = 1 // the first step shows
	}
	return s.Good(strings.Repeat("█", full)) + s.Dim(strings.Repeat("░", width-full))
}

// Wrap breaks one line of text so that it fits beside an indent of that many
// cells. What fits stays as it is, blanks included.
func (s Style) Wrap(text string, indent int) []string {
	room := s.Width - indent
	if s.Width <= 0 || room < 20 || Width(text) <= room {
		return []string{text}
	}
	lead := len(text) - len(strings.TrimLeft(text, " "))
	var out []string
	for _, l := range (Style{}).Flow([]Span{{Text: text[lead:]}}, room-lead) {
		out = append(out, text[:lead]+l)
	}
	return out
}

// Flow sets spans as a paragraph in lines of at most room cells; a room of 0 is
// endless. A word that is longer than a line stays whole, as it may be a path. A
// line end in the text counts as a blank, but not beside Chinese, which has none.
func (s Style) Flow(spans []Span, room int) []string {
	f := &flow{style: s, room: room}
	var before rune
	ended := false // by a line end, of which the next rune says what it means
	for _, span := range spans {
		for _, r := range span.Text {
			switch r {
			case '\n':
				f.endWord()
				ended = true
				continue
			case ' ', '\t':
				f.endWord()
				f.gap++
				before, ended = r, false
				continue
			}
			if ended && before != ' ' && !adjoin(before, r) {
				f.gap++
			}
			if mayBreak(before, r) {
				f.endWord()
			}
			f.word = extend(f.word, string(r), span.Attrs)
			f.wordWidth += cells.RuneWidth(r)
			before, ended = r, false
		}
	}
	f.endWord()
	f.endLine()
	return f.lines
}

type flow struct {
	style     Style
	room      int
	lines     []string
	line      []Span
	used      int
	gap       int // blanks before the word
	word      []Span
	wordWidth int
}

// extend adds text, to the last span if that looks the same.
func extend(spans []Span, text string, attrs []color.Attribute) []Span {
	if n := len(spans); n > 0 && slices.Equal(spans[n-1].Attrs, attrs) {
		spans[n-1].Text += text
		return spans
	}
	return append(spans, Span{text, attrs})
}

func (f *flow) endWord() {
	if len(f.word) == 0 {
		return
	}
	if f.room > 0 && f.used > 0 && f.used+f.gap+f.wordWidth > f.room {
		f.endLine()
	}
	if f.used > 0 && f.gap > 0 {
		f.line = extend(f.line, strings.Repeat(" ", f.gap), f.between())
		f.used += f.gap
	}
	for _, w := range f.word {
		f.line = extend(f.line, w.Text, w.Attrs)
	}
	f.used += f.wordWidth
	f.word, f.wordWidth, f.gap = nil, 0, 0
}

// between is how a blank looks: as its neighbours, if they look the same.
func (f *flow) between() []color.Attribute {
	if last := f.line[len(f.line)-1].Attrs; slices.Equal(last, f.word[0].Attrs) {
		return last
	}
	return nil
}

func (f *flow) endLine() {
	if f.used == 0 {
		return
	}
	var b strings.Builder
	for _, span := range f.line {
		b.WriteString(f.style.Paint(span.Text, span.Attrs...))
	}
	f.lines = append(f.lines, b.String())
	f.line, f.used, f.gap = nil, 0, 0
}

const (
	startsNoLine = "，。、；：！？）》」』”’…,.;:!?)]}"
	endsNoLine   = "（《「『“‘([{"
)

// mayBreak reports whether a line may end between two runes without a blank:
// beside a wide one, but for punctuation that belongs to its neighbour.
func mayBreak(before, r rune) bool {
	if before == 0 || strings.ContainsRune(startsNoLine, r) || strings.ContainsRune(endsNoLine, before) {
		return false
	}
	return wide(before) || wide(r)
}

// adjoin reports whether two lines join without a blank: Chinese with Chinese,
// and anything with Chinese punctuation.
func adjoin(before, r rune) bool {
	punct := func(r rune) bool { return wide(r) && unicode.IsPunct(r) }
	return wide(before) && wide(r) || punct(before) || punct(r)
}

func wide(r rune) bool { return cells.RuneWidth(r) == 2 }

// Sheet collects lines, to be written in one go.
type Sheet struct {
	Style
	text strings.Builder
}

// Line adds a line below an indent.
func (s *Sheet) Line(indent int, text string) {
	if text != "" {
		s.text.WriteString(strings.Repeat(" ", indent))
		s.text.WriteString(text)
	}
	s.text.WriteByte('\n')
}

// Gap adds an empty line where there is none yet.
func (s *Sheet) Gap() {
	if t := s.text.String(); t != "" && !strings.HasSuffix(t, "\n\n") {
		s.text.WriteByte('\n')
	}
}

// Para adds text, broken to fit, line for line below the indent. paint may be nil.
func (s *Sheet) Para(indent int, text string, paint func(string) string) {
	for line := range strings.Lines(text) {
		for _, l := range s.Wrap(strings.TrimRight(line, "\r\n"), indent) {
			s.Line(indent, painted(l, paint))
		}
	}
}

// Marked adds a mark and a paragraph beside it. paint may be nil.
func (s *Sheet) Marked(indent int, mark, text string, paint func(string) string) {
	for i, l := range s.Wrap(text, indent+2) {
		if i > 0 {
			mark = " "
		}
		s.Line(indent, mark+" "+painted(l, paint))
	}
}

func painted(text string, paint func(string) string) string {
	if paint == nil {
		return text
	}
	return paint(text)
}

// Flush writes what has been collected.
func (s *Sheet) Flush(w io.Writer) error {
	_, err := io.WriteString(w, s.text.String())
	return err
}
