package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// record is one request. It keeps nothing of the line that it was read from.
type record struct {
	Time     time.Time `json:"time"`
	Host     string    `json:"host"`
	Method   string    `json:"method"`
	Path     string    `json:"path"` // without the query
	Status   int       `json:"status"`
	Bytes    int64     `json:"bytes"`
	Duration *float64  `json:"duration,omitempty"` // in seconds
}

// parseLine reads a line in either format. Its errors show parts of the line quoted only: a log is written by strangers.
func parseLine(line []byte) (record, error) {
	if line[0] == '{' {
		return parseJSON(line)
	}
	return parseCommon(line)
}

func parseJSON(line []byte) (record, error) {
	var in struct {
		Time         *time.Time
		Host, Method *string
		Path         *string
		Status       *int
		Bytes        int64
		Duration     *float64
	}
	if err := json.Unmarshal(line, &in); err != nil {
		return record{}, fmt.Errorf("bad JSON: %s", printable(err.Error()))
	}
	if in.Time == nil || in.Host == nil || in.Method == nil || in.Path == nil || in.Status == nil {
		return record{}, errors.New("time, host, method, path or status is missing")
	}
	if in.Bytes < 0 || in.Duration != nil && *in.Duration < 0 {
		return record{}, errors.New("bytes or duration is negative")
	}
	r := record{Time: *in.Time, Host: *in.Host, Method: *in.Method, Status: *in.Status, Bytes: in.Bytes, Duration: in.Duration}
	r.Path, _, _ = strings.Cut(*in.Path, "?")
	return r, r.check()
}

// parseCommon reads the common or the combined log format, with a duration at the end or without.
func parseCommon(line []byte) (record, error) {
	var r record
	s := scanner{rest: line}
	r.Host = string(s.until(' '))
	s.until(' ') // identd's answer
	s.until(' ') // the user
	s.expect('[')
	stamp := s.until(']')
	s.expect(' ')
	request := s.quoted()
	s.expect(' ')
	status := s.word()
	s.expect(' ')
	size := s.word()
	if s.has(` "`) {
		s.expect(' ')
		s.quoted() // referrer
		s.expect(' ')
		s.quoted() // user agent
	}
	var duration []byte
	if s.has(" ") {
		s.expect(' ')
		duration = s.word()
	}
	if s.failed || len(s.rest) > 0 {
		return r, errors.New("neither common log format nor JSON")
	}

	var err error
	if r.Time, err = time.Parse("02/Jan/2006:15:04:05 -0700", string(stamp)); err != nil {
		return r, fmt.Errorf("bad time %q", stamp)
	}
	method, target, ok1 := bytes.Cut(request, []byte(" "))
	target, proto, ok2 := bytes.Cut(target, []byte(" "))
	if !ok1 || !ok2 || !bytes.HasPrefix(proto, []byte("HTTP/")) {
		return r, fmt.Errorf("bad request %q", request)
	}
	path, _, _ := bytes.Cut(target, []byte("?"))
	r.Method, r.Path = string(method), string(path)
	if r.Status, err = strconv.Atoi(string(status)); err != nil || !digits(status) {
		return r, fmt.Errorf("bad status %q", status)
	}
	if string(size) != "-" {
		if r.Bytes, err = strconv.ParseInt(string(size), 10, 64); err != nil || !digits(size) {
			return r, fmt.Errorf("bad size %q", size)
		}
	}
	if duration != nil {
		// ParseFloat alone would let NaN, Inf, hexadecimals and signs through.
		d, err := strconv.ParseFloat(string(duration), 64)
		whole, fraction, point := bytes.Cut(duration, []byte("."))
		if err != nil || !digits(whole) || point && !digits(fraction) {
			return r, fmt.Errorf("bad duration %q", duration)
		}
		r.Duration = &d
	}
	return r, r.check()
}

func (r *record) check() error {
	switch {
	case r.Host == "" || r.Method == "" || r.Path == "":
		return errors.New("host, method or path is empty")
	case r.Status < 100 || r.Status > 599:
		return fmt.Errorf("bad status %d", r.Status)
	}
	return nil
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

// scanner takes a line apart from left to right. Once something is missing it has failed, and yields nothing more.
type scanner struct {
	rest   []byte
	failed bool
}

func (s *scanner) fail() []byte {
	s.failed, s.rest = true, nil
	return nil
}

func (s *scanner) has(prefix string) bool { return bytes.HasPrefix(s.rest, []byte(prefix)) }

func (s *scanner) expect(c byte) {
	if len(s.rest) == 0 || s.rest[0] != c {
		s.fail()
		return
	}
	s.rest = s.rest[1:]
}

// until takes what stands before the next c, and c.
func (s *scanner) until(c byte) []byte {
	i := bytes.IndexByte(s.rest, c)
	if i < 1 {
		return s.fail()
	}
	taken := s.rest[:i]
	s.rest = s.rest[i+1:]
	return taken
}

// word takes what stands before the next space or the end.
func (s *scanner) word() []byte {
	i := bytes.IndexByte(s.rest, ' ')
	if i < 0 {
		i = len(s.rest)
	}
	if i == 0 {
		return s.fail()
	}
	taken := s.rest[:i]
	s.rest = s.rest[i:]
	return taken
}

// quoted takes a string in quotes and resolves its escapes.
func (s *scanner) quoted() []byte {
	s.expect('"')
	i := bytes.IndexAny(s.rest, `"\`)
	if i < 0 {
		return s.fail()
	}
	if s.rest[i] == '"' { // the usual case: nothing to resolve
		taken := s.rest[:i]
		s.rest = s.rest[i+1:]
		return taken
	}
	text := append([]byte(nil), s.rest[:i]...)
	for s.rest = s.rest[i:]; len(s.rest) > 0; {
		switch c := s.rest[0]; {
		case c == '"':
			s.rest = s.rest[1:]
			return text
		case c != '\\':
			text, s.rest = append(text, c), s.rest[1:]
		case s.has(`\"`), s.has(`\\`):
			text, s.rest = append(text, s.rest[1]), s.rest[2:]
		case s.has(`\n`):
			text, s.rest = append(text, '\n'), s.rest[2:]
		case s.has(`\t`):
			text, s.rest = append(text, '\t'), s.rest[2:]
		case s.has(`\x`) && len(s.rest) >= 4:
			v, err := strconv.ParseUint(string(s.rest[2:4]), 16, 8)
			if err != nil {
				return s.fail()
			}
			text, s.rest = append(text, byte(v)), s.rest[4:]
		default:
			return s.fail()
		}
	}
	return s.fail()
}

// recordWriter prints records as JSON, one a line.
type recordWriter struct {
	buf *bufio.Writer
	enc *json.Encoder
	err error
}

func newRecordWriter(w io.Writer) *recordWriter {
	buf := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	return &recordWriter{buf: buf, enc: enc}
}

func (w *recordWriter) add(r record) {
	if w.err == nil {
		w.err = w.enc.Encode(r)
	}
}

func (w *recordWriter) addBad() {}

func (w *recordWriter) flush() error {
	if err := errors.Join(w.err, w.buf.Flush()); err != nil {
		return failure{err}
	}
	return nil
}
