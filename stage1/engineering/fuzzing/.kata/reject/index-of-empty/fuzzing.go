// Takes its choices from the first byte of the data, which may have none.
//
//kata:caught-by TestAcceptsRight
package fuzzing

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// unlimited is more than any packing that a fuzzer comes up with stands for.
const unlimited = 1 << 24

// Check is the property: it returns an error that says what is wrong if codec
// breaks, for these data, a sentence of the contract of [Codec], and nil if it
// doesn't. The data are any bytes, also none; Check may take them for plain
// bytes, for a packing, and for choices that it has to make.
func Check(codec Codec, data []byte) error {
	if err := checkPlain(codec, data); err != nil {
		return fmt.Errorf("plain %q: %w", data, err)
	}
	if err := checkPacked(codec, data); err != nil {
		return fmt.Errorf("packed %q: %w", data, err)
	}
	if err := checkDamage(codec, data); err != nil {
		return fmt.Errorf("plain %q: %w", data, err)
	}
	return nil
}

// checkPlain takes data for plain bytes.
func checkPlain(codec Codec, data []byte) error {
	// Whatever a codec writes into its argument or behind it has to show.
	const guard = 16
	lent := append(bytes.Clone(data), bytes.Repeat([]byte{0xa5}, guard)...)
	before := bytes.Clone(lent)
	packed := codec.Encode(lent[:len(data)])
	if !bytes.Equal(lent, before) {
		return errors.New("Encode wrote to its argument")
	}
	if len(packed) > MaxLen(len(data)) {
		return fmt.Errorf("Encode made %d bytes of it, want %d at most", len(packed), MaxLen(len(data)))
	}

	// A codec that only understands itself may speak a format of its own, so a
	// peer has to understand it too.
	first := bytes.Clone(packed)
	if plain, err := (Simple{}).Decode(first, unlimited); err != nil || !bytes.Equal(plain, data) {
		return fmt.Errorf("Encode made %q of it, which a peer reads as %q, %v", first, plain, err)
	}
	lent = append(packed[:len(packed):len(packed)], bytes.Repeat([]byte{0xa5}, guard)...)
	before = bytes.Clone(lent)
	plain, err := codec.Decode(lent[:len(packed)], len(data))
	if err != nil || !bytes.Equal(plain, data) {
		return fmt.Errorf("Decode(%q, %d) = %q, %v, want what was encoded", first, len(data), plain, err)
	}
	if !bytes.Equal(lent, before) {
		return errors.New("Decode wrote to its argument")
	}

	// What was returned has to outlive the arguments and the calls that follow.
	clear(lent)
	other := make([]byte, len(data))
	for i, b := range data {
		other[i] = ^b
	}
	if _, err := codec.Decode(codec.Encode(other), len(other)); err != nil {
		return fmt.Errorf("Decode after Encode(%q): %w", other, err)
	}
	if !bytes.Equal(packed, first) {
		return errors.New("what Encode returned has changed since")
	}
	if !bytes.Equal(plain, data) {
		return errors.New("what Decode returned has changed since")
	}

	// And it is the caller's: who writes to it does not change what later calls
	// return.
	clear(packed)
	clear(plain)
	if plain, err := (Simple{}).Decode(codec.Encode(data), unlimited); err != nil || !bytes.Equal(plain, data) {
		return fmt.Errorf("Encode, after its first result was overwritten, made what a peer reads as %q, %v", plain, err)
	}
	if err := agree(codec, first, nil, len(data)); err != nil {
		return fmt.Errorf("after the first result of Decode was overwritten: %w", err)
	}

	if len(data) > 0 {
		if err := agree(codec, first, nil, len(data)-1); err != nil {
			return err
		}
	}
	return nil
}

// checkPacked takes data for a packing: valid or not.
func checkPacked(codec Codec, data []byte) error {
	plain, _ := Simple{}.Decode(data, unlimited)
	for _, limit := range []int{unlimited, len(plain), len(plain) / 2} {
		if err := agree(codec, data, nil, limit); err != nil {
			return err
		}
	}
	return nil
}

// checkDamage damages a packing of data: a random change of data would rarely
// leave a packing that is right but for one fault.
func checkDamage(codec Codec, data []byte) error {
	packed := codec.Encode(data)
	at := int(data[0]) * 257 // a choice that the fuzzer can repeat

	flipped := bytes.Clone(packed)
	flipped[at%len(packed)] ^= 1 << (at >> 8 & 7)
	longer := append(packed[:len(packed):len(packed)], byte(at))
	if err := agree(codec, flipped, nil, unlimited); err != nil {
		return err
	}
	if err := agree(codec, longer, nil, unlimited); err != nil {
		return err
	}
	for _, cut := range []int{at % len(packed), len(packed) - 1 - at%5} { // anywhere, and within the end
		if err := agree(codec, packed[:cut], packed[cut:], unlimited); err != nil {
			return err
		}
	}
	return nil
}

// agree holds the codec's Decode against that of a peer. They need not agree
// more than the contract asks for. What lies behind the packing in its array is
// nothing that a codec may read.
func agree(codec Codec, packed, behind []byte, limit int) error {
	want, bad := Simple{}.Decode(packed, unlimited)
	lent := append(bytes.Clone(packed), behind...)
	plain, err := codec.Decode(lent[:len(packed)], limit)
	wrong := func(want string) error {
		return fmt.Errorf("Decode(%q, %d) = %q, %v, want %s", packed, limit, plain, err, want)
	}
	switch {
	case err != nil && len(plain) > 0:
		return wrong("no bytes with an error")
	case bad != nil:
		if !errors.Is(err, ErrCorrupt) && (limit == unlimited || !errors.Is(err, ErrTooLarge)) {
			return wrong("an ErrCorrupt")
		}
	case len(want) > limit:
		if !errors.Is(err, ErrTooLarge) {
			return wrong("an ErrTooLarge")
		}
	case err != nil || !bytes.Equal(plain, want):
		return wrong(fmt.Sprintf("%q", want))
	}
	return nil
}

// Seeds returns the data from which a fuzzer starts: plain bytes around every
// limit of the format, and packings that no sensible encoder makes.
func Seeds() [][]byte {
	text := []byte("the quick brown fox jumps over the lazy dog. ")
	seeds := [][]byte{{}, {0}, {0x80}, {0xff, 0xff}, []byte("aaa"), text}
	for _, n := range []int{MaxLiteral, MaxRun, 2 * MaxLiteral, 2 * MaxRun} {
		for d := -1; d <= 1; d++ {
			seeds = append(seeds,
				bytes.Repeat([]byte{0}, n+d),
				bytes.Repeat(text, 6)[:n+d])
		}
	}
	for _, p := range []struct{ chunks, plain string }{
		{"", ""},
		{"\x01a", "a"},
		{"\x80a", "aa"},
		{"\x80a\x80a", "aaaa"},
		{"\x01a\x01b\x01c", "abc"},
		{"\x02aa\x81a\x01a", "aaaaaa"},
		{"\x03\x00\x00\x00\xff\x00", "\x00\x00\x00" + string(make([]byte, MaxRun))},
		{"\x01a\xffb\x02cd\x80\x00", "a" + string(bytes.Repeat([]byte("b"), MaxRun)) + "cd\x00\x00"},
		{"\x7f" + string(text) + string(text) + string(text[:37]), string(text) + string(text) + string(text[:37])},
	} {
		seeds = append(seeds, binary.BigEndian.AppendUint32([]byte(p.chunks+"\x00"), crc32.ChecksumIEEE([]byte(p.plain))))
	}
	return seeds
}
