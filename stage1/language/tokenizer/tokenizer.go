// Package tokenizer cuts the source text of a small expression language into tokens.
package tokenizer

import (
	"fmt"
	"iter"
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

// String returns "identifier", "keyword", "number", "string" or "operator"; for any
// other Kind, say 42, it returns "Kind(42)".
func (k Kind) String() string {
	panic("TODO: name the kind")
}

// Tokens returns the tokens of src, each with a nil error. If something is wrong, the
// last pair is the zero Token and an *Error.
//
// The work is done while somebody ranges over the result, and no more of it than is
// asked for. The result may be ranged over again.
func Tokens(src string) iter.Seq2[Token, error] {
	panic("TODO: cut src into tokens")
}
