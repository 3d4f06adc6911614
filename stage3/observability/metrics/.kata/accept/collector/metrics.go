// Package metrics counts and times the requests of an HTTP service for Prometheus.
package metrics

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Unmatched is the route of a request that the service has no route for.
const Unmatched = "unmatched"

// Config says where the metrics go and what they are to answer.
type Config struct {
	// Registry takes the metrics. No other registry does.
	Registry prometheus.Registerer

	// Objective is the latency limit of the service's SLO: some share of the requests is to be answered within it. It is positive.
	Objective time.Duration

	// Now is the clock; nil stands for time.Now.
	Now func() time.Time
}

// Instrument returns a handler that serves the routes, a pattern of http.ServeMux and its handler each, and counts and times all
// requests in cfg.Registry. If the registry refuses one of the metrics it returns the error and leaves the registry as it was.
func Instrument(cfg Config, routes map[string]http.Handler) (http.Handler, error) {
	c := &collector{now: cfg.Now, stats: map[string]*stats{Unmatched: {}}}
	if c.now == nil {
		c.now = time.Now
	}
	// Twelve steps to the objective and some beyond, all of them multiples of a twelfth of it.
	for _, twelfths := range []time.Duration{1, 2, 3, 4, 6, 9, 12, 15, 18, 24, 36, 48, 72, 96} {
		c.bounds = append(c.bounds, (cfg.Objective * twelfths / 12).Seconds())
	}
	for pattern := range routes {
		c.stats[pattern] = &stats{}
	}
	// One collector of all metrics: the registry takes it whole or not at all.
	if err := cfg.Registry.Register(c); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for pattern, handler := range routes {
		mux.Handle(pattern, handler)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		end := c.begin(mux, r)
		answer := &writer{ResponseWriter: w, code: 500} // what a panic leaves
		defer func() { end(answer.code) }()
		mux.ServeHTTP(answer, r)
		answer.code = answer.sent
		if answer.sent == 0 {
			answer.code = 200
		}
	}), nil
}

// stats are the numbers of one route.
type stats struct {
	classes [10]uint64
	count   uint64
	sum     float64
	within  []uint64
}

// collector keeps plain numbers and makes metrics of them when it is scraped.
type collector struct {
	now    func() time.Time
	bounds []float64

	mu       sync.Mutex
	inFlight int
	stats    map[string]*stats
}

func (c *collector) begin(mux *http.ServeMux, r *http.Request) func(code int) {
	_, pattern := mux.Handler(r)
	start := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight++
	s := c.stats[pattern]
	if s == nil {
		s = c.stats[Unmatched]
	}
	return func(code int) {
		took := c.now().Sub(start).Seconds()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.inFlight--
		s.classes[min(code/100, 5)]++
		s.count++
		s.sum += took
		if s.within == nil {
			s.within = make([]uint64, len(c.bounds))
		}
		for i, bound := range c.bounds {
			if took <= bound {
				s.within[i]++
			}
		}
	}
}

func (c *collector) descs() (requests, duration, inFlight *prometheus.Desc) {
	return prometheus.NewDesc("http_requests_total", "Requests answered.", []string{"code", "route"}, nil),
		prometheus.NewDesc("http_request_duration_seconds", "Time to answer.", []string{"route"}, nil),
		prometheus.NewDesc("http_requests_in_flight", "Requests being served.", nil, nil)
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	requests, duration, inFlight := c.descs()
	ch <- requests
	ch <- duration
	ch <- inFlight
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	requests, duration, inFlight := c.descs()
	c.mu.Lock()
	defer c.mu.Unlock()
	ch <- prometheus.MustNewConstMetric(inFlight, prometheus.GaugeValue, float64(c.inFlight))
	for route, s := range c.stats {
		for class := 2; class <= 5; class++ {
			ch <- prometheus.MustNewConstMetric(requests, prometheus.CounterValue, float64(s.classes[class]), fmt.Sprint(class, "xx"), route)
		}
		buckets := make(map[float64]uint64, len(c.bounds))
		for i, bound := range c.bounds {
			buckets[bound] = 0
			if s.within != nil {
				buckets[bound] = s.within[i]
			}
		}
		ch <- prometheus.MustNewConstHistogram(duration, s.count, s.sum, buckets, route)
	}
}

// writer remembers the first final code; code is what the request counts as.
type writer struct {
	http.ResponseWriter
	sent, code int
}

func (w *writer) WriteHeader(code int) {
	if w.sent == 0 && code >= 200 {
		w.sent = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *writer) Write(b []byte) (int, error) {
	if w.sent == 0 {
		w.sent = 200
	}
	return w.ResponseWriter.Write(b)
}

// FlushError is what http.ResponseController calls. Flushing sends the header: a handler that has set no status has answered 200.
func (w *writer) FlushError() error {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if w.sent == 0 && !errors.Is(err, http.ErrNotSupported) {
		w.sent = 200
	}
	return err
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
