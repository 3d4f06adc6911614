// Package tokenizer cuts the source text of a small expression language into tokens.
package tokenizer

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Kind says what a token is. The zero Kind is none.
type Kind int

const (
	Ident   Kind = iota + 1 // a name
	Keyword                 // and, else, false, if, in, let, not, or, then, true
	Number                  // 12 or 12.5
	String                  // "with its quotes"
	Op                      // + - * / ( ) , = == ! != < <= > >=
)

// A Pos is a place in the source.
type Pos struct {
	Offset int // in bytes, from 0
	Line   int // from 1
	Column int // in runes, from 1
}

// A Token is a piece of the source.
type Token struct {
	Kind Kind
	Text string // exactly as in the source
	Pos  Pos    // of its first byte
}

// An Error says what is wrong with the source, and where.
type Error struct {
	Pos Pos
	Msg string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%d:%d: %s", e.Pos.Line, e.Pos.Column, e.Msg)
}

// String returns the name of the kind.
func (k Kind) String() string {
	if name, ok := map[Kind]string{
		Ident: "identifier", Keyword: "keyword", Number: "number", String: "string", Op: "operator",
	}[k]; ok {
		return name
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Tokens cuts piece by piece from the front of the source, and counts the runes of what it has cut off.
func Tokens(src string) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		rest, pos := src, Pos{Line: 1, Column: 1}
		cut := func(n int) string {
			text := rest[:n]
			rest = rest[n:]
			pos.Offset += n
			if i := strings.LastIndexByte(text, '\n'); i >= 0 {
				pos.Line += strings.Count(text, "\n")
				pos.Column = 1
				text = text[i+1:]
			}
			pos.Column += utf8.RuneCountInString(text)
			return src[pos.Offset-n : pos.Offset]
		}
		for {
			cut(blank(rest))
			if rest == "" {
				return
			}
			start := pos
			kind, n, msg := match(rest)
			if msg != "" {
				cut(n)
				yield(Token{}, &Error{pos, msg})
				return
			}
			if !yield(Token{kind, cut(n), start}, nil) {
				return
			}
		}
	}
}

// blank returns the length of the white space and comments at the front.
func blank(s string) int {
	n := 0
	for {
		n += prefix(s[n:], func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) })
		if n == len(s) || s[n] != '#' {
			return n
		}
		line, _, _ := strings.Cut(s[n:], "\n")
		if i := firstInvalid(line); i >= 0 {
			return n + i
		}
		n += len(line)
	}
}

// match returns the kind and length of the token at the front, or what is wrong and where.
func match(s string) (kind Kind, n int, msg string) {
	if firstInvalid(s[:min(len(s), utf8.UTFMax)]) == 0 {
		return 0, 0, "not UTF-8"
	}
	r, _ := utf8.DecodeRuneInString(s)
	switch {
	case r == '_' || unicode.IsLetter(r):
		n = prefix(s, func(r rune) bool {
			return r == '_' || unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r)
		})
		if slices.Contains([]string{"and", "else", "false", "if", "in", "let", "not", "or", "then", "true"}, s[:n]) {
			return Keyword, n, ""
		}
		return Ident, n, ""
	case digit(r):
		n = prefix(s, digit)
		if after, ok := strings.CutPrefix(s[n:], "."); ok {
			if m := prefix(after, digit); m > 0 {
				n += 1 + m
			}
		}
		return Number, n, ""
	case r == '"':
		for n = 1; n < len(s) && s[n] != '\n'; {
			if s[n] == '"' {
				return String, n + 1, ""
			}
			if strings.HasPrefix(s[n:], `\\`) || strings.HasPrefix(s[n:], `\"`) {
				n += 2
				continue
			}
			r, size := utf8.DecodeRuneInString(s[n:])
			if r == utf8.RuneError && size == 1 {
				return 0, n, "not UTF-8"
			}
			n += size
		}
		return 0, 0, "unterminated string"
	}
	if len(s) > 1 && s[1] == '=' && strings.ContainsRune("=!<>", r) {
		return Op, 2, ""
	}
	if strings.ContainsRune("+-*/(),=!<>", r) {
		return Op, 1, ""
	}
	return 0, 0, "unexpected " + string(r)
}

// firstInvalid returns the index of the first byte that is not part of a rune, or -1.
func firstInvalid(s string) int {
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)) {
			return i
		}
	}
	return -1
}

// prefix returns the length of the longest prefix whose runes satisfy f.
func prefix(s string, f func(rune) bool) int {
	return len(s) - len(strings.TrimLeftFunc(s, f))
}

func digit(r rune) bool { return '0' <= r && r <= '9' }
