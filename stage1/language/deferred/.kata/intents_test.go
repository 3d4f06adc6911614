// The intents of deferred.
//
//kata:level 2
//kata:minutes 30
//kata:engine real Go runtime
package deferred_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"testing"

	"github.com/roadkata/roadkata/stage1/internal/kit/stall"
	"github.com/roadkata/roadkata/stage1/language/deferred"
)

// use gets all resources in the order of opens, and they are open while it runs.
//
//kata:zh use 按 opens 的次序拿到全部资源，而且它运行期间资源都开着。
func TestUse(t *testing.T) {
	var l log
	used := 0
	err := deferred.WithResources(func(resources []io.Closer) error {
		used++
		if got, want := fmt.Sprint(resources), "[a b c]"; got != want {
			t.Errorf("opens a, b, c: use got %s, want %s", got, want)
		}
		if len(l.closed) > 0 {
			t.Errorf("while use runs, %q are closed already, want all open", l.closed)
		}
		return nil
	}, l.open("a"), l.open("b"), l.open("c"))
	if used != 1 || err != nil {
		t.Errorf("opens a, b, c: use was called %d times, error %v; want once and nil", used, err)
	}

	used = 0
	err = deferred.WithResources(func(resources []io.Closer) error {
		used += 1 + len(resources)
		return nil
	})
	if used != 1 || err != nil {
		t.Errorf("without opens: error %v, want that use is called once with no resources, and nil", err)
	}
}

// What was opened last is closed first.
//
//kata:zh 后打开的先关闭。
func TestReverseOrder(t *testing.T) {
	var l log
	err := deferred.WithResources(func([]io.Closer) error { return nil }, l.open("a"), l.open("b"), l.open("c"))
	if want := []string{"c", "b", "a"}; !slices.Equal(l.closed, want) || err != nil {
		t.Errorf("opens a, b, c: closed %q, error %v; want %q, nil", l.closed, err, want)
	}
}

// No error is lost: that of use, or of an open, and those of all Close calls are joined.
//
//kata:zh 不丢任何错误：use 或打开时的错误，与所有 Close 的错误合并返回。
func TestErrorsJoin(t *testing.T) {
	useErr, aErr, bErr := errors.New("use failed"), errors.New("close a failed"), errors.New("close b failed")
	for _, c := range []struct{ use, a, b error }{
		{nil, nil, nil}, {useErr, nil, nil}, {nil, aErr, nil}, {nil, aErr, bErr}, {useErr, aErr, bErr},
	} {
		l := log{closeErr: map[string]error{"a": c.a, "b": c.b}}
		err := deferred.WithResources(func([]io.Closer) error { return c.use }, l.open("a"), l.open("b"))
		for _, want := range []error{c.use, c.a, c.b} {
			if want != nil && !errors.Is(err, want) {
				t.Errorf("use returns %v, Close of a %v, of b %v: WithResources = %v, want %q to be in it", c.use, c.a, c.b, err, want)
			}
		}
		if c.use == nil && c.a == nil && c.b == nil && err != nil {
			t.Errorf("nothing fails: WithResources = %v, want nil", err)
		}
	}

	openErr := errors.New("open c failed")
	l := log{closeErr: map[string]error{"a": aErr}}
	err := deferred.WithResources(func([]io.Closer) error { return nil }, l.open("a"), l.open("b"),
		func() (io.Closer, error) { return nil, openErr })
	if !errors.Is(err, openErr) || !errors.Is(err, aErr) {
		t.Errorf("the open of c failed, then the Close of a: WithResources = %v, want %q and %q to be in it", err, openErr, aErr)
	}
}

// A panic in use closes everything and goes on with its value.
//
//kata:zh use 中的 panic 会关闭所有资源，并带着原值继续。
func TestPanic(t *testing.T) {
	value := &struct{ s string }{"the value"}
	var l log
	got := recovered(func() {
		deferred.WithResources(func([]io.Closer) error { panic(value) }, l.open("a"), l.open("b"))
	})
	if got != value {
		t.Errorf("use panicked with %p, WithResources panicked with %v, want the same value", value, got)
	}
	l.expect(t, "use panicked", "a", "b")
}

// runtime.Goexit in use closes everything and ends the goroutine, as it would without WithResources.
//
//kata:zh use 中的 runtime.Goexit 会关闭所有资源，并照常结束 goroutine。
func TestGoexit(t *testing.T) {
	var l log
	expectExit(t, "use", func() {
		deferred.WithResources(func([]io.Closer) error {
			runtime.Goexit() // as t.FailNow does
			return nil
		}, l.open("a"), l.open("b"))
	})
	l.expect(t, "use called runtime.Goexit", "a", "b")
}

// When an open fails, what was opened before is closed, and nothing else is called.
//
//kata:zh 某次打开失败时，关闭此前已打开的，其余一概不再调用。
func TestOpenFails(t *testing.T) {
	openErr := errors.New("open c failed")
	var l log
	used := false
	err := deferred.WithResources(func([]io.Closer) error { used = true; return nil },
		l.open("a"), l.open("b"),
		func() (io.Closer, error) { return &resource{"c", &l}, openErr }, // not a resource
		l.open("d"))
	l.expect(t, "the open of c failed", "a", "b")
	if want := []string{"a", "b"}; !slices.Equal(l.opened, want) || used {
		t.Errorf("the open of c failed: opened %q, use called: %t; want %q, and no call", l.opened, used, want)
	}
	if !errors.Is(err, openErr) {
		t.Errorf("the open of c failed: WithResources = %v, want %q to be in it", err, openErr)
	}
}

// When an open panics or calls runtime.Goexit, what was opened before is closed, and the panic or the exit goes on.
//
//kata:zh 打开时发生 panic 或调用 runtime.Goexit，关闭此前已打开的，panic 或退出照常继续。
func TestOpenPanics(t *testing.T) {
	value := &struct{ s string }{"the value"}
	var l log
	got := recovered(func() {
		deferred.WithResources(func([]io.Closer) error { return nil },
			l.open("a"), l.open("b"),
			func() (io.Closer, error) { panic(value) })
	})
	if got != value {
		t.Errorf("the open of c panicked with %p, WithResources panicked with %v, want the same value", value, got)
	}
	l.expect(t, "the open of c panicked", "a", "b")

	l = log{}
	expectExit(t, "the open of b", func() {
		deferred.WithResources(func([]io.Closer) error { return nil },
			l.open("a"),
			func() (io.Closer, error) { runtime.Goexit(); return nil, nil })
	})
	l.expect(t, "the open of b called runtime.Goexit", "a")
}

// When a Close panics or calls runtime.Goexit, the others are closed all the same, and the panic or the exit goes on.
//
//kata:zh 某个 Close 发生 panic 或调用 runtime.Goexit，其余资源照样关闭，panic 或退出照常继续。
func TestClosePanics(t *testing.T) {
	value := &struct{ s string }{"the value"}
	l := log{closePanic: map[string]any{"b": value}}
	got := recovered(func() {
		deferred.WithResources(func([]io.Closer) error { return nil }, l.open("a"), l.open("b"), l.open("c"))
	})
	if got != value {
		t.Errorf("the Close of b panicked with %p, WithResources panicked with %v, want the same value", value, got)
	}
	l.expect(t, "the Close of b panicked", "a", "b", "c")

	l = log{closeExit: "c"}
	expectExit(t, "the Close of c", func() {
		deferred.WithResources(func([]io.Closer) error { return nil }, l.open("a"), l.open("b"), l.open("c"))
	})
	l.expect(t, "the Close of c called runtime.Goexit", "a", "b", "c")
}

// use may change the slice: what was opened is closed, and not what it left there.
//
//kata:zh use 可以改动切片：关闭的是已打开的资源，而不是切片里剩下的东西。
func TestUseMayChangeSlice(t *testing.T) {
	var l log
	err := deferred.WithResources(func(resources []io.Closer) error {
		if len(resources) == 2 {
			resources[0] = resources[1]
		}
		return nil
	}, l.open("a"), l.open("b"))
	l.expect(t, "use did resources[0] = resources[1]", "a", "b")
	if err != nil {
		t.Errorf("use did resources[0] = resources[1]: WithResources = %v, want nil", err)
	}
}

// A log opens resources and records what becomes of them.
type log struct {
	opened, closed []string
	closeErr       map[string]error
	closePanic     map[string]any
	closeExit      string // the Close of this one calls runtime.Goexit
}

func (l *log) open(name string) func() (io.Closer, error) {
	return func() (io.Closer, error) {
		l.opened = append(l.opened, name)
		return &resource{name, l}, nil
	}
}

// expect compares what was closed, in any order, with what should have been.
func (l *log) expect(t *testing.T, what string, want ...string) {
	t.Helper()
	if got := slices.Sorted(slices.Values(l.closed)); !slices.Equal(got, want) {
		t.Errorf("%s: closed %q, want %q, each once", what, got, want)
	}
}

type resource struct {
	name string
	log  *log
}

func (r *resource) String() string { return r.name }

func (r *resource) Close() error {
	r.log.closed = append(r.log.closed, r.name)
	if v := r.log.closePanic[r.name]; v != nil {
		panic(v)
	}
	if r.log.closeExit == r.name {
		runtime.Goexit()
	}
	return r.log.closeErr[r.name]
}

// expectExit runs f, in which who calls runtime.Goexit, in a goroutine that has to end by that.
func expectExit(t *testing.T, who string, f func()) {
	t.Helper()
	wentOn := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
		wentOn = true
	}()
	if _, ok := stall.Receive(done); !ok {
		t.Fatalf("%s called runtime.Goexit, and the goroutine does not end: every goroutine waits", who)
	}
	if wentOn {
		t.Errorf("%s called runtime.Goexit, and WithResources returned; want the goroutine to end", who)
	}
}

// recovered returns the value that f panics with, or nil.
func recovered(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}
