package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"modernc.org/sqlite"
)

const schema = `CREATE TABLE a (b BIGINT PRIMARY KEY); INSERT INTO a VALUES (1)`

func rows(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM a`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// insert adds a row in a transaction, with and without a prepared statement.
func insert(ctx context.Context, db *sql.DB, b int) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM a WHERE b < $1`, 100).Scan(&n); err != nil {
		return err
	}
	s, err := tx.PrepareContext(ctx, `INSERT INTO a VALUES ($1)`)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.ExecContext(ctx, b); err != nil {
		return err
	}
	return tx.Commit()
}

func TestCallsAreNoted(t *testing.T) {
	d := New(t, schema)
	db := d.Open(t)
	if err := insert(t.Context(), db, 2); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range d.Calls() {
		got = append(got, string(c.Kind))
	}
	if want := "begin query prepare exec commit"; strings.Join(got, " ") != want {
		t.Errorf("calls %v, want %s", got, want)
	}
	if c := d.Calls()[1]; c.Prepared || fmt.Sprint(c.Args) != "[100]" {
		t.Errorf("the query is noted as %#v, want it not prepared, with the argument 100", c)
	}
	if c := d.Calls()[3]; !c.Prepared || fmt.Sprint(c.Args) != "[2]" || c.SQL != `INSERT INTO a VALUES ($1)` {
		t.Errorf("the prepared statement is noted as %#v, want its text and the argument 2", c)
	}
	if n := d.Statements(); n != 0 {
		t.Errorf("%d statements are open, want 0", n)
	}
	if n := d.Count(Query, Exec); n != 2 {
		t.Errorf("Count(Query, Exec) = %d, want 2", n)
	}
	d.Reset()
	if len(d.Calls()) != 0 || rows(t, d.Direct) != 2 || len(d.Calls()) != 0 {
		t.Error("after Reset there are no calls, and Direct makes none")
	}
}

func TestEveryCallCanFail(t *testing.T) {
	d := New(t, schema)
	db := d.Open(t)
	boom := errors.New("boom")
	calls := 0
	for n := 1; ; n++ {
		d.Reset()
		hook, happened := Nth(n, boom)
		d.Before(hook)
		err := insert(t.Context(), db, 2)
		if !happened() {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		calls++
		if !errors.Is(err, boom) || rows(t, d.Direct) != 1 {
			t.Errorf("call %d fails: insert = %v, %d rows, want %v and 1", n, err, rows(t, d.Direct), boom)
		}
		if in := db.Stats().InUse; in != 0 {
			t.Errorf("call %d fails: %d connections in use", n, in)
		}
	}
	if calls != 6 {
		t.Errorf("%d calls, want begin, query, next, prepare, exec, commit", calls)
	}
}

func TestCommitTakesEffectAndFails(t *testing.T) {
	d := New(t, schema)
	boom := errors.New("boom")
	hook, _ := Nth(1, boom, Commit)
	d.After(hook)
	if err := insert(t.Context(), d.Open(t), 2); !errors.Is(err, boom) {
		t.Errorf("insert = %v, want %v", err, boom)
	}
	if n := rows(t, d.Direct); n != 2 {
		t.Errorf("%d rows, want 2: the commit took effect", n)
	}
}

func TestMeet(t *testing.T) {
	d := New(t, schema)
	db := d.Open(t)
	var mu sync.Mutex
	waiting, most := 0, 0
	meet := Meet(2, 10*time.Second, Call.Writes)
	d.Before(func(ctx context.Context, c Call) error {
		if !c.Writes() {
			return nil
		}
		mu.Lock()
		waiting++
		most = max(most, waiting)
		mu.Unlock()
		err := meet(ctx, c)
		mu.Lock()
		waiting--
		mu.Unlock()
		return err
	})
	var both sync.WaitGroup
	var failed [2]error
	for i := range 2 {
		both.Go(func() { failed[i] = insert(Caller(t.Context(), i), db, 10+i) })
	}
	both.Wait()
	if most != 2 {
		t.Errorf("%d callers at the statement at once, want 2", most)
	}
	// Both have read before either wrote: one of them is told to try again.
	if (failed[0] == nil) == (failed[1] == nil) {
		t.Errorf("two read, then write: %v and %v, want one conflict", failed[0], failed[1])
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := NewMeeting(2, time.Hour).Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait with a context that has ended = %v", err)
	}
	if err := NewMeeting(2, 0).Wait(t.Context()); err != nil {
		t.Errorf("Wait beyond its bound = %v, want nil", err)
	}
}

func TestWrites(t *testing.T) {
	for query, want := range map[string]bool{
		"SELECT 1 FROM updates FOR UPDATE":                    false,
		"update a set b = 1":                                  true,
		"WITH x AS (SELECT 1)\nINSERT INTO a SELECT * FROM x": true,
		"SELECT 'ok'":                  false,
		"DELETE FROM a":                true,
		"UPDATE a SET b=1 RETURNING b": true,
	} {
		if got := (Call{Kind: Query, SQL: query}).Writes(); got != want {
			t.Errorf("Writes of %s = %t, want %t", query, got, want)
		}
	}
}

func TestBusy(t *testing.T) {
	busy, snapshot := Busy(t)
	for want, err := range map[int]error{5: busy, 517: snapshot} {
		var e *sqlite.Error
		if !errors.As(err, &e) || e.Code() != want {
			t.Errorf("%v, want SQLite's error %d", err, want)
		}
	}
}

func TestBuild(t *testing.T) {
	built := Build(t, schema)
	for range 2 {
		file := filepath.Join(t.TempDir(), "copy.db")
		if err := os.WriteFile(file, built, 0o600); err != nil {
			t.Fatal(err)
		}
		d := OpenFile(t, file, `INSERT INTO a VALUES (2)`)
		if n := rows(t, d.Direct); n != 2 {
			t.Errorf("a copy has %d rows, want 2: the one that was built and the one of its own", n)
		}
		s, err := d.Open(t).PrepareContext(t.Context(), `SELECT 1`)
		if err != nil || d.Statements() != 1 {
			t.Errorf("%d statements are open, want 1 (%v)", d.Statements(), err)
		}
		s.Close()
	}
}

// A process that dies leaves its schemas behind; whoever comes ten minutes later drops them.
func TestOldSchemasAreDropped(t *testing.T) {
	d := New(t, schema)
	if !d.Postgres {
		t.Skip("schemas are PostgreSQL's")
	}
	const old, fresh = "kata_1000_old", "kata_99999999999_fresh"
	for _, name := range []string{old, fresh} {
		if _, err := d.Direct.Exec("CREATE SCHEMA IF NOT EXISTS " + name); err != nil {
			t.Fatal(err)
		}
	}
	defer d.Direct.Exec("DROP SCHEMA " + fresh)
	New(t, schema)
	for name, want := range map[string]int{old: 0, fresh: 1} {
		var n int
		if err := d.Direct.QueryRow(`SELECT count(*) FROM pg_namespace WHERE nspname = $1`, name).Scan(&n); err != nil || n != want {
			t.Errorf("%d schemas %s after New, want %d (%v)", n, name, want, err)
		}
	}
}

func TestNothingIsLeft(t *testing.T) {
	var d *Database
	t.Run("uses a database and leaves a transaction open", func(t *testing.T) {
		d = New(t, schema)
		if _, err := d.Open(t).BeginTx(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
	})
	if err := d.Direct.Ping(); err == nil {
		t.Error("Direct is open after the test")
	}
	if d.Postgres {
		return
	}
	if _, err := os.Stat(d.file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", d.file, err)
	}
}
