// Package streams sends a source of any length, compressed and with a checksum. There is no goroutine and no pipe: the
// body packs another piece of the source when somebody reads it.
package streams

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"sync"
)

var (
	// ErrChecksum says that the plain bytes are not those that were sent.
	ErrChecksum = errors.New("streams: checksum mismatch")

	// ErrTrailingData says that something follows the checksum.
	ErrTrailingData = errors.New("streams: data behind the checksum")

	// ErrIncomplete says that an upload claims success although it has not read all of its body.
	ErrIncomplete = errors.New("streams: body not read to its end")

	errClosed = errors.New("streams: the upload is over")
)

// Upload calls upload with a body that packs src as it is read.
func Upload(ctx context.Context, src io.Reader, upload func(ctx context.Context, body io.Reader) error, progress func(plain int64)) error {
	b := &body{ctx: ctx, src: src, progress: progress, sum: sha256.New(), piece: make([]byte, 32<<10)}
	b.zip = gzip.NewWriter(&b.packed)
	defer func() {
		if b.close(); b.panicked != nil {
			panic(b.panicked)
		}
	}()
	err := upload(ctx, b)
	b.close()
	switch {
	case b.failed != nil:
		return b.failed
	case err != nil:
		return err
	case !b.ended || b.packed.Len() > 0:
		return ErrIncomplete
	}
	return nil
}

// body may be read by a goroutine that upload left behind; hence the lock.
type body struct {
	mu       sync.Mutex
	ctx      context.Context
	src      io.Reader
	progress func(int64)
	piece    []byte
	plain    int64
	sum      hash.Hash
	zip      *gzip.Writer
	packed   bytes.Buffer // never more than one piece makes

	ended    bool // all of src is packed
	failed   error
	panicked any
	closed   bool
}

func (b *body) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case b.closed:
			return 0, errClosed
		case b.failed != nil:
			return 0, b.failed
		case b.packed.Len() > 0:
			return b.packed.Read(p)
		case b.ended:
			return 0, io.EOF
		}
		b.pack()
	}
}

// pack packs another piece.
func (b *body) pack() {
	defer func() {
		if b.panicked = recover(); b.panicked != nil {
			b.failed = errors.New("streams: the source panicked")
		}
	}()
	if b.failed = b.ctx.Err(); b.failed != nil {
		return
	}
	n, err := b.src.Read(b.piece)
	if n > 0 {
		b.plain += int64(n)
		b.sum.Write(b.piece[:n])
		b.zip.Write(b.piece[:n])
		if b.progress != nil {
			b.progress(b.plain)
		}
	}
	if err == io.EOF {
		b.zip.Close()
		b.packed.Write(b.sum.Sum(nil))
		b.ended = true
	} else if err != nil {
		b.failed = err
	}
}

// NewReader returns a Reader of the plain bytes of what Upload sent.
func NewReader(r io.Reader) io.Reader {
	u := &unpacker{in: bufio.NewReaderSize(r, 16<<10), sum: sha256.New()}
	u.state = u.open
	return u
}

// unpacker is in one of the states open, plain and over.
type unpacker struct {
	in    *bufio.Reader
	zip   gzip.Reader
	sum   hash.Hash
	state func([]byte) (int, error)
}

func (u *unpacker) Read(p []byte) (int, error) { return u.state(p) }

func (u *unpacker) over(err error) (int, error) {
	u.state = func([]byte) (int, error) { return 0, err }
	return 0, err
}

func (u *unpacker) cut(err error) (int, error) {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return u.over(err)
}

func (u *unpacker) open(p []byte) (int, error) {
	if err := u.zip.Reset(u.in); err != nil {
		return u.cut(err)
	}
	u.zip.Multistream(false)
	u.state = u.plain
	return u.plain(p)
}

func (u *unpacker) plain(p []byte) (int, error) {
	n, err := u.zip.Read(p)
	u.sum.Write(p[:n])
	if n > 0 || err == nil {
		return n, nil // an error will come again
	}
	if err != io.EOF {
		return u.over(err)
	}
	trailer := make([]byte, sha256.Size)
	if _, err := io.ReadFull(u.in, trailer); err != nil {
		return u.cut(err)
	}
	if string(trailer) != string(u.sum.Sum(nil)) {
		return u.over(ErrChecksum)
	}
	if _, err := u.in.Peek(1); err != nil {
		return u.over(err)
	}
	return u.over(ErrTrailingData)
}
