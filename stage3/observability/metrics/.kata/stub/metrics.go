// Package metrics counts and times the requests of an HTTP service for Prometheus.
package metrics

import (
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
	panic("TODO: register the metrics, route the requests, measure each of them")
}
