package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// maxLine is the longest line that can be a good one.
const maxLine = 1 << 20

var errTooLong = fmt.Errorf("longer than %d bytes", maxLine)

// lineReader reads lines and counts them. It never holds more than maxLine bytes of one.
type lineReader struct {
	r       *bufio.Reader
	partial []byte // of the line that has not ended yet
	long    bool   // that line is too long: its partial is given up
	number  int    // of the last line returned
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// next returns the next line, valid until the next call. An errTooLong is about that line only. At the end,
// what follows the last newline stays: the file may grow (call next again) or not (call rest).
func (l *lineReader) next() ([]byte, error) {
	for {
		piece, err := l.r.ReadSlice('\n')
		if l.long = l.long || len(l.partial)+len(piece) > maxLine+2; l.long {
			l.partial = l.partial[:0]
		} else if err != nil || len(l.partial) > 0 {
			l.partial = append(l.partial, piece...)
			piece = l.partial
		}
		switch {
		case err == nil:
			return l.finish(piece)
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// rest returns what follows the last newline as the last line. Its error is io.EOF if there is nothing.
func (l *lineReader) rest() ([]byte, error) {
	if len(l.partial) == 0 && !l.long {
		return nil, io.EOF
	}
	return l.finish(l.partial)
}

func (l *lineReader) finish(line []byte) ([]byte, error) {
	long := l.long
	l.number++
	l.partial, l.long = l.partial[:0], false
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	if long || len(line) > maxLine {
		return nil, errTooLong
	}
	return line, nil
}

// sink takes what was found in a file.
type sink interface {
	add(record)
	addBad()
}

// take parses one line into s, and reports a bad one.
func take(s sink, number int, line []byte, err error, report func(number int, reason error)) {
	if err == nil && len(bytes.TrimSpace(line)) == 0 {
		return
	}
	var r record
	if err == nil {
		r, err = parseLine(line)
	}
	if err != nil {
		s.addBad()
		report(number, err)
		return
	}
	s.add(r)
}

// readAll parses all lines of r, which may be compressed, into s.
func readAll(r io.Reader, s sink, report func(number int, reason error)) error {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(2); string(magic) == "\x1f\x8b" {
		unzipped, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		r = unzipped
	} else {
		r = in
	}
	lines := newLineReader(r)
	for {
		line, err := lines.next()
		if err == io.EOF {
			if line, err := lines.rest(); err != io.EOF {
				take(s, lines.number, line, err, report)
			}
			return nil
		}
		if err != nil && !errors.Is(err, errTooLong) {
			return err // and what there is of a last line is not one
		}
		take(s, lines.number, line, err, report)
	}
}

// analyze reads files with as many workers as asked for. Each worker has a sink of its own, which is merged
// when the worker is done; so merge must not depend on the order.
func analyze[S sink](opts *options, files []string, newSink func() S, merge func(S)) error {
	if len(files) == 0 {
		files = []string{"-"}
	}
	var (
		messages = newOrdered(opts.stderr)
		errs     = make([]error, len(files))
		bad      = make([]bool, len(files))
		next     = make(chan int)
		mu       sync.Mutex
		wg       sync.WaitGroup
	)
	for range min(int(opts.workers), len(files)) {
		wg.Go(func() {
			s := newSink()
			for i := range next {
				errs[i] = readFile(opts.stdin, files[i], s, func(number int, reason error) {
					bad[i] = true
					messages.printf(i, "%s:%d: %v\n", files[i], number, reason)
				})
				if errs[i] != nil {
					messages.printf(i, "loganalyzer: %v\n", errs[i])
				}
				messages.done(i)
			}
			mu.Lock()
			defer mu.Unlock()
			merge(s)
		})
	}
	for i := range files {
		next <- i
	}
	close(next)
	wg.Wait()

	if n := count(errs, func(err error) bool { return err != nil }); n > 0 {
		return failure{fmt.Errorf("%d of %d inputs could not be read", n, len(files))}
	}
	if opts.strict && count(bad, func(b bool) bool { return b }) > 0 {
		return errBadLines
	}
	return nil
}

func readFile(stdin io.Reader, name string, s sink, report func(int, error)) error {
	if name == "-" {
		if err := readAll(stdin, s, report); err != nil {
			return fmt.Errorf("-: %w", err)
		}
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := readAll(f, s, report); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func count[T any](all []T, holds func(T) bool) (n int) {
	for _, v := range all {
		if holds(v) {
			n++
		}
	}
	return n
}

// ordered prints messages about files in the files' order, although they come mixed. Those about the
// first file that is not done go out at once; only the ones that come too early are kept.
type ordered struct {
	mu      sync.Mutex
	w       io.Writer
	turn    int
	early   map[int]*bytes.Buffer
	nothing map[int]bool // done, when its turn had not come
}

func newOrdered(w io.Writer) *ordered {
	return &ordered{w: w, early: map[int]*bytes.Buffer{}, nothing: map[int]bool{}}
}

func (o *ordered) printf(i int, format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i == o.turn {
		fmt.Fprintf(o.w, format, args...)
		return
	}
	if o.early[i] == nil {
		o.early[i] = new(bytes.Buffer)
	}
	fmt.Fprintf(o.early[i], format, args...)
}

func (o *ordered) done(i int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.nothing[i] = true
	for o.nothing[o.turn] {
		delete(o.nothing, o.turn)
		o.turn++
		if kept := o.early[o.turn]; kept != nil {
			kept.WriteTo(o.w)
			delete(o.early, o.turn)
		}
	}
}
