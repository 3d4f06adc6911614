// The intents of pipeline. Virtual time tells when a line has come to rest, so that "blocked", "at the same time" and
// "released" are facts.
//
//kata:level 2
//kata:minutes 60
//kata:engine real Go runtime
//kata:race
package pipeline_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadkata/roadkata/stage1/concurrency/pipeline"
	"github.com/roadkata/roadkata/stage1/internal/kit/stall"
)

var errBoom = errors.New("boom")

// bubble runs f in virtual time. A bubble never settles while a goroutine spins or waits for a mutex: after ten
// real seconds that is a failure, too.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	stuck := time.AfterFunc(10*time.Second, func() {
		panic("stuck for 10 s: a goroutine spins, or waits for a mutex that another holds while it blocks")
	})
	defer stuck.Stop()
	synctest.Test(t, f)
}

// wait is for a line in a bubble that can end by itself.
func wait(t *testing.T, p *pipeline.Pipeline) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- p.Wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(24 * time.Hour):
		t.Fatal("Wait() does not return: part of the line is still blocked")
		return nil
	}
}

// upTo yields 1 … n and counts what it hands over to yield.
func upTo(n int, yielded *atomic.Int32) func(context.Context, func(int) bool) error {
	return func(_ context.Context, yield func(int) bool) error {
		for i := 1; i <= n; i++ {
			yielded.Add(1)
			if !yield(i) {
				return nil
			}
		}
		return nil
	}
}

func pass[T any](_ context.Context, v T) (T, error) { return v, nil }

func discard[T any](context.Context, T) error { return nil }

// log collects values that arrive in a sink.
type log[T any] struct {
	mu     sync.Mutex
	values []T
}

func (l *log[T]) add(_ context.Context, v T) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.values = append(l.values, v)
	return nil
}

func (l *log[T]) all() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.values)
}

// Every value arrives once and in order, zero values too, and the end of the source ends the line.
//
//kata:zh 每个值都恰好到达一次且保持顺序，零值也不例外；源头结束，整条流水线随之结束。
func TestEverythingArrives(t *testing.T) {
	bubble(t, func(t *testing.T) {
		want := []any{1, nil, "", 0, nil, 2}
		p := pipeline.New(context.Background())
		source := pipeline.Source(p, func(_ context.Context, yield func(any) bool) error {
			for _, v := range want {
				if !yield(v) {
					t.Error("yield() = false although the line has not been stopped")
				}
			}
			return nil
		})
		var got log[any]
		pipeline.Sink(p, pipeline.Stage(p, pipeline.Stage(p, source, pass[any]), pass[any]), got.add)
		if err := wait(t, p); err != nil {
			t.Errorf("Wait() = %v, want nil", err)
		}
		if !slices.Equal(got.all(), want) {
			t.Errorf("the source yielded %v: the sink received %v", want, got.all())
		}
	})
	bubble(t, func(t *testing.T) {
		p := pipeline.New(context.Background())
		var got log[int]
		pipeline.Sink(p, pipeline.Stage(p, pipeline.Source(p, upTo(0, new(atomic.Int32))), pass[int]), got.add)
		if err := wait(t, p); err != nil || len(got.all()) > 0 {
			t.Errorf("the source yields nothing: Wait() = %v and the sink received %v, want nil and nothing", err, got.all())
		}
	})
}

// The stages work at the same time, each on its own value.
//
//kata:zh 各阶段同时工作，各自处理自己手里的值。
func TestStagesOverlap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := pipeline.New(context.Background())
		var yielded atomic.Int32
		inStage, inSink := make(chan int, 10), make(chan int, 10)
		release := make(chan struct{})
		stage := pipeline.Stage(p, pipeline.Source(p, upTo(3, &yielded)), func(_ context.Context, n int) (int, error) {
			inStage <- n
			if n == 2 {
				<-release
			}
			return n, nil
		})
		pipeline.Sink(p, stage, func(_ context.Context, n int) error {
			inSink <- n
			<-release
			return nil
		})
		synctest.Wait()
		if len(inSink) != 1 || len(inStage) != 2 || yielded.Load() != 3 {
			t.Errorf("the sink is busy with value 1: %d values have come into the stage and %d out of the source, want 2 and 3",
				len(inStage), yielded.Load())
		}
		close(release)
		wait(t, p)
	})
}

// Backpressure: no stage runs ahead; a line with n stages and a blocked sink takes n+2 values from its source.
//
//kata:zh 背压：没有阶段抢跑；n 个阶段的流水线，末端阻塞时最多从源头取 n+2 个值。
func TestBackpressure(t *testing.T) {
	for stages := range 4 {
		bubble(t, func(t *testing.T) {
			p := pipeline.New(context.Background())
			var yielded atomic.Int32
			stream := pipeline.Source(p, upTo(100, &yielded))
			for range stages {
				stream = pipeline.Stage(p, stream, pass[int])
			}
			step := make(chan struct{})
			pipeline.Sink(p, stream, func(context.Context, int) error { <-step; return nil })

			for done := range 3 {
				synctest.Wait()
				// One in the hands of the sink, one of each stage, one of the source.
				if n, most := int(yielded.Load()), done+1+stages+1; n > most {
					t.Errorf("%d stages, the sink has finished %d values and is busy: the source has yielded %d, want at most %d",
						stages, done, n, most)
				}
				step <- struct{}{}
			}
			close(step)
			wait(t, p)
		})
	}
}

// Cancelling the context releases every stage, wherever it is blocked.
//
//kata:zh 取消 context 会放开每个阶段，无论它阻塞在哪里。
func TestCancelReleases(t *testing.T) {
	t.Run("the sink is busy, the rest waits to send", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			p := pipeline.New(ctx)
			stage := pipeline.Stage(p, pipeline.Source(p, upTo(100, new(atomic.Int32))), pass[int])
			pipeline.Sink(p, stage, func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() })
			synctest.Wait()
			cancel()
			if err := wait(t, p); err == nil {
				t.Error("cancelled while values were on their way: Wait() = nil, want an error")
			}
		})
	})
	t.Run("nobody consumes the stream", func(t *testing.T) {
		for i := range 100 { // which end a stage sees first, that of its input or of its context, is chance
			bubble(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				p := pipeline.New(ctx)
				pipeline.Stage(p, pipeline.Source(p, upTo(1+i%2, new(atomic.Int32))), pass[int])
				synctest.Wait()
				cancel()
				if err := wait(t, p); err == nil {
					t.Fatal("cancelled while values were on their way: Wait() = nil, want an error")
				}
			})
		}
	})
	t.Run("the source is busy, the rest waits to receive", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			p := pipeline.New(ctx)
			source := pipeline.Source(p, func(ctx context.Context, _ func(int) bool) error { <-ctx.Done(); return ctx.Err() })
			pipeline.Sink(p, pipeline.Stage(p, source, pass[int]), discard[int])
			synctest.Wait()
			cancel()
			if err := wait(t, p); err == nil {
				t.Error("cancelled while the source was at work: Wait() = nil, want an error")
			}
		})
	})
}

// After a cancellation Wait returns its cause, whatever the stages make of it.
//
//kata:zh 取消之后 Wait 返回取消的 cause，无论各阶段自己返回什么。
func TestCancelCause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(context.Background())
		defer cancel(nil)
		p := pipeline.New(ctx)
		source := pipeline.Source(p, func(ctx context.Context, yield func(int) bool) error {
			for yield(1) {
			}
			return errors.New("source: interrupted")
		})
		stage := pipeline.Stage(p, source, pass[int])
		pipeline.Sink(p, stage, func(ctx context.Context, _ int) error {
			<-ctx.Done()
			return errors.New("sink: interrupted")
		})
		synctest.Wait()
		why := errors.New("the caller gave up")
		cancel(why)
		if err := wait(t, p); err != why {
			t.Errorf("the context was cancelled with the cause %q: Wait() = %v, want that cause", why, err)
		}
	})
	for range 100 { // which end the sink sees first, that of its stream or of its context, is chance
		bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			p := pipeline.New(ctx)
			source := pipeline.Source(p, upTo(100, new(atomic.Int32))) // returns nil, also when it is stopped
			release := make(chan struct{})
			pipeline.Sink(p, source, func(context.Context, int) error { <-release; return nil })
			synctest.Wait()
			why := errors.New("the caller gave up")
			cancel(why)
			synctest.Wait()
			close(release)
			if err := wait(t, p); err != why {
				t.Fatalf("the source was at the 2nd of 100 values; the context was cancelled with the cause %q, then source and sink returned nil: "+
					"Wait() = %v, want that cause", why, err)
			}
		})
		bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			p := pipeline.New(ctx)
			source := pipeline.Source(p, func(ctx context.Context, yield func(int) bool) error {
				yield(1)
				<-ctx.Done()
				return nil
			})
			pipeline.Sink(p, pipeline.Stage(p, source, pass[int]), discard[int])
			synctest.Wait()
			why := errors.New("the caller gave up")
			cancel(why)
			if err := wait(t, p); err != why {
				t.Fatalf("the source was at work; the context was cancelled with the cause %q, then the source returned nil: Wait() = %v, want that cause",
					why, err)
			}
		})
	}
}

// A cancellation that comes when all is done changes nothing.
//
//kata:zh 全部做完之后才到来的取消不影响结果。
func TestLateCancel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		p := pipeline.New(ctx)
		pipeline.Sink(p, pipeline.Source(p, upTo(3, new(atomic.Int32))), discard[int])
		synctest.Wait()
		cancel()
		if err := wait(t, p); err != nil {
			t.Errorf("cancelled after the sink had finished the last value: Wait() = %v, want nil", err)
		}
	})
}

// An error in a stage stops everything upstream, even an endless source.
//
//kata:zh 中间阶段出错会停住它上游的一切，哪怕源头永无止境。
func TestErrorStopsUpstream(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := pipeline.New(context.Background())
		var yielded atomic.Int32
		source := pipeline.Source(p, upTo(10_000, &yielded))
		first := pipeline.Stage(p, source, pass[int])
		second := pipeline.Stage(p, first, func(_ context.Context, n int) (int, error) {
			if n == 3 {
				return 0, errBoom
			}
			return n, nil
		})
		pipeline.Sink(p, second, discard[int])
		if err := wait(t, p); err != errBoom {
			t.Errorf("a stage failed with %q: Wait() = %v", errBoom, err)
		}
		if n := yielded.Load(); n == 10_000 {
			t.Errorf("a stage failed at the 3rd value: the source went on to yield all of its %d, want it stopped", n)
		}
	})
}

// An error in the sink is a failure like any other: it stops the line and Wait returns it.
//
//kata:zh 末端出错与别处一样：停住整条流水线，由 Wait 返回。
func TestSinkError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := pipeline.New(context.Background())
		var calls, yielded atomic.Int32
		pipeline.Sink(p, pipeline.Source(p, upTo(100, &yielded)), func(_ context.Context, n int) error {
			if calls.Add(1) == 2 {
				return errBoom
			}
			return nil
		})
		if err := wait(t, p); err != errBoom {
			t.Errorf("the sink failed with %q: Wait() = %v", errBoom, err)
		}
		if n := calls.Load(); n != 2 {
			t.Errorf("the sink failed at the 2nd value: its function was called %d times, want 2", n)
		}
	})
}

// An error of the source ends the line, and Wait returns it.
//
//kata:zh 源头出错会结束流水线，由 Wait 返回这个错误。
func TestSourceError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := pipeline.New(context.Background())
		source := pipeline.Source(p, func(_ context.Context, yield func(int) bool) error {
			yield(1)
			yield(2)
			synctest.Wait() // until both have arrived
			return errBoom
		})
		var got log[int]
		pipeline.Sink(p, pipeline.Stage(p, source, pass[int]), got.add)
		if err := wait(t, p); err != errBoom {
			t.Errorf("the source yielded 1, 2 and failed with %q: Wait() = %v", errBoom, err)
		}
		if want := []int{1, 2}; !slices.Equal(got.all(), want) {
			t.Errorf("the source yielded 1, 2 and failed: the sink received %v, want %v", got.all(), want)
		}
	})
}

// Whoever is at work upstream of a failure is told by its context, across stages that have nothing to do.
//
//kata:zh 某处失败时，上游正在干活的函数会从自己的 context 得知，中间隔着空闲的阶段也一样。
func TestUpstreamIsTold(t *testing.T) {
	told := func(t *testing.T, who string, ctx context.Context) {
		select {
		case <-ctx.Done():
		case <-time.After(time.Hour):
			t.Errorf("a later stage failed while %s was at work: its context was not cancelled", who)
		}
	}
	t.Run("the source", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := pipeline.New(context.Background())
			source := pipeline.Source(p, func(ctx context.Context, yield func(int) bool) error {
				yield(1)
				told(t, "the source", ctx)
				return nil
			})
			idle := pipeline.Stage(p, pipeline.Stage(p, source, pass[int]), pass[int])
			pipeline.Sink(p, idle, func(context.Context, int) error { synctest.Wait(); return errBoom })
			wait(t, p)
		})
	})
	t.Run("a stage", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := pipeline.New(context.Background())
			busy := pipeline.Stage(p, pipeline.Source(p, upTo(2, new(atomic.Int32))), func(ctx context.Context, n int) (int, error) {
				if n == 2 {
					told(t, "a stage", ctx)
				}
				return n, nil
			})
			idle := pipeline.Stage(p, pipeline.Stage(p, busy, pass[int]), pass[int])
			pipeline.Sink(p, idle, func(context.Context, int) error { synctest.Wait(); return errBoom })
			wait(t, p)
		})
	})
}

// What was handed on before a failure is not lost: everything downstream goes on, undisturbed, to its end.
//
//kata:zh 失败之前交出去的值不会丢：下游不受打扰，照常处理到底。
func TestDownstreamFinishes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := pipeline.New(context.Background())
		before := pipeline.Stage(p, pipeline.Source(p, upTo(100, new(atomic.Int32))), pass[int])
		failing := pipeline.Stage(p, before, func(_ context.Context, n int) (int, error) {
			if n == 3 {
				return 0, errBoom
			}
			return n, nil
		})
		slow := pipeline.Stage(p, failing, pass[int])
		release := make(chan struct{})
		var got log[int]
		pipeline.Sink(p, slow, func(ctx context.Context, n int) error {
			<-release
			if ctx.Err() != nil {
				t.Errorf("a stage failed at value 3; the sink, downstream of it, is at value %d: ctx.Err() = %v, want nil", n, ctx.Err())
			}
			return got.add(ctx, n)
		})
		// The sink is busy with 1, the stage before it holds 2, and the one before that has failed at 3.
		synctest.Wait()
		close(release)
		if err := wait(t, p); err != errBoom {
			t.Errorf("a stage failed with %q: Wait() = %v", errBoom, err)
		}
		if want := []int{1, 2}; !slices.Equal(got.all(), want) {
			t.Errorf("a stage failed at value 3: the sink received %v, want %v", got.all(), want)
		}
	})
}

// An error is reported once and as it is: what stopped stages return is an echo, and a later failure does not replace it.
//
//kata:zh 错误只报告一次，原样返回：被停住的阶段所返回的只是回声，更晚的失败也不会取代它。
func TestReportedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := pipeline.New(context.Background())
		source := pipeline.Source(p, func(_ context.Context, yield func(int) bool) error {
			for range 1000 {
				if !yield(1) {
					return errors.New("source: interrupted")
				}
			}
			return nil
		})
		failing := pipeline.Stage(p, source, func(context.Context, int) (int, error) { return 0, errBoom })
		pipeline.Sink(p, failing, discard[int])
		if err := wait(t, p); err != errBoom {
			t.Errorf("a stage failed with %q, the source upstream of it was stopped and returned an error, too: Wait() = %q (%[2]T), want %[1]q itself",
				errBoom, err)
		}
	})
	bubble(t, func(t *testing.T) {
		p := pipeline.New(context.Background())
		failing := pipeline.Stage(p, pipeline.Source(p, upTo(2, new(atomic.Int32))), func(_ context.Context, n int) (int, error) {
			if n == 2 {
				return 0, errBoom
			}
			return n, nil
		})
		pipeline.Sink(p, pipeline.Stage(p, failing, pass[int]), func(context.Context, int) error {
			synctest.Wait() // until the stage has failed
			return errors.New("a later failure")
		})
		if err := wait(t, p); err != errBoom {
			t.Errorf("a stage failed with %q, then the sink failed, too: Wait() = %q (%[2]T), want %[1]q itself", errBoom, err)
		}
	})
}

// Two stages may fail at the same moment: no data race, and Wait returns one of the errors.
//
//kata:zh 两个阶段可以在同一瞬间失败：没有数据竞争，Wait 返回其中一个错误。
func TestFailTogether(t *testing.T) {
	for range 20 {
		p := pipeline.New(context.Background())
		errs := []error{errors.New("the first stage"), errors.New("the second stage")}
		ready, fail := make(chan struct{}, len(errs)), make(chan struct{})
		first := pipeline.Stage(p, pipeline.Source(p, upTo(2, new(atomic.Int32))), func(_ context.Context, n int) (int, error) {
			if n == 1 {
				return n, nil
			}
			ready <- struct{}{}
			<-fail
			return 0, errs[0]
		})
		second := pipeline.Stage(p, first, func(context.Context, int) (int, error) {
			ready <- struct{}{}
			<-fail
			return 0, errs[1]
		})
		pipeline.Sink(p, second, discard[int])
		done := make(chan error, 1)
		go func() { done <- p.Wait() }()

		for range errs {
			if _, ok := stall.Receive(ready); !ok {
				close(fail)
				t.Fatal("two stages do not come to work at the same time")
			}
		}
		close(fail)
		err, ok := stall.Receive(done)
		if !ok {
			t.Fatal("two stages failed at once: Wait() does not return, part of the line is still blocked")
		}
		if !errors.Is(err, errs[0]) && !errors.Is(err, errs[1]) {
			t.Fatalf("two stages failed at once: Wait() = %v, want one of their errors", err)
		}
	}
}

// Wait returns only when the whole line has ended, the source's clean-up included.
//
//kata:zh 整条流水线都结束之后 Wait 才返回，包括源头的清理工作。
func TestWaitsForAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := pipeline.New(context.Background())
		var cleaned atomic.Bool
		source := pipeline.Source(p, func(_ context.Context, yield func(int) bool) error {
			defer cleaned.Store(true)
			defer time.Sleep(time.Minute)
			for n := 1; n <= 1000 && yield(n); n++ {
			}
			return nil
		})
		pipeline.Sink(p, pipeline.Stage(p, source, pass[int]), func(context.Context, int) error { return errBoom })
		wait(t, p)
		if !cleaned.Load() {
			t.Error("the sink failed: Wait() returned while the source was still cleaning up")
			time.Sleep(time.Hour) // it would be left behind in the bubble
		}
	})
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		p := pipeline.New(ctx)
		var finished atomic.Bool
		pipeline.Sink(p, pipeline.Source(p, upTo(2, new(atomic.Int32))), func(context.Context, int) error {
			time.Sleep(time.Minute) // it does not look at its context
			finished.Store(true)
			return nil
		})
		synctest.Wait()
		cancel()
		wait(t, p)
		if !finished.Load() {
			t.Error("the context was cancelled: Wait() returned while the sink was still at work")
			time.Sleep(time.Hour)
		}
	})
}

// After Wait every context that the pipeline handed out has ended; the caller's is left alone.
//
//kata:zh Wait 之后，流水线发出去的 context 全部结束；调用者自己的 context 不受影响。
func TestContextsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		p := pipeline.New(ctx)
		contexts := make(chan context.Context, 3)
		source := pipeline.Source(p, func(ctx context.Context, yield func(int) bool) error {
			contexts <- ctx
			yield(1)
			return nil
		})
		stage := pipeline.Stage(p, source, func(ctx context.Context, n int) (int, error) {
			contexts <- ctx
			return n, nil
		})
		pipeline.Sink(p, stage, func(ctx context.Context, _ int) error {
			contexts <- ctx
			return nil
		})
		wait(t, p)
		for _, who := range []string{"source", "stage", "sink"} {
			if (<-contexts).Err() == nil {
				t.Errorf("after Wait the context of the %s is still alive: it stays registered with the caller's", who)
			}
		}
		if ctx.Err() != nil {
			t.Errorf("after Wait the caller's context has Err() = %v, want nil", ctx.Err())
		}

		p = pipeline.New(ctx)
		pipeline.Source(p, func(ctx context.Context, yield func(int) bool) error {
			contexts <- ctx
			return nil
		})
		wait(t, p)
		if (<-contexts).Err() == nil {
			t.Error("a source without a consumer has yielded nothing; after Wait its context is still alive: it stays registered with the caller's")
		}
	})
}
