package httpclient_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage1/stdlib/httpclient"
)

// A server that is busy twice, and says when to come back, is asked three times.
func TestExampleRetry(t *testing.T) {
	var bodies []string
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		if len(bodies) < 3 {
			w.Header().Set("Retry-After", "2")
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "stored")
	}))
	defer api.Close()

	var waited []time.Duration
	c := httpclient.New(httpclient.Options{
		Sleep: func(_ context.Context, d time.Duration) error {
			waited = append(waited, d) // instead of waiting
			return nil
		},
	})
	defer c.Close()

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, api.URL+"/items/7", strings.NewReader("seven"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatalf("Do(PUT /items/7) failed: %v", err)
	}
	if resp.Status != 200 || string(resp.Body) != "stored" {
		t.Errorf("Do(PUT /items/7) = %d %q, want 200 %q", resp.Status, resp.Body, "stored")
	}
	if got, want := fmt.Sprint(bodies), "[seven seven seven]"; got != want {
		t.Errorf("the server got the bodies %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(waited), "[2s 2s]"; got != want {
		t.Errorf("waited %s between the attempts, want %s", got, want)
	}
}

// A status is an answer, not an error.
func TestExampleStatus(t *testing.T) {
	api := httptest.NewServer(http.NotFoundHandler())
	defer api.Close()
	c := httpclient.New(httpclient.Options{})
	defer c.Close()

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatalf("Do(GET) of a missing page failed: %v", err)
	}
	if resp.Status != 404 {
		t.Errorf("Do(GET) of a missing page = status %d, want 404", resp.Status)
	}
}
