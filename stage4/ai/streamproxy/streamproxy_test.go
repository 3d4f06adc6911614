package streamproxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/roadkata/roadkata/stage4/ai/streamproxy"
)

// A stream goes through the proxy; the tenant's key is exchanged for the provider's.
func TestExampleStream(t *testing.T) {
	const events = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"}}]}\n\ndata: [DONE]\n\n"
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer sk-provider" {
			t.Errorf("upstream got Authorization %q, want the provider's key", got)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, events)
	}))
	defer upstream.Close()
	proxy := httptest.NewServer(streamproxy.New(streamproxy.Options{
		Upstream: upstream.URL + "/v1",
		Key:      "sk-provider",
		Tenants:  map[string]string{"key-of-shop": "shop"},
		Usage:    func(u streamproxy.Usage) { t.Logf("used: %+v", u) },
	}))
	defer proxy.Close()

	req, err := http.NewRequest("POST", proxy.URL+"/v1/chat/completions", strings.NewReader(`{"model":"m","stream":true,"messages":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer key-of-shop")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); string(got) != events || err != nil {
		t.Fatalf("the client got %q, %v, want %q", got, err, events)
	}
}
