package raftelection_test

import (
	"math/rand/v2"
	"testing"

	raft "github.com/roadkata/roadkata/stage3/distributed/raftelection"
)

// disk is memory that outlives a node.
type disk struct{ state raft.State }

func (d *disk) Load() raft.State    { return d.state }
func (d *disk) Save(s raft.State)   { d.state = s }
func (d *disk) Last() raft.Position { return raft.Position{} }

// Three nodes, and a network that loses nothing: after two timeouts there is a leader, and the others follow.
func TestExample(t *testing.T) {
	nodes := map[int]*raft.Node{}
	for id := 1; id <= 3; id++ {
		nodes[id] = raft.New(raft.Config{
			ID: id, Members: []int{1, 2, 3}, ElectionTicks: 10, HeartbeatTicks: 3,
			Storage: &disk{}, Rand: rand.New(rand.NewPCG(1, uint64(id))),
		})
	}
	for tick := 1; tick <= 100; tick++ {
		var mail []raft.Message
		for id := 1; id <= 3; id++ {
			mail = append(mail, nodes[id].Tick()...)
		}
		for len(mail) > 0 {
			m := mail[0]
			t.Logf("tick %d: %v", tick, m)
			mail = append(mail[1:], nodes[m.To].Step(m)...)
		}
	}
	leader := nodes[1].Status().Leader
	for id := 1; id <= 3; id++ {
		if s := nodes[id].Status(); s.Leader == 0 || s.Leader != leader {
			t.Errorf("after 100 ticks node %d is %v and follows %d, node 1 follows %d; want one leader", id, s, s.Leader, leader)
		}
	}
}
