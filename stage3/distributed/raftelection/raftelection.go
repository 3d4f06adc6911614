// Package raftelection elects a leader, as Raft does it: with terms, votes that are remembered, pre-votes, and random timeouts. A node is a
// machine without goroutines and without a clock: it is told that a tick has passed or that a message has come, and returns what is to be sent.
package raftelection

// A Node takes part in the election of a leader. Its methods are called one at a time.
type Node struct{}

// New returns a follower with what Storage remembers.
func New(c Config) *Node {
	panic("TODO: load the state, draw a timeout")
}

// Tick tells the node that a tick has passed. It returns the messages to send; what they promise is saved by then.
func (n *Node) Tick() []Message {
	panic("TODO: a leader counts to its next heartbeat, the others to the end of their patience")
}

// Step gives the node a message. It returns the messages to send; what they promise is saved by then.
func (n *Node) Step(m Message) []Message {
	panic("TODO: compare terms, then do what the kind of the message asks for")
}

// Status says how the node sees the world.
func (n *Node) Status() Status {
	panic("TODO: term, role, leader")
}
