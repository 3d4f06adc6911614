// The service is scraped over HTTP, at times that the suite names, into a real TSDB; what an operator would ask, the suite asks
// by the real PromQL engine.
//
//kata:level 2
//kata:minutes 60
//kata:engine real PromQL engine and TSDB of Prometheus 3.15, real scrapes
package metrics_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/roadkata/roadkata/stage3/internal/kit/promtest"
	"github.com/roadkata/roadkata/stage3/observability/metrics"
)

const objective = 300 * time.Millisecond

// The names, types, units and help texts are the contract's, and promlint has nothing to say.
//
//kata:zh 名称、类型、单位和帮助文本与约定一致，promlint 挑不出毛病。
func TestConventions(t *testing.T) {
	w := begin(t)
	w.do("GET", "/orders/7")
	e := w.scrape()
	for name, kind := range map[string]string{
		"http_requests_total":           "counter",
		"http_request_duration_seconds": "histogram",
		"http_requests_in_flight":       "gauge",
	} {
		if got := e.Types[name]; got != kind {
			t.Errorf("%s is of type %q, want %q; exposed are %v", name, got, kind, e.Types)
		}
	}
	for family, labels := range map[string][]string{
		"http_requests_total":                 {"code", "route"},
		"http_request_duration_seconds_count": {"route"},
		"http_requests_in_flight":             nil,
	} {
		for _, s := range e.Find(family) {
			got := []string{}
			for name := range s.Labels.Map() {
				if name != "__name__" {
					got = append(got, name)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, labels) {
				t.Errorf("%s has the labels %q, want %q", s.Labels, got, labels)
			}
		}
	}
	problems, err := e.Lint()
	if err != nil {
		t.Fatalf("promlint: %v", err)
	}
	for _, p := range problems {
		t.Errorf("promlint on %s: %s", p.Metric, p.Text)
	}
}

// Every request counts once, under its route and the class of the code that was sent: also an implied 200, a 404, a 405.
//
//kata:zh 每个请求恰好计一次，归入自己的路由和实际发出的状态码类别；隐含的 200、404、405 也不例外。
func TestRequests(t *testing.T) {
	w := begin(t)
	answers := []struct {
		name    string
		handler http.HandlerFunc
		class   string
	}{
		{"nothing", func(w http.ResponseWriter, r *http.Request) {}, "2xx"},
		{"body only", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("x")) }, "2xx"},
		{"201", status(201), "2xx"},
		{"304", status(304), "3xx"},
		{"400", status(400), "4xx"},
		{"503", status(503), "5xx"},
		{"600", status(600), "5xx"},
		{"103, then 404", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(103); w.WriteHeader(404) }, "4xx"},
		{"a body, then 500 (too late)", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("x")); w.WriteHeader(500) }, "2xx"},
		{"nothing but flushes, then 500 (too late)", func(w http.ResponseWriter, r *http.Request) {
			if http.NewResponseController(w).Flush() == nil { // it sends the header
				w.WriteHeader(500)
			}
		}, "2xx"},
		{"202, then 500 (too late)", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(202); w.WriteHeader(500) }, "2xx"},
	}
	for _, a := range answers {
		before := w.counts()
		w.answer = a.handler
		w.do("GET", "/any")
		before["/any "+a.class]++
		if got := w.counts(); !equal(got, before) {
			t.Fatalf("a handler that writes %s: http_requests_total is now %v, want %v", a.name, got, before)
		}
	}
	w.answer = nil

	// What the mux answers by itself counts as well: the rate is that of the traffic.
	w.every15s(5*time.Minute, func() {
		w.do("GET", "/orders/7")
		w.do("GET", "/orders/8")
		w.do("POST", "/orders")
		w.do("GET", "/nowhere")
		w.do("DELETE", "/orders/7")
	})
	w.expect(`sum(rate(http_requests_total{route="GET /orders/{id}",code="2xx"}[5m]))`, 2.0/15)
	w.expect(`sum(rate(http_requests_total{route="POST /orders"}[5m]))`, 1.0/15)
	w.expect(`sum(rate(http_requests_total{code="4xx"}[5m]))`, 2.0/15)
	w.expect(`sum(rate(http_requests_total{route="unmatched"}[5m]))`, 2.0/15)
	w.expect(`sum(rate(http_requests_total[5m]))`, 5.0/15)
}

// The first error of a route is an increase, and a route without errors has an error ratio of 0, not "no data".
//
//kata:zh 路由的第一个错误就是一次增长；没有错误的路由，错误率是 0，而不是“无数据”。
func TestFirstError(t *testing.T) {
	w := begin(t)
	w.scrape()
	for _, route := range append(slices.Collect(maps.Keys(w.routes)), metrics.Unmatched) {
		for _, class := range []string{"2xx", "3xx", "4xx", "5xx"} {
			w.expect(fmt.Sprintf(`http_requests_total{route=%q,code=%q}`, route, class), 0)
		}
		w.expect(fmt.Sprintf(`http_request_duration_seconds_count{route=%q}`, route), 0)
	}
	w.every15s(5*time.Minute, func() { w.do("GET", "/orders/7") })
	w.expect(`sum(rate(http_requests_total{route="GET /orders/{id}",code="5xx"}[5m])) / sum(rate(http_requests_total{route="GET /orders/{id}"}[5m]))`, 0)
	w.answer = status(500)
	w.do("GET", "/any")
	w.advance(15 * time.Second)
	w.scrape()
	q := `increase(http_requests_total{route="/any",code="5xx"}[5m])`
	if v, ok := w.prom.Value(q, w.now); !ok || v < 0.5 {
		t.Fatalf("after the first 500 of a route, %s yields %s, want about 1", q, show(v, ok))
	}
}

// No client can add a series, whatever paths, methods and hosts it makes up; what no route serves is "unmatched".
//
//kata:zh 不管客户端编造怎样的路径、方法和主机名，都加不出新的序列；没有路由可走的一律是 "unmatched"。
func TestCardinality(t *testing.T) {
	w := begin(t)
	for _, code := range []int{200, 302, 404, 500} { // a series that is made by the first answer of its class is not the client's
		w.answer = status(code)
		w.do("GET", "/any")
	}
	w.do("GET", "/tree/a/")
	w.do("POST", "/orders")
	hostile := func(i int) {
		for _, r := range []struct{ method, path string }{
			{"GET", "/orders/%d"}, {"GET", "/nowhere/%d"}, {"GET", "/orders/%d/../%[1]d"}, {"GET", "/tree/%d"},
			{"CONNECT", "/tree/%d"}, {"CONNECT", "/%d"}, {"M%d", "/any"}, {"M%d", "/orders/1"}, {"GET", "/%%ff%d"},
		} {
			method, path := r.method, r.path
			if strings.Contains(method, "%") {
				method = fmt.Sprintf(method, i)
			} else {
				path = fmt.Sprintf(path, i)
			}
			w.do(method, path)
		}
	}
	hostile(0)
	before := w.scrape()
	for i := range 50 {
		hostile(i)
	}
	w.advance(15 * time.Second)
	after := w.scrape()
	known := map[string]bool{metrics.Unmatched: true}
	for pattern := range w.routes {
		known[pattern] = true
	}
	for _, s := range after.Samples {
		if route := s.Labels.Get("route"); route != "" && !known[route] {
			t.Fatalf("after made-up requests there is a series %s, whose route is neither a pattern nor %q", s.Labels, metrics.Unmatched)
		}
	}
	if len(after.Samples) != len(before.Samples) {
		t.Fatalf("450 made-up requests took the exposed series from %d to %d, want no more", len(before.Samples), len(after.Samples))
	}
	if got := len(after.Find("http_requests_total", "route", metrics.Unmatched)); got == 0 {
		t.Fatalf("requests that no route serves: no series with route=%q", metrics.Unmatched)
	}
}

// The time from arrival to the end of the handler is measured, and the buckets tell the share within the objective exactly.
//
//kata:zh 计量从请求到达至处理函数结束的时间；由桶能精确得出目标时延之内的请求占比。
func TestLatency(t *testing.T) {
	w := begin(t)
	var took time.Duration
	w.answer = func(rw http.ResponseWriter, r *http.Request) {
		w.advance(took / 2)
		rw.Write([]byte("half"))
		w.advance(took - took/2)
	}
	// Two of four requests lie within the objective, one of them to the nanosecond.
	w.every15s(5*time.Minute, func() {
		for _, took = range []time.Duration{objective / 3, objective, objective + time.Nanosecond, 2 * objective} {
			w.do("GET", "/any")
		}
	})
	within := fmt.Sprintf(`http_request_duration_seconds_bucket{route="/any",le="%v"}`, objective.Seconds())
	w.expect(fmt.Sprintf(`sum(rate(%s[5m])) / sum(rate(http_request_duration_seconds_count{route="/any"}[5m]))`, within), 0.5)
	mean := (objective/3 + objective + objective + time.Nanosecond + 2*objective).Seconds() / 4
	w.expect(`sum(rate(http_request_duration_seconds_sum[5m])) / sum(rate(http_request_duration_seconds_count[5m]))`, mean)

	for _, objective := range []time.Duration{objective, 2700 * time.Millisecond} {
		for _, percent := range []time.Duration{13, 24, 37, 57, 93, 100, 101, 167, 250, 367, 567, 767} {
			w = beginWith(t, objective)
			took = objective * percent / 100
			w.answer = func(rw http.ResponseWriter, r *http.Request) { w.advance(took) }
			w.do("GET", "/any")
			e := w.scrape()
			for _, rank := range []string{"0.1", "0.5", "0.9"} {
				q := `histogram_quantile(` + rank + `, http_request_duration_seconds_bucket{route="/any"})`
				v, ok := w.prom.Value(q, w.now)
				if off := v / took.Seconds(); !ok || off > 2 || off < 0.5 {
					t.Fatalf("objective %v, requests of %v: %s yields %s s, off by more than a factor of two", objective, took, q, show(v, ok))
				}
			}
			within := map[bool]float64{true: 1, false: 0}[took <= objective]
			w.expect(fmt.Sprintf(`http_request_duration_seconds_bucket{route="/any",le="%v"}`, objective.Seconds()), within)
			if n := len(e.Find("http_request_duration_seconds_bucket", "route", "/any")); n > 20 {
				t.Fatalf("the histogram has %d buckets, want at most 20: each is a series for each route", n)
			}
		}
	}
}

// A request whose handler panics counts as 5xx and is timed, and the panic goes on as it was.
//
//kata:zh 处理函数 panic 的请求记为 5xx 并计时，panic 原样继续向上。
func TestPanics(t *testing.T) {
	for _, cause := range []any{"out of tea", http.ErrAbortHandler} {
		for _, written := range []bool{false, true} {
			w := begin(t)
			w.answer = func(rw http.ResponseWriter, r *http.Request) {
				if written {
					rw.Write([]byte("half"))
				}
				w.advance(objective / 2)
				panic(cause)
			}
			_, got := w.try("GET", "/any")
			call := fmt.Sprintf("a handler that panics with %q (wrote before: %v)", cause, written)
			if got != cause {
				t.Fatalf("%s: the panic that comes out is %v, want the same", call, got)
			}
			if got, want := w.counts(), map[string]float64{"/any 5xx": 1}; !equal(got, want) {
				t.Fatalf("%s: http_requests_total is %v, want %v", call, got, want)
			}
			w.expect(`http_request_duration_seconds_sum{route="/any"}`, (objective / 2).Seconds())
		}
	}
}

// The gauge shows how many requests are being served, and is back at 0 when all have ended, in whatever way.
//
//kata:zh 仪表值等于正在处理的请求数；所有请求不论以何种方式结束，它都回到 0。
func TestInFlight(t *testing.T) {
	w := begin(t)
	entered, leave := make(chan bool), make(chan bool)
	w.answer = func(rw http.ResponseWriter, r *http.Request) {
		entered <- true
		<-leave
	}
	ended := make(chan bool)
	for range 3 {
		go func() {
			defer func() { ended <- true }()
			w.try("GET", "/any")
		}()
		<-entered
	}
	w.scrape()
	w.expect(`http_requests_in_flight`, 3)
	close(leave)
	for range 3 {
		<-ended
	}
	w.answer = func(rw http.ResponseWriter, r *http.Request) { panic("out of tea") }
	w.try("GET", "/any")
	w.do("GET", "/nowhere")
	w.advance(15 * time.Second)
	w.scrape()
	w.expect(`http_requests_in_flight`, 0)
}

// The metrics are in the given registry alone; if it refuses one of them, Instrument returns an error and leaves none behind.
//
//kata:zh 指标只进给定的注册表；只要有一项被它拒绝，Instrument 就返回错误，一项也不留下。
func TestRegistry(t *testing.T) {
	one, two := begin(t), begin(t)
	one.do("GET", "/orders/7")
	if got := two.counts(); len(got) != 0 {
		t.Fatalf("a request to one service counts in the registry of another: %v", got)
	}
	reg := prometheus.NewRegistry()
	plain, err, panicked := instrument(reg, one.routes) // its Now is nil, which is time.Now
	if err != nil || panicked != nil {
		t.Fatalf("Instrument without Now: error %v, panic %v", err, panicked)
	}
	plain.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/orders/7", nil))
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatalf("the global registry: %v", err)
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "http_") {
			t.Fatalf("the global registry exposes %s, want it left alone", f.GetName())
		}
	}
	for _, taken := range []string{"http_requests_total", "http_request_duration_seconds", "http_requests_in_flight"} {
		reg := prometheus.NewRegistry()
		reg.MustRegister(prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: taken, Help: "Somebody else's."}, []string{"whose"}))
		expectRefused(t, "Instrument, with "+taken+" taken in the registry", reg, one.routes)
	}
	for n := 1; ; n++ {
		reg := &refusing{Registry: prometheus.NewRegistry(), after: n}
		if n > 1 && !reg.refuses(one.routes) {
			return
		}
		reg = &refusing{Registry: prometheus.NewRegistry(), after: n}
		call := fmt.Sprintf("Instrument, with a registry that refuses the metric registered as number %d", n)
		expectRefused(t, call, reg, one.routes)
		if _, err, panicked := instrument(reg.Registry, one.routes); err != nil || panicked != nil {
			t.Fatalf("%s: the next try returns the error %v (panic: %v), want none: the failed one left something registered", call, err, panicked)
		}
	}
}

func expectRefused(t *testing.T, call string, reg prometheus.Registerer, routes map[string]http.Handler) {
	t.Helper()
	h, err, panicked := instrument(reg, routes)
	if panicked != nil {
		t.Fatalf("%s: panics with %v, want an error", call, panicked)
	}
	if h != nil || err == nil {
		t.Fatalf("%s = %v, %v; want nil and an error", call, h, err)
	}
}

// refusing is a registry that refuses one metric, the after-th.
type refusing struct {
	*prometheus.Registry
	after int
}

func (r *refusing) Register(c prometheus.Collector) error {
	if r.after--; r.after == 0 {
		return errors.New("registry: refused by the suite")
	}
	return r.Registry.Register(c)
}

func (r *refusing) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

// refuses tells whether so many metrics are registered that one is refused.
func (r *refusing) refuses(routes map[string]http.Handler) bool {
	instrument(r, routes)
	return r.after <= 0
}

// Measuring changes nothing: flushing, path values, 404, 405 with Allow and redirects are as without it.
//
//kata:zh 计量不改变行为：刷新、路径参数、404、带 Allow 的 405、重定向都与不计量时一样。
func TestTransparent(t *testing.T) {
	w := begin(t)
	w.answer = func(rw http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(rw).Flush(); err != nil {
			t.Errorf("http.NewResponseController(w).Flush() in a handler: %v", err)
		}
	}
	if got, _ := w.try("GET", "/any"); !got.Flushed {
		t.Errorf("a handler flushes: nothing was flushed to the client")
	}
	plain := http.NewServeMux()
	for pattern, h := range w.routes {
		plain.Handle(pattern, h)
	}
	for _, r := range []struct{ method, path string }{
		{"GET", "/orders/7"}, {"HEAD", "/orders/7"}, {"DELETE", "/orders/7"}, {"GET", "/orders"}, {"GET", "/nowhere"},
		{"GET", "/tree/a"}, {"GET", "/orders/../orders/7"}, {"GET", "/tree/a/"},
	} {
		want := httptest.NewRecorder()
		plain.ServeHTTP(want, httptest.NewRequest(r.method, r.path, nil))
		got := w.do(r.method, r.path)
		if got.Code != want.Code || got.Body.String() != want.Body.String() ||
			got.Header().Get("Allow") != want.Header().Get("Allow") || got.Header().Get("Location") != want.Header().Get("Location") {
			t.Errorf("%s %s:\n got %d %q %v\nwant %d %q %v (as the mux answers)", r.method, r.path,
				got.Code, got.Body, got.Header(), want.Code, want.Body, want.Header())
		}
	}
}

// world is an instrumented service, its clock, and a Prometheus that scrapes it when told to.
type world struct {
	t      *testing.T
	now    time.Time
	answer http.HandlerFunc // what /any answers
	routes map[string]http.Handler
	served http.Handler
	target string
	prom   *promtest.Prometheus
	done   int // requests
}

func begin(t *testing.T) *world {
	t.Helper()
	return beginWith(t, objective)
}

func beginWith(t *testing.T, objective time.Duration) *world {
	t.Helper()
	w := &world{t: t, now: promtest.Epoch}
	w.routes = map[string]http.Handler{
		"GET /orders/{id}": http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { fmt.Fprintf(rw, "order %s", r.PathValue("id")) }),
		"POST /orders":     status(201),
		"/tree/{node}/":    http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { fmt.Fprintf(rw, "node %s", r.PathValue("node")) }),
		"/any":             http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.answer(rw, r) }),
	}
	reg := prometheus.NewRegistry()
	served, err := metrics.Instrument(metrics.Config{Registry: reg, Objective: objective, Now: func() time.Time { return w.now }}, w.routes)
	if err != nil {
		t.Fatalf("Instrument: %v", err)
	}
	srv := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	t.Cleanup(srv.Close)
	w.served, w.target, w.prom = served, srv.URL+"/metrics", promtest.Start(t)
	return w
}

func instrument(reg prometheus.Registerer, routes map[string]http.Handler) (h http.Handler, err error, panicked any) {
	defer func() { panicked = recover() }()
	h, err = metrics.Instrument(metrics.Config{Registry: reg, Objective: objective}, routes)
	return h, err, nil
}

func (w *world) advance(d time.Duration) { w.now = w.now.Add(d) }

// do serves a request of which nobody expects a panic.
func (w *world) do(method, path string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	r := httptest.NewRequest("GET", path, nil)
	r.Method = method
	w.done++
	r.Host = fmt.Sprintf("host-%d.example", w.done) // clients send what they like
	w.served.ServeHTTP(answer, r)
	return answer
}

// try serves a request and returns the panic that came out.
func (w *world) try(method, path string) (answer *httptest.ResponseRecorder, panicked any) {
	answer = httptest.NewRecorder()
	defer func() { panicked = recover() }()
	w.served.ServeHTTP(answer, httptest.NewRequest(method, path, nil))
	return answer, nil
}

func (w *world) scrape() *promtest.Exposition {
	w.t.Helper()
	return w.prom.Scrape(w.target, w.now)
}

// every15s scrapes every 15 seconds and has the requests served in between.
func (w *world) every15s(d time.Duration, requests func()) {
	w.t.Helper()
	w.scrape()
	for range int(d / (15 * time.Second)) {
		next := w.now.Add(15 * time.Second)
		requests()
		w.now = next
		w.scrape()
	}
}

// expect asks Prometheus now.
func (w *world) expect(query string, want float64) {
	w.t.Helper()
	got, ok := w.prom.Value(query, w.now)
	if !ok || math.Abs(got-want) > 1e-6+math.Abs(want)/1000 {
		w.t.Fatalf("%s yields %s, want %v", query, show(got, ok), want)
	}
}

// counts are the requests by route and class, where there are any.
func (w *world) counts() map[string]float64 {
	w.t.Helper()
	w.advance(time.Second)
	counts := map[string]float64{}
	for _, s := range w.scrape().Find("http_requests_total") {
		if s.Value != 0 {
			counts[s.Labels.Get("route")+" "+s.Labels.Get("code")] += s.Value
		}
	}
	return counts
}

func show(v float64, ok bool) string {
	if !ok {
		return "no data"
	}
	return strconv.FormatFloat(v, 'g', 6, 64)
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) }
}

func equal(a, b map[string]float64) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}
