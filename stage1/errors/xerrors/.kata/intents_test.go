// Package settings_test holds the promises of the move off xerrors.
//
//kata:level 2
//kata:minutes 60
//kata:engine real golang.org/x/xerrors
//kata:forbid "golang.org/x/xerrors"
package settings_test

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/xerrors"

	settings "github.com/roadkata/roadkata/stage1/errors/xerrors"
	"github.com/roadkata/roadkata/stage1/errors/xerrors/legacy"
)

const sample = "# the usual\nport = 8080\n\n  host=example.org  \nquery = a=b=c\nempty =\nport = 9090\r\nbad = 80x\nhuge = 99999999999999999999\n"

func parse(t *testing.T) *settings.File {
	t.Helper()
	f, err := settings.Parse(sample)
	if err != nil {
		t.Fatalf("Parse(%q) = %v, want nil", sample, err)
	}
	return f
}

func parseOld(t *testing.T) *legacy.File {
	t.Helper()
	f, err := legacy.Parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// failing is a file system in which nothing can be opened.
type failing struct{ err error }

func (f failing) Open(string) (fs.File, error) { return nil, f.err }

var (
	errDecode = errors.New("no such colour")
	noFiles   = fstest.MapFS{}
)

func brokenFile() fstest.MapFS {
	return fstest.MapFS{"app.conf": {Data: []byte("a = 1\n\n  oops  \n")}}
}

// noObject is a store of objects rather than files, and says so.
func noObject() fs.FS { return failing{fmt.Errorf("no such object: %w", fs.ErrNotExist)} }

func denied() fs.FS {
	return failing{&fs.PathError{Op: "open", Path: "app.conf", Err: fs.ErrPermission}}
}

// failure is one way in which the package fails: what was called, the error,
// and the text that package legacy gives it.
type failure struct {
	call string
	err  error
	text string
}

func failures(t *testing.T) map[string]failure {
	t.Helper()
	f := parse(t)
	refuse := func(string) error { return errDecode }
	list := make(map[string]failure)
	add := func(call, text string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s = nil, want the error %q", call, text)
			err = errors.New("nil")
		}
		list[call] = failure{call, err, text}
	}
	second := func(_ any, err error) error { return err }
	add(`Get("nope")`, `get "nope": not found`, second(f.Get("nope")))
	add(`Int("nope")`, `int "nope": get "nope": not found`, second(f.Int("nope")))
	add(`Int("bad")`, `int "bad": strconv.Atoi: parsing "80x": invalid syntax`, second(f.Int("bad")))
	add(`Int("huge")`, `int "huge": strconv.Atoi: parsing "99999999999999999999": value out of range`, second(f.Int("huge")))
	add(`Decode("nope", …)`, `decode "nope": get "nope": not found`, f.Decode("nope", refuse))
	add(`Decode("host", …)`, `decode "host": no such colour`, f.Decode("host", refuse))
	add(`Parse("a\noops\n")`, `parse: line 1: no setting: "a"`, second(settings.Parse("a\noops\n")))
	add(`Parse("= 1")`, `parse: line 1: no setting: "= 1"`, second(settings.Parse("= 1")))
	add(`Load of a missing file`, `load "app.conf": not found`, second(settings.Load(noFiles, "app.conf")))
	add(`Load of a missing object`, `load "app.conf": not found`, second(settings.Load(noObject(), "app.conf")))
	add(`Load of a broken file`, `load "app.conf": parse: line 3: no setting: "oops"`, second(settings.Load(brokenFile(), "app.conf")))
	add(`Load of a forbidden file`, `load "app.conf": open app.conf: permission denied`, second(settings.Load(denied(), "app.conf")))
	return list
}

// Files are read as before: the same settings, and no error where nothing is wrong.
//
//kata:zh 文件照旧读取：设置相同，没有问题就没有错误。
func TestValues(t *testing.T) {
	f, old := parse(t), parseOld(t)
	for _, key := range []string{"port", "host", "query", "empty", "bad"} {
		want, _ := old.Get(key)
		if got, err := f.Get(key); got != want || err != nil {
			t.Errorf("Get(%q) = %q, %v, want %q, nil", key, got, err, want)
		}
		var decoded string
		if err := f.Decode(key, func(value string) error { decoded = value; return nil }); err != nil || decoded != want {
			t.Errorf("Decode(%q, …) = %v and handed over %q, want nil and %q", key, err, decoded, want)
		}
	}
	if got, err := f.Int("port"); got != 9090 || err != nil {
		t.Errorf(`Int("port") = %d, %v, want 9090, nil`, got, err)
	}
	loaded, err := settings.Load(fstest.MapFS{"a/b.conf": {Data: []byte("x = -7")}}, "a/b.conf")
	if err != nil {
		t.Fatalf("Load = %v, want nil", err)
	}
	if got, err := loaded.Int("x"); got != -7 || err != nil {
		t.Errorf(`Int("x") = %d, %v, want -7, nil`, got, err)
	}
	const notes = "  # note\n\t#x\na=1"
	if f, err := settings.Parse(notes); err != nil {
		t.Errorf("Parse(%q) = %v, want nil", notes, err)
	} else if got, err := f.Get("a"); got != "1" || err != nil {
		t.Errorf(`Parse(%q), Get("a") = %q, %v, want "1", nil`, notes, got, err)
	}
	if empty, err := settings.Parse(""); err != nil || empty == nil {
		t.Errorf(`Parse("") = %v, %v, want an empty file, nil`, empty, err)
	}
}

// The text of an error is the one that package legacy gives it, without places.
//
//kata:zh 错误文本与 legacy 包相同，其中没有代码位置。
func TestTexts(t *testing.T) {
	for _, f := range failures(t) {
		if got := f.err.Error(); got != f.text {
			t.Errorf("%s: Error() = %q, want %q", f.call, got, f.text)
		}
		for _, format := range []string{"%v", "%s"} {
			if got := fmt.Sprintf(format, f.err); got != f.text {
				t.Errorf("%s: %s prints %q, want %q", f.call, format, got, f.text)
			}
		}
	}
}

// All verbs, widths and precisions of strings work on the errors, too.
//
//kata:zh 适用于字符串的格式动词、宽度和精度，对这些错误同样有效。
func TestVerbs(t *testing.T) {
	for _, f := range failures(t) {
		for _, format := range []string{"%q", "%70s|", "%-70v|", "%.7s", "%.3q", "%70.5v|", "%x", "%X", "% x", "%+q"} {
			if got, want := fmt.Sprintf(format, f.err), fmt.Sprintf(format, f.err.Error()); got != want {
				t.Errorf("%s: %s prints %q, want what it prints of the text, %q", f.call, format, got, want)
			}
		}
	}
}

const place = `\S*settings\.go:\d+`

// wantTrace looks for patterns in %+v of err, one after the other.
func wantTrace(t *testing.T, call string, err error, patterns ...string) {
	t.Helper()
	trace := fmt.Sprintf("%+v", err)
	rest, before := trace, "the beginning"
	for _, p := range patterns {
		readable := strings.NewReplacer(`\S*`, "", `\d+`, "<line>", `\b`, "", `\`, "").Replace(p)
		at := regexp.MustCompile(p).FindStringIndex(rest)
		if at == nil {
			t.Errorf("%s: %%+v shows no %s after %s:\n%s", call, readable, before, trace)
			return
		}
		rest, before = rest[at[1]:], readable
	}
}

// With %+v every layer of an error shows its text and its place, from the outside in.
//
//kata:zh 用 %+v 打印时，错误的每一层由外到内依次给出文本和代码位置。
func TestChain(t *testing.T) {
	all := failures(t)
	for call, layers := range map[string][]string{
		`Int("nope")`:           {`int "nope"`, `get "nope"`, `not found`},
		`Decode("nope", …)`:     {`decode "nope"`, `get "nope"`, `not found`},
		`Load of a broken file`: {`load "app.conf"`, `parse`, `line 3: no setting: "oops"`},
	} {
		var patterns []string
		for i, text := range layers {
			patterns = append(patterns, regexp.QuoteMeta(text))
			if i < len(layers)-1 {
				patterns = append(patterns, place)
			}
		}
		wantTrace(t, call, all[call].err, patterns...)
		if got := strings.Count(fmt.Sprintf("%+v", all[call].err), "settings.go:"); got != len(layers)-1 {
			t.Errorf("%s: %%+v has %d places, want %d:\n%+v", call, got, len(layers)-1, all[call].err)
		}
	}
}

// The place is the exported function that added the layer, with file and line.
//
//kata:zh 代码位置是添加这一层的导出函数，以及文件名和行号。
func TestPlaces(t *testing.T) {
	all := failures(t)
	for call, function := range map[string]string{
		`Get("nope")`:              `\.\(\*File\)\.Get\b`,
		`Int("bad")`:               `\.\(\*File\)\.Int\b`,
		`Decode("host", …)`:        `\.\(\*File\)\.Decode\b`,
		`Parse("= 1")`:             `\.Parse\b`,
		`Load of a missing file`:   `\.Load\b`,
		`Load of a forbidden file`: `\.Load\b`,
	} {
		text, _, _ := strings.Cut(all[call].text, ":")
		wantTrace(t, call, all[call].err, regexp.QuoteMeta(text), function, place)
	}
}

// badColour makes an error in the old style, with a place of its own.
func badColour(string) error { return xerrors.New("bad colour") }

// Places survive the border in both directions: old errors inside of new ones, and new inside of old.
//
//kata:zh 代码位置能双向跨越新旧边界：新错误里的旧错误，旧错误里的新错误。
func TestNeighbours(t *testing.T) {
	f := parse(t)

	wantTrace(t, `Decode with a function that returns an xerrors error`, f.Decode("host", badColour),
		`decode "host"`, place, `bad colour`, `badColour`, `intents_test\.go:\d+|intents\.go:\d+`)

	_, err := settings.Load(failing{badColour("")}, "app.conf")
	wantTrace(t, `Load from a file system that returns an xerrors error`, err,
		`load "app\.conf"`, place, `bad colour`, `badColour`, `intents_test\.go:\d+|intents\.go:\d+`)

	_, err = f.Get("nope")
	wantTrace(t, `xerrors.Errorf around the error of Get`, xerrors.Errorf("boot: %w", err),
		`boot`, `TestNeighbours`, `get "nope"`, place, `not found`)

	err = parseOld(t).Decode("host", func(string) error { _, err := f.Get("nope"); return err })
	wantTrace(t, `legacy's Decode around the error of Get`, err,
		`decode "host"`, `legacy\.go:\d+`, `get "nope"`, place, `not found`)
}

// dressed wraps err in both styles, as callers do.
func dressed(err error) map[string]error {
	return map[string]error{
		"bare":                      err,
		"wrapped by fmt.Errorf":     fmt.Errorf("start: %w", err),
		"wrapped by xerrors.Errorf": xerrors.Errorf("start: %w", err),
		"joined":                    errors.Join(errors.New("other"), err),
		"wrapped by both":           fmt.Errorf("main: %w", xerrors.Errorf("start: %w", err)),
	}
}

// The sentinel is found through old and new wrapping, where something is missing and nowhere else.
//
//kata:zh 凡是缺了东西的错误，无论新旧方式包装都能匹配哨兵错误，别的错误则不能。
func TestSentinel(t *testing.T) {
	all := failures(t)
	missing := map[string]bool{`Get("nope")`: true, `Int("nope")`: true, `Decode("nope", …)`: true, `Load of a missing file`: true, `Load of a missing object`: true}
	for call, f := range all {
		for how, err := range dressed(f.err) {
			if got := errors.Is(err, settings.ErrNotFound); got != missing[call] {
				t.Errorf("%s, %s: errors.Is(err, ErrNotFound) = %v, want %v; err: %v", call, how, got, missing[call], err)
			}
			if got := xerrors.Is(err, legacy.ErrNotFound); got != missing[call] {
				t.Errorf("%s, %s: xerrors.Is(err, legacy.ErrNotFound) = %v, want %v; err: %v", call, how, got, missing[call], err)
			}
			if errors.Is(err, errors.New("not found")) {
				t.Errorf("%s, %s: matches a stranger's error; err: %v", call, how, err)
			}
		}
	}
}

// colourError is an error type of a caller.
type colourError struct{ name string }

func (e *colourError) Error() string { return "no colour " + e.name }

// Error types are found by errors.AsType, and by xerrors.As, through old and new wrapping.
//
//kata:zh errors.AsType（以及 xerrors.As）能穿过新旧两种包装找到错误类型。
func TestTypes(t *testing.T) {
	all := failures(t)
	for call, want := range map[string]settings.SyntaxError{
		`Parse("a\noops\n")`:    {Line: 1, Text: "a"},
		`Load of a broken file`: {Line: 3, Text: "oops"},
	} {
		for how, err := range dressed(all[call].err) {
			got, ok := errors.AsType[*settings.SyntaxError](err)
			if !ok {
				t.Errorf("%s, %s: errors.AsType[*SyntaxError] finds nothing; err: %v", call, how, err)
			} else if *got != want {
				t.Errorf("%s, %s: errors.AsType finds %+v, want %+v", call, how, *got, want)
			}
			var old *legacy.SyntaxError
			if !xerrors.As(err, &old) {
				t.Errorf("%s, %s: xerrors.As finds no *legacy.SyntaxError; err: %v", call, how, err)
			}
		}
	}
	for call, want := range map[string]error{`Int("bad")`: strconv.ErrSyntax, `Int("huge")`: strconv.ErrRange} {
		for how, err := range dressed(all[call].err) {
			if got, ok := errors.AsType[*strconv.NumError](err); !ok || !errors.Is(err, want) {
				t.Errorf("%s, %s: errors.AsType[*strconv.NumError] = %v, %v; want one that matches %v; err: %v", call, how, got, ok, want, err)
			}
		}
	}
	err := parse(t).Decode("host", func(string) error { return xerrors.Errorf("theme: %w", &colourError{"puce"}) })
	for how, err := range dressed(err) {
		if got, ok := errors.AsType[*colourError](err); !ok || got.name != "puce" {
			t.Errorf("Decode, %s: errors.AsType does not find the error type of the caller's function; err: %v", how, err)
		}
	}
	if _, ok := errors.AsType[*settings.SyntaxError](all[`Get("nope")`].err); ok {
		t.Errorf("Get of a missing key: errors.AsType finds a *SyntaxError")
	}
}

// What the file system said is shown to people and hidden from programs.
//
//kata:zh 文件系统说了什么，人看得到，程序拿不到。
func TestOpaque(t *testing.T) {
	cause := &fs.PathError{Op: "open", Path: "app.conf", Err: fs.ErrPermission}
	_, err := settings.Load(failing{cause}, "app.conf")
	for how, err := range dressed(err) {
		if errors.Is(err, fs.ErrPermission) {
			t.Errorf("Load of a forbidden file, %s: matches fs.ErrPermission; err: %v", how, err)
		}
		if errors.Is(err, error(cause)) {
			t.Errorf("Load of a forbidden file, %s: matches the error of the file system; err: %v", how, err)
		}
		if _, ok := errors.AsType[*fs.PathError](err); ok {
			t.Errorf("Load of a forbidden file, %s: errors.AsType finds the *fs.PathError; err: %v", how, err)
		}
		if !strings.Contains(fmt.Sprint(err), "permission denied") {
			t.Errorf("Load of a forbidden file, %s: the text does not say why: %v", how, err)
		}
	}

	_, err = settings.Load(noFiles, "app.conf")
	if errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of a missing file: matches fs.ErrNotExist; err: %v", err)
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		t.Errorf("Load of a missing file: errors.AsType finds the *fs.PathError; err: %v", err)
	}
}

// Errors can be compared and be keys of a map.
//
//kata:zh 错误可以用 == 比较，也可以作 map 的键。
func TestComparable(t *testing.T) {
	for _, f := range failures(t) {
		func() {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("%s: comparing the error with itself panics: %v", f.call, p)
				}
			}()
			seen := map[error]bool{f.err: true}
			if !seen[f.err] || !errors.Is(fmt.Errorf("again: %w", f.err), f.err) {
				t.Errorf("%s: the error does not equal itself", f.call)
			}
		}()
	}
}
