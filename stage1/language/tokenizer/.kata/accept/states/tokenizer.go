// Package tokenizer cuts the source text of a small expression language into tokens.
package tokenizer

import (
	"fmt"
	"iter"
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
	names := [...]string{Ident: "identifier", Keyword: "keyword", Number: "number", String: "string", Op: "operator"}
	if k < Ident || k > Op {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return names[k]
}

// Tokens runs a machine whose states are functions.
func Tokens(src string) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		m := &machine{src: src, line: 1, column: 1, yield: yield}
		for s := between; s != nil; {
			s = s(m)
		}
	}
}

// A state does its part of the work and returns the next one, or nil.
type state func(*machine) state

type machine struct {
	src                  string
	begin, at            int // the token is src[begin:at]
	line, column, passed int // place of begin; runes from there to at
	yield                func(Token, error) bool
}

// read returns the rune at m.at and steps over it; size is 0 at the end.
func (m *machine) read() (r rune, size int) {
	r, size = utf8.DecodeRuneInString(m.src[m.at:])
	m.at += size
	if size > 0 {
		m.passed++
	}
	return r, size
}

func (m *machine) unread(size int) {
	m.at -= size
	if size > 0 {
		m.passed--
	}
}

func (m *machine) drop() {
	m.begin, m.column, m.passed = m.at, m.column+m.passed, 0
}

func (m *machine) emit(k Kind) state {
	tok := Token{k, m.src[m.begin:m.at], Pos{m.begin, m.line, m.column}}
	m.drop()
	if !m.yield(tok, nil) {
		return nil
	}
	return between
}

// fail reports what is wrong at the beginning of the token, or at its last rune.
func (m *machine) fail(last bool, format string, args ...any) state {
	if last {
		m.unread(1) // only an invalid byte is looked at in this way
		m.drop()
	}
	m.yield(Token{}, &Error{Pos{m.begin, m.line, m.column}, fmt.Sprintf(format, args...)})
	return nil
}

func bad(r rune, size int) bool { return r == utf8.RuneError && size == 1 }

func between(m *machine) state {
	r, size := m.read()
	switch {
	case size == 0:
		return nil
	case r == '\n':
		m.drop()
		m.line, m.column = m.line+1, 1
		return between
	case strings.ContainsRune(" \t\r", r):
		m.drop()
		return between
	case r == '#':
		return comment
	case r == '"':
		return text
	case r == '_', unicode.IsLetter(r):
		return word
	case '0' <= r && r <= '9':
		return number
	case bad(r, size):
		return m.fail(true, "invalid UTF-8")
	case strings.ContainsRune("=!<>", r):
		if _, size := m.read(); size > 0 && m.src[m.at-size] != '=' {
			m.unread(size)
		}
		return m.emit(Op)
	case strings.ContainsRune("+-*/(),", r):
		return m.emit(Op)
	}
	return m.fail(false, "unexpected %q", r)
}

func comment(m *machine) state {
	switch r, size := m.read(); {
	case size == 0 || r == '\n':
		m.unread(size)
		m.drop()
		return between
	case bad(r, size):
		return m.fail(true, "invalid UTF-8 in a comment")
	}
	return comment
}

func text(m *machine) state {
	switch r, size := m.read(); {
	case size == 0 || r == '\n':
		return m.fail(false, "string does not end on its line")
	case bad(r, size):
		return m.fail(true, "invalid UTF-8 in a string")
	case r == '\\':
		if c, size := m.read(); c != '"' && c != '\\' {
			m.unread(size)
		}
	case r == '"':
		return m.emit(String)
	}
	return text
}

func word(m *machine) state {
	r, size := m.read()
	if size > 0 && (r == '_' || unicode.In(r, unicode.L, unicode.M, unicode.Nd)) {
		return word
	}
	m.unread(size)
	for _, kw := range strings.Fields("and else false if in let not or then true") {
		if kw == m.src[m.begin:m.at] {
			return m.emit(Keyword)
		}
	}
	return m.emit(Ident)
}

func number(m *machine) state {
	digits := func() (n int) {
		for m.at+n < len(m.src) && m.src[m.at+n]-'0' < 10 {
			n++
		}
		return n
	}
	n := digits()
	m.at, m.passed = m.at+n, m.passed+n
	if strings.HasPrefix(m.src[m.at:], ".") {
		m.read()
		n := digits()
		m.at, m.passed = m.at+n, m.passed+n
		if n == 0 {
			m.unread(1)
		}
	}
	return m.emit(Number)
}
