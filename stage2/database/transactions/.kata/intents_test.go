// Money transfers: isolation, retries, idempotency, and nothing half done.
//
// Without ROADKATA_POSTGRES_DSN the suite runs on SQLite, which lets one writer in at a time: there a conflict shows as BUSY. Write skew
// below the serializable level and deadlocks only show on PostgreSQL.
//
//kata:level 3
//kata:minutes 120
//kata:engine real SQLite (PostgreSQL where ROADKATA_POSTGRES_DSN is set)
//kata:timeout 40s
package transactions_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/roadkata/roadkata/stage2/database/transactions"
	"github.com/roadkata/roadkata/stage2/internal/kit/sqltest"
)

type (
	order   = transactions.Transfer
	receipt = transactions.Receipt
	policy  = transactions.Policy
)

// patient retries as often as a crowd may need.
var patient = policy{Attempts: 1000, Pause: func(n int) time.Duration { return time.Duration(min(n, 5)) * time.Millisecond }}

var (
	errBoom     = errors.New("connection reset by peer")
	errSerial   = &pgconn.PgError{Severity: "ERROR", Code: "40001", Message: "could not serialize access"}
	errDeadlock = &pgconn.PgError{Severity: "ERROR", Code: "40P01", Message: "deadlock detected"}
)

// world is a bank's database: ada has 100 in cash and 100 saved, bob has 50, carol nothing.
type world struct {
	*sqltest.Database
	pool *sql.DB
}

func open(t *testing.T) world {
	t.Helper()
	d := sqltest.New(t, transactions.Schema+`
		INSERT INTO accounts (id, owner, balance) VALUES
			('ada-cash', 'ada', 100), ('ada-saved', 'ada', 100), ('bob-cash', 'bob', 50), ('carol-cash', 'carol', 0)`)
	return world{d, d.Open(t)}
}

func (w world) bank(p policy) transactions.Bank { return transactions.Bank{DB: w.pool, Policy: p} }

// exec changes the database behind the bank's back.
func (w world) exec(t *testing.T, statement string) {
	t.Helper()
	if _, err := w.Direct.ExecContext(context.Background(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// balances is what the accounts hold: "ada-cash=100 ada-saved=100 …".
func (w world) balances(t *testing.T) string {
	t.Helper()
	rows, err := w.Direct.QueryContext(t.Context(), `SELECT id, balance FROM accounts ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var id string
		var balance int64
		if err := rows.Scan(&id, &balance); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s=%d", id, balance))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

const untouched = "ada-cash=100 ada-saved=100 bob-cash=50 carol-cash=0"

func (w world) number(t *testing.T, query string) (n int64) {
	t.Helper()
	if err := w.Direct.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// within bounds the calls of learners' code that may wait for itself.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// A transfer moves the amount and returns both balances; one that is refused says why and changes nothing.
//
//kata:zh 转账移动指定金额并返回双方余额；被拒绝的转账说明原因，且什么都不改。
func TestTransfer(t *testing.T) {
	w := open(t)
	bank := w.bank(policy{Attempts: 5})
	for _, c := range []struct {
		why   string
		order order
		want  receipt
		after string
	}{
		{"pays from one account", order{"1", "ada-cash", "bob-cash", 70}, receipt{30, 120}, "ada-cash=30 ada-saved=100 bob-cash=120 carol-cash=0"},
		{"an account may be overdrawn while its owner's accounts together are not", order{"2", "ada-cash", "carol-cash", 130}, receipt{-100, 130}, "ada-cash=-100 ada-saved=100 bob-cash=120 carol-cash=130"},
		{"between accounts of one owner, who has nothing left together", order{"3", "ada-saved", "ada-cash", 60}, receipt{40, -40}, "ada-cash=-40 ada-saved=40 bob-cash=120 carol-cash=130"},
		{"the last unit", order{"4", "bob-cash", "ada-cash", 120}, receipt{0, 80}, "ada-cash=80 ada-saved=40 bob-cash=0 carol-cash=130"},
		{"an order of accounts against the alphabet", order{"5", "carol-cash", "ada-cash", 30}, receipt{100, 110}, "ada-cash=110 ada-saved=40 bob-cash=0 carol-cash=100"},
	} {
		got, err := bank.Transfer(t.Context(), c.order)
		if err != nil || got != c.want {
			t.Fatalf("%s: Transfer(%+v) = %+v, %v, want %+v", c.why, c.order, got, err, c.want)
		}
		if after := w.balances(t); after != c.after {
			t.Fatalf("%s: after Transfer(%+v): %s, want %s", c.why, c.order, after, c.after)
		}
		o := c.order
		if n := w.number(t, fmt.Sprintf(`SELECT count(*) FROM transfers WHERE key = '%s' AND source = '%s' AND destination = '%s'
			AND amount = %d AND source_after = %d AND dest_after = %d`, o.Key, o.From, o.To, o.Amount, c.want.From, c.want.To)); n != 1 {
			t.Errorf("%s: Transfer(%+v) is not in the table transfers as such, with the balances %+v", c.why, o, c.want)
		}
	}
	before := w.balances(t)
	for _, c := range []struct {
		why   string
		order order
		want  error
	}{
		{"one more than ada has in all", order{"6", "ada-cash", "bob-cash", 151}, transactions.ErrFunds},
		{"bob has nothing", order{"6", "bob-cash", "ada-cash", 1}, transactions.ErrFunds},
		{"the source does not exist", order{"6", "dora-cash", "ada-cash", 1}, transactions.ErrNoAccount},
		{"the destination does not exist", order{"6", "ada-cash", "dora-cash", 1}, transactions.ErrNoAccount},
		{"nothing to move", order{"6", "ada-cash", "bob-cash", 0}, transactions.ErrInvalid},
		{"a negative amount", order{"6", "bob-cash", "ada-cash", -5}, transactions.ErrInvalid},
		{"to the same account", order{"6", "ada-cash", "ada-cash", 5}, transactions.ErrInvalid},
		{"no key", order{"", "ada-cash", "bob-cash", 5}, transactions.ErrInvalid},
	} {
		w.Reset()
		got, err := bank.Transfer(t.Context(), c.order)
		if !errors.Is(err, c.want) || got != (receipt{}) {
			t.Errorf("%s: Transfer(%+v) = %+v, %v, want no receipt and %q", c.why, c.order, got, err, c.want)
		}
		if c.want == transactions.ErrInvalid && len(w.Calls()) > 0 {
			t.Errorf("%s: Transfer(%+v) asked the database, want it refused before:%s", c.why, c.order, w.Dump())
		}
		if after := w.balances(t); after != before {
			t.Fatalf("%s: after Transfer(%+v): %s, want %s", c.why, c.order, after, before)
		}
	}
	if _, err := bank.Transfer(t.Context(), order{"6", "ada-cash", "bob-cash", 1}); err != nil {
		t.Errorf("a key that was only refused so far: %v, want the transfer done", err)
	}
}

// Whatever call of the database fails, a transfer is done whole or not at all, and says so.
//
//kata:zh 不管对数据库的哪次调用失败，转账要么全部完成要么完全没做，并且如实报告。
func TestAtomic(t *testing.T) {
	w := open(t)
	bank := w.bank(policy{Attempts: 5})
	o := order{"k", "ada-cash", "bob-cash", 150}
	for n := 1; ; n++ {
		w.Reset()
		hook, happened := sqltest.Nth(n, errBoom)
		w.Before(hook)
		got, err := bank.Transfer(t.Context(), o)
		calls := w.Dump()
		if !happened() {
			if err != nil || n == 1 {
				t.Fatalf("no call failed: Transfer(%+v) = %+v, %v", o, got, err)
			}
			break
		}
		if !errors.Is(err, errBoom) || got != (receipt{}) {
			t.Fatalf("the last of these calls failed with %q: Transfer(%+v) = %+v, %v, want no receipt and that error%s", errBoom, o, got, err, calls)
		}
		if after := w.balances(t); after != untouched {
			t.Fatalf("the last of these calls failed: %s, want %s%s", after, untouched, calls)
		}
		if k := w.number(t, `SELECT count(*) FROM transfers`); k != 0 {
			t.Fatalf("the last of these calls failed: %d transfers recorded, want 0%s", k, calls)
		}
	}
}

// Only what the database undid because of others is retryable: SQLite's BUSY in all its forms, PostgreSQL's 40001 and 40P01.
//
//kata:zh 只有因为与他人冲突而被数据库撤销的才可重试：SQLite 的各种 BUSY，PostgreSQL 的 40001 和 40P01。
func TestRetryable(t *testing.T) {
	busy, snapshot := sqltest.Busy(t)
	w := open(t)
	_, syntax := w.Direct.ExecContext(t.Context(), `SELECT FROM WHERE`)
	_, duplicate := w.Direct.ExecContext(t.Context(), `INSERT INTO accounts (id, owner, balance) VALUES ('ada-cash', 'ada', 1)`)
	lite := sqltest.SQLite(t, `CREATE TABLE a (b BIGINT PRIMARY KEY); INSERT INTO a VALUES (1)`)
	_, unique := lite.Direct.ExecContext(t.Context(), `INSERT INTO a VALUES (1)`)
	for _, c := range []struct {
		what string
		err  error
		want bool
	}{
		{"SQLITE_BUSY", busy, true},
		{"SQLITE_BUSY_SNAPSHOT", snapshot, true},
		{"a wrapped SQLITE_BUSY_SNAPSHOT", fmt.Errorf("transfer: %w", snapshot), true},
		{"40001", errSerial, true},
		{"40P01", errDeadlock, true},
		{"a wrapped 40001", fmt.Errorf("a: %w", fmt.Errorf("b: %w", errSerial)), true},
		{"a joined 40P01", errors.Join(errBoom, errDeadlock), true},
		{"nil", nil, false},
		{"40003, statement completion unknown", &pgconn.PgError{Code: "40003"}, false},
		{"40002, integrity constraint violation", &pgconn.PgError{Code: "40002"}, false},
		{"23505, unique violation", &pgconn.PgError{Code: "23505"}, false},
		{"57014, query cancelled", &pgconn.PgError{Code: "57014"}, false},
		{"a text that quotes an error", errors.New("database is locked (5) (SQLITE_BUSY), SQLSTATE 40001"), false},
		{"a syntax error", syntax, false},
		{"a duplicate key", duplicate, false},
		{"SQLite's unique violation", unique, false},
		{"a lost connection", driver.ErrBadConn, false},
		{"the end of a context", context.DeadlineExceeded, false},
		{"ErrFunds", transactions.ErrFunds, false},
	} {
		if got := transactions.Retryable(c.err); got != c.want {
			t.Errorf("Retryable(%s) = %t, want %t (%v)", c.what, got, c.want, c.err)
		}
	}
}

// A transfer that the database has undone because of others is run again whole, on what the database holds then.
//
//kata:zh 因冲突被数据库撤销的转账会整个重来，依据的是那时数据库里的内容。
func TestRetried(t *testing.T) {
	busy, snapshot := sqltest.Busy(t)
	o := order{"k", "ada-cash", "bob-cash", 150}
	w := open(t)
	for _, fault := range []error{busy, snapshot, errSerial, errDeadlock} {
		for n := 1; ; n++ {
			w.Reset()
			w.exec(t, `DELETE FROM transfers`)
			w.exec(t, `UPDATE accounts SET balance = CASE id WHEN 'bob-cash' THEN 50 WHEN 'carol-cash' THEN 0 ELSE 100 END`)
			hook, happened := sqltest.Nth(n, fault)
			w.Before(hook)
			// Between the two runs ada gets 7 and bob loses 8.
			p := policy{Attempts: 2, Pause: func(int) time.Duration {
				w.exec(t, `UPDATE accounts SET balance = 107 WHERE id = 'ada-cash'`)
				w.exec(t, `UPDATE accounts SET balance = 42 WHERE id = 'bob-cash'`)
				return 0
			}}
			got, err := w.bank(p).Transfer(t.Context(), o)
			calls := w.Dump()
			if !happened() {
				if err != nil {
					t.Fatalf("no call failed: Transfer(%+v) = %v", o, err)
				}
				break
			}
			if want := (receipt{-43, 192}); err != nil || got != want {
				t.Fatalf("call %d failed with %q, and is run again with ada-cash=107 bob-cash=42: Transfer(%+v) = %+v, %v, want %+v%s", n, fault, o, got, err, want, calls)
			}
			if after, want := w.balances(t), "ada-cash=-43 ada-saved=100 bob-cash=192 carol-cash=0"; after != want {
				t.Fatalf("call %d failed with %q, and is run again with ada-cash=107 bob-cash=42: %s, want %s%s", n, fault, after, want, calls)
			}
			if k := w.number(t, `SELECT count(*) FROM transfers`); k != 1 {
				t.Fatalf("call %d failed with %q: %d transfers recorded, want 1%s", n, fault, k, calls)
			}
		}
	}

	w = open(t)
	hook, _ := sqltest.Nth(1, errSerial, sqltest.Commit)
	w.Before(hook)
	p := policy{Attempts: 2, Pause: func(int) time.Duration {
		w.exec(t, `UPDATE accounts SET balance = 49 WHERE id = 'ada-saved'`)
		return 0
	}}
	if _, err := w.bank(p).Transfer(t.Context(), o); !errors.Is(err, transactions.ErrFunds) {
		t.Errorf("the commit failed with 40001, then ada's savings fell to 49: Transfer(%+v) = %v, want ErrFunds", o, err)
	}
}

// A transaction is run at most Attempts times, with the pauses of the policy; nothing else is run twice, and the last error comes back.
//
//kata:zh 事务最多运行 Attempts 次，间隔按策略；别的错误不会重跑；返回的是最后一个错误。
func TestBound(t *testing.T) {
	w := open(t)
	for _, c := range []struct {
		what     string
		attempts int
		err      func(run int) error
		runs     int
	}{
		{"always 40001", 4, func(int) error { return fmt.Errorf("f: %w", errSerial) }, 4},
		{"always 40001", 1, func(int) error { return errSerial }, 1},
		{"always 40001", 0, func(int) error { return errSerial }, 1},
		{"always 40001", -3, func(int) error { return errSerial }, 1},
		{"40P01, 40001, nil", 9, func(run int) error { return []error{errDeadlock, errSerial, nil}[run-1] }, 3},
		{"40001, then another error", 9, func(run int) error { return []error{errSerial, errBoom}[run-1] }, 2},
		{"another error", 9, func(int) error { return errBoom }, 1},
		{"nil", 9, func(int) error { return nil }, 1},
	} {
		var pauses, want []int
		for n := 1; n < c.runs; n++ {
			want = append(want, n)
		}
		runs := 0
		var last error
		p := policy{Attempts: c.attempts, Pause: func(n int) time.Duration { pauses = append(pauses, n); return time.Nanosecond }}
		err := transactions.Run(t.Context(), w.pool, p, func(*sql.Tx) error {
			runs++
			if runs > c.runs {
				return nil
			}
			last = c.err(runs)
			return last
		})
		if runs != c.runs {
			t.Errorf("Run with %d attempts of f that returns %s: %d runs, want %d", c.attempts, c.what, runs, c.runs)
			continue
		}
		if !errors.Is(err, last) || last == nil && err != nil {
			t.Errorf("Run with %d attempts of f that returns %s = %v, want the last error, %v", c.attempts, c.what, err, last)
		}
		if !slices.Equal(pauses, want) {
			t.Errorf("Run with %d attempts of f that returns %s asked for the pauses %v, want %v", c.attempts, c.what, pauses, want)
		}
	}
	runs := 0
	err := transactions.Run(t.Context(), w.pool, policy{Attempts: 3}, func(*sql.Tx) error { runs++; return errSerial })
	if runs != 3 || !errors.Is(err, errSerial) {
		t.Errorf("Run with 3 attempts and no Pause of f that returns 40001 = %v after %d runs, want it after 3", err, runs)
	}
}

// What is run in a transaction is as if it were alone: of two that read the same and write, one begins again.
//
//kata:zh 事务里运行的代码如同独占数据库：两个事务读了同样的内容再写，其中一个要重来。
//kata:needs ROADKATA_POSTGRES_DSN
func TestAlone(t *testing.T) {
	w := open(t) // SQLite lets one writer in at a time, whatever the isolation level
	for round := range 3 {
		w.exec(t, `UPDATE accounts SET balance = 100`)
		// Each empties one of ada's accounts if she keeps 100 in the other. Both are sure to have looked before either writes.
		meeting := sqltest.NewMeeting(2, 2*time.Second)
		var both sync.WaitGroup
		var failed [2]error
		var emptied [2]bool
		for i, id := range []string{"ada-cash", "ada-saved"} {
			both.Go(func() {
				ctx := within(t, 15*time.Second)
				first := true
				failed[i] = transactions.Run(ctx, w.pool, patient, func(tx *sql.Tx) error {
					emptied[i] = false
					var total int64
					if err := tx.QueryRowContext(ctx, `SELECT CAST(SUM(balance) AS BIGINT) FROM accounts WHERE owner = 'ada'`).Scan(&total); err != nil {
						return err
					}
					if first {
						first = false
						if err := meeting.Wait(ctx); err != nil {
							return err
						}
					}
					if total < 200 {
						return nil
					}
					emptied[i] = true
					_, err := tx.ExecContext(ctx, `UPDATE accounts SET balance = 0 WHERE id = $1`, id)
					return err
				})
			})
		}
		both.Wait()
		if failed[0] != nil || failed[1] != nil {
			t.Fatalf("two transactions that read both accounts, then write one each: %v and %v, want one of them run again", failed[0], failed[1])
		}
		if emptied[0] == emptied[1] {
			t.Fatalf("round %d: each empties one of two accounts only if both hold 100: emptied %v, want one: the other one sees what the first has done (%s)", round+1, emptied, w.balances(t))
		}
	}
}

// An owner's accounts together never fall below zero, also when two transfers at once leave from two of them.
//
//kata:zh 同一户主的账户合计永不低于零，哪怕两笔转账同时从他的两个账户转出。
func TestOwner(t *testing.T) {
	w := open(t)
	for round := range 3 {
		w.Reset()
		w.exec(t, `DELETE FROM transfers`)
		w.exec(t, `UPDATE accounts SET balance = CASE owner WHEN 'ada' THEN 100 ELSE 0 END`)
		// Each is held before it first writes, and before it first commits, until the other one is there too, or waits for a lock.
		w.Before(sqltest.Meet(2, 100*time.Millisecond, sqltest.Call.Writes))
		w.Before(sqltest.Meet(2, 100*time.Millisecond, func(c sqltest.Call) bool { return c.Kind == sqltest.Commit }))
		var both sync.WaitGroup
		var failed [2]error
		orders := []order{{"1", "ada-cash", "bob-cash", 150}, {"2", "ada-saved", "carol-cash", 150}}
		for i, o := range orders {
			both.Go(func() {
				_, failed[i] = w.bank(patient).Transfer(sqltest.Caller(within(t, 15*time.Second), i), o)
			})
		}
		both.Wait()
		if left := w.number(t, `SELECT CAST(SUM(balance) AS BIGINT) FROM accounts WHERE owner = 'ada'`); left != 50 {
			t.Fatalf("ada has 200 in two accounts; at the same time 150 leave from each: %v and %v; she has %d left, want 50", failed[0], failed[1], left)
		}
		refused := failed[0]
		if refused == nil {
			refused = failed[1]
		}
		if !errors.Is(refused, transactions.ErrFunds) || failed[0] != nil && failed[1] != nil {
			t.Fatalf("ada has 200 in two accounts; at the same time 150 leave from each: round %d: %v and %v, want one done and one ErrFunds", round+1, failed[0], failed[1])
		}
	}

	// Another program, which knows nothing of this one's locks, empties one account just before the transfer first writes.
	w.Reset()
	w.exec(t, `DELETE FROM transfers`)
	w.exec(t, `UPDATE accounts SET balance = CASE owner WHEN 'ada' THEN 100 ELSE 0 END`)
	w.Before(first(sqltest.Call.Writes, func() { w.withdraw(t) }))
	_, err := w.bank(patient).Transfer(within(t, 15*time.Second), order{"3", "ada-cash", "bob-cash", 150})
	if got, want := w.balances(t), "ada-cash=100 ada-saved=0 bob-cash=0 carol-cash=0"; !errors.Is(err, transactions.ErrFunds) || got != want {
		t.Errorf("ada has 200 in two accounts; 150 leave from one, and just before that another program empties the other one: %v and %s, want ErrFunds and %s", err, got, want)
	}
}

// first has do called before the first call that at asks for.
func first(at func(sqltest.Call) bool, do func()) sqltest.Hook {
	var once sync.Once
	return func(_ context.Context, c sqltest.Call) error {
		if at(c) {
			once.Do(do)
		}
		return nil
	}
}

// withdraw empties ada-saved as another program would, which keeps to the bank's rule.
func (w world) withdraw(t *testing.T) {
	t.Helper()
	tx, err := w.Direct.BeginTx(context.Background(), &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var total int64
	if err := tx.QueryRow(`SELECT CAST(SUM(balance) AS BIGINT) FROM accounts WHERE owner = 'ada'`).Scan(&total); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(`UPDATE accounts SET balance = 0 WHERE id = 'ada-saved'`); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// crossing are pairs of orders that touch the same accounts, in this order and in the other.
var crossing = [][2]order{
	{{"o1", "ada-cash", "bob-cash", 10}, {"o2", "bob-cash", "ada-cash", 3}},
	{{"o3", "ada-cash", "bob-cash", 10}, {"o4", "ada-cash", "carol-cash", 3}},
	{{"o5", "bob-cash", "carol-cash", 10}, {"o6", "ada-cash", "carol-cash", 3}},
}

// pairs carries out each pair of crossing at the same time, with hooks that let both come to the same point.
func (w world) pairs(t *testing.T, meet func()) {
	t.Helper()
	for _, pair := range crossing {
		w.Reset()
		meet()
		var both sync.WaitGroup
		for i, o := range pair {
			both.Go(func() {
				if _, err := w.bank(patient).Transfer(sqltest.Caller(within(t, 15*time.Second), i), o); err != nil {
					t.Errorf("Transfer(%+v) at the same time as the other of %+v: %v", o, pair, err)
				}
			})
		}
		both.Wait()
	}
}

// Transfers that wait for each other's rows come to pass all the same: the one that the database picks is run again.
//
//kata:zh 互相等待对方行锁的转账照样完成：被数据库选中牺牲的那一笔会重来。
//kata:needs ROADKATA_POSTGRES_DSN
//kata:shares whoever does not run a deadlock's victim again fails the table of errors as well; this one shows a real deadlock.
func TestDeadlock(t *testing.T) {
	w := open(t)
	w.exec(t, `UPDATE accounts SET balance = 1000`)
	w.pairs(t, func() {
		w.Before(sqltest.Meet(2, 100*time.Millisecond, sqltest.Call.Writes))
		w.After(sqltest.Meet(2, 100*time.Millisecond, sqltest.Call.Writes)) // and when each has locked its first row
	})
	if got, want := w.balances(t), "ada-cash=977 ada-saved=1000 bob-cash=1007 carol-cash=1016"; got != want {
		t.Fatalf("three pairs of transfers at the same time: %s, want %s", got, want)
	}
}

// Many transfers at the same time, in all directions, all come to pass, and no money appears or gets lost.
//
//kata:zh 许多转账同时朝各个方向进行，全部完成，钱不会凭空多出也不会丢失。
func TestConcurrent(t *testing.T) {
	w := open(t)
	w.exec(t, `UPDATE accounts SET balance = 1000`)
	ids := []string{"ada-cash", "bob-cash", "ada-saved", "carol-cash"}
	w.pairs(t, func() { w.Before(sqltest.Meet(2, 100*time.Millisecond, sqltest.Call.Writes)) })
	if got, want := w.balances(t), "ada-cash=977 ada-saved=1000 bob-cash=1007 carol-cash=1016"; got != want {
		t.Fatalf("three pairs of transfers at the same time: %s, want %s", got, want)
	}
	w.Reset()
	w.Before(first(func(c sqltest.Call) bool { return c.Kind == sqltest.Begin }, func() {
		w.exec(t, `UPDATE accounts SET balance = balance + 100 WHERE id = 'ada-cash'`)
		w.exec(t, `UPDATE accounts SET balance = balance - 100 WHERE id = 'bob-cash'`)
	}))
	o := order{"o7", "ada-cash", "bob-cash", 100}
	if _, err := w.bank(patient).Transfer(within(t, 15*time.Second), o); err != nil {
		t.Errorf("Transfer(%+v): %v", o, err)
	}
	if got, want := w.balances(t), "ada-cash=977 ada-saved=1000 bob-cash=1007 carol-cash=1016"; got != want {
		t.Fatalf("just before the transaction of Transfer(%+v) another one moves 100 from bob-cash to ada-cash: %s, want %s", o, got, want)
	}
	w.Reset()
	const workers, each = 4, 12
	want := map[string]int64{"ada-cash": 977, "ada-saved": 1000, "bob-cash": 1007, "carol-cash": 1016}
	var all sync.WaitGroup
	for i := range workers {
		var orders []order
		for j := range each {
			o := order{fmt.Sprintf("%d/%d", i, j), ids[(i+j)%4], ids[(i+j+1+j%3)%4], int64(j + 1)}
			orders = append(orders, o)
			want[o.From] -= o.Amount
			want[o.To] += o.Amount
		}
		bank := transactions.Bank{DB: w.Open(t), Policy: patient} // each a process of its own
		all.Go(func() {
			ctx := within(t, 15*time.Second)
			for _, o := range orders {
				if _, err := bank.Transfer(ctx, o); err != nil {
					t.Errorf("Transfer(%+v) among %d at the same time: %v", o, workers, err)
					return
				}
			}
		})
	}
	all.Wait()
	for id, balance := range want {
		if got := w.number(t, `SELECT balance FROM accounts WHERE id = '`+id+`'`); got != balance {
			t.Errorf("after %d times %d transfers at the same time: %s=%d, want %d", workers, each, id, got, balance)
		}
	}
}

// The same order at the same time, from several processes, is carried out once, and all get its receipt.
//
//kata:zh 同一笔请求同时从几个进程到来，只执行一次，大家拿到同一份回执。
func TestSameKey(t *testing.T) {
	w := open(t)
	const n = 3
	w.Before(sqltest.Meet(n, 100*time.Millisecond, sqltest.Call.Writes))
	o := order{"once", "ada-cash", "bob-cash", 60}
	var all sync.WaitGroup
	for i := range n {
		bank := transactions.Bank{DB: w.Open(t), Policy: patient}
		all.Go(func() {
			got, err := bank.Transfer(sqltest.Caller(within(t, 15*time.Second), i), o)
			if want := (receipt{40, 110}); err != nil || got != want {
				t.Errorf("Transfer(%+v), %d times at once = %+v, %v, want %+v for all", o, n, got, err, want)
			}
		})
	}
	all.Wait()
	if got, want := w.balances(t), "ada-cash=40 ada-saved=100 bob-cash=110 carol-cash=0"; got != want {
		t.Errorf("after Transfer(%+v), %d times at once: %s, want %s", o, n, got, want)
	}
}

// An order that is repeated returns the receipt of the first time, and moves nothing; its key is refused to any other order.
//
//kata:zh 重复的请求返回第一次的回执，不再移动钱；同一个键不能用于别的请求。
func TestReplay(t *testing.T) {
	w := open(t)
	bank := w.bank(policy{Attempts: 3})
	o := order{"k", "ada-cash", "bob-cash", 150}
	want := receipt{-50, 200}
	// The commit takes effect, and its answer gets lost: nobody knows but the database.
	hook, _ := sqltest.Nth(1, io.ErrUnexpectedEOF, sqltest.Commit)
	w.After(hook)
	bank.Transfer(t.Context(), o)
	w.Reset()
	again := func(when string) {
		t.Helper()
		before := w.balances(t)
		if got, err := bank.Transfer(t.Context(), o); err != nil || got != want {
			t.Fatalf("%s: Transfer(%+v) = %+v, %v, want the first receipt, %+v", when, o, got, err, want)
		}
		if after := w.balances(t); after != before {
			t.Fatalf("%s: after Transfer(%+v) again: %s, want %s", when, o, after, before)
		}
	}
	again("the answer to the first commit was lost")
	if _, err := bank.Transfer(t.Context(), order{"l", "bob-cash", "carol-cash", 120}); err != nil {
		t.Fatal(err)
	}
	again("the balances have changed since")
	w.exec(t, `UPDATE accounts SET balance = 0 WHERE owner = 'ada'`)
	again("ada has nothing left")
	before := w.balances(t)
	for _, other := range []order{
		{"k", "ada-cash", "bob-cash", 151},
		{"k", "ada-saved", "bob-cash", 150},
		{"k", "ada-cash", "carol-cash", 150},
		{"k", "bob-cash", "ada-cash", 150},
		{"k", "ada-cash", "dora-cash", 150},
	} {
		if got, err := bank.Transfer(t.Context(), other); !errors.Is(err, transactions.ErrKeyReused) || got != (receipt{}) {
			t.Errorf("Transfer(%+v) after %+v = %+v, %v, want ErrKeyReused", other, o, got, err)
		}
	}
	if after := w.balances(t); after != before {
		t.Errorf("after transfers with a key that is taken: %s, want %s", after, before)
	}
}

// After an error, a panic or runtime.Goexit in f nothing is held open; a transfer gets along with one connection.
//
//kata:zh 不论 f 出错、panic 还是 runtime.Goexit，都不会有东西一直占着；一笔转账只需一个连接。
func TestNothingHeld(t *testing.T) {
	w := open(t)
	w.pool.SetMaxOpenConns(1)
	free := func(after string) {
		t.Helper()
		if n := w.pool.Stats().InUse; n != 0 {
			t.Fatalf("after %s: %d connections in use, want 0", after, n)
		}
		if got := w.balances(t); got != untouched {
			t.Fatalf("after %s: %s, want %s", after, got, untouched)
		}
	}
	change := func(tx *sql.Tx) {
		if _, err := tx.ExecContext(t.Context(), `UPDATE accounts SET balance = 0`); err != nil {
			t.Errorf("UPDATE in f: %v", err)
		}
	}
	run := func(f func(tx *sql.Tx) error) error {
		return transactions.Run(within(t, 2*time.Second), w.pool, policy{Attempts: 2}, func(tx *sql.Tx) error { change(tx); return f(tx) })
	}
	if err := run(func(*sql.Tx) error { return errBoom }); !errors.Is(err, errBoom) {
		t.Errorf("Run of f that returns %q = %v", errBoom, err)
	}
	free("an error of f")
	if err := run(func(*sql.Tx) error { return errSerial }); !errors.Is(err, errSerial) {
		t.Errorf("Run of f that returns 40001 = %v", err)
	}
	free("two attempts")

	func() {
		defer func() {
			if p := recover(); p != errBoom {
				t.Errorf("f panics with %q: Run panics with %v, want the same", errBoom, p)
			}
		}()
		err := run(func(*sql.Tx) error { panic(errBoom) })
		t.Errorf("f panics: Run returns %v, want the panic to go on", err)
	}()
	free("a panic of f")

	gone := make(chan struct{})
	go func() {
		defer close(gone)
		run(func(*sql.Tx) error { runtime.Goexit(); return nil })
	}()
	<-gone
	free("runtime.Goexit in f")

	for _, c := range []struct {
		order order
		want  error
	}{
		{order{"k", "ada-cash", "dora-cash", 1}, transactions.ErrNoAccount},
		{order{"k", "ada-cash", "bob-cash", 999}, transactions.ErrFunds},
	} {
		if _, err := w.bank(policy{Attempts: 2}).Transfer(within(t, 2*time.Second), c.order); !errors.Is(err, c.want) {
			t.Errorf("with one connection: Transfer(%+v) = %v, want %v", c.order, err, c.want)
		}
		free(fmt.Sprintf("Transfer(%+v)", c.order))
	}
	if _, err := w.bank(policy{Attempts: 2}).Transfer(within(t, 2*time.Second), order{"k", "ada-cash", "bob-cash", 1}); err != nil {
		t.Errorf("with one connection: Transfer = %v", err)
	}
}

// When the context ends, so does the call, in a statement or in a pause; nothing is done then, and the error tells of the context.
//
//kata:zh context 结束时调用也结束，无论正在执行语句还是在等待重试；此时什么都没做，错误里带着 context 的原因。
func TestContext(t *testing.T) {
	w := open(t)
	o := order{"k", "ada-cash", "bob-cash", 1}
	ended := func(when string, do func(ctx context.Context, cancel context.CancelFunc) error) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		result := make(chan error, 1)
		go func() { result <- do(ctx, cancel) }()
		select {
		case err := <-result:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v, want an error that is context.Canceled", when, err)
			}
		case <-time.After(2 * time.Second):
			t.Fatalf("%s: still running after 2 s, want the call to end with the context", when)
		}
		w.Reset()
		if got := w.balances(t); got != untouched {
			t.Fatalf("%s: %s, want %s", when, got, untouched)
		}
	}
	if _, err := w.bank(policy{}).Transfer(t.Context(), order{"first", "ada-cash", "bob-cash", 1}); err != nil {
		t.Fatal(err)
	}
	statements := len(w.Calls()) - 1 // without the commit
	w.exec(t, `DELETE FROM transfers`)
	w.exec(t, `UPDATE accounts SET balance = CASE id WHEN 'ada-cash' THEN 100 ELSE 50 END WHERE id IN ('ada-cash', 'bob-cash')`)
	for n := 1; n <= statements; n++ {
		ended(fmt.Sprintf("the context ends while call %d of a transfer waits in the database", n), func(ctx context.Context, cancel context.CancelFunc) error {
			w.Reset()
			seen := 0
			w.Before(func(ctx context.Context, c sqltest.Call) error {
				if c.Kind == sqltest.Next || c.Kind == sqltest.Rollback {
					return nil
				}
				if seen++; seen != n {
					return nil
				}
				cancel()
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(3 * time.Second):
					return errors.New("the database waited for the end of the statement's context in vain")
				}
			})
			_, err := w.bank(patient).Transfer(ctx, o)
			return err
		})
	}
	ended("the context ends during a pause of an hour", func(ctx context.Context, cancel context.CancelFunc) error {
		p := policy{Attempts: 2, Pause: func(int) time.Duration { cancel(); return time.Hour }}
		return transactions.Run(ctx, w.pool, p, func(*sql.Tx) error { return errSerial })
	})
	ended("the context ends in f, which returns nil once its transaction is rolled back", func(ctx context.Context, cancel context.CancelFunc) error {
		return transactions.Run(ctx, w.pool, patient, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, `UPDATE accounts SET balance = 7`); err != nil {
				return err
			}
			cancel()
			for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
				if _, err := tx.ExecContext(context.Background(), `SELECT 1`); errors.Is(err, sql.ErrTxDone) {
					break
				}
			}
			return nil
		})
	})
	runs := 0
	ended("the context ends in f, which then returns 40001", func(ctx context.Context, cancel context.CancelFunc) error {
		return transactions.Run(ctx, w.pool, policy{Attempts: 3}, func(*sql.Tx) error { runs++; cancel(); return errSerial })
	})
	if runs != 1 {
		t.Errorf("the context ended in the first run: f ran %d times, want 1", runs)
	}
}
