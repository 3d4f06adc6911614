// The intents of fanin. Virtual time tells when everybody has come to rest: then a channel that is not ready will
// not become so by waiting.
//
//kata:level 2
//kata:minutes 45
//kata:engine real Go runtime
//kata:race
package fanin_test

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadkata/roadkata/stage1/concurrency/fanin"
)

// bubble runs f in virtual time, with a context that is cancelled at its end. A bubble never settles while a goroutine
// spins or waits for a mutex: after ten real seconds that is a failure, too.
func bubble(t *testing.T, f func(t *testing.T, ctx context.Context, cancel context.CancelFunc)) {
	t.Helper()
	stuck := time.AfterFunc(10*time.Second, func() {
		panic("stuck for 10 s: a goroutine spins, or waits for a mutex that another holds while it blocks")
	})
	defer stuck.Stop()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		f(t, ctx, cancel)
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

type mergeFunc func(ctx context.Context, inputs ...<-chan int) <-chan int

// merges are both functions, as functions of numbers.
var merges = []struct {
	name  string
	merge mergeFunc
}{
	{"Merge", fanin.Merge[int]},
	{"MergeOrdered", func(ctx context.Context, inputs ...<-chan int) <-chan int {
		return fanin.MergeOrdered(ctx, cmp.Compare[int], inputs...)
	}},
}

// both runs f for each of the two functions in a bubble of its own.
func both(t *testing.T, f func(t *testing.T, ctx context.Context, cancel context.CancelFunc, merge mergeFunc)) {
	for _, m := range merges {
		t.Run(m.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, ctx context.Context, cancel context.CancelFunc) { f(t, ctx, cancel, m.merge) })
		})
	}
}

// open returns an open channel that holds values and has room for ten more.
func open[T any](values ...T) chan T {
	c := make(chan T, len(values)+10)
	for _, v := range values {
		c <- v
	}
	return c
}

// closed returns a closed channel that holds values.
func closed[T any](values ...T) <-chan T {
	c := open(values...)
	close(c)
	return c
}

// take receives all that is to be had from out when nothing moves any more, and tells whether out is closed then.
func take[T any](out <-chan T) (values []T, closed bool) {
	for {
		synctest.Wait()
		select {
		case v, ok := <-out:
			if !ok {
				return values, true
			}
			values = append(values, v)
		default:
			return values, false
		}
	}
}

// Merge hands on every value of every input, zero values too, each input's in their order.
//
//kata:zh Merge 交付每个输入的每一个值，零值也不例外；同一输入内保持顺序。
func TestMergeAll(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, _ context.CancelFunc) {
		numbers, letters := []any{1, nil, 2, 0, nil}, []any{"a", "b", "", "c", "d"}
		a, b := open(numbers...), open(letters...)
		defer close(a)
		defer close(b)
		out := fanin.Merge(ctx, a, b)
		var gotNumbers, gotLetters []any
		got, _ := take(out)
		for _, v := range got {
			if _, ok := v.(string); ok {
				gotLetters = append(gotLetters, v)
			} else {
				gotNumbers = append(gotNumbers, v)
			}
		}
		if !slices.Equal(gotNumbers, numbers) || !slices.Equal(gotLetters, letters) {
			t.Errorf("Merge of %v and %q gave %v, want all of the values, each input's in order", numbers, letters, got)
		}
	})
}

// Merge closes its output when all inputs are closed, not earlier.
//
//kata:zh 所有输入都关闭之后，Merge 才关闭输出，不会更早。
func TestMergeCloses(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
		bubble(t, func(t *testing.T, ctx context.Context, _ context.CancelFunc) {
			inputs := []chan int{open[int](), open[int](), open[int]()}
			out := fanin.Merge(ctx, inputs[0], inputs[1], inputs[2])
			for n, next := range order {
				for i, in := range inputs {
					if slices.Contains(order[:n], i) {
						continue
					}
					in <- i
					if got, done := take(out); done || !slices.Equal(got, []int{i}) {
						t.Fatalf("inputs %v of 3 are closed, input %d sends %[2]d: Merge gave %v, closed: %t; want [%[2]d] and still open",
							order[:n], i, got, done)
					}
				}
				close(inputs[next])
			}
			if _, done := take(out); !done {
				t.Error("all 3 inputs are closed: the output of Merge is still open")
			}
		})
	}
}

// Nil inputs are skipped; with nothing else the output is closed at once.
//
//kata:zh nil 输入被跳过；除此之外没有别的输入时，输出立刻关闭。
func TestNilInputs(t *testing.T) {
	both(t, func(t *testing.T, ctx context.Context, _ context.CancelFunc, merge mergeFunc) {
		if got, done := take(merge(ctx, nil, closed(1, 2), nil)); !done || !slices.Equal(got, []int{1, 2}) {
			t.Errorf("nil, [1 2] and nil merged: %v, closed: %t; want [1 2] and closed", got, done)
		}
		if got, done := take(merge(ctx)); !done || got != nil {
			t.Errorf("nothing merged: %v, closed: %t; want nothing and closed", got, done)
		}
		if got, done := take(merge(ctx, nil, nil)); !done || got != nil {
			t.Errorf("two nil inputs merged: %v, closed: %t; want nothing and closed", got, done)
		}
	})
}

// Merge: an input that has nothing to say does not hold up the others.
//
//kata:zh Merge：一个没有动静的输入不会拖住其他输入。
func TestMergeStalledInput(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, _ context.CancelFunc) {
		silent, talking := open[int](), open(1, 2, 3)
		defer close(silent)
		defer close(talking)
		got, _ := take(fanin.Merge(ctx, silent, talking, silent))
		if want := []int{1, 2, 3}; !slices.Equal(got, want) {
			t.Errorf("Merge of a silent input, one with [1 2 3] and a silent one gave %v, want %v", got, want)
		}
	})
}

// Neither function takes values from its inputs in advance: at most one more in all than there are inputs.
//
//kata:zh 两个函数都不会提前囤积：从输入取走而尚未交付的值，总数最多比输入的个数多一个。
func TestBackpressure(t *testing.T) {
	both(t, func(t *testing.T, ctx context.Context, _ context.CancelFunc, merge mergeFunc) {
		const each = 50
		inputs := []chan int{open[int](), open[int](), open[int]()}
		for i := range inputs {
			inputs[i] = make(chan int, each)
			for v := range each {
				inputs[i] <- v
			}
		}
		out := merge(ctx, inputs[0], inputs[1], inputs[2])
		for received := range 10 {
			synctest.Wait()
			taken := len(inputs) * each
			for _, in := range inputs {
				taken -= len(in)
			}
			if held, most := taken-received, len(inputs)+1; held > most {
				t.Fatalf("3 inputs, %d values received: %d have been taken from the inputs, %d are held; want at most %d",
					received, taken, held, most)
			}
			select {
			case <-out:
			default:
				t.Fatalf("3 inputs with 50 values each: no value comes out after %d", received)
			}
		}
	})
}

// Cancelling the context frees everything when the consumer has gone, and closes the output.
//
//kata:zh 消费者走了之后，取消 context 会放开一切并关闭输出。
func TestAbandonedConsumer(t *testing.T) {
	both(t, func(t *testing.T, ctx context.Context, cancel context.CancelFunc, merge mergeFunc) {
		before := goroutines()
		out := merge(ctx, open(1, 4, 7), open(2, 5, 8), open(3, 6, 9))
		synctest.Wait()
		select {
		case <-out:
		default:
			t.Error("3 inputs with values: no value comes out")
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		if left := goroutines() - before; left > 0 {
			t.Errorf("one value was received, then the context cancelled: %d goroutines are left", left)
			for range out { // frees them, else the bubble ends in a deadlock
			}
		} else if _, done := take(out); !done {
			t.Error("one value was received, then the context cancelled: the output is still open")
		}
	})
}

// Cancelling the context ends a merge that waits for its inputs, and closes the output.
//
//kata:zh 正在等待输入时，取消 context 也会结束合并并关闭输出。
func TestSilentInputs(t *testing.T) {
	both(t, func(t *testing.T, ctx context.Context, cancel context.CancelFunc, merge mergeFunc) {
		before := goroutines()
		inputs := []chan int{open[int](), open(1), open[int]()}
		out := merge(ctx, inputs[0], inputs[1], inputs[2])
		take(out)
		cancel()
		if _, done := take(out); !done {
			t.Error("the inputs are silent, the context was cancelled: the output is still open")
		}
		if left := goroutines() - before; left > 0 {
			t.Errorf("the inputs are silent, the context was cancelled: %d goroutines are left", left)
		}
		for _, in := range inputs {
			close(in)
		}
	})
}

// Without any cancellation nothing is left either, once the inputs have ended.
//
//kata:zh 不取消也一样：输入全部结束之后，不留下任何 goroutine。
func TestNothingLeft(t *testing.T) {
	both(t, func(t *testing.T, ctx context.Context, _ context.CancelFunc, merge mergeFunc) {
		before := goroutines()
		take(merge(ctx, closed(1, 2), closed(3)))
		if left := goroutines() - before; left > 0 {
			t.Errorf("all inputs are closed and their values received, the context is alive: %d goroutines are left", left)
		}
	})
}

// The slice of inputs is the caller's: it is not changed, and changing it after the call has no effect.
//
//kata:zh 输入的切片属于调用者：函数不改动它，调用之后再改动它也没有影响。
func TestInputsSlice(t *testing.T) {
	both(t, func(t *testing.T, ctx context.Context, _ context.CancelFunc, merge mergeFunc) {
		inputs := []<-chan int{closed[int](), nil, closed(1), closed(2, 3)}
		kept := slices.Clone(inputs)
		take(merge(ctx, inputs...))
		for i := range inputs {
			if inputs[i] != kept[i] {
				t.Errorf("merging changed element %d of the caller's slice of %d inputs", i, len(inputs))
			}
		}

		a, b := open(1), open(2)
		inputs = []<-chan int{a, b}
		out := merge(ctx, inputs...)
		inputs[0], inputs[1] = nil, closed(99)
		got, _ := take(out)
		close(a)
		close(b)
		rest, _ := take(out)
		got = append(got, rest...)
		slices.Sort(got)
		if want := []int{1, 2}; !slices.Equal(got, want) {
			t.Errorf("[1] and [2] merged, the slice of inputs reused right after the call: %v, want %v", got, want)
		}
	})
}

// MergeOrdered sorts by the sign of compare, whatever the order and however large the result.
//
//kata:zh MergeOrdered 只看 compare 结果的正负号来排序，不论次序怎样、数值多大。
func TestOrderedSorts(t *testing.T) {
	for _, c := range []struct {
		name    string
		compare func(a, b int) int
		inputs  [][]int
		want    []int
	}{
		{"ascending", func(a, b int) int { return a - b }, [][]int{{10, 40, 50}, {20, 90}, {0, 60}}, []int{0, 10, 20, 40, 50, 60, 90}},
		{"descending", func(a, b int) int { return b - a }, [][]int{{50, 40, 10}, {90, 20}, {60, 0}}, []int{90, 60, 50, 40, 20, 10, 0}},
	} {
		bubble(t, func(t *testing.T, ctx context.Context, _ context.CancelFunc) {
			var inputs []<-chan int
			for _, values := range c.inputs {
				inputs = append(inputs, closed(values...))
			}
			if got, done := take(fanin.MergeOrdered(ctx, c.compare, inputs...)); !done || !slices.Equal(got, c.want) {
				t.Errorf("MergeOrdered of %v, %s: %v, closed: %t; want %v and closed", c.inputs, c.name, got, done, c.want)
			}
		})
	}
}

// MergeOrdered is stable: among equal values those of an earlier input come first, and each input's keep their order.
//
//kata:zh MergeOrdered 是稳定的：相等的值，靠前的输入先出；同一输入内保持顺序。
func TestOrderedStable(t *testing.T) {
	type item struct {
		key int
		tag string
	}
	bubble(t, func(t *testing.T, ctx context.Context, _ context.CancelFunc) {
		want := []item{
			{0, "d1"}, {1, "a1"}, {1, "a2"}, {1, "b1"}, {1, "c1"}, {1, "c2"}, {1, "d2"}, {2, "a3"}, {2, "b2"}, {2, "c3"}, {2, "d3"},
		}
		inputs := map[byte][]item{}
		for _, v := range want {
			inputs[v.tag[0]] = append(inputs[v.tag[0]], v)
		}
		out := fanin.MergeOrdered(ctx, func(a, b item) int { return cmp.Compare(a.key, b.key) },
			closed(inputs['a']...), closed(inputs['b']...), closed(inputs['c']...), closed(inputs['d']...))
		if got, _ := take(out); !slices.Equal(got, want) {
			t.Errorf("MergeOrdered of %v, %v, %v, %v gave\n%v, want\n%v", inputs['a'], inputs['b'], inputs['c'], inputs['d'], got, want)
		}
	})
}

// MergeOrdered hands on a value as soon as every open input has shown its next, and never before.
//
//kata:zh MergeOrdered：每个未关闭的输入都亮出下一个值之后，立刻交付最小的；在那之前绝不交付。
func TestOrderedInTime(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, _ context.CancelFunc) {
		a, b := open[int](), open(2, 3)
		defer close(b)
		out := fanin.MergeOrdered(ctx, cmp.Compare[int], a, b)
		step := func(what string, want ...int) {
			t.Helper()
			if got, _ := take(out); !slices.Equal(got, want) {
				t.Errorf("input b holds [2 3], input a is open; %s: MergeOrdered gives %v, want %v", what, got, want)
			}
		}
		step("a has sent nothing")
		a <- 1
		step("then a sends 1", 1)
		a <- 2
		step("then a sends 2", 2)
		close(a)
		step("then a is closed", 2, 3)
	})

	bubble(t, func(t *testing.T, ctx context.Context, _ context.CancelFunc) {
		a, b := make(chan int), make(chan int)
		go func() { // one producer for both, that begins with the second
			defer close(a)
			defer close(b)
			for _, next := range []struct {
				in    chan<- int
				value int
			}{{b, 2}, {a, 1}} {
				select {
				case next.in <- next.value:
				case <-ctx.Done():
					return
				}
			}
		}()
		got, done := take(fanin.MergeOrdered(ctx, cmp.Compare[int], a, b))
		if want := []int{1, 2}; !done || !slices.Equal(got, want) {
			t.Errorf("one goroutine sends 2 to input b, then 1 to input a, and closes both: MergeOrdered gives %v, closed: %t; want %v and closed",
				got, done, want)
		}
	})

	for _, first := range [][]int{nil, {1}} {
		for range 100 { // what is seen first, the cancellation or a receiver, is chance
			bubble(t, func(t *testing.T, ctx context.Context, cancel context.CancelFunc) {
				a, b := open(first...), open(2)
				out := fanin.MergeOrdered(ctx, cmp.Compare[int], a, b)
				take(out)
				late := make(chan []int, 1)
				go func() {
					var got []int
					for v := range out {
						got = append(got, v)
					}
					late <- got
				}()
				synctest.Wait()
				cancel()
				synctest.Wait()
				close(a)
				close(b)
				if got := <-late; got != nil {
					t.Fatalf("input a is silent after %v, input b holds [2], the context is cancelled: MergeOrdered gives %v, want nothing: 2 has to wait for a",
						first, got)
				}
			})
		}
	}
}

// MergeOrdered: an input that is closed without a value contributes none.
//
//kata:zh MergeOrdered：没有值就关闭的输入，什么也不贡献。
func TestOrderedEmptyInput(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, _ context.CancelFunc) {
		got, done := take(fanin.MergeOrdered(ctx, cmp.Compare[int], closed[int](), closed(-1, 0, 1), closed[int]()))
		if want := []int{-1, 0, 1}; !done || !slices.Equal(got, want) {
			t.Errorf("MergeOrdered of [], [-1 0 1], []: %v, closed: %t; want %v and closed", got, done, want)
		}
	})
}
