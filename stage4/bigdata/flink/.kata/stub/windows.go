// Package flink computes over streams by event time, and takes snapshots of a task that runs.
package flink

import (
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
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
	panic("TODO: windows, lateness, panes")
}

// Sessions sums up readings per sensor and session: a time of activity that ends when nothing has been read for gap.
func Sessions(s beam.Scope, readings beam.PCollection, gap time.Duration) beam.PCollection {
	panic("TODO: windows that merge")
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
func (*SummaryFn) CreateAccumulator() Partial {
	panic("TODO: no readings")
}

// AddInput returns an accumulator that knows of one reading more.
func (*SummaryFn) AddInput(p Partial, value int64) Partial {
	panic("TODO: one reading more")
}

// MergeAccumulators returns an accumulator that knows of the readings of both.
func (*SummaryFn) MergeAccumulators(a, b Partial) Partial {
	panic("TODO: the readings of both")
}

// ExtractOutput returns the Summary of the readings that p knows of: the zero Summary if there are none.
func (*SummaryFn) ExtractOutput(p Partial) Summary {
	panic("TODO: the summary")
}
