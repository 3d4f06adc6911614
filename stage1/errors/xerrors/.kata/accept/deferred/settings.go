// Adds the layers in deferred calls, and writes a place down as text at once.
package settings

import (
	"errors"
	"fmt"
	"io"
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
func Load(fsys fs.FS, name string) (f *File, err error) {
	defer trace(&err, "load %q", name)
	file, err := fsys.Open(name)
	if err != nil {
		return nil, hide(err)
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	if err != nil {
		return nil, hide(err)
	}
	return Parse(string(data))
}

// hide turns an error of the file system into one that says the same and is nothing.
func hide(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotFound
	}
	return hidden{fmt.Sprintf("%v", err), fmt.Sprintf("%+v", err)}
}

// Parse reads lines of the form key = value.
func Parse(text string) (f *File, err error) {
	defer trace(&err, "parse")
	f = &File{values: map[string]string{}}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		key, value, ok := strings.Cut(line, "=")
		key = strings.TrimSpace(key)
		switch {
		case line == "" || line[0] == '#':
		case !ok || key == "":
			return nil, &SyntaxError{i + 1, line}
		default:
			f.values[key] = strings.TrimSpace(value)
		}
	}
	return f, nil
}

// Get returns the value of key.
func (f *File) Get(key string) (value string, err error) {
	defer trace(&err, "get %q", key)
	if value, ok := f.values[key]; ok {
		return value, nil
	}
	return "", ErrNotFound
}

// Int returns the value of key as a decimal number.
func (f *File) Int(key string) (n int, err error) {
	defer trace(&err, "int %q", key)
	value, err := f.Get(key)
	if err != nil {
		return 0, err
	}
	n, err = strconv.Atoi(value)
	if err != nil {
		return 0, err
	}
	return n, nil
}

// Decode hands the value of key to decode.
func (f *File) Decode(key string, decode func(value string) error) (err error) {
	defer trace(&err, "decode %q", key)
	value, err := f.Get(key)
	if err != nil {
		return err
	}
	return decode(value)
}

// trace adds a layer to *err if there is an error. The frame above a deferred
// call is the function that is about to return.
func trace(err *error, format string, args ...any) {
	if *err == nil {
		return
	}
	pc, file, line, _ := runtime.Caller(1)
	*err = traced{
		fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), *err),
		fmt.Sprintf(format+"\n    at %s\n    in %s:%d\ncaused by ", append(args, runtime.FuncForPC(pc).Name(), file, line)...),
	}
}

// traced is a plain wrapped error with one more text.
type traced struct {
	error
	detail string
}

func (t traced) Unwrap() error { return errors.Unwrap(t.error) }

// Format writes the detail of this error and of all below.
func (t traced) Format(s fmt.State, verb rune) {
	if s.Flag('+') && verb == 'v' {
		_, _ = io.WriteString(s, t.detail)
		fmt.Fprintf(s, "%+v", t.Unwrap())
		return
	}
	fmt.Fprintf(s, fmt.FormatString(s, verb), t.Error())
}

// hidden is an error of somebody else's, by its texts.
type hidden struct{ text, detail string }

func (h hidden) Error() string { return h.text }

// Format writes the text, or the detail for %+v.
func (h hidden) Format(s fmt.State, verb rune) {
	text := h.text
	if s.Flag('+') && verb == 'v' {
		text = h.detail
	}
	fmt.Fprintf(s, fmt.FormatString(s, verb), text)
}
