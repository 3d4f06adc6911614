package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// follow prints the records of the file at path until ctx ends. It polls: that works on every file system, and
// rotation is a matter of names, which change notifications tell no better.
func follow(ctx context.Context, opts *options, path string, poll time.Duration) error {
	tail := &tail{path: path, out: newRecordWriter(opts.stdout), stderr: opts.stderr}
	defer tail.close()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		stopped := ctx.Err() != nil // before the last look, so that nothing written until now is missed
		if err := tail.look(); err != nil {
			return err
		}
		if err := tail.out.flush(); err != nil {
			return err
		}
		if stopped {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// tail is a file that is being followed, through its rotations.
type tail struct {
	path   string
	out    *recordWriter
	stderr io.Writer

	f     *os.File
	lines *lineReader
}

// look prints what is new, and moves on to the next file once the path leads to another one.
func (t *tail) look() error {
	for {
		if t.f == nil {
			f, err := os.Open(t.path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil // not yet
			}
			if err != nil {
				return err
			}
			t.f, t.lines = f, newLineReader(f)
		}
		rotated, err := t.rotated()
		if err != nil {
			return err
		}
		// Only now to the end: whatever was written before the rotation is in the file.
		if err := t.read(); err != nil {
			return err
		}
		if !rotated {
			return nil
		}
		if line, err := t.lines.rest(); err != io.EOF {
			take(t.out, t.lines.number, line, err, t.report)
		}
		t.close()
	}
}

// rotated tells whether the path leads to another file by now. A missing one is not another one.
func (t *tail) rotated() (bool, error) {
	open, err := t.f.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Stat(t.path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return false, err
	}
	return !os.SameFile(open, named), nil
}

// read prints all lines up to the file's end. A file that is shorter than what was read of it was truncated.
func (t *tail) read() error {
	info, err := t.f.Stat()
	if err != nil {
		return err
	}
	at, err := t.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if info.Size() < at {
		if _, err := t.f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		t.lines = newLineReader(t.f)
	}
	for {
		line, err := t.lines.next()
		if err == io.EOF {
			return nil
		}
		if err != nil && !errors.Is(err, errTooLong) {
			return err
		}
		take(t.out, t.lines.number, line, err, t.report)
	}
}

func (t *tail) report(number int, reason error) {
	fmt.Fprintf(t.stderr, "%s:%d: %v\n", t.path, number, reason)
}

func (t *tail) close() {
	if t.f != nil {
		t.f.Close()
		t.f = nil
	}
}
