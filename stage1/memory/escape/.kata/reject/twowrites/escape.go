// Writes the line and its end apart: another process that appends to the same file can come between.
//
//kata:caught-by TestLoggerWrites
package escape

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

type kind uint8

const (
	stringKind kind = iota
	intKind
	floatKind
	boolKind
	durationKind
	timeKind
)

// Field is a key with a value of one of a few types. It is a union by hand: an any would
// box every number, and pointers are what the collector has to follow.
type Field struct {
	key  string
	kind kind
	num  uint64 // the bits of an int, a float, a bool or a duration
	str  string
	time time.Time // kept whole: nanoseconds in an int64 reach from 1678 to 2262 only
}

// String returns a field with a text.
func String(key, value string) Field {
	return Field{key: key, kind: stringKind, str: value}
}

// Int returns a field with an integer.
func Int(key string, value int64) Field {
	return Field{key: key, kind: intKind, num: uint64(value)}
}

// Float returns a field with a floating-point number.
func Float(key string, value float64) Field {
	return Field{key: key, kind: floatKind, num: math.Float64bits(value)}
}

// Bool returns a field with a truth value.
func Bool(key string, value bool) Field {
	f := Field{key: key, kind: boolKind}
	if value {
		f.num = 1
	}
	return f
}

// Duration returns a field with a length of time.
func Duration(key string, value time.Duration) Field {
	return Field{key: key, kind: durationKind, num: uint64(value)}
}

// Time returns a field with a point in time.
func Time(key string, value time.Time) Field {
	return Field{key: key, kind: timeKind, time: value}
}

// Err returns a field with an error, which may be nil.
// The text is taken here: a call through an interface in Append would make its fields escape.
func Err(key string, value error) Field {
	if value == nil {
		return String(key, "<nil>")
	}
	return String(key, errorText(value))
}

// errorText returns what fmt.Sprint makes of err, without its cost where it is the plain text of Error.
func errorText(err error) (s string) {
	if _, ok := err.(fmt.Formatter); ok {
		return fmt.Sprint(err)
	}
	defer func() {
		if recover() != nil { // a nil pointer as receiver, most of the time; fmt has words for it
			s = fmt.Sprint(err)
		}
	}()
	return err.Error()
}

// Append appends the line that Old returns for the same arguments to dst and returns the extended slice.
// It allocates nothing if dst has room for the line, and otherwise one array, no larger than the contract allows.
func Append(dst []byte, t time.Time, level Level, msg string, fields ...Field) []byte {
	l := line{buf: dst, size: len(dst)}
	l.write(t, level, msg, fields)
	if l.size > len(l.buf) {
		// Now that the size is known, one array will do. What is in the spare room is written again.
		l = line{buf: make([]byte, len(dst), l.size), size: len(dst)}
		copy(l.buf[:len(dst)], dst)
		l.write(t, level, msg, fields)
	}
	return l.buf
}

// line is a buffer that never grows: it takes what fits and counts the rest. So one piece
// of code both measures and writes, and the two cannot come apart. It is a plain struct and not
// an interface with two implementations, for what is passed to a method of an interface escapes.
type line struct {
	buf  []byte
	size int // what len(buf) would be if everything had fitted
}

func (l *line) put(p []byte) {
	l.size += len(p)
	if l.size <= cap(l.buf) {
		l.buf = append(l.buf, p...)
	}
}

func (l *line) puts(s string) {
	l.size += len(s)
	if l.size <= cap(l.buf) {
		l.buf = append(l.buf, s...)
	}
}

func (l *line) write(t time.Time, level Level, msg string, fields []Field) {
	l.puts("time=")
	l.time(t)
	l.puts(" level=")
	l.level(level)
	l.puts(" msg=")
	l.text(msg)
	for i := range fields {
		l.puts(" ")
		l.puts(fields[i].key)
		l.puts("=")
		l.value(&fields[i])
	}
	l.puts("\n")
}

func (l *line) value(f *Field) {
	var scratch [32]byte // stays on the stack: strconv's Append functions return it, and keep nothing
	switch f.kind {
	case stringKind:
		l.text(f.str)
	case intKind:
		l.put(strconv.AppendInt(scratch[:0], int64(f.num), 10))
	case floatKind:
		l.put(strconv.AppendFloat(scratch[:0], math.Float64frombits(f.num), 'g', -1, 64))
	case boolKind:
		l.put(strconv.AppendBool(scratch[:0], f.num == 1))
	case durationKind:
		l.puts(time.Duration(f.num).String()) // inlined, its string never leaves this frame
	case timeKind:
		l.time(f.time)
	}
}

func (l *line) time(t time.Time) {
	var scratch [64]byte
	l.put(t.UTC().AppendFormat(scratch[:0], time.RFC3339Nano))
}

func (l *line) level(level Level) {
	if level >= Debug && level <= Error {
		l.puts(level.String())
		return
	}
	var scratch [8]byte
	l.puts("LEVEL(")
	l.put(strconv.AppendInt(scratch[:0], int64(level), 10))
	l.puts(")")
}

func (l *line) text(s string) {
	if s != "" && !strings.ContainsFunc(s, special) {
		l.puts(s)
		return
	}
	l.puts(`"`)
	for len(s) > 0 {
		_, n := utf8.DecodeRuneInString(s)
		var scratch [16]byte
		quoted := strconv.AppendQuote(scratch[:0], s[:n])
		l.put(quoted[1 : len(quoted)-1])
		s = s[n:]
	}
	l.puts(`"`)
}

// Logger writes lines to a writer, each by one call of Write. It is for one goroutine.
type Logger struct {
	w io.Writer
	// buf is passed to an interface and so lives on the heap; kept here, it does so once.
	buf []byte
}

// NewLogger returns a logger that writes to w.
func NewLogger(w io.Writer) *Logger {
	return &Logger{w: w}
}

// Log writes the line that Old returns for the same arguments, and returns the writer's error.
func (l *Logger) Log(t time.Time, level Level, msg string, fields ...Field) error {
	l.buf = Append(l.buf[:0], t, level, msg, fields...)
	if _, err := l.w.Write(l.buf[:len(l.buf)-1]); err != nil {
		return err
	}
	_, err := l.w.Write(l.buf[len(l.buf)-1:])
	return err
}
