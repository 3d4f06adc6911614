// The intents of benchmarks.
//
//kata:level 2
//kata:minutes 40
//kata:engine real Go benchmarks with a fixed number of iterations
package benchmarks_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage1/engineering/benchmarks"
)

// The text is set up once for a benchmark, however many iterations it has.
//
//kata:zh 每个基准测试只准备一次文本，无论迭代多少次。
func TestSetupOnce(t *testing.T) {
	var p probe
	bench(t, func(b *testing.B) { benchmarks.Measure(b, p.subject(), 1000) })
	if !slices.Equal(p.setups, []int{1000}) {
		t.Errorf("Measure(b, s, 1000) with %d iterations called Setup with sizes %v, want [1000]: once", iterations, p.setups)
	}
}

// What the setup costs is not in the result.
//
//kata:zh 准备工作的开销不计入结果。
func TestSetupNotMeasured(t *testing.T) {
	p := probe{allocs: 3}
	lines, out := bench(t, func(b *testing.B) { b.ReportAllocs(); benchmarks.Measure(b, p.subject(), 1000) })
	if len(lines) != 1 {
		t.Fatalf("Measure(b, s, 1000) printed %q, want one result", out)
	}
	// Some room for what the runtime allocates beside.
	if got := lines[0].value["allocs/op"]; got < 3 || got > 6 {
		t.Errorf("Measure(b, s, 1000): Work allocates 3 times, Setup %d times; the result says %v allocs/op, want 3", setupAllocs, got)
	}
}

// The clock runs while Work runs, once an iteration, and not while Reset does.
//
//kata:zh 每次迭代恰好执行一次 Work，期间计时器在走；执行 Reset 时则停表。
func TestClock(t *testing.T) {
	var p probe
	bench(t, func(b *testing.B) { benchmarks.Measure(b, p.subject(), 1000) })
	if p.works != iterations {
		t.Errorf("Measure(b, s, 1000) with %d iterations called Work %d times, want %[1]d", iterations, p.works)
	}
	if p.unmeasured > 0 {
		t.Errorf("Measure(b, s, 1000) called Work %d times, and the clock stood during %d of them, want 0", p.works, p.unmeasured)
	}
	if p.measured > 0 {
		t.Errorf("Measure(b, s, 1000): the clock ran during %d calls of Reset, want 0", p.measured)
	}
}

// Each call of Work gets a text as Setup made it.
//
//kata:zh 每次调用 Work 拿到的文本都与 Setup 准备时一样。
func TestFreshText(t *testing.T) {
	var p probe
	bench(t, func(b *testing.B) { benchmarks.Measure(b, p.subject(), 1000) })
	if p.works == 0 || p.stale > 0 {
		t.Errorf("Measure(b, s, 1000) called Work %d times, %d of them with a text that was used up, want 0 of these", p.works, p.stale)
	}
	if p.wrongSize > 0 {
		t.Errorf("Measure(b, s, 1000) called Work %d times with a text of another size than 1000", p.wrongSize)
	}
}

// The result holds the throughput of one iteration, and the allocations without -benchmem.
//
//kata:zh 结果含单次迭代的吞吐量；不加 -benchmem 也有内存分配。
func TestReports(t *testing.T) {
	var p probe
	lines, out := bench(t, func(b *testing.B) { benchmarks.Measure(b, p.subject(), 4000) })
	if len(lines) != 1 {
		t.Fatalf("Measure(b, s, 4000) printed %q, want one result", out)
	}
	for _, unit := range []string{"MB/s", "B/op", "allocs/op"} {
		if _, ok := lines[0].value[unit]; !ok {
			t.Errorf("Measure(b, s, 4000) printed\n%swithout a figure in %s", out, unit)
		}
	}
	setFlags(t)
	var q probe
	r := testing.Benchmark(func(b *testing.B) { benchmarks.Measure(b, q.subject(), 4000) })
	if r.Bytes != 4000 {
		t.Errorf("Measure(b, s, 4000) reports %d bytes an iteration, want 4000", r.Bytes)
	}
}

// The mean number of lines dropped is reported as dropped/op.
//
//kata:zh 以 dropped/op 报告平均每次丢弃的行数。
func TestMetric(t *testing.T) {
	p := probe{dropped: func(call int) int { return 3 * call }}
	lines, out := bench(t, func(b *testing.B) { benchmarks.Measure(b, p.subject(), 1000) })
	if len(lines) != 1 {
		t.Fatalf("Measure(b, s, 1000) printed %q, want one result", out)
	}
	const want = 3 * (iterations + 1) / 2.0
	got, ok := lines[0].value["dropped/op"]
	if !ok || got < want-0.1 || got > want+0.1 {
		t.Errorf("Measure(b, s, 1000), where Work drops 3, 6, … %d lines, printed\n%swant %.2f dropped/op", 3*iterations, out, want)
	}
}

// An error of Work ends the benchmark at once as failed, and is shown.
//
//kata:zh Work 出错时，基准测试立即以失败告终，并显示该错误。
func TestFailure(t *testing.T) {
	p := probe{err: errors.New("disk on fire"), failAt: 5}
	lines, out := bench(t, func(b *testing.B) { benchmarks.Measure(b, p.subject(), 1000) })
	if len(lines) > 0 || !strings.Contains(out, "--- FAIL") || !strings.Contains(out, "disk on fire") {
		t.Errorf("Measure(b, s, 1000), where the fifth Work returns the error \"disk on fire\", printed\n%swant a failure with this text and no result", out)
	}
	if p.works > 5 {
		t.Errorf("Measure(b, s, 1000) called Work %d times, want no call after the fifth, which returned an error", p.works)
	}
}

// Each size is a sub-benchmark of its own, called size=N, in the order given.
//
//kata:zh 每个大小都是独立的子基准测试，名为 size=N，按给定顺序执行。
func TestScale(t *testing.T) {
	var p probe
	sizes := []int{1000, 64, 20000}
	lines, out := bench(t, func(b *testing.B) { benchmarks.Scale(b, p.subject(), sizes...) })
	var names []string
	for _, l := range lines {
		names = append(names, l.name)
		if l.n != iterations {
			t.Errorf("Scale(b, s, %v): %s took %d iterations, want %d", sizes, l.name, l.n, iterations)
		}
	}
	want := []string{"Benchmark/size=1000", "Benchmark/size=64", "Benchmark/size=20000"}
	if !slices.Equal(names, want) {
		t.Errorf("Scale(b, s, %v) printed\n%swant results called %q", sizes, out, want)
	}
	if !slices.Equal(slices.Compact(p.setups), sizes) {
		t.Errorf("Scale(b, s, %v) set texts up for the sizes %v", sizes, p.setups)
	}
}

// Uniq returns what Old returns, for every text.
//
//kata:zh 对任何文本，Uniq 的结果都与 Old 相同。
func TestSame(t *testing.T) {
	texts := []string{"", "\n", "\n\n", "a", "a\na", "a\na\n", "a\n\na\n", "a\nb\na\n", "a\r\na\n", " a\na\n", "ab\na\nab\nab\n", "a\naa\naa\na\na", "世界\n世界\n世\n"}
	r := rand.New(rand.NewPCG(26, 2))
	for range 2000 {
		var text strings.Builder
		for range r.IntN(20) {
			text.WriteString([]string{"a", "aa", "b", "", "a b"}[r.IntN(5)])
			if r.IntN(5) > 0 {
				text.WriteByte('\n')
			}
		}
		texts = append(texts, text.String())
	}
	texts = append(texts, strings.Repeat(strings.Repeat("x", 100_000)+"\n", 3))
	for _, text := range texts {
		want, wantN := benchmarks.Old([]byte(text))
		got, n := benchmarks.Uniq([]byte(text))
		if !bytes.Equal(got, want) || n != wantN {
			t.Fatalf("Uniq(%.200q) = %.200q, %d, want %.200q, %d", text, got, n, want, wantN)
		}
	}
}

// Uniq allocates nothing, whatever the text.
//
//kata:zh 无论什么文本，Uniq 都不分配内存。
func TestNoAllocations(t *testing.T) {
	for _, size := range []int{10, 1000, 300_000} {
		s := benchmarks.SubjectOf(benchmarks.Uniq)
		text := s.Setup(t, size)
		got := testing.AllocsPerRun(10, func() {
			s.Reset(text)
			benchmarks.Uniq(text)
		})
		if got > 0 {
			t.Errorf("Uniq allocates %v times for a text of %d bytes, want 0", got, size)
		}
	}
}

// The result of Uniq lies at the beginning of the text, and what lies behind the text is left alone.
//
//kata:zh Uniq 的结果就在原文本的开头，文本之后的内存不被触碰。
func TestInPlace(t *testing.T) {
	for _, text := range []string{"a\na\nb\n", "a\nb\n", "a\na"} {
		array := []byte(text + "behind")
		got, _ := benchmarks.Uniq(array[:len(text)])
		if len(got) == 0 || &got[0] != &array[0] {
			t.Errorf("Uniq(%q) = %q, in another array than the text's or not at its beginning", text, got)
		}
		if rest := string(array[len(text):]); rest != "behind" {
			t.Errorf("Uniq(%q) wrote behind the text: %q, want %q", text, rest, "behind")
		}
	}
}

const (
	iterations  = 20
	setupAllocs = 2000
)

// probe is a subject that looks at how it is called. What a text went through stands in its first byte.
type probe struct {
	allocs  int                // of each Work
	dropped func(call int) int // call counts from 1
	err     error
	failAt  int // the call that returns err

	b          *testing.B
	setups     []int
	works      int
	stale      int // calls of Work with a text that was used up
	wrongSize  int
	unmeasured int // calls of Work while the clock stood
	measured   int // calls of Reset while it ran
}

var sink any

func (p *probe) subject() benchmarks.Subject {
	size := 0
	return benchmarks.Subject{
		Setup: func(tb testing.TB, n int) []byte {
			p.b = tb.(*testing.B)
			p.setups = append(p.setups, n)
			size = n
			for range setupAllocs {
				sink = new([64]byte)
			}
			return bytes.Repeat([]byte("n"), n)
		},
		Work: func(text []byte) (int, error) {
			p.works++
			if !ticking(p.b) {
				p.unmeasured++
			}
			if len(text) != size {
				p.wrongSize++
			}
			if len(text) == 0 || text[0] != 'n' {
				p.stale++
			} else {
				text[0] = 'u'
			}
			for range p.allocs {
				sink = new([64]byte)
			}
			if p.works == p.failAt {
				return 0, p.err
			}
			if p.dropped == nil {
				return 0, nil
			}
			return p.dropped(p.works), nil
		},
		Reset: func(text []byte) {
			if ticking(p.b) {
				p.measured++
			}
			if len(text) > 0 {
				text[0] = 'n'
			}
		},
	}
}

// ticking reports whether the clock of b runs.
func ticking(b *testing.B) bool {
	if b == nil {
		return false
	}
	before := b.Elapsed()
	for start := time.Now(); time.Since(start) < time.Microsecond; {
	}
	return b.Elapsed() != before
}

type line struct {
	name  string
	n     int
	value map[string]float64
}

// bench runs f as go test -bench does, and returns the results and all that was printed.
func bench(t *testing.T, f func(b *testing.B)) (lines []line, out string) {
	t.Helper()
	setFlags(t)
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	stdout := os.Stdout
	os.Stdout = file
	func() {
		defer func() { os.Stdout = stdout }()
		all := func(_, _ string) (bool, error) { return true, nil }
		testing.RunBenchmarks(all, []testing.InternalBenchmark{{Name: "Benchmark", F: f}})
	}()
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	printed, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	cpus := fmt.Sprintf("-%d", runtime.GOMAXPROCS(0))
	for text := range strings.Lines(string(printed)) {
		fields := strings.Fields(text)
		if len(fields) < 4 || !slices.Contains(fields, "ns/op") {
			continue
		}
		l := line{name: strings.TrimSuffix(fields[0], cpus), value: map[string]float64{}}
		l.n, _ = strconv.Atoi(fields[1])
		for i := 2; i+1 < len(fields); i += 2 {
			l.value[fields[i+1]], _ = strconv.ParseFloat(fields[i], 64)
		}
		lines = append(lines, l)
	}
	return lines, string(printed)
}

// setFlags fixes the number of iterations: nothing here depends on how fast the machine is.
func setFlags(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"test.bench": ".", "test.benchtime": fmt.Sprintf("%dx", iterations), "test.count": "1",
	} {
		before := flag.Lookup(name).Value.String()
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { flag.Set(name, before) })
	}
}
