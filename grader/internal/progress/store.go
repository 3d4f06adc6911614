// Package progress remembers, in .grader/progress.json at the workspace's root,
// what a learner has passed and how many hints that took.
//
// Several graders may work at once: whoever writes takes the lock, reads what is
// there, changes only what it has to say and replaces the file in one step. The
// package never loses a field that it does not know, and never fails a command:
// what it cannot keep, it reports as an error that the caller shows as a warning.
package progress

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// DirName is the folder at the workspace's root that holds all that the grader keeps.
const DirName = ".grader"

// Store is the progress of one workspace.
type Store struct {
	dir string
}

// At returns the store of the workspace at root. It touches nothing.
func At(root string) *Store { return &Store{dir: filepath.Join(root, DirName)} }

// Dir is the folder that the store lies in.
func (s *Store) Dir() string { return s.dir }

// Exists reports whether anything has been kept yet.
func (s *Store) Exists() bool {
	_, err := os.Stat(s.file())
	return err == nil
}

// DamagedError says that progress.json could not be read and has been replaced
// by what could be saved of it.
type DamagedError struct {
	Kept  string // where the damaged file is now
	Saved int    // entries that were saved
	Err   error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("progress.json was damaged (%v); %d entries were saved, the damaged file is kept as %s", e.Err, e.Saved, e.Kept)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// NewerError says that a newer grader wrote progress.json; it is left alone.
type NewerError struct{ File string }

func (e *NewerError) Error() string {
	return e.File + " was written by a newer grader; update this one, until then it records nothing"
}

// Load returns the progress. The state is never nil; an error beside it is a
// warning.
func (s *Store) Load() (*State, error) {
	if !s.Exists() {
		return &State{}, nil
	}
	unlock := s.lock()
	defer unlock()
	return s.read()
}

// Update applies change to the progress as it is now and writes it back. The
// error is a warning: the command's own work stands without it.
func (s *Store) Update(change func(*State)) error {
	err := s.makeDir()
	unlock := s.lock()
	defer unlock()
	state, damage := s.read()
	change(state)
	if newer := (*NewerError)(nil); errors.As(damage, &newer) {
		return damage
	}
	if err == nil {
		err = s.write(state)
	}
	if err != nil {
		err = fmt.Errorf("keep the progress: %w", err)
	}
	return errors.Join(damage, err)
}

func (s *Store) write(state *State) error {
	data, err := state.encode()
	if err != nil {
		return err
	}
	return replaceFile(s.file(), data, 0o644)
}

func (s *Store) file() string { return filepath.Join(s.dir, "progress.json") }

// makeDir creates .grader with a .gitignore of its own: not every workspace
// comes with one that names it.
func (s *Store) makeDir() error {
	if err := os.MkdirAll(s.dir, 0o777); err != nil {
		return err
	}
	ignore := filepath.Join(s.dir, ".gitignore")
	if _, err := os.Stat(ignore); errors.Is(err, fs.ErrNotExist) {
		return os.WriteFile(ignore, []byte("*\n"), 0o666)
	}
	return nil
}

// lock keeps other graders out. Where a file system knows no locks, or nothing
// can be written, we go on without: the file is still replaced in one step.
func (s *Store) lock() (unlock func()) {
	unlock, err := lockedfile.MutexAt(filepath.Join(s.dir, "lock")).Lock()
	if err != nil {
		return func() {}
	}
	return unlock
}

// read reads the file; a damaged one is put aside and replaced by what was saved.
func (s *Store) read() (*State, error) {
	data, err := os.ReadFile(s.file())
	if errors.Is(err, fs.ErrNotExist) {
		return &State{}, nil
	}
	if err != nil {
		return &State{}, fmt.Errorf("read the progress: %w", err)
	}
	state, err := decode(data)
	switch {
	case err == nil:
		return state, nil
	case errors.Is(err, errNewer):
		return state, &NewerError{File: s.file()}
	}
	damage := &DamagedError{Saved: len(state.katas), Err: err}
	damage.Kept, err = putAside(s.file())
	if err != nil {
		damage.Kept = s.file()
		return state, damage
	}
	_ = s.write(state) // a disk that refuses this will refuse the next write, too
	return state, damage
}

// putAside renames file to a free name ending in .damaged.
func putAside(file string) (string, error) {
	aside := file + ".damaged"
	for n := 2; ; n++ {
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			return aside, os.Rename(file, aside)
		}
		aside = fmt.Sprintf("%s.%d.damaged", file, n)
	}
}

// replaceFile writes data beside file and renames it: a reader sees the old
// text or the new one.
func replaceFile(file string, data []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails once it has been renamed
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Chmod(mode)
	}
	if err == nil {
		err = tmp.Sync() // a rename may reach the disk before the text does
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}
