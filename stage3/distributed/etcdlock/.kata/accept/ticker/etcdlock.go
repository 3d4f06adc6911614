// Package etcdlock is a distributed lock and a leader election on etcd.
//
// Both are a line of keys below one prefix: each contender adds a key that is bound to a lease of its own, and the key with the lowest
// create revision is at the head. It is the line of etcd's own recipes, `etcdctl lock` and `etcdctl elect`: they and this package can
// stand in it together.
package etcdlock

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

var (
	// ErrLost says that the caller's place in the line is gone, or may be: its key was deleted, its lease expired or was revoked, or
	// etcd has not been heard of for a whole TTL.
	ErrLost = errors.New("etcdlock: lost")
	// ErrReleased is the cause of a hold's context after Release or Resign.
	ErrReleased = errors.New("etcdlock: released")
	// ErrNoLeader says that an election has no leader at present.
	ErrNoLeader = errors.New("etcdlock: no leader")
)

// Lock is a lock that is held.
type Lock struct{ *contender }

// Acquire waits until the caller holds the lock name.
func Acquire(ctx context.Context, cli *clientv3.Client, name string, ttl time.Duration) (*Lock, error) {
	c, err := contend(ctx, cli, "locks/"+name+"/", "", ttl)
	if err != nil {
		return nil, err
	}
	return &Lock{c}, nil
}

// Release gives the lock up.
func (l *Lock) Release(ctx context.Context) error { return l.quit(ctx) }

// Leader is who leads an election.
type Leader struct {
	Value string // what the leader proclaimed
	Token int64  // its fencing token
}

// Term is the time of one leader.
type Term struct{ *contender }

// Campaign waits until the caller leads the election name.
func Campaign(ctx context.Context, cli *clientv3.Client, name, value string, ttl time.Duration) (*Term, error) {
	c, err := contend(ctx, cli, "elections/"+name+"/", value, ttl)
	if err != nil {
		return nil, err
	}
	return &Term{c}, nil
}

// Proclaim replaces the leader's value.
func (t *Term) Proclaim(ctx context.Context, value string) error {
	resp, err := t.cli.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(t.key), "=", t.token)).
		Then(clientv3.OpPut(t.key, value, clientv3.WithIgnoreLease())).
		Commit()
	if err == nil && !resp.Succeeded {
		err = ErrLost
	}
	return err
}

// Resign gives leadership up.
func (t *Term) Resign(ctx context.Context) error { return t.quit(ctx) }

// Current returns the leader of an election, or ErrNoLeader.
func Current(ctx context.Context, cli *clientv3.Client, name string) (Leader, error) {
	resp, err := cli.Get(ctx, "elections/"+name+"/", clientv3.WithFirstCreate()...)
	if err != nil {
		return Leader{}, err
	}
	for _, kv := range resp.Kvs {
		return Leader{string(kv.Value), kv.CreateRevision}, nil
	}
	return Leader{}, ErrNoLeader
}

// Observe delivers the leader of an election and every change that it sees. It keeps one watch open all the time, and looks at the head
// of the line whenever that says something, be it only that it was opened or broke.
func Observe(ctx context.Context, cli *clientv3.Client, name string) <-chan Leader {
	leaders := make(chan Leader)
	go func() {
		defer close(leaders)
		ctx := clientv3.WithRequireLeader(ctx)
		var last Leader
		look := func() {
			l, err := Current(ctx, cli, name)
			if err != nil || l == last {
				return
			}
			select {
			case leaders <- l:
				last = l
			case <-ctx.Done():
			}
		}
		for ctx.Err() == nil {
			once, cancel := context.WithCancel(ctx)
			for range cli.Watch(once, "elections/"+name+"/", clientv3.WithPrefix(), clientv3.WithCreatedNotify()) {
				look()
			}
			cancel()
		}
	}()
	return leaders
}

// contender stands in a line. A goroutine of its own asks for its lease again and again: the answers, and their absence, are all it
// needs to know what has become of its place.
type contender struct {
	cli     *clientv3.Client
	key     string
	lease   clientv3.LeaseID
	token   int64
	ctx     context.Context
	end     context.CancelCauseFunc
	stopped chan struct{}
	turn    chan struct{} // holds a token while nobody is quitting
	asked   bool          // whether the key's end was asked for
	outcome *error        // of quitting, once done
}

// Context ends when the place is lost or given up.
func (c *contender) Context() context.Context { return c.ctx }

// Token is the create revision of the contender's key.
func (c *contender) Token() int64 { return c.token }

func contend(ctx context.Context, cli *clientv3.Client, prefix, value string, ttl time.Duration) (*contender, error) {
	ttl = (ttl + time.Second - 1).Truncate(time.Second)
	asked := time.Now()
	lease, err := cli.Grant(ctx, int64(ttl/time.Second))
	if err != nil {
		return nil, err
	}
	c := &contender{cli: cli, key: prefix + rand.Text(), lease: lease.ID, stopped: make(chan struct{}), turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	c.ctx, c.end = context.WithCancelCause(context.WithoutCancel(ctx))
	put, err := cli.Put(ctx, c.key, value, clientv3.WithLease(c.lease))
	if err == nil {
		c.token = put.Header.Revision
		go c.keep(asked, ttl)
		err = c.line(ctx, prefix)
	} else {
		close(c.stopped)
	}
	if err != nil {
		c.quit(context.WithoutCancel(ctx))
		return nil, err
	}
	return c, nil
}

// keep asks for more time at least once a second, so that a lost lease is noticed that soon. The TTL counts from the question, not from
// the answer: etcd's clock started in between.
func (c *contender) keep(asked time.Time, ttl time.Duration) {
	defer close(c.stopped)
	tick := time.NewTicker(min(ttl/4, time.Second))
	defer tick.Stop()
	for {
		now := time.Now()
		ctx, cancel := context.WithDeadline(c.ctx, asked.Add(ttl))
		_, err := c.cli.KeepAliveOnce(ctx, c.lease)
		var key *clientv3.GetResponse
		if err == nil {
			asked = now
			key, err = c.cli.Get(ctx, c.key)
		}
		cancel()
		if errors.Is(err, rpctypes.ErrLeaseNotFound) || err == nil && len(key.Kvs) == 0 || time.Since(asked) >= ttl {
			c.end(ErrLost)
		}
		select {
		case <-tick.C:
		case <-c.ctx.Done():
			return
		}
	}
}

// line waits until all that stand ahead are gone, the nearest first.
func (c *contender) line(ctx context.Context, prefix string) error {
	waiting, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	for {
		resp, err := c.cli.Get(waiting, prefix, clientv3.WithPrefix(), clientv3.WithMaxCreateRev(c.token), clientv3.WithKeysOnly(),
			clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortDescend))
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case c.ctx.Err() != nil:
			return ErrLost
		case err != nil:
			continue
		case len(resp.Kvs) == 0 || string(resp.Kvs[0].Key) != c.key:
			return ErrLost
		case len(resp.Kvs) == 1:
			return nil
		}
		once, stop := context.WithCancel(waiting)
		<-c.cli.Watch(once, string(resp.Kvs[1].Key), clientv3.WithFilterPut(), clientv3.WithRev(resp.Header.Revision+1))
		stop()
	}
}

func (c *contender) quit(ctx context.Context) error {
	<-c.turn
	defer func() { c.turn <- struct{}{} }()
	if c.outcome != nil {
		return *c.outcome
	}
	c.end(ErrReleased)
	<-c.stopped
	var outcome error
	if context.Cause(c.ctx) == ErrLost {
		outcome = ErrLost
	}
	if c.token != 0 {
		first := !c.asked
		c.asked = true
		deleted, err := c.cli.Delete(ctx, c.key)
		if err != nil && outcome == nil {
			return err
		}
		if err == nil && deleted.Deleted == 0 && first {
			outcome = ErrLost
		}
	}
	if _, err := c.cli.Revoke(ctx, c.lease); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) && outcome == nil {
		return err
	}
	c.outcome = &outcome
	return outcome
}
