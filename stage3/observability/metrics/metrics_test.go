package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/roadkata/roadkata/stage3/observability/metrics"
)

// One request is served, and a scrape shows it.
func TestExampleInstrument(t *testing.T) {
	reg := prometheus.NewRegistry()
	h, err := metrics.Instrument(metrics.Config{Registry: reg, Objective: 300 * time.Millisecond}, map[string]http.Handler{
		"GET /orders/{id}": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("order " + r.PathValue("id")))
		}),
	})
	if err != nil {
		t.Fatalf("Instrument: %v", err)
	}

	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequest("GET", "/orders/7", nil))
	if got, want := answer.Body.String(), "order 7"; got != want {
		t.Errorf("GET /orders/7 = %q, want %q", got, want)
	}

	scrape := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(scrape, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`http_requests_total{code="2xx",route="GET /orders/{id}"} 1`,
		`http_requests_total{code="5xx",route="GET /orders/{id}"} 0`,
		`http_request_duration_seconds_bucket{route="GET /orders/{id}",le="0.3"} 1`,
		`http_requests_in_flight 0`,
	} {
		if !strings.Contains(scrape.Body.String(), want+"\n") {
			t.Errorf("the scrape has no line %s:\n%s", want, scrape.Body)
		}
	}
}
