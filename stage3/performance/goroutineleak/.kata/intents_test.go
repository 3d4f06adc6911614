// Four leaks and the detector that finds them.
//
//kata:level 2
//kata:minutes 60
//kata:engine real Go runtime profiles, and net/http over in-memory connections
package goroutineleak_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path"
	"reflect"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/pprof/profile"

	"github.com/roadkata/roadkata/stage3/performance/goroutineleak"
)

// First returns the first price at once, whoever answers late finds its way home, and no answer is lost.
//
//kata:zh First 立刻返回最先到的报价；晚到的 goroutine 都能结束；没有回答会丢失。
func TestFirst(t *testing.T) {
	for range 10 { // what hangs on a coin's toss comes up in ten
		bubble(t, func(t *testing.T) {
			late := make(chan struct{})
			deaf := func(context.Context) (float64, error) { <-late; return 3, nil }
			quick := func(ctx context.Context) (float64, error) { time.Sleep(time.Second); return 1, nil }
			obedient := func(ctx context.Context) (float64, error) { <-ctx.Done(); return 0, ctx.Err() }
			r := started(t)
			var price float64
			var err error
			r.within(t, "First, with a source that answers after 1 s and two that do not,", func() {
				price, err = goroutineleak.First(context.Background(), deaf, quick, obedient)
			})
			if price != 1 || err != nil {
				t.Errorf("First = %v, %v; want 1, the price that came first", price, err)
			}
			close(late)
			r.noneLeft(t, "First has returned and each of its sources, too")
		})
		if t.Failed() {
			return
		}
	}
	bubble(t, func(t *testing.T) {
		late := make(chan struct{})
		deaf := func(context.Context) (float64, error) { <-late; return 3, nil }
		gone := errors.New("the customer has gone")
		ctx, cancel := context.WithCancelCause(context.Background())
		time.AfterFunc(time.Second, func() { cancel(gone) })
		r := started(t)
		var err error
		r.within(t, "First, whose context ends after 1 s,", func() { _, err = goroutineleak.First(ctx, deaf, deaf) })
		if !errors.Is(err, gone) {
			t.Errorf("First = %v, want the cause of its context, %q", err, gone)
		}
		close(late)
		r.noneLeft(t, "First was given up and each of its sources has returned")
	})
	bubble(t, func(t *testing.T) {
		// All fail at the same moment, when First can be listening to one of them at most.
		var sources []goroutineleak.Source
		var want []error
		for i := range 64 {
			err := fmt.Errorf("exchange %d is closed", i)
			want = append(want, err)
			sources = append(sources, func(context.Context) (float64, error) { time.Sleep(time.Second); return 0, err })
		}
		r := started(t)
		var err error
		r.within(t, "First, of 64 sources that fail at the same moment,", func() { _, err = goroutineleak.First(context.Background(), sources...) })
		for _, w := range want {
			if !errors.Is(err, w) {
				t.Fatalf("First, of 64 sources that all fail, = an error that does not wrap %q; it says\n%v", w, err)
			}
		}
		r.noneLeft(t, "all sources have failed")
		if _, err := goroutineleak.First(context.Background()); err == nil {
			t.Error("First, without any source, = nil error, want one: there is no price")
		}
	})
}

// However Until ends, even by a panic, the subscription ends with it.
//
//kata:zh 无论 Until 怎样结束，哪怕是 panic，订阅都随之结束。
func TestUntil(t *testing.T) {
	refused := errors.New("refused")
	given := errors.New("given up")
	for _, c := range []struct {
		name    string
		prices  []float64
		ends    bool // after the last price
		refuses bool
		panics  bool
		cancel  bool
		price   float64
		err     error
	}{
		{name: "finds its price", prices: []float64{1, 5, 9, 12}, price: 9},
		{name: "sees the feed end", prices: []float64{1, 5}, ends: true, err: goroutineleak.ErrFeedEnded},
		{name: "is refused by the feed, which had already begun", refuses: true, err: refused},
		{name: "is given up by its caller", prices: []float64{1}, cancel: true, err: given},
		{name: "is left by a panic of reached", prices: []float64{1, 5}, panics: true},
	} {
		bubble(t, func(t *testing.T) {
			var subscribed context.Context
			feed := func(ctx context.Context) (<-chan float64, error) {
				subscribed = ctx
				prices := make(chan float64)
				go func() {
					defer close(prices)
					for _, p := range c.prices {
						select {
						case prices <- p:
						case <-ctx.Done():
							return
						}
					}
					if !c.ends {
						<-ctx.Done()
					}
				}()
				if c.refuses {
					return nil, refused
				}
				return prices, nil
			}
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			if c.cancel {
				time.AfterFunc(time.Second, func() { cancel(given) })
			}
			r := started(t)
			var price float64
			var err error
			var panicked any
			r.within(t, "Until", func() {
				if c.panics {
					defer func() { panicked = recover() }()
				}
				price, err = goroutineleak.Until(ctx, feed, func(p float64) bool {
					if c.panics {
						panic("no such limit")
					}
					return p >= 9
				})
			})
			if c.panics && panicked != "no such limit" {
				t.Errorf("reached panicked, and Until panicked with %v; it is to let the panic pass", panicked)
			}
			if !c.panics && (price != c.price || !errors.Is(err, c.err)) {
				t.Errorf("Until, which %s, = %v, %v; want %v, %v", c.name, price, err, c.price, c.err)
			}
			synctest.Wait()
			if subscribed.Err() == nil {
				t.Errorf("Until, which %s, is over, and the context of its subscription is not", c.name)
			}
			r.noneLeft(t, "Until, which "+c.name+", is over")
		})
	}
}

// A closed buffer has no goroutine, with prices in it or without.
//
//kata:zh 关闭之后的 Buffer 不留 goroutine，不管里面有没有报价。
func TestBufferEnds(t *testing.T) {
	for _, prices := range [][]float64{nil, {1, 2}} {
		bubble(t, func(t *testing.T) {
			r := started(t)
			r.within(t, "Buffer.Close", func() {
				b := goroutineleak.NewBuffer(time.Second, func([]float64) {})
				time.Sleep(1500 * time.Millisecond) // in the bubble's time
				for _, p := range prices {
					b.Add(p)
				}
				b.Close()
			})
			r.noneLeft(t, "the Buffer is closed")
		})
	}
}

// What Add took is sent, once and in order, also by a Close that comes before the next tick or during a send.
//
//kata:zh Add 收下的都会按顺序发送一次，即使 Close 在下一个节拍之前、或在发送途中到来。
func TestBufferLosesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sent := new(ledger)
		b := goroutineleak.NewBuffer(time.Second, sent.send)
		for i := range 3 {
			if err := b.Add(float64(i)); err != nil {
				t.Fatalf("Add(%d) = %v", i, err)
			}
		}
		time.Sleep(1100 * time.Millisecond) // in the bubble's time
		if got := fmt.Sprint(sent.prices()); got != "[0 1 2]" {
			t.Fatalf("1.1 s after Add(0), Add(1), Add(2) to a Buffer that sends every second, sent are %v", got)
		}
		b.Add(3)
		b.Add(4)
		b.Close()
		if got := fmt.Sprint(sent.prices()); got != "[0 1 2 3 4]" {
			t.Fatalf("Add(3), Add(4), Close: when Close returns, sent are %v, want [0 1 2 3 4]", got)
		}
		if err := b.Add(5); !errors.Is(err, goroutineleak.ErrClosed) {
			t.Errorf("Add after Close = %v, want ErrClosed", err)
		}
		b.Close()
		time.Sleep(3 * time.Second) // in the bubble's time
		if got := fmt.Sprint(sent.prices()); got != "[0 1 2 3 4]" || sent.empty {
			t.Errorf("after a second Close sent are %v, want [0 1 2 3 4] as before, and never nothing", got)
		}
	})
	bubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		begun := make(chan struct{})
		var over atomic.Bool
		b := goroutineleak.NewBuffer(time.Second, func([]float64) { close(begun); <-gate; over.Store(true) })
		b.Add(1)
		<-begun
		early := make(chan bool, 2)
		for range 2 {
			go func() {
				b.Close()
				early <- !over.Load()
			}()
		}
		// Time for a Close that does not wait. A right one may hold locks meanwhile, for which virtual time does not advance.
		for i := 0; i < 1000 && len(early) == 0; i++ {
			runtime.Gosched()
		}
		close(gate)
		for range 2 {
			select {
			case e := <-early:
				if e {
					t.Error("Close, called twice during a send, has returned before the send had")
				}
			case <-time.After(time.Hour):
				t.Fatal("Close, called during a send, has not returned an hour after the send had")
			}
		}
	})
}

// Every answer's body is closed: whatever the status, and however long it is.
//
//kata:zh 每个响应体都会关闭：不论什么状态码，不论多长。
func TestBodyIsClosed(t *testing.T) {
	for _, c := range []struct {
		path string
		want string
	}{
		{"/ok", "<nil>"},
		{"/missing", "status 404: no such price"},
		{"/endless", "ErrTooLong"},
		{"/endless-failure", "status 500: " + strings.Repeat("x", 256)},
		{"/cut", "error"},
	} {
		bubble(t, func(t *testing.T) {
			s := serve(t)
			r := started(t)
			var body []byte
			var err error
			r.within(t, "Fetch("+c.path+")", func() { body, err = goroutineleak.Fetch(context.Background(), s.client, "http://kata"+c.path) })
			if got := outcome(err); got != c.want {
				t.Errorf("Fetch(%s) = %d bytes, %v; want %v", c.path, len(body), err, c.want)
			}
			if c.path == "/ok" && string(body) != "42" {
				t.Errorf("Fetch(/ok) = %q, want %q", body, "42")
			}
			if n := s.written.Load(); n > 4*goroutineleak.MaxBody {
				t.Errorf("Fetch(%s) has read %d bytes, want no more than what it takes to see that there are more than MaxBody", c.path, n)
			}
			s.client.CloseIdleConnections()
			r.noneLeft(t, "Fetch("+c.path+") has returned and the idle connections are closed")
			s.close()
		})
	}
}

// The connection serves the next request, also after a failure with a long body.
//
//kata:zh 连接留给下一个请求使用，哪怕这次是带有很长响应体的失败。
func TestConnectionIsUsedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := serve(t)
		for i, path := range []string{"/ok", "/missing", "/long-failure", "/largest", "/ok"} {
			if _, err := goroutineleak.Fetch(context.Background(), s.client, "http://kata"+path); outcome(err) == "error" {
				t.Fatalf("Fetch(%s) = %v", path, err)
			}
			synctest.Wait()
			if n := s.dialled.Load(); n != 1 {
				t.Fatalf("%d requests, one after the other, the last of them GET %s: %d connections were made, want 1", i+1, path, n)
			}
		}
		s.client.CloseIdleConnections()
		s.close()
	})
}

// Goroutines at the same place are one group, whatever their labels; the stack begins where they wait, inlined functions included.
//
//kata:zh 停在同一处的 goroutine 归为一组，不论标签；栈从它们等待的地方开始，内联的函数也在其中。
func TestGroups(t *testing.T) {
	before := write(t)
	end := make(chan struct{})
	defer close(end)
	lines := make(chan int, 6)
	for i := range 3 {
		labels := pprof.Labels("tenant", strconv.Itoa(i))
		pprof.Do(context.Background(), labels, func(context.Context) { go parkHere(lines, end) })
	}
	for range 2 {
		go parkThere(lines, end)
	}
	for range 5 {
		<-lines
	}
	after := settled(t, 3, 2)
	got := leaks(t, before, after)
	if len(got) != 2 || got[0].Count != 3 || got[1].Count != 2 {
		t.Fatalf("3 goroutines wait in parkHere, with a label of their own each, and 2 in parkThere: Leaks = %v, want a group of 3, then one of 2", show(got))
	}
	for i, want := range []string{"parkHere", "parkThere"} {
		if f := got[i].Stack; len(f) != 1 || !strings.HasSuffix(f[0].Func, "."+want) || f[0].Line == 0 {
			t.Errorf("the group of those that wait in %s has the stack %v, want that function alone, with its line", want, f)
		}
	}

	data := encode(t, 0,
		sample{2, "a", "runtime.gopark:1 runtime.chanrecv:2 shop.wait:10+shop.call:20 shop.Serve:30"},
		sample{1, "b", "runtime.gopark:1 runtime.selectgo:9 shop.wait:10+shop.call:20 shop.Serve:30"},
		sample{1, "a", "runtime.gopark:1 runtime.chanrecv:2 shop.wait:10+shop.call:21 shop.Serve:30"},
		sample{9, "", "sync.runtime_SemacquireMutex:1 sync.(*Mutex).Lock:2 shop.Other:40"},
	)
	want := []string{
		"9 × [sync.runtime_SemacquireMutex:1 sync.(*Mutex).Lock:2 shop.Other:40]",
		"3 × [shop.wait:10 shop.call:20 shop.Serve:30]",
		"1 × [shop.wait:10 shop.call:21 shop.Serve:30]",
	}
	if got := show(leaks(t, encode(t, 0), data)); !slices.Equal(got, want) {
		t.Errorf("Leaks of a profile with inlined functions (shop.wait in shop.call) =\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	junk := []byte("<html>404 page not found</html>")
	for _, c := range [][2][]byte{{data, junk}, {junk, data}} {
		if _, err := goroutineleak.Leaks(c[0], c[1]); err == nil {
			t.Error("Leaks of something that is no profile = nil error, want one")
		}
	}
}

// Only growth is reported: how many more there are than before, of the same stack in another profile.
//
//kata:zh 只报告增长：与之前的剖析中同样的栈相比多了几个。
func TestGrowth(t *testing.T) {
	before := encode(t, 0,
		sample{4, "", "runtime.gopark:1 shop.accept:10"},
		sample{6, "a", "runtime.gopark:1 shop.watch:20"},
		sample{7, "", "runtime.gopark:1 shop.worker:30"},
	)
	after := encode(t, 100, // another profile numbers its functions and locations in another way
		sample{2, "", "runtime.gopark:1 shop.new:40"},
		sample{3, "", "runtime.gopark:1 shop.worker:30"},
		sample{9, "c", "runtime.gopark:1 shop.watch:20"},
		sample{4, "", "runtime.gopark:1 shop.accept:10"},
	)
	want := []string{"3 × [shop.watch:20]", "2 × [shop.new:40]"}
	if got := show(leaks(t, before, after)); !slices.Equal(got, want) {
		t.Errorf("Leaks = %v, want %v\nbefore: 4 in shop.accept, 6 in shop.watch, 7 in shop.worker\nafter:  4 in shop.accept, 9 in shop.watch, 3 in shop.worker, 2 in shop.new", got, want)
	}
}

// The runtime's own goroutines are left out, and no other ones.
//
//kata:zh 运行时自己的 goroutine 不计入，别的一个也不漏。
func TestRuntimesOwn(t *testing.T) {
	after := encode(t, 0,
		sample{1, "", "runtime.gopark:1 main.run:5 main.main:6 runtime.main:7"},
		sample{1, "", "runtime.gopark:1 shop.finalize:5 runtime.runFinalizers:8"},
		sample{1, "", "runtime.notetsleepg:1 os/signal.signal_recv:2 os/signal.loop:9"},
		sample{1, "", "runtime.gopark:1 time.Sleep:4 runtime/pprof.profileWriter:9"},
		sample{1, "", "runtime.goroutineProfile:1 runtime/pprof.writeGoroutine:2 runtime/pprof.(*Profile).WriteTo:3 shop.debug:4"},
		// These are not.
		sample{9, "", "runtime.gopark:1 runtime.chansend:2 runtime.chansend1:3 shop.send:4"},
		sample{8, "", "runtime.gopark:1 shop.step:4 runtime/pprof.Do:5 shop.labelled:6"},
		sample{7, "", "runtime.gopark:1 runtimes/pool.work:4"},
		sample{6, "", "runtime.gopark:1 shop.com/runtime.loop:4"},
		sample{5, "", "runtime.gopark:1 os/signal.Notify:2 shop.stop:4"},
		sample{4, "", "runtime.gopark:1 shop.serve:2 runtime.call32:3 reflect.Value.Call:4 shop.invoke:5"},
	)
	want := []string{
		"9 × [shop.send:4]",
		"8 × [shop.step:4 runtime/pprof.Do:5 shop.labelled:6]",
		"7 × [runtimes/pool.work:4]",
		"6 × [shop.com/runtime.loop:4]",
		"5 × [os/signal.Notify:2 shop.stop:4]",
		"4 × [shop.serve:2 runtime.call32:3 reflect.Value.Call:4 shop.invoke:5]",
	}
	if got := show(leaks(t, encode(t, 0), after)); !slices.Equal(got, want) {
		t.Errorf("Leaks =\n%s\nwant, without main, finalizers, signals and whoever writes profiles,\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// Of a real profile: the one that writes it stands on another line the second time.
	first := write(t)
	second := write(t)
	if got := leaks(t, first, second); len(got) != 0 {
		t.Errorf("Leaks of two profiles with nothing between them = %v, want none", show(got))
	}
}

// bubble runs f in virtual time. What f has found is told; that it left goroutines behind is not said once more by a panic.
func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	defer func() {
		if v := recover(); v != nil && !strings.Contains(fmt.Sprint(v), "main bubble goroutine has exited") {
			panic(v)
		}
	}()
	synctest.Test(t, f)
}

var run atomic.Int64

// watched are the goroutines that a call has started: they inherit its label.
type watched struct{ label string }

func started(t *testing.T) watched {
	t.Helper()
	return watched{strconv.FormatInt(run.Add(1), 10)}
}

// within calls f, which is to return within a day of the bubble's time.
func (w watched) within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go pprof.Do(context.Background(), pprof.Labels("kata", w.label), func(context.Context) {
		defer close(done)
		f()
	})
	select {
	case <-done:
	case <-time.After(24 * time.Hour):
		t.Fatalf("%s has not returned after a day", what)
	}
}

// noneLeft checks the goroutine profile for them, when all else has come to rest.
func (w watched) noneLeft(t *testing.T, when string) {
	t.Helper()
	time.Sleep(time.Minute) // in the bubble's time
	synctest.Wait()
	p, err := profile.ParseData(write(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.Sample {
		if !slices.Contains(s.Label["kata"], w.label) {
			continue
		}
		t.Errorf("%s: %d goroutine(s) still there, in %s", when, s.Value[0], place(s))
	}
}

// place tells where a goroutine stands, and where it was started.
func place(s *profile.Sample) string {
	var at []string
	for _, l := range s.Location {
		for _, line := range l.Line {
			if name := line.Function.Name; !strings.HasPrefix(name, "runtime.") && !strings.HasPrefix(name, "internal/") {
				_, name, _ = strings.Cut(path.Base(name), ".")
				at = append(at, fmt.Sprintf("%s (%s:%d)", name, path.Base(line.Function.Filename), line.Line))
			}
		}
	}
	return strings.Join(at, " < ")
}

func write(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 0); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

//go:noinline
func parkHere(begun chan<- int, end <-chan struct{}) { begun <- 1; <-end }

//go:noinline
func parkThere(begun chan<- int, end <-chan struct{}) { begun <- 1; <-end }

// settled returns a profile in which so many goroutines wait in parkHere and parkThere: it takes them a moment from saying so to doing so.
func settled(t *testing.T, here, there int64) []byte {
	t.Helper()
	for giveUp := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		data := write(t)
		p, err := profile.ParseData(data)
		if err != nil {
			t.Fatal(err)
		}
		waiting := make(map[string]int64)
		for _, s := range p.Sample {
			name := s.Location[len(s.Location)-1].Line[0].Function.Name
			if s.Location[0].Line[0].Function.Name == "runtime.gopark" {
				waiting[name[strings.LastIndexByte(name, '.')+1:]] += s.Value[0]
			}
		}
		if waiting["parkHere"] == here && waiting["parkThere"] == there {
			return data
		}
		if time.Now().After(giveUp) {
			t.Fatalf("the suite's own goroutines have not come to rest: %v", waiting)
		}
	}
}

func leaks(t *testing.T, before, after []byte) []goroutineleak.Group {
	t.Helper()
	groups, err := goroutineleak.Leaks(before, after)
	if err != nil {
		t.Fatalf("Leaks = %v", err)
	}
	return groups
}

func show(groups []goroutineleak.Group) []string {
	lines := []string{}
	for _, g := range groups {
		var stack []string
		for _, f := range g.Stack {
			stack = append(stack, fmt.Sprintf("%s:%d", f.Func, f.Line))
		}
		lines = append(lines, fmt.Sprintf("%d × %v", g.Count, stack))
	}
	return lines
}

// sample is so many goroutines with a label and a stack: innermost first, name:line, with a plus where a function was inlined into the next.
type sample struct {
	count int64
	label string
	stack string
}

// encode writes a goroutine profile, whose ids begin after base.
func encode(t *testing.T, base uint64, samples ...sample) []byte {
	t.Helper()
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "goroutine", Unit: "count"}},
		PeriodType: &profile.ValueType{Type: "goroutine", Unit: "count"},
		Period:     1,
	}
	functions := make(map[string]*profile.Function)
	locations := make(map[string]*profile.Location)
	for _, s := range samples {
		ps := &profile.Sample{Value: []int64{s.count}}
		if s.label != "" {
			ps.Label = map[string][]string{"tenant": {s.label}}
		}
		for at := range strings.FieldsSeq(s.stack) {
			loc, ok := locations[at]
			if !ok {
				loc = &profile.Location{ID: base + uint64(len(locations)) + 1}
				loc.Address = 0x1000 + loc.ID
				for f := range strings.SplitSeq(at, "+") {
					i := strings.LastIndexByte(f, ':')
					name := f[:i]
					line, err := strconv.Atoi(f[i+1:])
					if err != nil {
						t.Fatal(err)
					}
					fn, ok := functions[name]
					if !ok {
						fn = &profile.Function{ID: base + uint64(len(functions)) + 1, Name: name, SystemName: name, Filename: "shop.go"}
						functions[name] = fn
						p.Function = append(p.Function, fn)
					}
					loc.Line = append(loc.Line, profile.Line{Function: fn, Line: int64(line)})
				}
				locations[at] = loc
				p.Location = append(p.Location, loc)
			}
			ps.Location = append(ps.Location, loc)
		}
		p.Sample = append(p.Sample, ps)
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// ledger is what was sent.
type ledger struct {
	mu    sync.Mutex
	all   []float64
	empty bool
}

func (l *ledger) send(prices []float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, prices...)
	l.empty = l.empty || len(prices) == 0
}

func (l *ledger) prices() []float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

// outcome tells errors of Fetch apart.
func outcome(err error) string {
	var status *goroutineleak.StatusError
	switch {
	case err == nil:
		return "<nil>"
	case reflect.TypeOf(err) == reflect.TypeFor[*goroutineleak.StatusError]() && errors.As(err, &status):
		return fmt.Sprintf("status %d: %s", status.Code, status.Text)
	case errors.Is(err, goroutineleak.ErrTooLong):
		return "ErrTooLong"
	default:
		return "error"
	}
}

// server is a net/http server and a client whose connections are pipes, so that all of it lives in a bubble.
type server struct {
	client  *http.Client
	dialled atomic.Int64
	written atomic.Int64 // of endless bodies
	conns   chan net.Conn
	server  *http.Server
	closed  chan struct{}
}

func serve(t *testing.T) *server {
	t.Helper()
	s := &server{conns: make(chan net.Conn), closed: make(chan struct{})}
	mux := http.NewServeMux()
	block := bytes.Repeat([]byte("x"), 32<<10)
	endless := func(w http.ResponseWriter) { // as good as endless
		for range 512 {
			n, err := w.Write(block)
			s.written.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("42")) })
	mux.HandleFunc("/missing", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		w.Write([]byte("no such price"))
	})
	mux.HandleFunc("/long-failure", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		w.Write(block)
		w.(http.Flusher).Flush()
		w.Write(block)
	})
	mux.HandleFunc("/largest", func(w http.ResponseWriter, r *http.Request) {
		w.Write(bytes.Repeat([]byte("x"), goroutineleak.MaxBody))
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) { endless(w) })
	mux.HandleFunc("/endless-failure", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		endless(w)
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Write(block[:10])
		panic(http.ErrAbortHandler)
	})
	s.server = &http.Server{Handler: mux}
	go s.server.Serve(s)
	s.client = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			s.dialled.Add(1)
			ours, theirs := net.Pipe()
			select {
			case s.conns <- theirs:
				return ours, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
	}}
	return s
}

func (s *server) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *server) Close() error {
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	return nil
}

func (s *server) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (s *server) close() { s.server.Close() }
