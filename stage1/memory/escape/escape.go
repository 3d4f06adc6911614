// Package escape formats log lines without leaving anything for the garbage collector.
package escape

import (
	"io"
	"time"
)

// Field is a key with a value of one of a few types.
type Field struct {
	// TODO: the key, and room for every type of value
}

// String returns a field with a text.
func String(key, value string) Field {
	panic("TODO: keep the key and the value")
}

// Int returns a field with an integer.
func Int(key string, value int64) Field {
	panic("TODO: keep the key and the value")
}

// Float returns a field with a floating-point number.
func Float(key string, value float64) Field {
	panic("TODO: keep the key and the value")
}

// Bool returns a field with a truth value.
func Bool(key string, value bool) Field {
	panic("TODO: keep the key and the value")
}

// Duration returns a field with a length of time.
func Duration(key string, value time.Duration) Field {
	panic("TODO: keep the key and the value")
}

// Time returns a field with a point in time.
func Time(key string, value time.Time) Field {
	panic("TODO: keep the key and the value")
}

// Err returns a field with an error, which may be nil.
func Err(key string, value error) Field {
	panic("TODO: keep the key and the value")
}

// Append appends the line that Old returns for the same arguments to dst and returns the extended slice.
// It allocates nothing if dst has room for the line, and otherwise one array, no larger than the contract allows.
func Append(dst []byte, t time.Time, level Level, msg string, fields ...Field) []byte {
	panic("TODO: format the line")
}

// Logger writes lines to a writer, each by one call of Write. It is for one goroutine.
type Logger struct {
	// TODO: the writer, and what makes Log free of allocations
}

// NewLogger returns a logger that writes to w.
func NewLogger(w io.Writer) *Logger {
	panic("TODO: keep the writer")
}

// Log writes the line that Old returns for the same arguments, and returns the writer's error.
func (l *Logger) Log(t time.Time, level Level, msg string, fields ...Field) error {
	panic("TODO: format the line, write it once")
}
