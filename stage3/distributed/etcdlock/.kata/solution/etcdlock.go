// Package etcdlock is a distributed lock and a leader election on etcd.
//
// Both are a line of keys below one prefix: each contender adds a key that is bound to a lease of its own, and the key with the lowest
// create revision is at the head. It is the line of etcd's own recipes, `etcdctl lock` and `etcdctl elect`: they and this package can
// stand in it together.
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
	l := &Lock{place{cli: cli, prefix: "locks/" + name + "/"}}
	return l, l.reachHead(ctx, "", ttl)
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
	t := &Term{place{cli: cli, prefix: electionPrefix(name)}}
	return t, t.reachHead(ctx, value, ttl)
}

// Proclaim replaces the leader's value. It returns ErrLost, and changes nothing, if the caller leads no longer.
func (t *Term) Proclaim(ctx context.Context, value string) error {
	if t.ctx.Err() != nil {
		return ErrLost
	}
	// The lease has to be named again: a Put without one would free the key from it.
	resp, err := t.cli.Txn(clientv3.WithRequireLeader(ctx)).
		If(clientv3.Compare(clientv3.CreateRevision(t.key), "=", t.revision)).
		Then(clientv3.OpPut(t.key, value, clientv3.WithLease(t.lease))).
		Commit()
	if err != nil {
		if errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return ErrLost
		}
		return fmt.Errorf("etcdlock: proclaim: %w", err)
	}
	if !resp.Succeeded {
		return ErrLost
	}
	return nil
}

// Resign gives leadership up, as Release does with a lock.
func (t *Term) Resign(ctx context.Context) error { return t.leave(ctx) }

// Current returns the leader of an election, or ErrNoLeader.
func Current(ctx context.Context, cli *clientv3.Client, name string) (Leader, error) {
	resp, err := cli.Get(ctx, electionPrefix(name), clientv3.WithFirstCreate()...)
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
// channel is closed when ctx ends, and then only.
func Observe(ctx context.Context, cli *clientv3.Client, name string) <-chan Leader {
	leaders := make(chan Leader)
	go func() {
		defer close(leaders)
		var last Leader
		for ctx.Err() == nil {
			resp, err := get(ctx, cli, electionPrefix(name), clientv3.WithFirstCreate()...)
			if err != nil {
				return // only ctx ends get
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
			awaitEvent(ctx, cli, electionPrefix(name), resp.Header.Revision+1, clientv3.WithPrefix())
		}
	}()
	return leaders
}

func electionPrefix(name string) string { return "elections/" + name + "/" }

func leader(kv *mvccpb.KeyValue) Leader { return Leader{Value: string(kv.Value), Token: kv.CreateRevision} }

// place is a place in a line: what locks and elections have in common.
type place struct {
	cli      *clientv3.Client
	prefix   string
	key      string
	lease    clientv3.LeaseID
	revision int64 // at which the key was created

	ctx    context.Context // ends when the place is lost or left
	end    context.CancelCauseFunc
	guards sync.WaitGroup // the goroutines that watch over the place

	mu   sync.Mutex // over leaving
	left bool
}

// Context is for the work that the place at the head protects. It ends when that is lost, with the cause ErrLost, or given up, with the
// cause ErrReleased; not when the context of Acquire or Campaign does.
func (p *place) Context() context.Context { return p.ctx }

// Token is the fencing token: the create revision of the holder's key. Whoever is at the head later has a greater one.
func (p *place) Token() int64 { return p.revision }

// reachHead joins the line and waits for its head; if it fails, it leaves nothing behind.
func (p *place) reachHead(ctx context.Context, value string, ttl time.Duration) error {
	seconds := int64((ttl + time.Second - 1) / time.Second)
	grant, err := p.cli.Grant(ctx, seconds)
	if err != nil {
		return because(ctx, err)
	}
	p.lease = grant.ID
	p.ctx, p.end = context.WithCancelCause(context.WithoutCancel(ctx))
	err = p.join(ctx, value)
	if err == nil {
		err = p.await(ctx)
	}
	if err == nil {
		return nil
	}
	// ctx may have ended, but the line must not hold a dead contender up. After ttl, etcd does this by itself.
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), ttl)
	defer cancel()
	_ = p.leave(cleanup)
	return because(ctx, err)
}

// because prefers the cause of an ended context to the error that it led to.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
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
	resp, err := p.cli.Put(ctx, p.key, value, clientv3.WithLease(p.lease))
	if err != nil {
		return err
	}
	p.revision = resp.Header.Revision
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
		ahead := append(clientv3.WithLastCreate(), clientv3.WithMaxCreateRev(p.revision-1))
		resp, err := get(waiting, p.cli, p.prefix, ahead...)
		if err != nil {
			return err
		}
		if len(resp.Kvs) == 0 {
			return p.confirm(waiting)
		}
		kv := resp.Kvs[0]
		if err := awaitGone(waiting, p.cli, string(kv.Key), kv.CreateRevision, resp.Header.Revision); err != nil {
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
	return context.Cause(ctx)
}

// leave ends the context, the guards and the lease, and with the lease the key.
func (p *place) leave(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left {
		return nil
	}
	p.end(ErrReleased)
	p.guards.Wait()
	_, err := p.cli.Revoke(ctx, p.lease)
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		err = nil
		p.end(ErrLost)
	}
	if err != nil {
		return fmt.Errorf("etcdlock: release: %w", err)
	}
	p.left = true
	if errors.Is(context.Cause(p.ctx), ErrLost) {
		p.left = false
		return ErrLost
	}
	return nil
}

// get reads from a member that has a leader, again and again until one answers or ctx ends: a member may be lost, the cluster is not.
func get(ctx context.Context, cli *clientv3.Client, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	for {
		resp, err := cli.Get(clientv3.WithRequireLeader(ctx), key, opts...)
		if err == nil || ctx.Err() != nil {
			return resp, because(ctx, err)
		}
		if err := pause(ctx); err != nil {
			return nil, err
		}
	}
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
