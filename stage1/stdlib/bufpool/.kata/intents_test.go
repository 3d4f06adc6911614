// With the race detector, sync.Pool drops one buffer in four. No intent relies on any single one being reused.
//
//kata:level 2
//kata:minutes 40
//kata:engine real Go runtime
//kata:race
package bufpool_test

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"
	"weak"

	"github.com/roadkata/roadkata/stage1/stdlib/bufpool"
)

// A buffer holds what was written to it, whatever its size, until Reset.
//
//kata:zh 缓冲区保存写入的全部内容，多大都行，直到 Reset。
func TestWrites(t *testing.T) {
	pool := bufpool.New(100)
	b := pool.Get()
	defer b.Release()
	var w io.Writer = b
	var want []byte
	for i := 1; i < 200; i++ {
		p := bytes.Repeat([]byte{byte('a' + i%26)}, i)
		want = append(want, p...)
		if n, err := w.Write(p); n != i || err != nil {
			t.Fatalf("Write of %d bytes = %d, %v; want %[1]d, nil", i, n, err)
		}
		for j := range p {
			p[j] = '!' // the slice is the caller's
		}
		s := fmt.Sprint(" ", i, " ")
		want = append(want, s...)
		if n, err := b.WriteString(s); n != len(s) || err != nil {
			t.Fatalf("WriteString(%q) = %d, %v; want %d, nil", s, n, err, len(s))
		}
		if b.Len() != len(want) || b.Cap() < len(want) {
			t.Fatalf("after %d bytes: Len() = %d, Cap() = %d", len(want), b.Len(), b.Cap())
		}
		if got := b.Bytes(); !bytes.Equal(got, want) {
			t.Fatalf("after writing %.60q…\n  Bytes() = %.60q…", want, got)
		}
	}
	if n, err := w.Write(nil); n != 0 || err != nil || b.Len() != len(want) {
		t.Errorf("Write(nil) = %d, %v, then Len() = %d; want 0, nil, and %d as before", n, err, b.Len(), len(want))
	}
	before := b.Cap()
	b.Reset()
	if b.Len() != 0 || len(b.Bytes()) != 0 || b.Cap() != before {
		t.Errorf("after Reset: Len() = %d, Bytes() = %q, Cap() = %d; want 0, nothing, and %d as before", b.Len(), b.Bytes(), b.Cap(), before)
	}
	b.WriteString("again")
	if got := string(b.Bytes()); got != "again" {
		t.Errorf("after Reset and WriteString(\"again\"): Bytes() = %q", got)
	}
}

// A buffer is empty when handed out, and what others wrote to it cannot be reached.
//
//kata:zh 拿到手的缓冲区是空的，别人写过的内容无从触及。
func TestClean(t *testing.T) {
	pool := bufpool.New(1 << 10)
	for range 100 {
		b := pool.Get()
		if b.Len() != 0 || len(b.Bytes()) != 0 {
			t.Fatalf("Get() returns a buffer with %d bytes: %q", b.Len(), b.Bytes())
		}
		if p := b.Bytes(); bytes.Contains(p[:cap(p)], []byte("secret")) {
			t.Fatalf("Get() returns an empty buffer; its Bytes(), extended to their capacity of %d, show what somebody else wrote: %.40q", cap(p), p[:cap(p)])
		}
		b.WriteString("mine")
		p := b.Bytes()
		if rest := p[len(p):cap(p)]; bytes.Contains(rest, []byte("secret")) {
			t.Fatalf("Bytes() of 4 bytes, extended to its capacity of %d, shows what somebody else wrote: %.40q", cap(p), p[:cap(p)])
		}
		_ = append(p, " and yours"...)
		b.WriteString(" only")
		if got := string(b.Bytes()); got != "mine only" || string(p) != "mine" {
			t.Fatalf("appending to Bytes() spoils the buffer: Bytes() = %q, want %q", got, "mine only")
		}
		for range 20 {
			b.WriteString("secret")
		}
		b.Release()
	}
}

// A buffer that has grown beyond the limit is not kept, even if it is nearly empty when it comes back.
//
//kata:zh 容量超过上限的缓冲区不再保留，哪怕归还时里面几乎是空的。
func TestOversizedDropped(t *testing.T) {
	const limit = 1 << 10
	pool := bufpool.New(limit)
	huge := make([]byte, 64*limit)
	for i := range 40 {
		b := pool.Get()
		if b.Cap() > limit {
			t.Fatalf("New(%d), a buffer of %d bytes was released: Get() returns a buffer with Cap() = %d, want at most %[1]d", limit, len(huge), b.Cap())
		}
		b.Write(huge)
		if i%2 == 1 {
			b.Reset()
			b.WriteString("small")
		}
		b.Release()
	}

	for range 5 {
		array, released := releaseHuge(pool, huge)
		next := pool.Get() // in use, so that it is not an idle buffer that the garbage collector takes
		next.WriteString("small")
		if !collected(array) {
			runtime.KeepAlive(released)
			released = bufpool.Buffer{}
			if collected(array) {
				t.Fatalf("New(%d), a buffer of %d bytes was released: its memory is held by the released Buffer, as long as somebody has that", limit, len(huge))
			}
			t.Fatalf("New(%d), a buffer of %d bytes was released: its memory is still held by the pool or by the next buffer, which has Cap() = %d",
				limit, len(huge), next.Cap())
		}
		runtime.KeepAlive(released)
		next.Release()
	}
}

// Every method of a released buffer panics, Release too, in all copies of it, and so do those of a Buffer that never came from Get.
//
//kata:zh 归还之后，缓冲区的每个方法都 panic，包括再次 Release，所有副本也一样；不是由 Get 得来的 Buffer 同样如此。
func TestReleasedPanics(t *testing.T) {
	pool := bufpool.New(1 << 10)
	for _, m := range methods {
		b := pool.Get()
		b.WriteString("text")
		copied := b
		b.Release()
		if !panics(func() { m.call(b) }) {
			t.Errorf("%s of a released buffer did not panic", m.name)
		}
		if !panics(func() { m.call(copied) }) {
			t.Errorf("%s of a copy of a released buffer did not panic", m.name)
		}
		if !panics(func() { m.call(bufpool.Buffer{}) }) {
			t.Errorf("%s of a zero Buffer did not panic", m.name)
		}
	}
}

// A released buffer stays dead when its memory has a new owner, and does the new owner no harm.
//
//kata:zh 内存有了新主人之后，归还过的旧缓冲区依然不可用，也伤不到新主人。
func TestReusedPanics(t *testing.T) {
	pool := bufpool.New(1 << 10)
	for range 50 {
		for _, m := range methods {
			stale := pool.Get()
			stale.WriteString("stale")
			array := unsafe.SliceData(stale.Bytes())
			stale.Release()
			fresh := pool.Get()
			fresh.WriteString("fresh")
			if unsafe.SliceData(fresh.Bytes()) == array { // the same memory: now it matters
				if !panics(func() { m.call(stale) }) {
					t.Fatalf("a buffer was released and its memory handed out again: %s of the old buffer did not panic", m.name)
				}
				if got := string(fresh.Bytes()); got != "fresh" {
					t.Fatalf("%s of a released buffer changed its new owner's: Bytes() = %q, want \"fresh\"", m.name, got)
				}
			}
			fresh.Release()
		}
	}

	old := pool.Get()
	old.Release()
	for i := range 1<<16 + 3 {
		b := pool.Get()
		if comesRound(i+1) && !panics(func() { old.Len() }) {
			t.Fatalf("a buffer was released, and %d others were taken from the pool since: Len of the old buffer did not panic", i+1)
		}
		b.Release()
	}
}

// In the steady state, a round of Get, writes and Release allocates nothing.
//
//kata:zh 稳定运行时，Get、写入、Release 一轮不分配内存。
func TestNoAllocations(t *testing.T) {
	const limit, rounds = 64 << 10, 200
	pool := bufpool.New(limit)
	text, word := make([]byte, limit/2), string(make([]byte, 10))
	free := 0
	for range rounds {
		// One round each: a dropped buffer costs this one round and no other.
		n := testing.AllocsPerRun(1, func() {
			b := pool.Get()
			b.Write(text)
			b.WriteString(word)
			size += b.Len() + len(b.Bytes())
			b.Release()
		})
		if n == 0 {
			free++
		}
	}
	if free < rounds/2 {
		t.Errorf("%d rounds of Get, Write of %d bytes, WriteString, Release on New(%d): %d of them allocated nothing, want nearly all "+
			"(more than half, as sync.Pool drops a quarter under the race detector)", rounds, len(text), limit, free)
	}
}

// Buffers that lie idle in the pool are garbage before long.
//
//kata:zh 闲置在池里的缓冲区很快会被垃圾回收。
func TestIdleCollected(t *testing.T) {
	pool := bufpool.New(64 << 10)
	arrays := peakLoad(pool)
	kept := len(arrays)
	for range 10 {
		runtime.GC()
		arrays = slices.DeleteFunc(arrays, func(p weak.Pointer[byte]) bool { return p.Value() == nil })
		if kept = len(arrays); kept == 0 {
			break
		}
	}
	if kept > 0 {
		t.Errorf("20 buffers were in use at once and then released: after 10 garbage collections %d are still in memory, want 0", kept)
	}
	runtime.KeepAlive(pool)
}

// Many goroutines share a pool: nobody meets another's bytes, and of several that release the same buffer one succeeds.
//
//kata:zh 许多 goroutine 共用一个池：谁也碰不到别人的内容；同时归还同一个缓冲区，只有一个成功；没有数据竞争。
func TestConcurrent(t *testing.T) {
	pool := bufpool.New(1 << 10)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			want := bytes.Repeat([]byte{byte('a' + g)}, 50)
			for range 100 {
				b := pool.Get()
				b.Write(want[:25])
				runtime.Gosched()
				b.Write(want[25:])
				if got := b.Bytes(); !bytes.Equal(got, want) {
					t.Errorf("a goroutine wrote %q to its buffer; Bytes() = %q", want, got)
					return
				}
				b.Release()
			}
		})
	}
	wg.Wait()

	for range 100 {
		b := pool.Get()
		var released atomic.Int64
		start := make(chan struct{})
		for range 4 {
			wg.Go(func() {
				<-start
				if !panics(b.Release) {
					released.Add(1)
				}
			})
		}
		close(start)
		wg.Wait()
		if n := released.Load(); n != 1 {
			t.Fatalf("4 goroutines released the same buffer at once: %d calls of Release returned, want 1, and 3 panics", n)
		}
	}
}

var size int

var methods = []struct {
	name string
	call func(bufpool.Buffer)
}{
	{"Write", func(b bufpool.Buffer) { b.Write([]byte("late")) }},
	{"WriteString", func(b bufpool.Buffer) { b.WriteString("late") }},
	{"Write of nothing", func(b bufpool.Buffer) { b.Write(nil) }},
	{"Bytes", func(b bufpool.Buffer) { b.Bytes() }},
	{"Len", func(b bufpool.Buffer) { b.Len() }},
	{"Cap", func(b bufpool.Buffer) { b.Cap() }},
	{"Reset", func(b bufpool.Buffer) { b.Reset() }},
	{"Release", func(b bufpool.Buffer) { b.Release() }},
}

// comesRound says whether a number of up to 16 bits that counts the loans, or Get and Release apart, may be
// what it was n loans ago: a panic for each of so many loans would be slow.
func comesRound(n int) bool {
	for p := 1; p <= 1<<16; p *= 2 {
		if n-2 <= p && p <= n+2 {
			return true
		}
	}
	return false
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

// releaseHuge has a buffer grow and releases it. It returns a weak pointer to its memory, and the released buffer.
func releaseHuge(pool *bufpool.Pool, huge []byte) (weak.Pointer[byte], bufpool.Buffer) {
	b := pool.Get()
	b.Write(bytes.Clone(huge))
	array := weak.Make(unsafe.SliceData(b.Bytes()))
	b.Release()
	return array, b
}

// collected says whether the memory is garbage.
func collected(array weak.Pointer[byte]) bool {
	for range 5 {
		if runtime.GC(); array.Value() == nil {
			return true
		}
	}
	return false
}

// peakLoad has 20 buffers in use at once, and returns weak pointers to their memory.
func peakLoad(pool *bufpool.Pool) []weak.Pointer[byte] {
	var buffers []bufpool.Buffer
	var arrays []weak.Pointer[byte]
	for range 20 {
		b := pool.Get()
		b.Write(make([]byte, 4<<10))
		buffers = append(buffers, b)
		arrays = append(arrays, weak.Make(unsafe.SliceData(b.Bytes())))
	}
	for _, b := range buffers {
		b.Release()
	}
	return arrays
}
