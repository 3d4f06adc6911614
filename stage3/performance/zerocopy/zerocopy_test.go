package zerocopy_test

import (
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/roadkata/roadkata/stage3/performance/zerocopy"
)

// A file is served, and what was sent is reported.
func TestExampleFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hello.txt"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var got zerocopy.Record
	h := zerocopy.Observe(zerocopy.Files(root), func(r zerocopy.Record) { got = r })
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/hello.txt", nil))
	if want := (zerocopy.Record{Status: 200, Bytes: 5}); w.Body.String() != "hello" || got != want {
		t.Errorf("GET /hello.txt = %q, reported %+v; want %q, %+v", w.Body, got, "hello", want)
	}
}

// What one end sends comes out at the other.
func TestExampleRelay(t *testing.T) {
	farA, nearA := net.Pipe()
	farB, nearB := net.Pipe()
	a := zerocopy.NewMeter(nearA)
	relayed := make(chan error)
	go func() { relayed <- zerocopy.Relay(a, nearB) }()
	go func() {
		io.WriteString(farA, "hello")
		farA.Close()
	}()
	got, err := io.ReadAll(farB)
	if string(got) != "hello" || err != nil {
		t.Errorf("a sent %q; b received %q, %v", "hello", got, err)
	}
	farB.Close()
	if err := <-relayed; err != nil || a.In() != 5 {
		t.Errorf("Relay = %v with %d bytes in, want <nil> with 5", err, a.In())
	}
}
