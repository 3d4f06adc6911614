// Package fuzzing holds a property for codecs of one format, and the seeds from
// which a fuzzer starts.
//
// The format packs bytes into chunks. A chunk begins with a head, one byte h:
//
//	0x00         the end: 4 bytes follow, the CRC-32 (IEEE) of the plain bytes,
//	             big-endian, and nothing after them
//	0x01 … 0x7f  a literal: h bytes follow, which stand for themselves
//	0x80 … 0xff  a run: one byte follows, which stands for h-0x80+2 of itself
//	             (2 to 129)
//
// An encoder is free to choose its chunks: the same plain bytes have many
// packings, and all of them are valid.
package fuzzing

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Limits of the format.
const (
	MaxLiteral = 0x7f          // bytes in one literal
	MinRun     = 2             // bytes for which the shortest run stands
	MaxRun     = MinRun + 0x7f // and the longest
)

// MaxCalls is how many calls of the codec one Check may make.
const MaxCalls = 32

// ErrCorrupt is reported for bytes that are no packing.
var ErrCorrupt = errors.New("corrupt packing")

// ErrTooLarge is reported for a packing of more bytes than wanted.
var ErrTooLarge = errors.New("packing holds too many bytes")

// A Codec writes and reads packings. What its methods return belongs to the
// caller: it shares no memory with the arguments, nor with what other calls
// return. Arguments are only read, and never beyond their length. No call
// depends on the calls before it.
type Codec interface {
	// Encode returns a packing of plain, of at most MaxLen(len(plain)) bytes. It
	// may choose any, and not the same each time.
	Encode(plain []byte) []byte

	// Decode returns the plain bytes of any valid packing, whoever made it, if
	// they are at most max (which is not negative).
	//
	// If they are more, the error is an ErrTooLarge. If packed is no packing (its
	// chunks don't end, the CRC is of other bytes, something follows), the error
	// is an ErrCorrupt, or an ErrTooLarge if the chunks, also one that is cut off,
	// stand for more than max bytes: then a decoder need not read on. Errors are to be recognised with
	// errors.Is. With an error come no bytes (nil or empty).
	Decode(packed []byte, max int) ([]byte, error)
}

// MaxLen returns how long Encode may make a packing of n bytes at most: as long
// as if it consisted of literals, each but the last of full length. The format
// has no such limit: what others made may be longer, and is valid all the same.
func MaxLen(n int) int {
	return n + (n+MaxLiteral-1)/MaxLiteral + 5
}

// Simple is a Codec that is right. There are others.
type Simple struct{}

// Encode makes a run of three or more equal bytes, and literals of the rest.
func (Simple) Encode(plain []byte) []byte {
	packed := make([]byte, 0, MaxLen(len(plain)))
	literal := 0 // how many bytes before i are not packed yet
	flush := func(i int) {
		for ; literal > 0; literal -= min(literal, MaxLiteral) {
			n := min(literal, MaxLiteral)
			packed = append(packed, byte(n))
			packed = append(packed, plain[i-literal:i-literal+n]...)
		}
	}
	for i := 0; i < len(plain); {
		n := 1
		for i+n < len(plain) && n < MaxRun && plain[i+n] == plain[i] {
			n++
		}
		if n >= 3 {
			flush(i)
			packed = append(packed, byte(0x80+n-MinRun), plain[i])
		} else {
			literal += n
		}
		i += n
	}
	flush(len(plain))
	return binary.BigEndian.AppendUint32(append(packed, 0), crc32.ChecksumIEEE(plain))
}

// Decode unpacks packed.
func (Simple) Decode(packed []byte, max int) ([]byte, error) {
	plain := []byte{}
	for rest := packed; ; {
		if len(rest) == 0 {
			return nil, fmt.Errorf("%w: no end", ErrCorrupt)
		}
		h := int(rest[0])
		rest = rest[1:]
		switch {
		case h == 0:
			if len(rest) != 4 || binary.BigEndian.Uint32(rest) != crc32.ChecksumIEEE(plain) {
				return nil, fmt.Errorf("%w: wrong sum", ErrCorrupt)
			}
			return plain, nil
		case h <= MaxLiteral:
			if len(rest) < h {
				return nil, fmt.Errorf("%w: a literal is cut off", ErrCorrupt)
			}
			plain = append(plain, rest[:h]...)
			rest = rest[h:]
		default:
			if len(rest) == 0 {
				return nil, fmt.Errorf("%w: a run is cut off", ErrCorrupt)
			}
			plain = append(plain, bytes.Repeat(rest[:1], h-0x80+MinRun)...)
			rest = rest[1:]
		}
		if len(plain) > max {
			return nil, fmt.Errorf("%w: more than %d", ErrTooLarge, max)
		}
	}
}
