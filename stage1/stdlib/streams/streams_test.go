package streams_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/roadkata/roadkata/stage1/stdlib/streams"
)

// What Upload sends, NewReader reads back.
func TestExampleRoundTrip(t *testing.T) {
	plain := strings.Repeat("to be or not to be, ", 10_000)
	var sent bytes.Buffer
	var last int64
	err := streams.Upload(t.Context(), strings.NewReader(plain), func(_ context.Context, body io.Reader) error {
		_, err := io.Copy(&sent, body)
		return err
	}, func(n int64) { last = n })
	if err != nil {
		t.Fatalf("Upload failed: %v", err)
	}
	if last != int64(len(plain)) {
		t.Errorf("the last progress is %d, want all %d plain bytes", last, len(plain))
	}
	if sent.Len() > len(plain)/10 {
		t.Errorf("%d bytes were sent for %d plain ones, want them compressed", sent.Len(), len(plain))
	}

	got, err := io.ReadAll(streams.NewReader(&sent))
	if err != nil || string(got) != plain {
		t.Errorf("reading it back = %d bytes, %v; want the %d that were uploaded", len(got), err, len(plain))
	}
}

// An uploader must not take half a source for a whole one.
func TestExampleSourceFails(t *testing.T) {
	broken := errors.New("disk on fire")
	src := io.MultiReader(strings.NewReader("the first half"), iotest.ErrReader(broken))
	err := streams.Upload(t.Context(), src, func(_ context.Context, body io.Reader) error {
		_, err := io.Copy(io.Discard, body)
		if !errors.Is(err, broken) {
			t.Errorf("the uploader read the body to %v, want %q", err, broken)
		}
		return err
	}, nil)
	if !errors.Is(err, broken) {
		t.Errorf("Upload = %v, want %q", err, broken)
	}
}
