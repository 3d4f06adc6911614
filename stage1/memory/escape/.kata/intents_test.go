// The suite counts allocations with values that the compiler cannot know: a constant in an interface costs
// nothing and would hide what a real value costs.
//
//kata:level 3
//kata:minutes 60
//kata:engine real Go runtime
//kata:forbid "unsafe" "reflect"
package escape_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage1/memory/escape"
)

// Append writes the same bytes as Old, for every level, text, number, duration and time.
//
//kata:zh 对任何级别、文本、数字、时长和时间，Append 写出的字节都与 Old 相同。
func TestIdentical(t *testing.T) {
	for _, l := range append(samples(), randomLines(2000)...) {
		expectLine(t, l, l.append(nil))
	}
	// Errors that have no plain text by Error: fmt knows what to do with each.
	for _, err := range []error{
		(*pathError)(nil), &pathError{"/etc/motd"}, panicError{}, formatError{"disk full"},
		fmt.Errorf("open: %w", formatError{"disk full"}),
	} {
		l := newLine(inputs.time, inputs.level, "odd error", "err", err, "after", true)
		expectLine(t, l, l.append(nil))
	}
}

// What dst held stays in front of the line, and a dst with room is extended in place.
//
//kata:zh dst 原有的内容保留在前；dst 放得下时就地写入。
func TestExtendsDst(t *testing.T) {
	const before = "what was there before\n"
	for _, l := range samples() {
		line := string(l.append(nil))
		for _, room := range []int{0, 1, len(line) / 2, len(line) - 1, len(line), 2 * len(line)} {
			array := append(make([]byte, 0, 2*len(before)+3*len(line)), before...)
			got := l.append(array[: len(before) : len(before)+room])
			if string(got) != before+line {
				t.Fatalf("Append(%q with room for %d more bytes, …)\n got %.200q\nwant %.200q", before, room, got, before+line)
			}
			if string(array) != before {
				t.Fatalf("Append(%q, …) changed what dst held to %q", before, array)
			}
			if inPlace := &got[0] == &array[0]; room == 2*len(line) && !inPlace {
				t.Fatalf("Append(%q with room for %d more bytes, …) moved to a new array; the line has %d bytes", before, room, len(line))
			}
			if beyond := array[len(before)+room : cap(array)]; len(bytes.Trim(beyond, "\x00")) > 0 {
				t.Fatalf("Append(%q with room for %d more bytes, …) wrote beyond dst's capacity", before, room)
			}
		}
	}
}

// Append allocates nothing where dst has room for the line, be it just enough.
//
//kata:zh dst 放得下这一行时 Append 不分配内存，哪怕刚好放得下。
func TestRoom(t *testing.T) {
	for _, l := range samples() {
		size := len(l.append(nil))
		for _, room := range []int{size, size + 1, 10 * size} {
			dst := make([]byte, 16, 16+room)
			if n := testing.AllocsPerRun(10, func() { l.append(dst) }); n != 0 {
				t.Fatalf("Append into %d bytes of room allocates %v times, want 0; the line has %d bytes: %s", room, n, size, l)
			}
		}
	}
}

// Where dst has no room for the line, Append allocates once.
//
//kata:zh dst 放不下时，Append 只分配一次。
func TestOneGrowth(t *testing.T) {
	for _, l := range samples() {
		size := len(l.append(nil))
		for _, room := range []int{0, 8, size - 1} {
			dst := make([]byte, 16, 16+room)
			if n := testing.AllocsPerRun(10, func() { l.append(dst) }); n > 1 {
				t.Fatalf("Append into %d bytes of room allocates %v times, want once; the line has %d bytes: %s", room, n, size, l)
			}
		}
	}
}

// A new array has at most 64 bytes more than twice what the result needs.
//
//kata:zh 新数组的大小不超过结果长度的两倍加 64 字节。
func TestNoWaste(t *testing.T) {
	for _, l := range samples() {
		for _, held := range []int{0, 16, 300} {
			got := l.append(make([]byte, held))
			if limit := 2*len(got) + 64; cap(got) > limit {
				t.Fatalf("Append to %d bytes: the result has length %d and capacity %d, want at most %d", held, len(got), cap(got), limit)
			}
		}
	}
}

// Fields that are built in the call itself do not reach the heap either.
//
//kata:zh 在调用处当场构造的字段同样不进堆。
func TestCallSite(t *testing.T) {
	in := inputs
	dst := make([]byte, 0, 4096)
	logger := escape.NewLogger(io.Discard)
	if err := logger.Log(in.time, in.level, strings.Repeat(in.text, 100)); err != nil {
		t.Fatalf("Log(…) = %v, want nil", err)
	}
	append1 := func(f escape.Field) func() {
		ready := []escape.Field{f}
		return func() { escape.Append(dst, in.time, in.level, in.text, ready...) }
	}
	three := []escape.Field{escape.String(in.key, in.text), escape.Int(in.key, in.int), escape.Float(in.key, in.float)}
	for _, c := range []struct {
		call         string
		ready, built func()
	}{
		{"Append(dst, …, String(…))", append1(escape.String(in.key, in.text)), func() {
			escape.Append(dst, in.time, in.level, in.text, escape.String(in.key, in.text))
		}},
		{"Append(dst, …, Int(…))", append1(escape.Int(in.key, in.int)), func() {
			escape.Append(dst, in.time, in.level, in.text, escape.Int(in.key, in.int))
		}},
		{"Append(dst, …, Float(…))", append1(escape.Float(in.key, in.float)), func() {
			escape.Append(dst, in.time, in.level, in.text, escape.Float(in.key, in.float))
		}},
		{"Append(dst, …, Bool(…))", append1(escape.Bool(in.key, in.bool)), func() {
			escape.Append(dst, in.time, in.level, in.text, escape.Bool(in.key, in.bool))
		}},
		{"Append(dst, …, Duration(…))", append1(escape.Duration(in.key, in.duration)), func() {
			escape.Append(dst, in.time, in.level, in.text, escape.Duration(in.key, in.duration))
		}},
		{"Append(dst, …, Time(…))", append1(escape.Time(in.key, in.time)), func() {
			escape.Append(dst, in.time, in.level, in.text, escape.Time(in.key, in.time))
		}},
		{"Append(dst, …, Err(…))", append1(escape.Err(in.key, in.err)), func() {
			escape.Append(dst, in.time, in.level, in.text, escape.Err(in.key, in.err))
		}},
		{"Append(dst, …, String(…), Int(…), Float(…))", func() { escape.Append(dst, in.time, in.level, in.text, three...) }, func() {
			escape.Append(dst, in.time, in.level, in.text, escape.String(in.key, in.text), escape.Int(in.key, in.int), escape.Float(in.key, in.float))
		}},
		{"Log(…, String(…), Int(…), Float(…))", func() { _ = logger.Log(in.time, in.level, in.text, three...) }, func() {
			_ = logger.Log(in.time, in.level, in.text, escape.String(in.key, in.text), escape.Int(in.key, in.int), escape.Float(in.key, in.float))
		}},
	} {
		ready, built := testing.AllocsPerRun(100, c.ready), testing.AllocsPerRun(100, c.built)
		if built > ready {
			t.Fatalf("%s allocates %v times, and %v with fields made beforehand: what is built in the call escapes", c.call, built, ready)
		}
	}
}

// Once a Logger has written a line of the same length, Log allocates nothing.
//
//kata:zh Logger 写过同样长度的一行之后，Log 不再分配内存。
func TestLoggerSteady(t *testing.T) {
	for _, l := range samples() {
		logger := escape.NewLogger(io.Discard)
		if n := testing.AllocsPerRun(10, func() { _ = l.log(logger) }); n != 0 { // has one run to warm up
			t.Fatalf("Log allocates %v times a line, want 0: %s", n, l)
		}
	}
}

// Log hands each whole line to the writer in one Write, and returns the writer's error.
//
//kata:zh Log 每行只调用一次 Write，写出整行，并返回 writer 的错误。
func TestLoggerWrites(t *testing.T) {
	w := &writer{}
	logger := escape.NewLogger(w)
	for _, l := range samples() {
		w.writes = nil
		if err := l.log(logger); err != nil {
			t.Fatalf("Log(…) = %v, want nil: %s", err, l)
		}
		if len(w.writes) != 1 {
			t.Fatalf("Log called Write %d times, want once: %q", len(w.writes), w.writes)
		}
		if got, want := string(w.writes[0]), string(l.append(nil)); got != want {
			t.Fatalf("Log(…) after other lines wrote\n     %.200q\nwant %.200q, as from Append(nil, …)", got, want)
		}
	}
	w.err = errors.New("disk full")
	l := samples()[0]
	if err := l.log(logger); !errors.Is(err, w.err) {
		t.Errorf("Log(…), the writer fails with %q: got error %v", w.err, err)
	}
	w.writes, w.err = nil, nil
	if err := l.log(logger); err != nil || len(w.writes) != 1 {
		t.Fatalf("Log(…) after a failed one: %d writes, error %v; want 1 write, error nil", len(w.writes), err)
	}
	if got, want := string(w.writes[0]), string(l.append(nil)); got != want {
		t.Fatalf("Log(…) after a failed one wrote\n     %.200q\nwant %.200q, as from Append(nil, …)", got, want)
	}
}

// Append, and Loggers of their own, may be used by several goroutines at once.
//
//kata:zh 多个 goroutine 可以同时调用 Append，也可以各用各的 Logger。
func TestConcurrent(t *testing.T) {
	// Two goroutines format long lines, at the same time for as long as both have lines left, and then some:
	// each goes on until both have done their share. What they share by mistake is mixed up. Many fields, so that
	// a goroutine that is interrupted has nearly always written what the other one overwrites.
	const share = 40
	var left [2]atomic.Int64
	var group sync.WaitGroup
	for i, letter := range []string{"a", "b"} {
		left[i].Store(share)
		fields := slices.Repeat([]any{letter, strings.Repeat(letter, 400)}, 200)
		l := newLine(inputs.time, inputs.level, letter, fields...)
		alone := string(l.append(nil))
		group.Go(func() {
			w := &writer{}
			logger := escape.NewLogger(w)
			dst := make([]byte, 0, len(alone))
			for left[0].Load() > 0 || left[1].Load() > 0 {
				dst = l.append(dst[:0])
				w.writes = nil
				_ = l.log(logger)
				if string(dst) != alone || string(bytes.Join(w.writes, nil)) != alone {
					t.Errorf("two goroutines call Append and Log, each on a Logger of its own: a line is not what one goroutine alone gets")
					left[0].Store(0)
					left[1].Store(0)
					return
				}
				left[i].Add(-1)
			}
		})
	}
	group.Wait()
}

// inputs are variables, so that no compiler can see their values.
var inputs = struct {
	time     time.Time
	level    escape.Level
	key      string
	text     string
	int      int64
	float    float64
	bool     bool
	duration time.Duration
	err      error
}{
	time.Date(2026, 3, 29, 1, 59, 59, 123456789, time.FixedZone("CET", 3600)), escape.Warn,
	strings.Repeat("k", 3), strings.Repeat("slow query ", 3), 123456789, 0.1234567, true, 1500 * time.Microsecond,
	errors.New("connection reset by peer"),
}

// line is a call of Append, what Old returns for it and how it reads in a message.
type line struct {
	time   time.Time
	level  escape.Level
	msg    string
	fields []escape.Field
	want   string
	text   string
}

func (l line) append(dst []byte) []byte {
	return escape.Append(dst, l.time, l.level, l.msg, l.fields...)
}

func (l line) log(logger *escape.Logger) error {
	return logger.Log(l.time, l.level, l.msg, l.fields...)
}

func (l line) String() string { return l.text }

// newLine makes a line; the values become fields by their type.
func newLine(t time.Time, level escape.Level, msg string, keysAndValues ...any) line {
	l := line{time: t, level: level, msg: msg, want: escape.Old(t, level, msg, keysAndValues...)}
	l.text = fmt.Sprintf("Append(dst, %s, Level(%d), %.40q", t.Format(time.RFC3339Nano), level, msg)
	for i := 0; i < len(keysAndValues); i += 2 {
		key, value := keysAndValues[i].(string), keysAndValues[i+1]
		var f escape.Field
		name := fmt.Sprintf("%T", value)
		switch v := value.(type) {
		case string:
			f, name = escape.String(key, v), "String"
		case int64:
			f, name = escape.Int(key, v), "Int"
		case float64:
			f, name = escape.Float(key, v), "Float"
		case bool:
			f, name = escape.Bool(key, v), "Bool"
		case time.Duration:
			f, name = escape.Duration(key, v), "Duration"
		case time.Time:
			f, name = escape.Time(key, v), "Time"
		case error:
			f, name = escape.Err(key, v), "Err"
		case nil:
			f, name = escape.Err(key, nil), "Err"
		default:
			panic("the suite has no field for a " + name)
		}
		l.fields = append(l.fields, f)
		if i < 8 {
			l.text += fmt.Sprintf(", %s(%q, %.40q)", name, key, fmt.Sprint(value))
		}
	}
	l.text += ")"
	return l
}

func samples() []line {
	in := inputs
	zone := time.FixedZone("", -(3*3600 + 30*60))
	lines := []line{
		newLine(in.time, escape.Info, "started"),
		newLine(in.time, escape.Error, in.text, "n", in.int, "ok", in.bool, "ratio", in.float, "took", in.duration, "at", in.time, "err", in.err, "path", in.text),
		newLine(time.Unix(1e9, 0), escape.Debug, "", "empty", "", "nil", nil, "false", false),
		newLine(time.Time{}, escape.Warn, "zero time", "at", time.Time{}, "old", time.Date(1066, 10, 14, 9, 0, 0, 1, zone), "far", time.Date(9999, 12, 31, 23, 59, 59, 999999999, zone)),
		newLine(time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC), escape.Warn, "beyond year 9999"),
		newLine(in.time, escape.Level(7), "level without a name"),
		newLine(in.time, escape.Level(-128), "level below all names"),
		newLine(in.time, escape.Info, "max", "max", int64(math.MaxInt64), "min", int64(math.MinInt64), "zero", int64(0)),
		newLine(in.time, escape.Info, "plain", "err", errors.New(""), "multi", errors.New("first\nsecond")),
		newLine(in.time, escape.Info, strings.Repeat("a long message of many words ", 100), "long", strings.Repeat("x", 5000)),
		newLine(in.time, escape.Info, strings.Repeat("\x00\xff", 400), "quoted", strings.Repeat("\"\\\n\u200b\U000e0001", 200)),
	}
	for _, f := range []float64{0, math.Copysign(0, -1), 1, -1.5, 1e20, 1e21, 1e22, 1e6, 123456789, 1e-4, 1e-5, math.Pi, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1), math.NaN()} {
		lines = append(lines, newLine(in.time, escape.Info, "float", "value", f))
	}
	for _, d := range []time.Duration{0, 1, -1, time.Microsecond, 1500 * time.Microsecond, time.Second, 90 * time.Minute, -time.Hour, math.MaxInt64, math.MinInt64} {
		lines = append(lines, newLine(in.time, escape.Info, "duration", "value", d))
	}
	for _, s := range []string{"a b", "a=b", `say "hi"`, `back\slash`, "tab\t", "line\nbreak", "\x7f", "\xff", "a\xc3", "日本語", "日本 語", "\ufffd", "\u200b", "\u00a0", "é", "😀", "\U000e0001", "\u2028", "<nil>", "-", "'"} {
		lines = append(lines, newLine(in.time, escape.Info, s, "value", s, "err", errors.New(s)))
	}
	for _, key := range []string{"", "a b", "k=v", `"q"`, `back\slash`, "ключ\n", "\xff"} {
		lines = append(lines, newLine(in.time, escape.Info, "key", key, in.text, "", nil))
	}
	many := []any{}
	for i := range 60 {
		many = append(many, fmt.Sprint("key", i), int64(i)*in.int)
	}
	return append(lines, newLine(in.time, escape.Info, "many fields", many...))
}

// randomLines returns n lines that are the same on every run.
func randomLines(n int) []line {
	r := rand.New(rand.NewPCG(1, 2))
	alphabet := []rune("abcXYZ019 =\"\\\n\t\x00\x7f-_.,éß日本😀\u200b\ufffd\u00a0")
	text := func() string {
		var b []byte
		for range r.IntN(20) {
			if r.IntN(20) == 0 {
				b = append(b, byte(r.IntN(256))) // often no valid UTF-8
			} else {
				b = append(b, string(alphabet[r.IntN(len(alphabet))])...)
			}
		}
		return string(b)
	}
	instant := func() time.Time {
		zone := time.FixedZone("", (r.IntN(29*4)-14*4)*15*60)
		return time.Unix(r.Int64N(1e11)-2e10, r.Int64N(1e9)).In(zone)
	}
	value := func() any {
		switch r.IntN(8) {
		case 0:
			return text()
		case 1:
			return int64(r.Uint64()) >> r.IntN(64)
		case 2:
			return math.Float64frombits(r.Uint64())
		case 3:
			return float64(r.IntN(1e6)) / 100
		case 4:
			return r.IntN(2) == 0
		case 5:
			return time.Duration(r.Uint64()) >> r.IntN(64)
		case 6:
			return instant()
		default:
			return errors.New(text())
		}
	}
	lines := make([]line, n)
	for i := range lines {
		var kv []any
		for range r.IntN(5) {
			kv = append(kv, fmt.Sprint("k", r.IntN(10)), value())
		}
		lines[i] = newLine(instant(), escape.Level(r.IntN(6)-1), text(), kv...)
	}
	return lines
}

func expectLine(t *testing.T, l line, got []byte) {
	t.Helper()
	if string(got) == l.want {
		return
	}
	// Only the place where they part is worth reading in a long line.
	i := 0
	for i < len(got) && i < len(l.want) && got[i] == l.want[i] {
		i++
	}
	from := max(0, i-40)
	t.Fatalf("%s\ndiffers from Old at byte %d:\n got …%.100q\nwant …%.100q", l, i, got[from:], l.want[from:])
}

// pathError reads its receiver: on a nil pointer, Error panics.
type pathError struct{ path string }

func (e *pathError) Error() string { return "no such file: " + e.path }

type panicError struct{}

func (panicError) Error() string { panic("no text for this one") }

// formatError has another text for package fmt.
type formatError struct{ text string }

func (e formatError) Error() string                 { return e.text }
func (e formatError) Format(s fmt.State, verb rune) { fmt.Fprintf(s, "%%%c of %s", verb, e.text) }

// writer keeps a copy of every Write, and fails if it has an error.
type writer struct {
	writes [][]byte
	err    error
}

func (w *writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return len(p) / 2, w.err
	}
	w.writes = append(w.writes, bytes.Clone(p))
	return len(p), nil
}
