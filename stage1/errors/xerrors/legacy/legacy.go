// Package legacy is package settings as it was written in 2019, on
// golang.org/x/xerrors. Half of the company still uses it. The exported errors
// have moved to the new package already; here are the old names for them.
package legacy

import (
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/xerrors"

	settings "github.com/roadkata/roadkata/stage1/errors/xerrors"
)

// ErrNotFound is the sentinel of both packages.
var ErrNotFound = settings.ErrNotFound

// SyntaxError is the type of both packages.
type SyntaxError = settings.SyntaxError

// File is a set of settings.
type File struct {
	values map[string]string
}

// Load reads a file. What the file system has to say is hidden from callers:
// they are not to depend on it.
func Load(fsys fs.FS, name string) (*File, error) {
	data, err := fs.ReadFile(fsys, name)
	if xerrors.Is(err, fs.ErrNotExist) {
		return nil, xerrors.Errorf("load %q: %w", name, ErrNotFound)
	}
	if err != nil {
		return nil, xerrors.Errorf("load %q: %w", name, xerrors.Opaque(err))
	}
	f, err := Parse(string(data))
	if err != nil {
		return nil, xerrors.Errorf("load %q: %w", name, err)
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
			return nil, xerrors.Errorf("parse: %w", &SyntaxError{Line: n, Text: line})
		}
		f.values[key] = strings.TrimSpace(value)
	}
	return f, nil
}

// Get returns the value of key.
func (f *File) Get(key string) (string, error) {
	value, ok := f.values[key]
	if !ok {
		return "", xerrors.Errorf("get %q: %w", key, ErrNotFound)
	}
	return value, nil
}

// Int returns the value of key as a number.
func (f *File) Int(key string) (int, error) {
	value, err := f.Get(key)
	if err != nil {
		return 0, xerrors.Errorf("int %q: %w", key, err)
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0, xerrors.Errorf("int %q: %w", key, err)
	}
	return n, nil
}

// Decode hands the value of key to decode.
func (f *File) Decode(key string, decode func(value string) error) error {
	value, err := f.Get(key)
	if err != nil {
		return xerrors.Errorf("decode %q: %w", key, err)
	}
	if err := decode(value); err != nil {
		return xerrors.Errorf("decode %q: %w", key, err)
	}
	return nil
}
