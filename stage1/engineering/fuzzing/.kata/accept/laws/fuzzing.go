package fuzzing

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// A law is one sentence of the contract. It panics with a broken if the codec
// does not keep it.
type law func(c Codec, data []byte)

type broken string

// laws are written without a peer wherever the packing is known from how it was
// made.
var laws = []law{encodes, decodesAny, refusesDamage, keepsLimit, ownsMemory}

// Check is the property.
func Check(codec Codec, data []byte) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case broken:
			err = errors.New(string(r))
		default:
			panic(r) // not ours: the codec's
		}
	}()
	for _, l := range laws {
		l(codec, slices.Clone(data))
	}
	return nil
}

func must(ok bool, format string, args ...any) {
	if !ok {
		panic(broken(fmt.Sprintf(format, args...)))
	}
}

// encodes: what Encode returns is a packing, not too long, and stands for data.
func encodes(c Codec, data []byte) {
	packed := c.Encode(data)
	must(len(packed) <= MaxLen(len(data)), "Encode(%q) is %d bytes long", data, len(packed))
	plain, err := Simple{}.Decode(packed, len(data))
	must(err == nil && bytes.Equal(plain, data), "Encode(%q) = %q, not a packing of it: %v", data, packed, err)
	plain, err = c.Decode(packed, len(data))
	must(err == nil && bytes.Equal(plain, data), "Decode(Encode(%q)) = %q, %v", data, plain, err)
}

// decodesAny: a packing is read whatever its chunks. They are chosen here by
// reading the data as chunks: a head, and as many bytes as it asks for.
func decodesAny(c Codec, data []byte) {
	var chunks, plain []byte
	for rest := data; len(rest) > 1; {
		h := rest[0]
		switch {
		case h == 0:
			rest = rest[1:]
			continue
		case h < 0x80:
			h = byte(min(int(h), len(rest)-1))
			chunks = append(append(chunks, h), rest[1:1+h]...)
			plain = append(plain, rest[1:1+h]...)
			rest = rest[1+h:]
		default:
			chunks = append(chunks, h, rest[1])
			plain = append(plain, bytes.Repeat(rest[1:2], int(h)-0x80+MinRun)...)
			rest = rest[2:]
		}
	}
	packed := seal(chunks, plain)
	got, err := c.Decode(packed, len(plain))
	must(err == nil && bytes.Equal(got, plain), "Decode(%q, %d) = %q, %v", packed, len(plain), got, err)

	// And the data themselves, whatever they are.
	want, bad := Simple{}.Decode(data, 1<<24)
	got, err = c.Decode(data, 1<<24)
	must((err == nil) == (bad == nil) && bytes.Equal(got, want), "Decode(%q) = %q, %v", data, got, err)
	must(err == nil || errors.Is(err, ErrCorrupt), "Decode(%q) = %v", data, err)
}

// refusesDamage: no packing is one after it was cut off, prolonged or changed in
// a byte of its sum; nor are literals and runs that lack bytes.
func refusesDamage(c Codec, data []byte) {
	packed := seal(nil, nil)
	if n := min(len(data), MaxLiteral); n > 0 {
		packed = seal(append([]byte{byte(n)}, data[:n]...), data[:n])
	}
	at := len(packed) - 1 - len(data)%4
	changed := slices.Clone(packed)
	changed[at]++
	for _, bad := range [][]byte{
		changed, packed[:at], packed[:len(packed)-5], append(slices.Clone(packed), 7),
		packed[:len(packed)*2/3-2], {0x81}, append(slices.Clone(packed[:len(packed)-5]), 0x81), {0x7f, 'a', 'b'},
	} {
		got, err := c.Decode(bad, 1<<24)
		must(errors.Is(err, ErrCorrupt) && len(got) == 0, "Decode(%q) = %q, %v", bad, got, err)
	}
}

// keepsLimit: as many bytes as allowed are read, one more is too many.
func keepsLimit(c Codec, data []byte) {
	packed := c.Encode(data)
	if n := len(data); n > 0 {
		for _, limit := range []int{0, n / 2, n - 1} {
			got, err := c.Decode(packed, limit)
			must(errors.Is(err, ErrTooLarge) && len(got) == 0, "Decode(%q, %d) = %q, %v", packed, limit, got, err)
		}
	}
}

// ownsMemory: nothing that is lent is written to, nothing that is returned is
// written to later.
func ownsMemory(c Codec, data []byte) {
	lend := func(b []byte) []byte { return append(slices.Clone(b), 1, 2, 3, 4, 5)[:len(b)] }
	same := func(got, want []byte) {
		must(bytes.Equal(got, want) && slices.Equal(got[len(got):len(got)+5], []byte{1, 2, 3, 4, 5}), "an argument was written to")
	}
	a := lend(data)
	packed := c.Encode(a)
	same(a, data)
	copied := slices.Clone(packed)
	b := lend(packed)
	plain, _ := c.Decode(b, len(data))
	same(b, packed)

	clear(a)
	clear(b)
	x := []byte("something else\x00\x00\x00\x00\x00")
	_, _ = c.Decode(c.Encode(x), len(x))
	must(bytes.Equal(packed, copied), "what Encode returned has changed")
	must(bytes.Equal(plain, data), "what Decode returned has changed")

	// What was returned is the caller's: later calls neither see it nor return it.
	clear(packed)
	clear(plain)
	plain, err := Simple{}.Decode(c.Encode(data), len(data))
	must(err == nil && bytes.Equal(plain, data), "Encode(%q) returns a slice again: %v", data, err)
	plain, err = c.Decode(copied, len(data))
	must(err == nil && bytes.Equal(plain, data), "Decode(%q) returns a slice again: %v", copied, err)
}

func seal(chunks, plain []byte) []byte {
	return binary.BigEndian.AppendUint32(append(slices.Clone(chunks), 0), crc32.ChecksumIEEE(plain))
}

// Seeds returns the data from which a fuzzer starts.
func Seeds() [][]byte {
	seeds := [][]byte{nil, {0}, []byte("hello"), []byte("\x80a\x80a"), []byte("\x01a\x01b\x01c"), []byte("\x02aa\x81a")}
	for n := range 3 {
		seeds = append(seeds, make([]byte, MaxRun-1+n))
		var rising []byte
		for i := range MaxLiteral - 1 + n {
			rising = append(rising, byte(i))
		}
		seeds = append(seeds, rising, append(rising, rising...))
	}
	return seeds
}
