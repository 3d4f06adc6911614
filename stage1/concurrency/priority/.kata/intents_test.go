// The intents of priority.
//
//kata:level 2
//kata:minutes 35
//kata:engine real Go runtime
package priority_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadkata/roadkata/stage1/concurrency/priority"
)

// bubble runs f in virtual time. A bubble never settles while a goroutine spins or waits for a mutex: after ten real
// seconds that is a failure, too.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	stuck := time.AfterFunc(10*time.Second, func() {
		panic("stuck for 10 s: Next spins, or waits for a mutex, where it should wait for its channels")
	})
	defer stuck.Stop()
	synctest.Test(t, f)
}

type lanes = priority.Lanes[string]

// lane returns an open channel that holds name1 … namen and has room for ten more.
func lane(name string, n int) chan string {
	c := make(chan string, n+10)
	for _, v := range values(name, 1, n) {
		c <- v
	}
	return c
}

// values returns name<first> … name<last>.
func values(name string, first, last int) (all []string) {
	for i := first; i <= last; i++ {
		all = append(all, fmt.Sprint(name, i))
	}
	return all
}

// result is what a call of Next came to.
type result struct {
	v   string
	err error
}

func (r result) String() string {
	if r.err != nil {
		return fmt.Sprintf("the error %q", r.err)
	}
	return fmt.Sprintf("%q", r.v)
}

// patient is a context that is asked for its Err a few times for each value, not all the time.
type patient struct {
	context.Context
	asked *atomic.Int64
}

func (p patient) Err() error {
	if n := p.asked.Add(1); n > 10_000 {
		panic(fmt.Sprintf("Next spins: a single call has asked its context %d times whether it is cancelled", n))
	}
	return p.Context.Err()
}

// start calls Next in a goroutine of its own.
func start(ctx context.Context, l *lanes) <-chan result {
	c := make(chan result, 1)
	go func() {
		v, err := l.Next(patient{ctx, new(atomic.Int64)})
		c <- result{v, err}
	}()
	return c
}

// settle gives everybody in the bubble the time to do what there is to do. The time is virtual.
func settle() { time.Sleep(time.Second) }

// next calls Next where there must be a result at once.
func next(t *testing.T, l *lanes) result {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel() // releases a Next that waits
	c := start(ctx, l)
	synctest.Wait()
	select {
	case r := <-c:
		return r
	default:
		t.Fatal("Next() waits, want a result at once")
		return result{}
	}
}

// take calls Next n times and returns the values.
func take(t *testing.T, l *lanes, n int) (all []string) {
	t.Helper()
	for range n {
		r := next(t, l)
		if r.err != nil {
			t.Fatalf("Next() gave %v after %q, want a value", r, all)
		}
		all = append(all, r.v)
	}
	return all
}

// When both lanes are ready the high one goes first, and each lane keeps its order.
//
//kata:zh 两条通道都就绪时高优先级先行；每条通道内保持顺序。
func TestHighFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		// Channels without a buffer: ready is when a sender waits.
		high, low := make(chan string), make(chan string)
		const n = 20
		for name, c := range map[string]chan string{"h": high, "l": low} {
			go func() {
				for _, v := range values(name, 1, n) {
					c <- v
				}
			}()
		}
		synctest.Wait()
		got := take(t, priority.New(high, low, 1000), 2*n)
		if want := append(values("h", 1, n), values("l", 1, n)...); !slices.Equal(got, want) {
			t.Errorf("20 senders wait in each lane, k = 1000: Next gave %q, want %q", got, want)
		}
	})
}

// After k high values in a row it is a low one's turn, if there is one.
//
//kata:zh 连续 k 个高优先级的值之后，轮到低优先级的一个（如果有）。
func TestNotStarved(t *testing.T) {
	for k, want := range map[int][]string{
		1: {"h1", "l1", "h2", "l2", "h3", "h4", "h5", "h6", "h7"},
		2: {"h1", "h2", "l1", "h3", "h4", "l2", "h5", "h6", "h7"},
		5: {"h1", "h2", "h3", "h4", "h5", "l1", "h6", "h7", "l2"},
	} {
		bubble(t, func(t *testing.T) {
			if got := take(t, priority.New(lane("h", 7), lane("l", 2), k), 9); !slices.Equal(got, want) {
				t.Errorf("7 high values, 2 low ones, k = %d: Next gave %q, want %q", k, got, want)
			}
		})
	}
}

// A low value that comes late does not wait for another k: the high values before it count.
//
//kata:zh 晚到的低优先级值不必再等 k 个：之前的高优先级值已计入。
func TestTurnIsKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		high, low := lane("h", 6), lane("l", 0)
		l := priority.New(high, low, 3)
		got := take(t, l, 5)
		low <- "l1"
		got = append(got, take(t, l, 2)...)
		if want := []string{"h1", "h2", "h3", "h4", "h5", "l1", "h6"}; !slices.Equal(got, want) {
			t.Errorf("6 high values, a low one that comes after the 5th, k = 3: Next gave %q, want %q", got, want)
		}
	})

	// An error is no value: it neither ends a row nor begins one.
	for _, while := range []string{"before it was called", "while it waited"} {
		bubble(t, func(t *testing.T) {
			high, low := lane("h", 2), lane("l", 0)
			l := priority.New(high, low, 2)
			take(t, l, 2)
			ctx, cancel := context.WithCancel(context.Background())
			if while == "before it was called" {
				cancel()
			}
			cancelled := start(ctx, l)
			settle()
			cancel()
			settle()
			select {
			case <-cancelled:
			default: // that it still waits is another promise's matter
				high <- "releases it"
				<-cancelled
				return
			}
			high <- "h3"
			low <- "l1"
			if got := take(t, l, 1); got[0] != "l1" {
				t.Errorf("h1, h2, a Next cancelled %s, then h3 and l1 are ready, k = 2: Next gave %q, want l1", while, got[0])
			}
		})
	}
}

// Only high values in a row count: a low one in between, whatever the reason, begins a new row.
//
//kata:zh 只计连续的高优先级值：中间出过一个低优先级的值，无论为何，都重新计数。
func TestRowBeginsAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		high, low := lane("h", 2), lane("l", 1)
		l := priority.New(high, low, 3)
		got := take(t, l, 3) // h1, h2, and l1 because nothing high is left
		for _, v := range values("h", 3, 6) {
			high <- v
		}
		low <- "l2"
		got = append(got, take(t, l, 5)...)
		if want := []string{"h1", "h2", "l1", "h3", "h4", "h5", "l2", "h6"}; !slices.Equal(got, want) {
			t.Errorf("h1, h2, l1, then 4 high values and l2, k = 3: Next gave %q, want %q", got, want)
		}
	})
}

// Zero values are values like any other.
//
//kata:zh 零值也是普通的值。
func TestZeroValues(t *testing.T) {
	bubble(t, func(t *testing.T) {
		high, low := lane("h", 0), lane("l", 0)
		high <- ""
		high <- "h2"
		low <- ""
		if got, want := take(t, priority.New(high, low, 10), 3), []string{"", "h2", ""}; !slices.Equal(got, want) {
			t.Errorf(`"" and "h2" in the high lane, "" in the low one: Next gave %q, want %q`, got, want)
		}
	})
}

// A cancelled context wins over everything that is ready.
//
//kata:zh context 已取消时，无论什么就绪，取消优先。
func TestCancelWins(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		l := priority.New(lane("h", 50), lane("l", 50), 3)
		for range 50 { // a select may choose right by chance
			if v, err := l.Next(ctx); err == nil {
				t.Fatalf("the context is cancelled, both lanes are ready: Next() = %q, want an error", v)
			}
		}
		if got := take(t, l, 1); got[0] != "h1" {
			t.Errorf("50 calls with a cancelled context, then one with another: Next() = %q, want h1", got[0])
		}
		ended := priority.New[string](nil, nil, 3)
		if _, err := ended.Next(ctx); err == io.EOF {
			t.Error("the context is cancelled, both lanes are closed: Next() = io.EOF, want the cancellation")
		}
	})
}

// Cancelling releases a Next that waits, and no value is lost by that.
//
//kata:zh 取消会放开正在等待的 Next，而且不丢任何值。
func TestCancelReleases(t *testing.T) {
	bubble(t, func(t *testing.T) {
		high, low := lane("h", 0), lane("l", 0)
		l := priority.New(high, low, 3)
		ctx, cancel := context.WithCancel(context.Background())
		waiting := start(ctx, l)
		settle()
		cancel()
		settle()
		select {
		case r := <-waiting:
			if r.err == nil {
				t.Errorf("cancelled while Next waited: it gave %v, want an error", r)
			}
		default:
			t.Error("cancelled while Next waited: it still waits")
			high <- "releases it"
			<-waiting
		}
		high <- "h1"
		low <- "l1"
		settle() // time for whoever may still be waiting
		if got := take(t, l, 1); got[0] != "h1" {
			t.Errorf("a Next was cancelled while it waited, then h1 and l1 were sent: the following Next gave %q, want h1", got[0])
		}
	})
}

// The error after a cancellation is its cause.
//
//kata:zh 取消之后返回的错误是取消的 cause。
func TestCancelCause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		high, low := lane("h", 0), lane("l", 0)
		defer close(high)
		defer close(low)
		l := priority.New(high, low, 3)
		why := errors.New("the shift is over")
		ctx, cancel := context.WithCancelCause(context.Background())
		waiting := start(ctx, l)
		settle()
		cancel(why)
		if r := <-waiting; r.err != why {
			t.Errorf("cancelled with the cause %q while Next waited: it gave %v", why, r)
		}
		if _, err := l.Next(ctx); err != why {
			t.Errorf("cancelled with the cause %q before Next: it gave the error %q", why, err)
		}
	})
}

// Closing one lane keeps the other: what is left in both still comes, and Next waits for more.
//
//kata:zh 关闭一条通道不影响另一条：两边剩下的值照常交付，之后 Next 继续等待新的值。
func TestOneLaneCloses(t *testing.T) {
	for _, which := range []string{"high", "low"} {
		bubble(t, func(t *testing.T) {
			high, low := lane("h", 2), lane("l", 2)
			closed, open := high, low
			if which == "low" {
				closed, open = low, high
			}
			l := priority.New(high, low, 10)
			close(closed)
			got := take(t, l, 4)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			waiting := start(ctx, l)
			settle()
			open <- "later"
			settle()
			select {
			case r := <-waiting:
				if r.err != nil {
					t.Errorf("the %s lane is closed, the other empty: Next gave %v, want it to wait for more", which, r)
				} else if got = append(got, r.v); !slices.Equal(got, []string{"h1", "h2", "l1", "l2", "later"}) {
					t.Errorf("2 values in each lane, the %s lane closed, then one sent to the other: Next gave %q", which, got)
				}
			default:
				t.Errorf("the %s lane is closed, a value is sent to the other while Next waits: it still waits", which)
			}
		})
	}
}

// When both lanes are closed and empty, Next returns io.EOF, as often as it is called, also if it was waiting.
//
//kata:zh 两条通道都关闭且取空之后，Next 返回 io.EOF，调用多少次都一样；正在等待的也一样。
func TestBothLanesClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		high, low := lane("h", 1), lane("l", 1)
		l := priority.New(high, low, 3)
		take(t, l, 2)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		waiting := start(ctx, l)
		settle()
		close(low)
		settle()
		close(high)
		settle()
		select {
		case r := <-waiting:
			if r.err != io.EOF {
				t.Errorf("both lanes were closed while Next waited: it gave %v, want io.EOF", r)
			}
		default:
			t.Fatal("both lanes were closed while Next waited: it still waits")
		}
		for range 2 {
			if r := next(t, l); r.err != io.EOF {
				t.Errorf("both lanes are closed and empty: Next gave %v, want io.EOF", r)
			}
		}
	})
}

// A nil channel counts as closed.
//
//kata:zh nil channel 视为已关闭。
func TestNilLane(t *testing.T) {
	bubble(t, func(t *testing.T) {
		high, low := lane("h", 2), lane("l", 2)
		close(high)
		close(low)
		for _, c := range []struct {
			name      string
			high, low chan string
			want      []string
		}{{"high", nil, low, values("l", 1, 2)}, {"low", high, nil, values("h", 1, 2)}, {"each", nil, nil, nil}} {
			l := priority.New(c.high, c.low, 1)
			if got := take(t, l, len(c.want)); !slices.Equal(got, c.want) {
				t.Errorf("%s lane is nil: Next gave %q, want %q", c.name, got, c.want)
			}
			if r := next(t, l); r.err != io.EOF {
				t.Errorf("%s lane is nil, the rest closed and empty: Next gave %v, want io.EOF", c.name, r)
			}
		}
	})
}

// While there is nothing to do Next sleeps, without spinning or polling, and a value wakes it at once.
//
//kata:zh 无事可做时 Next 真正休眠，不空转、不轮询；一有值立刻醒来。
func TestIdle(t *testing.T) {
	for i, name := range []string{"high", "low"} {
		bubble(t, func(t *testing.T) {
			both := []chan string{lane("h", 0), lane("l", 0)}
			l := priority.New(both[0], both[1], 3)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			waiting := start(ctx, l)
			time.Sleep(time.Minute + time.Microsecond) // out of step with any polling
			sent := time.Now()
			both[i] <- "v"
			r := <-waiting
			if r != (result{v: "v"}) {
				t.Errorf(`"v" is sent to the %s lane while Next waits: it gave %v`, name, r)
			}
			if late := time.Since(sent); late > 0 {
				t.Errorf("a value is sent to the %s lane while Next waits: it comes %v late, want it at once", name, late)
			}
		})
	}
}

// Next takes a value only to return it: nothing is fetched ahead.
//
//kata:zh Next 只取走它要返回的那个值，绝不预取。
func TestNothingAhead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		high, low := lane("h", 5), lane("l", 5)
		l := priority.New(high, low, 2)
		for returned := 1; returned <= 10; returned++ {
			take(t, l, 1)
			if left := len(high) + len(low); left != 10-returned {
				t.Fatalf("10 values, Next has returned %d: %d are left in the lanes, want %d", returned, left, 10-returned)
			}
		}
	})
	bubble(t, func(t *testing.T) {
		high, low := lane("h", 0), lane("l", 0)
		defer close(high)
		defer close(low)
		l := priority.New(high, low, 2)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		waiting := start(ctx, l)
		settle()
		high <- "h1"
		low <- "l1"
		settle()
		<-waiting
		if left := len(high) + len(low); left != 1 {
			t.Errorf("two values sent while Next waited: %d are left in the lanes, want 1", left)
		}
	})
}

// New panics if k is less than 1.
//
//kata:zh k 小于 1 时 New panic。
func TestNewPanics(t *testing.T) {
	priority.New(lane("h", 0), lane("l", 0), 1) // does not
	for _, k := range []int{0, -1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New(high, low, %d) returned, want a panic", k)
				}
			}()
			priority.New(lane("h", 0), lane("l", 0), k)
		}()
	}
}
