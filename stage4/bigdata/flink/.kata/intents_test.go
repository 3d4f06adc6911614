// Windows of event time on Beam, and checkpoints by aligned barriers.
//
//kata:level 3
//kata:minutes 120
//kata:engine embedded Beam 2.77 on its prism runner
package flink_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"

	"github.com/roadkata/roadkata/stage4/bigdata/flink"
)

const sec = time.Second

func at(when time.Duration, sensor string, value int64) flink.Reading {
	return flink.Reading{Sensor: sensor, At: when, Value: value}
}

func windowed(p flink.Policy) func(beam.Scope, beam.PCollection) beam.PCollection {
	return func(s beam.Scope, readings beam.PCollection) beam.PCollection { return flink.Windowed(s, readings, p) }
}

// run runs a pipeline and returns its panes by sensor, window and count.
func run(t *testing.T, build func(beam.Scope, beam.PCollection) beam.PCollection, steps ...flink.Step) []flink.Pane {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	panes, err := flink.Run(ctx, build, steps...)
	if err != nil {
		t.Fatalf("the pipeline fails: %v", err)
	}
	slices.SortFunc(panes, func(a, b flink.Pane) int {
		return cmp.Or(cmp.Compare(a.Sensor, b.Sensor), cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End),
			cmp.Compare(a.Summary.Count, b.Summary.Count))
	})
	return panes
}

// show writes one pane a line.
func show(panes []flink.Pane) string {
	var b strings.Builder
	for _, p := range panes {
		fmt.Fprintf(&b, "\n    %s [%v, %v) %+v", p.Sensor, p.Start, p.End, p.Summary)
	}
	return cmp.Or(b.String(), " nothing")
}

// Readings are summed up by the time they were measured: order of arrival and of the watermark's steps change nothing.
//
//kata:zh 按读数的测量时间汇总：到达顺序和水位线的推进方式都不影响结果。
func TestEventTime(t *testing.T) {
	const size = 1500 * time.Millisecond
	readings := []flink.Reading{
		at(0, "a", -2), at(1499*time.Millisecond, "a", 4), at(700*time.Millisecond, "a", 1),
		at(1500*time.Millisecond, "a", -8), at(2999*time.Millisecond, "a", 2),
		at(900*time.Millisecond, "b", 3), at(800*time.Millisecond, "b", -1),
	}
	want := []flink.Pane{
		{Sensor: "a", Start: 0, End: size, Summary: flink.Summary{Count: 3, Min: -2, Max: 4, Mean: 1}},
		{Sensor: "a", Start: size, End: 2 * size, Summary: flink.Summary{Count: 2, Min: -8, Max: 2, Mean: -3}},
		{Sensor: "b", Start: 0, End: size, Summary: flink.Summary{Count: 2, Min: -1, Max: 3, Mean: 1}},
	}
	for seed := range uint64(6) {
		order := slices.Clone(readings)
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		steps := []flink.Step{{Readings: order}}
		if seed%2 == 1 { // in two parts; the watermark stays within the first window
			steps = []flink.Step{{Readings: order[:3], Watermark: sec}, {Readings: order[3:]}}
		}
		if got := run(t, windowed(flink.Policy{Size: size}), steps...); !reflect.DeepEqual(got, want) {
			t.Fatalf("Windowed with size %v of %v gives:%s\nwant:%s", size, order, show(got), show(want))
		}
	}
}

// A late reading counts as long as the watermark has not passed the end of its window by the allowed lateness.
//
//kata:zh 水位线越过窗口结尾还没有超出允许的迟到时间，迟到的读数就仍然算数；超出之后则不再算。
func TestLateness(t *testing.T) {
	for _, c := range []struct {
		lateness, watermark time.Duration
		want                int64 // the greatest reading that counts
	}{
		{0, 8 * sec, 100}, {0, 12 * sec, 1}, {10 * sec, 15 * sec, 100}, {10 * sec, 25 * sec, 1}, {60 * sec, 65 * sec, 100}, {60 * sec, 75 * sec, 1},
	} {
		got := run(t, windowed(flink.Policy{Size: 10 * sec, Lateness: c.lateness}),
			flink.Step{Readings: []flink.Reading{at(3*sec, "a", 1)}, Watermark: c.watermark},
			flink.Step{Readings: []flink.Reading{at(4*sec, "a", 100)}})
		greatest := int64(0)
		for _, p := range got {
			greatest = max(greatest, p.Summary.Max)
		}
		if greatest != c.want {
			t.Errorf("the window ends at 10s, the lateness is %v, a reading of 1 is in time, one of 100 comes at watermark %v; the panes are:%s\nwant the greatest reading in them to be %d",
				c.lateness, c.watermark, show(got), c.want)
		}
	}
}

// Accumulating panes hold the window so far, discarding panes only what is new.
//
//kata:zh 累积模式的 pane 包含窗口至今的全部读数，丢弃模式的 pane 只含新的读数。
func TestAccumulation(t *testing.T) {
	// How many late panes there are is the runner's business: it may also repeat an accumulated one when the window closes.
	for _, accumulate := range []bool{true, false} {
		got := run(t, windowed(flink.Policy{Size: 10 * sec, Lateness: 60 * sec, Accumulate: accumulate}),
			flink.Step{Readings: []flink.Reading{at(3*sec, "a", 1)}, Watermark: 12 * sec},
			flink.Step{Readings: []flink.Reading{at(4*sec, "a", 2)}, Watermark: 14 * sec},
			flink.Step{Readings: []flink.Reading{at(5*sec, "a", 4)}})
		sum, most := int64(0), int64(0)
		for _, p := range got {
			sum += p.Summary.Count
			most = max(most, p.Summary.Count)
		}
		if accumulate && most != 3 {
			t.Errorf("accumulating, a reading in time and two late ones give:%s\nwant a pane that counts all 3", show(got))
		}
		if !accumulate && sum != 3 {
			t.Errorf("discarding, a reading in time and two late ones give:%s\nwant counts that add up to 3", show(got))
		}
	}
}

// A reading between two sessions makes them one.
//
//kata:zh 落在两个会话之间的读数把它们合成一个。
func TestSessions(t *testing.T) {
	build := func(s beam.Scope, readings beam.PCollection) beam.PCollection {
		return flink.Sessions(s, readings, 10*sec)
	}
	readings := []flink.Reading{at(1*sec, "a", -1), at(18*sec, "a", 2), at(10*sec, "a", 5), at(29*sec, "a", -7), at(33*sec, "a", 9), at(10*sec, "b", 3)}
	want := []flink.Pane{
		{Sensor: "a", Start: 1 * sec, End: 28 * sec, Summary: flink.Summary{Count: 3, Min: -1, Max: 5, Mean: 2}},
		{Sensor: "a", Start: 29 * sec, End: 43 * sec, Summary: flink.Summary{Count: 2, Min: -7, Max: 9, Mean: 1}},
	}
	for seed := range uint64(4) {
		order := slices.Clone(readings)
		rand.New(rand.NewPCG(seed, 2)).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		got := run(t, build, flink.Step{Readings: order})
		others := slices.DeleteFunc(slices.Clone(got), func(p flink.Pane) bool { return p.Sensor == "b" })
		if !reflect.DeepEqual(others, want) {
			t.Fatalf("Sessions with gap 10s of %v gives for a:%s\nwant:%s", order, show(others), show(want))
		}
		if len(got) != len(want)+1 {
			t.Fatalf("Sessions with gap 10s of %v gives:%s\nwant one session for b", order, show(got))
		}
	}
}

// However a runner splits and merges, the summary is the same.
//
//kata:zh 不管 runner 怎样拆分、怎样合并，汇总都一样。
func TestSummary(t *testing.T) {
	f := new(flink.SummaryFn)
	if got := f.ExtractOutput(f.CreateAccumulator()); got != (flink.Summary{}) {
		t.Errorf("the summary of no readings is %+v, want %+v", got, flink.Summary{})
	}
	for _, c := range []struct {
		values []int64
		want   flink.Summary
	}{
		{[]int64{7}, flink.Summary{Count: 1, Min: 7, Max: 7, Mean: 7}},
		{[]int64{-7, -3, -5, -4}, flink.Summary{Count: 4, Min: -7, Max: -3, Mean: -4.75}},
		{[]int64{4, 4, 9, 3, 2, 5}, flink.Summary{Count: 6, Min: 2, Max: 9, Mean: 4.5}},
	} {
		for seed := range uint64(50) {
			r := rand.New(rand.NewPCG(seed, 3))
			parts := make([]flink.Partial, 1+r.IntN(4)) // some stay empty
			for i := range parts {
				parts[i] = f.CreateAccumulator()
			}
			for _, v := range c.values {
				i := r.IntN(len(parts))
				parts[i] = f.AddInput(parts[i], v)
			}
			all := f.CreateAccumulator()
			for _, i := range r.Perm(len(parts)) {
				if r.IntN(2) == 0 {
					all = f.MergeAccumulators(all, parts[i])
				} else {
					all = f.MergeAccumulators(parts[i], all)
				}
			}
			if got := f.ExtractOutput(all); got != c.want {
				t.Fatalf("the summary of %v, in %d accumulators %+v, is %+v, want %+v", c.values, len(parts), parts, got, c.want)
			}
		}
	}
}

func record(key string, value int64) flink.Message {
	return flink.Message{Kind: flink.Record, Key: key, Value: value}
}
func barrier(id int64) flink.Message { return flink.Message{Kind: flink.Barrier, ID: id} }

var end = flink.Message{Kind: flink.End}

// text is how messages read in what a failing test says.
func text(messages []flink.Message) string {
	var b strings.Builder
	for _, m := range messages {
		switch m.Kind {
		case flink.Record:
			fmt.Fprintf(&b, " %s+%d", m.Key, m.Value)
		case flink.Barrier:
			fmt.Fprintf(&b, " |%d|", m.ID)
		case flink.End:
			b.WriteString(" end")
		default:
			fmt.Fprintf(&b, " %+v", m)
		}
	}
	return "[" + strings.TrimSpace(b.String()) + "]"
}

type shot struct {
	id   int64
	sums map[string]int64
}

// bench is a task under test, what it was given and what came out.
type bench struct {
	*flink.Task
	t     *testing.T
	in    [][]flink.Message
	out   []flink.Message
	shots []shot
	maps  []map[string]int64 // of the snapshots, as they were handed over
}

func newBench(t *testing.T, inputs int, sums map[string]int64) *bench {
	b := &bench{t: t, in: make([][]flink.Message, inputs)}
	b.Task = flink.NewTask(inputs, sums, func(m flink.Message) { b.out = append(b.out, m) }, func(id int64, sums map[string]int64) {
		if slices.Contains(b.out, barrier(id)) {
			t.Errorf("messages:%s\nhave led to %s before snapshot %d was taken, want the snapshot first", b, text(b.out), id)
		}
		b.shots = append(b.shots, shot{id, maps.Clone(sums)})
		b.maps = append(b.maps, sums)
	})
	return b
}

// give hands over messages of an input.
func (b *bench) give(input int, messages ...flink.Message) {
	for _, m := range messages {
		b.in[input] = append(b.in[input], m)
		b.Receive(input, m)
	}
}

// String tells what the task was given.
func (b *bench) String() string {
	var s strings.Builder
	for i, in := range b.in {
		fmt.Fprintf(&s, "\n    input %d: %s", i, text(in))
	}
	return s.String()
}

// emitted checks everything that has come out.
func (b *bench) emitted(when string, want ...flink.Message) {
	b.t.Helper()
	if !slices.Equal(b.out, want) {
		b.t.Errorf("%s:%s\nhave led to %s, want %s", when, b, text(b.out), text(want))
	}
}

// released checks everything that has come out, whatever its order.
func (b *bench) released(when string, want ...flink.Message) {
	b.t.Helper()
	order := func(x, y flink.Message) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.ID, y.ID), cmp.Compare(x.Key, y.Key), cmp.Compare(x.Value, y.Value))
	}
	if !slices.Equal(slices.SortedFunc(slices.Values(b.out), order), slices.SortedFunc(slices.Values(want), order)) {
		b.t.Errorf("%s:%s\nhave led to %s, want %s", when, b, text(b.out), text(want))
	}
}

// taken checks all snapshots.
func (b *bench) taken(when string, want ...shot) {
	b.t.Helper()
	if !slices.EqualFunc(b.shots, want, func(a, b shot) bool { return a.id == b.id && maps.Equal(a.sums, b.sums) }) {
		b.t.Errorf("%s:%s\nhave led to the snapshots %v, want %v", when, b, b.shots, want)
	}
}

// A snapshot holds what came before its barrier, on every input, and nothing else; so does the output before the barrier that is passed on.
//
//kata:zh 快照恰好包含每路输入上 barrier 之前的内容，不多不少；向下游转发的 barrier 之前的输出也是如此。
func TestCut(t *testing.T) {
	b := newBench(t, 2, nil)
	b.give(0, record("a", 1), barrier(1), record("a", 2))
	b.give(1, record("a", 4))
	b.emitted("an input that has its barrier waits, the other goes on", record("a", 1), record("a", 4))

	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 4))
		inputs, checkpoints := 1+r.IntN(3), int64(1+r.IntN(4))
		b := newBench(t, inputs, map[string]int64{"b": 1})
		script := make([][]flink.Message, inputs)
		want := make([]shot, checkpoints)
		before := make([]int, checkpoints) // records before the barrier
		for c := range checkpoints {
			want[c] = shot{c + 1, map[string]int64{"b": 1}}
		}
		for i := range script {
			for c := range checkpoints + 1 {
				for range r.IntN(4) {
					m := record(string(rune('a'+r.IntN(2))), int64(100*i+1+r.IntN(99))) // the hundreds name the input
					script[i] = append(script[i], m)
					for later := c; later < checkpoints; later++ {
						want[later].sums[m.Key] += m.Value
						before[later]++
					}
				}
				if c < checkpoints {
					script[i] = append(script[i], barrier(c+1))
				}
			}
		}
		total, ended := 0, 0
		for left := inputs; left > 0; {
			i := r.IntN(inputs)
			switch given := len(b.in[i]); {
			case given < len(script[i]):
				b.give(i, script[i][given])
			case given == len(script[i]): // nothing ends before the last barrier is on its way everywhere
				if slices.ContainsFunc(b.in, func(in []flink.Message) bool { return !slices.Contains(in, barrier(checkpoints)) }) {
					continue
				}
				b.give(i, end)
				left--
			}
		}
		b.taken("messages", want...)
		records := 0
		for n, m := range b.out {
			switch m.Kind {
			case flink.Record:
				records++
			case flink.Barrier:
				if m.ID < 1 || m.ID > checkpoints || records != before[m.ID-1] {
					t.Errorf("messages:%s\nhave led to %s, where %d records come before barrier %d; want those that came before it on the inputs", b, text(b.out), records, m.ID)
				}
			case flink.End:
				ended++
				if n != len(b.out)-1 {
					t.Errorf("messages:%s\nhave led to %s, want the end at the end", b, text(b.out))
				}
			}
		}
		for _, s := range script {
			for _, m := range s {
				if m.Kind == flink.Record {
					total++
				}
			}
		}
		if records != total || ended != 1 || int64(len(b.out)) != int64(total)+checkpoints+1 {
			t.Errorf("messages:%s\nhave led to %s, want each of %d records, each of %d barriers and the end once", b, text(b.out), total, checkpoints)
		}
		for i := range script {
			other := func(m flink.Message) bool { return m.Kind != flink.Record || m.Value/100 != int64(i) }
			got, want := slices.DeleteFunc(slices.Clone(b.out), other), slices.DeleteFunc(slices.Clone(script[i]), other)
			if !slices.Equal(got, want) {
				t.Errorf("messages:%s\nhave led to %s, where those from input %d are not in their order", b, text(b.out), i)
			}
		}
		if t.Failed() {
			return
		}
	}
}

// After a crash, a task that is restored from a snapshot and reads on from the barriers comes to the same sums, as often as it crashes.
//
//kata:zh 崩溃之后从快照恢复、从 barrier 处接着读，得到同样的总和，不论崩溃多少次。
func TestRestore(t *testing.T) {
	b := newBench(t, 2, nil)
	b.give(0, record("a", 1), barrier(1))
	b.give(1, record("b", 2), barrier(1))
	first := shot{1, map[string]int64{"a": 1, "b": 2}}
	b.give(0, record("a", 100), record("c", 100)) // and there the first one crashes
	b.taken("a checkpoint", first)
	if t.Failed() {
		return
	}
	saved := b.maps[0]
	if !maps.Equal(saved, first.sums) {
		t.Fatalf("records that follow a snapshot:%s\nhave changed it to %v, want %v", b, saved, first.sums)
	}

	for range 2 {
		again := newBench(t, 2, saved)
		again.give(0, record("a", 10), barrier(2))
		again.give(1, record("b", 20), record("b", 20), barrier(2))
		again.taken(fmt.Sprintf("going on from %v", first.sums), shot{2, map[string]int64{"a": 11, "b": 42}})
		if !maps.Equal(saved, first.sums) {
			t.Fatalf("a task that goes on from %v has made %v of it, want it left as it was", first.sums, saved)
		}
	}

	// The callee may do with its snapshot what it likes, too.
	saved["a"] = 1000
	b.give(1, record("b", 1), barrier(2))
	b.give(0, barrier(2))
	if len(b.shots) != 2 || !maps.Equal(b.shots[1].sums, map[string]int64{"a": 101, "b": 3, "c": 100}) {
		t.Errorf("after somebody wrote into snapshot 1:%s\nhave led to the snapshots %v, want the second to hold a:101 b:3 c:100", b, b.shots)
	}
}

// A checkpoint that will never be whole holds nothing up: a newer barrier ends it, and an input that has ended is not waited for.
//
//kata:zh 永远凑不齐的检查点不会卡住任何东西：更新的 barrier 使它作废，已经结束的输入不用等。
func TestStuck(t *testing.T) {
	b := newBench(t, 2, nil)
	b.give(0, barrier(1), record("a", 1))
	b.give(1, barrier(2)) // 1 got lost
	b.released("a barrier overtaken by a newer one", record("a", 1))
	b.give(1, record("a", 2))
	b.give(0, record("a", 4), barrier(2))
	b.released("a barrier overtaken by a newer one", record("a", 1), record("a", 4), barrier(2), record("a", 2))
	b.taken("a barrier overtaken by a newer one", shot{2, map[string]int64{"a": 5}})

	b = newBench(t, 2, nil)
	b.give(0, barrier(1), record("a", 1), barrier(2), record("a", 2))
	b.give(1, record("a", 4), barrier(2))
	b.taken("a newer barrier that waits behind an older one", shot{2, map[string]int64{"a": 5}})
	b.released("a newer barrier that waits behind an older one", record("a", 4), record("a", 1), barrier(2), record("a", 2))

	b = newBench(t, 3, nil)
	b.give(0, barrier(1))
	b.give(1, barrier(2))
	b.give(2, barrier(1), record("a", 1), barrier(2)) // 1 comes after it was given up
	b.give(0, barrier(2))
	b.released("a barrier of a checkpoint that has been given up", record("a", 1), barrier(2))
	b.taken("a barrier of a checkpoint that has been given up", shot{2, map[string]int64{"a": 1}})

	b = newBench(t, 2, nil)
	b.give(0, barrier(1))
	b.give(1, barrier(1), barrier(1), record("a", 1)) // sent again when it is done
	b.released("a barrier of a checkpoint that is done", barrier(1), record("a", 1))

	b = newBench(t, 2, nil)
	b.give(1, end)
	b.give(0, record("a", 1), barrier(1), record("a", 2), end)
	b.released("an input that ended before the barrier", record("a", 1), barrier(1), record("a", 2), end)

	b = newBench(t, 2, nil)
	b.give(0, barrier(1), record("a", 1))
	b.give(1, record("a", 2), end)
	b.released("an input that ends while the other waits", record("a", 2), barrier(1), record("a", 1))
	b.give(0, barrier(2), end)
	b.released("an input that ends while the other waits", record("a", 2), barrier(1), record("a", 1), barrier(2), end)
	b.taken("an input that ends while the other waits", shot{1, map[string]int64{"a": 2}}, shot{2, map[string]int64{"a": 3}})
}
