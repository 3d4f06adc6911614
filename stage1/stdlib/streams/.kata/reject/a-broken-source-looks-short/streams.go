// Closes the pipe without the error: the uploader reads io.EOF, commits half a file, and is told later.
//
//kata:caught-by TestSourceFailureReachesTheUploader
package streams

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

var (
	// ErrChecksum says that the plain bytes are not those that were sent.
	ErrChecksum = errors.New("streams: checksum mismatch")

	// ErrTrailingData says that something follows the checksum.
	ErrTrailingData = errors.New("streams: data behind the checksum")

	// ErrIncomplete says that an upload claims success although it has not read all of its body.
	ErrIncomplete = errors.New("streams: body not read to its end")
)

// Upload calls upload with a body that is src, compressed and with its checksum behind it. After each Read of src
// that brought bytes it calls progress, unless that is nil, with the number of plain bytes so far.
//
// If src fails, the body's Read returns that error, and so does Upload, wrapped or not, whatever upload returned. Once ctx
// has ended, src's next Read is not made, but counts as one that fails with ctx's error. Otherwise Upload returns upload's
// error; or, if that is nil but not all of the body was read, ErrIncomplete.
//
// When Upload has returned, nothing of it is left running: src is not read, progress is not called, and the body only
// returns errors. A panic in src, progress or upload becomes one of Upload.
func Upload(ctx context.Context, src io.Reader, upload func(ctx context.Context, body io.Reader) error, progress func(plain int64)) error {
	body, w := io.Pipe()
	p := &packer{ctx: ctx, src: src, progress: progress, done: make(chan struct{})}
	go p.run(w)

	uploadErr := p.attend(body, func() error { return upload(ctx, body) })
	switch {
	case p.srcErr != nil:
		return fmt.Errorf("streams: reading the source: %w", p.srcErr)
	case uploadErr != nil:
		return uploadErr
	default:
		return p.err
	}
}

// packer feeds a pipe. Its other fields may be read once done is closed.
type packer struct {
	ctx      context.Context
	src      io.Reader
	progress func(int64)
	plain    int64

	done     chan struct{}
	srcErr   error // src failed, or ctx ended
	err      error // packing did not come to its end, for this or another reason
	panicked any
}

// attend calls upload. However that ends, also with a panic, it stops the packer and waits for its end: after
// that nobody uses src any more.
func (p *packer) attend(body *io.PipeReader, upload func() error) error {
	defer func() {
		body.CloseWithError(ErrIncomplete) // what the packer's next Write returns, if there is one
		<-p.done
		if p.panicked != nil {
			panic(p.panicked)
		}
	}()
	return upload()
}

func (p *packer) run(w *io.PipeWriter) {
	defer close(p.done)
	defer func() {
		if p.panicked = recover(); p.panicked != nil {
			p.err = fmt.Errorf("streams: panic: %v", p.panicked)
		}
		end := p.ctx.Err()
		if p.panicked != nil {
			end = p.err
		}
		w.CloseWithError(end)
	}()
	p.err = p.pack(w)
}

func (p *packer) pack(w io.Writer) error {
	// The source is most of the work's time, so the quickest level; the reader takes any.
	zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(zip, sum), p); err != nil {
		return err
	}
	if err := zip.Close(); err != nil {
		return err
	}
	_, err = w.Write(sum.Sum(nil))
	return err
}

// Read reads the source for pack, and sees all that happens to it.
func (p *packer) Read(b []byte) (int, error) {
	if p.srcErr = p.ctx.Err(); p.srcErr != nil {
		return 0, p.srcErr
	}
	n, err := p.src.Read(b)
	if n > 0 {
		p.plain += int64(n)
		if p.progress != nil {
			p.progress(p.plain)
		}
	}
	if err != nil && err != io.EOF {
		p.srcErr = err
	}
	return n, err
}

// NewReader returns a Reader of the plain bytes of what Upload sent. It reads nothing from r before its first Read.
//
// Only its io.EOF says that all is well: that the checksum was there and right, and nothing behind it. A stream that
// ends anywhere before is io.ErrUnexpectedEOF. Every error is final.
func NewReader(r io.Reader) io.Reader {
	// A ByteReader: otherwise gzip would buffer, and swallow the checksum behind its member.
	return &reader{src: bufio.NewReader(r), sum: sha256.New()}
}

type reader struct {
	src *bufio.Reader
	zip *gzip.Reader // nil before the first Read
	sum hash.Hash
	err error
}

func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	if r.zip == nil {
		if r.zip, r.err = gzip.NewReader(r.src); r.err != nil {
			r.err = unexpected(r.err)
			return 0, r.err
		}
		r.zip.Multistream(false) // what follows is no member, but the checksum
	}
	n, err := r.zip.Read(p)
	r.sum.Write(p[:n])
	switch {
	case err == io.EOF:
		r.err = r.verify()
	case err != nil:
		r.err = err
	}
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

// verify reads what follows the gzip member. It returns io.EOF if all is well.
func (r *reader) verify() error {
	var want [sha256.Size]byte
	if _, err := io.ReadFull(r.src, want[:]); err != nil {
		return unexpected(err)
	}
	if !bytes.Equal(r.sum.Sum(nil), want[:]) {
		return ErrChecksum
	}
	_, err := r.src.ReadByte()
	if err == nil {
		return ErrTrailingData
	}
	return err
}

// unexpected is for where the stream must not end.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
