// Package settings reads files of settings. It is package legacy without
// golang.org/x/xerrors.
package settings

import (
	"errors"
	"io/fs"
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
	panic("TODO: the line and its text")
}

// File is a set of settings.
type File struct {
	values map[string]string
}

// Load reads the file name of fsys and parses it.
func Load(fsys fs.FS, name string) (*File, error) {
	panic("TODO: as in package legacy")
}

// Parse reads lines of the form key = value.
func Parse(text string) (*File, error) {
	panic("TODO: as in package legacy")
}

// Get returns the value of key.
func (f *File) Get(key string) (string, error) {
	panic("TODO: as in package legacy")
}

// Int returns the value of key as a decimal number.
func (f *File) Int(key string) (int, error) {
	panic("TODO: as in package legacy")
}

// Decode hands the value of key to decode.
func (f *File) Decode(key string, decode func(value string) error) error {
	panic("TODO: as in package legacy")
}
