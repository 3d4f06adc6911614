// Package lock is a lock that processes share through Redis: by WATCH and MULTI, without a script.
package lock

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrLost says that the lock is somebody else's by now, or nobody's, or may be.
	ErrLost = errors.New("lock: lost")
	// ErrReleased is the cause of a lock's context after Release.
	ErrReleased = errors.New("lock: released")
)

// Patience is how long a waiter may say nothing before it is taken for dead, and those behind it move up.
const Patience = time.Second

// Fencer is the store that the lock protects. Fence returns a token that is greater than all it has returned before; from then on, the store
// refuses writes that come with an older one.
type Fencer interface {
	Fence(ctx context.Context) (token int64, err error)
}

// Lock is a lock that is held.
type Lock struct {
	rdb       redis.UniversalClient
	key, line string
	id        string
	ttl       time.Duration
	token     int64

	ctx     context.Context
	end     context.CancelCauseFunc
	renewer sync.WaitGroup

	release chan release // holds what became of the last one; whoever has taken it may try
}

type release struct {
	tried, over bool
	err         error
}

// Acquire waits in line until the caller holds the lock name, and has a token of the store for it.
func Acquire(ctx context.Context, rdb redis.UniversalClient, store Fencer, name string, ttl time.Duration) (_ *Lock, err error) {
	key := "lock:{" + name + "}"
	l := &Lock{rdb: rdb, key: key, line: key + ":line", id: rand.Text(), ttl: ttl, release: make(chan release, 1)}
	l.release <- release{}
	l.ctx, l.end = context.WithCancelCause(context.WithoutCancel(ctx))
	defer func() {
		if err == nil {
			return
		}
		// A connection has the context's deadline, and may notice it first.
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= 0 {
			<-ctx.Done()
		}
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		l.end(ErrReleased)
		l.renewer.Wait()
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), Patience)
		defer cancel()
		l.remove(cleaning)
	}()
	for {
		asked := time.Now()
		mine, err := l.ask(ctx)
		if err != nil {
			return nil, err
		}
		if mine {
			l.guard(asked)
			break
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(120 * time.Millisecond): // an ask is many commands
		}
	}
	if l.token, err = store.Fence(ctx); err != nil {
		return nil, err
	}
	mine, err := l.renew(ctx)
	if err != nil {
		return nil, err
	}
	if !mine || l.ctx.Err() != nil {
		return nil, ErrLost
	}
	return l, nil
}

// waiter is the key that a waiter keeps alive for as long as it waits.
func (l *Lock) waiter(id string) string { return l.key + ":waiter:" + id }

// optimistically runs a transaction until nobody has interfered. It does not wait longer than Patience.
func (l *Lock) optimistically(ctx context.Context, do func(context.Context, *redis.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	for {
		err := l.rdb.Watch(ctx, func(tx *redis.Tx) error { return do(ctx, tx) }, l.key, l.line)
		if !errors.Is(err, redis.TxFailedErr) {
			return err
		}
	}
}

// ask takes the lock, or a place in the line.
func (l *Lock) ask(ctx context.Context) (mine bool, err error) {
	err = l.optimistically(ctx, func(ctx context.Context, tx *redis.Tx) error {
		line, err := tx.LRange(ctx, l.line, 0, -1).Result()
		if err != nil {
			return err
		}
		first := 0
		for first < len(line) && line[first] != l.id {
			alive, err := tx.Exists(ctx, l.waiter(line[first])).Result()
			if err != nil {
				return err
			}
			if alive == 1 {
				break
			}
			first++
		}
		held, err := tx.Exists(ctx, l.key).Result()
		if err != nil {
			return err
		}
		take := held == 0 && (first == len(line) || line[first] == l.id)
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			if first > 0 {
				p.LTrim(ctx, l.line, int64(first), -1)
			}
			switch {
			case take:
				p.Set(ctx, l.key, l.id, l.ttl)
				p.LRem(ctx, l.line, 1, l.id)
				p.Del(ctx, l.waiter(l.id))
				return nil
			case !slices.Contains(line, l.id):
				p.RPush(ctx, l.line, l.id)
			}
			p.Set(ctx, l.waiter(l.id), "alive", Patience)
			p.PExpire(ctx, l.line, 2*Patience)
			return nil
		})
		mine = take && err == nil
		return err
	})
	return mine, err
}

// owner tells whether the lock is the caller's.
func (l *Lock) owner(ctx context.Context, tx *redis.Tx) (bool, error) {
	owner, err := tx.Get(ctx, l.key).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return owner == l.id, err
}

func (l *Lock) renew(ctx context.Context) (mine bool, err error) {
	err = l.optimistically(ctx, func(ctx context.Context, tx *redis.Tx) error {
		if mine, err = l.owner(ctx, tx); err != nil || !mine {
			return err
		}
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { p.PExpire(ctx, l.key, l.ttl); return nil })
		return err
	})
	return mine, err
}

// remove deletes what is the caller's, and tells whether the lock was.
func (l *Lock) remove(ctx context.Context) (mine bool, err error) {
	err = l.optimistically(ctx, func(ctx context.Context, tx *redis.Tx) error {
		if mine, err = l.owner(ctx, tx); err != nil {
			return err
		}
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			if mine {
				p.Del(ctx, l.key)
			}
			p.LRem(ctx, l.line, 1, l.id)
			p.Del(ctx, l.waiter(l.id))
			return nil
		})
		return err
	})
	return mine, err
}

// guard renews the lock, and has an alarm go off when that has not succeeded for a TTL.
func (l *Lock) guard(since time.Time) {
	alarm := time.AfterFunc(time.Until(since.Add(l.ttl)), func() { l.end(ErrLost) })
	l.renewer.Go(func() {
		defer alarm.Stop()
		tick := time.NewTicker(max(l.ttl/10, time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-l.ctx.Done():
				return
			case <-tick.C:
			}
			asked := time.Now()
			if asked.Sub(since) < l.ttl*3/10 {
				continue
			}
			ctx, cancel := context.WithTimeout(l.ctx, l.ttl/4)
			mine, err := l.renew(ctx)
			cancel()
			if err == nil && !mine {
				l.end(ErrLost)
			}
			if err == nil && mine {
				since = asked
				alarm.Reset(time.Until(since.Add(l.ttl)))
			}
		}
	})
}

// Context is for the work that the lock protects.
func (l *Lock) Context() context.Context { return l.ctx }

// Token is what the store returned for this holder.
func (l *Lock) Token() int64 { return l.token }

// Release ends the context and gives the lock up.
func (l *Lock) Release(ctx context.Context) error {
	r := <-l.release
	defer func() { l.release <- r }()
	if r.over {
		return r.err
	}
	l.end(ErrReleased)
	l.renewer.Wait()
	if errors.Is(context.Cause(l.ctx), ErrLost) {
		r.over, r.err = true, ErrLost
		return r.err
	}
	mine, err := l.remove(ctx)
	if err != nil {
		r.tried = true
		return fmt.Errorf("lock: release: %w", err)
	}
	r.over = true
	if !mine && !r.tried {
		r.err = ErrLost
	}
	return r.err
}
