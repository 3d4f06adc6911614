// Package framing sends messages over a stream of bytes: each is a frame, its length before it. This one is put
// together from io.ReadFull, io.CopyN and bytes.Buffer, which already grows with what arrives.
package framing

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
)

// ErrTooLarge says that a frame's payload is longer than allowed.
var ErrTooLarge = errors.New("framing: frame too large")

// Writer writes frames. It is not safe for concurrent use.
type Writer struct {
	dst    io.Writer
	limit  int
	out    bytes.Buffer
	broken error
}

// NewWriter returns a Writer to w for frames of up to limit bytes of payload.
func NewWriter(w io.Writer, limit int) *Writer {
	return &Writer{dst: w, limit: min(limit, math.MaxInt32)}
}

// WriteFrame writes p as one frame.
func (w *Writer) WriteFrame(p []byte) error {
	switch {
	case w.broken != nil:
		return w.broken
	case len(p) > w.limit:
		return ErrTooLarge
	}
	w.out.Reset()
	w.out.Write(binary.BigEndian.AppendUint32(w.out.AvailableBuffer(), uint32(len(p))))
	w.out.Write(p)
	size := w.out.Len()
	for w.out.Len() > 0 {
		n, err := w.dst.Write(w.out.Bytes())
		w.out.Next(n)
		if n == 0 && err == nil {
			err = io.ErrShortWrite
		}
		if err == nil {
			continue
		}
		if left := w.out.Len(); 0 < left && left < size {
			w.broken = err
		}
		return err
	}
	return nil
}

// Reader reads frames. It is not safe for concurrent use.
type Reader struct {
	src   io.Reader
	limit int64
	state func(*Reader, []byte) ([]byte, error) // what to do next; nil at the end
	final error

	head    [4]byte
	headLen int
	size    int64
	body    bytes.Buffer // of a frame that does not fit, or did not come in one go
}

// NewReader returns a Reader from r for frames of up to limit bytes of payload.
func NewReader(r io.Reader, limit int) *Reader {
	return &Reader{src: r, limit: int64(limit), state: (*Reader).readHead}
}

// ReadFrame reads the next frame.
func (r *Reader) ReadFrame(buf []byte) ([]byte, error) {
	if r.state == nil {
		return nil, r.final
	}
	return r.state(r, buf)
}

func (r *Reader) readHead(buf []byte) ([]byte, error) {
	n, err := io.ReadFull(r.src, r.head[r.headLen:])
	r.headLen += n
	if err != nil {
		if ended(err) && r.headLen == 0 {
			return r.end(io.EOF)
		}
		return r.cut(err)
	}
	r.size = int64(binary.BigEndian.Uint32(r.head[:]))
	if r.size > r.limit {
		return r.end(ErrTooLarge)
	}
	r.state = (*Reader).readBody
	return r.readBody(buf)
}

func (r *Reader) readBody(buf []byte) ([]byte, error) {
	if int64(cap(buf)) >= r.size {
		frame := buf[:r.size]
		had := copy(frame, r.body.Bytes())
		n, err := io.ReadFull(r.src, frame[had:])
		if err != nil && had+n < len(frame) {
			r.body.Write(frame[had : had+n])
			return r.cut(err)
		}
		return r.next(frame)
	}
	if _, err := io.CopyN(&r.body, r.src, r.size-int64(r.body.Len())); err != nil {
		return r.cut(err)
	}
	return r.next(r.body.Bytes())
}

func (r *Reader) next(frame []byte) ([]byte, error) {
	r.state, r.headLen, r.body = (*Reader).readHead, 0, bytes.Buffer{}
	return frame, nil
}

func (r *Reader) cut(err error) ([]byte, error) {
	if ended(err) {
		return r.end(io.ErrUnexpectedEOF)
	}
	return nil, err
}

func (r *Reader) end(err error) ([]byte, error) {
	r.state, r.final = nil, err
	return nil, err
}

func ended(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }
