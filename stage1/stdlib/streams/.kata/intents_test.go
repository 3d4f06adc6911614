// The hidden intents of streams.
//
//kata:level 3
//kata:minutes 90
//kata:engine real Go runtime
//kata:timeout 60s
package streams_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/roadkata/roadkata/stage1/stdlib/streams"
	"go.uber.org/goleak"
)

// What is sent is one gzip member and the SHA-256 of the plain bytes behind it.
//
//kata:zh 发送的内容是一个 gzip 成员，其后是明文字节的 SHA-256。
func TestSendsTheFormat(t *testing.T) {
	for _, plain := range []string{"", "x", strings.Repeat("hello, world\n", 10_000), random(300_000)} {
		sent, err := upload(t, strings.NewReader(plain), nil)
		if err != nil {
			t.Fatalf("Upload of %d bytes failed: %v", len(plain), err)
		}
		in := bufio.NewReader(strings.NewReader(sent))
		zip, err := gzip.NewReader(in)
		if err != nil {
			t.Fatalf("Upload of %d bytes sent no gzip member: %v", len(plain), err)
		}
		zip.Multistream(false)
		got, err := io.ReadAll(zip)
		if err != nil || string(got) != plain {
			t.Errorf("the gzip member of %d bytes unpacks to %d bytes, error %v; want the source", len(plain), len(got), err)
		}
		trailer, _ := io.ReadAll(in)
		if want := sha256.Sum256([]byte(plain)); !bytes.Equal(trailer, want[:]) {
			t.Errorf("behind the gzip member of %d bytes stands %x, want the SHA-256 of the plain bytes, %x", len(plain), trailer, want)
		}
	}
}

// Progress is told after each Read of the source, in plain bytes.
//
//kata:zh 源的每次 Read 之后都报告进度，按明文字节计。
func TestTellsProgress(t *testing.T) {
	const size = 200_000
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"as much as asked for":              func(r io.Reader) io.Reader { return r },
		"half of it":                        iotest.HalfReader,
		"the end along with the last bytes": iotest.DataErrReader,
		"nothing, now and then":             func(r io.Reader) io.Reader { return &stutter{r: r} },
	} {
		var told, read int64
		src := &watched{r: wrap(strings.NewReader(strings.Repeat("progress", size/8)))}
		src.before = func() {
			if told != read {
				t.Errorf("a source that returns %s: progress was %d when %d bytes had been read and more was asked for", name, told, read)
			}
		}
		src.after = func(n int) { read += int64(n) }
		calls := 0
		_, err := upload(t, src, func(plain int64) {
			if calls++; plain <= told || plain > read {
				t.Errorf("a source that returns %s: progress(%d) after progress(%d), when %d bytes had been read", name, plain, told, read)
			}
			told = plain
		})
		if err != nil || told != size {
			t.Errorf("a source of %d bytes that returns %s: the last progress is %d, Upload = %v", size, name, told, err)
		}
	}
	if _, err := upload(t, strings.NewReader("nobody asks"), nil); err != nil {
		t.Errorf("Upload without progress = %v, want no error", err)
	}
}

// A failing source fails the body: the uploader never takes a part for the whole.
//
//kata:zh 源失败则 body 失败：上传方绝不会把一部分当成全部。
func TestSourceFailureReachesTheUploader(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, before := range []int{0, 10, 100_000} {
		for _, failure := range []error{errors.New("disk on fire"), io.ErrUnexpectedEOF, context.DeadlineExceeded} {
			src := io.MultiReader(strings.NewReader(random(before)), iotest.ErrReader(failure))
			var seen error
			streams.Upload(t.Context(), src, func(_ context.Context, body io.Reader) error {
				_, seen = io.Copy(io.Discard, body)
				return seen
			}, nil)
			if !errors.Is(seen, failure) {
				t.Errorf("a source that fails after %d bytes with %q: the uploader read the body to %v, want that error", before, failure, seen)
			}
		}
	}
}

// Upload returns the source's failure, whatever the uploader makes of it.
//
//kata:zh 无论上传方如何处理，Upload 都返回源的错误。
func TestSourceFailureIsTheResult(t *testing.T) {
	failure := errors.New("disk on fire")
	for name, made := range map[string]error{"nothing": nil, "another error": errors.New("upload: 400 Bad Request")} {
		src := io.MultiReader(strings.NewReader(random(100_000)), iotest.ErrReader(failure))
		err := streams.Upload(t.Context(), src, func(_ context.Context, body io.Reader) error {
			io.Copy(io.Discard, body)
			return made
		}, nil)
		if !errors.Is(err, failure) {
			t.Errorf("a source fails with %q, and the uploader makes %s of it: Upload = %v, want the source's error", failure, name, err)
		}
	}
}

// When the uploader fails, the source is left alone and nobody waits for a reader any more.
//
//kata:zh 上传方失败后不再读源，也没有人继续等待读取方。
func TestUploaderFailureStopsTheSource(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	refused := errors.New("413 Content Too Large")
	for _, most := range []int64{0, 1, 100_000} {
		src := &endless{limit: 8 << 20}
		err := within(t, func() error {
			return streams.Upload(t.Context(), src, func(_ context.Context, body io.Reader) error {
				io.CopyN(io.Discard, body, most)
				return refused
			}, nil)
		})
		if !errors.Is(err, refused) {
			t.Errorf("the uploader fails after %d bytes: Upload = %v, want its error", most, err)
		}
		if read := src.read.Load(); read > most+4<<20 {
			t.Errorf("the uploader fails after %d bytes: %d MiB of the source were read", most, read>>20)
		}
	}
}

// An uploader that is content with a part of the body has not succeeded.
//
//kata:zh 只读了一部分 body 就返回成功，不算成功。
func TestUnreadBodyIsNoSuccess(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	plain := random(200_000)
	whole, err := upload(t, strings.NewReader(plain), nil)
	if err != nil {
		t.Fatalf("Upload of %d bytes failed: %v", len(plain), err)
	}
	for _, most := range []int{0, 1, len(whole) / 2, len(whole) - 32, len(whole) - 1} {
		err := within(t, func() error {
			return streams.Upload(t.Context(), strings.NewReader(plain), func(_ context.Context, body io.Reader) error {
				_, err := io.ReadFull(body, make([]byte, most))
				return err
			}, nil)
		})
		if !errors.Is(err, streams.ErrIncomplete) {
			t.Errorf("the uploader returns nil after %d of %d bytes of the body: Upload = %v, want ErrIncomplete", most, len(whole), err)
		}
	}
}

// When Upload has returned, the source is free, also if the uploader left somebody reading the body.
//
//kata:zh Upload 返回后源即可另作他用，即使上传方留下了还在读 body 的 goroutine。
func TestSourceIsFreeAfterwards(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	entered, release := make(chan struct{}, 1), make(chan struct{})
	var reading, returned atomic.Bool
	src := &watched{r: &endless{limit: 8 << 20}}
	src.before = func() {
		if returned.Load() {
			t.Error("Upload has returned, and the source is read")
		}
		reading.Store(true)
		select {
		case entered <- struct{}{}:
		default:
		}
		<-release
	}
	src.after = func(int) { reading.Store(false) }

	left, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		err := streams.Upload(t.Context(), src, func(_ context.Context, body io.Reader) error {
			go func() { // as an HTTP transport may do
				_, err := io.Copy(io.Discard, body)
				left <- err
			}()
			<-entered
			return errors.New("503 Service Unavailable")
		}, nil)
		returned.Store(true)
		if reading.Load() {
			t.Errorf("Upload returned %v while a Read of the source was under way", err)
		}
	}()
	select {
	case <-ended: // and has said so
	case <-time.After(100 * time.Millisecond): // time to do it wrong; too short does no harm
	}
	close(release)
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the uploader failed and the source's Read returned: Upload does not return")
	}
	select {
	case err := <-left:
		if err == nil {
			t.Error("after Upload returned an error, a goroutine of the uploader's read the body to io.EOF")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("after Upload returned, a goroutine of the uploader's still waits in the body's Read")
	}
}

// When the context ends, so does the body, with its error.
//
//kata:zh context 结束时 body 以它的错误结束。
func TestCancelEndsTheBody(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, made := range []error{nil, errors.New("stream reset")} {
		ctx, cancel := context.WithCancel(t.Context())
		src := &endless{limit: 4 << 20}
		var seen error
		err := within(t, func() error {
			return streams.Upload(ctx, src, func(inner context.Context, body io.Reader) error {
				if inner.Err() != nil || inner.Done() == nil {
					t.Error("upload did not get the context")
				}
				_, seen = io.Copy(io.Discard, body)
				return made
			}, func(plain int64) {
				if plain > 256<<10 {
					cancel()
				}
			})
		})
		cancel()
		if !errors.Is(seen, context.Canceled) || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled after 256 KiB; the uploader read the body to %v and returned %v: Upload = %v, want context.Canceled for both", seen, made, err)
		}
		if read := src.read.Load(); read > 2<<20 {
			t.Errorf("cancelled after 256 KiB: %d MiB of the source were read", read>>20)
		}
	}
}

// A panic in the source, in progress or in the uploader is one of Upload, and leaves nothing running.
//
//kata:zh 源、进度回调或上传方的 panic 都成为 Upload 的 panic，且不留下任何运行中的东西。
func TestPanicReachesTheCaller(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	cleanEnd := false
	ok := func(_ context.Context, body io.Reader) error {
		_, err := io.Copy(io.Discard, body)
		cleanEnd = err == nil
		return err
	}
	boom := &watched{r: &endless{}, before: func() { panic("boom") }, after: func(int) {}}
	for name, call := range map[string]func() error{
		"src": func() error { return streams.Upload(t.Context(), boom, ok, nil) },
		"progress": func() error {
			return streams.Upload(t.Context(), &endless{limit: 4 << 20}, ok, func(int64) { panic("boom") })
		},
		"upload": func() error {
			return streams.Upload(t.Context(), &endless{limit: 4 << 20}, func(_ context.Context, body io.Reader) error {
				io.CopyN(io.Discard, body, 1000)
				panic("boom")
			}, nil)
		},
	} {
		var recovered any
		err := within(t, func() error {
			defer func() { recovered = recover() }()
			return call()
		})
		if !strings.Contains(fmt.Sprint(recovered), "boom") {
			t.Errorf("%s panics with \"boom\": Upload returned %v and panicked with %v, want that panic", name, err, recovered)
		}
		if cleanEnd {
			t.Errorf("%s panics with \"boom\": the uploader's body came to a clean end, want an error, as when the source fails: nobody may take the beginning for the whole", name)
		}
	}
}

// The source is not read ahead of an uploader that is slow.
//
//kata:zh 上传方慢时，不会提前把源读出来（背压）。
func TestDoesNotReadAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &endless{limit: 10 << 20}
		release := make(chan struct{})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			streams.Upload(t.Context(), src, func(_ context.Context, body io.Reader) error {
				io.CopyN(io.Discard, body, 1000)
				<-release
				return errors.New("enough")
			}, nil)
		}()
		synctest.Wait()
		if read := src.read.Load(); read > 1<<20 {
			t.Errorf("an uploader has read 1000 bytes and waits: %d KiB of a random source were read, want at most 1 MiB", read>>10)
		}
		close(release)
		<-ended
	})
}

// A long source needs no more memory than one of 1 MiB.
//
//kata:zh 很长的源所需内存不比 1 MiB 的更多。
func TestUploadsInConstantMemory(t *testing.T) {
	live := newGauge(t)
	const size = 6 << 20
	src := &large{left: size, sample: live.sample}
	var sent int64
	err := streams.Upload(t.Context(), src, func(_ context.Context, body io.Reader) error {
		var err error
		sent, err = io.Copy(io.Discard, body)
		return err
	}, nil)
	if live.exceeded {
		return // and said so
	}
	if err != nil || src.left > 0 || sent < size/3 {
		t.Errorf("Upload of %d MiB = %v, with %d bytes of the source left and %d sent", size>>20, err, src.left, sent)
	}
}

// What was sent is read back, however the stream is cut into reads.
//
//kata:zh 无论流怎样被切成多次读取，都能读回发送的内容。
func TestReadsBack(t *testing.T) {
	for _, plain := range []string{"", "x", strings.Repeat("hello, world\n", 4_000), random(40_000)} {
		packed := pack(plain)
		for name, cut := range map[string]func(io.Reader) io.Reader{
			"all at once":                 func(r io.Reader) io.Reader { return r },
			"one byte each":               iotest.OneByteReader,
			"half of what was asked for":  iotest.HalfReader,
			"the end along with the last": iotest.DataErrReader,
			"with reads of nothing":       func(r io.Reader) io.Reader { return &stutter{r: r} },
		} {
			if err := iotest.TestReader(streams.NewReader(cut(strings.NewReader(packed))), []byte(plain)); err != nil {
				t.Errorf("%d plain bytes, read %s: %v", len(plain), name, err)
			}
		}
	}
}

// A wrong checksum comes in the place of io.EOF, and for good.
//
//kata:zh 校验和不符时，错误取代 io.EOF 出现，且不再改变。
func TestRefusesAWrongChecksum(t *testing.T) {
	plain := strings.Repeat("the plain bytes ", 1000)
	packed := pack(plain)
	member := packed[:len(packed)-32]
	other := pack(plain + "!")
	damaged := map[string]string{
		"the first byte of the checksum is wrong":      member + flip(packed[len(packed)-32:], 0),
		"the last byte of the checksum is wrong":       member + flip(packed[len(packed)-32:], 31),
		"the checksum is that of other bytes":          member + other[len(other)-32:],
		"the checksum is that of the compressed data":  member + string(sum(member)),
		"the checksum is of nothing":                   member + string(sum("")),
		"the checksum is missing, other bytes are not": member + strings.Repeat("\x00", 32),
	}
	for name, packed := range damaged {
		r := streams.NewReader(strings.NewReader(packed))
		got, err := io.ReadAll(r)
		if !errors.Is(err, streams.ErrChecksum) {
			t.Errorf("%s: reading to the end = %d bytes, %v; want ErrChecksum", name, len(got), err)
		}
		if n, err := r.Read(make([]byte, 10)); n != 0 || !errors.Is(err, streams.ErrChecksum) {
			t.Errorf("%s: another Read = %d, %v; want 0, ErrChecksum again", name, n, err)
		}
	}
}

// A stream that ends too early is io.ErrUnexpectedEOF, wherever it ends.
//
//kata:zh 流提前结束，无论在何处，都是 io.ErrUnexpectedEOF。
func TestTellsACutStream(t *testing.T) {
	plain := random(150)
	packed := pack(plain)
	for end := range len(packed) {
		for _, src := range []io.Reader{strings.NewReader(packed[:end]), iotest.DataErrReader(strings.NewReader(packed[:end]))} {
			r := streams.NewReader(src)
			got, err := io.ReadAll(r)
			if err != io.ErrUnexpectedEOF || !strings.HasPrefix(plain, string(got)) {
				t.Fatalf("%d of %d bytes: reading to the end = %d bytes, %v; want io.ErrUnexpectedEOF", end, len(packed), len(got), err)
			}
			if n, err := r.Read(make([]byte, 10)); n != 0 || err != io.ErrUnexpectedEOF {
				t.Fatalf("%d of %d bytes: another Read = %d, %v; want 0, io.ErrUnexpectedEOF again", end, len(packed), n, err)
			}
		}
	}
}

// What follows the checksum does not belong there.
//
//kata:zh 校验和之后的任何内容都不该存在。
func TestRefusesWhatFollowsTheChecksum(t *testing.T) {
	for _, behind := range []string{"\x00", pack("another"), strings.Repeat("x", 100_000)} {
		r := streams.NewReader(strings.NewReader(pack("plain") + behind))
		got, err := io.ReadAll(r)
		if !errors.Is(err, streams.ErrTrailingData) || string(got) != "plain" {
			t.Errorf("%d bytes behind the checksum: reading to the end = %q, %v; want %q, ErrTrailingData", len(behind), got, err, "plain")
		}
		if n, err := r.Read(make([]byte, 10)); n != 0 || !errors.Is(err, streams.ErrTrailingData) {
			t.Errorf("%d bytes behind the checksum: another Read = %d, %v; want 0, ErrTrailingData again", len(behind), n, err)
		}
	}
}

// The failure of the stream that is read comes through, and is not mistaken for an end.
//
//kata:zh 底层流的错误原样传出，不会被当成结束。
func TestPassesOnTheStreamsFailure(t *testing.T) {
	failure := errors.New("connection reset")
	packed := pack(random(300))
	for _, after := range []int{0, 5, 10, 100, len(packed) - 40, len(packed) - 32, len(packed) - 31, len(packed) - 1, len(packed)} {
		src := io.MultiReader(strings.NewReader(packed[:after]), iotest.ErrReader(failure))
		if got, err := io.ReadAll(streams.NewReader(src)); !errors.Is(err, failure) {
			t.Errorf("a stream that fails after %d of %d bytes: reading to the end = %d bytes, %v; want its error", after, len(packed), len(got), err)
		}
	}
}

// NewReader itself reads nothing: the stream may begin later.
//
//kata:zh NewReader 本身什么都不读：流可以晚些才开始。
func TestWaitsForTheFirstRead(t *testing.T) {
	reads := 0
	src := &watched{r: strings.NewReader(pack("plain")), before: func() { reads++ }, after: func(int) {}}
	r := streams.NewReader(src)
	if reads != 0 {
		t.Errorf("NewReader read from its stream %d times, want none before the first Read", reads)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "plain" {
		t.Errorf("reading to the end = %q, %v; want %q", got, err, "plain")
	}
}

// Reading a long stream back needs no more memory than a short one.
//
//kata:zh 读回很长的流，所需内存不比短的更多。
func TestReadsBackInConstantMemory(t *testing.T) {
	live := newGauge(t)
	const size = 6 << 20
	// The test's own packing, so that this says nothing about Upload.
	r, w := io.Pipe()
	go func() {
		zip, _ := gzip.NewWriterLevel(w, gzip.NoCompression) // the source could not be compressed anyway
		plain := sha256.New()
		src := &large{left: size, sample: live.sample}
		if _, err := io.Copy(io.MultiWriter(zip, plain), src); err != nil {
			w.CloseWithError(err)
			return
		}
		zip.Close()
		w.Write(plain.Sum(nil))
		w.Close()
	}()
	defer r.Close()
	n, err := io.Copy(io.Discard, struct{ io.Reader }{streams.NewReader(r)})
	if live.exceeded {
		return // and said so
	}
	if err != nil || n != size {
		t.Errorf("reading back %d MiB = %d bytes, %v", size>>20, n, err)
	}
}

// —— helpers ——

// upload uploads src and returns what was sent.
func upload(t *testing.T, src io.Reader, progress func(int64)) (string, error) {
	t.Helper()
	var sent strings.Builder
	err := within(t, func() error {
		return streams.Upload(t.Context(), src, func(_ context.Context, body io.Reader) error {
			_, err := io.Copy(&sent, body)
			return err
		}, progress)
	})
	return sent.String(), err
}

// within calls f and does not wait for it for ever.
func within(t *testing.T, f func() error) error {
	t.Helper()
	type result struct {
		err      error
		panicked any
		ended    bool
	}
	done := make(chan result, 1)
	go func() {
		r := result{}
		defer func() {
			if !r.ended {
				r.panicked = recover()
			}
			done <- r
		}()
		r.err = f()
		r.ended = true
	}()
	select {
	case r := <-done:
		if !r.ended {
			panic(r.panicked) // here, where it ends only this test
		}
		return r.err
	case <-time.After(10 * time.Second):
		t.Fatal("Upload does not return")
		return nil
	}
}

// pack is what Upload should send, made here.
func pack(plain string) string {
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	io.WriteString(zip, plain)
	zip.Close()
	buf.Write(sum(plain))
	return buf.String()
}

func sum(s string) []byte {
	all := sha256.Sum256([]byte(s))
	return all[:]
}

func flip(s string, i int) string {
	b := []byte(s)
	b[i] ^= 0x10
	return string(b)
}

// random returns the same n bytes each time, which cannot be compressed.
func random(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return string(b)
}

// watched calls before and after around each Read.
type watched struct {
	r      io.Reader
	before func()
	after  func(n int)
}

func (w *watched) Read(p []byte) (int, error) {
	w.before()
	n, err := w.r.Read(p)
	w.after(n)
	return n, err
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
	return s.r.Read(p[:min(len(p), 500)])
}

// noise is made once, when it is first asked for.
var noise = sync.OnceValue(func() string { return random(1 << 20) })

// endless is a source that cannot be compressed. With a limit it ends there, to end a test that fails.
type endless struct {
	read  atomic.Int64
	limit int64
}

func (e *endless) Read(p []byte) (int, error) {
	at := e.read.Load()
	if e.limit > 0 && at >= e.limit {
		return 0, io.EOF
	}
	n := copy(p, noise()[at%int64(len(noise())):])
	e.read.Add(int64(n))
	return n, nil
}

// large is a source of left bytes that cannot be compressed: what is sent, too, is more than may be kept. It samples now and then.
type large struct {
	left   int64
	sample func() error
	read   int64
}

func (l *large) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	const every = 2 << 20
	if before := l.read / every; (l.read+int64(len(p)))/every != before {
		if err := l.sample(); err != nil {
			return 0, err
		}
	}
	n := copy(p[:min(int64(len(p)), l.left)], noise()[l.read%int64(len(noise())):])
	l.left -= int64(n)
	l.read += int64(n)
	return n, nil
}

// gauge watches how much memory is in use.
type gauge struct {
	t        *testing.T
	before   uint64
	exceeded bool
}

func newGauge(t *testing.T) *gauge {
	noise() // is there before as well
	g := &gauge{t: t}
	g.before = g.inUse()
	return g
}

func (g *gauge) inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// sample fails the test, and the source, if memory grows.
func (g *gauge) sample() error {
	const most = 4 << 20
	if now := g.inUse(); now > g.before+most && !g.exceeded {
		g.exceeded = true
		g.t.Errorf("%d MiB more are in use amid the stream than before it, want at most %d MiB", (now-g.before)>>20, most>>20)
	}
	if g.exceeded {
		return errors.New("too much memory")
	}
	return nil
}
