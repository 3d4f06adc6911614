// Package etcdlock: the line is ordered by key, as in ZooKeeper's recipe; but the keys end in lease ids, and these do not grow with time.
//
//kata:caught-by TestInOrder
package etcdlock

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
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
type Lock struct{ place }

// Acquire waits until the caller holds the lock name, whose line lies below "locks/<name>/".
//
// The lease lives for ttl, rounded up to whole seconds, and is kept alive until Release, whatever becomes of ctx: ctx bounds the waiting
// only. If Acquire fails, its key and its lease are gone, as far as etcd can be reached. It returns ErrLost if the caller lost its place
// in the line, and the cause of ctx if that ended.
func Acquire(ctx context.Context, cli *clientv3.Client, name string, ttl time.Duration) (*Lock, error) {
	l := &Lock{place{cli: cli, prefix: "locks/" + name + "/", ttl: ttl}}
	if err := l.reachHead(ctx, ""); err != nil {
		return nil, err
	}
	return l, nil
}

// Release gives the lock up: it ends the context, then deletes the key and revokes the lease. It returns ErrLost if the lock was lost
// before, and nil if it was released before. If etcd cannot be reached before ctx ends, it returns an error and may be called again; the
// lease is kept alive no longer either way.
func (l *Lock) Release(ctx context.Context) error { return l.leave(ctx) }

// Leader is who leads an election.
type Leader struct {
	Value string // what the leader proclaimed
	Token int64  // its fencing token
}

// Term is the time of one leader.
type Term struct{ place }

// Campaign waits until the caller leads the election name, whose line lies below "elections/<name>/" with the contenders' values as values.
// For ctx, ttl and errors, what is said at Acquire holds.
func Campaign(ctx context.Context, cli *clientv3.Client, name, value string, ttl time.Duration) (*Term, error) {
	t := &Term{place{cli: cli, prefix: electionPrefix(name), ttl: ttl}}
	if err := t.reachHead(ctx, value); err != nil {
		return nil, err
	}
	return t, nil
}

// Proclaim replaces the leader's value. It returns ErrLost, and changes nothing, if the caller leads no longer.
func (t *Term) Proclaim(ctx context.Context, value string) error {
	if t.ctx.Err() != nil {
		return ErrLost
	}
	// The lease has to be named again: a Put without one would free the key from it.
	mine := clientv3.Compare(clientv3.CreateRevision(t.key), "=", t.revision)
	write := clientv3.OpPut(t.key, value, clientv3.WithLease(t.lease))
	resp, err := try(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return t.cli.Txn(ctx).If(mine).Then(write).Commit()
	})
	if errors.Is(err, rpctypes.ErrLeaseNotFound) || err == nil && !resp.Succeeded {
		t.end(ErrLost)
		return ErrLost
	}
	return err
}

// Resign gives leadership up, as Release does with a lock.
func (t *Term) Resign(ctx context.Context) error { return t.leave(ctx) }

// Current returns the leader of an election, or ErrNoLeader.
func Current(ctx context.Context, cli *clientv3.Client, name string) (Leader, error) {
	resp, err := get(ctx, cli, electionPrefix(name), clientv3.WithFirstCreate()...)
	if err != nil {
		return Leader{}, err
	}
	if len(resp.Kvs) == 0 {
		return Leader{}, ErrNoLeader
	}
	return leader(resp.Kvs[0]), nil
}

// Observe delivers the leader of an election, if there is one, and then every change that it sees: another leader, or another value. Two
// deliveries in a row are never equal and never go back in time; a state that passes quickly may be skipped, the last one never. The
// channel is closed when ctx ends or the client is closed, and then only.
func Observe(ctx context.Context, cli *clientv3.Client, name string) <-chan Leader {
	leaders := make(chan Leader)
	go func() {
		defer close(leaders)
		var last Leader
		for {
			resp, err := get(ctx, cli, electionPrefix(name), clientv3.WithFirstCreate()...)
			if err != nil {
				return
			}
			if len(resp.Kvs) > 0 && leader(resp.Kvs[0]) != last {
				last = leader(resp.Kvs[0])
				select {
				case leaders <- last:
				case <-ctx.Done():
					return
				}
			}
			// Any event of the line may have changed its head; read the head again rather than working it out.
			if !awaitEvent(ctx, cli, electionPrefix(name), resp.Header.Revision+1, clientv3.WithPrefix()) && pause(ctx) != nil {
				return
			}
		}
	}()
	return leaders
}

func electionPrefix(name string) string { return "elections/" + name + "/" }

func leader(kv *mvccpb.KeyValue) Leader {
	return Leader{Value: string(kv.Value), Token: kv.CreateRevision}
}

// place is a place in a line: what locks and elections have in common.
type place struct {
	cli      *clientv3.Client
	prefix   string
	ttl      time.Duration
	key      string
	lease    clientv3.LeaseID
	revision int64 // at which the key was created

	ctx    context.Context // ends when the place is lost or left
	end    context.CancelCauseFunc
	guards sync.WaitGroup // the goroutines that watch over the place

	mu      sync.Mutex // over leaving
	deletes int        // how often leave has asked for the key's end
	left    bool
	outcome error // of having left
}

// Context is for the work that the place at the head protects. It ends when that is lost, with the cause ErrLost, or given up, with the
// cause ErrReleased; not when the context of Acquire or Campaign does.
func (p *place) Context() context.Context { return p.ctx }

// Token is the fencing token: the create revision of the holder's key. Whoever is at the head later has a greater one.
func (p *place) Token() int64 { return p.revision }

// reachHead joins the line and waits for its head; if it fails, it leaves nothing behind.
func (p *place) reachHead(ctx context.Context, value string) error {
	seconds := int64((p.ttl + time.Second - 1) / time.Second)
	grant, err := try(ctx, func(ctx context.Context) (*clientv3.LeaseGrantResponse, error) { return p.cli.Grant(ctx, seconds) })
	if err != nil {
		return err
	}
	p.lease = grant.ID
	p.ctx, p.end = context.WithCancelCause(context.WithoutCancel(ctx))
	if err = p.join(ctx, value); err == nil {
		err = p.await(ctx)
	}
	if err != nil {
		// ctx may have ended, but a dead contender must not hold the line up. Where etcd cannot be reached, the lease runs out by itself.
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = p.leave(leaving)
	}
	return err
}

// join adds the key to the line and sets its guards.
func (p *place) join(ctx context.Context, value string) error {
	alive, err := p.cli.KeepAlive(p.ctx, p.lease)
	if err != nil {
		return err
	}
	p.guards.Go(func() {
		for range alive { // closed when the lease is known to be gone, or nothing was heard of it for its TTL
		}
		p.end(ErrLost)
	})
	p.key = fmt.Sprintf("%s%x", p.prefix, p.lease)
	absent := clientv3.Compare(clientv3.CreateRevision(p.key), "=", 0)
	resp, err := try(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return p.cli.Txn(ctx).If(absent).
			Then(clientv3.OpPut(p.key, value, clientv3.WithLease(p.lease))).
			Else(clientv3.OpGet(p.key)). // an earlier try whose answer was lost
			Commit()
	})
	if err != nil {
		return err
	}
	p.revision = resp.Header.Revision
	if !resp.Succeeded {
		p.revision = resp.Responses[0].GetResponseRange().Kvs[0].CreateRevision
	}
	p.guards.Go(func() {
		// Keepalives tell of a revoked lease too, but only after up to a third of its TTL.
		if awaitGone(p.ctx, p.cli, p.key, p.revision, p.revision) == nil {
			p.end(ErrLost)
		}
	})
	return nil
}

// await waits until nobody is ahead in the line.
func (p *place) await(ctx context.Context) error {
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.ctx, func() { cancel(ErrLost) })()
	for {
		// The last one that came before us is the only one we watch: its going wakes us and nobody else. But that it is gone does not
		// mean that we are next, as it may have given up in the middle of the line; hence the loop.
		ahead := []clientv3.OpOption{clientv3.WithRange(p.key), clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend), clientv3.WithLimit(1)}
		resp, err := get(waiting, p.cli, p.prefix, ahead...)
		if err != nil {
			return err
		}
		if len(resp.Kvs) == 0 {
			return p.confirm(waiting)
		}
		last := resp.Kvs[0]
		if err := awaitGone(waiting, p.cli, string(last.Key), last.CreateRevision, resp.Header.Revision); err != nil {
			return err
		}
	}
}

// confirm makes sure that, being first, one is still in the line at all.
func (p *place) confirm(ctx context.Context) error {
	resp, err := get(ctx, p.cli, p.key)
	if err != nil {
		return err
	}
	if len(resp.Kvs) == 0 || resp.Kvs[0].CreateRevision != p.revision {
		return ErrLost
	}
	return nil
}

// leave ends the context, the guards and the lease, and with the lease the key.
func (p *place) leave(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left {
		return p.outcome
	}
	p.end(ErrReleased)
	p.guards.Wait()
	lost := errors.Is(context.Cause(p.ctx), ErrLost)
	// Nobody keeps the lease alive from here on: after ttl there is nothing left to delete.
	ctx, cancel := context.WithTimeout(ctx, p.ttl)
	defer cancel()
	// That nobody has told us yet does not mean that the key is still there.
	deleted, err := try(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		p.deletes++
		return p.cli.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(p.key), "=", p.revision)).
			Then(clientv3.OpDelete(p.key)).
			Commit()
	})
	if err == nil {
		lost = lost || !deleted.Succeeded && p.deletes == 1 // later, in this call or the next, it may be our own delete that did it
		_, err = try(ctx, func(ctx context.Context) (*clientv3.LeaseRevokeResponse, error) { return p.cli.Revoke(ctx, p.lease) })
	}
	if err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) && !lost {
		return fmt.Errorf("etcdlock: release: %w", err)
	}
	p.left = true
	if lost {
		p.outcome = ErrLost
	}
	return p.outcome
}

// try repeats a request that may be repeated until a member takes it or ctx ends: a member may be lost, the cluster is not. It asks for
// members that have a leader, as one that is cut off from the others would let the request wait.
func try[T any](ctx context.Context, request func(context.Context) (T, error)) (T, error) {
	for {
		resp, err := request(clientv3.WithRequireLeader(ctx))
		switch {
		case err == nil:
			return resp, nil
		case ctx.Err() != nil:
			return resp, context.Cause(ctx)
		case !unavailable(err):
			return resp, err
		}
		if err := pause(ctx); err != nil {
			return resp, err
		}
	}
}

func unavailable(err error) bool {
	var e rpctypes.EtcdError
	if errors.As(err, &e) {
		return e.Code() == codes.Unavailable
	}
	return status.Code(err) == codes.Unavailable
}

// pause keeps a retry from spinning.
func pause(ctx context.Context) error {
	select {
	case <-time.After(20 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func get(ctx context.Context, cli *clientv3.Client, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	return try(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) { return cli.Get(ctx, key, opts...) })
}

// awaitGone waits until the key that was created at that revision is there no longer; it was seen at the revision seen.
func awaitGone(ctx context.Context, cli *clientv3.Client, key string, created, seen int64) error {
	for {
		if awaitEvent(ctx, cli, key, seen+1, clientv3.WithFilterPut()) {
			return nil
		}
		// The watch ended without word of the key, be it that its history was compacted, be it that its member lost the others: look.
		resp, err := get(ctx, cli, key)
		if err != nil {
			return err
		}
		if len(resp.Kvs) == 0 || resp.Kvs[0].CreateRevision != created {
			return nil
		}
		seen = resp.Header.Revision
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// awaitEvent waits for an event at or after a revision, so that none is missed between a read and the watch. It reports false if the watch
// ended without one: that is no event.
func awaitEvent(ctx context.Context, cli *clientv3.Client, key string, revision int64, opts ...clientv3.OpOption) bool {
	// A member that is cut off from the others would keep a watch open and never say anything; one that requires a leader, it ends.
	watching, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for resp := range cli.Watch(watching, key, append(opts, clientv3.WithRev(revision))...) {
		if len(resp.Events) > 0 {
			return true
		}
	}
	return false
}
