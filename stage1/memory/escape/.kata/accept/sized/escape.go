// Package escape computes the exact size of a line first, grows once by package slices, and then appends freely.
package escape

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Field is a key with a value: in int, if how says so, or else in the slot of its type.
type Field struct {
	key   string
	how   byte // 's', 'i', 'f', 'b', 'd', 't' or 'e'
	str   string
	int   int64
	float float64
	time  time.Time
	err   error
}

// String returns a field with a text.
func String(key, value string) Field { return Field{key: key, how: 's', str: value} }

// Int returns a field with an integer.
func Int(key string, value int64) Field { return Field{key: key, how: 'i', int: value} }

// Float returns a field with a floating-point number.
func Float(key string, value float64) Field { return Field{key: key, how: 'f', float: value} }

// Bool returns a field with a truth value.
func Bool(key string, value bool) Field {
	if value {
		return Field{key: key, how: 'b', int: 1}
	}
	return Field{key: key, how: 'b'}
}

// Duration returns a field with a length of time.
func Duration(key string, value time.Duration) Field {
	return Field{key: key, how: 'd', int: int64(value)}
}

// Time returns a field with a point in time.
func Time(key string, value time.Time) Field { return Field{key: key, how: 't', time: value} }

// Err returns a field with an error, which may be nil. It is in a slot of its own: that the error escapes, through the
// call of its method, makes no number escape.
func Err(key string, value error) Field { return Field{key: key, how: 'e', err: value} }

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

// Append appends a line to dst.
func Append(dst []byte, t time.Time, level Level, msg string, fields ...Field) []byte {
	var scratch [64]byte
	size := len("time= level= msg=\n") + len(appendTime(scratch[:0], t)) + len(appendLevel(scratch[:0], level)) + textSize(msg)
	for _, f := range fields {
		size += len(" =") + len(f.key)
		switch f.how {
		case 's':
			size += textSize(f.str)
		case 'e':
			size += textSize(f.errorText())
		default:
			size += len(f.appendNumber(scratch[:0]))
		}
	}
	dst = slices.Grow(dst, size)

	dst = append(dst, "time="...)
	dst = appendTime(dst, t)
	dst = append(dst, " level="...)
	dst = appendLevel(dst, level)
	dst = append(dst, " msg="...)
	dst = appendText(dst, msg)
	for _, f := range fields {
		dst = append(dst, ' ')
		dst = append(dst, f.key...)
		dst = append(dst, '=')
		switch f.how {
		case 's':
			dst = appendText(dst, f.str)
		case 'e':
			dst = appendText(dst, f.errorText())
		default:
			dst = f.appendNumber(dst)
		}
	}
	return append(dst, '\n')
}

func (f Field) errorText() string {
	if f.err == nil {
		return "<nil>"
	}
	return errorText(f.err)
}

func (f Field) appendNumber(dst []byte) []byte {
	switch f.how {
	case 'i':
		return strconv.AppendInt(dst, f.int, 10)
	case 'f':
		return strconv.AppendFloat(dst, f.float, 'g', -1, 64)
	case 'b':
		return strconv.AppendBool(dst, f.int == 1)
	case 'd':
		return append(dst, time.Duration(f.int).String()...)
	default:
		return appendTime(dst, f.time)
	}
}

func appendTime(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, time.RFC3339Nano)
}

func appendLevel(dst []byte, level Level) []byte {
	switch level {
	case Debug, Info, Warn, Error:
		return append(dst, level.String()...)
	}
	dst = append(dst, "LEVEL("...)
	dst = strconv.AppendInt(dst, int64(level), 10)
	return append(dst, ')')
}

func plain(s string) bool { return s != "" && strings.IndexFunc(s, special) < 0 }

func appendText(dst []byte, s string) []byte {
	if plain(s) {
		return append(dst, s...)
	}
	return strconv.AppendQuote(dst, s)
}

func textSize(s string) int {
	if plain(s) {
		return len(s)
	}
	size := len(`""`)
	for len(s) > 0 {
		var scratch [16]byte
		_, n := utf8.DecodeRuneInString(s)
		size += len(strconv.AppendQuote(scratch[:0], s[:n])) - len(`""`)
		s = s[n:]
	}
	return size
}

// Logger writes lines to a writer.
type Logger struct {
	out  io.Writer
	line []byte
}

// NewLogger returns a logger that writes to w.
func NewLogger(w io.Writer) *Logger { return &Logger{out: w, line: make([]byte, 0, 256)} }

// Log writes a line.
func (l *Logger) Log(t time.Time, level Level, msg string, fields ...Field) error {
	l.line = Append(l.line[:0], t, level, msg, fields...)
	_, err := l.out.Write(l.line)
	return err
}
