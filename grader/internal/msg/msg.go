// Package msg holds what the grader says to people, in English and in Chinese.
//
// It never holds what a kata says: titles, briefs, hints and intents carry their
// own languages.
package msg

import (
	"fmt"
	"strings"
)

// Lang is a language that the grader speaks.
type Lang string

// The languages.
const (
	EN Lang = "en"
	ZH Lang = "zh"
)

// text is one message in both languages.
type text struct{ en, zh string }

// T returns the message called key with its arguments. An unknown key is a
// mistake in the grader's code; a test keeps it from getting this far.
func (l Lang) T(key string, args ...any) string {
	m, ok := table[key]
	if !ok {
		return "!" + key
	}
	format := m.en
	if l == ZH {
		format = m.zh
	}
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

// N is T for a message that counts: with n equal to 1 it takes key+".one".
func (l Lang) N(key string, n int, args ...any) string {
	if n == 1 {
		key += ".one"
	}
	return l.T(key, append([]any{n}, args...)...)
}

// Parse reads a language from a flag ("zh", "en") or a locale ("zh_CN.UTF-8").
func Parse(s string) (Lang, bool) {
	s = strings.ToLower(s)
	base, _, _ := strings.Cut(s, ".")
	base, _, _ = strings.Cut(base, "_")
	base, _, _ = strings.Cut(base, "-")
	switch base {
	case "zh":
		return ZH, true
	case "en", "c", "posix":
		return EN, true
	}
	return EN, false
}

// FromEnv returns the language that the environment asks for: ROADKATA_LANG
// first, then the locale; English where nothing is said.
func FromEnv(getenv func(string) string) Lang {
	for _, name := range []string{"ROADKATA_LANG", "LC_ALL", "LC_MESSAGES", "LANG"} {
		v := getenv(name)
		if v == "" {
			continue
		}
		if l, ok := Parse(v); ok || name != "ROADKATA_LANG" {
			return l
		}
	}
	return EN
}
