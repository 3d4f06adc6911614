// Package framing sends messages over a stream of bytes: each is a frame, its length before it.
//
// A frame is four bytes with the length of the payload, most significant byte first, and then the payload.
package framing

import (
	"errors"
	"io"
)

// ErrTooLarge says that a frame's payload is longer than allowed.
var ErrTooLarge = errors.New("framing: frame too large")

// Writer writes frames. It is not safe for concurrent use.
type Writer struct {
	// TODO: what it needs to remember
}

// NewWriter returns a Writer to w for frames of up to limit bytes of payload.
func NewWriter(w io.Writer, limit int) *Writer {
	panic("TODO: NewWriter")
}

// WriteFrame writes p as one frame, in one call of Write if that takes it all. If Write takes a part without an
// error, WriteFrame goes on with the rest; if it takes nothing without an error, that is [io.ErrShortWrite].
//
// A payload above the limit is [ErrTooLarge], and nothing is written. Once an error has cut a frame, this and every
// later call returns that error and writes nothing. After an error before a frame's first byte, the next call starts anew.
func (w *Writer) WriteFrame(p []byte) error {
	panic("TODO: Writer.WriteFrame")
}

// Reader reads frames. It is not safe for concurrent use.
type Reader struct {
	// TODO: what it needs to remember
}

// NewReader returns a Reader from r for frames of up to limit bytes of payload.
func NewReader(r io.Reader, limit int) *Reader {
	panic("TODO: NewReader")
}

// ReadFrame reads the next frame and returns its payload: in buf's array, from its start, if the payload fits into
// buf's capacity; else in a new one. It reads nothing beyond the frame.
//
// At the end of the stream it returns [io.EOF]; if the stream ends within a frame, [io.ErrUnexpectedEOF]; if a frame is
// longer than allowed, [ErrTooLarge]. These are final: every later call returns the same. Any other error of the
// underlying reader is returned as it is or wrapped, and what has been read of the frame is kept: the next call goes on
// from there.
func (r *Reader) ReadFrame(buf []byte) ([]byte, error) {
	panic("TODO: Reader.ReadFrame")
}
