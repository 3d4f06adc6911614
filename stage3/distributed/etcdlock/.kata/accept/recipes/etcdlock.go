// Package etcdlock is a distributed lock and a leader election on etcd.
//
// Both are a line of keys below one prefix: each contender adds a key that is bound to a lease of its own, and the key with the lowest
// create revision is at the head. It is the line of etcd's own recipes, `etcdctl lock` and `etcdctl elect`: they and this package can
// stand in it together.
package etcdlock

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"google.golang.org/grpc/codes"
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
type Lock struct{ *hold }

// Acquire waits until the caller holds the lock name.
func Acquire(ctx context.Context, cli *clientv3.Client, name string, ttl time.Duration) (*Lock, error) {
	h, err := open(ctx, cli, ttl)
	if err != nil {
		return nil, err
	}
	m := concurrency.NewMutex(h.session, "locks/"+name)
	if err := h.enter(ctx, m.Lock, m.Key); err != nil {
		return nil, err
	}
	return &Lock{h}, nil
}

// Release gives the lock up.
func (l *Lock) Release(ctx context.Context) error { return l.close(ctx) }

// Leader is who leads an election.
type Leader struct {
	Value string // what the leader proclaimed
	Token int64  // its fencing token
}

// Term is the time of one leader.
type Term struct {
	*hold
	election *concurrency.Election
}

// Campaign waits until the caller leads the election name.
func Campaign(ctx context.Context, cli *clientv3.Client, name, value string, ttl time.Duration) (*Term, error) {
	h, err := open(ctx, cli, ttl)
	if err != nil {
		return nil, err
	}
	e := concurrency.NewElection(h.session, "elections/"+name)
	if err := h.enter(ctx, func(ctx context.Context) error { return e.Campaign(ctx, value) }, e.Key); err != nil {
		return nil, err
	}
	return &Term{h, e}, nil
}

// Proclaim replaces the leader's value.
func (t *Term) Proclaim(ctx context.Context, value string) error {
	err := t.election.Proclaim(ctx, value)
	if errors.Is(err, concurrency.ErrElectionNotLeader) || errors.Is(err, rpctypes.ErrLeaseNotFound) || t.ctx.Err() != nil {
		return ErrLost
	}
	return err
}

// Resign gives leadership up.
func (t *Term) Resign(ctx context.Context) error { return t.close(ctx) }

// Current returns the leader of an election, or ErrNoLeader.
func Current(ctx context.Context, cli *clientv3.Client, name string) (Leader, error) {
	l, _, err := current(ctx, cli, name)
	return l, err
}

func current(ctx context.Context, cli *clientv3.Client, name string) (Leader, int64, error) {
	resp, err := cli.Get(ctx, "elections/"+name+"/", clientv3.WithFirstCreate()...)
	if err != nil {
		return Leader{}, 0, err
	}
	if len(resp.Kvs) == 0 {
		return Leader{}, resp.Header.Revision, ErrNoLeader
	}
	return Leader{string(resp.Kvs[0].Value), resp.Kvs[0].CreateRevision}, resp.Header.Revision, nil
}

// Observe delivers the leader of an election and every change that it sees.
func Observe(ctx context.Context, cli *clientv3.Client, name string) <-chan Leader {
	leaders := make(chan Leader)
	go func() {
		defer close(leaders)
		ctx := clientv3.WithRequireLeader(ctx)
		var last Leader
		for ctx.Err() == nil {
			l, revision, err := current(ctx, cli, name)
			if err == nil && l != last {
				select {
				case leaders <- l:
					last = l
				case <-ctx.Done():
					return
				}
			}
			if err == nil || errors.Is(err, ErrNoLeader) {
				once, cancel := context.WithCancel(ctx)
				<-cli.Watch(once, "elections/"+name+"/", clientv3.WithPrefix(), clientv3.WithRev(revision+1))
				cancel()
			} else if !again(err) {
				return
			}
		}
	}()
	return leaders
}

// hold is a session of etcd's own concurrency package, and what that lacks: a context that ends as soon as the key is gone.
type hold struct {
	cli     *clientv3.Client
	session *concurrency.Session
	key     string
	token   int64
	ctx     context.Context
	end     context.CancelCauseFunc
	running sync.WaitGroup

	mu      sync.Mutex
	asked   bool // for the lease's end, and with it the key's
	closed  bool
	outcome error
}

// Context ends when the hold is lost or released.
func (h *hold) Context() context.Context { return h.ctx }

// Token is the create revision of the holder's key.
func (h *hold) Token() int64 { return h.token }

func open(ctx context.Context, cli *clientv3.Client, ttl time.Duration) (*hold, error) {
	lease, err := cli.Grant(ctx, int64((ttl+time.Second-1)/time.Second))
	if err != nil {
		return nil, err
	}
	h := &hold{cli: cli}
	h.ctx, h.end = context.WithCancelCause(context.WithoutCancel(ctx))
	h.session, err = concurrency.NewSession(cli, concurrency.WithLease(lease.ID), concurrency.WithContext(h.ctx))
	if err != nil {
		h.end(err)
		cli.Revoke(context.WithoutCancel(ctx), lease.ID)
		return nil, err
	}
	h.running.Go(func() {
		<-h.session.Done()
		h.end(ErrLost)
	})
	return h, nil
}

// enter waits at the head of the line, by whichever recipe.
func (h *hold) enter(ctx context.Context, wait func(context.Context) error, key func() string) error {
	waiting, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	err := wait(waiting)
	for err != nil && again(err) && waiting.Err() == nil {
		err = wait(waiting) // the recipe gave its place up; stand in line anew
	}
	var revision int64
	h.key = key()
	if err == nil {
		// Election.Campaign does not look whether its own key is still there.
		var resp *clientv3.GetResponse
		if resp, err = h.cli.Get(ctx, h.key); err == nil && len(resp.Kvs) == 0 {
			err = ErrLost
		} else if err == nil {
			h.token, revision = resp.Kvs[0].CreateRevision, resp.Header.Revision
		}
	}
	if err == nil {
		h.running.Go(func() { h.guard(revision) })
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	} else if h.ctx.Err() != nil || errors.Is(err, concurrency.ErrSessionExpired) || errors.Is(err, rpctypes.ErrLeaseNotFound) {
		err = ErrLost
	}
	h.close(context.WithoutCancel(ctx))
	return err
}

// guard ends the hold as soon as its key is gone.
func (h *hold) guard(revision int64) {
	for h.ctx.Err() == nil {
		watching, cancel := context.WithCancel(clientv3.WithRequireLeader(h.ctx))
		for resp := range h.cli.Watch(watching, h.key, clientv3.WithFilterPut(), clientv3.WithRev(revision+1)) {
			if len(resp.Events) > 0 {
				h.end(ErrLost)
			}
		}
		cancel()
		if resp, err := h.cli.Get(h.ctx, h.key); err == nil {
			revision = resp.Header.Revision
			if len(resp.Kvs) == 0 {
				h.end(ErrLost)
			}
		}
	}
}

// again tells whether an error passes by itself: the history was compacted, or a member had no leader.
func again(err error) bool {
	var e rpctypes.EtcdError
	return errors.Is(err, rpctypes.ErrCompacted) || errors.As(err, &e) && e.Code() == codes.Unavailable
}

func (h *hold) close(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return h.outcome
	}
	h.end(ErrReleased)
	h.session.Orphan()
	h.running.Wait()
	key, err := h.cli.Get(ctx, h.key)
	lost := errors.Is(context.Cause(h.ctx), ErrLost) || err == nil && len(key.Kvs) == 0 && !h.asked
	if err == nil {
		h.asked = true
		_, err = h.cli.Revoke(ctx, h.session.Lease())
	}
	if lost {
		h.outcome = ErrLost
	} else if err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return err
	}
	h.closed = true
	return h.outcome
}
