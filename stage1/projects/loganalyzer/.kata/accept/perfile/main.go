// Command loganalyzer, built around one partial answer per file: files are read by a goroutine each, as many at
// a time as there are workers, and the partial answers are put together in the files' order. Percentiles come
// from a histogram whose buckets are the leading bits of the floating-point number.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

func main() {
	app := &app{exit: 2} // until a command begins its work, whatever fails is the command line
	if err := app.root().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "loganalyzer:", err)
		os.Exit(app.exit)
	}
	os.Exit(app.exit)
}

// app is one run of the program.
type app struct {
	exit    int
	form    string
	workers int
	strict  bool
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "loganalyzer", Short: "Answers questions about access logs", SilenceErrors: true, SilenceUsage: true,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return errors.New("a command is missing, see --help") },
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.workers < 1 {
				return errors.New("--workers must be at least 1")
			}
			if a.form != "table" && a.form != "json" && a.form != "csv" {
				return errors.New("--output must be table, json or csv")
			}
			return nil
		},
	}
	root.PersistentFlags().StringVarP(&a.form, "output", "o", "table", "table, json or csv")
	root.PersistentFlags().IntVarP(&a.workers, "workers", "w", runtime.NumCPU(), "files read at once")
	root.PersistentFlags().BoolVar(&a.strict, "strict", false, "exit with 3 on bad lines")
	help := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		a.exit = 0
		help(c, args)
	})

	var k int
	var by string
	top := &cobra.Command{Use: "top [FILE…]", Short: "The most frequent values", RunE: func(_ *cobra.Command, files []string) error {
		field, ok := map[string]func(*record) string{
			"path":   func(r *record) string { return r.Path },
			"host":   func(r *record) string { return r.Host },
			"method": func(r *record) string { return r.Method },
			"status": func(r *record) string { return strconv.Itoa(r.Status) },
		}[by]
		if !ok || k < 1 {
			return errors.New("--by must be path, host, method or status, and -k at least 1")
		}
		return a.answer(files, "value count", func() partial { return &top{field: field, k: k, n: map[string]int{}} })
	}}
	top.Flags().IntVarP(&k, "k", "k", 10, "how many")
	top.Flags().StringVar(&by, "by", "path", "path, host, method or status")

	var list string
	latency := &cobra.Command{Use: "latency [FILE…]", Short: "Percentiles of the durations", RunE: func(_ *cobra.Command, files []string) error {
		var ps []float64
		for _, s := range strings.Split(list, ",") {
			p, err := strconv.ParseFloat(s, 64)
			if err != nil || math.IsNaN(p) || p <= 0 || p > 100 {
				return fmt.Errorf("%q is no percentile", s)
			}
			ps = append(ps, p)
		}
		return a.answer(files, "percentile seconds", func() partial { return &histogram{ps: ps, n: map[uint64]int{}} })
	}}
	latency.Flags().StringVarP(&list, "percentiles", "p", "50,90,99", "separated by commas")

	var poll time.Duration
	follow := &cobra.Command{Use: "follow FILE", Short: "Records, as they are written", Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, files []string) error {
		if poll <= 0 {
			return errors.New("--poll must be positive")
		}
		a.exit = 1
		if err := follow(files[0], poll); err != nil {
			return err
		}
		a.exit = 0
		return nil
	}}
	follow.Flags().DurationVar(&poll, "poll", time.Second/4, "how often to look")

	root.AddCommand(top, latency, follow,
		&cobra.Command{Use: "count [FILE…]", Short: "Lines and bytes by class", RunE: func(_ *cobra.Command, files []string) error {
			return a.answer(files, "class count bytes", func() partial { return &classes{} })
		}},
		&cobra.Command{Use: "parse [FILE…]", Short: "Records as JSON", RunE: func(_ *cobra.Command, files []string) error {
			out := &printer{w: bufio.NewWriter(os.Stdout)}
			a.workers = 1
			a.read(files, func() partial { return out })
			if out.err = errors.Join(out.err, out.w.Flush()); out.err != nil {
				a.exit = 1
			}
			return out.err
		}},
	)
	return root
}

// partial is what is known from some of the files.
type partial interface {
	add(*record)
	bad()
	join(partial)
	rows() [][]any
}

// answer reads the files and prints what they say together.
func (a *app) answer(files []string, columns string, empty func() partial) error {
	total := a.read(files, empty)
	var out bytes.Buffer
	print := map[string]func(io.Writer, []string, [][]any){"table": table, "json": array, "csv": commas}[a.form]
	print(&out, strings.Fields(columns), total.rows())
	if _, err := os.Stdout.Write(out.Bytes()); err != nil {
		a.exit = 1
		return err
	}
	return nil
}

// read reads the files and sets the exit code.
func (a *app) read(files []string, empty func() partial) partial {
	if len(files) == 0 {
		files = []string{"-"}
	}
	type outcome struct {
		found    partial
		messages bytes.Buffer
		bad      bool
		err      error
		done     chan struct{}
	}
	outcomes := make([]*outcome, len(files))
	for i := range outcomes {
		outcomes[i] = &outcome{done: make(chan struct{})}
	}
	slots := make(chan struct{}, a.workers)
	go func() {
		for i, name := range files {
			slots <- struct{}{}
			go func() {
				o := outcomes[i]
				defer func() { close(o.done); <-slots }()
				o.found = empty()
				o.err = readFile(name, o.found, func(line int, why string) {
					o.bad = true
					fmt.Fprintf(&o.messages, "%s:%d: %s\n", name, line, why)
				})
			}()
		}
	}()

	a.exit = 0
	total := empty()
	for i, o := range outcomes {
		<-o.done
		os.Stderr.Write(o.messages.Bytes())
		if o.err != nil {
			fmt.Fprintf(os.Stderr, "loganalyzer: %s: %v\n", files[i], o.err)
			a.exit = 1
		}
		if o.bad && a.strict && a.exit == 0 {
			a.exit = 3
		}
		total.join(o.found)
		outcomes[i] = nil
	}
	return total
}

func readFile(name string, into partial, bad func(int, string)) error {
	var in io.Reader = os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	peeked := bufio.NewReaderSize(in, 128<<10)
	in = peeked
	if magic, _ := peeked.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(peeked)
		if err != nil {
			return err
		}
		in = z
	}
	lines := splitter{take: func(n int, text []byte) { consume(into, n, text, bad) }}
	_, err := io.Copy(&lines, in)
	if err == nil {
		lines.end()
	}
	return err
}

func consume(into partial, n int, text []byte, bad func(int, string)) {
	text = bytes.TrimSuffix(text, []byte{'\r'})
	if len(bytes.TrimSpace(text)) == 0 {
		return
	}
	r, why := parse(text)
	if why != "" {
		into.bad()
		bad(n, why)
		return
	}
	into.add(r)
}

// splitter is a writer that takes what is written apart into lines.
type splitter struct {
	take func(n int, line []byte)
	n    int
	kept []byte
}

const longest = 1 << 20

func (s *splitter) Write(p []byte) (int, error) {
	total := len(p)
	for {
		line, rest, ended := bytes.Cut(p, []byte{'\n'})
		if !ended {
			s.keep(p)
			return total, nil
		}
		p = rest
		if len(s.kept) > 0 {
			s.keep(line)
			line = s.kept
		}
		s.n++
		s.take(s.n, line)
		s.kept = s.kept[:0]
	}
}

// keep remembers the beginning of a line, and of a long one only so much that it is seen to be too long.
func (s *splitter) keep(p []byte) {
	s.kept = append(s.kept, p[:min(len(p), longest+2-len(s.kept))]...)
}

func (s *splitter) end() {
	if len(s.kept) > 0 {
		s.n++
		s.take(s.n, s.kept)
		s.kept = nil
	}
}

type record struct {
	Time     time.Time `json:"time"`
	Host     string    `json:"host"`
	Method   string    `json:"method"`
	Path     string    `json:"path"`
	Status   int       `json:"status"`
	Bytes    int64     `json:"bytes"`
	Duration *float64  `json:"duration,omitempty"`
}

const escape = `\\(?:x[0-9a-fA-F]{2}|["\\nt])`

var escapes, atEscape = regexp.MustCompile(escape), regexp.MustCompile("^" + escape)

// quoted returns what a string in quotes contains, as it is written, and what follows it. All its escapes are known ones.
func quoted(text []byte) (inside, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '"' {
		return nil, nil, false
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return text[1:i], text[i+1:], true
		case '\\':
			if !atEscape.Match(text[i:]) {
				return nil, nil, false
			}
			i++
		}
	}
	return nil, nil, false
}

// number tells whether s consists of digits, with or without a fraction.
func number(s string, fraction bool) bool {
	whole, part, point := strings.Cut(s, ".")
	all := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return all(whole) && (!point || fraction && all(part))
}

func parse(text []byte) (r *record, why string) {
	if len(text) > longest {
		return nil, "too long"
	}
	if text[0] == '{' {
		return parseObject(text)
	}
	head, rest, ok1 := bytes.Cut(text, []byte(" ["))
	stamp, rest, ok2 := bytes.Cut(rest, []byte("] "))
	who := strings.Split(string(head), " ")
	if !ok1 || !ok2 || len(who) != 3 || who[0] == "" || who[1] == "" || who[2] == "" {
		return nil, "not in common log format"
	}
	when, err := time.Parse("02/Jan/2006:15:04:05 -0700", string(stamp))
	if err != nil {
		return nil, "no valid time"
	}
	inside, rest, ok := quoted(rest)
	if !ok {
		return nil, "no request, or an escape in it that is none"
	}
	request := string(inside)
	if strings.Contains(request, `\`) {
		request = escapes.ReplaceAllStringFunc(request, func(e string) string {
			switch e[1] {
			case 'x':
				v, _ := strconv.ParseUint(e[2:], 16, 8)
				return string([]byte{byte(v)})
			case 'n':
				return "\n"
			case 't':
				return "\t"
			}
			return e[1:]
		})
	}
	words := strings.SplitN(request, " ", 3)
	if len(words) != 3 || !strings.HasPrefix(words[2], "HTTP/") {
		return nil, "no valid request"
	}
	r = &record{Time: when, Host: who[0], Method: strings.Clone(words[0])}
	path, _, _ := strings.Cut(words[1], "?")
	r.Path = strings.Clone(path)
	if r.Method == "" || r.Path == "" {
		return nil, "no method or no path"
	}

	// What is left is status and size, perhaps referrer and agent, perhaps the duration.
	numbers := rest
	if i := bytes.IndexByte(rest, '"'); i > 0 {
		_, behind, ok1 := quoted(rest[i:])
		if !ok1 || len(behind) < 2 || behind[0] != ' ' {
			return nil, "no agent behind the referrer"
		}
		_, behind, ok2 := quoted(behind[1:])
		if !ok2 || rest[i-1] != ' ' {
			return nil, "no agent behind the referrer"
		}
		numbers = append(rest[:i-1:i-1], behind...)
	}
	fields := strings.Split(string(numbers), " ")
	if len(fields) < 3 || len(fields) > 4 || fields[0] != "" {
		return nil, "status, size or duration is missing, or there is too much"
	}
	status, size, duration := fields[1], fields[2], ""
	if len(fields) == 4 {
		duration = fields[3]
	}
	if len(status) != 3 || status[0] < '1' || status[0] > '5' || !number(status, false) {
		return nil, "no valid status"
	}
	if size != "-" && (!number(size, false) || len(size) > 18) || len(fields) == 4 && !number(duration, true) {
		return nil, "no valid size or duration"
	}
	r.Status, _ = strconv.Atoi(status)
	if size != "-" {
		r.Bytes, _ = strconv.ParseInt(size, 10, 64)
	}
	if duration != "" {
		d, err := strconv.ParseFloat(duration, 64)
		if err != nil {
			return nil, "no valid duration"
		}
		r.Duration = &d
	}
	return r, ""
}

func parseObject(text []byte) (*record, string) {
	var fields struct {
		Host, Method, Path *string
		Status             *int
		Time               *time.Time
		Bytes              int64
		Duration           *float64
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, "no valid JSON"
	}
	r := record{Bytes: fields.Bytes, Duration: fields.Duration}
	if fields.Host == nil || fields.Method == nil || fields.Path == nil || fields.Status == nil || fields.Time == nil {
		return nil, "time, host, method, path or status is missing"
	}
	r.Host, r.Method, r.Status, r.Time = *fields.Host, *fields.Method, *fields.Status, *fields.Time
	r.Path, _, _ = strings.Cut(*fields.Path, "?")
	if r.Host == "" || r.Method == "" || r.Path == "" || r.Status < 100 || r.Status > 599 || r.Bytes < 0 || r.Duration != nil && *r.Duration < 0 {
		return nil, "a value out of range"
	}
	return &r, ""
}

// printer prints records. As a partial answer it is always the same one.
type printer struct {
	w   *bufio.Writer
	err error
}

func (p *printer) add(r *record) {
	text, err := json.Marshal(r)
	if err == nil {
		_, err = p.w.Write(append(text, '\n'))
	}
	p.err = errors.Join(p.err, err)
}
func (*printer) bad()          {}
func (*printer) join(partial)  {}
func (*printer) rows() [][]any { return nil }

type classes struct {
	lines, bytes [6]int
	wrong        int
}

func (c *classes) add(r *record) {
	c.lines[r.Status/100]++
	c.bytes[r.Status/100] += int(r.Bytes)
}
func (c *classes) bad() { c.wrong++ }
func (c *classes) join(p partial) {
	o := p.(*classes)
	for i := range c.lines {
		c.lines[i] += o.lines[i]
		c.bytes[i] += o.bytes[i]
	}
	c.wrong += o.wrong
}
func (c *classes) rows() (rows [][]any) {
	lines, bytes := 0, 0
	for i, n := range c.lines {
		if n > 0 {
			rows = append(rows, []any{strconv.Itoa(i) + "xx", n, c.bytes[i]})
		}
		lines, bytes = lines+n, bytes+c.bytes[i]
	}
	return append(rows, []any{"all", lines, bytes}, []any{"bad", c.wrong, 0})
}

type top struct {
	field func(*record) string
	k     int
	n     map[string]int
}

func (t *top) add(r *record) { t.n[t.field(r)]++ }
func (t *top) bad()          {}
func (t *top) join(p partial) {
	for value, n := range p.(*top).n {
		t.n[value] += n
	}
}
func (t *top) rows() (rows [][]any) {
	for value, n := range t.n {
		rows = append(rows, []any{value, n})
	}
	sort.Slice(rows, func(i, j int) bool {
		if a, b := rows[i][1].(int), rows[j][1].(int); a != b {
			return a > b
		}
		return rows[i][0].(string) < rows[j][0].(string)
	})
	return rows[:min(t.k, len(rows))]
}

// histogram counts durations by exponent and the first seven bits of the fraction: buckets are at most 1/128
// of their value wide.
type histogram struct {
	ps []float64
	n  map[uint64]int
}

const dropped = 52 - 7

func (h *histogram) add(r *record) {
	if r.Duration != nil {
		h.n[math.Float64bits(max(0, *r.Duration))>>dropped]++
	}
}
func (h *histogram) bad() {}
func (h *histogram) join(p partial) {
	for bucket, n := range p.(*histogram).n {
		h.n[bucket] += n
	}
}
func (h *histogram) rows() (rows [][]any) {
	var buckets []uint64
	total := 0
	for bucket, n := range h.n {
		buckets = append(buckets, bucket)
		total += n
	}
	sort.Slice(buckets, func(i, j int) bool { return buckets[i] < buckets[j] })
	for _, p := range h.ps {
		seen := 0
		for _, bucket := range buckets {
			if seen += h.n[bucket]; float64(seen) >= p*float64(total)/100 {
				low, high := math.Float64frombits(bucket<<dropped), math.Float64frombits((bucket+1)<<dropped)
				if bucket == 0 {
					high = 0
				}
				rows = append(rows, []any{p, (low + high) / 2})
				break
			}
		}
	}
	return rows
}

func table(w io.Writer, columns []string, rows [][]any) {
	text := [][]string{nil}
	for _, c := range columns {
		text[0] = append(text[0], strings.ToUpper(c))
	}
	for _, row := range rows {
		text = append(text, cells(row, visible))
	}
	for i := range text {
		for j, cell := range text[i] {
			width := 0
			for _, other := range text {
				width = max(width, utf8.RuneCountInString(other[j]))
			}
			pad := strings.Repeat(" ", width-utf8.RuneCountInString(cell))
			if j == 0 {
				fmt.Fprint(w, cell, pad)
			} else {
				fmt.Fprint(w, "  ", pad, cell) // numbers to the right
			}
		}
		fmt.Fprintln(w)
	}
}

func array(w io.Writer, columns []string, rows [][]any) {
	objects := []map[string]any{}
	for _, row := range rows {
		object := map[string]any{}
		for i, c := range columns {
			object[c] = row[i]
		}
		objects = append(objects, object)
	}
	text, _ := json.MarshalIndent(objects, "", "  ")
	fmt.Fprintf(w, "%s\n", text)
}

func commas(w io.Writer, columns []string, rows [][]any) {
	out := csv.NewWriter(w)
	out.Write(columns)
	for _, row := range rows {
		out.Write(cells(row, func(s string) string { return s }))
	}
	out.Flush()
}

func cells(row []any, text func(string) string) (all []string) {
	for _, v := range row {
		switch v := v.(type) {
		case float64:
			all = append(all, strconv.FormatFloat(v, 'f', -1, 64))
		case string:
			all = append(all, text(v))
		default:
			all = append(all, fmt.Sprint(v))
		}
	}
	return all
}

// visible replaces everything that a terminal would not simply show.
func visible(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case !unicode.IsGraphic(r):
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		default:
			b.WriteRune(r)
		}
		s = s[size:]
	}
	return b.String()
}

// follow reads by offset: what has been read is only a number, and so is a truncation.
func follow(path string, poll time.Duration) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	out := &printer{w: bufio.NewWriter(os.Stdout)}
	fresh := func() *splitter {
		return &splitter{take: func(n int, text []byte) {
			consume(out, n, text, func(n int, why string) { fmt.Fprintf(os.Stderr, "%s:%d: %s\n", path, n, why) })
		}}
	}
	var f *os.File
	var offset int64
	lines := fresh()
	buf := make([]byte, 64<<10)

	drain := func() error {
		if info, err := f.Stat(); err != nil {
			return err
		} else if info.Size() < offset {
			offset, lines = 0, fresh()
		}
		for {
			n, err := f.ReadAt(buf, offset)
			offset += int64(n)
			lines.Write(buf[:n])
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
	for last := false; ; {
		if f != nil {
			mine, err := f.Stat()
			if err != nil {
				return err
			}
			theirs, err := os.Stat(path)
			if err := drain(); err != nil {
				return err
			}
			if err == nil && !os.SameFile(mine, theirs) {
				lines.end()
				f.Close()
				f, offset, lines = nil, 0, fresh()
			}
		}
		if f == nil {
			var err error
			if f, err = os.Open(path); err == nil {
				continue
			} else if !os.IsNotExist(err) {
				return err
			}
			f = nil
		}
		if err := errors.Join(out.err, out.w.Flush()); err != nil || last {
			return err
		}
		select {
		case <-stop:
			last = true
		case <-time.After(poll):
		}
	}
}
