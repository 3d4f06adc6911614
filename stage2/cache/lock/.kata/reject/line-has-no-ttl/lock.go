// Package lock: the dead are removed by those behind them: where nobody comes any more, they stand in line for ever.
//
//kata:caught-by TestDeadWaiter
package lock

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
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

// pace is how long a waiter pauses between two questions.
const pace = 25 * time.Millisecond

// Fencer is the store that the lock protects. Fence returns a token that is greater than all it has returned before; from then on, the store
// refuses writes that come with an older one.
type Fencer interface {
	Fence(ctx context.Context) (token int64, err error)
}

// Lock is a lock that is held.
type Lock struct {
	rdb   redis.UniversalClient
	keys  []string // the lock, its line, and until when those in line are taken to be alive
	me    string
	ttl   time.Duration
	token int64

	ctx    context.Context
	end    context.CancelCauseFunc
	keeper chan struct{} // closed when nobody renews any longer

	mu      sync.Mutex // over releasing
	done    bool
	unsure  bool // a release went out, and no answer came
	outcome error
}

// Acquire waits in line until the caller holds the lock name, and has a token of the store for it.
//
// The lock lives for ttl in Redis and is renewed until Release, whatever becomes of ctx: ctx bounds the waiting only. With an error, which is
// the cause of ctx if that ended, nothing is held and nobody stands in line.
func Acquire(ctx context.Context, rdb redis.UniversalClient, store Fencer, name string, ttl time.Duration) (*Lock, error) {
	key := "lock:{" + name + "}" // the braces keep all keys of a lock on one node of a cluster
	l := &Lock{
		rdb:    rdb,
		keys:   []string{key, key + ":line", key + ":alive"},
		me:     rand.Text(), // not the process: that may have two locks of one name, one after the other
		ttl:    ttl,
		keeper: make(chan struct{}),
	}
	l.ctx, l.end = context.WithCancelCause(context.WithoutCancel(ctx))
	if err := l.acquire(ctx, store); err != nil {
		l.abandon(ctx)
		return nil, err
	}
	return l, nil
}

func (l *Lock) acquire(ctx context.Context, store Fencer) error {
	asked, err := l.wait(ctx)
	if err != nil {
		close(l.keeper)
		return err
	}
	go l.keep(asked.Add(l.ttl)) // the store may take its time
	// The token has to be younger than the lock: of two tokens, the later holder's must be the greater one.
	if l.token, err = store.Fence(ctx); err != nil {
		return ended(ctx, err)
	}
	// Whoever lost the lock before its call reached the store has fenced off its successor's writes. It must not make any of its own.
	mine, err := l.renew(ctx)
	if errors.Is(context.Cause(l.ctx), ErrLost) || err == nil && !mine {
		return ErrLost
	}
	return ended(ctx, err)
}

// ask takes the lock if it is free and nobody alive is ahead in the line; else it stands in line, or says that it is still there. Whoever was
// taken for dead, or whose place a restart of Redis has swept away, starts again at the end.
var ask = redis.NewScript(`
local lock, line, alive = KEYS[1], KEYS[2], KEYS[3]
local me, ttl, patience = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local head = redis.call('LINDEX', line, 0)
while head and head ~= me and tonumber(redis.call('ZSCORE', alive, head) or '0') <= now do
	redis.call('LPOP', line)
	redis.call('ZREM', alive, head)
	head = redis.call('LINDEX', line, 0)
end
if (not head or head == me) and redis.call('SET', lock, me, 'NX', 'PX', ttl) then
	redis.call('LREM', line, 1, me)
	redis.call('ZREM', alive, me)
	return 1
end
if not redis.call('ZSCORE', alive, me) then
	redis.call('RPUSH', line, me)
end
redis.call('ZADD', alive, string.format('%.0f', now + patience), me)
return 0
`)

// wait asks until the answer is yes. It returns when it asked: from then on, the TTL runs.
func (l *Lock) wait(ctx context.Context) (asked time.Time, err error) {
	for {
		asked = time.Now()
		yes, err := l.run(ctx, ask, l.me, l.ttl.Milliseconds(), Patience.Milliseconds())
		if err != nil {
			return asked, ended(ctx, err)
		}
		if yes {
			return asked, nil
		}
		select {
		case <-time.After(pace):
		case <-ctx.Done():
			return asked, context.Cause(ctx)
		}
	}
}

var renew = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then
	return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
`)

func (l *Lock) renew(ctx context.Context) (mine bool, err error) {
	return l.run(ctx, renew, l.me, l.ttl.Milliseconds())
}

// keep renews the lock until its context ends, and ends that when the lock is lost. By its own clock it holds the lock until valid, counted
// from before it asked: whatever Redis did with the question, it did later.
func (l *Lock) keep(valid time.Time) {
	defer close(l.keeper)
	pause := l.ttl / 3
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-time.After(min(pause, time.Until(valid))):
		}
		asked := time.Now()
		ctx, cancel := context.WithDeadline(l.ctx, valid)
		mine, err := l.renew(ctx)
		cancel()
		switch {
		case err == nil && mine:
			valid = asked.Add(l.ttl)
			pause = l.ttl / 3
		case err == nil, !time.Now().Before(valid):
			l.end(ErrLost)
			return
		default: // an outage that is shorter than the TTL is none
			pause = l.ttl / 20
		}
	}
}

// Context is for the work that the lock protects. It ends when the lock is lost, with the cause ErrLost, or released, with the cause
// ErrReleased; not when the context of Acquire does.
func (l *Lock) Context() context.Context { return l.ctx }

// Token is what the store returned for this holder.
func (l *Lock) Token() int64 { return l.token }

// leave deletes the lock if it is the caller's, and the caller's place in the line.
var leave = redis.NewScript(`
redis.call('LREM', KEYS[2], 1, ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
if redis.call('GET', KEYS[1]) == ARGV[1] then
	return redis.call('DEL', KEYS[1])
end
return 0
`)

// Release ends the context and gives the lock up, if it is still the caller's: else it returns ErrLost. Called again, it returns the same. If
// Redis does not answer, it returns an error and may be called again; the lock is renewed no longer either way.
func (l *Lock) Release(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done {
		return l.outcome
	}
	l.end(ErrReleased)
	if errors.Is(context.Cause(l.ctx), ErrLost) {
		l.done, l.outcome = true, ErrLost
		return l.outcome
	}
	select {
	case <-l.keeper:
	case <-ctx.Done(): // the keeper waits for an answer of its own
		return fmt.Errorf("lock: release: %w", context.Cause(ctx))
	}
	mine, err := l.run(ctx, leave, l.me)
	if err != nil {
		l.unsure = true
		return fmt.Errorf("lock: release: %w", err)
	}
	l.done = true
	if !mine && !l.unsure { // after a question without an answer, it may have been carried out
		l.outcome = ErrLost
	}
	return l.outcome
}

// abandon undoes what a failed Acquire may have done, also if nobody knows whether it was. ctx may be what made it fail.
func (l *Lock) abandon(ctx context.Context) {
	l.end(ErrReleased)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Patience)
	defer cancel()
	select {
	case <-l.keeper:
	case <-ctx.Done():
	}
	// If this fails too, Patience and the TTL have to do.
	_, _ = l.run(ctx, leave, l.me)
}

// run runs a script that answers 1 or 0. It does not wait longer than Patience: go-redis does not notice the end of a context while it waits
// for an answer, only its deadline.
func (l *Lock) run(ctx context.Context, script *redis.Script, args ...any) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	return script.Run(ctx, l.rdb, l.keys, args...).Bool()
}

// ended is the cause of ctx if that has ended, whatever became of a call because of that; else the call's own error.
func ended(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done() // the connection's deadline is the same, and may have fired first
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
