package raftelection

import (
	"fmt"
	"math/rand/v2"
)

// A Kind is what a Message is.
type Kind int

// The kinds of messages.
const (
	PreVoteRequest Kind = iota + 1
	PreVoteReply
	VoteRequest
	VoteReply
	Heartbeat
	HeartbeatReply
)

func (k Kind) String() string {
	return [...]string{"nothing", "PreVoteRequest", "PreVoteReply", "VoteRequest", "VoteReply", "Heartbeat", "HeartbeatReply"}[k]
}

// A Message is what one node sends to another.
type Message struct {
	Kind     Kind
	From, To int
	// Term is the sender's term. But a pre-vote is about a term that nobody is in yet: in a PreVoteRequest it is the sender's term + 1,
	// in a PreVoteReply that grants, the term of the request.
	Term    uint64
	Last    Position // of a PreVoteRequest and a VoteRequest: the end of the sender's log
	Granted bool     // of a PreVoteReply and a VoteReply
}

func (m Message) String() string {
	s := fmt.Sprintf("%v %d→%d term %d", m.Kind, m.From, m.To, m.Term)
	switch m.Kind {
	case PreVoteRequest, VoteRequest:
		s += fmt.Sprintf(" log %v", m.Last)
	case PreVoteReply, VoteReply:
		s += map[bool]string{true: " granted", false: " refused"}[m.Granted]
	}
	return s
}

// A Position is the place of a log's last entry: its term and its index. The empty log ends at the zero Position.
type Position struct {
	Term, Index uint64
}

func (p Position) String() string { return fmt.Sprintf("%d/%d", p.Term, p.Index) }

// A State is what a node must not forget. A node of term 0 has never taken part in an election.
type State struct {
	Term     uint64
	VotedFor int // in Term; 0: nobody
}

// Storage keeps a node's state and log over crashes. The log is somebody else's business: it may grow between any two calls.
type Storage interface {
	Load() State
	Save(State) // durable when it returns
	Last() Position
}

// A Config is what a node is made from.
type Config struct {
	ID             int
	Members        []int // all of them, with ID among them; none is 0
	ElectionTicks  int
	HeartbeatTicks int // less than ElectionTicks
	Storage        Storage
	Rand           *rand.Rand // the only source of chance
}

// A Role is what a node does at a time.
type Role int

// The roles.
const (
	Follower Role = iota
	PreCandidate
	Candidate
	Leader
)

func (r Role) String() string {
	return [...]string{"follower", "pre-candidate", "candidate", "leader"}[r]
}

// Status is how a node sees the world.
type Status struct {
	Term   uint64
	Role   Role
	Leader int // of Term, as far as the node knows; 0 if it knows none. A leader knows itself.
}

func (s Status) String() string {
	text := fmt.Sprintf("%v in term %d", s.Role, s.Term)
	if s.Role == Follower && s.Leader != 0 {
		text += fmt.Sprintf(" of %d", s.Leader)
	}
	return text
}
