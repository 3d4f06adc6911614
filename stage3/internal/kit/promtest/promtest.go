// Package promtest is a small Prometheus for suites: it scrapes a target over HTTP, at a time that the test names, into a real
// TSDB, and answers queries with the real PromQL engine. It never looks at a clock: time is what the test says it is.
package promtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// TextFormat is the content type that Scrape asks for.
const TextFormat = "text/plain; version=0.0.4; charset=utf-8"

// Epoch is a time to count from, divisible by all usual intervals.
var Epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Prometheus is a storage and an engine. It is not safe for concurrent use.
type Prometheus struct {
	t      testing.TB
	db     *tsdb.DB
	engine *promql.Engine
	parser parser.Parser
	last   map[string]map[string]labels.Labels // by target: what its last scrape held
}

// Start returns an empty Prometheus, closed when the test ends.
func Start(t testing.TB) *Prometheus {
	t.Helper()
	opts := tsdb.DefaultOptions()
	opts.RetentionDuration = 0
	opts.MinBlockDuration = (24 * time.Hour).Milliseconds() // a test's hours stay in the head, whose window they must not leave
	opts.MaxBlockDuration = opts.MinBlockDuration
	db, err := tsdb.Open(t.TempDir(), nil, nil, opts, nil)
	if err != nil {
		t.Fatalf("promtest: opening the storage: %v", err)
	}
	db.DisableCompactions()
	p := parser.NewParser(parser.Options{})
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples:           50_000_000,
		Timeout:              time.Minute,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
		Parser:               p,
	})
	t.Cleanup(func() {
		if err := errors.Join(engine.Close(), db.Close()); err != nil {
			t.Errorf("promtest: closing: %v", err)
		}
	})
	return &Prometheus{t: t, db: db, engine: engine, parser: p, last: map[string]map[string]labels.Labels{}}
}

// Storage is where the samples are, for a rule engine say.
func (p *Prometheus) Storage() storage.Storage { return p.db }

// Engine evaluates the queries.
func (p *Prometheus) Engine() *promql.Engine { return p.engine }

// Parser parses the queries.
func (p *Prometheus) Parser() parser.Parser { return p.parser }

// Scrape gets target over HTTP and stores what it exposes as of at, with the labels job="kata" and instance="host:port". A series
// that the last scrape of this target held and this one does not is marked stale, as Prometheus does. What cannot be scraped
// fails the test.
func (p *Prometheus) Scrape(target string, at time.Time) *Exposition {
	p.t.Helper()
	e, err := Get(target)
	if err != nil {
		p.t.Fatalf("scrape of /metrics: %v", err)
	}
	u, err := url.Parse(target)
	if err != nil {
		p.t.Fatalf("promtest: %v", err)
	}
	if err := p.Store(e, at, u.Host); err != nil {
		p.t.Fatalf("scrape of /metrics: %v", err)
	}
	return e
}

// Store stores an exposition as of at, as if it had been scraped from instance.
func (p *Prometheus) Store(e *Exposition, at time.Time, instance string) error {
	now := map[string]labels.Labels{}
	app := p.db.AppenderV2(context.Background())
	add := func(l labels.Labels, v float64) error {
		_, err := app.Append(0, l, 0, at.UnixMilli(), v, nil, nil, storage.AOptions{})
		return err
	}
	for _, s := range e.Samples {
		l := labels.NewBuilder(s.Labels).Set("job", "kata").Set("instance", instance).Labels()
		now[l.String()] = l
		if err := add(l, s.Value); err != nil {
			return errors.Join(fmt.Errorf("storing %s: %w", s.Labels, err), app.Rollback())
		}
	}
	for key, l := range p.last[instance] {
		if _, ok := now[key]; !ok {
			if err := add(l, math.Float64frombits(value.StaleNaN)); err != nil {
				return errors.Join(fmt.Errorf("marking %s stale: %w", l, err), app.Rollback())
			}
		}
	}
	p.last[instance] = now
	return app.Commit()
}

// Query evaluates expr at a time. A scalar comes as a vector of one sample without labels; a query that the engine refuses, or
// that yields something else, fails the test.
func (p *Prometheus) Query(expr string, at time.Time) promql.Vector {
	p.t.Helper()
	q, err := p.engine.NewInstantQuery(context.Background(), p.db, nil, expr, at)
	if err != nil {
		p.t.Fatalf("query %s: %v", expr, err)
	}
	defer q.Close()
	res := q.Exec(context.Background())
	if res.Err != nil {
		p.t.Fatalf("query %s: %v", expr, res.Err)
	}
	switch v := res.Value.(type) {
	case promql.Vector:
		return append(promql.Vector(nil), v...) // Close gives the engine its slices back
	case promql.Scalar:
		return promql.Vector{{T: v.T, F: v.V}}
	default:
		p.t.Fatalf("query %s: yields a %s, want a vector or a scalar", expr, res.Value.Type())
		return nil
	}
}

// Value evaluates expr, which must not yield more than one sample. Without any, ok is false: "no data" on a dashboard.
func (p *Prometheus) Value(expr string, at time.Time) (v float64, ok bool) {
	p.t.Helper()
	switch res := p.Query(expr, at); len(res) {
	case 0:
		return 0, false
	case 1:
		return res[0].F, true
	default:
		p.t.Fatalf("query %s: yields %d series, want one", expr, len(res))
		return 0, false
	}
}

// Sample is one line of an exposition.
type Sample struct {
	Labels labels.Labels // the metric's name among them, as __name__
	Value  float64
}

// Name is the name of the sample's metric: http_requests_total, http_request_duration_seconds_bucket.
func (s Sample) Name() string { return s.Labels.Get(labels.MetricName) }

// Exposition is what a target exposed.
type Exposition struct {
	Body    []byte
	Samples []Sample
	Types   map[string]string // by family: counter, gauge, histogram, summary, untyped
	Help    map[string]string // by family
}

// Get scrapes target over HTTP without storing anything.
func Get(target string) (*Exposition, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", TextFormat)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", resp.Status, body)
	}
	return Parse(body, resp.Header.Get("Content-Type"))
}

// Parse reads a text exposition by Prometheus' own parser.
func Parse(body []byte, contentType string) (*Exposition, error) {
	p, err := textparse.New(body, contentType, nil, textparse.ParserOptions{FallbackContentType: "text/plain"})
	if err != nil {
		return nil, err
	}
	e := &Exposition{Body: body, Types: map[string]string{}, Help: map[string]string{}}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return e, nil
		}
		if err != nil {
			return nil, fmt.Errorf("parsing the exposition: %w", err)
		}
		switch entry {
		case textparse.EntryType:
			name, kind := p.Type()
			e.Types[string(name)] = string(kind)
		case textparse.EntryHelp:
			name, help := p.Help()
			e.Help[string(name)] = string(help)
		case textparse.EntrySeries:
			s := Sample{}
			_, _, s.Value = p.Series()
			p.Labels(&s.Labels)
			e.Samples = append(e.Samples, s)
		}
	}
}

// Lint runs promlint over the exposition.
func (e *Exposition) Lint() ([]promlint.Problem, error) {
	return promlint.New(bytes.NewReader(e.Body)).Lint()
}

// Find returns the samples of a metric that have all of the labels, given as name, value, name, value.
func (e *Exposition) Find(name string, nameValues ...string) []Sample {
	var found []Sample
	for _, s := range e.Samples {
		if s.Name() != name {
			continue
		}
		match := true
		for i := 0; i+1 < len(nameValues); i += 2 {
			match = match && s.Labels.Get(nameValues[i]) == nameValues[i+1]
		}
		if match {
			found = append(found, s)
		}
	}
	return found
}
