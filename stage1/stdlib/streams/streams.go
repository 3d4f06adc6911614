// Package streams sends a source of any length, compressed and with a checksum, in one pass and in little memory.
//
// What is sent is one gzip member, and after it the 32 bytes of the SHA-256 of the plain bytes.
package streams

import (
	"context"
	"errors"
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
	panic("TODO: Upload")
}

// NewReader returns a Reader of the plain bytes of what Upload sent. It reads nothing from r before its first Read.
//
// Only its io.EOF says that all is well: that the checksum was there and right, and nothing behind it. A stream that
// ends anywhere before is io.ErrUnexpectedEOF. Every error is final.
func NewReader(r io.Reader) io.Reader {
	panic("TODO: NewReader")
}
