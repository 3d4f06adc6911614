package flink

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/graph/window"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/runners/prism"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/testing/teststream"
)

// Reading is what a sensor measured. At is when it did: its event time.
type Reading struct {
	Sensor string
	At     time.Duration // since the epoch
	Value  int64
}

// Step is something that happens to the source: readings arrive together, then the watermark advances.
type Step struct {
	Readings  []Reading
	Watermark time.Duration // since the epoch; zero: stays where it is
}

// Pane is one result for a sensor and a window.
type Pane struct {
	Sensor     string
	Start, End time.Duration // of the window, since the epoch
	Summary    Summary
}

// Run feeds the steps to a pipeline, on Beam's prism runner in this process, and returns what comes out, in no particular order. After the
// last step the watermark advances to the end of time. What build gets is a PCollection of KV<string, int64>: sensor and value, at the
// reading's event time. What it returns has to be a PCollection of KV<string, Summary>, still in its windows.
func Run(ctx context.Context, build func(beam.Scope, beam.PCollection) beam.PCollection, steps ...Step) ([]Pane, error) {
	started.Do(start)
	results.Lock()
	results.runs++
	run := results.runs
	if results.panes == nil {
		results.panes = map[int][]Pane{}
	}
	results.Unlock()

	source := teststream.NewConfig()
	for _, step := range steps {
		// Readings of one step at different times are so many events of the stream; the watermark stays.
		for _, r := range step.Readings {
			if err := source.AddElements(r.At.Milliseconds(), r); err != nil {
				return nil, err
			}
		}
		if step.Watermark != 0 {
			if err := source.AdvanceWatermark(step.Watermark.Milliseconds()); err != nil {
				return nil, err
			}
		}
	}
	if err := source.AdvanceWatermarkToInfinity(); err != nil {
		return nil, err
	}

	p, s := beam.NewPipelineWithRoot()
	keyed := beam.ParDo(s, keyedFn, teststream.Create(s, source))
	beam.ParDo0(s, &collectFn{Run: run}, build(s, keyed))
	if _, err := prism.Execute(ctx, p); err != nil {
		return nil, err
	}
	results.Lock()
	defer results.Unlock()
	panes := results.panes[run]
	delete(results.panes, run)
	return panes, nil
}

var (
	started sync.Once
	results struct {
		sync.Mutex
		runs  int
		panes map[int][]Pane
	}
)

// start registers what runs on a worker, which a program of one pipeline would do in init: workers find types and functions by name.
func start() {
	register.Function1x2(keyedFn)
	register.DoFn3x0[beam.Window, string, Summary](&collectFn{})
	register.Combiner3[Partial, int64, Summary](&SummaryFn{})
	beam.RegisterType(reflect.TypeFor[Reading]())
	beam.Init()
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the runner's talk; what goes wrong comes back from Run
}

func keyedFn(r Reading) (string, int64) { return r.Sensor, r.Value }

// collectFn brings panes home. That works because worker and test are one process.
type collectFn struct {
	Run int
}

func (f *collectFn) ProcessElement(w beam.Window, sensor string, summary Summary) {
	p := Pane{Sensor: sensor, Summary: summary}
	if w, ok := w.(window.IntervalWindow); ok {
		p.Start = time.Duration(w.Start.Milliseconds()) * time.Millisecond
		p.End = time.Duration(w.End.Milliseconds()) * time.Millisecond
	}
	results.Lock()
	defer results.Unlock()
	results.panes[f.Run] = append(results.panes[f.Run], p)
}
