// The election of a leader, on many simulated networks and on the desk of a single node.
//
//kata:level 3
//kata:minutes 150
//kata:engine simulated network in virtual time
package raftelection_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	raft "github.com/roadkata/roadkata/stage3/distributed/raftelection"
	"github.com/roadkata/roadkata/stage3/internal/kit/simnet"
)

const (
	electionTicks  = 10
	heartbeatTicks = 3
)

// No term has two leaders, whatever the network does and whoever crashes.
//
//kata:zh 无论网络怎样、谁崩溃，同一个任期里最多一个领导者。
func TestOneLeaderPerTerm(t *testing.T) {
	// Who is counted, and for what: of five members, node 1 needs two others.
	d := newDesk(t, 1, 5)
	d.patienceEnds()
	d.step(preVoteYes(2, 1, 1))
	d.step(preVoteYes(2, 1, 1)) // the network has doubled it
	d.step(preVoteNo(3, 1, 0))
	d.is(raft.PreCandidate, "only node 2 granted its pre-vote")
	d.step(preVoteYes(3, 1, 1))
	d.is(raft.Candidate, "nodes 2 and 3 granted its pre-vote for term 1")
	d.step(preVoteYes(4, 1, 1))
	d.step(preVoteYes(5, 1, 1))
	d.is(raft.Candidate, "pre-votes are no votes")
	d.step(vote(2, 1, 1, true))
	d.step(vote(2, 1, 1, true))
	d.step(vote(3, 1, 1, false))
	d.step(vote(4, 1, 1, false))
	d.is(raft.Candidate, "only node 2 voted for it")
	d.patienceEnds()
	d.step(preVoteYes(2, 1, 2))
	d.step(preVoteYes(3, 1, 2))
	d.step(vote(2, 1, 1, true))
	d.step(vote(3, 1, 1, true))
	d.step(vote(4, 1, 1, true))
	d.is(raft.Candidate, "these were votes of term 1, come late")
	d.step(vote(2, 1, 2, true))
	d.step(vote(4, 1, 2, true))
	d.is(raft.Leader, "nodes 2 and 4 voted for it in term 2")

	for seed := range uint64(40) {
		c := begin(t, seed, 3+2*int(seed%2), nil)
		c.Faults = simnet.Faults{MaxDelay: 3 * simnet.Tick, Drop: 0.1, Duplicate: 0.3}
		if seed%4 >= 2 {
			c.MaxDelay = 12 * simnet.Tick // answers outlive the elections that they belong to
		}
		leaders := map[uint64]int{}
		c.After = func(e event) {
			s := c.status(e.Node)
			if s.Role != raft.Leader {
				return
			}
			if other, ok := leaders[s.Term]; ok && other != e.Node {
				c.Fatalf("of %d nodes two lead in term %d: node %d and node %d", c.size, s.Term, other, e.Node)
			}
			leaders[s.Term] = e.Node
		}
		c.Mayhem(300, 8)
	}
}

// A node votes once in a term, and never goes back to an earlier one: neither after a crash nor for a message that comes twice.
//
//kata:zh 一个节点在一个任期里只投一票，任期从不倒退：崩溃重启、消息重复也不例外。
func TestVotesOnce(t *testing.T) {
	for _, crash := range []bool{false, true} {
		restart := func(d *desk) {
			if crash {
				d.restart()
			}
		}
		d := newDesk(t, 1, 5)
		d.wants(d.step(voteFor(2, 1, 5)), vote(1, 2, 5, true))
		restart(d)
		d.wants(d.step(voteFor(3, 1, 5)), vote(1, 3, 5, false))
		d.wants(d.step(voteFor(2, 1, 5)), vote(1, 2, 5, true)) // its answer may have been lost
		d.wants(d.step(voteFor(3, 1, 4)), vote(1, 3, 5, false))
		d.wants(d.step(voteFor(3, 1, 6)), vote(1, 3, 6, true))
		restart(d)
		d.wants(d.step(voteFor(2, 1, 6)), vote(1, 2, 6, false))

		d = newDesk(t, 1, 5)
		d.step(heartbeat(2, 1, 7))
		restart(d)
		d.term(7)
		d.wants(d.step(voteFor(3, 1, 6)), vote(1, 3, 7, false))

		d = newDesk(t, 1, 5) // who stands for election has voted
		d.patienceEnds()
		d.step(preVoteYes(2, 1, 1))
		d.step(preVoteYes(3, 1, 1))
		d.is(raft.Candidate, "nodes 2 and 3 granted its pre-vote")
		restart(d)
		d.wants(d.step(voteFor(4, 1, 1)), vote(1, 4, 1, false))
	}

	for seed := range uint64(24) {
		c := begin(t, seed, 3+int(seed%3), nil)
		c.Faults = simnet.Faults{MaxDelay: 4 * simnet.Tick, Drop: 0.1, Duplicate: 0.3}
		type ballot struct {
			voter int
			term  uint64
		}
		votes, terms := map[ballot]int{}, map[int]uint64{}
		c.After = func(e event) {
			if s := c.status(e.Node); s.Term < terms[e.Node] {
				c.Fatalf("node %d was in term %d, and is in term %d", e.Node, terms[e.Node], s.Term)
			} else {
				terms[e.Node] = s.Term
			}
			for _, m := range e.Sent {
				candidate := 0
				switch {
				case m.Kind == raft.VoteRequest:
					candidate = m.From
				case m.Kind == raft.VoteReply && m.Granted:
					candidate = m.To
				default:
					continue
				}
				b := ballot{m.From, m.Term}
				if before, ok := votes[b]; ok && before != candidate {
					c.Fatalf("node %d voted twice in term %d: for %d and for %d", b.voter, b.term, before, candidate)
				}
				votes[b] = candidate
			}
		}
		c.Mayhem(300, 4)
	}
}

// Only who has a log as up to date as the voter's gets its vote and its pre-vote: the later last term counts, then the greater index.
//
//kata:zh 只有日志至少与投票者一样新的候选人，才能得到预投票和选票：先比最后一条的任期，再比下标。
func TestUpToDate(t *testing.T) {
	for _, c := range []struct {
		own, its raft.Position
		want     bool
	}{
		{pos(3, 7), pos(3, 7), true},
		{pos(3, 7), pos(3, 8), true},
		{pos(3, 7), pos(3, 6), false},
		{pos(3, 7), pos(2, 100), false},
		{pos(3, 7), pos(4, 1), true},
		{pos(3, 7), pos(0, 0), false},
		{pos(0, 0), pos(0, 0), true},
	} {
		d := newDesk(t, 1, 3)
		d.store.last = c.own // the log grows at any time
		d.note("its log is %v now", c.own)
		ask := voteFor(2, 1, 9)
		ask.Last = c.its
		pre := ask
		pre.Kind = raft.PreVoteRequest
		if c.want {
			d.wants(d.step(pre), preVoteYes(1, 2, 9))
		} else {
			d.wants(d.step(pre), preVoteNo(1, 2, 0))
		}
		d.wants(d.step(ask), vote(1, 2, 9, c.want))
		if !c.want { // but nothing keeps it from voting for another one
			ask.From, ask.Last = 3, c.own
			d.wants(d.step(ask), vote(1, 3, 9, true))
		}
	}
	d := newDesk(t, 1, 3) // what it says of itself
	d.store.last = pos(4, 2)
	d.note("its log is 4/2")
	asked := d.patienceEnds()
	d.store.last = pos(4, 3)
	d.note("its log is 4/3")
	for _, m := range append(asked, d.step(preVoteYes(2, 1, 1))...) {
		want := pos(4, 2)
		if m.Kind == raft.VoteRequest {
			want = pos(4, 3)
		}
		if m.Last != want {
			d.fatal("it sent %v, want log %v in it", m, want)
		}
	}

	for seed := range uint64(16) {
		// Three of five have all entries; 4 lacks one, and 5 has many of a term that came to nothing.
		c := begin(t, seed, 5, func(id int) raft.Position {
			return [...]raft.Position{4: pos(2, 4), 5: pos(1, 90), 1: pos(2, 5), 2: pos(2, 5), 3: pos(2, 5)}[id]
		})
		c.MaxDelay = 2 * simnet.Tick
		c.After = func(e event) {
			if c.status(e.Node).Role == raft.Leader && e.Node > 3 {
				c.Fatalf("node %d leads: its log ends at %v, that of nodes 1, 2 and 3 at 2/5", e.Node, c.stores[e.Node].last)
			}
		}
		for range 4 {
			leader := c.elects("logs end at 2/5, 2/5, 2/5, 2/4, 1/90", bound)
			c.Isolate(leader)
			c.Run(60)
			c.Heal()
		}
	}
}

// It takes a majority of all members to lead: half of them elect nobody, however long they try.
//
//kata:zh 当选需要全体成员的多数：一半或少数成员无论试多久，都选不出领导者。
func TestMinority(t *testing.T) {
	for _, parts := range [][][]int{
		{{1}, {2}},
		{{1}, {2, 3}},
		{{1, 2}, {3, 4}},
		{{1, 2}, {3, 4, 5}},
		{{1, 2, 3}, {4, 5, 6}},
		{{1}, {2}, {3, 4}, {5}},
	} {
		size := 0
		for _, p := range parts {
			size += len(p)
		}
		for seed := range uint64(4) {
			c := begin(t, seed, size, nil)
			c.MaxDelay, c.Duplicate = simnet.Tick, 0.2
			c.Partition(parts...)
			crash := seed%2 == 1 // it makes no difference whether the others are cut off or down
			if crash {
				for _, id := range parts[len(parts)-1] {
					c.Crash(id)
				}
			}
			c.After = func(e event) {
				for _, p := range parts {
					if slices.Contains(p, e.Node) && c.status(e.Node).Role == raft.Leader && 2*len(p) <= size {
						c.Fatalf("node %d leads: it reaches %v, which is no majority of %d members", e.Node, p, size)
					}
				}
			}
			c.Run(300)
			c.After = nil
			c.Heal()
			for _, id := range c.IDs() {
				c.Start(id)
			}
			c.elects(fmt.Sprintf("%v were cut off from each other, and are healed", parts), bound)
		}
	}
	c := begin(t, 1, 1, nil)
	c.elects("there is only one member", 2*electionTicks)
}

// A leader steps down when it hears of a later term, and by itself when no majority has answered for 2 × ElectionTicks; nobody follows a stale one.
//
//kata:zh 领导者听到更大的任期就退位；2 × ElectionTicks 内没有多数应答也自行退位；没有谁追随过期的领导者。
func TestStaleLeader(t *testing.T) {
	for _, m := range []raft.Message{heartbeat(2, 1, 8), {Kind: raft.HeartbeatReply, From: 2, To: 1, Term: 8}, voteFor(2, 1, 8), vote(2, 1, 8, false)} {
		d := leader(t, 5)
		d.step(m)
		d.is(raft.Follower, "it heard of term 8")
		d.term(8)
	}
	d := newDesk(t, 1, 3)
	d.step(heartbeat(2, 1, 5))
	d.wants(d.step(heartbeat(3, 1, 4)), raft.Message{Kind: raft.HeartbeatReply, From: 1, To: 3, Term: 5})
	if s := d.node.Status(); s.Leader != 2 || s.Term != 5 {
		d.fatal("it is %v, want it to follow node 2 of term 5", s)
	}

	// Of four others it takes two. Answers count again and again, but each only for its time, and one node is one node.
	replies := func(d *desk, term uint64, from ...int) {
		for range electionTicks {
			d.tick()
			for _, id := range from {
				d.step(raft.Message{Kind: raft.HeartbeatReply, From: id, To: 1, Term: term})
			}
		}
	}
	d = leader(t, 5)
	for range 5 {
		replies(d, 1, 2, 3)
		replies(d, 1, 4, 5)
	}
	d.is(raft.Leader, "two of four others answered its heartbeats all the time")
	for range electionTicks - 1 {
		d.tick()
	}
	d.is(raft.Leader, "the last answers of two others came less than ElectionTicks ago")
	replies(d, 1, 4, 5)
	replies(d, 1, 4, 4)
	replies(d, 1, 4, 4)
	d.resigned("only one of four others answered for 2 × ElectionTicks")

	d = leader(t, 5)
	replies(d, 0, 2, 3, 4, 5)
	replies(d, 0, 2, 3, 4, 5)
	d.resigned("what answered it were only messages of term 0, for 2 × ElectionTicks")

	for seed := range uint64(10) {
		for _, how := range []string{"cut off", "heard by the others, but hears nobody", "cut off with one other"} {
			c := begin(t, seed, 5, nil)
			c.MaxDelay = simnet.Tick
			old := c.elects("nothing happened yet", bound)
			term := c.status(old).Term
			var with []int
			switch how {
			case "cut off":
				c.Isolate(old)
			case "cut off with one other":
				with = []int{old, old%5 + 1}
				c.Partition(with, slices.DeleteFunc(c.IDs(), func(id int) bool { return slices.Contains(with, id) }))
			default:
				for _, id := range c.IDs() {
					if id != old {
						c.Cut(id, old)
					}
				}
			}
			c.Run(2*electionTicks + 1) // an answer may have been under way
			if c.status(old).Role == raft.Leader {
				c.Fatalf("node %d, the leader, was %s for %d ticks, and still leads", old, how, 2*electionTicks+1)
			}
			c.Run(bound)
			c.Heal()
			if now := c.elects("the leader was "+how+" and has come back", bound); now == old && c.status(old).Term == term {
				c.Fatalf("node %d, %s for long, leads in its old term %d", old, how, term)
			}
		}
	}
}

// Each timeout is drawn anew from ElectionTicks to 2 × ElectionTicks - 1, so that nodes in lockstep do not split the vote for ever.
//
//kata:zh 每次超时都重新随机，范围从 ElectionTicks 到 2 × ElectionTicks - 1：步调一致的节点不会无休止地瓜分选票。
func TestRandomTimeouts(t *testing.T) {
	first, later := map[int]int{}, map[int]int{}
	for seed := range uint64(200) {
		d := newDesk(t, 1, 3)
		d.seed = seed
		d.restart()
		for i := range 3 {
			d.patienceEnds() // it says when that is not in time
			if i == 0 {
				first[d.waited]++
			} else {
				later[d.waited]++
			}
		}
	}
	for which, seen := range map[string]map[int]int{"first": first, "later": later} {
		if len(seen) < electionTicks {
			t.Errorf("ElectionTicks %d, 200 nodes: the %s timeouts were (ticks: how often) %v, want each from %d to %d",
				electionTicks, which, seen, electionTicks, 2*electionTicks-1)
		}
	}
	d := newDesk(t, 1, 3) // a vote that it gives begins the time anew: its candidate needs it
	for term := range uint64(20) {
		for range electionTicks - 1 {
			d.tick()
		}
		d.is(raft.Follower, "it gave away its vote less than ElectionTicks ago, or has just begun")
		d.wants(d.step(voteFor(2, 1, term+1)), vote(1, 2, term+1, true))
	}
	for size := 2; size <= 5; size++ {
		for seed := range uint64(40) {
			c := lockstep(t, seed, size)
			c.MinDelay = 5
			c.MaxDelay = 5
			c.elects("all tick at the same time, and all messages take half a tick", bound)
		}
	}
}

// Who comes back, or is only half cut off, changes neither term nor leader: first it asks whether it would be elected, and nobody who hears a leader says yes.
//
//kata:zh 节点回归或单向断网都不会改变任期和领导者：先预投票问能否当选，听得到领导者的节点一律拒绝。
func TestPreVote(t *testing.T) {
	// Asking and answering change nothing.
	d := newDesk(t, 1, 3)
	d.step(heartbeat(2, 1, 4))
	for range electionTicks - 1 {
		d.wants(d.step(preVoteFor(3, 1, 5)), preVoteNo(1, 3, 4)) // it hears a leader
		d.tick()
	}
	d.tick()
	if d.node.Status().Role == raft.Follower { // else it has lost its own patience just now
		d.wants(d.step(preVoteFor(3, 1, 5)), preVoteYes(1, 3, 5))
	}
	d.term(4)
	d = newDesk(t, 1, 5)
	d.step(vote(2, 1, 3, false)) // somebody is in term 3
	d.wants(d.step(preVoteFor(3, 1, 3)), preVoteNo(1, 3, 3))
	d.wants(d.step(preVoteFor(3, 1, 4)), preVoteYes(1, 3, 4))
	d.wants(d.step(preVoteFor(2, 1, 4)), preVoteYes(1, 2, 4)) // it is no promise: as many as ask
	d.term(3)
	d.wants(d.step(voteFor(4, 1, 3)), vote(1, 4, 3, true))
	d = leader(t, 3)
	d.wants(d.step(preVoteFor(2, 1, 2)), preVoteNo(1, 2, 1))
	d = newDesk(t, 1, 3)
	d.patienceEnds()
	d.step(vote(2, 1, 5, false)) // somebody is in term 5
	d.patienceEnds()
	d.step(preVoteYes(3, 1, 1))
	d.is(raft.PreCandidate, "it asks about term 6; what came is a late answer about term 1")
	d = newDesk(t, 1, 3)
	d.patienceEnds()
	d.patienceEnds()
	d.term(0)
	if saved := d.store.Load(); saved != (raft.State{}) {
		d.fatal("it saved %+v, want nothing saved: pre-votes are no elections", saved)
	}

	for seed := range uint64(8) {
		for _, how := range []string{"cut off", "hears nobody", "is not heard", "sees all but the leader", "crashed", "restarts"} {
			c := begin(t, seed, 5, nil)
			c.MaxDelay = 5
			leader := c.elects("nothing happened yet", bound)
			term := c.status(leader).Term
			c.Run(2 * electionTicks)
			x := leader%5 + 1
			c.After = func(e event) {
				if s := c.status(e.Node); s.Term != term || s.Role == raft.Leader && e.Node != leader {
					c.Fatalf("node %d led in term %d; node %d %s or came back, and now node %d is %v: want neither term nor leader to change",
						leader, term, x, how, e.Node, s)
				}
			}
			switch how {
			case "cut off":
				c.Isolate(x)
			case "sees all but the leader":
				c.Cut(x, leader)
				c.Cut(leader, x)
			case "crashed", "restarts":
				c.Crash(x)
			default:
				for _, id := range c.IDs() {
					if from, to := x, id; id != x {
						if how == "hears nobody" {
							from, to = to, from
						}
						c.Cut(from, to)
					}
				}
			}
			if how != "restarts" {
				c.Run(150)
			}
			c.Start(x)
			c.Run(1)
			c.Heal()
			c.Run(100)
			if s := c.status(x); s.Leader != leader {
				c.Fatalf("node %d %s, and came back 100 ticks ago; it is %v, want it to follow node %d", x, how, s, leader)
			}
		}
	}
}

// While a majority is up and connected, 20 × ElectionTicks later there is a leader that all of them follow: from any state, and if some messages are lost.
//
//kata:zh 只要多数节点在线且互通，20 × ElectionTicks 之内就有大家都追随的领导者：无论从什么状态开始，丢一些消息也一样。
func TestElects(t *testing.T) {
	// Nothing but a leader, a vote or its own election makes a node wait longer.
	for name, m := range map[string]raft.Message{
		"refused votes":         {Kind: raft.VoteRequest, From: 2, To: 1, Term: 3},
		"refused pre-votes":     {Kind: raft.PreVoteRequest, From: 2, To: 1, Term: 4},
		"granted pre-votes":     {Kind: raft.PreVoteRequest, From: 2, To: 1, Term: 4, Last: pos(1, 2)},
		"a stale leader's call": heartbeat(2, 1, 2),
	} {
		d := newDesk(t, 1, 3)
		d.store.last = pos(1, 1)
		d.step(vote(2, 1, 3, false)) // somebody is in term 3
		for i := 0; d.node.Status().Role == raft.Follower; i++ {
			if i == 2*electionTicks {
				d.fatal("%s for %d ticks kept it from standing for election", name, i)
			}
			d.step(m)
			d.tick()
		}
	}
	// And who stands for election gives up when there is a leader.
	for _, candidate := range []bool{false, true} {
		d := newDesk(t, 1, 5)
		d.patienceEnds()
		if candidate {
			d.step(preVoteYes(2, 1, 1))
			d.step(preVoteYes(3, 1, 1))
		}
		d.step(heartbeat(4, 1, 1))
		d.is(raft.Follower, "node 4 leads in term 1")
	}

	for seed := range uint64(40) {
		c := begin(t, seed, 3+int(seed%3), nil)
		c.Faults = simnet.Faults{MaxDelay: simnet.Tick, Drop: 0.05, Duplicate: 0.1}
		old := c.elects("nothing happened yet", bound)
		c.Crash(old)
		c.elects("the leader crashed", bound)
		c.Mayhem(200, 6)
		c.elects("after crashes and cuts all are up and connected", bound)
		if c.size > 4 { // three of five
			ids := c.IDs()
			c.Partition(ids[:2], ids[2:])
			c.group = ids[2:]
			c.Run(3 * electionTicks)
			c.elects("nodes 1 and 2 are cut off", bound)
			c.group = nil
		}
	}
	// One that was a candidate for long is ahead of all others; they must be able to come together again.
	for seed := range uint64(20) {
		c := begin(t, seed, 3, nil)
		c.elects("nothing happened yet", bound)
		c.Crash(1)
		c.stores[1].Save(raft.State{Term: 50, VotedFor: 1})
		c.Start(1)
		c.elects("node 1 was in term 50 before it crashed", bound)
	}
	// One has the log, the other one is ahead by its term: they have to find out.
	for seed := range uint64(20) {
		c := begin(t, seed, 3, func(id int) raft.Position { return pos(1, uint64(10-id)) })
		c.Crash(1)
		c.Crash(3)
		c.stores[3].Save(raft.State{Term: 5, VotedFor: 3})
		c.Start(3)
		c.elects("node 1 is down, node 2 has the longer log, node 3 was in term 5 before it crashed", bound)
	}
}

// A leader calls all others as soon as it is elected, then every HeartbeatTicks, and while it does nobody else stands for election.
//
//kata:zh 领导者一当选就向所有成员发心跳，之后每 HeartbeatTicks 一次；只要心跳在，就没有别人参选。
func TestHeartbeats(t *testing.T) {
	calls := func(d *desk, out []raft.Message) (to []int) {
		for _, m := range out {
			if m.Kind == raft.Heartbeat && m.Term == d.node.Status().Term {
				to = append(to, m.To)
			}
		}
		slices.Sort(to)
		return to
	}
	d := newDesk(t, 1, 4)
	d.patienceEnds()
	d.step(preVoteYes(2, 1, 1))
	d.step(preVoteYes(3, 1, 1))
	d.step(vote(2, 1, 1, true))
	all := []int{2, 3, 4}
	if to := calls(d, d.step(vote(4, 1, 1, true))); !slices.Equal(to, all) {
		d.fatal("it was elected, and sent heartbeats to %v at once; want %v", to, all)
	}
	for tick := 1; tick <= 10*heartbeatTicks; tick++ {
		to := calls(d, d.tick())
		if due := tick%heartbeatTicks == 0; due && !slices.Equal(to, all) || !due && len(to) > 0 {
			d.fatal("HeartbeatTicks %d: %d ticks after the election it sent heartbeats to %v; want them to %v, every %d ticks", heartbeatTicks, tick, to, all, heartbeatTicks)
		}
		for _, id := range all {
			d.step(raft.Message{Kind: raft.HeartbeatReply, From: id, To: 1, Term: 1})
		}
	}
	d = newDesk(t, 1, 3)
	for range 20 {
		d.wants(d.step(heartbeat(3, 1, 2)), raft.Message{Kind: raft.HeartbeatReply, From: 1, To: 3, Term: 2})
		for range electionTicks - 1 {
			d.tick()
		}
		if s := d.node.Status(); s != (raft.Status{Term: 2, Role: raft.Follower, Leader: 3}) {
			d.fatal("heartbeats of node 3 came every %d ticks, and it is %v; want it to follow", electionTicks-1, s)
		}
	}

	for seed := range uint64(10) {
		c := begin(t, seed, 5, nil)
		c.MaxDelay = 2 * simnet.Tick
		leader := c.elects("nothing happened yet", bound)
		c.Run(2 * electionTicks)
		c.After = func(e event) {
			if s := c.status(e.Node); s.Leader != leader {
				c.Fatalf("node %d leads, nothing fails, and node %d is %v", leader, e.Node, s)
			}
		}
		c.Run(500)
	}
}

// The same ticks and messages give the same answers: chance comes from Config.Rand only.
//
//kata:zh 同样的 tick 和消息得到同样的应答：随机只来自 Config.Rand（可按种子重现）。
func TestReproducible(t *testing.T) {
	for seed := range uint64(3) {
		run := func() (log []string) {
			c := begin(t, seed, 5, nil)
			c.Faults = simnet.Faults{MaxDelay: 3 * simnet.Tick, Drop: 0.1, Duplicate: 0.1}
			c.After = func(e event) { log = append(log, fmt.Sprint(c.Now(), ": ", e, " · ", c.status(e.Node))) }
			c.Mayhem(300, 10)
			return log
		}
		one, two := run(), run()
		for i, line := range one {
			if i >= len(two) || two[i] != line {
				t.Fatalf("seed %d, the same twice: event %d was\n  %s\nand then\n  %s\nwant no difference. Does it range over a map, or draw from elsewhere than Config.Rand?",
					seed, i, line, two[min(i, len(two)-1)])
			}
		}
	}
}

// bound is how long an election may take.
const bound = 20 * electionTicks

type event = simnet.Event[raft.Message]

// store is a node's disk, and its log.
type store struct {
	simnet.Disk[raft.State]

	last raft.Position
}

func (s *store) Last() raft.Position { return s.last }

func config(id, size int, s *store, seed uint64) raft.Config {
	members := make([]int, size)
	for i := range members {
		members[i] = i + 1
	}
	return raft.Config{
		ID: id, Members: members, ElectionTicks: electionTicks, HeartbeatTicks: heartbeatTicks,
		Storage: s, Rand: rand.New(rand.NewPCG(seed, uint64(id))),
	}
}

// cluster is a simulated network of nodes.
type cluster struct {
	*simnet.Net[raft.Message]

	size   int
	stores []*store
	group  []int // who can be expected to elect; nil: all that are up
}

func begin(t *testing.T, seed uint64, size int, last func(id int) raft.Position) *cluster {
	return start(t, seed, size, last, simnet.New[raft.Message])
}

func lockstep(t *testing.T, seed uint64, size int) *cluster {
	return start(t, seed, size, nil, simnet.Lockstep[raft.Message])
}

type network func(testing.TB, uint64, int, func(raft.Message) (int, int), func(int) simnet.Machine[raft.Message]) *simnet.Net[raft.Message]

func start(t *testing.T, seed uint64, size int, last func(id int) raft.Position, network network) *cluster {
	c := &cluster{size: size, stores: make([]*store, size+1)}
	for id := range c.stores {
		c.stores[id] = &store{}
		if last != nil && id > 0 {
			c.stores[id].last = last(id)
		}
	}
	starts := uint64(0)
	c.Net = network(t, seed, size,
		func(m raft.Message) (int, int) { return m.From, m.To },
		func(id int) simnet.Machine[raft.Message] {
			starts++
			return raft.New(config(id, size, c.stores[id], seed<<32+starts))
		})
	c.Describe = func(id int) any { return c.status(id) }
	return c
}

func (c *cluster) status(id int) raft.Status { return c.Node(id).(*raft.Node).Status() }

// leader is the one that all who are up and in the group follow, or 0.
func (c *cluster) leader() (leader int) {
	var term uint64
	for _, id := range c.IDs() {
		if !c.Up(id) || c.group != nil && !slices.Contains(c.group, id) {
			continue
		}
		s := c.status(id)
		if s.Leader == 0 || leader != 0 && (s.Leader != leader || s.Term != term) || s.Leader == id && s.Role != raft.Leader {
			return 0
		}
		leader, term = s.Leader, s.Term
	}
	if leader == 0 || !c.Up(leader) || c.group != nil && !slices.Contains(c.group, leader) || c.status(leader).Role != raft.Leader || c.status(leader).Term != term {
		return 0
	}
	return leader
}

// elects waits until all follow one leader.
func (c *cluster) elects(why string, ticks int) int {
	if !c.RunUntil(ticks, func() bool { return c.leader() != 0 }) {
		c.Fatalf("%s: after %d ticks there is no leader that all follow. They are %s", why, ticks, c.all())
	}
	return c.leader()
}

func (c *cluster) all() string {
	var list []string
	for _, id := range c.IDs() {
		text := fmt.Sprint(id, ": down")
		if c.Up(id) {
			text = fmt.Sprint(id, ": ", c.status(id))
		}
		list = append(list, text)
	}
	return strings.Join(list, "; ")
}

// desk is one node, whose messages the test makes itself.
type desk struct {
	t      *testing.T
	id     int
	size   int
	seed   uint64
	store  *store
	node   *raft.Node
	log    []string
	ticks  int // since the last line of the log
	waited int // how many ticks the last patienceEnds took
}

func newDesk(t *testing.T, id, size int) *desk {
	d := &desk{t: t, id: id, size: size, seed: 1, store: &store{}}
	d.node = raft.New(config(id, size, d.store, d.seed))
	return d
}

// leader is a node 1 that leads in term 1.
func leader(t *testing.T, size int) *desk {
	t.Helper()
	d := newDesk(t, 1, size)
	d.patienceEnds()
	for id := 2; id <= size/2+1; id++ {
		d.step(preVoteYes(id, 1, 1))
	}
	for id := 2; id <= size/2+1; id++ {
		d.step(vote(id, 1, 1, true))
	}
	d.is(raft.Leader, "a majority voted for it")
	return d
}

func (d *desk) note(format string, args ...any) {
	if d.ticks > 0 {
		d.log = append(d.log, fmt.Sprintf("%d tick(s)", d.ticks))
		d.ticks = 0
	}
	d.log = append(d.log, fmt.Sprintf(format, args...))
}

func (d *desk) fatal(format string, args ...any) {
	d.t.Helper()
	d.note("now it is %v", d.node.Status())
	last := d.log[max(0, len(d.log)-30):]
	d.t.Fatalf("node %d of %d: %s\nwhat happened to it:\n  %s", d.id, d.size, fmt.Sprintf(format, args...), strings.Join(last, "\n  "))
}

func (d *desk) restart() {
	d.note("it crashed and started again")
	d.node = raft.New(config(d.id, d.size, d.store, d.seed))
}

func (d *desk) sends(out []raft.Message) {
	for _, m := range out {
		d.note("it sends %v", m)
	}
}

func (d *desk) tick() []raft.Message {
	d.ticks++
	out := d.node.Tick()
	d.sends(out)
	return out
}

func (d *desk) step(m raft.Message) []raft.Message {
	d.note("it gets %v", m)
	out := d.node.Step(m)
	d.sends(out)
	return out
}

// patienceEnds lets time pass until the node stands for election, and returns what it sends then.
func (d *desk) patienceEnds() []raft.Message {
	d.t.Helper()
	for n := 1; ; n++ {
		out := d.tick()
		if len(out) > 0 {
			if n < electionTicks || n >= 2*electionTicks {
				d.fatal("it stood for election after %d ticks, want %d to %d", n, electionTicks, 2*electionTicks-1)
			}
			d.waited = n
			for _, m := range out {
				if m.Kind != raft.PreVoteRequest || m.Term != d.node.Status().Term+1 {
					d.fatal("its patience ended, and it sent %v, want a PreVoteRequest of term %d", m, d.node.Status().Term+1)
				}
			}
			if len(out) != d.size-1 {
				d.fatal("its patience ended, and it sent %d messages, want a PreVoteRequest to each of the %d others", len(out), d.size-1)
			}
			return out
		}
		if n == 2*electionTicks {
			d.fatal("%d ticks without a leader passed, and it did not stand for election", n)
		}
	}
}

func (d *desk) wants(out []raft.Message, want ...raft.Message) {
	d.t.Helper()
	if !slices.Equal(out, want) {
		d.fatal("it sent %v, want %v", out, want)
	}
}

func (d *desk) is(want raft.Role, why string) {
	d.t.Helper()
	if s := d.node.Status(); s.Role != want {
		d.fatal("%s: it is %v, want %v", why, s, want)
	}
}

// resigned: it leads no more, in its term 1; its time may have run out since.
func (d *desk) resigned(why string) {
	d.t.Helper()
	if s := d.node.Status(); s.Role == raft.Leader || s.Term != 1 || s.Leader != 0 {
		d.fatal("%s: it is %v, with leader %d; want it to have stepped down in its term, knowing no leader", why, s, s.Leader)
	}
}

func (d *desk) term(want uint64) {
	d.t.Helper()
	if s := d.node.Status(); s.Term != want {
		d.fatal("it is in term %d, want %d", s.Term, want)
	}
}

func pos(term, index uint64) raft.Position { return raft.Position{Term: term, Index: index} }

// longLog is ahead of all others.
var longLog = raft.Position{Term: 1000, Index: 1000}

func preVoteFor(from, to int, term uint64) raft.Message {
	return raft.Message{Kind: raft.PreVoteRequest, From: from, To: to, Term: term, Last: longLog}
}

func preVoteYes(from, to int, term uint64) raft.Message {
	return raft.Message{Kind: raft.PreVoteReply, From: from, To: to, Term: term, Granted: true}
}

func preVoteNo(from, to int, term uint64) raft.Message {
	return raft.Message{Kind: raft.PreVoteReply, From: from, To: to, Term: term}
}

func voteFor(from, to int, term uint64) raft.Message {
	return raft.Message{Kind: raft.VoteRequest, From: from, To: to, Term: term, Last: longLog}
}

func vote(from, to int, term uint64, granted bool) raft.Message {
	return raft.Message{Kind: raft.VoteReply, From: from, To: to, Term: term, Granted: granted}
}

func heartbeat(from, to int, term uint64) raft.Message {
	return raft.Message{Kind: raft.Heartbeat, From: from, To: to, Term: term}
}
