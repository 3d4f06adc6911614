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
	running  int64             // the checkpoint that is going on, or 0
	newest   int64             // the newest that was begun
	arrived  map[int]bool      // inputs whose barrier of it has come
	open     map[int]bool      // inputs that have not ended
	waiting  map[int][]Message // behind those barriers
	emit     func(Message)
	snapshot func(id int64, sums map[string]int64)
}

// NewTask returns a task with so many inputs that goes on from sums, which stay the caller's. It calls emit for each message that it
// passes on, and snapshot for each checkpoint that it completes; the sums that snapshot gets are the callee's.
func NewTask(inputs int, sums map[string]int64, emit func(Message), snapshot func(id int64, sums map[string]int64)) *Task {
	t := &Task{sums: map[string]int64{}, open: map[int]bool{}, emit: emit, snapshot: snapshot}
	for key, sum := range sums {
		t.sums[key] = sum
	}
	for i := range inputs {
		t.open[i] = true
	}
	return t
}

// Receive takes the next message of an input, which are numbered from 0. One call at a time.
func (t *Task) Receive(from int, m Message) {
	if t.running > 0 && t.arrived[from] {
		t.waiting[from] = append(t.waiting[from], m)
		return
	}
	var freed map[int][]Message
	switch m.Kind {
	case Record:
		t.sums[m.Key] += m.Value
		t.emit(m)
		return
	case Barrier:
		switch {
		case m.ID > t.newest:
			freed = t.waiting
			t.running, t.newest = m.ID, m.ID
			t.arrived, t.waiting = map[int]bool{}, map[int][]Message{}
		case m.ID != t.running:
			return
		}
		t.arrived[from] = true
	case End:
		delete(t.open, from)
	}
	t.settle()
	t.again(freed)
}

// settle ends the checkpoint once every open input has brought its barrier, and the task once there is no open input.
func (t *Task) settle() {
	if t.running > 0 {
		for i := range t.open {
			if !t.arrived[i] {
				return
			}
		}
		freed, id := t.waiting, t.running
		t.running, t.arrived, t.waiting = 0, nil, nil
		t.snapshot(id, maps.Clone(t.sums))
		t.emit(Message{Kind: Barrier, ID: id})
		if len(t.open) > 0 {
			t.again(freed)
			return
		}
	}
	if len(t.open) == 0 {
		t.emit(Message{Kind: End})
	}
}

// again has messages received anew that had to wait. They may have to wait for the next checkpoint then.
func (t *Task) again(freed map[int][]Message) {
	for i, messages := range freed {
		for _, m := range messages {
			t.Receive(i, m)
		}
	}
}
