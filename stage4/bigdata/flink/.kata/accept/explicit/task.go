package flink

import "maps"

// Kind is what a Message is.
type Kind int

// The kinds of messages.
const (
	Record  Kind = iota + 1 // Key and Value
	Barrier                 // ID: here checkpoint ID cuts the input
	End                     // nothing follows on this input
)

// Message is what flows between tasks.
type Message struct {
	Kind  Kind
	Key   string
	Value int64
	ID    int64
}

// Task adds up records by key, and passes them on. It takes aligned snapshots of its sums.
type Task struct {
	sums     map[string]int64
	inputs   []input
	newest   int64 // the newest checkpoint that has been begun
	aligning bool  // it is still going on
	emit     func(Message)
	snapshot func(id int64, sums map[string]int64)
}

type input struct {
	held    []Message // what waits, the oldest first
	blocked bool      // the barrier of the checkpoint that is going on has come
	ended   bool
}

// NewTask returns a task with so many inputs that goes on from sums, which stay the caller's. It calls emit for each message that it
// passes on, and snapshot for each checkpoint that it completes; the sums that snapshot gets are the callee's.
func NewTask(inputs int, sums map[string]int64, emit func(Message), snapshot func(id int64, sums map[string]int64)) *Task {
	t := &Task{sums: map[string]int64{}, inputs: make([]input, inputs), emit: emit, snapshot: snapshot}
	maps.Copy(t.sums, sums)
	return t
}

// Receive takes the next message of an input, which are numbered from 0. One call at a time.
func (t *Task) Receive(from int, m Message) {
	t.inputs[from].held = append(t.inputs[from].held, m)
	t.drain()
}

// drain handles what need not wait. One message may free another input, so it goes on until nothing moves.
func (t *Task) drain() {
	for moved := true; moved; {
		moved = false
		for i := range t.inputs {
			in := &t.inputs[i]
			for len(in.held) > 0 && !in.blocked {
				m := in.held[0]
				in.held = in.held[1:]
				t.handle(in, m)
				t.complete()
				moved = true
			}
		}
	}
}

func (t *Task) handle(in *input, m Message) {
	switch m.Kind {
	case Record:
		t.sums[m.Key] += m.Value
		t.emit(m)
	case Barrier:
		if m.ID < t.newest || m.ID == t.newest && !t.aligning {
			return // of a checkpoint that is given up or done
		}
		if m.ID > t.newest {
			t.release() // the one before, if it is still going on, will never be whole
			t.newest, t.aligning = m.ID, true
		}
		in.blocked = true
	case End:
		in.ended = true
	}
}

// complete takes the snapshot if no input is left to wait for. An input that has ended will bring no barrier.
func (t *Task) complete() {
	ended := true
	for i := range t.inputs {
		if !t.inputs[i].blocked && !t.inputs[i].ended {
			return
		}
		ended = ended && t.inputs[i].ended
	}
	if t.aligning {
		t.aligning = false
		t.snapshot(t.newest, maps.Clone(t.sums))
		// The barrier goes before everything that has been held.
		t.emit(Message{Kind: Barrier, ID: t.newest})
		t.release()
	}
	if ended { // and this was the last message of all
		t.emit(Message{Kind: End})
	}
}

func (t *Task) release() {
	for i := range t.inputs {
		t.inputs[i].blocked = false
	}
}
