// Keeps the value of every line, to sort them and count as uniq does: memory grows with the number of lines.
//
//kata:caught-by TestTopKeepsOnlyTheValues
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

// The program's exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // something could not be read or written
	exitUsage   = 2
	exitBad     = 3 // bad lines, and --strict
)

// errBadLines ends a --strict run that met bad lines. They have been reported one by one.
var errBadLines = errors.New("bad lines")

// failure marks an error of the work itself. All others come from cobra: the command line is wrong.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(stdin, stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(context.Background())
	_, failed := errors.AsType[failure](err)
	switch {
	case err == nil:
		return exitOK
	case failed:
		fmt.Fprintf(stderr, "loganalyzer: %v\n", err)
		return exitFailure
	case errors.Is(err, errBadLines):
		return exitBad
	default:
		fmt.Fprintf(stderr, "loganalyzer: %v\n\nSee 'loganalyzer --help'.\n", err)
		return exitUsage
	}
}

// options are what all analysing commands share.
type options struct {
	output  output
	workers positive
	strict  bool

	stdin          io.Reader
	stdout, stderr io.Writer
}

func newRoot(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	opts := &options{output: "table", workers: positive(runtime.GOMAXPROCS(0)), stdin: stdin, stdout: stdout, stderr: stderr}
	root := &cobra.Command{
		Use:   "loganalyzer",
		Short: "Answers questions about access logs",
		// run prints errors, and the usage does not help against a missing file.
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(*cobra.Command, []string) error { return errors.New("which command?") },
	}
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.CompletionOptions.DisableDefaultCmd = true
	flags := root.PersistentFlags()
	flags.VarP(&opts.output, "output", "o", "table, json or csv")
	flags.VarP(&opts.workers, "workers", "w", "how many files are read at once")
	flags.BoolVar(&opts.strict, "strict", false, "exit with 3 if there were bad lines")
	root.AddCommand(parseCommand(opts), countCommand(opts), topCommand(opts), latencyCommand(opts), followCommand(opts))
	return root
}

func parseCommand(opts *options) *cobra.Command {
	return &cobra.Command{
		Use:   "parse [FILE…]",
		Short: "Prints each good line as a JSON object",
		RunE: func(_ *cobra.Command, files []string) error {
			out := newRecordWriter(opts.stdout)
			// One file after the other: the output keeps the input's order without holding it in memory.
			one := *opts
			one.workers = 1
			err := analyze(&one, files, func() *recordWriter { return out }, func(*recordWriter) {})
			return errors.Join(err, out.flush())
		},
	}
}

func countCommand(opts *options) *cobra.Command {
	return &cobra.Command{
		Use:   "count [FILE…]",
		Short: "Counts lines and bytes by class of status",
		RunE: func(_ *cobra.Command, files []string) error {
			var total classes
			err := analyze(opts, files, func() *classes { return new(classes) }, total.merge)
			return errors.Join(err, opts.print(total.table()))
		},
	}
}

func topCommand(opts *options) *cobra.Command {
	by, k := dimension("path"), positive(10)
	cmd := &cobra.Command{
		Use:   "top [FILE…]",
		Short: "Lists the most frequent values",
		RunE: func(_ *cobra.Command, files []string) error {
			total := newTally(by)
			err := analyze(opts, files, func() *tally { return newTally(by) }, total.merge)
			return errors.Join(err, opts.print(total.top(int(k))))
		},
	}
	cmd.Flags().Var(&by, "by", "path, host, method or status")
	cmd.Flags().VarP(&k, "limit", "k", "how many values")
	return cmd
}

func latencyCommand(opts *options) *cobra.Command {
	ps := percentiles{50, 90, 99}
	cmd := &cobra.Command{
		Use:   "latency [FILE…]",
		Short: "Estimates percentiles of the durations, to 1 %",
		RunE: func(_ *cobra.Command, files []string) error {
			total := new(sketch)
			err := analyze(opts, files, func() *sketch { return new(sketch) }, total.merge)
			return errors.Join(err, opts.print(total.table(ps)))
		},
	}
	cmd.Flags().VarP(&ps, "percentiles", "p", "which ones, above 0 and up to 100, separated by commas")
	return cmd
}

func followCommand(opts *options) *cobra.Command {
	poll := 250 * time.Millisecond
	cmd := &cobra.Command{
		Use:   "follow FILE",
		Short: "Prints each good line as a JSON object, and goes on as the file grows or is rotated",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if poll <= 0 {
				return fmt.Errorf("invalid argument %q for \"--poll\": must be positive", poll)
			}
			// Only here: the other commands have nothing to finish when they are interrupted.
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if err := follow(ctx, opts, args[0], poll); err != nil {
				return failure{err}
			}
			return nil
		},
	}
	cmd.Flags().DurationVar(&poll, "poll", poll, "how often to look for news")
	return cmd
}

// positive is a number of at least 1, as a flag.
type positive int

func (p *positive) String() string { return strconv.Itoa(int(*p)) }
func (p *positive) Type() string   { return "n" }

func (p *positive) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return errors.New("must be a number of at least 1")
	}
	*p = positive(n)
	return nil
}

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

// classes counts by class of status.
type classes struct {
	lines, bytes [6]int64 // by the status's first digit
	bad          int64
}

func (c *classes) add(r record) {
	c.lines[r.Status/100]++
	c.bytes[r.Status/100] += r.Bytes
}

func (c *classes) addBad() { c.bad++ }

func (c *classes) merge(o *classes) {
	for i := range c.lines {
		c.lines[i] += o.lines[i]
		c.bytes[i] += o.bytes[i]
	}
	c.bad += o.bad
}

func (c *classes) table() table {
	t := table{columns: []string{"class", "count", "bytes"}}
	var lines, bytes int64
	for i := range c.lines {
		if c.lines[i] > 0 {
			t.rows = append(t.rows, []any{fmt.Sprintf("%dxx", i), c.lines[i], c.bytes[i]})
		}
		lines += c.lines[i]
		bytes += c.bytes[i]
	}
	t.rows = append(t.rows, []any{"all", lines, bytes}, []any{"bad", c.bad, int64(0)})
	return t
}

// dimension is the field whose values are counted.
type dimension string

func (d *dimension) String() string { return string(*d) }
func (d *dimension) Type() string   { return "field" }

func (d *dimension) Set(s string) error {
	if !slices.Contains([]string{"path", "host", "method", "status"}, s) {
		return fmt.Errorf("must be path, host, method or status")
	}
	*d = dimension(s)
	return nil
}

func (d dimension) of(r record) string {
	switch d {
	case "host":
		return r.Host
	case "method":
		return r.Method
	case "status":
		return strconv.Itoa(r.Status)
	}
	return r.Path
}

// tally collects values.
type tally struct {
	by  dimension
	all []string
}

func newTally(by dimension) *tally { return &tally{by: by} }

func (t *tally) add(r record) { t.all = append(t.all, t.by.of(r)) }

func (t *tally) addBad() {}

func (t *tally) merge(o *tally) { t.all = append(t.all, o.all...) }

func (t *tally) top(k int) table {
	type entry struct {
		value string
		count int64
	}
	slices.Sort(t.all)
	var all []entry
	for _, value := range t.all {
		if len(all) == 0 || all[len(all)-1].value != value {
			all = append(all, entry{value, 0})
		}
		all[len(all)-1].count++
	}
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(b.count, a.count) })
	out := table{columns: []string{"value", "count"}}
	for _, e := range all[:min(k, len(all))] {
		out.rows = append(out.rows, []any{e.value, e.count})
	}
	return out
}

// A sketch estimates percentiles of durations from a fixed number of counters, as DDSketch does: bucket i counts
// the values in (growthⁱ⁻¹, growthⁱ] times the smallest, so that a bucket's middle is off by half a percent at most.
// Its counters can be added up, in any order: the answer does not depend on who counted what.
type sketch struct {
	buckets  [sketchBuckets]int64
	zeros    int64 // below the smallest
	total    int64
	min, max float64
}

const (
	smallest      = 1e-6
	growth        = 1.01
	sketchBuckets = 2216 // up to an hour: ln(3600/smallest) / ln(growth), and a little more
)

var logGrowth = math.Log(growth)

func (s *sketch) add(r record) {
	if r.Duration == nil {
		return
	}
	d := *r.Duration
	if s.total == 0 || d < s.min {
		s.min = d
	}
	s.max = max(s.max, d)
	s.total++
	if d < smallest {
		s.zeros++
		return
	}
	i := int(math.Ceil(math.Log(d/smallest) / logGrowth))
	s.buckets[min(max(i, 0), sketchBuckets-1)]++
}

func (s *sketch) addBad() {}

func (s *sketch) merge(o *sketch) {
	if o.total == 0 {
		return
	}
	if s.total == 0 || o.min < s.min {
		s.min = o.min
	}
	s.max = max(s.max, o.max)
	s.total += o.total
	s.zeros += o.zeros
	for i, n := range o.buckets {
		s.buckets[i] += n
	}
}

// percentile returns the value at rank ⌈p/100 · total⌉, nearly.
func (s *sketch) percentile(p float64) float64 {
	rank := int64(math.Ceil(p * float64(s.total) / 100))
	seen := s.zeros
	if rank <= seen {
		return s.min
	}
	for i, n := range s.buckets {
		if seen += n; rank <= seen {
			middle := smallest * math.Pow(growth, float64(i)) * 2 / (1 + growth)
			return min(max(middle, s.min), s.max)
		}
	}
	return s.max
}

func (s *sketch) table(ps percentiles) table {
	t := table{columns: []string{"percentile", "seconds"}}
	if s.total == 0 {
		return t
	}
	for _, p := range ps {
		v := s.percentile(p)
		if p == 100 {
			v = s.max
		}
		t.rows = append(t.rows, []any{p, significant(v)})
	}
	return t
}

// significant drops the digits that an estimate does not have.
func significant(v float64) float64 {
	short, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 5, 64), 64)
	return short
}

// percentiles is a list of percentiles, as a flag.
type percentiles []float64

func (p *percentiles) String() string {
	var s []string
	for _, v := range *p {
		s = append(s, strconv.FormatFloat(v, 'g', -1, 64))
	}
	return strings.Join(s, ",")
}

func (p *percentiles) Type() string { return "list" }

func (p *percentiles) Set(s string) error {
	var list percentiles
	for field := range strings.SplitSeq(s, ",") {
		v, err := strconv.ParseFloat(field, 64)
		if err != nil || !(v > 0 && v <= 100) { // written so that NaN is refused
			return fmt.Errorf("%q is not above 0 and up to 100", field)
		}
		list = append(list, v)
	}
	*p = list
	return nil
}

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

// output is the form of an answer.
type output string

func (o *output) String() string { return string(*o) }
func (o *output) Type() string   { return "form" }

func (o *output) Set(s string) error {
	if !slices.Contains([]string{"table", "json", "csv"}, s) {
		return fmt.Errorf("must be table, json or csv")
	}
	*o = output(s)
	return nil
}

// table is the answer of every analysing command. A cell is a string, an int64 or a float64.
type table struct {
	columns []string
	rows    [][]any
}

// print writes t to stdout. What a disk or a pipe does not take is an error.
func (o *options) print(t table) error {
	w := bufio.NewWriter(o.stdout)
	write := map[output]func(io.Writer, table) error{"table": writeTable, "json": writeJSON, "csv": writeCSV}[o.output]
	err := write(w, t)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return failure{err}
	}
	return nil
}

func writeTable(w io.Writer, t table) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ToUpper(strings.Join(t.columns, "\t")))
	for _, row := range t.rows {
		cells := texts(row)
		for i := range cells {
			cells[i] = printable(cells[i])
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return tw.Flush()
}

// writeJSON writes an array of objects whose keys are in the order of the columns.
func writeJSON(w io.Writer, t table) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	out.WriteString("[")
	for i, row := range t.rows {
		if i > 0 {
			out.WriteString(",")
		}
		for j, cell := range row {
			out.WriteString([]string{"\n{", ", "}[min(j, 1)])
			fmt.Fprintf(&out, "%q: ", t.columns[j])
			if err := enc.Encode(cell); err != nil {
				return err
			}
			out.Truncate(out.Len() - 1) // the newline that Encode adds
		}
		out.WriteString("}")
	}
	if len(t.rows) > 0 {
		out.WriteString("\n")
	}
	out.WriteString("]\n")
	_, err := out.WriteTo(w)
	return err
}

func writeCSV(w io.Writer, t table) error {
	cw := csv.NewWriter(w)
	cw.Write(t.columns)
	for _, row := range t.rows {
		cw.Write(texts(row))
	}
	cw.Flush()
	return cw.Error()
}

func texts(row []any) []string {
	var cells []string
	for _, cell := range row {
		if f, ok := cell.(float64); ok {
			cells = append(cells, strconv.FormatFloat(f, 'f', -1, 64))
			continue
		}
		cells = append(cells, fmt.Sprint(cell))
	}
	return cells
}

// printable shows what a terminal would obey as an escape: whoever sends requests chooses what is in a log.
func printable(s string) string {
	clean := true
	for _, r := range s {
		clean = clean && unicode.IsPrint(r) && r != unicode.ReplacementChar
	}
	if clean {
		return s
	}
	quoted := strconv.QuoteToGraphic(s)
	quoted = quoted[1 : len(quoted)-1]
	return strings.ReplaceAll(quoted, `\"`, `"`)
}
