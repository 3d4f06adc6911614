// Package kafkatest gives a test a Kafka cluster: kfake, a simulation in the test's process that speaks Kafka's protocol.
//
// Clients get their options from Client.Options. They find a rebalance quickly, and a session is long enough not to end because a machine is
// slow: what happens to a group, a test makes happen. Requests fail, or are held, when a test says so.
package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Patience is how long the kit waits for what has to happen: far longer than anything takes.
const Patience = 30 * time.Second

// Cluster is a simulated Kafka cluster of one broker.
type Cluster struct {
	*kfake.Cluster
	admin *kgo.Client
}

// Start starts a cluster. It is stopped when the test ends.
func Start(t testing.TB) *Cluster {
	t.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatalf("kafkatest: %v", err)
	}
	t.Cleanup(fake.Close)
	c := &Cluster{Cluster: fake}
	c.admin, err = kgo.NewClient(append(c.Client(t).Options(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatalf("kafkatest: %v", err)
	}
	t.Cleanup(c.admin.Close)
	return c
}

// Topic makes a topic.
func (c *Cluster) Topic(t testing.TB, name string, partitions int32) {
	t.Helper()
	if err := c.CreateTopic(name, partitions, nil); err != nil {
		t.Fatalf("kafkatest: %v", err)
	}
}

// Produce appends a record to a partition, with the time of call as its timestamp. A key "" is none.
func (c *Cluster) Produce(t testing.TB, topic string, partition int32, key, value string, headers ...kgo.RecordHeader) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	r := &kgo.Record{Topic: topic, Partition: partition, Value: []byte(value), Headers: headers}
	if key != "" {
		r.Key = []byte(key)
	}
	if err := c.admin.ProduceSync(ctx, r).FirstErr(); err != nil {
		t.Fatalf("kafkatest: %v", err)
	}
}

// Records reads a topic from its start: all that it holds now.
func (c *Cluster) Records(t testing.TB, topic string) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	left := 0
	for _, p := range c.PartitionInfos(topic) {
		left += int(p.HighWatermark - p.LogStartOffset)
	}
	if left == 0 {
		return nil
	}
	cl, err := kgo.NewClient(append(c.Client(t).Options(), kgo.ConsumeTopics(topic))...)
	if err != nil {
		t.Fatalf("kafkatest: %v", err)
	}
	defer cl.Close()
	var list []*kgo.Record
	for len(list) < left && ctx.Err() == nil {
		list = append(list, cl.PollFetches(ctx).Records()...)
	}
	return list
}

// Committed returns the offset that a group has committed for a partition, -1 if it has not.
func (c *Cluster) Committed(group, topic string, partition int32) int64 {
	if info := c.GroupInfo(group); info != nil {
		if at, ok := info.Commits[topic][partition]; ok {
			return at.Offset
		}
	}
	return -1
}

// Stable waits until a group has so many members and all agree who has which partition.
func (c *Cluster) Stable(t testing.TB, group string, members int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if _, err := c.WaitGroupStable(ctx, group, members); err != nil {
		t.Fatalf("kafkatest: the group %s does not settle with %d members: %v", group, members, err)
	}
}

// Members counts the members of a group.
func (c *Cluster) Members(group string) int {
	if info := c.GroupInfo(group); info != nil {
		return len(info.Members)
	}
	return 0
}

// Expel has the next heartbeat in a group answered with the news that its sender is no member any more, as it is for one whose session has
// ended.
func (c *Cluster) Expel(group string) *kfake.FaultHandle {
	return c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Group: group, TopLevel: true, Err: kerr.UnknownMemberID})
}

// RefuseProduce has everything that is produced to a topic refused, until the fault is removed.
func (c *Cluster) RefuseProduce(topic string) *kfake.FaultHandle {
	return c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.TopicAuthorizationFailed, Count: -1})
}

// RefuseCommits has the commits of a group refused with an error that passes, until the fault is removed.
func (c *Cluster) RefuseCommits(group string) *kfake.FaultHandle {
	return c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Group: group, Err: kerr.CoordinatorLoadInProgress, Count: -1})
}

// HoldCommits holds the answers to a group's commits back until release is called. Held counts them.
func (c *Cluster) HoldCommits(group string) (held func() int, release func()) {
	var n atomic.Int64
	open := make(chan struct{})
	c.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		select {
		case <-open:
			c.DropControl()
			return nil, nil, false
		default:
		}
		c.KeepControl()
		if req.(*kmsg.OffsetCommitRequest).Group == group {
			n.Add(1)
			c.SleepControl(func() { <-open })
		}
		return nil, nil, false
	})
	return func() int { return int(n.Load()) }, sync.OnceFunc(func() { close(open) })
}

// Client is a client's way to the cluster, which a test can cut.
type Client struct {
	cluster *Cluster
	mu      sync.Mutex
	conns   map[net.Conn]bool
	down    bool
}

// Client opens a way to the cluster.
func (c *Cluster) Client(t testing.TB) *Client {
	l := &Client{cluster: c, conns: map[net.Conn]bool{}}
	t.Cleanup(l.Down)
	return l
}

// Options are those with which a client of the test is made.
func (l *Client) Options() []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(l.cluster.ListenAddrs()...),
		kgo.Dialer(l.dial),
		kgo.MetadataMinAge(10 * time.Millisecond),
		kgo.MetadataMaxAge(time.Second),
		kgo.HeartbeatInterval(30 * time.Millisecond),
		kgo.SessionTimeout(Patience),
		kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }),
	}
}

var errDown = errors.New("kafkatest: the cluster cannot be reached")

func (l *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", addr, errDown)
	}
	l.conns[conn] = true
	return conn, nil
}

// Cut breaks the client's connections. New ones can be made.
func (l *Client) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.conns {
		conn.Close()
	}
	clear(l.conns)
}

// Down breaks the client's connections, and lets it make none, until Up.
func (l *Client) Down() {
	l.mu.Lock()
	l.down = true
	l.mu.Unlock()
	l.Cut()
}

// Up ends Down.
func (l *Client) Up() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

// Within looks whether cond holds, again and again for at most d.
func Within(d time.Duration, cond func() bool) bool {
	for end := time.Now().Add(d); ; time.Sleep(2 * time.Millisecond) {
		if cond() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}
