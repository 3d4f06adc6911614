package framing_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/roadkata/roadkata/stage1/stdlib/framing"
)

// What is written as frames is read as frames, and the end is io.EOF.
func TestExampleRoundTrip(t *testing.T) {
	var stream bytes.Buffer
	w := framing.NewWriter(&stream, 1024)
	for _, message := range []string{"hello", "", "world"} {
		if err := w.WriteFrame([]byte(message)); err != nil {
			t.Fatalf("WriteFrame(%q) = %v", message, err)
		}
	}
	if got, want := stream.String(), "\x00\x00\x00\x05hello\x00\x00\x00\x00\x00\x00\x00\x05world"; got != want {
		t.Errorf("the stream is %q, want %q", got, want)
	}

	r := framing.NewReader(&stream, 1024)
	buf := make([]byte, 1024)
	for _, want := range []string{"hello", "", "world"} {
		got, err := r.ReadFrame(buf)
		if err != nil || string(got) != want {
			t.Errorf("ReadFrame = %q, %v; want %q", got, err, want)
		}
	}
	if got, err := r.ReadFrame(buf); err != io.EOF {
		t.Errorf("ReadFrame at the end = %q, %v; want io.EOF", got, err)
	}
}

// A stream that ends within a frame lost something: that is not io.EOF.
func TestExampleCut(t *testing.T) {
	r := framing.NewReader(strings.NewReader("\x00\x00\x00\x05hel"), 1024)
	if got, err := r.ReadFrame(nil); err != io.ErrUnexpectedEOF {
		t.Errorf("ReadFrame of half a frame = %q, %v; want io.ErrUnexpectedEOF", got, err)
	}
}
