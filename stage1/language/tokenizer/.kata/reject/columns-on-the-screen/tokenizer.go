// Counts no column for a mark, since it takes no room on the screen: the contract counts runes.
//
//kata:caught-by TestPositions
package tokenizer

import (
	"fmt"
	"io"
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
	switch k {
	case Ident:
		return "identifier"
	case Keyword:
		return "keyword"
	case Number:
		return "number"
	case String:
		return "string"
	case Op:
		return "operator"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Tokens returns the tokens of src, each with a nil error. If something is wrong, the
// last pair is the zero Token and an *Error.
func Tokens(src string) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		l := lexer{src: src, pos: Pos{Line: 1, Column: 1}}
		for {
			tok, err := l.next()
			if err == io.EOF {
				return
			}
			if !yield(tok, err) || err != nil {
				return
			}
		}
	}
}

// lexer reads src from pos on, rune by rune.
type lexer struct {
	src string
	pos Pos
}

// What peek returns where there is no rune.
const (
	end     rune = -1
	invalid rune = -2
)

// peek returns the rune at pos.
func (l *lexer) peek() rune {
	r, size := utf8.DecodeRuneInString(l.src[l.pos.Offset:])
	if r == utf8.RuneError && size < 2 { // a U+FFFD that is written there has size 3
		if size == 0 {
			return end
		}
		return invalid
	}
	return r
}

// advance steps over r, which peek has returned.
func (l *lexer) advance(r rune) {
	l.pos.Offset += utf8.RuneLen(r)
	if !unicode.IsMark(r) {
		l.pos.Column++
	}
	if r == '\n' {
		l.pos.Line++
		l.pos.Column = 1
	}
}

// while steps over the runes for which f holds. It stops before an invalid byte.
func (l *lexer) while(f func(rune) bool) {
	for r := l.peek(); r >= 0 && f(r); r = l.peek() {
		l.advance(r)
	}
}

// next returns the next token, or io.EOF.
func (l *lexer) next() (Token, error) {
	l.skip()
	start := l.pos
	kind, err := l.scan()
	if err != nil {
		return Token{}, err
	}
	return Token{kind, l.src[start.Offset:l.pos.Offset], start}, nil
}

// skip steps over white space and comments.
func (l *lexer) skip() {
	for {
		l.while(isSpace)
		if l.peek() != '#' {
			return
		}
		l.while(func(r rune) bool { return r != '\n' })
	}
}

// scan steps over one token and returns its kind.
func (l *lexer) scan() (Kind, error) {
	start := l.pos
	switch r := l.peek(); {
	case r == end:
		return 0, io.EOF
	case r == invalid:
		return 0, l.invalid()
	case r == '_' || unicode.IsLetter(r):
		l.while(isIdent)
		if isKeyword(l.src[start.Offset:l.pos.Offset]) { // not before: letter begins with let
			return Keyword, nil
		}
		return Ident, nil
	case isDigit(r):
		l.while(isDigit)
		// The point belongs to the number only if a digit follows.
		if rest := l.src[l.pos.Offset:]; len(rest) > 1 && rest[0] == '.' && isDigit(rune(rest[1])) {
			l.advance('.')
			l.while(isDigit)
		}
		return Number, nil
	case r == '"':
		return String, l.quoted()
	default:
		// The longer ones come first.
		for _, op := range []string{"==", "!=", "<=", ">=", "+", "-", "*", "/", "(", ")", ",", "=", "!", "<", ">"} {
			if strings.HasPrefix(l.src[l.pos.Offset:], op) {
				for _, r := range op {
					l.advance(r)
				}
				return Op, nil
			}
		}
		return 0, &Error{start, fmt.Sprintf("unexpected character %q", r)}
	}
}

// quoted steps over a string.
func (l *lexer) quoted() error {
	start := l.pos
	l.advance('"')
	for {
		r := l.peek()
		if r == '\\' {
			l.advance(r)
			// An escaped quote does not end the string, nor does an escaped backslash escape.
			if r = l.peek(); r == '"' || r == '\\' {
				l.advance(r)
				continue
			}
		}
		switch r {
		case '"':
			l.advance(r)
			return nil
		case end, '\n':
			return &Error{start, "string is not terminated"}
		case invalid:
			return l.invalid()
		}
		l.advance(r)
	}
}

func (l *lexer) invalid() error {
	return &Error{l.pos, fmt.Sprintf("invalid UTF-8 byte %#02x", l.src[l.pos.Offset])}
}

func isSpace(r rune) bool {
	return r == ' ' || r == '\t' || r == '\r' || r == '\n'
}

func isDigit(r rune) bool {
	return '0' <= r && r <= '9'
}

func isIdent(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r)
}

func isKeyword(s string) bool {
	switch s {
	case "and", "else", "false", "if", "in", "let", "not", "or", "then", "true":
		return true
	}
	return false
}
