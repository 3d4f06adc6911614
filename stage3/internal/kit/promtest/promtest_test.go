package promtest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage3/internal/kit/promtest"
)

func serve(t *testing.T, body *string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", promtest.TextFormat)
		fmt.Fprint(w, *body)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestScrapesAndQueries(t *testing.T) {
	body := "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\njobs_total{kind=\"a\"} 10\njobs_total{kind=\"b\"} 1\n"
	target := serve(t, &body)
	p := promtest.Start(t)
	p.Scrape(target, promtest.Epoch)
	body = "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\njobs_total{kind=\"a\"} 40\n"
	at := promtest.Epoch.Add(time.Minute)
	e := p.Scrape(target, at)

	if v, ok := p.Value(`increase(jobs_total{kind="a",job="kata"}[2m])`, at); !ok || v < 30 || v > 60 {
		t.Errorf("increase = %v, %v; want 30 or, extrapolated, a little more", v, ok)
	}
	if v, ok := p.Value(`jobs_total{kind="b"}`, at); ok {
		t.Errorf("a series that has gone yields %v, want no data", v)
	}
	if v, ok := p.Value(`1 + 1`, at); !ok || v != 2 {
		t.Errorf("1 + 1 = %v, %v", v, ok)
	}
	if e.Types["jobs_total"] != "counter" || e.Help["jobs_total"] != "Jobs." {
		t.Errorf("types %v, help %v", e.Types, e.Help)
	}
	if s := e.Find("jobs_total", "kind", "a"); len(s) != 1 || s[0].Value != 40 {
		t.Errorf("Find = %v", s)
	}
}

func TestLint(t *testing.T) {
	for body, want := range map[string]int{
		"# HELP a_seconds A.\n# TYPE a_seconds gauge\na_seconds 1\n":                0,
		"# HELP a_milliseconds A.\n# TYPE a_milliseconds gauge\na_milliseconds 1\n": 1,
	} {
		e, err := promtest.Parse([]byte(body), promtest.TextFormat)
		if err != nil {
			t.Fatal(err)
		}
		if problems, err := e.Lint(); err != nil || len(problems) != want {
			t.Errorf("Lint of %q = %v, %v; want %d problems", body, problems, err, want)
		}
	}
}

func TestRefuses(t *testing.T) {
	if _, err := promtest.Parse([]byte("a{ 1\n"), promtest.TextFormat); err == nil {
		t.Error("Parse of a broken exposition: no error")
	}
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	if _, err := promtest.Get(srv.URL); err == nil {
		t.Error("Get of a 404: no error")
	}
}
