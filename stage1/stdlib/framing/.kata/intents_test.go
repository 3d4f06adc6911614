// The hidden intents of framing.
//
//kata:level 2
//kata:minutes 60
//kata:engine real Go runtime
package framing_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/roadkata/roadkata/stage1/stdlib/framing"
)

// A frame is its length in four bytes, the most significant first, and then the payload.
//
//kata:zh 一帧由四字节大端长度和其后的载荷组成。
func TestWireFormat(t *testing.T) {
	for _, tc := range []struct {
		payload string
		wire    string
	}{
		{"", "\x00\x00\x00\x00"},
		{"a", "\x00\x00\x00\x01a"},
		{"\x00\xff", "\x00\x00\x00\x02\x00\xff"},
		{strings.Repeat("x", 300), "\x00\x00\x01\x2c" + strings.Repeat("x", 300)},
		{strings.Repeat("y", 70_000), "\x00\x01\x11\x70" + strings.Repeat("y", 70_000)},
	} {
		var out bytes.Buffer
		payload := []byte(tc.payload)
		if err := framing.NewWriter(&out, 1<<20).WriteFrame(payload); err != nil || out.String() != tc.wire {
			t.Errorf("WriteFrame(%s) wrote %s, error %v; want %s", show(tc.payload), show(out.String()), err, show(tc.wire))
		}
		if string(payload) != tc.payload {
			t.Errorf("WriteFrame(%s) changed the payload to %s", show(tc.payload), show(string(payload)))
		}
		got, err := framing.NewReader(strings.NewReader(tc.wire), 1<<20).ReadFrame(nil)
		if err != nil || string(got) != tc.payload {
			t.Errorf("ReadFrame of %s = %s, %v; want %s", show(tc.wire), show(string(got)), err, show(tc.payload))
		}
	}
}

// Frames arrive whole, however the stream is cut into reads.
//
//kata:zh 无论底层流被切成怎样的多次读取，帧都完整到达。
func TestReadsInAnyPieces(t *testing.T) {
	var wire string
	var want []string
	for i := range 40 {
		payload := strings.Repeat(string(rune('a'+i%26)), i*i*i%5000)
		want = append(want, payload)
		wire += frame(payload)
	}
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"all at once":                     func(r io.Reader) io.Reader { return r },
		"one byte each":                   iotest.OneByteReader,
		"half of what was asked for each": iotest.HalfReader,
		"the end along with the last":     iotest.DataErrReader,
		"with reads of nothing between":   func(r io.Reader) io.Reader { return &stutter{r: r} },
	} {
		for _, buf := range [][]byte{nil, make([]byte, 6000)} {
			frames := framing.NewReader(cut(strings.NewReader(wire)), 5000)
			for i, payload := range want {
				got, err := frames.ReadFrame(buf)
				if err != nil || string(got) != payload {
					t.Fatalf("reads of %s, frame %d: ReadFrame = %s, %v; want %s", name, i, show(string(got)), err, show(payload))
				}
			}
			if got, err := frames.ReadFrame(buf); err != io.EOF {
				t.Errorf("reads of %s, after the last frame: ReadFrame = %s, %v; want io.EOF", name, show(string(got)), err)
			}
		}
	}
}

// The end between two frames is io.EOF; anywhere else it is io.ErrUnexpectedEOF. Both are final.
//
//kata:zh 两帧之间结束是 io.EOF，其他位置结束是 io.ErrUnexpectedEOF；二者都是最终结果。
func TestTellsTheEndFromACut(t *testing.T) {
	first, second := frame("first"), frame("")+frame("second")
	for cut := range len(second) + 1 {
		want := io.ErrUnexpectedEOF
		frames := 1
		switch {
		case cut == 0:
			want = io.EOF
		case cut >= 4:
			frames = 2
			if cut == 4 {
				want = io.EOF
			}
		}
		if cut == len(second) {
			frames, want = 3, io.EOF
		}
		for name, src := range map[string]io.Reader{
			"":                                 strings.NewReader(first + second[:cut]),
			" (told along with the last byte)": iotest.DataErrReader(strings.NewReader(first + second[:cut])),
		} {
			r := framing.NewReader(src, 100)
			for i := range frames {
				if got, err := r.ReadFrame(nil); err != nil {
					t.Fatalf("a stream that ends after %q%s: frame %d = %q, %v; want no error", first+second[:cut], name, i, got, err)
				}
			}
			for range 2 {
				if got, err := r.ReadFrame(nil); err != want || got != nil {
					t.Errorf("a stream that ends after %q%s: ReadFrame at its end = %q, %v; want nil and %v itself", first+second[:cut], name, got, err, want)
				}
			}
		}
	}
}

// Not a byte is read that belongs to what follows the frame.
//
//kata:zh 绝不多读一个不属于当前帧的字节。
func TestReadsNothingBeyondTheFrame(t *testing.T) {
	for _, payload := range []string{"", "switch protocols", strings.Repeat("z", 100_000)} {
		src := strings.NewReader(frame(payload) + "GET / HTTP/1.1")
		if got, err := framing.NewReader(src, 1<<20).ReadFrame(nil); err != nil || string(got) != payload {
			t.Fatalf("ReadFrame = %s, %v; want %s", show(string(got)), err, show(payload))
		}
		if rest, _ := io.ReadAll(src); string(rest) != "GET / HTTP/1.1" {
			t.Errorf("after ReadFrame of a frame of %d bytes the stream goes on with %q, want %q", len(payload), rest, "GET / HTTP/1.1")
		}
	}
}

// A payload that fits into the caller's buffer is read into it, and what lies behind the payload is left alone.
//
//kata:zh 载荷放得下就读进调用者的缓冲区，其后的内容不动。
func TestUsesTheCallersBuffer(t *testing.T) {
	for _, tc := range []struct {
		name     string
		len, cap int
		payload  int
		inBuf    bool
	}{
		{"of exactly its length", 100, 100, 100, true},
		{"with room", 100, 100, 7, true},
		{"whose capacity is enough", 0, 100, 100, true},
		{"whose capacity is enough, its length not", 10, 100, 60, true},
		{"a byte too small", 100, 100, 101, false},
		{"much too small", 3, 3, 100_000, false},
	} {
		array := bytes.Repeat([]byte{'#'}, tc.cap+10)
		buf := array[:tc.len:tc.cap]
		payload := strings.Repeat("p", tc.payload)
		got, err := framing.NewReader(strings.NewReader(frame(payload)), 1<<20).ReadFrame(buf)
		if err != nil || string(got) != payload {
			t.Errorf("ReadFrame of %d bytes with a buffer %s = %s, %v; want the payload", tc.payload, tc.name, show(string(got)), err)
			continue
		}
		if inBuf := &got[0] == &array[0]; inBuf != tc.inBuf {
			t.Errorf("ReadFrame of %d bytes with a buffer %s (len %d, cap %d): the payload is in the buffer: %v, want %v",
				tc.payload, tc.name, tc.len, tc.cap, inBuf, tc.inBuf)
		}
		behind := tc.payload
		if !tc.inBuf {
			behind = tc.cap
		}
		if strings.Trim(string(array[behind:]), "#") != "" {
			t.Errorf("ReadFrame of %d bytes with a buffer %s wrote behind the payload: %q", tc.payload, tc.name, array[behind:])
		}
	}
}

// Neither the reader nor the next frame touches a payload that was handed out.
//
//kata:zh 已交出的载荷，不会再被 Reader 或后面的帧改动。
func TestHandsPayloadsOver(t *testing.T) {
	var wire strings.Builder
	var want []string
	for i := range 20 {
		want = append(want, strings.Repeat(string(rune('a'+i)), 50_000+i%3))
		wire.WriteString(frame(want[i]))
	}
	r := framing.NewReader(strings.NewReader(wire.String()), 1<<20)
	var got [][]byte
	for range want {
		p, err := r.ReadFrame(nil)
		if err != nil {
			t.Fatalf("ReadFrame failed: %v", err)
		}
		got = append(got, p)
	}
	for i := range want {
		if string(got[i]) != want[i] {
			t.Errorf("the payload of frame %d is %s after the following frames were read, want %s", i, show(string(got[i])), show(want[i]))
		}
	}
}

// A length above the limit is refused before anything of the payload is read, and for good.
//
//kata:zh 超过上限的长度在读载荷之前就被拒绝，且不再恢复。
func TestRefusesALengthAboveTheLimit(t *testing.T) {
	const limit = 1000
	if got, err := framing.NewReader(strings.NewReader(frame(strings.Repeat("x", limit))), limit).ReadFrame(nil); err != nil || len(got) != limit {
		t.Errorf("ReadFrame of exactly the limit of %d bytes = %d bytes, %v; want all", limit, len(got), err)
	}
	for _, header := range []string{"\x00\x00\x03\xe9", "\x00\x01\x00\x00", "\x7f\xff\xff\xff", "\x80\x00\x00\x00", "\xff\xff\xff\xff"} {
		src := strings.NewReader(header + frame("inside") + strings.Repeat("x", 5000))
		r := framing.NewReader(src, limit)
		for call := range 3 {
			got, err := r.ReadFrame(make([]byte, 2*limit))
			if !errors.Is(err, framing.ErrTooLarge) || got != nil {
				t.Errorf("length % x with a limit of %d, call %d: ReadFrame = %s, %v; want nil, ErrTooLarge", header, limit, call+1, show(string(got)), err)
			}
		}
		if read := src.Size() - int64(src.Len()); read != 4 {
			t.Errorf("length % x with a limit of %d: %d bytes of the stream were read, want 4", header, limit, read)
		}
	}
}

// Memory grows with what arrives, not with what is announced.
//
//kata:zh 内存随实际到达的数据增长，不随声明的长度增长。
func TestAnnouncedLengthAllocatesLittle(t *testing.T) {
	const limit = 1<<30 + 1
	for _, arrives := range []int{10, 1 << 20} {
		wire := "\x40\x00\x00\x00" + strings.Repeat("x", arrives)
		src := strings.NewReader(wire)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := framing.NewReader(src, limit).ReadFrame(nil)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("1 GiB announced, %d bytes come: ReadFrame = %d bytes, %v; want io.ErrUnexpectedEOF", arrives, len(got), err)
		}
		if allocated, most := after.TotalAlloc-before.TotalAlloc, uint64(1<<20+8*arrives); allocated > most {
			t.Errorf("1 GiB announced, %d bytes come: %d KiB were allocated, want at most %d KiB", arrives, allocated>>10, most>>10)
		}
	}
	for _, drip := range []struct {
		what         string
		buf          []byte
		step, arrive int // the last bytes of arrive are those of a step, header included
	}{
		{"one by one, without a buffer", nil, 1, 300},
		{"by 1000, without a buffer", nil, 1000, 299_996},
		{"by 1000, with a buffer of 4 MiB", make([]byte, 4<<20), 1000, 299_996},
	} {
		src := &flaky{data: "\x00\x20\x00\x00" + strings.Repeat("x", drip.arrive), step: drip.step, left: drip.step}
		r := framing.NewReader(src, limit)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for calls := 0; src.data != ""; calls++ {
			if got, err := r.ReadFrame(drip.buf); !errors.Is(err, errPassing) || calls > 2*drip.arrive {
				t.Fatalf("2 MiB announced, %d bytes come %s, after each a timeout: ReadFrame, call %d = %d bytes, %v; want the timeout", drip.arrive, drip.what, calls+1, len(got), err)
			}
		}
		runtime.ReadMemStats(&after)
		if allocated, most := after.TotalAlloc-before.TotalAlloc, uint64(1<<20+8*drip.arrive); allocated > most {
			t.Errorf("2 MiB announced, %d bytes come %s, after each a timeout: %d KiB were allocated, want at most %d KiB",
				drip.arrive, drip.what, allocated>>10, most>>10)
		}
	}
	// And what does arrive is read, in no more than a few times its size.
	payload := strings.Repeat("0123456789abcdef", 128<<10)
	src := strings.NewReader(frame(payload))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := framing.NewReader(src, limit).ReadFrame(nil)
	runtime.ReadMemStats(&after)
	if err != nil || string(got) != payload {
		t.Errorf("ReadFrame of 2 MiB = %s, %v; want the payload", show(string(got)), err)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 17<<20 {
		t.Errorf("ReadFrame of 2 MiB allocated %d MiB, want at most 17", allocated>>20)
	}
}

// After an error that passes, such as a timeout, the next call goes on where the frame was left.
//
//kata:zh 遇到会过去的错误（如超时）后，下一次调用从帧中断处继续。
func TestGoesOnAfterAPassingError(t *testing.T) {
	for _, tc := range []struct{ step, size int }{{1, 600}, {3, 600}, {4, 600}, {7, 600}, {50_001, 120_000}} {
		want := []string{"first", strings.Repeat("second", tc.size/6), "", "the last"}
		var wire string
		for _, p := range want {
			wire += frame(p)
		}
		for _, withData := range []bool{false, true} {
			what := fmt.Sprintf("a reader that fails after every %d byte(s)", tc.step)
			if withData {
				what = fmt.Sprintf("a reader that fails along with every %d byte(s)", tc.step)
			}
			r := framing.NewReader(&flaky{data: wire, step: tc.step, left: tc.step, withData: withData}, 1<<20)
			small, large := make([]byte, 10), make([]byte, tc.size)
			var got []string
			for call := 0; len(got) < len(want); call++ {
				if call > 4*len(wire) {
					t.Fatalf("%s: only %d of %d frames after %d calls", what, len(got), len(want), call)
				}
				p, err := r.ReadFrame([][]byte{nil, small, large}[call%3])
				if err == nil {
					got = append(got, string(p))
				} else if !errors.Is(err, errPassing) {
					t.Fatalf("%s: ReadFrame failed with %v, want the reader's own error", what, err)
				}
				// The buffers are the caller's own, to use as it likes.
				copy(small, "!!!!!!!!!!")
				copy(large, strings.Repeat("!", tc.size))
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%s: frame %d = %s, want %s", what, i, show(got[i]), show(want[i]))
				}
			}
		}
	}
}

// Data that come along with an error count: if they complete the header or the frame, it is as if there had been no error.
//
//kata:zh 与错误一同返回的数据有效：补全了帧头或一帧，就当没有错误。
func TestDeliversWhatComesWithAnError(t *testing.T) {
	broken := errors.New("connection reset")
	for _, payload := range []string{"whole", ""} {
		src := &last{data: frame(payload), err: broken}
		r := framing.NewReader(src, 100)
		if got, err := r.ReadFrame(nil); err != nil || string(got) != payload {
			t.Errorf("a frame of %d bytes whose last bytes come with an error: ReadFrame = %q, %v; want the frame", len(payload), got, err)
		}
		if got, err := r.ReadFrame(nil); !errors.Is(err, broken) {
			t.Errorf("after the frame whose last bytes came with an error: ReadFrame = %q, %v; want that error", got, err)
		}
	}
	src := &flaky{data: frame("whole"), step: 4, left: 4, withData: true}
	if got, err := framing.NewReader(src, 100).ReadFrame(nil); !errors.Is(err, errPassing) || len(src.data) != 1 {
		t.Errorf("errors come with the last byte of the header and with the 4th of 5 bytes of the payload: ReadFrame = %q, %v with %d bytes unread; want the second error, 1 byte unread",
			got, err, len(src.data))
	}
	src = &flaky{data: frame("4444"), step: 4, left: 4, withData: true}
	if got, err := framing.NewReader(src, 100).ReadFrame(nil); err != nil || string(got) != "4444" {
		t.Errorf("errors come with the last byte of the header and with that of the payload: ReadFrame = %q, %v; want the frame", got, err)
	}
}

// Header and payload are handed to Write together.
//
//kata:zh 帧头与载荷在一次 Write 中一起交出。
func TestWritesAFrameAtOnce(t *testing.T) {
	var out chunks
	w := framing.NewWriter(&out, 1<<20)
	want := []string{"one", "", strings.Repeat("three", 10_000), "four"}
	for _, p := range want {
		if err := w.WriteFrame([]byte(p)); err != nil {
			t.Fatalf("WriteFrame(%s) = %v", show(p), err)
		}
	}
	if len(out.got) != len(want) {
		t.Fatalf("%d frames went out in %d calls of Write, want %d", len(want), len(out.got), len(want))
	}
	for i := range want {
		if out.got[i] != frame(want[i]) {
			t.Errorf("call %d of Write got %s, want the frame %s", i+1, show(out.got[i]), show(frame(want[i])))
		}
	}
}

// A Write that takes only a part is followed by one with the rest; one that takes nothing is an error.
//
//kata:zh Write 只接收一部分时继续写余下的；什么都不接收则是错误。
func TestCompletesShortWrites(t *testing.T) {
	want := []string{"hello", "", strings.Repeat("world", 300)}
	for _, most := range []int{1, 3, 4, 5, 1000} {
		out := &short{most: most}
		w := framing.NewWriter(out, 1<<20)
		var wire string
		for _, p := range want {
			if err := w.WriteFrame([]byte(p)); err != nil {
				t.Errorf("a Write that takes %d bytes at most: WriteFrame(%s) = %v", most, show(p), err)
			}
			wire += frame(p)
		}
		if out.String() != wire {
			t.Errorf("a Write that takes %d bytes at most got %s in all, want %s", most, show(out.String()), show(wire))
		}
	}
	if err := framing.NewWriter(&short{most: 0}, 100).WriteFrame([]byte("x")); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a Write that takes nothing, without an error: WriteFrame = %v, want io.ErrShortWrite", err)
	}
}

// After an error within a frame nothing more is written; after one before its first byte, writing goes on.
//
//kata:zh 帧写到一半出错后不再写任何内容；尚未写出一个字节就出错，则可以继续。
func TestWritesNothingBehindACutFrame(t *testing.T) {
	broken := errors.New("broken pipe")
	for taken := range len(frame("hello")) {
		out := &failing{after: taken, err: broken}
		w := framing.NewWriter(out, 100)
		if err := w.WriteFrame([]byte("hello")); !errors.Is(err, broken) {
			t.Errorf("Write fails after %d bytes: WriteFrame = %v, want its error", taken, err)
		}
		out.after = 1000 // from now on all would be well
		err := w.WriteFrame([]byte("again"))
		if taken == 0 && (err != nil || out.String() != frame("again")) {
			t.Errorf("Write failed before the first byte: the next WriteFrame = %v and the stream is %q; want the second frame alone", err, out.String())
		}
		if taken > 0 && (!errors.Is(err, broken) || out.String() != frame("hello")[:taken]) {
			t.Errorf("Write failed after %d bytes: the next WriteFrame = %v and the stream is %q; want the same error and nothing more", taken, err, out.String())
		}
	}

	out := &failing{after: len(frame("hello")), late: broken}
	w := framing.NewWriter(out, 100)
	if err := w.WriteFrame([]byte("hello")); !errors.Is(err, broken) {
		t.Errorf("Write takes the whole frame and returns an error: WriteFrame = %v, want that error", err)
	}
	out.after = 1000
	if err := w.WriteFrame([]byte("again")); err != nil || out.String() != frame("hello")+frame("again") {
		t.Errorf("Write took a whole frame and returned an error: the next WriteFrame = %v and the stream is %q; want both frames", err, out.String())
	}
}

// A payload above the limit is refused without a trace.
//
//kata:zh 超过上限的载荷被拒绝，不留任何痕迹。
func TestWriterRefusesAPayloadAboveTheLimit(t *testing.T) {
	var out bytes.Buffer
	w := framing.NewWriter(&out, 5)
	for _, tc := range []struct {
		payload string
		want    error
	}{{"hello", nil}, {"hello!", framing.ErrTooLarge}, {strings.Repeat("x", 100_000), framing.ErrTooLarge}, {"after", nil}} {
		if err := w.WriteFrame([]byte(tc.payload)); !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
			t.Errorf("WriteFrame of %d bytes with a limit of 5 = %v, want %v", len(tc.payload), err, tc.want)
		}
	}
	if want := frame("hello") + frame("after"); out.String() != want {
		t.Errorf("the stream is %q, want the two frames within the limit: %q", out.String(), want)
	}
}

// In the steady state neither side allocates.
//
//kata:zh 稳定状态下，两端都不分配内存。
func TestSteadyStateAllocatesNothing(t *testing.T) {
	payload := bytes.Repeat([]byte("p"), 1000)
	w := framing.NewWriter(io.Discard, 1<<20)
	if n := testing.AllocsPerRun(200, func() {
		if err := w.WriteFrame(payload); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("WriteFrame of %d bytes, again and again: %v allocations each, want 0", len(payload), n)
	}
	r := framing.NewReader(&endless{unit: frame(string(payload))}, 1<<20)
	buf := make([]byte, 4096)
	if n := testing.AllocsPerRun(200, func() {
		if _, err := r.ReadFrame(buf); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("ReadFrame of %d bytes into a buffer that is large enough: %v allocations each, want 0", len(payload), n)
	}
}

// —— helpers ——

func frame(payload string) string {
	n := len(payload)
	return string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + payload
}

func show(s string) string {
	if len(s) > 40 {
		return fmt.Sprintf("%q… (%d bytes)", s[:40], len(s))
	}
	return fmt.Sprintf("%q", s)
}

// stutter reads a few bytes or nothing, by turns.
type stutter struct {
	r    io.Reader
	turn int
}

func (s *stutter) Read(p []byte) (int, error) {
	if s.turn++; s.turn%3 != 0 || len(p) == 0 {
		return 0, nil
	}
	return s.r.Read(p[:min(len(p), 5)])
}

var errPassing = errors.New("i/o timeout")

// flaky fails after each step bytes, with the last of them or after them, and then goes on.
type flaky struct {
	data     string
	step     int
	withData bool
	left     int
}

func (f *flaky) Read(p []byte) (int, error) {
	if f.left == 0 {
		f.left = f.step
		return 0, errPassing
	}
	if f.data == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), f.left)], f.data)
	f.data, f.left = f.data[n:], f.left-n
	if f.left == 0 && f.withData && n > 0 {
		f.left = f.step
		return n, errPassing
	}
	return n, nil
}

// last returns its error with the last of its data, and again.
type last struct {
	data string
	err  error
}

func (l *last) Read(p []byte) (int, error) {
	n := copy(p, l.data)
	if l.data = l.data[n:]; l.data == "" {
		return n, l.err
	}
	return n, nil
}

// chunks remembers each call of Write.
type chunks struct{ got []string }

func (c *chunks) Write(p []byte) (int, error) {
	c.got = append(c.got, string(p))
	return len(p), nil
}

// short takes so many bytes at most, and says nothing.
type short struct {
	bytes.Buffer
	most int
}

func (s *short) Write(p []byte) (int, error) { return s.Buffer.Write(p[:min(len(p), s.most)]) }

// failing takes so many bytes and then fails.
type failing struct {
	bytes.Buffer
	after int
	err   error
	late  error // comes with the last byte that is taken
}

func (f *failing) Write(p []byte) (int, error) {
	n, _ := f.Buffer.Write(p[:min(len(p), f.after)])
	if f.after -= n; n < len(p) {
		return n, f.err
	}
	if f.after == 0 {
		return n, f.late
	}
	return n, nil
}

// endless repeats its unit for ever.
type endless struct {
	unit string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.unit[e.at:])
	e.at = (e.at + n) % len(e.unit)
	return n, nil
}
