// Package raftelection elects a leader, as Raft does it: with terms, votes that are remembered, pre-votes, and random timeouts. A node is a
// machine without goroutines and without a clock: it is told that a tick has passed or that a message has come, and returns what is to be sent.
package raftelection

// A Node takes part in the election of a leader. Its methods are called one at a time.
type Node struct {
	Config
	now      int // ticks since the start
	lastCall int // when a leader was heard last
	deadline int // when patience ends
	role     role
	leader   int
	out      []Message
}

// A role holds what a node knows in that role only: it is forgotten by taking another one.
type role interface {
	name() Role
	tick(n *Node)
	answer(n *Node, m Message) // is only given replies
}

type follower struct{}

// electing is a pre-candidate or a candidate for a term.
type electing struct {
	as   Role
	term uint64
	yes  uint64 // members who are for it, as bits
}

type leading struct {
	since int
	heard []int // by place in Members: when it answered last
}

// New returns a follower with what Storage remembers.
func New(c Config) *Node {
	n := &Node{Config: c, role: follower{}, lastCall: -c.ElectionTicks}
	n.rest()
	return n
}

// Status says how the node sees the world.
func (n *Node) Status() Status {
	return Status{Term: n.Storage.Load().Term, Role: n.role.name(), Leader: n.leader}
}

// Tick tells the node that a tick has passed. It returns the messages to send; what they promise is saved by then.
func (n *Node) Tick() []Message {
	n.now++
	n.role.tick(n)
	return n.take()
}

// Step gives the node a message. It returns the messages to send; what they promise is saved by then.
func (n *Node) Step(m Message) []Message {
	state := n.Storage.Load()
	hypothetical := m.Kind == PreVoteRequest || m.Kind == PreVoteReply && m.Granted
	if !hypothetical && m.Term > state.Term {
		state = State{Term: m.Term}
		n.Storage.Save(state)
		if n.role.name() != Follower { // a follower stays as impatient as it is
			n.rest()
		}
		n.role, n.leader = follower{}, 0
	}
	upToDate := m.Last == n.Storage.Last() || newer(m.Last, n.Storage.Last())
	switch m.Kind {
	case PreVoteRequest:
		if m.Term > state.Term && upToDate && n.role.name() != Leader && n.now-n.lastCall >= n.ElectionTicks {
			n.send(m.From, Message{Kind: PreVoteReply, Term: m.Term, Granted: true})
		} else {
			n.send(m.From, Message{Kind: PreVoteReply, Term: state.Term})
		}
	case VoteRequest:
		granted := false
		if m.Term == state.Term && upToDate {
			if state.VotedFor == 0 {
				state.VotedFor = m.From
				n.Storage.Save(state)
			}
			granted = state.VotedFor == m.From
		}
		if granted {
			n.rest()
		}
		n.send(m.From, Message{Kind: VoteReply, Term: state.Term, Granted: granted})
	case Heartbeat:
		if m.Term == state.Term {
			n.role, n.leader, n.lastCall = follower{}, m.From, n.now
			n.rest()
		}
		n.send(m.From, Message{Kind: HeartbeatReply, Term: state.Term})
	default:
		n.role.answer(n, m)
	}
	return n.take()
}

func newer(a, b Position) bool {
	if a.Term != b.Term {
		return a.Term > b.Term
	}
	return a.Index > b.Index
}

func (follower) name() Role { return Follower }
func (follower) tick(n *Node) {
	if n.now >= n.deadline {
		n.stand(PreCandidate)
	}
}
func (follower) answer(*Node, Message) {}

func (n *Node) stand(as Role) {
	term, kind := n.Storage.Load().Term+1, PreVoteRequest
	if as == Candidate {
		kind = VoteRequest
		n.Storage.Save(State{term, n.ID})
	}
	e := &electing{as: as, term: term}
	n.role, n.leader = e, 0
	n.rest()
	n.toAll(Message{Kind: kind, Term: term, Last: n.Storage.Last()})
	e.count(n, n.ID)
}

func (e *electing) name() Role   { return e.as }
func (e *electing) tick(n *Node) { follower{}.tick(n) }
func (e *electing) answer(n *Node, m Message) {
	right := VoteReply
	if e.as == PreCandidate {
		right = PreVoteReply
	}
	if m.Kind == right && m.Granted && m.Term == e.term {
		e.count(n, m.From)
	}
}

func (e *electing) count(n *Node, who int) {
	votes := 0
	for i, id := range n.Members {
		if id == who {
			e.yes |= 1 << i
		}
		votes += int(e.yes >> i & 1)
	}
	switch {
	case 2*votes <= len(n.Members):
	case e.as == PreCandidate:
		n.stand(Candidate)
	default:
		l := &leading{since: n.now, heard: make([]int, len(n.Members))}
		for i := range l.heard {
			l.heard[i] = n.now
		}
		n.role, n.leader = l, n.ID
		n.toAll(Message{Kind: Heartbeat, Term: e.term})
	}
}

func (*leading) name() Role { return Leader }
func (l *leading) tick(n *Node) {
	fresh := 0
	for i, id := range n.Members {
		if id == n.ID || n.now-l.heard[i] < 2*n.ElectionTicks {
			fresh++
		}
	}
	switch {
	case 2*fresh <= len(n.Members):
		n.role, n.leader = follower{}, 0
		n.rest()
	case (n.now-l.since)%n.HeartbeatTicks == 0:
		n.toAll(Message{Kind: Heartbeat, Term: n.Storage.Load().Term})
	}
}

func (l *leading) answer(n *Node, m Message) {
	for i, id := range n.Members {
		if m.Kind == HeartbeatReply && m.From == id && m.Term == n.Storage.Load().Term {
			l.heard[i] = n.now
		}
	}
}

// rest draws the end of the node's patience.
func (n *Node) rest() { n.deadline = n.now + n.ElectionTicks + n.Rand.IntN(n.ElectionTicks) }

func (n *Node) toAll(m Message) {
	for _, id := range n.Members {
		if id != n.ID {
			n.send(id, m)
		}
	}
}

func (n *Node) send(to int, m Message) {
	m.From, m.To = n.ID, to
	n.out = append(n.out, m)
}

func (n *Node) take() (out []Message) {
	out, n.out = n.out, nil
	return out
}
