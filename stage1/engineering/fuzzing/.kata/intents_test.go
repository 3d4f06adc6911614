// The intents of fuzzing.
//
//kata:level 2
//kata:minutes 60
//kata:engine simulated fuzzer with a fixed generator
//kata:forbid "math/rand" "math/rand/v2" "crypto/rand" "hash/maphash" "time"
package fuzzing_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/roadkata/roadkata/stage1/engineering/fuzzing"
)

// No right codec is accused, whichever chunks, errors and empty results it chooses.
//
//kata:zh 不冤枉正确的编解码器，不论它如何分块、如何包装错误、返回怎样的空结果。
func TestAcceptsRight(t *testing.T) {
	codecs := right()
	// The last one does by turns what the others do; for each of those a part of the executions will do.
	for i, c := range codecs {
		n := len(fuzzing.Seeds()) + executions/20
		if i == len(codecs)-1 {
			n = executions
		}
		data, err := fuzz(c, n)
		if err != nil {
			t.Errorf("Check accuses a right codec, which %s:\nCheck(codec, %.300q) = %.600s\nwant nil", c.what, data, err)
		}
	}
}

// A codec that loses or changes bytes is caught, also if only long data show it.
//
//kata:zh 丢失或改动数据的编解码器会被抓住，即使只有较长的数据才会暴露。
func TestLosses(t *testing.T) {
	catches(t,
		codec{what: "loses the last byte of data that fill a literal exactly", encode: func(plain []byte) []byte {
			if len(plain) == fuzzing.MaxLiteral && !repetitive(plain) {
				return pack(plain[:len(plain)-1], runs(3))
			}
			return pack(plain, runs(3))
		}},
		codec{what: "counts a run of 130 bytes as one of 129", encode: func(plain []byte) []byte {
			return pack(plain, runs(3)) // right; the reader is not
		}, decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, max, lenience{})
			if n := len(plain); n > fuzzing.MaxRun && bytes.Count(plain, plain[:1]) == n {
				plain = plain[:n-1]
			}
			return plain, err
		}},
		codec{what: "ends at the first zero", encode: func(plain []byte) []byte {
			before, _, _ := bytes.Cut(plain, []byte{0})
			return pack(before, runs(3))
		}},
		codec{what: "panics where there is nothing to encode", encode: func(plain []byte) []byte {
			_ = plain[0]
			return pack(plain, runs(3))
		}},
	)
}

// A codec that understands itself and is not understood by others is caught.
//
//kata:zh 只有自己读得懂、别人读不懂的编解码器会被抓住。
func TestDialects(t *testing.T) {
	reversed := func(plain []byte) []byte {
		packed := pack(plain, runs(3))
		sum := packed[len(packed)-4:]
		sum[0], sum[1], sum[2], sum[3] = sum[3], sum[2], sum[1], sum[0]
		return packed
	}
	catches(t,
		codec{what: "writes the CRC little-endian, and reads both", encode: reversed, decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, max, lenience{})
			if err != nil && !errors.Is(err, fuzzing.ErrTooLarge) {
				// Only its own packings have this sum.
				if private, perr := unpack(packed, max, lenience{sum: true}); perr == nil && bytes.Equal(packed, reversed(private)) {
					return private, nil
				}
			}
			return plain, err
		}},
		codec{what: "takes the CRC of the chunks in place of the plain bytes", encode: func(plain []byte) []byte {
			packed := pack(plain, runs(3))
			chunks := packed[:len(packed)-4]
			return binary.BigEndian.AppendUint32(chunks, crc32.ChecksumIEEE(chunks))
		}, decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, max, lenience{sum: true})
			if n := len(packed) - 4; err == nil && binary.BigEndian.Uint32(packed[n:]) != crc32.ChecksumIEEE(packed[:n]) {
				return nil, fuzzing.ErrCorrupt
			}
			return plain, err
		}},
	)
}

// A codec that takes more room than promised is caught.
//
//kata:zh 占用空间超出承诺的编解码器会被抓住。
func TestSize(t *testing.T) {
	catches(t,
		codec{what: "makes a literal of each byte", encode: func(plain []byte) []byte {
			return pack(plain, func(plain []byte) (int, bool) { return 1, false })
		}},
		codec{what: "makes runs of two in the midst of literals", encode: func(plain []byte) []byte {
			return pack(plain, runs(2))
		}},
		codec{what: "takes one byte too many, since it makes a literal of the first byte", encode: func(plain []byte) []byte {
			return pack(plain, func(rest []byte) (int, bool) {
				if len(rest) == len(plain) && same(plain, 3) < 3 {
					return 1, false
				}
				return runs(3)(rest)
			})
		}},
	)
}

// A decoder that refuses packings which others may make is caught.
//
//kata:zh 拒绝他人合法编码的解码器会被抓住。
func TestEveryPacking(t *testing.T) {
	refuses := func(what string, bad func(h, before int) bool) codec {
		return codec{what: what, decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, max, lenience{})
			before := -1
			for _, h := range heads(packed) {
				if err == nil && bad(h, before) {
					return nil, fuzzing.ErrCorrupt
				}
				before = h
			}
			return plain, err
		}}
	}
	catches(t,
		refuses("refuses runs of two, since it makes none", func(h, _ int) bool { return h == 0x80 }),
		refuses("refuses a literal after one that is not full, since it makes none", func(h, before int) bool {
			return 0 < h && h < 0x80 && 0 < before && before < 0x7f
		}),
		codec{what: "refuses any packing but its own of the same bytes", decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, max, lenience{})
			if err == nil && !bytes.Equal(packed, pack(plain, runs(3))) {
				return nil, fuzzing.ErrCorrupt
			}
			return plain, err
		}},
		codec{what: "takes a packing longer than MaxLen(max) for one of more than max bytes", decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, max, lenience{})
			if err == nil && len(packed) > fuzzing.MaxLen(max) {
				return nil, fuzzing.ErrTooLarge
			}
			return plain, err
		}},
	)
}

// A decoder that lets damage pass, or reports it as something else, is caught.
//
//kata:zh 放过损坏数据、或者报错不对的解码器会被抓住。
func TestDamage(t *testing.T) {
	lenient := func(what string, l lenience) codec {
		return codec{what: what, decode: func(packed []byte, max int) ([]byte, error) { return unpack(packed, max, l) }}
	}
	catches(t,
		lenient("does not look at the CRC", lenience{sum: true}),
		lenient("takes what is left for a literal that is cut off", lenience{literal: true}),
		lenient("ignores what follows the end", lenience{trailing: true}),
		lenient("does without an end", lenience{end: true}),
		lenient("panics where a run is cut off", lenience{runs: true}),
		lenient("reads the CRC behind the end of its argument, as far as the capacity goes", lenience{capacity: true}),
		codec{what: "reports io.ErrUnexpectedEOF for what is cut off", decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, max, lenience{})
			if errors.Is(err, fuzzing.ErrCorrupt) {
				err = io.ErrUnexpectedEOF
			}
			return plain, err
		}},
		codec{what: "reports ErrTooLarge for all damage, whatever the limit", decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, max, lenience{})
			if err != nil {
				return nil, fuzzing.ErrTooLarge
			}
			return plain, nil
		}},
		codec{what: "hands out what it has read before the damage", decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, max, lenience{})
			if errors.Is(err, fuzzing.ErrCorrupt) {
				plain, _ = unpack(packed, max, lenience{sum: true, literal: true, end: true, trailing: true})
			}
			return plain, err
		}},
	)
}

// A decoder that does not keep to its limit, to the byte, is caught.
//
//kata:zh 不严格遵守长度上限（精确到字节）的解码器会被抓住。
func TestLimit(t *testing.T) {
	limited := func(what string, decode func(plain []byte, max int) ([]byte, error)) codec {
		return codec{what: what, decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, unlimited, lenience{})
			if err != nil {
				return nil, err
			}
			return decode(plain, max)
		}}
	}
	catches(t,
		limited("knows no limit", func(plain []byte, max int) ([]byte, error) { return plain, nil }),
		limited("takes one byte too many", func(plain []byte, max int) ([]byte, error) {
			if len(plain) > max+1 {
				return nil, fuzzing.ErrTooLarge
			}
			return plain, nil
		}),
		limited("refuses as many as the limit", func(plain []byte, max int) ([]byte, error) {
			if len(plain) > max || len(plain) == max && max > 0 {
				return nil, fuzzing.ErrTooLarge
			}
			return plain, nil
		}),
		limited("cuts off what is too much", func(plain []byte, max int) ([]byte, error) {
			return plain[:min(len(plain), max)], nil
		}),
		limited("takes a limit of 0 for none", func(plain []byte, max int) ([]byte, error) {
			if len(plain) > max && max > 0 {
				return nil, fuzzing.ErrTooLarge
			}
			return plain, nil
		}),
		limited("returns as many bytes as allowed together with ErrTooLarge", func(plain []byte, max int) ([]byte, error) {
			if len(plain) > max {
				return plain[:max], fuzzing.ErrTooLarge
			}
			return plain, nil
		}),
		limited("reports too many bytes as ErrCorrupt", func(plain []byte, max int) ([]byte, error) {
			if len(plain) > max {
				return nil, fuzzing.ErrCorrupt
			}
			return plain, nil
		}),
	)
}

// A codec that writes to its arguments, or returns memory which is not the caller's alone, is caught.
//
//kata:zh 改写参数、或者返回的内存并非调用方独占的编解码器会被抓住。
func TestMemory(t *testing.T) {
	// The codecs below keep these between their calls.
	var scratch []byte
	packings, plains := map[string][]byte{}, map[string][]byte{}
	catches(t,
		codec{what: "appends to the plain bytes that it encodes", encode: func(plain []byte) []byte {
			_ = append(plain, 0)
			return pack(plain, runs(3))
		}},
		codec{what: "appends to the packing that it decodes", decode: func(packed []byte, max int) ([]byte, error) {
			_ = append(packed, 0)
			return unpack(packed, max, lenience{})
		}},
		codec{what: "inverts its argument in place while it encodes", encode: func(plain []byte) []byte {
			packed := pack(plain, runs(3))
			for i := range plain {
				plain[i] = ^plain[i]
			}
			return packed
		}},
		codec{what: "decodes in place", decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, max, lenience{})
			if err == nil && len(plain) > 0 && len(plain) <= len(packed) {
				copy(packed, plain)
			}
			return plain, err
		}},
		codec{what: "returns a part of its argument if that is one literal", decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, max, lenience{})
			if err == nil && len(plain) > 0 && len(plain) <= fuzzing.MaxLiteral && int(packed[0]) == len(plain) {
				plain = packed[1 : 1+len(plain)]
			}
			return plain, err
		}},
		codec{what: "encodes into a buffer that it keeps", encode: func(plain []byte) []byte {
			scratch = append(scratch[:0], pack(plain, runs(3))...)
			return scratch
		}},
		codec{what: "decodes into a buffer that it keeps", decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, max, lenience{})
			if err != nil {
				return nil, err
			}
			scratch = append(scratch[:0], plain...)
			return scratch, nil
		}},
		codec{what: "remembers what it encoded, and returns the same slice for the same bytes again", encode: func(plain []byte) []byte {
			if packings[string(plain)] == nil {
				packings[string(plain)] = pack(plain, runs(3))
			}
			return packings[string(plain)]
		}},
		codec{what: "remembers what it decoded, and returns the same slice for the same packing again", decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, max, lenience{})
			if err != nil {
				return nil, err
			}
			if plains[string(packed)] == nil {
				plains[string(packed)] = plain
			}
			return plains[string(packed)], nil
		}},
	)
}

// The same data give the same verdict each time, and are left as they were.
//
//kata:zh 同样的数据每次得出同样的结论，且数据原样不动。
func TestReproducible(t *testing.T) {
	wrong := codec{what: "does not look at the CRC", decode: func(packed []byte, max int) ([]byte, error) {
		return unpack(packed, max, lenience{sum: true})
	}}
	data, err := fuzz(wrong, executions)
	if err == nil {
		t.Fatalf("%d executions of Check did not catch a codec that %s", executions, wrong.what)
	}
	for i := range 20 {
		if verdict(wrong, data) == nil {
			t.Fatalf("Check(codec, %.300q) = %.300s; the same call again, no %d, = nil, want an error each time", data, err, i+2)
		}
	}

	for _, seed := range append(fuzzing.Seeds(), []byte("a\x80\x00seed")) {
		lent := append(bytes.Clone(seed), "what follows"...)
		before := bytes.Clone(lent)
		verdict(right()[0], lent[:len(seed)])
		if !bytes.Equal(lent, before) {
			t.Fatalf("Check(codec, %.300q) wrote to the data or beyond them", seed)
		}
	}
}

// A check is cheap: MaxCalls calls at most, however long the data, and a few small seeds.
//
//kata:zh 检查要便宜：无论数据多长，调用不超过 MaxCalls 次；种子少而小。
func TestCheap(t *testing.T) {
	seeds := fuzzing.Seeds()
	if len(seeds) == 0 || len(seeds) > 64 {
		t.Errorf("Seeds() returned %d seeds, want 1 to 64", len(seeds))
	}
	for i, seed := range seeds {
		if len(seed) > 4096 {
			t.Errorf("Seeds()[%d] has %d bytes, want 4096 at most", i, len(seed))
		}
	}
	for _, data := range append(seeds, bytes.Repeat([]byte("long data "), 300), make([]byte, 2000)) {
		calls := 0
		c := right()[0]
		encode, decode := c.encode, c.decode
		c.encode = func(plain []byte) []byte { calls++; return encode(plain) }
		c.decode = func(packed []byte, max int) ([]byte, error) { calls++; return decode(packed, max) }
		verdict(c, data)
		if calls == 0 || calls > fuzzing.MaxCalls {
			t.Fatalf("Check(codec, %d bytes) made %d calls of the codec, want 1 to %d", len(data), calls, fuzzing.MaxCalls)
		}
	}
}

// executions is how many checks have to suffice for each wrong codec.
const executions = 3000

const unlimited = 1 << 24

// codec is made of functions; one that is nil does what is right.
type codec struct {
	what     string
	encode   func([]byte) []byte
	decode   func([]byte, int) ([]byte, error)
	panicked *bool // by the codec, that is
}

func (c codec) Encode(plain []byte) []byte {
	*c.panicked = true // until it has returned
	var packed []byte
	if c.encode == nil {
		packed = pack(plain, runs(3))
	} else {
		packed = c.encode(plain)
	}
	*c.panicked = false
	return packed
}

func (c codec) Decode(packed []byte, max int) (plain []byte, err error) {
	*c.panicked = true
	if c.decode == nil {
		plain, err = unpack(packed, max, lenience{})
	} else {
		plain, err = c.decode(packed, max)
	}
	*c.panicked = false
	return plain, err
}

func right() []codec {
	calls := 0
	codecs := []codec{
		{what: "makes runs of three and more", encode: func(plain []byte) []byte { return pack(plain, runs(3)) },
			decode: func(packed []byte, max int) ([]byte, error) { return unpack(packed, max, lenience{}) }},
		{what: "makes no runs at all", encode: func(plain []byte) []byte { return pack(plain, runs(1000)) }},
		{what: "makes short runs of what repeats, from the left", encode: func(plain []byte) []byte {
			return pack(plain, func(plain []byte) (int, bool) {
				if n := same(plain, 4); n == 4 {
					return 4, true
				}
				return runs(4)(plain)
			})
		}},
		{what: "encodes in another way each time", encode: func(plain []byte) []byte {
			calls++
			return pack(plain, runs(3+calls%3*40))
		}},
		{what: "wraps its errors", decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, max, lenience{})
			if err != nil {
				err = fmt.Errorf("reading %d bytes: %w", len(packed), err)
			}
			return plain, err
		}},
		{what: "returns nil for no bytes, and room behind others", decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, max, lenience{})
			if len(plain) == 0 {
				return nil, err
			}
			return append(plain, "room"...)[:len(plain)], err
		}},
		{what: "returns an empty slice with an error", decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, max, lenience{})
			if err != nil {
				plain = []byte{}
			}
			return plain, err
		}},
		{what: "looks at each chunk's head and the limit before it looks whether the chunk is all there", decode: func(packed []byte, max int) ([]byte, error) {
			n := 0
			for _, h := range heads(packed) {
				if n += h; h >= 0x80 {
					n += fuzzing.MinRun - 0x80
				}
				if n > max {
					return nil, fuzzing.ErrTooLarge
				}
			}
			return unpack(packed, max, lenience{})
		}},
		{what: "looks for damage before it looks at the limit", decode: func(packed []byte, max int) ([]byte, error) {
			plain, err := unpack(packed, unlimited, lenience{})
			if err == nil && len(plain) > max {
				return nil, fuzzing.ErrTooLarge
			}
			return plain, err
		}},
	}
	turn := 0
	of := func(n int) codec {
		c := codecs[n%len(codecs)]
		c.panicked = new(bool)
		return c
	}
	return append(codecs, codec{
		what: "encodes in another way each time, and returns from each packing whatever may be returned",
		encode: func(plain []byte) []byte {
			turn++
			return of(turn).Encode(plain)
		},
		// The same packing gets the same answer: nothing says that it must not, and somebody may rely on it.
		decode: func(packed []byte, max int) ([]byte, error) {
			return of(int(crc32.ChecksumIEEE(packed)>>1)).Decode(packed, max)
		},
	})
}

// catches holds that Check catches each codec within the executions allowed.
func catches(t *testing.T, wrong ...codec) {
	t.Helper()
	for _, c := range wrong {
		if _, err := fuzz(c, executions); err == nil {
			t.Errorf("%d executions of Check, from Seeds, did not catch a codec that %s", executions, c.what)
		}
	}
}

// fuzz runs Check on the seeds and on changes of them, always the same, until it returns an error.
func fuzz(c codec, n int) ([]byte, error) {
	seeds := fuzzing.Seeds()
	r := rand.New(rand.NewPCG(26, 1))
	for i := range n {
		data := []byte{}
		switch {
		case i < len(seeds):
			data = bytes.Clone(seeds[i])
		case len(seeds) > 0:
			data = mutate(r, seeds[r.IntN(len(seeds))])
		}
		if err := verdict(c, data); err != nil {
			return data, err
		}
	}
	return nil, nil
}

// verdict is what Check says, or that the codec panicked. A panic of Check's own goes on.
func verdict(c codec, data []byte) (err error) {
	c.panicked = new(bool)
	defer func() {
		if *c.panicked {
			err = fmt.Errorf("the codec panicked: %v", recover())
		}
	}()
	return fuzzing.Check(c, data)
}

// mutate changes a copy of seed in one to three places. It seldom makes data much longer: that is for seeds to do.
func mutate(r *rand.Rand, seed []byte) []byte {
	data := bytes.Clone(seed)
	for range 1 + r.IntN(3) {
		at := r.IntN(len(data) + 1)
		switch r.IntN(5) {
		case 0: // insert a byte
			data = append(data[:at:at], append([]byte{byte(r.Uint32())}, data[at:]...)...)
		case 1: // repeat a few bytes
			end := min(len(data), at+1+r.IntN(6))
			data = append(data[:end:end], data[at:]...)
		case 2: // delete a few bytes
			end := min(len(data), at+1+r.IntN(6))
			data = append(data[:at:at], data[end:]...)
		case 3: // flip a bit
			if at < len(data) {
				data[at] ^= 1 << r.IntN(8)
			}
		case 4: // put in a byte that is often a border
			if at < len(data) {
				data[at] = []byte{0, 1, 0x7f, 0x80, 0xff}[r.IntN(5)]
			}
		}
	}
	return data
}

// pack encodes plain. next says how many of the bytes that are left make the next chunk, and whether it is a run.
func pack(plain []byte, next func([]byte) (n int, run bool)) []byte {
	packed := []byte{}
	for rest := plain; len(rest) > 0; {
		n, run := next(rest)
		if run {
			packed = append(packed, byte(0x80+n-fuzzing.MinRun), rest[0])
		} else {
			packed = append(append(packed, byte(n)), rest[:n]...)
		}
		rest = rest[n:]
	}
	return binary.BigEndian.AppendUint32(append(packed, 0), crc32.ChecksumIEEE(plain))
}

// runs makes runs of at least atLeast bytes, and literals of the rest.
func runs(atLeast int) func([]byte) (int, bool) {
	return func(plain []byte) (int, bool) {
		if n := same(plain, fuzzing.MaxRun); n >= atLeast {
			return n, true
		}
		n := 0
		for n < len(plain) && n < fuzzing.MaxLiteral {
			if k := same(plain[n:], fuzzing.MaxRun); k >= atLeast {
				break
			}
			n++
		}
		return n, false
	}
}

// same counts the bytes at the beginning that are equal, up to max.
func same(plain []byte, max int) int {
	n := 1
	for n < len(plain) && n < max && plain[n] == plain[0] {
		n++
	}
	return n
}

func repetitive(plain []byte) bool {
	for i := range plain {
		if same(plain[i:], 3) == 3 {
			return true
		}
	}
	return false
}

// heads returns the heads of the chunks as far as they can be read.
func heads(packed []byte) []int {
	var heads []int
	for i := 0; i < len(packed) && packed[i] != 0; {
		h := int(packed[i])
		heads = append(heads, h)
		if h < 0x80 {
			i += 1 + h
		} else {
			i += 2
		}
	}
	return heads
}

// lenience is what a decoder fails to look at.
type lenience struct{ sum, literal, trailing, end, runs, capacity bool }

func unpack(packed []byte, max int, l lenience) ([]byte, error) {
	plain := []byte{}
	for i := 0; ; {
		if i >= len(packed) {
			if l.end {
				return plain, nil
			}
			return nil, fuzzing.ErrCorrupt
		}
		h := int(packed[i])
		i++
		switch {
		case h == 0:
			tail := packed[i:]
			if len(tail) < 4 && cap(tail) >= 4 && l.capacity {
				tail = tail[:4]
			}
			if len(tail) > 4 && l.trailing {
				tail = tail[:4]
			}
			if len(tail) != 4 || !l.sum && binary.BigEndian.Uint32(tail) != crc32.ChecksumIEEE(plain) {
				return nil, fuzzing.ErrCorrupt
			}
			return plain, nil
		case h < 0x80:
			if i+h > len(packed) && !l.literal {
				return nil, fuzzing.ErrCorrupt
			}
			end := min(len(packed), i+h)
			plain = append(plain, packed[i:end]...)
			i = end
			if l.literal && i == len(packed) {
				return plain, nil
			}
		default:
			if i == len(packed) && !l.runs {
				return nil, fuzzing.ErrCorrupt
			}
			plain = append(plain, bytes.Repeat([]byte{packed[i]}, h-0x80+fuzzing.MinRun)...)
			i++
		}
		if len(plain) > max {
			return nil, fuzzing.ErrTooLarge
		}
	}
}
