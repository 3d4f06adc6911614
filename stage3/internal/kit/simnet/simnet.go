// Package simnet runs machines on a simulated network in virtual time. A machine is a node of a distributed system without goroutines
// and without a clock: it is told that a tick has passed or that a message has come, and says what it wants to send. One queue of events
// drives all of them, so that a run depends on its seed and on the machines, and on nothing else: a seed that fails today fails tomorrow.
//
// The network delays, drops, duplicates and reorders messages, is cut in one direction or in both, and nodes crash and come back with
// what their [Disk] holds. It never changes a message, and a node's ticks come in time.
//
//	disks := map[int]*simnet.Disk[State]{1: {}, 2: {}, 3: {}}
//	net := simnet.New(t, seed, 3, address, func(id int) simnet.Machine[Message] { return NewNode(id, disks[id]) })
//	net.Faults = simnet.Faults{MaxDelay: 3 * simnet.Tick, Drop: 0.1}
//	net.After = func(e simnet.Event[Message]) { … what must always hold … net.Fatalf("two leaders") }
//	net.Run(100)
//	net.Partition([]int{1}, []int{2, 3})
//	net.Run(100)
package simnet

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A Machine is a node. Both methods return the messages to be sent. They are called one at a time.
type Machine[M any] interface {
	Tick() []M
	Step(M) []M
}

// Time is virtual, in tenths of a tick.
type Time int

// Tick is the time between two ticks of a node.
const Tick Time = 10

func (t Time) String() string { return fmt.Sprintf("%d.%d", t/Tick, t%Tick) }

// Faults is how the network treats messages. The zero value delivers each once, a tenth of a tick later.
type Faults struct {
	MinDelay, MaxDelay Time    // each message takes a time between these; at least a tenth of a tick
	Drop               float64 // share of messages that are lost
	Duplicate          float64 // share of those delivered that come twice
}

// A Kind says what an Event is about.
type Kind string

// The kinds of events.
const (
	Ticked    Kind = "ticks"
	Delivered Kind = "gets"
	Lost      Kind = "lost"
	Crashed   Kind = "crashes"
	Started   Kind = "starts"
	Network   Kind = "network" // a change that the test made
)

// An Event is something that happened to a node.
type Event[M any] struct {
	At      Time
	Kind    Kind
	Node    int
	Message M   // of Delivered and Lost
	Sent    []M // what the node sends
	State   any // of the node afterwards, by Describe; of Network: what was changed
}

func (e Event[M]) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%6v ", e.At)
	switch e.Kind {
	case Network:
		fmt.Fprintf(&b, "network: %v", e.State)
		return b.String()
	case Lost:
		fmt.Fprintf(&b, "lost: %v", e.Message)
		return b.String()
	case Delivered:
		fmt.Fprintf(&b, "node %d gets %v", e.Node, e.Message)
	default:
		fmt.Fprintf(&b, "node %d %s", e.Node, string(e.Kind))
	}
	if e.State != nil {
		fmt.Fprintf(&b, " · is now %v", e.State)
	}
	for i, m := range e.Sent {
		b.WriteString(map[bool]string{true: " · sends ", false: ", "}[i == 0])
		fmt.Fprint(&b, m)
	}
	return b.String()
}

// traced is how many events Fatalf shows; most is how many messages may be under way.
const traced, most = 40, 20_000

// A Net is a network of nodes 1 to n. Its fields may be changed at any time, from the test's goroutine only.
type Net[M any] struct {
	Faults
	After    func(Event[M])   // called after each event of a node, if not nil
	Describe func(id int) any // a copy of a node's state for the trace, if not nil; it is formatted only if it is shown
	Rand     *rand.Rand       // decides everything; a test may draw from it, too

	t       testing.TB
	seed    uint64
	address func(M) (from, to int)
	boot    func(id int) Machine[M]

	now    Time
	queue  queue[M]
	serial int
	nodes  []node[M]
	cut    map[[2]int]bool
	trace  []Event[M]
}

type node[M any] struct {
	machine Machine[M] // nil: it is down
	starts  int        // a tick that was planned before the last start is none
}

// New starts n nodes. The ticks of each come at a phase of its own, so that nodes do not act in lockstep. address says who sent a message
// and who is to get it; boot makes a node's machine, at the beginning and when it is started again.
func New[M any](t testing.TB, seed uint64, n int, address func(M) (from, to int), boot func(id int) Machine[M]) *Net[M] {
	return start(t, seed, n, address, boot, false)
}

// Lockstep is like New, but all nodes tick at the same time, in order: the worst that can happen to whoever relies on luck.
func Lockstep[M any](t testing.TB, seed uint64, n int, address func(M) (from, to int), boot func(id int) Machine[M]) *Net[M] {
	return start(t, seed, n, address, boot, true)
}

func start[M any](t testing.TB, seed uint64, n int, address func(M) (from, to int), boot func(id int) Machine[M], lockstep bool) *Net[M] {
	net := &Net[M]{
		Rand: rand.New(rand.NewPCG(seed, 0x73696d6e6574)),
		t:    t, seed: seed, address: address, boot: boot,
		nodes: make([]node[M], n+1),
		cut:   map[[2]int]bool{},
	}
	for id := 1; id <= n; id++ {
		phase := Time(0)
		if !lockstep {
			phase = Time(net.Rand.IntN(int(Tick)))
		}
		net.start(id, phase)
	}
	return net
}

// Now is the virtual time since the beginning.
func (net *Net[M]) Now() Time { return net.now }

// IDs are the ids of all nodes.
func (net *Net[M]) IDs() []int {
	ids := make([]int, len(net.nodes)-1)
	for i := range ids {
		ids[i] = i + 1
	}
	return ids
}

// Node returns a node's machine, or nil if it is down.
func (net *Net[M]) Node(id int) Machine[M] { return net.nodes[id].machine }

// Up says whether a node is running.
func (net *Net[M]) Up(id int) bool { return net.nodes[id].machine != nil }

// Run lets ticks of time pass.
func (net *Net[M]) Run(ticks int) { net.RunUntil(ticks, func() bool { return false }) }

// RunUntil lets time pass until done says so, asked after every event, but no more than ticks. It returns what done said last.
func (net *Net[M]) RunUntil(ticks int, done func() bool) bool {
	end := net.now + Time(ticks)*Tick
	for !done() {
		if len(net.queue) == 0 || net.queue[0].at > end {
			net.now = end
			return false
		}
		next := heap.Pop(&net.queue).(planned[M])
		net.now = next.at
		net.happen(next)
	}
	return true
}

func (net *Net[M]) happen(p planned[M]) {
	if p.tick {
		n := net.nodes[p.node]
		if n.machine == nil || n.starts != p.starts {
			return
		}
		net.plan(planned[M]{at: net.now + Tick, tick: true, node: p.node, starts: p.starts})
		net.sent(Event[M]{Kind: Ticked, Node: p.node, Sent: n.machine.Tick()})
		return
	}
	from, to := net.address(p.message)
	if n := net.nodes[to]; n.machine != nil && !net.cut[[2]int{from, to}] {
		net.sent(Event[M]{Kind: Delivered, Node: to, Message: p.message, Sent: n.machine.Step(p.message)})
		return
	}
	net.record(Event[M]{Kind: Lost, Node: to, Message: p.message})
}

// sent takes note of an event and puts what the node sends on the network.
func (net *Net[M]) sent(e Event[M]) {
	net.record(e)
	for _, m := range e.Sent {
		from, to := net.address(m)
		if from != e.Node || to < 1 || to >= len(net.nodes) || to == from {
			net.Fatalf("node %d sends %v, from %d to %d: want a message of its own to another node", e.Node, m, from, to)
		}
		copies := 1
		if net.Rand.Float64() < net.Duplicate {
			copies = 2
		}
		if net.cut[[2]int{from, to}] || net.Rand.Float64() < net.Drop {
			net.record(Event[M]{Kind: Lost, Node: to, Message: m})
			continue
		}
		for range copies {
			delay := max(1, net.MinDelay)
			delay += Time(net.Rand.IntN(int(max(0, net.MaxDelay-delay)) + 1))
			net.plan(planned[M]{at: net.now + delay, message: m})
		}
	}
	if len(net.queue) > most {
		net.Fatalf("there are %d messages under way: do nodes answer answers?", len(net.queue))
	}
	if net.After != nil {
		net.After(e)
	}
}

func (net *Net[M]) plan(p planned[M]) {
	net.serial++
	p.serial = net.serial
	heap.Push(&net.queue, p)
}

func (net *Net[M]) record(e Event[M]) {
	if e.Kind == Ticked && len(e.Sent) == 0 {
		return
	}
	e.At = net.now
	if net.Describe != nil && e.Kind != Network && e.Kind != Lost && net.Up(e.Node) {
		e.State = net.Describe(e.Node)
	}
	if len(net.trace) == 2*traced {
		net.trace = append(net.trace[:0], net.trace[traced:]...)
	}
	net.trace = append(net.trace, e)
}

// Crash ends a node. What it has sent is still under way; what comes for it is lost.
func (net *Net[M]) Crash(id int) {
	if net.Up(id) {
		net.nodes[id].machine = nil
		net.record(Event[M]{Kind: Crashed, Node: id})
	}
}

// Start starts a node that is down, by boot.
func (net *Net[M]) Start(id int) {
	if !net.Up(id) {
		net.start(id, Time(net.Rand.IntN(int(Tick))))
	}
}

func (net *Net[M]) start(id int, phase Time) {
	n := &net.nodes[id]
	n.starts++
	n.machine = net.boot(id)
	net.plan(planned[M]{at: net.now + Tick + phase, tick: true, node: id, starts: n.starts})
	net.record(Event[M]{Kind: Started, Node: id})
}

// Cut loses all messages from one node to another from now on, also those under way.
func (net *Net[M]) Cut(from, to int) {
	net.cut[[2]int{from, to}] = true
	net.network("cut from %d to %d", from, to)
}

// Isolate cuts a node off from all others, both ways.
func (net *Net[M]) Isolate(id int) {
	for _, other := range net.IDs() {
		if other != id {
			net.cut[[2]int{id, other}], net.cut[[2]int{other, id}] = true, true
		}
	}
	net.network("%d is cut off", id)
}

// Partition cuts groups of nodes off from each other, and mends every other cut. A node in no group is on its own.
func (net *Net[M]) Partition(groups ...[]int) {
	clear(net.cut)
	group := map[int]int{}
	for i, ids := range groups {
		for _, id := range ids {
			group[id] = i + 1
		}
	}
	for _, a := range net.IDs() {
		for _, b := range net.IDs() {
			if a != b && (group[a] != group[b] || group[a] == 0) {
				net.cut[[2]int{a, b}] = true
			}
		}
	}
	net.network("partition %v", groups)
}

// Heal mends all cuts.
func (net *Net[M]) Heal() {
	clear(net.cut)
	net.network("healed")
}

func (net *Net[M]) network(format string, args ...any) {
	net.record(Event[M]{Kind: Network, State: fmt.Sprintf(format, args...)})
}

// Mayhem lets ticks pass in which something happens every few ticks: nodes crash and come back, one by one or all of them, the network is
// cut and healed. At the end it is healed, and all nodes are up.
func (net *Net[M]) Mayhem(ticks, every int) {
	end := net.now + Time(ticks)*Tick
	for net.now < end {
		net.Run(1 + net.Rand.IntN(2*every))
		ids := net.IDs()
		net.Rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		switch net.Rand.IntN(8) {
		case 0:
			k := 1 + net.Rand.IntN(len(ids))
			net.Partition(ids[:k], ids[k:])
		case 1:
			net.Isolate(ids[0])
		case 2:
			net.Cut(ids[0], ids[len(ids)-1])
		case 3:
			net.Crash(ids[0])
		case 4: // crash and come back at once: what was not on disk is forgotten
			net.Crash(ids[0])
			net.Start(ids[0])
		case 5:
			for _, id := range ids {
				net.Start(id)
			}
		default:
			net.Heal()
		}
	}
	net.Heal()
	for _, id := range net.IDs() {
		net.Start(id)
	}
}

// Fatalf fails the test: it names the seed, and says what happened last.
func (net *Net[M]) Fatalf(format string, args ...any) {
	net.t.Helper()
	last := net.trace[max(0, len(net.trace)-traced):]
	var b strings.Builder
	for _, e := range last {
		fmt.Fprintf(&b, "\n  %v", e)
	}
	net.t.Fatalf("%s\nseed %d, at tick %v; what happened last (in ticks of virtual time):%s", fmt.Sprintf(format, args...), net.seed, net.now, b.String())
}

// planned is an event to come.
type planned[M any] struct {
	at      Time
	serial  int // events of the same time happen in the order in which they were planned
	tick    bool
	node    int // whose tick
	starts  int
	message M
}

type queue[M any] []planned[M]

func (q queue[M]) Len() int { return len(q) }
func (q queue[M]) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].serial < q[j].serial
}
func (q queue[M]) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue[M]) Push(p any)   { *q = append(*q, p.(planned[M])) }
func (q *queue[M]) Pop() any {
	last := len(*q) - 1
	p := (*q)[last]
	*q = slices.Delete(*q, last, last+1)
	return p
}
