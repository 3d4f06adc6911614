package httpserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/roadkata/roadkata/stage1/stdlib/httpserver"
)

// A server routes by method and path, answers for a handler that fails, and stops when it is told to.
func TestExampleServe(t *testing.T) {
	s := httpserver.New(httpserver.Options{
		Report: func(r *http.Request, failure any) { t.Logf("%s %s failed: %v", r.Method, r.URL, failure) },
	})
	s.Handle("GET /hello/{name}", func(w http.ResponseWriter, r *http.Request) error {
		fmt.Fprintf(w, "hello, %s", r.PathValue("name"))
		return nil
	})
	s.Handle("GET /broken", func(w http.ResponseWriter, r *http.Request) error {
		return errors.New("no database")
	})

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()

	for _, want := range []struct {
		path   string
		status int
		body   string
	}{
		{"/hello/gopher", 200, "hello, gopher"},
		{"/broken", 500, `{"error":"Internal Server Error"}`},
	} {
		resp, err := http.Get("http://" + l.Addr().String() + want.path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want.status || strings.TrimSpace(string(body)) != want.body || err != nil {
			t.Errorf("GET %s = %d %q, %v; want %d %q", want.path, resp.StatusCode, body, err, want.status, want.body)
		}
	}

	stop()
	if err := <-served; err != nil {
		t.Errorf("Serve = %v after its context ended, want nil", err)
	}
}
