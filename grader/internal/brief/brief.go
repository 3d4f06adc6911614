// Package brief reads what a kata says to its learner: the brief and the hints.
package brief

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/msg"
)

// Read returns the kata's brief as Markdown; the English one where the other is missing.
func Read(k *course.Kata, l msg.Lang) (string, error) {
	return read(filepath.Join(k.Dir, "README"), l)
}

// Hints returns the kata's hints as Markdown, from a nudge to nearly the answer.
func Hints(k *course.Kata, l msg.Lang) ([]string, error) {
	text, err := read(k.AuthorPath("hints"), l)
	if err != nil {
		return nil, err
	}
	hints := split(text)
	if len(hints) == 0 {
		return nil, fmt.Errorf("%s has no hint: want sections `## 1`, `## 2`, …", course.RelTo(k.Root, k.AuthorPath("hints.md")))
	}
	return hints, nil
}

// read reads base.zh-CN.md or base.md.
func read(base string, l msg.Lang) (string, error) {
	if l == msg.ZH {
		if data, err := os.ReadFile(base + ".zh-CN.md"); err == nil {
			return course.Normal(data), nil
		}
	}
	data, err := os.ReadFile(base + ".md")
	if err != nil {
		return "", err
	}
	return course.Normal(data), nil
}

var (
	hintHeading = regexp.MustCompile(`^## +\d+`)
	fence       = regexp.MustCompile("^ {0,3}(```+|~~~+)")
)

// split cuts a text at its `## N` headings; those inside a fence are code.
func split(text string) []string {
	var hints []string
	var hint *strings.Builder
	end := func() {
		if hint != nil {
			hints = append(hints, strings.TrimSpace(hint.String())+"\n")
		}
	}
	open := ""
	for line := range strings.Lines(text) {
		if m := fence.FindStringSubmatch(line); m != nil {
			switch {
			case open == "":
				open = m[1]
			case strings.HasPrefix(m[1], open):
				open = ""
			}
		}
		if open == "" && hintHeading.MatchString(line) {
			end()
			hint = &strings.Builder{}
			continue
		}
		if hint != nil {
			hint.WriteString(line)
		}
	}
	end()
	return hints
}
