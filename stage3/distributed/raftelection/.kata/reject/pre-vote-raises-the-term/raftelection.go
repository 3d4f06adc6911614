// Takes the term of a pre-vote for news, as of any message.
//
//kata:caught-by TestPreVote
package raftelection

// A Node takes part in the election of a leader. Its methods are called one at a time.
type Node struct {
	config Config
	state  State // as it is in Storage
	role   Role
	leader int // of the term; 0: not known

	elapsed int          // ticks since the timer was set; of a leader: since it became one
	timeout int          // when the timer runs out
	silence int          // ticks since a heartbeat of a leader: ElectionTicks at least means that it is given up
	granted map[int]bool // pre-candidate, candidate: who is for us
	heard   map[int]bool // leader: who has answered since it last counted
	out     []Message
}

// New returns a follower with what Storage remembers.
func New(c Config) *Node {
	// After a restart a node does not know whether there is a leader. It takes part in pre-votes at once, for it might be needed.
	n := &Node{config: c, state: c.Storage.Load(), silence: c.ElectionTicks}
	n.setTimer()
	return n
}

// Status says how the node sees the world.
func (n *Node) Status() Status { return Status{n.state.Term, n.role, n.leader} }

// Tick tells the node that a tick has passed. It returns the messages to send; what they promise is saved by then.
func (n *Node) Tick() []Message {
	n.elapsed++
	n.silence++
	switch {
	case n.role == Leader:
		n.lead()
	case n.elapsed >= n.timeout:
		n.preVote()
	}
	return n.flush()
}

// Step gives the node a message. It returns the messages to send; what they promise is saved by then.
func (n *Node) Step(m Message) []Message {
	// The term of a pre-vote is only talked about. One that was refused is: somebody is ahead of us.
	talk := m.Kind == PreVoteReply && m.Granted
	if m.Term > n.state.Term && !talk {
		n.follow(State{Term: m.Term}, 0)
	}
	switch m.Kind {
	case PreVoteRequest:
		n.answerPreVote(m)
	case VoteRequest:
		n.answerVote(m)
	case Heartbeat:
		n.answerHeartbeat(m)
	case PreVoteReply:
		if n.role == PreCandidate && m.Granted && m.Term == n.state.Term+1 {
			n.count(m.From)
		}
	case VoteReply:
		if n.role == Candidate && m.Granted && m.Term == n.state.Term {
			n.count(m.From)
		}
	case HeartbeatReply:
		if n.role == Leader && m.Term == n.state.Term {
			n.heard[m.From] = true
		}
	}
	return n.flush()
}

func (n *Node) answerPreVote(m Message) {
	ok := m.Term >= n.state.Term && n.role != Leader && n.silence >= n.config.ElectionTicks && !m.Last.before(n.config.Storage.Last())
	reply := Message{Kind: PreVoteReply, To: m.From, Term: n.state.Term, Granted: ok}
	if ok {
		reply.Term = m.Term
	}
	n.send(reply)
}

func (n *Node) answerVote(m Message) {
	free := n.state.VotedFor == 0 || n.state.VotedFor == m.From
	ok := m.Term == n.state.Term && free && !m.Last.before(n.config.Storage.Last())
	if ok {
		n.save(State{n.state.Term, m.From})
		n.setTimer()
	}
	n.send(Message{Kind: VoteReply, To: m.From, Term: n.state.Term, Granted: ok})
}

func (n *Node) answerHeartbeat(m Message) {
	if m.Term == n.state.Term {
		n.follow(n.state, m.From)
		n.silence = 0
	}
	n.send(Message{Kind: HeartbeatReply, To: m.From, Term: n.state.Term}) // also a stale leader, that it learns of its end
}

// lead sends heartbeats, and counts from time to time who has answered.
func (n *Node) lead() {
	if n.elapsed%n.config.ElectionTicks == 0 {
		if !n.majority(n.heard) {
			n.follow(n.state, 0)
			return
		}
		n.heard = map[int]bool{n.config.ID: true}
	}
	if n.elapsed%n.config.HeartbeatTicks == 0 {
		n.broadcast(Message{Kind: Heartbeat, Term: n.state.Term})
	}
}

// preVote asks whether an election could be won, and disturbs nobody by that.
func (n *Node) preVote() {
	n.role, n.leader = PreCandidate, 0
	n.setTimer()
	n.granted = map[int]bool{}
	n.broadcast(Message{Kind: PreVoteRequest, Term: n.state.Term + 1, Last: n.config.Storage.Last()})
	n.count(n.config.ID)
}

// campaign begins a term and votes for itself.
func (n *Node) campaign() {
	n.role = Candidate
	n.save(State{n.state.Term + 1, n.config.ID})
	n.setTimer()
	n.granted = map[int]bool{}
	n.broadcast(Message{Kind: VoteRequest, Term: n.state.Term, Last: n.config.Storage.Last()})
	n.count(n.config.ID)
}

// count counts one who is for us; twice is once.
func (n *Node) count(from int) {
	n.granted[from] = true
	switch {
	case !n.majority(n.granted):
	case n.role == PreCandidate:
		n.campaign()
	default:
		n.role, n.leader = Leader, n.config.ID
		n.elapsed = 0
		n.heard = map[int]bool{n.config.ID: true}
		n.broadcast(Message{Kind: Heartbeat, Term: n.state.Term})
	}
}

// follow makes the node a follower.
func (n *Node) follow(s State, leader int) {
	n.save(s)
	n.role, n.leader = Follower, leader
	n.setTimer()
}

// save saves the state, unless it is saved already: a write costs more than a message.
func (n *Node) save(s State) {
	if s != n.state {
		n.config.Storage.Save(s)
		n.state = s
	}
}

// setTimer draws a new timeout each time: two nodes that drew the same would meet again and again.
func (n *Node) setTimer() {
	n.elapsed = 0
	n.timeout = n.config.ElectionTicks + n.config.Rand.IntN(n.config.ElectionTicks)
}

func (n *Node) majority(of map[int]bool) bool { return len(of) > len(n.config.Members)/2 }

// before says whether a log that ends at p lacks what one has that ends at q. The term counts first: length alone says nothing.
func (p Position) before(q Position) bool {
	return p.Term < q.Term || p.Term == q.Term && p.Index < q.Index
}

func (n *Node) broadcast(m Message) {
	for _, id := range n.config.Members {
		if id != n.config.ID {
			m.To = id
			n.send(m)
		}
	}
}

func (n *Node) send(m Message) {
	m.From = n.config.ID
	n.out = append(n.out, m)
}

func (n *Node) flush() []Message {
	out := n.out
	n.out = nil
	return out
}
