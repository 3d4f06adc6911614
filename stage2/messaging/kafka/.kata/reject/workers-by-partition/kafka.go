// Each partition has workers of its own: the more partitions a member has, the more handlers run at once.
//
//kata:caught-by TestKeysInOrder
package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrLost is the cause of a handler's context when its partition belongs to another member of the group.
var ErrLost = errors.New("kafka: partition lost")

// Config is what Run needs to know.
type Config struct {
	Client      []kgo.Opt // for the client: where the brokers are, how it talks to them
	Group       string
	Topic       string
	DeadLetters string        // the topic for records that cannot be handled
	Workers     int           // how many handlers run at once
	Attempts    int           // how often a record is handed to the handler before it is a dead letter
	Retry       time.Duration // the pause between two attempts
}

const (
	commitEvery   = 100 * time.Millisecond // how often finished work is committed
	commitTimeout = 10 * time.Second       // how long the last commit may take
)

// run is a Run under way.
type run struct {
	cfg    Config
	handle func(context.Context, *kgo.Record) error
	base   context.Context // of the handlers
	stop   context.Context // ends when Run shall
	client *kgo.Client

	mu    sync.Mutex
	room  *sync.Cond // inHand has become less, or Run shall end
	known int        // records that were polled and are neither finished nor dropped
	parts map[int32]*part
}

// part is a partition while it is this member's own.
type part struct {
	ctx     context.Context // of its handlers; ends with ErrLost when it is
	lose    context.CancelCauseFunc
	hands   chan struct{}            // one for each handler that runs
	closed  chan struct{}            // no further handler starts
	running sync.WaitGroup           // chains
	chains  map[string][]*kgo.Record // what waits, by key; an entry is there while its chain runs
	order   []*entry                 // by offset: what is not committed yet
}

type entry struct {
	record *kgo.Record
	done   bool
}

// Run works on the topic until ctx ends.
func Run(ctx context.Context, cfg Config, handle func(context.Context, *kgo.Record) error) error {
	r := &run{cfg: cfg, handle: handle, base: context.WithoutCancel(ctx), stop: ctx, parts: map[int32]*part{}}
	r.room = sync.NewCond(&r.mu)
	client, err := kgo.NewClient(append(slices.Clone(cfg.Client),
		kgo.ConsumerGroup(cfg.Group),
		kgo.ConsumeTopics(cfg.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.BlockRebalanceOnPoll(), // what was polled is in its partition's hands before that can go
		kgo.AutoCommitMarks(),
		kgo.AutoCommitInterval(commitEvery),
		kgo.OnPartitionsAssigned(r.assigned),
		kgo.OnPartitionsRevoked(r.revoked),
		kgo.OnPartitionsLost(r.lost),
	)...)
	if err != nil {
		return err
	}
	r.client = client
	defer context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.room.Broadcast()
	})()
	for r.wait() {
		fetches := client.PollRecords(ctx, 4*cfg.Workers)
		fetches.EachRecord(r.add)
		client.AllowRebalance()
	}
	r.mu.Lock()
	parts := make([]*part, 0, len(r.parts))
	for _, p := range r.parts {
		parts = append(parts, p)
	}
	r.mu.Unlock()
	r.end(parts, nil)
	last, cancel := context.WithTimeout(r.base, commitTimeout)
	defer cancel()
	client.CommitMarkedOffsets(last)
	client.CloseAllowingRebalance()
	return nil
}

// wait waits until there is room for more records; false if Run shall end.
func (r *run) wait() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.known >= 4*r.cfg.Workers && r.stop.Err() == nil {
		r.room.Wait()
	}
	return r.stop.Err() == nil
}

// add puts a record behind those of its key.
func (r *run) add(record *kgo.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.parts[record.Partition]
	if p == nil {
		return
	}
	p.order = append(p.order, &entry{record: record})
	r.known++
	key := "key " + string(record.Key)
	if record.Key == nil { // bound to no other
		key = strconv.FormatInt(record.Offset, 10)
	}
	waiting, busy := p.chains[key]
	p.chains[key] = append(waiting, record)
	if !busy {
		p.running.Go(func() { r.chain(p, key) })
	}
}

// chain handles the records of one key, one after the other.
func (r *run) chain(p *part, key string) {
	for {
		r.mu.Lock()
		if len(p.chains[key]) == 0 {
			delete(p.chains, key)
			r.mu.Unlock()
			return
		}
		record := p.chains[key][0]
		p.chains[key] = p.chains[key][1:]
		r.mu.Unlock()
		if !r.do(p, record) {
			return // what comes behind it may not overtake it
		}
		r.finish(p, record)
	}
}

// do handles one record; false if it is not settled: then somebody handles it again.
func (r *run) do(p *part, record *kgo.Record) bool {
	var err error
	for attempt := 1; attempt <= r.cfg.Attempts; attempt++ {
		if attempt > 1 && !r.pause(p) {
			return false
		}
		if !r.begin(p) {
			return false
		}
		err = r.call(p.ctx, record)
		<-p.hands
		if err == nil {
			return true
		}
		if p.ctx.Err() != nil {
			return false
		}
	}
	dead := &kgo.Record{Topic: r.cfg.DeadLetters, Key: record.Key, Value: record.Value, Headers: append(slices.Clone(record.Headers),
		kgo.RecordHeader{Key: "dead-topic", Value: []byte(record.Topic)},
		kgo.RecordHeader{Key: "dead-partition", Value: []byte(strconv.Itoa(int(record.Partition)))},
		kgo.RecordHeader{Key: "dead-offset", Value: []byte(strconv.FormatInt(record.Offset, 10))},
		kgo.RecordHeader{Key: "dead-error", Value: []byte(err.Error())},
	)}
	for r.client.ProduceSync(p.ctx, dead).FirstErr() != nil {
		if !r.pause(p) {
			return false
		}
	}
	return true
}

// begin waits for a free hand: only a handler needs one, not a record that rests. False if the partition is to be given up.
func (r *run) begin(p *part) bool {
	select {
	case p.hands <- struct{}{}:
	case <-p.closed:
		return false
	case <-r.stop.Done():
		return false
	}
	if over(p.closed) || r.stop.Err() != nil { // select takes either
		<-p.hands
		return false
	}
	return true
}

func (r *run) call(ctx context.Context, record *kgo.Record) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("kafka: the handler panicked: %v", v)
		}
	}()
	return r.handle(ctx, record)
}

// pause waits between two attempts; false if the partition is to be given up.
func (r *run) pause(p *part) bool {
	timer := time.NewTimer(r.cfg.Retry)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.closed:
	case <-r.stop.Done():
	}
	return false
}

// finish marks what may be committed: all that is finished and has nothing unfinished before it.
func (r *run) finish(p *part, record *kgo.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known--
	r.room.Broadcast()
	for _, e := range p.order {
		if e.record == record {
			e.done = true
			break
		}
	}
	if p.ctx.Err() != nil {
		return // another member's offsets are not ours to commit
	}
	for len(p.order) > 0 && p.order[0].done {
		r.client.MarkCommitRecords(p.order[0].record)
		p.order = p.order[1:]
	}
}

func (r *run) assigned(_ context.Context, _ *kgo.Client, m map[string][]int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range m[r.cfg.Topic] {
		p := &part{hands: make(chan struct{}, r.cfg.Workers), closed: make(chan struct{}), chains: map[string][]*kgo.Record{}}
		p.ctx, p.lose = context.WithCancelCause(r.base)
		r.parts[n] = p
	}
}

// revoked gives partitions back when nothing of them is in work any more, and what was finished is committed.
func (r *run) revoked(ctx context.Context, client *kgo.Client, m map[string][]int32) {
	r.end(r.take(m), nil)
	client.CommitMarkedOffsets(ctx)
}

// lost is told of partitions that are somebody else's already.
func (r *run) lost(_ context.Context, _ *kgo.Client, m map[string][]int32) {
	r.end(r.take(m), ErrLost)
}

func (r *run) take(m map[string][]int32) (parts []*part) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range m[r.cfg.Topic] {
		if p := r.parts[n]; p != nil {
			parts = append(parts, p)
			delete(r.parts, n)
		}
	}
	return parts
}

// end has no further handler start, and waits for those that run.
func (r *run) end(parts []*part, why error) {
	r.mu.Lock()
	for _, p := range parts {
		if why != nil {
			p.lose(why)
		}
		if !over(p.closed) {
			close(p.closed)
		}
	}
	r.mu.Unlock()
	for _, p := range parts {
		p.running.Wait()
		p.lose(nil)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range parts {
		for _, e := range p.order {
			if !e.done {
				r.known--
			}
		}
		p.order = nil
	}
	r.room.Broadcast()
}

func over(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// Lag returns for each partition of a topic how many of the records that it holds the group has not committed.
func Lag(ctx context.Context, client *kgo.Client, group, topic string) (map[int32]int64, error) {
	start, err := offsets(ctx, client, topic, -2)
	if err != nil {
		return nil, err
	}
	end, err := offsets(ctx, client, topic, -1)
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = group
	asked := kmsg.NewOffsetFetchRequestTopic()
	asked.Topic = topic
	for n := range end {
		asked.Partitions = append(asked.Partitions, n)
	}
	req.Topics = append(req.Topics, asked)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil && err != kerr.GroupIDNotFound { // a group that is not there has committed nothing
		return nil, err
	}
	committed := map[int32]int64{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, err
			}
			committed[p.Partition] = p.Offset // -1: none
		}
	}
	lag := map[int32]int64{}
	for n, last := range end {
		at, ok := committed[n]
		if !ok {
			at = -1
		}
		lag[n] = max(0, last-max(at, start[n])) // what was deleted needs no work
	}
	return lag, nil
}

// offsets asks for the first (-2) or the next (-1) offset of each partition.
func offsets(ctx context.Context, client *kgo.Client, topic string, which int64) (map[int32]int64, error) {
	meta := kmsg.NewPtrMetadataRequest()
	wanted := kmsg.NewMetadataRequestTopic()
	wanted.Topic = kmsg.StringPtr(topic)
	meta.Topics = append(meta.Topics, wanted)
	known, err := meta.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrListOffsetsRequest()
	for _, t := range known.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return nil, err
		}
		asked := kmsg.NewListOffsetsRequestTopic()
		asked.Topic = topic
		for _, p := range t.Partitions {
			one := kmsg.NewListOffsetsRequestTopicPartition()
			one.Partition, one.Timestamp = p.Partition, which
			asked.Partitions = append(asked.Partitions, one)
		}
		req.Topics = append(req.Topics, asked)
	}
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return nil, err
	}
	list := map[int32]int64{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, err
			}
			list[p.Partition] = p.Offset
		}
	}
	return list, nil
}
