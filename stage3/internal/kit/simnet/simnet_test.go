package simnet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

type message struct{ from, to, n int }

func address(m message) (int, int) { return m.from, m.to }

// counter sends its number of ticks to all others, and remembers what it got.
type counter struct {
	id, of int
	disk   *Disk[int]
	got    []message
}

func (c *counter) Tick() (out []message) {
	n := c.disk.Load() + 1
	c.disk.Save(n)
	for to := 1; to <= c.of; to++ {
		if to != c.id {
			out = append(out, message{c.id, to, n})
		}
	}
	return out
}

func (c *counter) Step(m message) []message {
	c.got = append(c.got, m)
	return nil
}

func counters(t testing.TB, seed uint64, n int) *Net[message] {
	disks := make([]Disk[int], n+1)
	return New(t, seed, n, address, func(id int) Machine[message] { return &counter{id: id, of: n, disk: &disks[id]} })
}

func got(net *Net[message], id int) []message { return net.Node(id).(*counter).got }

func TestDeliversOnceInTime(t *testing.T) {
	net := counters(t, 1, 3)
	net.Run(10)
	for _, id := range net.IDs() {
		if n := len(got(net, id)); n < 18 || n > 20 {
			t.Errorf("after 10 ticks of two others node %d has got %d messages, want 18 to 20", id, n)
		}
	}
	if net.Now() != 10*Tick {
		t.Errorf("after Run(10) it is %v, want 10.0", net.Now())
	}
}

func TestSameSeedSameRun(t *testing.T) {
	run := func(seed uint64) string {
		var log strings.Builder
		net := counters(t, seed, 4)
		net.Faults = Faults{MaxDelay: 5 * Tick, Drop: 0.2, Duplicate: 0.2}
		net.After = func(e Event[message]) { fmt.Fprintln(&log, net.Now(), e) }
		net.Mayhem(300, 10)
		return log.String()
	}
	if run(7) != run(7) {
		t.Error("two runs of seed 7 differ")
	}
	if run(7) == run(8) {
		t.Error("seeds 7 and 8 give the same run")
	}
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		Faults
		least, most int // of 1000 messages
		ordered     bool
	}{
		"none":      {Faults{}, 999, 1000, true},
		"drop":      {Faults{Drop: 0.3}, 600, 800, true},
		"duplicate": {Faults{Duplicate: 0.5}, 1400, 1600, true},
		"reorder":   {Faults{MaxDelay: 5 * Tick}, 990, 1000, false},
		"late":      {Faults{MinDelay: 100 * Tick, MaxDelay: 100 * Tick}, 899, 900, true},
	} {
		net := counters(t, 3, 2)
		net.Faults = c.Faults
		net.Run(1000)
		list := got(net, 1)
		if len(list) < c.least || len(list) > c.most {
			t.Errorf("%s: %d of 1000 messages came, want %d to %d", name, len(list), c.least, c.most)
		}
		if ordered := slices.IsSortedFunc(list, func(a, b message) int { return a.n - b.n }); ordered != c.ordered {
			t.Errorf("%s: messages came in order: %v, want %v", name, ordered, c.ordered)
		}
	}
}

func TestCuts(t *testing.T) {
	net := counters(t, 1, 3)
	senders := func(id int) []int {
		before := len(got(net, id))
		net.Run(5)
		var from []int
		for _, m := range got(net, id)[before:] {
			from = append(from, m.from)
		}
		slices.Sort(from)
		return slices.Compact(from)
	}
	for _, step := range []struct {
		name string
		do   func()
		want []int // whom node 1 hears
	}{
		{"one way", func() { net.Cut(2, 1) }, []int{3}},
		{"the other way", func() { net.Heal(); net.Cut(1, 2) }, []int{2, 3}},
		{"partition", func() { net.Partition([]int{1, 2}, []int{3}) }, []int{2}},
		{"in no group", func() { net.Partition([]int{2, 3}) }, nil},
		{"healed", net.Heal, []int{2, 3}},
		{"isolated", func() { net.Isolate(1) }, nil},
	} {
		step.do()
		if from := senders(1); !slices.Equal(from, step.want) {
			t.Errorf("%s: node 1 hears %v, want %v", step.name, from, step.want)
		}
	}
}

func TestCutLosesWhatIsUnderWay(t *testing.T) {
	net := counters(t, 1, 2)
	net.Faults = Faults{MinDelay: 10 * Tick, MaxDelay: 10 * Tick}
	net.Run(5)
	net.Cut(2, 1)
	net.Run(7) // what was sent before should have come
	net.Heal()
	net.Run(3) // what was sent while it was cut is lost
	if list := got(net, 1); len(list) > 3 {
		t.Errorf("got %v, want no more than what was under way at the end of the cut", list)
	}
	net.Run(20)
	for _, m := range got(net, 1) {
		if m.n > 5 && m.n < 12 {
			t.Errorf("message %v was sent while the link was cut, and came", m)
		}
	}
}

func TestCrashKeepsTheDiskOnly(t *testing.T) {
	net := counters(t, 1, 2)
	net.Run(10)
	net.Crash(1)
	net.Run(50)
	if net.Up(1) || !net.Up(2) {
		t.Fatal("1 was crashed: want it down and 2 up")
	}
	net.Start(1)
	if n := len(got(net, 1)); n != 0 {
		t.Errorf("started again, node 1 remembers %d messages, want none", n)
	}
	net.Run(10)
	c := net.Node(1).(*counter)
	if n := c.disk.Load(); n < 18 || n > 20 {
		t.Errorf("node 1 ran 10 ticks twice, and has counted %d on its disk", n)
	}
	if n := len(c.got); n < 9 || n > 11 {
		t.Errorf("node 1 got %d messages in 10 ticks after its start, want what was sent since", n)
	}
}

func TestRunUntil(t *testing.T) {
	net := counters(t, 1, 2)
	if !net.RunUntil(100, func() bool { return net.Now() > 5*Tick }) || net.Now() > 7*Tick {
		t.Errorf("RunUntil went on to %v, want it to stop just after 5 ticks", net.Now())
	}
	if net.RunUntil(10, func() bool { return false }) {
		t.Error("RunUntil = true, but done never said so")
	}
}

// fake catches Fatalf.
type fake struct {
	testing.TB
	text string
}

func (f *fake) Helper() {}
func (f *fake) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	panic(f)
}

func TestFatalfNamesSeedAndTrace(t *testing.T) {
	f := &fake{TB: t}
	net := counters(f, 42, 2)
	net.Describe = func(int) any { return "fine" }
	net.Run(3)
	net.Isolate(1)
	net.Run(1)
	func() {
		defer func() { recover() }()
		net.Fatalf("two leaders")
	}()
	for _, want := range []string{"two leaders", "seed 42", "node 1 gets {2 1 1} · is now fine", "network: 1 is cut off", "lost: {2 1 3}"} {
		if !strings.Contains(f.text, want) {
			t.Errorf("Fatalf says\n%s\nwant also %q", f.text, want)
		}
	}
}

// echo answers everything twice.
type echo struct{ id int }

func (e *echo) Tick() []message { return []message{{e.id, 3 - e.id, 0}} }
func (e *echo) Step(m message) []message {
	return []message{{e.id, m.from, 0}, {e.id, m.from, 0}}
}

func TestStormEnds(t *testing.T) {
	f := &fake{TB: t}
	defer func() {
		recover()
		if !strings.Contains(f.text, "answer answers") {
			t.Errorf("machines that answer each message twice: %q", f.text)
		}
	}()
	New(f, 1, 2, address, func(id int) Machine[message] { return &echo{id} }).Run(100)
}

func TestDiskClones(t *testing.T) {
	d := Disk[[]int]{Clone: slices.Clone[[]int]}
	list := []int{1, 2}
	d.Save(list)
	list[0] = 7
	d.Load()[1] = 8
	if got := d.Load(); !slices.Equal(got, []int{1, 2}) || d.Writes() != 1 {
		t.Errorf("saved [1 2], then changed it outside: the disk holds %v after %d writes", got, d.Writes())
	}
}
