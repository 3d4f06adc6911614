package tokenizer_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/roadkata/roadkata/stage1/language/tokenizer"
)

func ExampleTokens() {
	for tok, err := range tokenizer.Tokens(`if größe >= 1.5 then "big"`) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(tok.Pos.Column, tok.Kind, tok.Text)
	}
	// Output:
	// 1 keyword if
	// 4 identifier größe
	// 10 operator >=
	// 13 number 1.5
	// 17 keyword then
	// 22 string "big"
}

func TestExampleError(t *testing.T) {
	for tok, err := range tokenizer.Tokens("let a =\n  $") {
		var at *tokenizer.Error
		if errors.As(err, &at) {
			if want := (tokenizer.Pos{Offset: 10, Line: 2, Column: 3}); at.Pos != want {
				t.Errorf("the error is at %+v, want %+v", at.Pos, want)
			}
			return
		}
		t.Log(tok.Text)
	}
	t.Error(`Tokens("let a =\n  $") yielded no *Error`)
}
