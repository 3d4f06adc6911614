// The intents of supervisor. All in virtual time: a minute takes no time, and what is said to happen at a moment
// happens at that very moment.
//
//kata:level 3
//kata:minutes 75
//kata:engine real Go runtime
//kata:race
package supervisor_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadkata/roadkata/stage1/concurrency/supervisor"
)

var (
	errBoom = errors.New("boom")

	config = supervisor.Config{
		Timeout:    10 * time.Second,
		MinBackoff: time.Second,
		MaxBackoff: 8 * time.Second,
		ResetAfter: time.Minute,
	}
)

// bubble runs f in virtual time, and leaves an hour behind it to whatever may still be on its way to an end. A bubble
// never settles while a goroutine spins or waits for a mutex: after ten real seconds that is a failure, too.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	stuck := time.AfterFunc(10*time.Second, func() {
		panic("stuck for 10 s: a goroutine spins, or waits for a mutex that another holds while it blocks")
	})
	defer stuck.Stop()
	synctest.Test(t, func(t *testing.T) {
		f(t)
		time.Sleep(time.Hour)
	})
}

// A stage is where a worker plays its part, run by run. It keeps the times of its runs, since the stage was set.
type stage struct {
	set    time.Time
	mu     sync.Mutex
	starts []time.Duration
	ends   []time.Duration
}

// worker plays the n-th of parts in its n-th run; when there are no more, it beats until it is told to stop.
func (s *stage) worker(parts ...supervisor.Worker) supervisor.Worker {
	return func(ctx context.Context, beat func()) error {
		s.mu.Lock()
		n := len(s.starts)
		s.starts = append(s.starts, time.Since(s.set))
		s.mu.Unlock()
		part := beating
		if n < len(parts) {
			part = parts[n]
		}
		err := part(ctx, beat)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ends = append(s.ends, time.Since(s.set))
		return err
	}
}

// runs returns how many runs have started.
func (s *stage) runs() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.starts)
}

// pauses returns the times from the end of each run to the start of the next.
func (s *stage) pauses() (all []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 1; i < len(s.starts) && i <= len(s.ends); i++ {
		all = append(all, s.starts[i]-s.ends[i-1])
	}
	return all
}

// supervised is a Run that goes on.
type supervised struct {
	cancel context.CancelCauseFunc
	result chan error
}

// run starts Run in a bubble.
func run(c supervisor.Config, work supervisor.Worker) *supervised {
	ctx, cancel := context.WithCancelCause(context.Background())
	r := &supervised{cancel, make(chan error, 1)}
	go func() { r.result <- supervisor.Run(ctx, c, work) }()
	synctest.Wait()
	return r
}

// stop cancels Run and returns its result; a Run that does not return within an hour fails the test.
func (r *supervised) stop(t *testing.T, cause error) error {
	t.Helper()
	r.cancel(cause)
	select {
	case err := <-r.result:
		return err
	case <-time.After(time.Hour):
		t.Fatal("Run was cancelled: an hour later it has not returned")
		return nil
	}
}

// silent is a worker that never beats and stops when it is told to.
func silent(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return ctx.Err()
}

// beating beats at once and then every five seconds until it is told to stop.
func beating(ctx context.Context, beat func()) error {
	for {
		beat()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Second):
		}
	}
}

// beatsFor beats every second for d, then falls silent.
func beatsFor(d time.Duration) supervisor.Worker {
	return func(ctx context.Context, beat func()) error {
		for end := time.Now().Add(d); time.Now().Before(end); {
			time.Sleep(time.Second)
			beat()
		}
		return silent(ctx, beat)
	}
}

// A silent worker is told to stop by its context, with the cause ErrStalled, and is started again.
//
//kata:zh 没有心跳的 worker 会经由 context 得知要停下，cause 为 ErrStalled；之后重新启动。
func TestSilentWorker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stage{set: time.Now()}
		var cause error
		r := run(config, s.worker(func(ctx context.Context, beat func()) error {
			err := silent(ctx, beat)
			cause = context.Cause(ctx)
			return err
		}))
		time.Sleep(time.Minute)
		if n := s.runs(); n != 2 {
			t.Errorf("Timeout 10 s; the first run never beats, the second does: after a minute there were %d runs, want 2", n)
		}
		r.stop(t, nil)
		if cause != supervisor.ErrStalled {
			t.Errorf("the context of the silent run was cancelled with the cause %v, want %v", cause, supervisor.ErrStalled)
		}
	})
}

// A run is stalled when Timeout has passed since its last beat: not earlier, not later.
//
//kata:zh 距最近一次心跳满 Timeout 即判定停滞：不早，也不晚。
func TestStalledInTime(t *testing.T) {
	for beats := range 4 {
		bubble(t, func(t *testing.T) {
			s := stage{set: time.Now()}
			r := run(config, s.worker(func(ctx context.Context, beat func()) error {
				for range beats {
					time.Sleep(4 * time.Second)
					beat()
				}
				return silent(ctx, beat)
			}))
			time.Sleep(5 * time.Minute)
			r.stop(t, nil)
			last := time.Duration(beats) * 4 * time.Second
			if got, want := s.ends[0], last+10*time.Second; got != want {
				t.Errorf("Timeout 10 s, last beat %v after the start: the run was told to stop after %v, want %v", last, got, want)
			}
		})
	}
}

// A worker that beats in time is never disturbed.
//
//kata:zh 按时心跳的 worker 绝不会被打扰。
func TestBeatingWorker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stage{set: time.Now()}
		over := make(chan struct{})
		r := run(config, s.worker(func(ctx context.Context, beat func()) error {
			defer close(over)
			for i := range 500 {
				pause := config.Timeout - time.Duration(1+i%7*1234567)
				time.Sleep(pause)
				beat()
				if ctx.Err() != nil {
					t.Errorf("Timeout 10 s, beat %d comes %v after the one before: the run was told to stop (%v)",
						i+1, pause, context.Cause(ctx))
					break
				}
			}
			return nil
		}))
		<-over
		if n := s.runs(); n != 1 {
			t.Errorf("a worker that beats in time was run %d times, want once", n)
		}
		r.stop(t, nil)
	})
}

// There are never two runs at once, even if a stalled one is slow to stop.
//
//kata:zh 任何时刻只有一次运行，哪怕停滞的那次迟迟不肯停下。
func TestNeverTwo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stage{set: time.Now()}
		r := run(config, s.worker(func(ctx context.Context, beat func()) error {
			<-ctx.Done()
			time.Sleep(time.Minute) // cleaning up
			return ctx.Err()
		}))
		time.Sleep(time.Minute)
		if n := s.runs(); n != 1 {
			t.Errorf("the first run has stalled and is still cleaning up: %d runs have been started, want 1", n)
		}
		time.Sleep(time.Minute)
		if n := s.runs(); n != 2 {
			t.Errorf("the first run has stalled and ended: %d runs have been started, want 2", n)
		}
		r.stop(t, nil)
	})
}

// A run that fails is followed by another, after the backoff.
//
//kata:zh 运行失败后，退避一段时间再次启动。
func TestFailingWorker(t *testing.T) {
	for _, resetAfter := range []time.Duration{time.Minute, 0} {
		bubble(t, func(t *testing.T) {
			s := stage{set: time.Now()}
			c := config
			c.ResetAfter = resetAfter
			fails := func(context.Context, func()) error { return errBoom }
			r := run(c, s.worker(fails, fails, fails))
			time.Sleep(time.Minute)
			if got, want := s.pauses(), []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}; !slices.Equal(got, want) {
				t.Errorf("MinBackoff 1 s, MaxBackoff 8 s, ResetAfter %v, three runs fail at once, without a beat: the pauses were %v, want %v",
					resetAfter, got, want)
			}
			r.stop(t, nil)
		})
	}
}

// When the worker is done, so is Run: it returns nil.
//
//kata:zh worker 完成（返回 nil），Run 也随之完成并返回 nil。
func TestDone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stage{set: time.Now()}
		r := run(config, s.worker(func(_ context.Context, beat func()) error {
			time.Sleep(time.Second)
			return nil
		}))
		time.Sleep(time.Second)
		synctest.Wait()
		select {
		case err := <-r.result:
			if err != nil {
				t.Errorf("the worker returned nil: Run() = %v, want nil", err)
			}
		default:
			t.Error("the worker returned nil: Run goes on")
			r.stop(t, nil)
		}
		if n := s.runs(); n != 1 {
			t.Errorf("the worker returned nil: it was run %d times, want once", n)
		}
	})
}

// A stalled run is followed by another even if it returns nil when it is told to stop.
//
//kata:zh 停滞的运行即使被叫停后返回 nil，也要重新启动。
func TestStalledIsNotDone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stage{set: time.Now()}
		r := run(config, s.worker(func(ctx context.Context, _ func()) error { <-ctx.Done(); return nil }))
		time.Sleep(time.Minute)
		if n := s.runs(); n != 2 {
			t.Errorf("the first run stalled and returned nil when told to stop: after a minute there were %d runs, want 2", n)
		}
		r.stop(t, nil)
	})
}

// The backoff begins at MinBackoff, doubles from one pause to the next, and stays at MaxBackoff.
//
//kata:zh 退避从 MinBackoff 开始，每次翻倍，到 MaxBackoff 为止。
func TestBackoffGrows(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stage{set: time.Now()}
		c := config
		c.MinBackoff, c.MaxBackoff = 3*time.Second, 20*time.Second
		r := run(c, s.worker(silent, silent, silent, silent, silent))
		time.Sleep(5 * time.Minute)
		want := []time.Duration{3 * time.Second, 6 * time.Second, 12 * time.Second, 20 * time.Second, 20 * time.Second}
		if got := s.pauses(); !slices.Equal(got, want) {
			t.Errorf("MinBackoff 3 s, MaxBackoff 20 s, five silent runs: the pauses were %v, want %v", got, want)
		}
		r.stop(t, nil)
	})
}

// After a run that was healthy for ResetAfter the backoff begins anew.
//
//kata:zh 健康运行满 ResetAfter 之后，退避重新从头开始。
func TestBackoffResets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stage{set: time.Now()}
		r := run(config, s.worker(silent, silent, beatsFor(time.Minute), silent, beatsFor(time.Hour)))
		time.Sleep(2 * time.Hour)
		want := []time.Duration{time.Second, 2 * time.Second, time.Second, 2 * time.Second, time.Second}
		if got := s.pauses(); !slices.Equal(got, want) {
			t.Errorf("ResetAfter 1 min; runs: silent, silent, 1 min of beats, silent, 1 h of beats: the pauses were %v, want %v", got, want)
		}
		r.stop(t, nil)
	})
	bubble(t, func(t *testing.T) {
		s := stage{set: time.Now()}
		c := config
		c.ResetAfter = 0
		r := run(c, s.worker(silent, silent, func(ctx context.Context, beat func()) error { beat(); return silent(ctx, beat) }, silent))
		time.Sleep(time.Hour)
		want := []time.Duration{time.Second, 2 * time.Second, time.Second, 2 * time.Second}
		if got := s.pauses(); !slices.Equal(got, want) {
			t.Errorf("ResetAfter 0; runs: silent, silent, a beat at once, silent: the pauses were %v, want %v", got, want)
		}
		r.stop(t, nil)
	})
}

// Neither a few beats nor a long silence make the backoff begin anew: what counts is the time from start to last beat.
//
//kata:zh 几下心跳、长时间的沉默，都不会让退避重新开始：只看从启动到最后一次心跳的时长。
func TestBackoffKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stage{set: time.Now()}
		c := config
		c.Timeout = 2 * time.Minute // longer than ResetAfter
		r := run(c, s.worker(silent, beatsFor(59*time.Second), beatsFor(time.Second), silent))
		time.Sleep(time.Hour)
		want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}
		if got := s.pauses(); !slices.Equal(got, want) {
			t.Errorf("Timeout 2 min, ResetAfter 1 min; runs: silent, 59 s of beats, one beat, silent: the pauses were %v, want %v",
				got, want)
		}
		r.stop(t, nil)
	})
	bubble(t, func(t *testing.T) {
		s := stage{set: time.Now()}
		c := config
		c.ResetAfter = 11 * time.Second // a second longer than Timeout
		r := run(c, s.worker(silent, func(ctx context.Context, beat func()) error {
			<-ctx.Done()
			time.Sleep(time.Second) // cleaning up
			beat()
			return ctx.Err()
		}, silent))
		time.Sleep(time.Hour)
		if got := s.pauses(); len(got) < 3 || got[2] != 4*time.Second {
			t.Errorf("Timeout 10 s, ResetAfter 11 s; runs: silent, one that stalls and beats a second later, silent: the pauses were %v, want 4s for the third",
				got)
		}
		r.stop(t, nil)
	})
	bubble(t, func(t *testing.T) {
		s := stage{set: time.Now()}
		c := config
		c.ResetAfter = 0
		r := run(c, s.worker(silent, silent, silent))
		time.Sleep(time.Hour)
		want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}
		if got := s.pauses(); !slices.Equal(got, want) {
			t.Errorf("ResetAfter 0; three silent runs: the pauses were %v, want %v", got, want)
		}
		r.stop(t, nil)
	})
}

// Cancelling Run tells the worker to stop, and Run waits until it has.
//
//kata:zh 取消 Run 会让 worker 停下，而且 Run 会等它停完才返回。
func TestShutdownWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stage{set: time.Now()}
		var stopped atomic.Bool
		r := run(config, s.worker(func(ctx context.Context, _ func()) error {
			<-ctx.Done()
			time.Sleep(time.Minute) // longer than Timeout: cleaning up after a shutdown is no stall
			stopped.Store(true)
			return ctx.Err()
		}))
		time.Sleep(3 * time.Second)
		r.stop(t, nil)
		if !stopped.Load() {
			t.Error("Run was cancelled: it returned before the worker had stopped")
			time.Sleep(time.Hour)
		}
		if s.ends[0] != time.Minute+3*time.Second {
			t.Errorf("cancelled 3 s after the start, the worker takes a minute to stop: it ended after %v, want 1m3s", s.ends[0])
		}
		if n := s.runs(); n != 1 {
			t.Errorf("Run was cancelled during the first run: there were %d, want 1", n)
		}
	})
}

// After a cancellation Run returns its cause, whatever the worker returns.
//
//kata:zh 取消之后 Run 返回取消的 cause，无论 worker 返回什么。
func TestShutdownCause(t *testing.T) {
	why := errors.New("the machine is going down")
	for name, returns := range map[string]error{"nil": nil, "an error": errBoom} {
		bubble(t, func(t *testing.T) {
			s := stage{set: time.Now()}
			r := run(config, s.worker(func(ctx context.Context, _ func()) error { <-ctx.Done(); return returns }))
			time.Sleep(time.Second)
			if err := r.stop(t, why); err != why {
				t.Errorf("cancelled with the cause %q, the worker returned %s: Run() = %v, want that cause", why, name, err)
			}
		})
	}
}

// Cancelling ends a backoff at once, and there is no further run.
//
//kata:zh 退避期间取消，Run 立刻返回，不再启动。
func TestCancelDuringBackoff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stage{set: time.Now()}
		c := config
		c.MinBackoff, c.MaxBackoff = time.Minute, time.Minute
		r := run(c, s.worker(func(context.Context, func()) error { return errBoom }))
		time.Sleep(10 * time.Second)
		cancelled := time.Now()
		r.stop(t, nil)
		if d := time.Since(cancelled); d > 0 {
			t.Errorf("cancelled 10 s into a backoff of a minute: Run returned %v later, want at once", d)
		}
		if n := s.runs(); n != 1 {
			t.Errorf("cancelled during the first backoff: there were %d runs, want 1", n)
		}
	})
}

// With a context that is cancelled already there is no run at all.
//
//kata:zh context 早已取消时，一次也不启动。
func TestCancelledBefore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		why := errors.New("never mind")
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(why)
		var runs atomic.Int32
		err := supervisor.Run(ctx, config, func(ctx context.Context, _ func()) error {
			runs.Add(1)
			<-ctx.Done()
			return ctx.Err()
		})
		if err != why || runs.Load() != 0 {
			t.Errorf("the context was cancelled before with the cause %q: Run() = %v after %d runs, want the cause and none",
				why, err, runs.Load())
		}
	})
}

// A beat counts for its own run only: one that comes late does not keep the next run alive.
//
//kata:zh 心跳只对自己那次运行有效：迟到的心跳不会替下一次运行续命。
func TestLateBeat(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stage{set: time.Now()}
		stop := make(chan struct{})
		r := run(config, s.worker(func(ctx context.Context, beat func()) error {
			<-ctx.Done()
			go func() { // left behind by a careless worker
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Second):
						beat()
					}
				}
			}()
			return ctx.Err()
		}, silent))
		time.Sleep(time.Minute)
		if n := s.runs(); n != 3 {
			t.Errorf("the first run is over but still beats, the second is silent: after a minute there were %d runs, want 3", n)
		}
		close(stop)
		r.stop(t, nil)
	})
}

// beat may be called from any goroutine at any time, after the run and after Run, too: it never blocks.
//
//kata:zh beat 可以随时在任意 goroutine 中调用，运行结束、Run 返回之后也行：它从不阻塞。
func TestBeatNeverBlocks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stage{set: time.Now()}
		kept := make(chan func(), 1)
		r := run(config, s.worker(func(ctx context.Context, beat func()) error {
			kept <- beat
			time.Sleep(3 * time.Second)
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					for range 100 {
						beat()
					}
				})
			}
			all.Wait()
			<-ctx.Done()
			beat() // too late, but harmless
			return ctx.Err()
		}))
		time.Sleep(time.Minute)
		if n := s.runs(); n != 2 {
			t.Fatalf("the first run beats, stalls, and beats once more when told to stop: after a minute there were %d runs, want 2", n)
		}
		r.stop(t, nil)
		done := make(chan struct{})
		go func() {
			(<-kept)()
			close(done)
		}()
		synctest.Wait()
		select {
		case <-done:
		default:
			t.Error("Run has returned: a call of beat blocks")
		}
	})
}

// goroutines counts those that live in the bubble. (runtime.NumGoroutine counts all, even one that has just ended.)
func goroutines() (n int) {
	stacks := make([]byte, 1<<20)
	for line := range strings.Lines(string(stacks[:runtime.Stack(stacks, true)])) {
		if strings.HasPrefix(line, "goroutine ") && strings.Contains(line, "synctest bubble") {
			n++
		}
	}
	return n
}

// When Run returns no goroutine of its is left.
//
//kata:zh Run 返回之后，不留下任何 goroutine。
func TestNothingLeft(t *testing.T) {
	for _, how := range []string{"cancelled", "done"} {
		bubble(t, func(t *testing.T) {
			s := stage{set: time.Now()}
			before := goroutines()
			end := make(chan struct{})
			r := run(config, s.worker(silent, beatsFor(5*time.Second), func(ctx context.Context, _ func()) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-end:
					return nil
				}
			}))
			time.Sleep(31 * time.Second) // into the third run
			if how == "done" {
				close(end)
				synctest.Wait()
			}
			r.stop(t, nil)
			synctest.Wait()
			if left := goroutines() - before; left > 0 {
				t.Errorf("%s during the third run: when Run has returned, %d goroutines are left", how, left)
			}
		})
	}
}

// The context of a run ends with the run: nothing stays registered with the caller's.
//
//kata:zh 每次运行的 context 随这次运行结束：不在调用者的 context 上留下登记。
func TestContextsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := stage{set: time.Now()}
		contexts := make(chan context.Context, 2)
		r := run(config, s.worker(func(ctx context.Context, _ func()) error {
			contexts <- ctx
			return errBoom
		}, func(ctx context.Context, _ func()) error {
			contexts <- ctx
			return nil
		}))
		time.Sleep(time.Minute)
		synctest.Wait()
		close(contexts)
		n := 0
		for ctx := range contexts {
			if n++; ctx.Err() == nil {
				t.Errorf("run %d is over: its context is still alive", n)
			}
		}
		r.stop(t, nil)
	})
}

// Run panics on a Config that makes no sense, before it runs anything.
//
//kata:zh Config 不合理时，Run 什么都不启动就 panic。
func TestConfig(t *testing.T) {
	bubble(t, func(t *testing.T) {
		smallest := supervisor.Config{Timeout: 1, MinBackoff: 1, MaxBackoff: 1}
		run(smallest, silent).stop(t, nil) // does not panic
		for _, change := range []func(*supervisor.Config){
			func(c *supervisor.Config) { c.Timeout = 0 },
			func(c *supervisor.Config) { c.MinBackoff = 0 },
			func(c *supervisor.Config) { c.MinBackoff = -1 },
			func(c *supervisor.Config) { c.MaxBackoff = c.MinBackoff - 1 },
		} {
			c, runs := config, 0
			change(&c)
			func() {
				defer func() {
					if recover() == nil || runs > 0 {
						t.Errorf("Run with %+v did not panic, or only after %d runs; want a panic before any", c, runs)
					}
				}()
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				supervisor.Run(ctx, c, func(context.Context, func()) error { runs++; return nil })
			}()
		}
	})
}
