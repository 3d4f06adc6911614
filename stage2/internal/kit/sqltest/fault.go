package sqltest

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"modernc.org/sqlite"
)

// Nth fails the nth call, from 1, of the kinds named (all kinds but rollbacks, if none is), once, with err. The other result says whether that happened.
func Nth(n int, err error, kinds ...Kind) (Hook, func() bool) {
	var mu sync.Mutex
	seen := 0
	hook := func(_ context.Context, c Call) error {
		if len(kinds) > 0 && !slices.Contains(kinds, c.Kind) || len(kinds) == 0 && c.Kind == Rollback {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if seen++; seen == n {
			return err
		}
		return nil
	}
	return hook, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return seen >= n
	}
}

type callerKey struct{}

// Caller marks a context as one caller's, for Meet.
func Caller(ctx context.Context, id int) context.Context {
	return context.WithValue(ctx, callerKey{}, id)
}

// Meet holds up the first call of each of n callers that at asks for, until all of them have come to theirs. Whoever waits for another one's
// lock never comes: the bound ends the meeting then.
func Meet(n int, bound time.Duration, at func(Call) bool) Hook {
	m := NewMeeting(n, bound)
	var mu sync.Mutex
	came := map[int]bool{}
	return func(ctx context.Context, c Call) error {
		id, ok := ctx.Value(callerKey{}).(int)
		if !ok || !at(c) {
			return nil
		}
		mu.Lock()
		again := came[id]
		came[id] = true
		mu.Unlock()
		if again {
			return nil
		}
		return m.Wait(ctx)
	}
}

// Meeting is a place where n goroutines wait for one another.
type Meeting struct {
	bound time.Duration
	mu    sync.Mutex
	left  int
	all   chan struct{}
}

// NewMeeting makes a meeting of n, where nobody waits longer than bound.
func NewMeeting(n int, bound time.Duration) *Meeting {
	return &Meeting{bound: bound, left: n, all: make(chan struct{})}
}

// Wait waits until all have come. Only the end of the context is an error.
func (m *Meeting) Wait(ctx context.Context) error {
	m.mu.Lock()
	if m.left--; m.left == 0 {
		close(m.all)
	}
	m.mu.Unlock()
	timer := time.NewTimer(m.bound)
	defer timer.Stop()
	select {
	case <-m.all:
		return nil
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Busy returns SQLite's own errors for a lock that another connection holds (SQLITE_BUSY) and for a snapshot that is too old to write
// on (SQLITE_BUSY_SNAPSHOT).
func Busy(t testing.TB) (busy, snapshot error) {
	t.Helper()
	ctx := context.Background()
	dsn := "file:" + filepath.ToSlash(filepath.Join(t.TempDir(), "busy.db")) + "?_pragma=busy_timeout(0)&_pragma=journal_mode(WAL)"
	db := sql.OpenDB(connector{&sqlite.Driver{}, dsn})
	defer db.Close()
	do := func(c *sql.Conn, statements string) error {
		_, err := c.ExecContext(ctx, statements)
		return err
	}
	var conns [2]*sql.Conn
	for i := range conns {
		c, err := db.Conn(ctx)
		if err != nil {
			t.Fatalf("sqltest: %v", err)
		}
		defer c.Close()
		conns[i] = c
	}
	first, second := conns[0], conns[1]
	for _, step := range []struct {
		on *sql.Conn
		do string
	}{
		{first, "CREATE TABLE a (b); BEGIN; INSERT INTO a VALUES (1)"},
		{second, "BEGIN"},
	} {
		if err := do(step.on, step.do); err != nil {
			t.Fatalf("sqltest: %v", err)
		}
	}
	busy = do(second, "INSERT INTO a VALUES (2)")
	var n int
	if err := second.QueryRowContext(ctx, "SELECT count(*) FROM a").Scan(&n); err != nil {
		t.Fatalf("sqltest: %v", err)
	}
	if err := do(first, "COMMIT"); err != nil {
		t.Fatalf("sqltest: %v", err)
	}
	snapshot = do(second, "INSERT INTO a VALUES (2)")
	do(second, "ROLLBACK")
	if busy == nil || snapshot == nil {
		t.Fatalf("sqltest: a lock and an old snapshot gave %v and %v", busy, snapshot)
	}
	return busy, snapshot
}
