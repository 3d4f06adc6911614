// Package flink accumulates always, as its sink replaces rows; one that adds counts early readings again with each pane.
//
//kata:caught-by TestAccumulation
package flink

import (
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/graph/window"
)

// Policy says how Windowed treats time.
type Policy struct {
	Size       time.Duration // of the windows, which begin at multiples of it
	Lateness   time.Duration // how long after its end a window still takes readings
	Accumulate bool          // whether a pane holds all of its window so far, or only what is new since the pane before
}

// Windowed sums up readings, a PCollection of KV<string, int64>, per sensor and fixed window of event time. It returns a
// PCollection of KV<string, Summary>.
func Windowed(s beam.Scope, readings beam.PCollection, p Policy) beam.PCollection {
	s = s.Scope("Windowed")
	// The default trigger fires when the watermark passes the end of the window, and again for whatever comes late.
	windows := beam.WindowInto(s, window.NewFixedWindows(p.Size), readings, beam.AllowedLateness(p.Lateness), beam.PanesAccumulate())
	return beam.CombinePerKey(s, &SummaryFn{}, windows)
}

// Sessions sums up readings per sensor and session: a time of activity that ends when nothing has been read for gap.
func Sessions(s beam.Scope, readings beam.PCollection, gap time.Duration) beam.PCollection {
	s = s.Scope("Sessions")
	return beam.CombinePerKey(s, &SummaryFn{}, beam.WindowInto(s, window.NewSessions(gap), readings))
}

// Summary is what there is to know of some readings.
type Summary struct {
	Count    int64
	Min, Max int64
	Mean     float64
}

// Partial is a Summary in the making: an accumulator. The zero value stands for no readings.
type Partial struct {
	Count, Sum int64
	Min, Max   int64
}

// SummaryFn is the CombineFn that makes Summaries. A runner may split the readings as it likes, and begin and merge accumulators
// as often as it likes.
type SummaryFn struct{}

// CreateAccumulator returns an accumulator of no readings.
func (*SummaryFn) CreateAccumulator() Partial { return Partial{} }

// AddInput returns an accumulator that knows of one reading more.
func (f *SummaryFn) AddInput(p Partial, value int64) Partial {
	return f.MergeAccumulators(p, Partial{Count: 1, Sum: value, Min: value, Max: value})
}

// MergeAccumulators returns an accumulator that knows of the readings of both.
func (*SummaryFn) MergeAccumulators(a, b Partial) Partial {
	// An accumulator without readings has no minimum: its zeros are nobody's.
	switch {
	case a.Count == 0:
		return b
	case b.Count == 0:
		return a
	}
	return Partial{Count: a.Count + b.Count, Sum: a.Sum + b.Sum, Min: min(a.Min, b.Min), Max: max(a.Max, b.Max)}
}

// ExtractOutput returns the Summary of the readings that p knows of: the zero Summary if there are none.
func (*SummaryFn) ExtractOutput(p Partial) Summary {
	if p.Count == 0 {
		return Summary{}
	}
	return Summary{Count: p.Count, Min: p.Min, Max: p.Max, Mean: float64(p.Sum) / float64(p.Count)}
}
