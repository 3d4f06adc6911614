package flink

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
type Task struct{}

// NewTask returns a task with so many inputs that goes on from sums, which stay the caller's. It calls emit for each message that it
// passes on, and snapshot for each checkpoint that it completes; the sums that snapshot gets are the callee's.
func NewTask(inputs int, sums map[string]int64, emit func(Message), snapshot func(id int64, sums map[string]int64)) *Task {
	panic("TODO: state of its own")
}

// Receive takes the next message of an input, which are numbered from 0. One call at a time.
func (t *Task) Receive(from int, m Message) {
	panic("TODO: hold back what a checkpoint must not see, pass on the rest")
}
