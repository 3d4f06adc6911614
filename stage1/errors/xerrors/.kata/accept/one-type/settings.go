// Has one type for everything: kind says whether what is inside may be seen.
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
		return nil, wrap(hide(err), "load %q", name)
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
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
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

// A node is a step of a trace: with a place if it was added by this package,
// without a text if it only hides another error.
type node struct {
	text   string
	place  runtime.Frame
	hidden error
	shown  error
}

func hide(err error) error { return &node{hidden: err} }

func wrap(err error, format string, args ...any) error {
	stack := make([]uintptr, 8)
	frames := runtime.CallersFrames(stack[:runtime.Callers(1, stack)])
	n := &node{text: fmt.Sprintf(format, args...), shown: err}
	frames.Next() // wrap itself
	n.place, _ = frames.Next()
	return n
}

// Unwrap returns what is not hidden.
func (n *node) Unwrap() error { return n.shown }

func (n *node) Error() string {
	if n.hidden != nil {
		return n.hidden.Error()
	}
	return strings.Join([]string{n.text, n.shown.Error()}, ": ")
}

// Format is that of the text, but for %+v.
func (n *node) Format(s fmt.State, verb rune) {
	switch detailed := verb == 'v' && s.Flag('+'); {
	case detailed && n.hidden != nil:
		fmt.Fprintf(s, "%+v", n.hidden)
	case detailed:
		fmt.Fprintf(s, "%s [%s %s:%d]\n%+v", n.text, n.place.Function, n.place.File, n.place.Line, n.shown)
	default:
		fmt.Fprintf(s, fmt.FormatString(s, verb), n.Error())
	}
}
