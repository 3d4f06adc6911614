// Looks for the # before the space is taken off: an indented note is no setting.
//
//kata:caught-by TestValues
package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strconv"
	"strings"
)

// ErrNotFound is a file or a key that is not there.
var ErrNotFound = errors.New("not found")

// SyntaxError is a line that is no setting.
type SyntaxError struct {
	Line int    // counted from 1
	Text string // the line without the space around it
}

// Error returns, for example, `line 3: no setting: "oops"`, quoted as by %q.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d: no setting: %q", e.Line, e.Text)
}

// File is a set of settings.
type File struct {
	values map[string]string
}

// Load reads the file name of fsys and parses it.
func Load(fsys fs.FS, name string) (*File, error) {
	data, err := fs.ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, wrap(ErrNotFound, "load %q", name)
	}
	if err != nil {
		return nil, wrap(&opaque{err}, "load %q", name)
	}
	f, err := Parse(string(data))
	if err != nil {
		return nil, wrap(err, "load %q", name)
	}
	return f, nil
}

// Parse reads lines of the form key = value.
func Parse(text string) (*File, error) {
	f := &File{values: make(map[string]string)}
	n := 0
	for line := range strings.Lines(text) {
		n++
		comment := strings.HasPrefix(line, "#")
		line = strings.TrimSpace(line)
		if line == "" || comment {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if key = strings.TrimSpace(key); !ok || key == "" {
			return nil, wrap(&SyntaxError{Line: n, Text: line}, "parse")
		}
		f.values[key] = strings.TrimSpace(value)
	}
	return f, nil
}

// Get returns the value of key.
func (f *File) Get(key string) (string, error) {
	value, ok := f.values[key]
	if !ok {
		return "", wrap(ErrNotFound, "get %q", key)
	}
	return value, nil
}

// Int returns the value of key as a decimal number.
func (f *File) Int(key string) (int, error) {
	value, err := f.Get(key)
	if err != nil {
		return 0, wrap(err, "int %q", key)
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0, wrap(err, "int %q", key)
	}
	return n, nil
}

// Decode hands the value of key to decode.
func (f *File) Decode(key string, decode func(value string) error) error {
	value, err := f.Get(key)
	if err != nil {
		return wrap(err, "decode %q", key)
	}
	if err := decode(value); err != nil {
		return wrap(err, "decode %q", key)
	}
	return nil
}

// A layer says what was being done when err came up, and where in the code.
// fmt.Errorf does the former only.
type layer struct {
	text string
	err  error
	pc   [1]uintptr // resolved when printed: most errors never are
}

// wrap adds a layer to err, placed at the caller of wrap.
func wrap(err error, format string, args ...any) error {
	l := &layer{text: fmt.Sprintf(format, args...), err: err}
	runtime.Callers(2, l.pc[:])
	return l
}

func (l *layer) Error() string { return l.text + ": " + l.err.Error() }

func (l *layer) Unwrap() error { return l.err }

// Format prints the place with %+v only. The next error prints its own detail,
// whatever its style: all that xerrors makes is a fmt.Formatter, too.
func (l *layer) Format(s fmt.State, verb rune) {
	if verb != 'v' || !s.Flag('+') {
		fmt.Fprintf(s, fmt.FormatString(s, verb), l.Error())
		return
	}
	frame, _ := runtime.CallersFrames(l.pc[:]).Next()
	fmt.Fprintf(s, "%s:\n    %s\n        %s:%d\n  - %+v", l.text, frame.Function, frame.File, frame.Line, l.err)
}

// opaque keeps the text and the detail of err and ends the chain. It does not
// embed err: that would promote Unwrap, Is and As of a concrete type.
type opaque struct {
	err error
}

func (o *opaque) Error() string { return o.err.Error() }

func (o *opaque) Format(s fmt.State, verb rune) {
	fmt.Fprintf(s, fmt.FormatString(s, verb), o.err)
}
