package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/grade"
)

// GitHub writes workflow commands that mark what did not pass at its place in
// the files, and one plain line for the log.
func GitHub(w io.Writer, r *grade.Report, o Options) error {
	g := &github{Options: o}
	begun, untouched := started(r.Katas)
	for _, k := range begun {
		g.kata(k)
	}
	if len(untouched) > 0 {
		g.command("notice", "", "", o.Lang.T("untouched.some", len(untouched))+": "+strings.Join(pathsOf(untouched), ", "))
	}
	if p := planned(r); len(p) > 0 {
		g.command("notice", "", "", o.Lang.T("planned.some", len(p))+": "+strings.Join(p, ", "))
	}
	fmt.Fprintln(&g.text, o.Lang.T("md.title", r.Summary.Katas["passed"], r.Summary.Katas["total"]))
	_, err := io.WriteString(w, g.text.String())
	return err
}

type github struct {
	Options
	text strings.Builder
}

func (g *github) kata(k *grade.Kata) {
	title := k.Path
	if k.Status == grade.Broken {
		title += " (" + g.Lang.T("md.broken") + ")"
	}
	for _, p := range k.Problems {
		g.command("error", p.At, title, p.Text)
	}
	for _, in := range failing(k) {
		text := in.Text.In(string(g.Lang))
		if b := in.Because; b != nil {
			if l := label(g.Lang, b.Kind); l != "" {
				text += "\n" + l
			}
			text += "\n" + b.Text
		}
		g.command("error", in.At, title, text)
	}
	for _, u := range k.Unchecked {
		g.command("warning", "", title, g.Lang.T("md.unchecked", u))
	}
}

// command writes one workflow command. at is path[:line[:col]].
func (g *github) command(name, at, title, text string) {
	var props []string
	file, line, col := splitPosition(at)
	for _, p := range []struct{ name, value string }{{"file", file}, {"line", line}, {"col", col}, {"title", title}} {
		if p.value != "" {
			props = append(props, p.name+"="+escapeProperty(p.value))
		}
	}
	fmt.Fprintf(&g.text, "::%s", name)
	if len(props) > 0 {
		fmt.Fprintf(&g.text, " %s", strings.Join(props, ","))
	}
	fmt.Fprintf(&g.text, "::%s\n", escapeData(text))
}

// splitPosition takes path:line:col apart; what is missing is empty.
func splitPosition(at string) (file, line, col string) {
	file = at
	var numbers []string
	for len(numbers) < 2 {
		i := strings.LastIndexByte(file, ':')
		if i < 0 {
			break
		}
		if _, err := strconv.ParseUint(file[i+1:], 10, 32); err != nil {
			break
		}
		numbers = append([]string{file[i+1:]}, numbers...)
		file = file[:i]
	}
	switch len(numbers) {
	case 2:
		return file, numbers[0], numbers[1]
	case 1:
		return file, numbers[0], ""
	}
	return file, "", ""
}

func escapeData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func escapeProperty(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}
