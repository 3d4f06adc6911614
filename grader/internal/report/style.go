package report

import (
	"io"
	"strings"

	"github.com/fatih/color"
	"github.com/mattn/go-runewidth"
)

// Style draws text for a terminal: colours, columns, lines that fit.
type Style struct {
	Color bool
	Width int
}

// cells measures text as terminals draw it. The marks ✓ ✗ ○ … take one cell
// nearly everywhere, in Chinese locales, too.
var cells = func() *runewidth.Condition {
	c := runewidth.NewCondition()
	c.EastAsianWidth = false
	return c
}()

func (s Style) paint(text string, attrs ...color.Attribute) string {
	if !s.Color || text == "" {
		return text
	}
	c := color.New(attrs...)
	c.EnableColor()
	return c.Sprint(text)
}

// The colours say what a thing is: one meaning each.

func (s Style) Good(text string) string { return s.paint(text, color.FgGreen) }
func (s Style) Bad(text string) string  { return s.paint(text, color.FgRed) }
func (s Style) Warn(text string) string { return s.paint(text, color.FgYellow) }
func (s Style) Dim(text string) string  { return s.paint(text, color.Faint) }
func (s Style) Bold(text string) string { return s.paint(text, color.Bold) }
func (s Style) Name(text string) string { return s.paint(text, color.FgCyan) }

// Pad fills text with blanks up to width cells.
func Pad(text string, width int) string {
	if n := width - cells.StringWidth(text); n > 0 {
		return text + strings.Repeat(" ", n)
	}
	return text
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

// Wrap breaks a paragraph so that it fits beside an indent of that many cells.
// Chinese may break anywhere, but for the punctuation that starts no line.
func (s Style) Wrap(text string, indent int) []string {
	room := s.Width - indent
	if s.Width <= 0 || room < 20 {
		return []string{text}
	}
	var out []string
	for cells.StringWidth(text) > room {
		cut := breakAt(text, room)
		out = append(out, strings.TrimRight(text[:cut], " "))
		text = strings.TrimLeft(text[cut:], " ")
	}
	return append(out, text)
}

// breakAt returns the byte where the line may end: after the last blank or wide
// rune that fits; else where the room ends.
func breakAt(text string, room int) int {
	used, cut, last := 0, 0, 0
	wide := false
	for i, r := range text {
		if i > 0 && (r == ' ' || wide || cells.RuneWidth(r) == 2) && !strings.ContainsRune("，。、；：！？）》」』”’…", r) {
			cut = i
		}
		wide = cells.RuneWidth(r) == 2
		if used += cells.RuneWidth(r); used > room {
			break
		}
		last = i + len(string(r))
	}
	if cut == 0 || cut > last {
		return max(last, 1)
	}
	return cut
}

// sheet collects lines; it is written in one go.
type sheet struct {
	Style
	text strings.Builder
}

func (s *sheet) line(indent int, text string) {
	if text != "" {
		s.text.WriteString(strings.Repeat(" ", indent))
		s.text.WriteString(text)
	}
	s.text.WriteByte('\n')
}

// para writes a paragraph, broken to fit.
func (s *sheet) para(indent int, text string, paint func(string) string) {
	for _, l := range s.Wrap(text, indent) {
		s.line(indent, paint(l))
	}
}

// marked writes a mark and a paragraph beside it.
func (s *sheet) marked(indent int, mark, text string, paint func(string) string) {
	for i, l := range s.Wrap(text, indent+2) {
		if i > 0 {
			mark = " "
		}
		s.line(indent, mark+" "+paint(l))
	}
}

func (s *sheet) flush(w io.Writer) error {
	_, err := io.WriteString(w, s.text.String())
	return err
}

func plain(s string) string { return s }
