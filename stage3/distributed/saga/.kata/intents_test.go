// Sagas: stages forward, undone in reverse, a point of no return, and a log that survives the crash of its process at any moment.
//
// The log is a real SQLite database behind a driver that fails where a test says so; time is that of a synctest bubble.
//
//kata:level 3
//kata:minutes 120
//kata:engine real SQLite
//kata:timeout 40s
package saga_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"modernc.org/sqlite"

	"github.com/roadkata/roadkata/stage3/distributed/saga"
)

var (
	errRefused = fmt.Errorf("not in stock: %w", saga.ErrRefused)
	errLost    = errors.New("connection reset: who knows whether it happened")
	errDead    = errors.New("the process is dead")
	errDisk    = errors.New("disk I/O error")
)

const id, input = "42", "two pens"

// Sagas run their stages in order, with input and keys, and keep their outcome; Resume carries on all that have not ended, and none waits for another.
//
//kata:zh saga 依次执行各阶段，带着输入和键，结局不变；Resume 接着执行所有未结束的，互不等待。
func TestSagas(t *testing.T) {
	play(t, func(t *testing.T, w *world) {
		w.start(t, w.orchestrator(t, line), saga.Done)
		w.calls(t, "Start", "do stock", "do truck", "do charge", "do mail", "do points")
		w.start(t, w.orchestrator(t, line), saga.Done)
		w.calls(t, "Start of the same saga once more, in another process,")
	})
	play(t, func(t *testing.T, w *world) {
		o := w.orchestrator(t, line)
		if got, err := o.Start(t.Context(), "9", "nonsense", nil); !errors.Is(err, saga.ErrUnknown) || got != "" {
			t.Errorf("Start of a name that has no definition = %q, %v, want ErrUnknown", got, err)
		}
		if err := o.Resume(t.Context()); err != nil {
			t.Errorf("Resume, after a Start with an unknown name = %v, want nil: there is nothing to carry on", err)
		}
	})
	play(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var log []string
		stopped := true
		act := func(_ context.Context, c saga.Call) error {
			mu.Lock()
			defer mu.Unlock()
			if stopped {
				return errLost
			}
			if log = append(log, c.Key+" "+string(c.Input)); strings.HasPrefix(c.Key, "b/") || strings.HasPrefix(c.Key, "e/") {
				return errLost // these two never succeed
			}
			return nil
		}
		def := saga.Definition{Name: "order", Pivot: saga.Step{Name: "charge", Do: act}}
		old := def
		old.Name = "old"
		first, err := saga.New(t.Context(), w.open(t), quick, def, old)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"e", "b", "d", "a", "c"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			name := "order"
			if id == "c" {
				name = "old"
			}
			if _, err := first.Start(ctx, id, name, []byte("input of "+id)); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("Start(%s), whose pivot keeps failing, with a minute's time = %v", id, err)
			}
			cancel()
		}
		stopped = false
		second := w.with(t, def) // it does not know "old"
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err = second.Resume(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, saga.ErrUnknown) {
			t.Errorf("Resume for an hour, where two sagas keep failing and one has no definition = %v, want an error that is context.DeadlineExceeded and ErrUnknown", err)
		}
		for _, want := range []string{"a/charge input of a", "d/charge input of d"} {
			if !slices.Contains(log, want) {
				t.Errorf("Resume, where other sagas keep failing, never called %q", want)
			}
		}
		log = nil
		for _, id := range []string{"a", "d"} {
			if got, err := second.Start(t.Context(), id, "order", nil); got != saga.Done || err != nil || len(log) > 0 {
				t.Errorf("Resume carried saga %s on; Start = %q, %v, and it called %q, want done and no calls", id, got, err, log)
			}
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		second.Start(short, "b", "order", []byte("another input"))
		if len(log) == 0 || log[0] != "b/charge input of b" {
			t.Errorf("Start of an unfinished saga, with another input, called %q, want its pivot with the input of its first Start", log)
		}
		if _, err := second.Start(t.Context(), "c", "order", nil); !errors.Is(err, saga.ErrUnknown) {
			t.Errorf("Start of a saga that was started under another name, which has no definition here = %v, want ErrUnknown", err)
		}
	})
}

// When a step is refused, what was done before is undone in reverse order, each until it succeeds; the refused step is neither repeated nor undone.
//
//kata:zh 某一步被拒绝时，之前做过的按相反顺序撤销，每一个都直到成功为止；被拒绝的那一步既不重试也不撤销。
func TestCompensates(t *testing.T) {
	play(t, func(t *testing.T, w *world) {
		w.plan["do charge"] = always(errRefused)
		w.plan["undo truck"] = first(7, errLost)
		w.plan["undo stock"] = first(2, errRefused)
		began := time.Now()
		w.start(t, w.orchestrator(t, line), saga.Undone)
		all := []string{"do stock", "do truck", "do charge"}
		all = append(all, slices.Repeat([]string{"undo truck"}, 8)...)
		w.calls(t, "the charge was refused, the undoing of the truck fails 7 times, that of the stock twice: Start", append(all, slices.Repeat([]string{"undo stock"}, 3)...)...)
		w.nothing(t)
		if took, want := time.Since(began), 31*time.Second; took != want { // 1+2+…+7, 1+2
			t.Errorf("the pauses before the repetitions took %v together, want Pause(1) … Pause(7) and Pause(1), Pause(2): %v", took, want)
		}
	})
	play(t, func(t *testing.T, w *world) {
		w.plan["do truck"] = always(errRefused)
		w.start(t, w.orchestrator(t, line), saga.Undone)
		w.calls(t, "the truck was refused: Start", "do stock", "do truck", "undo stock")
		w.start(t, w.orchestrator(t, line), saga.Undone)
		w.calls(t, "Start of the same saga once more")
	})
	play(t, func(t *testing.T, w *world) {
		w.plan["do charge"] = always(errRefused)
		def := w.define(line)
		def.Before[1][0].Undo = nil
		w.start(t, w.with(t, def), saga.Undone)
		w.calls(t, "the truck has no Undo, the charge was refused: Start", "do stock", "do truck", "do charge", "undo stock")
	})
}

// A step that fails without being refused may have taken effect: it is repeated under the same key, and if it is given up, it is undone too.
//
//kata:zh 一步若失败而未被拒绝，就可能已经生效：用同一个键重试；放弃时，它自己也要撤销。
func TestUnknown(t *testing.T) {
	for _, c := range []struct {
		what string
		plan func(n int) error
		want saga.Outcome
		all  []string
	}{
		{"fails twice, then works", first(2, errLost), saga.Done, []string{"do stock", "do truck", "do truck", "do truck", "do charge", "do mail", "do points"}},
		{"fails always", always(errLost), saga.Undone, []string{"do stock", "do truck", "do truck", "do truck", "undo truck", "undo stock"}},
		{"fails once, then is refused", func(n int) error {
			if n == 1 {
				return fmt.Errorf("busy")
			}
			return errRefused
		}, saga.Undone, []string{"do stock", "do truck", "do truck", "undo stock"}},
	} {
		play(t, func(t *testing.T, w *world) {
			w.plan["do truck"] = c.plan
			began := time.Now()
			w.start(t, w.orchestrator(t, line), c.want)
			w.calls(t, "with 3 attempts, the truck "+c.what+": Start", c.all...)
			repeated := 0
			for _, call := range c.all[2:] {
				if call == "do truck" {
					repeated++
				}
			}
			if took, want := time.Since(began), time.Duration(repeated*(repeated+1)/2)*time.Second; took != want {
				t.Errorf("the truck %s: the pauses took %v, want %v", c.what, took, want)
			}
		})
	}
	play(t, func(t *testing.T, w *world) {
		w.plan["do truck"] = always(errLost)
		o, err := saga.New(t.Context(), w.open(t), saga.Policy{}, w.define(line))
		if err != nil {
			t.Fatal(err)
		}
		w.start(t, o, saga.Undone)
		w.calls(t, "with the zero Policy, the truck fails always: Start", "do stock", "do truck", "undo truck", "undo stock")
	})
}

// The pivot is repeated until it is known what became of it; after it nothing is undone, and everything is repeated until it succeeds.
//
//kata:zh 枢轴步骤一直重试到结果明确为止；过了它，什么都不再撤销，一切都重试到成功。
func TestPivot(t *testing.T) {
	play(t, func(t *testing.T, w *world) {
		w.plan["do charge"] = first(5, errLost)
		w.start(t, w.orchestrator(t, line), saga.Done)
		all := append([]string{"do stock", "do truck"}, slices.Repeat([]string{"do charge"}, 6)...)
		w.calls(t, "with 3 attempts, the pivot fails 5 times, then works: Start", append(all, "do mail", "do points")...)
	})
	play(t, func(t *testing.T, w *world) {
		w.plan["do charge"] = func(n int) error {
			if n <= 4 {
				return errors.New("busy")
			}
			return errRefused
		}
		w.start(t, w.orchestrator(t, line), saga.Undone)
		all := append([]string{"do stock", "do truck"}, slices.Repeat([]string{"do charge"}, 5)...)
		w.calls(t, "the pivot fails 4 times, then is refused: Start", append(all, "undo truck", "undo stock")...)
	})
	play(t, func(t *testing.T, w *world) {
		w.plan["do mail"] = first(5, errLost)
		w.plan["do points"] = first(2, errRefused)
		w.start(t, w.orchestrator(t, line), saga.Done)
		all := append([]string{"do stock", "do truck", "do charge"}, slices.Repeat([]string{"do mail"}, 6)...)
		w.calls(t, "past the pivot, the mail fails 5 times, the points are refused twice: Start", append(all, slices.Repeat([]string{"do points"}, 3)...)...)
	})
}

// The steps of a stage run at the same time; what follows, forward or backward, waits for all of them.
//
//kata:zh 同一阶段的步骤同时执行；接下来的事，不论前进还是撤销，都等它们全部结束。
func TestParallel(t *testing.T) {
	for _, stage := range [][]string{{"truck", "gift"}, {"mail", "points"}} {
		play(t, func(t *testing.T, w *world) {
			var mu sync.Mutex
			came, all := 0, make(chan struct{})
			for _, step := range stage {
				w.act["do "+step] = func(ctx context.Context) error {
					mu.Lock()
					if came++; came == len(stage) {
						close(all)
					}
					mu.Unlock()
					select {
					case <-all:
					case <-time.After(time.Hour):
						t.Errorf("%v stand in one stage; %s was called, and for an hour nobody else", stage, step)
					}
					return nil
				}
			}
			w.start(t, w.orchestrator(t, forked), saga.Done)
		})
	}
	play(t, func(t *testing.T, w *world) {
		over := false
		w.plan["do gift"] = always(errRefused)
		w.act["do truck"] = func(ctx context.Context) error {
			select {
			case <-time.After(time.Minute):
			case <-ctx.Done():
			}
			over = true
			return nil
		}
		for _, step := range []string{"stock", "truck"} {
			w.act["undo "+step] = func(context.Context) error {
				if !over {
					t.Errorf("the gift was refused, and undo %s was called while the truck, in the same stage, was still on its way", step)
				}
				return nil
			}
		}
		w.start(t, w.orchestrator(t, forked), saga.Undone)
		w.nothing(t)
	})
}

// Each attempt has its own timeout, also when it undoes; an attempt that is out of time may have taken effect.
//
//kata:zh 每次尝试各有自己的超时，撤销也一样；超时的尝试可能已经生效。
func TestTimeout(t *testing.T) {
	hang := func(times int) func(context.Context) error {
		n := 0
		return func(ctx context.Context) error {
			if n++; n > times {
				return nil
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Hour):
				return errors.New("nobody ended this attempt")
			}
		}
	}
	for _, c := range []struct {
		what   string
		hangs  map[string]int
		refuse string
		want   saga.Outcome
		took   time.Duration
	}{
		{"the truck hangs twice", map[string]int{"do truck": 2}, "", saga.Done, 10*2*time.Second + 3*time.Second},
		{"the truck hangs always", map[string]int{"do truck": 99}, "", saga.Undone, 10*3*time.Second + 3*time.Second},
		{"the pivot hangs four times", map[string]int{"do charge": 4}, "", saga.Done, 10*4*time.Second + 10*time.Second},
		{"the mail hangs once", map[string]int{"do mail": 1}, "", saga.Done, 10*time.Second + time.Second},
		{"the pivot is refused, undoing the truck hangs twice", map[string]int{"undo truck": 2}, "do charge", saga.Undone, 10*2*time.Second + 3*time.Second},
	} {
		play(t, func(t *testing.T, w *world) {
			for call, times := range c.hangs {
				w.act[call] = hang(times)
			}
			if c.refuse != "" {
				w.plan[c.refuse] = always(errRefused)
			}
			began := time.Now()
			def := w.define(line)
			for _, stages := range [][][]saga.Step{def.Before, {{def.Pivot}}, def.After} {
				for _, stage := range stages {
					for i := range stage {
						stage[i].Timeout = 10 * time.Second
					}
				}
			}
			def.Pivot.Timeout = 10 * time.Second
			w.start(t, w.with(t, def), c.want)
			if took := time.Since(began); took != c.took {
				t.Errorf("%s, with a timeout of 10s each: Start took %v, want %v (the pauses included)", c.what, took, c.took)
			}
			if c.want == saga.Undone {
				w.nothing(t)
			}
		})
	}
}

// The end of the caller's context is nobody's failure: nothing is undone for it, and the saga goes on later.
//
//kata:zh 调用者的 context 结束不是谁的失败：不会因此撤销什么，saga 以后接着走。
func TestContext(t *testing.T) {
	for _, c := range []struct{ at, refuse string }{{"do stock", ""}, {"do truck", ""}, {"do charge", ""}, {"do mail", ""}, {"undo truck", "do charge"}} {
		play(t, func(t *testing.T, w *world) {
			ctx, cancel := context.WithCancel(t.Context())
			n := 0
			w.act[c.at] = func(ctx context.Context) error {
				if n++; n > 1 {
					return nil
				}
				cancel()
				<-ctx.Done()
				return ctx.Err()
			}
			want := saga.Done
			if c.refuse != "" {
				w.plan[c.refuse] = always(errRefused)
				want = saga.Undone
			}
			got, err := w.orchestrator(t, line).Start(ctx, id, "order", []byte(input))
			if !errors.Is(err, context.Canceled) || got != "" {
				t.Fatalf("the context ended in %s: Start = %q, %v, want context.Canceled", c.at, got, err)
			}
			if last := w.log[len(w.log)-1]; last != c.at {
				t.Fatalf("the context ended in %s, and afterwards %s was called", c.at, last)
			}
			w.start(t, w.orchestrator(t, line), want)
			if want == saga.Done && slices.ContainsFunc(w.log, func(s string) bool { return strings.HasPrefix(s, "undo") }) {
				t.Fatalf("the context ended in %s; the calls before and after were %q, want nothing undone", c.at, w.log)
			}
		})
	}
	play(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		w.plan["do charge"] = always(errLost)
		began := time.Now()
		if _, err := w.orchestrator(t, line).Start(ctx, id, "order", []byte(input)); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("the pivot keeps failing, the context ends in a pause, after a minute: Start = %v after %v", err, time.Since(began))
		}
	})
}

// Wherever the process dies, another one finishes what it began: no effect is lost or left over, no finished stage is run again, a turn back stays one.
//
//kata:zh 进程不管死在哪里，另一个进程都能善后：没有丢失或残留的效果，做完的阶段不再执行，掉头就不再回头。
func TestCrash(t *testing.T) {
	for _, c := range []struct {
		what string
		plan map[string]func(int) error
		want saga.Outcome
	}{
		{"everything works", nil, saga.Done},
		{"the pivot is refused, and undoing the truck fails once", map[string]func(int) error{"do charge": always(errRefused), "undo truck": first(1, errLost)}, saga.Undone},
		{"the gift is refused", map[string]func(int) error{"do gift": always(errRefused)}, saga.Undone},
		{"nobody knows what became of the truck", map[string]func(int) error{"do truck": always(errLost)}, saga.Undone},
	} {
		for n := 1; ; n++ {
			died := false
			play(t, func(t *testing.T, w *world) {
				maps.Copy(w.plan, c.plan)
				ctx, kill := context.WithCancel(t.Context())
				defer kill()
				var mu sync.Mutex
				ticks, where := 0, ""
				w.tick = func(what string) error {
					mu.Lock()
					defer mu.Unlock()
					if ticks++; ticks == n {
						where = what
						kill()
					}
					if ticks >= n {
						return errDead
					}
					return nil
				}
				pool := w.open(t)
				if o, err := saga.New(ctx, pool, quick, w.define(forked)); err == nil {
					o.Start(ctx, id, "order", []byte(input))
				}
				synctest.Wait()
				pool.Close()
				died = where != ""
				where = c.what + "; the process died " + where
				w.mu.Lock()
				w.tick = nil
				before := len(w.log)
				w.mu.Unlock()

				o, err := saga.New(t.Context(), w.open(t), quick, w.define(forked))
				if err != nil {
					t.Fatalf("%s: New = %v", where, err)
				}
				if err := o.Resume(t.Context()); err != nil {
					t.Fatalf("%s: Resume = %v", where, err)
				}
				after := len(w.log)
				if before > 0 {
					w.consistent(t, where, c.want)
				}
				got, err := o.Start(t.Context(), id, "order", []byte(input))
				if err != nil || got != c.want {
					t.Fatalf("%s: after Resume, Start = %q, %v, want %q", where, got, err, c.want)
				}
				if before > 0 && len(w.log) != after {
					t.Fatalf("%s: Resume returned nil, and Start afterwards called %q", where, w.log[after:])
				}
				w.consistent(t, where, c.want)
			})
			if t.Failed() || !died {
				break
			}
		}
	}
}

// What cannot be written to the log ends the call at once: no further step is called, and the error comes back.
//
//kata:zh 日志写不进去，调用就立即结束：不再调用任何一步，并返回错误。
func TestLogFails(t *testing.T) {
	for _, refuse := range []string{"", "do charge"} {
		for n := 1; ; n++ {
			failed := false
			play(t, func(t *testing.T, w *world) {
				want := saga.Done
				if refuse != "" {
					want = saga.Undone
					w.plan[refuse] = always(errRefused)
				}
				o := w.orchestrator(t, line)
				ticks, where, called := 0, "", 0
				w.tick = func(what string) error {
					if strings.HasPrefix(what, "after do") || strings.HasPrefix(what, "after undo") {
						return nil
					}
					if ticks++; ticks == n {
						failed, where, called = true, what, len(w.log)
						return errDisk
					}
					return nil
				}
				got, err := o.Start(t.Context(), id, "order", []byte(input))
				w.tick = nil
				if !failed {
					return
				}
				if err == nil || got != "" {
					t.Fatalf("the database failed %s: Start = %q, %v, want an error", where, got, err)
				}
				if len(w.log) > called {
					t.Fatalf("the database failed %s; afterwards Start called %q, of which the log may know nothing", where, w.log[called:])
				}
				w.start(t, o, want)
			})
			if t.Failed() || !failed {
				break
			}
		}
	}
}

// layouts of the order that is run in these tests.
var (
	line   = [3][][]string{{{"stock"}, {"truck"}}, {{"charge"}}, {{"mail"}, {"points"}}}
	forked = [3][][]string{{{"stock"}, {"truck", "gift"}}, {{"charge"}}, {{"mail", "points"}}}
)

var quick = saga.Policy{Attempts: 3, Pause: func(n int) time.Duration { return time.Duration(n) * time.Second }}

func always(err error) func(int) error { return func(int) error { return err } }

func first(times int, err error) func(int) error {
	return func(n int) error {
		if n <= times {
			return err
		}
		return nil
	}
}

// world is the services that a saga calls, and the log's database.
type world struct {
	file string
	tick func(what string) error // sees each call of the database, before and after it, and each action after its effect

	mu     sync.Mutex
	layout [3][][]string
	plan   map[string]func(n int) error // what the nth call of an action returns
	act    map[string]func(ctx context.Context) error
	count  map[string]int
	log    []string // the actions, as they were called
	shown  int
	effect map[string]bool
}

// play runs f in a bubble, with services and a database of its own.
func play(t *testing.T, f func(*testing.T, *world)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "log.db")
	synctest.Test(t, func(t *testing.T) {
		f(t, &world{file: file, plan: map[string]func(int) error{}, act: map[string]func(context.Context) error{}, count: map[string]int{}, effect: map[string]bool{}})
	})
}

func (w *world) define(layout [3][][]string) saga.Definition {
	w.layout = layout
	stages := func(names [][]string, undo bool) (all [][]saga.Step) {
		for _, stage := range names {
			var steps []saga.Step
			for _, name := range stage {
				s := saga.Step{Name: name, Do: w.action("do", name)}
				if undo {
					s.Undo = w.action("undo", name)
				}
				steps = append(steps, s)
			}
			all = append(all, steps)
		}
		return all
	}
	return saga.Definition{Name: "order", Before: stages(layout[0], true), Pivot: stages(layout[1], false)[0][0], After: stages(layout[2], false)}
}

func (w *world) action(kind, step string) saga.Action {
	return func(ctx context.Context, c saga.Call) error {
		name, key := kind+" "+step, id+"/"+step
		if kind == "undo" {
			key += "/undo"
		}
		if c.Saga != id || c.Key != key || string(c.Input) != input {
			return fmt.Errorf("%s was called with saga %q, key %q, input %q; want %q, %q, %q: %w", name, c.Saga, c.Key, c.Input, id, key, input, saga.ErrRefused)
		}
		w.mu.Lock()
		if ctx.Err() != nil {
			w.mu.Unlock()
			return ctx.Err()
		}
		w.log = append(w.log, name)
		w.count[name]++
		n, plan, act, tick := w.count[name], w.plan[name], w.act[name], w.tick
		w.mu.Unlock()
		var err error
		if plan != nil {
			err = plan(n)
		}
		w.mu.Lock()
		switch {
		case kind == "do" && (err == nil || errors.Is(err, errLost)):
			w.effect[step] = true
		case kind == "undo" && err == nil:
			w.effect[step] = false
		}
		w.mu.Unlock()
		if act != nil {
			err = act(ctx)
		}
		if tick != nil {
			if dead := tick("after " + name); dead != nil {
				return dead
			}
		}
		return err
	}
}

func (w *world) orchestrator(t *testing.T, layout [3][][]string) *saga.Orchestrator {
	t.Helper()
	return w.with(t, w.define(layout))
}

func (w *world) with(t *testing.T, def saga.Definition) *saga.Orchestrator {
	t.Helper()
	o, err := saga.New(t.Context(), w.open(t), quick, def)
	if err != nil {
		t.Fatalf("New = %v", err)
	}
	return o
}

func (w *world) start(t *testing.T, o *saga.Orchestrator, want saga.Outcome) {
	t.Helper()
	if got, err := o.Start(t.Context(), id, "order", []byte(input)); got != want || err != nil {
		t.Fatalf("Start = %q, %v, want %q, nil; the calls were %q", got, err, want, w.log)
	}
}

// calls checks which actions were called since the last check.
func (w *world) calls(t *testing.T, what string, want ...string) {
	t.Helper()
	got := w.log[w.shown:]
	if w.shown = len(w.log); !slices.Equal(got, want) {
		t.Fatalf("%s called\n\t%s\nwant\n\t%s", what, strings.Join(got, ", "), strings.Join(want, ", "))
	}
}

// nothing checks that no effect is left over.
func (w *world) nothing(t *testing.T) {
	t.Helper()
	for step, is := range w.effect {
		if is {
			t.Errorf("the saga was undone, and the effect of %s is still there; the calls were %q", step, w.log)
		}
	}
}

// consistent checks effects and calls against what any saga promises.
func (w *world) consistent(t *testing.T, what string, want saga.Outcome) {
	t.Helper()
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("%s: %s; the calls were\n\t%s", what, fmt.Sprintf(format, args...), strings.Join(w.log, ", "))
	}
	rank := map[string]int{}
	stages := slices.Concat(w.layout[0], w.layout[1], w.layout[2])
	for i, stage := range stages {
		for _, step := range stage {
			rank["do "+step], rank["undo "+step] = i, 2*len(stages)-i
			if is := w.effect[step]; is != (want == saga.Done) {
				fail("effect of %s = %v, want %v", step, is, want == saga.Done)
			}
		}
	}
	for i, call := range w.log {
		if want == saga.Done && strings.HasPrefix(call, "undo") {
			fail("%s was called, though nothing was refused", call)
		}
		if i > 0 && rank[call] < rank[w.log[i-1]] {
			fail("%s was called after %s", call, w.log[i-1])
		}
		// A step that was logged and never called may be undone: the log cannot know. Of a stage that never began, nothing is.
		if step, undo := strings.CutPrefix(call, "undo "); undo && !slices.ContainsFunc(w.log, func(c string) bool { return rank[c] == rank["do "+step] && c[:2] == "do" }) {
			fail("%s was called, and its stage had never begun", call)
		}
	}
}

// open opens a pool of one connection whose calls are seen by tick.
func (w *world) open(t *testing.T) *sql.DB {
	t.Helper()
	u := url.URL{Scheme: "file", Opaque: filepath.ToSlash(w.file)}
	u.RawQuery = "_pragma=synchronous(OFF)&_pragma=journal_mode(MEMORY)"
	db := sql.OpenDB(connector{w, u.String()})
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

// around does a call of the database, unless tick says no before; after says that it was done all the same.
func (w *world) around(what string, do func() error) error {
	tick := w.tick
	if tick == nil {
		return do()
	}
	what = strings.Join(strings.Fields(what), " ")
	if err := tick("before " + what); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return tick("after " + what)
}

type connector struct {
	w   *world
	dsn string
}

func (c connector) Driver() driver.Driver { return &sqlite.Driver{} }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	real, err := c.Driver().Open(c.dsn)
	if err != nil {
		return nil, err
	}
	return conn{real.(sqliteConn), c.w}, nil
}

type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
}

type conn struct {
	sqliteConn
	w *world
}

func (c conn) BeginTx(ctx context.Context, o driver.TxOptions) (tx driver.Tx, err error) {
	if tx, err = c.sqliteConn.BeginTx(ctx, o); err != nil {
		return nil, err
	}
	return transaction{tx, c.w}, nil
}

func (c conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Result, err error) {
	err = c.w.around(query, func() error { r, err = c.sqliteConn.ExecContext(ctx, query, args); return err })
	return r, err
}

func (c conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if c.w.tick != nil {
		if err := c.w.tick("before " + strings.Join(strings.Fields(query), " ")); err != nil {
			return nil, err
		}
	}
	return c.sqliteConn.QueryContext(ctx, query, args)
}

func (c conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	real, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return statement{real.(sqliteStmt), c.w, query}, nil
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type statement struct {
	sqliteStmt
	w     *world
	query string
}

func (s statement) ExecContext(ctx context.Context, args []driver.NamedValue) (r driver.Result, err error) {
	err = s.w.around(s.query, func() error { r, err = s.sqliteStmt.ExecContext(ctx, args); return err })
	return r, err
}

type transaction struct {
	driver.Tx
	w *world
}

func (x transaction) Commit() error {
	done := false
	err := x.w.around("COMMIT", func() error { done = true; return x.Tx.Commit() })
	if !done {
		x.Tx.Rollback() // what was not committed is not kept by the connection
	}
	return err
}
