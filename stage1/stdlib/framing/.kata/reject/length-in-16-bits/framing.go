// Keeps the length in 16 bits on its way into the header: from 64 KiB on a frame is announced too short.
//
//kata:caught-by TestWireFormat
package framing

import (
	"encoding/binary"
	"errors"
	"io"
)

const (
	headerSize = 4
	firstChunk = 64 << 10 // what is allocated on a mere announcement
)

// ErrTooLarge says that a frame's payload is longer than allowed.
var ErrTooLarge = errors.New("framing: frame too large")

// Writer writes frames. It is not safe for concurrent use.
type Writer struct {
	w     io.Writer
	limit int
	buf   []byte // header and payload side by side, so that one Write takes both
	err   error  // what cut a frame
}

// NewWriter returns a Writer to w for frames of up to limit bytes of payload.
func NewWriter(w io.Writer, limit int) *Writer {
	return &Writer{w: w, limit: limit}
}

// WriteFrame writes p as one frame, in one call of Write if that takes it all. If Write takes a part without an
// error, WriteFrame goes on with the rest; if it takes nothing without an error, that is [io.ErrShortWrite].
//
// A payload above the limit is [ErrTooLarge], and nothing is written. Once an error has cut a frame, this and every
// later call returns that error and writes nothing. After an error before a frame's first byte, the next call starts anew.
func (w *Writer) WriteFrame(p []byte) error {
	if w.err != nil {
		return w.err
	}
	if len(p) > w.limit || uint64(len(p)) > 1<<32-1 {
		return ErrTooLarge
	}
	w.buf = binary.BigEndian.AppendUint32(w.buf[:0], uint32(uint16(len(p))))
	w.buf = append(w.buf, p...)
	for sent := 0; sent < len(w.buf); {
		n, err := w.w.Write(w.buf[sent:])
		sent += n
		if err == nil && n == 0 {
			err = io.ErrShortWrite
		}
		if err != nil && sent == len(w.buf) {
			return err // late, but the frame is out, and the next may follow
		}
		if err != nil {
			if sent > 0 {
				w.err = err // the other side waits for the rest of this frame; nothing else makes sense to it
			}
			return err
		}
	}
	return nil
}

// Reader reads frames. It is not safe for concurrent use.
type Reader struct {
	r     io.Reader
	limit int

	header [headerSize]byte // here, because on the stack it would escape to the heap with each call
	inHead int              // bytes of the header that are read
	kept   []byte           // payload that an earlier call has read of this frame; never the caller's memory
	err    error            // the end
}

// NewReader returns a Reader from r for frames of up to limit bytes of payload.
func NewReader(r io.Reader, limit int) *Reader {
	return &Reader{r: r, limit: limit}
}

// ReadFrame reads the next frame and returns its payload: in buf's array, from its start, if the payload fits into
// buf's capacity; else in a new one. It reads nothing beyond the frame.
//
// At the end of the stream it returns [io.EOF]; if the stream ends within a frame, [io.ErrUnexpectedEOF]; if a frame is
// longer than allowed, [ErrTooLarge]. These are final: every later call returns the same. Any other error of the
// underlying reader is returned as it is or wrapped, and what has been read of the frame is kept: the next call goes on
// from there.
func (r *Reader) ReadFrame(buf []byte) ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	n, err := r.fill(r.header[r.inHead:])
	r.inHead += n
	if err != nil {
		return nil, r.fail(err)
	}
	size := binary.BigEndian.Uint32(r.header[:])
	if uint64(size) > uint64(r.limit) {
		return nil, r.fail(ErrTooLarge)
	}

	frame, err := r.payload(buf, int(size))
	if err != nil {
		return nil, r.fail(err)
	}
	r.inHead, r.kept = 0, nil
	return frame, nil
}

// payload reads size bytes, of which the first may have been kept, into buf's array or a new one.
func (r *Reader) payload(buf []byte, size int) ([]byte, error) {
	if cap(buf) >= size {
		frame := buf[:size]
		got := copy(frame, r.kept)
		n, err := r.fill(frame[got:])
		if err != nil {
			r.kept = append(r.kept, frame[got:got+n]...) // a copy: the caller may use buf for something else
		}
		return frame, err
	}
	// The length is only what somebody says. Memory grows with what has really come.
	for frame := r.kept; ; {
		got := len(frame)
		if got == size {
			return frame, nil
		}
		if got == cap(frame) {
			more := min(size-got, max(got, firstChunk))
			frame = append(make([]byte, 0, got+more), frame...)
		}
		n, err := r.fill(frame[got:min(size, cap(frame))])
		frame = frame[:got+n]
		if err != nil {
			r.kept = frame
			return nil, err
		}
	}
}

// fill reads until p is full. An error that comes along with the last byte of p is none: it will come again.
func (r *Reader) fill(p []byte) (n int, err error) {
	for n < len(p) {
		m, err := r.r.Read(p[n:])
		n += m
		if err != nil && n < len(p) {
			return n, err
		}
	}
	return n, nil
}

// fail turns the end of the stream into what it means here, and remembers what is final.
func (r *Reader) fail(err error) error {
	if err == io.EOF && r.inHead > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF || err == ErrTooLarge {
		r.err, r.kept = err, nil
	}
	return err
}
