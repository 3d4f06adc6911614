// The intents of tokenizer.
//
//kata:level 2
//kata:minutes 50
//kata:engine real Go runtime
//kata:forbid "go/scanner" "text/scanner"
package tokenizer_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/roadkata/roadkata/stage1/language/tokenizer"
)

// Each token has its kind and its text, the longest that fits; white space and comments are none.
//
//kata:zh 每个词法单元的种类和文本都正确，并且取最长匹配；空白和注释不算。
func TestTokens(t *testing.T) {
	expect(t, ``)
	expect(t, " \t\r\n ")
	expect(t, `let x = 1 in x`, `keyword let`, `identifier x`, `operator =`, `number 1`, `keyword in`, `identifier x`)
	expect(t, `f(a,b)`, `identifier f`, `operator (`, `identifier a`, `operator ,`, `identifier b`, `operator )`)
	expect(t, `and else false if in let not or then true`, `keyword and`, `keyword else`, `keyword false`, `keyword if`,
		`keyword in`, `keyword let`, `keyword not`, `keyword or`, `keyword then`, `keyword true`)

	expect(t, `a<=b`, `identifier a`, `operator <=`, `identifier b`)
	expect(t, `== != <= >= = ! < >`, `operator ==`, `operator !=`, `operator <=`, `operator >=`, `operator =`, `operator !`, `operator <`, `operator >`)
	expect(t, `===!==`, `operator ==`, `operator =`, `operator !=`, `operator =`)
	expect(t, `+-*/`, `operator +`, `operator -`, `operator *`, `operator /`)

	expect(t, `0 007 12.50 1.2`, `number 0`, `number 007`, `number 12.50`, `number 1.2`)
	expect(t, `-1`, `operator -`, `number 1`)
	expect(t, `12ab`, `number 12`, `identifier ab`)
	expect(t, `1.a`, `number 1`, `error at 1`)
	expect(t, `1.2.3`, `number 1.2`, `error at 3`)
	expect(t, `.5`, `error at 0`)
	expect(t, `٣`, `error at 0`)

	expect(t, `"" "a b"`, `string ""`, `string "a b"`)
	expect(t, "a # comment \"x\nb#c\n#\n# end", `identifier a`, `identifier b`)
	expect(t, `"no # comment"`, `string "no # comment"`)
	expect(t, "a\u00a0b", `identifier a`, `error at 1`)
}

// Offsets count bytes from 0, columns count runes from 1, lines begin with 1.
//
//kata:zh 偏移量从 0 起按字节计，列从 1 起按字符（rune）计，行从 1 起。
func TestPositions(t *testing.T) {
	for _, c := range []struct {
		src  string
		want []tokenizer.Pos
	}{
		{"a bc d", []tokenizer.Pos{{0, 1, 1}, {2, 1, 3}, {5, 1, 6}}},
		{"über über", []tokenizer.Pos{{0, 1, 1}, {6, 1, 6}}},
		{`"世界" x "😀" y`, []tokenizer.Pos{{0, 1, 1}, {9, 1, 6}, {11, 1, 8}, {18, 1, 12}}},
		{"a\n b\r\n\tc\n\nd", []tokenizer.Pos{{0, 1, 1}, {3, 2, 2}, {7, 3, 2}, {10, 5, 1}}},
		{"cafe\u0301 x", []tokenizer.Pos{{0, 1, 1}, {7, 1, 7}}},
		{"# für\n#\nx # ü\ny", []tokenizer.Pos{{9, 3, 1}, {16, 4, 1}}},
		{"a<=b 1.9+c", []tokenizer.Pos{{0, 1, 1}, {1, 1, 2}, {3, 1, 4}, {5, 1, 6}, {8, 1, 9}, {9, 1, 10}}},
	} {
		var got []tokenizer.Pos
		for tok, err := range tokenizer.Tokens(c.src) {
			if err != nil {
				t.Errorf("Tokens(%q) yields error %v, want none", c.src, err)
			}
			got = append(got, tok.Pos)
		}
		if g, w := fmt.Sprint(got), fmt.Sprint(c.want); g != w {
			t.Errorf("Tokens(%q): {offset line column} are %s, want %s", c.src, g, w)
		}
	}
}

// An identifier may be of any script, and may begin with a keyword.
//
//kata:zh 标识符可以用任何文字，也可以以关键字开头。
func TestIdentifiers(t *testing.T) {
	expect(t, `letter iffy in_ in2 order then_`, `identifier letter`, `identifier iffy`, `identifier in_`, `identifier in2`, `identifier order`, `identifier then_`)
	expect(t, `If LET True`, `identifier If`, `identifier LET`, `identifier True`)
	expect(t, `_ _1 a_b`, `identifier _`, `identifier _1`, `identifier a_b`)
	expect(t, `größe 变量2 Ωmega`, `identifier größe`, `identifier 变量2`, `identifier Ωmega`)
	expect(t, `inés`, `identifier inés`)
	expect(t, "cafe\u0301 x٣", "identifier cafe\u0301", `identifier x٣`)
}

// A string ends at its quote, an escaped quote does not end it, and one that is not terminated is an error where it began.
//
//kata:zh 字符串在引号处结束，转义的引号不算；未结束的字符串是错误，位置是它开始的地方。
func TestStrings(t *testing.T) {
	expect(t, `"a\"b" c`, `string "a\"b"`, `identifier c`)
	expect(t, `"a\\" c`, `string "a\\"`, `identifier c`)
	expect(t, `"\\\"" c`, `string "\\\""`, `identifier c`)
	expect(t, `"\n\q\ü" c`, `string "\n\q\ü"`, `identifier c`)

	expect(t, `a "b`, `identifier a`, `error at 2`)
	expect(t, `"`, `error at 0`)
	expect(t, "x\n\"b\nc \"", `identifier x`, `error at 2`)
	expect(t, `a "b\" c`, `identifier a`, `error at 2`)
	expect(t, "\"a\\\nb\"", `error at 0`)
}

// A byte that is not UTF-8 is an error at its offset, wherever it stands; what comes before is yielded.
//
//kata:zh 非法的 UTF-8 字节无论出现在哪里，都是错误，位置是它自己的偏移量；它之前的内容照常给出。
func TestInvalidUTF8(t *testing.T) {
	expect(t, "\xff", `error at 0`)
	expect(t, "a b \xff c", `identifier a`, `identifier b`, `error at 4`)
	expect(t, "ab\xffcd", `identifier ab`, `error at 2`)
	expect(t, "ü\xc3", `identifier ü`, `error at 2`) // the first half of an ü
	expect(t, "1 \"a\xffb\" 2", `number 1`, `error at 4`)
	expect(t, "\"a\xff", `error at 2`)
	expect(t, "\"\\\xff\"", `error at 2`)
	expect(t, "1 # a\xff\n2", `number 1`, `error at 5`)
	expect(t, "\xed\xa0\x80", `error at 0`) // half of a UTF-16 pair

	expect(t, "\"\ufffd\" # \ufffd\nx", "string \"\ufffd\"", `identifier x`) // written there, and valid
	expect(t, "\ufffd", `error at 0`)                                        // valid, but no token
}

// What is wrong comes last, as an *Error with its position and with no token; nothing follows.
//
//kata:zh 出错时最后给出带位置的 *Error 和零值 Token，此后不再有任何内容。
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		src  string
		want tokenizer.Pos
	}{
		{"a $ b", tokenizer.Pos{Offset: 2, Line: 1, Column: 3}},
		{"über\n  ü §", tokenizer.Pos{Offset: 11, Line: 2, Column: 5}},
		{"ü \"ab", tokenizer.Pos{Offset: 3, Line: 1, Column: 3}},
		{"ü\n\"ü\xff\"", tokenizer.Pos{Offset: 6, Line: 2, Column: 3}},
		{"'a'", tokenizer.Pos{Offset: 0, Line: 1, Column: 1}},
	} {
		var last error
		for tok, err := range tokenizer.Tokens(c.src) {
			if last != nil {
				t.Errorf("Tokens(%q): after the error %q comes %q, %v; want nothing", c.src, last, tok.Text, err)
				break
			}
			if last = err; err != nil && tok != (tokenizer.Token{}) {
				t.Errorf("Tokens(%q): with the error %q comes the token %+v, want the zero Token", c.src, err, tok)
			}
		}
		var at *tokenizer.Error
		if !errors.As(last, &at) {
			t.Errorf("Tokens(%q) ends with %v (%[2]T), want an *Error", c.src, last)
			continue
		}
		if at.Pos != c.want || at.Msg == "" {
			t.Errorf("Tokens(%q): the error is at %+v and says %q; want %+v, and a message", c.src, at.Pos, at.Msg, c.want)
		}
	}
}

// Who stops early saves the rest of the work.
//
//kata:zh 提前停止的人，剩下的活就不再干。
func TestStopsEarly(t *testing.T) {
	src := strings.Repeat("let x = 1 in x + y # and so on\n", 1<<16)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n := 0
	for range tokenizer.Tokens(src) {
		if n++; n == 3 {
			break
		}
	}
	runtime.ReadMemStats(&after)
	if n != 3 {
		t.Fatalf("a loop over Tokens(%d MB) that breaks at the third token had %d", len(src)>>20, n)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 256<<10 {
		t.Errorf("a loop over Tokens(%d MB) that breaks at the third token allocated %d KB, want next to nothing", len(src)>>20, got>>10)
	}
}

// The result may be ranged over again, and each loop begins anew.
//
//kata:zh 结果可以反复遍历，每次都从头开始。
func TestRangedAgain(t *testing.T) {
	src := "a\nb c \"d\" $"
	seq := tokenizer.Tokens(src)
	var loops [3]string
	for i := range loops {
		for tok, err := range seq {
			loops[i] += fmt.Sprint(tok.Text, tok.Pos, err, " ")
			if i == 1 {
				break
			}
		}
	}
	if loops[0] == "" || loops[0] != loops[2] || !strings.HasPrefix(loops[0], loops[1]) {
		t.Errorf("Tokens(%q), ranged over, again with a break, and again: %q", src, loops)
	}
}

// No input panics, and what is not yielded is white space or a comment.
//
//kata:zh 任何输入都不会 panic；没有给出的部分只能是空白或注释。
func TestNoInputPanics(t *testing.T) {
	seeds := []string{
		`"\`, `"a\`, `1.`, `12.`, `=`, `!`, `<`, `>`, `#`, `"`, `\`, `_`, "\r", "\x00", "\xff", "\xc3", "\xe4\xb8", "\xf0\x9f\x98",
		`let größe = "世\"界" in größe <= 1.5 # 注释`, "a\n\"b\\\"c\"\n# d\nif x>=2. then y",
	}
	// Each seed is cut off everywhere, and loses or doubles each of its bytes.
	for _, seed := range seeds {
		check(t, seed)
		for i := range len(seed) {
			check(t, seed[:i])
			check(t, seed[i:])
			check(t, seed[:i]+seed[i+1:])
			check(t, seed[:i+1]+seed[i:])
		}
		for _, other := range seeds {
			check(t, seed+other)
		}
	}
}

// A kind says its name, and an unknown one its number.
//
//kata:zh 种类能说出自己的名字，未知的种类给出编号。
func TestKindString(t *testing.T) {
	for _, c := range []struct {
		kind tokenizer.Kind
		want string
	}{
		{tokenizer.Ident, "identifier"}, {tokenizer.Keyword, "keyword"}, {tokenizer.Number, "number"},
		{tokenizer.String, "string"}, {tokenizer.Op, "operator"},
		{0, "Kind(0)"}, {42, "Kind(42)"}, {-1, "Kind(-1)"},
	} {
		if got := fmt.Sprintf("%v", c.kind); got != c.want {
			t.Errorf(`Kind(%d) printed with %%v is %q, want %q`, int(c.kind), got, c.want)
		}
	}
}

// expect compares what Tokens(src) yields with want, each as "kind text" or "error at offset".
func expect(t *testing.T, src string, want ...string) {
	t.Helper()
	got := []string{}
	for tok, err := range tokenizer.Tokens(src) {
		var at *tokenizer.Error
		switch {
		case errors.As(err, &at):
			got = append(got, fmt.Sprintf("error at %d", at.Pos.Offset))
		case err != nil:
			got = append(got, "error")
		default:
			got = append(got, name(tok.Kind)+" "+tok.Text)
		}
		if len(got) > len(want)+3 || err != nil {
			break // what follows an error is the matter of TestErrors
		}
	}
	if g, w := fmt.Sprintf("%q", got), fmt.Sprintf("%q", want); g != w {
		t.Errorf("Tokens(%q) yields %s, want %s", src, g, w)
	}
}

// name is not Kind.String, which has an intent of its own.
func name(k tokenizer.Kind) string {
	switch k {
	case tokenizer.Ident:
		return "identifier"
	case tokenizer.Keyword:
		return "keyword"
	case tokenizer.Number:
		return "number"
	case tokenizer.String:
		return "string"
	case tokenizer.Op:
		return "operator"
	}
	return fmt.Sprintf("kind %d", int(k))
}

// check sees to it that Tokens(src) ends, and that its tokens lie in src one after another.
func check(t *testing.T, src string) {
	t.Helper()
	defer func() {
		if v := recover(); v != nil {
			t.Fatalf("Tokens(%q) panics: %v", src, v)
		}
	}()
	at, n := 0, 0
	blank := func(to int) bool {
		for line := range strings.Lines(src[at:to]) {
			if code, _, _ := strings.Cut(line, "#"); strings.Trim(code, " \t\r\n") != "" {
				return false
			}
		}
		return true
	}
	for tok, err := range tokenizer.Tokens(src) {
		if n++; n > len(src)+1 {
			t.Errorf("Tokens(%q) yields more than %d tokens", src, len(src))
			return
		}
		if err != nil {
			return
		}
		from, to := tok.Pos.Offset, tok.Pos.Offset+len(tok.Text)
		if from < at || to > len(src) || tok.Text == "" || src[from:to] != tok.Text {
			return // a wrong position or text is the matter of other intents
		}
		if !blank(from) {
			t.Errorf("Tokens(%q): %q is yielded after offset %d, and %q in between is neither white space nor a comment", src, tok.Text, at, src[at:from])
			return
		}
		at = to
	}
	if !blank(len(src)) {
		t.Errorf("Tokens(%q) ends without an error at offset %d, and %q is neither white space nor a comment", src, at, src[at:])
	}
}
