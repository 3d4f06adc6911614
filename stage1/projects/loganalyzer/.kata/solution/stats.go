package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

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

// tally counts values.
type tally struct {
	by     dimension
	counts map[string]int64
}

func newTally(by dimension) *tally { return &tally{by: by, counts: map[string]int64{}} }

func (t *tally) add(r record) { t.counts[t.by.of(r)]++ }

func (t *tally) addBad() {}

func (t *tally) merge(o *tally) {
	for value, n := range o.counts {
		t.counts[value] += n
	}
}

func (t *tally) top(k int) table {
	type entry struct {
		value string
		count int64
	}
	all := make([]entry, 0, len(t.counts))
	for value, n := range t.counts {
		all = append(all, entry{value, n})
	}
	slices.SortFunc(all, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.count, a.count), strings.Compare(a.value, b.value))
	})
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
