// Lets Unwrap take Flush past the recorder: the 200 that a flush sends is not seen, and a late WriteHeader(500) is counted in its place.
//
//kata:caught-by TestRequests
package metrics

import (
	"fmt"
	"net/http"
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
	s := &service{
		mux: http.NewServeMux(),
		now: cfg.Now,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total",
			Help: "Requests answered, by route and class of the status code.",
		}, []string{"route", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_request_duration_seconds",
			Help:    "Time from a request's arrival to the end of its handler, by route.",
			Buckets: buckets(cfg.Objective),
		}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "http_requests_in_flight",
			Help: "Requests being served.",
		}),
		routes: make(map[string]*route, len(routes)+1),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if err := registerAll(cfg.Registry, s.requests, s.duration, s.inFlight); err != nil {
		return nil, err
	}
	for pattern, handler := range routes {
		s.mux.Handle(pattern, handler)
		s.add(pattern)
	}
	s.add(Unmatched)
	return s, nil
}

// registerAll registers all collectors or, with an error, none.
func registerAll(reg prometheus.Registerer, collectors ...prometheus.Collector) error {
	for i, c := range collectors {
		if err := reg.Register(c); err != nil {
			for _, done := range collectors[:i] {
				reg.Unregister(done)
			}
			return fmt.Errorf("metrics: %w", err)
		}
	}
	return nil
}

// buckets doubles from an eighth of the objective to eight times of it. Multiplying by powers of two is exact: one bound is the
// objective itself, so the share of requests within it is counted, not estimated.
func buckets(objective time.Duration) []float64 {
	return prometheus.ExponentialBuckets(objective.Seconds()/8, 2, 7)
}

// service routes and measures.
type service struct {
	mux      *http.ServeMux
	now      func() time.Time
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	routes   map[string]*route
}

// route holds the series of a route. They are made before the first request: a counter that appears with its first error has no
// increase for Prometheus to see.
type route struct {
	classes  [4]prometheus.Counter // 2xx to 5xx
	duration prometheus.Observer
}

func (s *service) add(name string) {
	r := &route{duration: s.duration.WithLabelValues(name)}
	for i := range r.classes {
		r.classes[i] = s.requests.WithLabelValues(name, fmt.Sprintf("%dxx", i+2))
	}
	s.routes[name] = r
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	measured := s.route(r)
	answer := &recorder{ResponseWriter: w}
	start := s.now()
	s.inFlight.Inc()
	panicked := true
	// Deferred without recover: a panic is counted on its way to whoever handles it, with its stack.
	defer func() {
		s.inFlight.Dec()
		measured.duration.Observe(s.now().Sub(start).Seconds())
		measured.classes[class(answer.status, panicked)].Inc()
	}()
	s.mux.ServeHTTP(answer, r)
	panicked = false
}

// route finds what the request is measured as. A name that the mux gives is used only if it is one of ours: for a redirected
// CONNECT it gives the path, which is the client's.
func (s *service) route(r *http.Request) *route {
	_, pattern := s.mux.Handler(r)
	if known, ok := s.routes[pattern]; ok {
		return known
	}
	return s.routes[Unmatched]
}

// class is the index of a status code's class among 2xx, 3xx, 4xx, 5xx.
func class(status int, panicked bool) int {
	switch {
	case panicked || status >= 500:
		return 3
	case status == 0: // a handler that writes nothing answers 200
		return 0
	default:
		return status/100 - 2
	}
}

// recorder remembers the status code that was sent.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 { // 1xx announces the answer, and of several answers the first was sent
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach what the server's own writer can do.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
