// Package sqltest gives a test a database of its own, behind a driver that the test can listen to, hold up and make fail.
//
// The database is a SQLite file below t.TempDir; where ROADKATA_POSTGRES_DSN names a PostgreSQL server, New makes a schema there instead,
// and drops it when the test ends. Faults are decided by the test, call by call, never by luck.
package sqltest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/ngrok/sqlmw"
	"modernc.org/sqlite"
)

// Env is the variable that names a PostgreSQL server: postgres://user@host:port/database.
const Env = "ROADKATA_POSTGRES_DSN"

// Database is an empty database.
type Database struct {
	// Postgres says that this is a schema of a PostgreSQL server.
	Postgres bool
	// Direct is the test's own way in: its calls are neither noted nor held up.
	Direct *sql.DB

	parent driver.Driver
	dsn    string
	file   string // of SQLite

	mu            sync.Mutex
	calls         []Call
	before, after []Hook
	statements    int
}

// New makes a database, runs schema in it, and removes it when the test ends.
func New(t testing.TB, schema string) *Database {
	t.Helper()
	dsn := os.Getenv(Env)
	if dsn == "" {
		return SQLite(t, schema)
	}
	return postgres(t, dsn, schema)
}

// SQLite is New for tests of what only SQLite does: WAL, deferred transactions, two seconds of patience with a lock.
func SQLite(t testing.TB, schema string) *Database {
	t.Helper()
	return OpenFile(t, filepath.Join(t.TempDir(), "test.db"), schema)
}

// OpenFile opens the SQLite database in a file, and runs schema in it.
func OpenFile(t testing.TB, file, schema string) *Database {
	t.Helper()
	u := url.URL{Scheme: "file", Opaque: filepath.ToSlash(file)}
	u.RawQuery = "_pragma=busy_timeout(2000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=foreign_keys(1)"
	d := &Database{parent: &sqlite.Driver{}, dsn: u.String(), file: file}
	d.direct(t, schema)
	return d
}

// Build makes a SQLite database and returns its file, for tests that write a copy of it and open that with OpenFile.
func Build(t testing.TB, schema string) []byte {
	t.Helper()
	return OpenFile(t, filepath.Join(t.TempDir(), "built.db"), schema).Bytes(t)
}

// Bytes closes a SQLite database and returns its file. Pools that Open has made are to be closed before.
func (d *Database) Bytes(t testing.TB) []byte {
	t.Helper()
	if err := d.Direct.Close(); err != nil { // the last connection leaves no log behind
		t.Fatalf("sqltest: %v", err)
	}
	data, err := os.ReadFile(d.file)
	if err != nil {
		t.Fatalf("sqltest: %v", err)
	}
	return data
}

func postgres(t testing.TB, dsn, schema string) *Database {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatalf("sqltest: %s: %v", Env, err)
	}
	admin := stdlib.OpenDB(*config)
	t.Cleanup(func() { admin.Close() })
	if err := dropOld(admin); err != nil {
		t.Logf("sqltest: schemas of processes that died stay on the server: %v", err)
	}
	// The name tells the test's sessions apart, so that what a wrong solution leaves open does not block the end.
	var name string
	err = admin.QueryRow(`SELECT 'kata_' || floor(extract(epoch FROM now())) || '_' || left(replace(gen_random_uuid()::text, '-', ''), 16)`).Scan(&name)
	if err != nil {
		t.Fatalf("sqltest: %s: %v", Env, err)
	}
	if _, err := admin.Exec("CREATE SCHEMA " + name); err != nil {
		t.Fatalf("sqltest: %s: %v", Env, err)
	}
	t.Cleanup(func() {
		_, err := admin.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '` + name + `'`)
		if err == nil {
			_, err = admin.Exec("DROP SCHEMA " + name + " CASCADE")
		}
		if err != nil {
			t.Errorf("sqltest: schema %s stays on the server: %v", name, err)
		}
	})
	config.RuntimeParams["search_path"] = name
	config.RuntimeParams["application_name"] = name
	config.RuntimeParams["lock_timeout"] = "5s"
	registered := stdlib.RegisterConnConfig(config)
	t.Cleanup(func() { stdlib.UnregisterConnConfig(registered) })
	d := &Database{Postgres: true, parent: stdlib.GetDefaultDriver(), dsn: registered}
	d.direct(t, schema)
	return d
}

// dropOld drops the schemas that tests made more than ten minutes ago: their processes died before they could.
func dropOld(admin *sql.DB) error {
	rows, err := admin.Query(`
		SELECT nspname FROM pg_namespace
		WHERE nspname ~ '^kata_[0-9]{1,12}_' AND split_part(nspname, '_', 2)::bigint < extract(epoch FROM now()) - 600`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, name := range names {
		if _, err := admin.Exec("DROP SCHEMA IF EXISTS " + name + " CASCADE"); err != nil {
			return err
		}
	}
	return nil
}

func (d *Database) direct(t testing.TB, schema string) {
	t.Helper()
	d.Direct = sql.OpenDB(connector{d.parent, d.dsn})
	t.Cleanup(func() { d.Direct.Close() })
	if _, err := d.Direct.ExecContext(context.Background(), schema); err != nil {
		t.Fatalf("sqltest: schema: %v", err)
	}
}

// Open opens a pool whose calls are noted, and pass through the hooks. It is closed when the test ends.
func (d *Database) Open(t testing.TB) *sql.DB {
	t.Helper()
	db := sql.OpenDB(connector{sqlmw.Driver(d.parent, tap{d: d}), d.dsn})
	t.Cleanup(func() { db.Close() })
	return db
}

type connector struct {
	drv driver.Driver
	dsn string
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.drv.Open(c.dsn) }
func (c connector) Driver() driver.Driver                        { return c.drv }

// Kind is what the driver was asked for.
type Kind string

const (
	Begin    Kind = "begin"
	Exec     Kind = "exec"
	Query    Kind = "query"
	Next     Kind = "next" // a row of a query
	Prepare  Kind = "prepare"
	Commit   Kind = "commit"
	Rollback Kind = "rollback"
)

// Call is one call of the driver.
type Call struct {
	Kind     Kind
	SQL      string // of Exec, Query and Prepare
	Args     []any  // of Exec and Query
	Prepared bool   // Exec and Query of a prepared statement
}

func (c Call) String() string {
	return strings.TrimSpace(string(c.Kind) + " " + strings.Join(strings.Fields(c.SQL), " "))
}

// Writes says whether a statement asks for the lock that writing needs.
func (c Call) Writes() bool {
	if c.Kind != Exec && c.Kind != Query {
		return false
	}
	words := strings.FieldsFunc(strings.ToLower(c.SQL), func(r rune) bool { return r < 'a' || r > 'z' })
	for i, w := range words {
		switch w {
		case "insert", "delete", "replace", "merge":
			return true
		case "update":
			if i == 0 || words[i-1] != "for" && words[i-1] != "do" {
				return true
			}
		}
	}
	return false
}

// Hook sees a call. Its error is what the caller gets: from Before, instead of the call; from After, although the call took effect.
type Hook func(ctx context.Context, c Call) error

// Before adds a hook that runs before each call. A hook may take its time.
func (d *Database) Before(h Hook) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before = append(d.before, h)
}

// After adds a hook that runs after each call that succeeded.
func (d *Database) After(h Hook) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.after = append(d.after, h)
}

// Reset forgets hooks and calls.
func (d *Database) Reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls, d.before, d.after = nil, nil, nil
}

// Calls lists the calls since the last Reset, in the order of their beginnings. Rows are not among them.
func (d *Database) Calls() []Call {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Call(nil), d.calls...)
}

// Count says how many calls of these kinds there were since the last Reset.
func (d *Database) Count(kinds ...Kind) (n int) {
	for _, c := range d.Calls() {
		for _, k := range kinds {
			if c.Kind == k {
				n++
			}
		}
	}
	return n
}

// Statements says how many prepared statements are open, over all connections.
func (d *Database) Statements() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.statements
}

func (d *Database) count(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.statements += n
}

func (d *Database) enter(ctx context.Context, c Call) error {
	d.mu.Lock()
	if c.Kind != Next {
		d.calls = append(d.calls, c)
	}
	hooks := d.before
	d.mu.Unlock()
	return run(ctx, hooks, c)
}

func (d *Database) leave(ctx context.Context, c Call) error {
	d.mu.Lock()
	hooks := d.after
	d.mu.Unlock()
	return run(ctx, hooks, c)
}

func run(ctx context.Context, hooks []Hook, c Call) error {
	if ctx == nil {
		ctx = context.Background()
	}
	for _, h := range hooks {
		if err := h(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// tap is the driver between a pool and the real driver.
type tap struct {
	sqlmw.NullInterceptor
	d *Database
}

func (p tap) ConnBeginTx(ctx context.Context, conn driver.ConnBeginTx, o driver.TxOptions) (context.Context, driver.Tx, error) {
	c := Call{Kind: Begin}
	if err := p.d.enter(ctx, c); err != nil {
		return ctx, nil, err
	}
	tx, err := conn.BeginTx(ctx, o)
	if err != nil {
		return ctx, nil, err
	}
	if err := p.d.leave(ctx, c); err != nil {
		tx.Rollback()
		return ctx, nil, err
	}
	return ctx, tx, nil
}

func (p tap) ConnPrepareContext(ctx context.Context, conn driver.ConnPrepareContext, query string) (context.Context, driver.Stmt, error) {
	c := Call{Kind: Prepare, SQL: query}
	if err := p.d.enter(ctx, c); err != nil {
		return ctx, nil, err
	}
	s, err := conn.PrepareContext(ctx, query)
	if err != nil {
		return ctx, nil, err
	}
	if err := p.d.leave(ctx, c); err != nil {
		s.Close()
		return ctx, nil, err
	}
	p.d.count(1)
	return ctx, s, nil
}

func (p tap) StmtClose(_ context.Context, s driver.Stmt) error {
	p.d.count(-1)
	return s.Close()
}

// values are what the driver is given.
func values(args []driver.NamedValue) []any {
	var all []any
	for _, a := range args {
		if a.Name != "" {
			all = append(all, sql.Named(a.Name, a.Value))
		} else {
			all = append(all, a.Value)
		}
	}
	return all
}

func (p tap) exec(ctx context.Context, c Call, do func() (driver.Result, error)) (driver.Result, error) {
	if err := p.d.enter(ctx, c); err != nil {
		return nil, err
	}
	r, err := do()
	if err == nil {
		err = p.d.leave(ctx, c)
	}
	return r, err
}

func (p tap) query(ctx context.Context, c Call, do func() (driver.Rows, error)) (context.Context, driver.Rows, error) {
	if err := p.d.enter(ctx, c); err != nil {
		return ctx, nil, err
	}
	r, err := do()
	if err != nil {
		return ctx, nil, err
	}
	if err := p.d.leave(ctx, c); err != nil {
		r.Close()
		return ctx, nil, err
	}
	return ctx, r, nil
}

func (p tap) ConnExecContext(ctx context.Context, conn driver.ExecerContext, query string, args []driver.NamedValue) (driver.Result, error) {
	return p.exec(ctx, Call{Exec, query, values(args), false}, func() (driver.Result, error) { return conn.ExecContext(ctx, query, args) })
}

func (p tap) ConnQueryContext(ctx context.Context, conn driver.QueryerContext, query string, args []driver.NamedValue) (context.Context, driver.Rows, error) {
	return p.query(ctx, Call{Query, query, values(args), false}, func() (driver.Rows, error) { return conn.QueryContext(ctx, query, args) })
}

func (p tap) StmtExecContext(ctx context.Context, s driver.StmtExecContext, query string, args []driver.NamedValue) (driver.Result, error) {
	return p.exec(ctx, Call{Exec, query, values(args), true}, func() (driver.Result, error) { return s.ExecContext(ctx, args) })
}

func (p tap) StmtQueryContext(ctx context.Context, s driver.StmtQueryContext, query string, args []driver.NamedValue) (context.Context, driver.Rows, error) {
	return p.query(ctx, Call{Query, query, values(args), true}, func() (driver.Rows, error) { return s.QueryContext(ctx, args) })
}

func (p tap) RowsNext(ctx context.Context, rows driver.Rows, dest []driver.Value) error {
	c := Call{Kind: Next}
	if err := p.d.enter(ctx, c); err != nil {
		return err
	}
	if err := rows.Next(dest); err != nil {
		return err
	}
	return p.d.leave(ctx, c)
}

// TxCommit rolls back what a hook does not let pass: a commit that fails leaves nothing behind.
func (p tap) TxCommit(ctx context.Context, tx driver.Tx) error {
	c := Call{Kind: Commit}
	if err := p.d.enter(ctx, c); err != nil {
		tx.Rollback()
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	return p.d.leave(ctx, c)
}

// TxRollback always reaches the database: a session that is lost rolls back too.
func (p tap) TxRollback(ctx context.Context, tx driver.Tx) error {
	c := Call{Kind: Rollback}
	failed := p.d.enter(ctx, c)
	if err := tx.Rollback(); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	return p.d.leave(ctx, c)
}

// Dump prints the calls, for messages.
func (d *Database) Dump() string {
	var b strings.Builder
	for i, c := range d.Calls() {
		fmt.Fprintf(&b, "\n  %d. %v", i+1, c)
	}
	return b.String()
}
