// Asks for SERIALIZABLE where it thinks of it itself, and leaves every other transaction that Run is
// given at the default level.
//
//kata:caught-by TestAlone
package transactions

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// What a transfer is refused with.
var (
	ErrInvalid   = errors.New("invalid transfer")
	ErrNoAccount = errors.New("no such account")
	ErrFunds     = errors.New("insufficient funds")
	ErrKeyReused = errors.New("key belongs to another transfer")
)

// Policy says how often a transaction is run, and how long to wait in between.
type Policy struct {
	Attempts int                       // runs at most; less than 1 means 1
	Pause    func(n int) time.Duration // before the nth run after the first: n = 1, 2, …; nil means no pause
}

// Retryable reports whether err, or what it wraps, says that the database has undone a transaction only because of others at the same
// time, and that it may well succeed when it is run again.
func Retryable(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code()&0xff == sqlite3.SQLITE_BUSY // the low byte is the error, the rest says which kind of it
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "40001" || pg.Code == "40P01" // serialization failure, deadlock
	}
	return false
}

// Run runs f in a transaction, as if there were no others at the same time, and commits if f returns nil. What is retryable is run again, from the beginning.
// When f panics or leaves its goroutine, the transaction is rolled back.
func Run(ctx context.Context, db *sql.DB, p Policy, f func(tx *sql.Tx) error) error {
	return run(ctx, db, p, nil, f)
}

func run(ctx context.Context, db *sql.DB, p Policy, opts *sql.TxOptions, f func(tx *sql.Tx) error) error {
	for n := 1; ; n++ {
		err := once(ctx, db, opts, f)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ended(ctx, err)
		}
		if n >= p.Attempts || !Retryable(err) {
			return err
		}
		if p.Pause != nil && !sleep(ctx, p.Pause(n)) {
			return ended(ctx, err)
		}
	}
}

// once is one run. Its Rollback does nothing after a commit, and everything when f fails, panics or calls runtime.Goexit.
func once(ctx context.Context, db *sql.DB, opts *sql.TxOptions, f func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// ended makes sure that the error tells of the context: what database/sql and the drivers say of it differs, down to sql.ErrTxDone.
func ended(ctx context.Context, err error) error {
	if errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w: %w", ctx.Err(), err)
}

// sleep reports whether the pause ended before the context did.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// Transfer is an order to move money. Its key says which order it is.
type Transfer struct {
	Key      string
	From, To string
	Amount   int64
}

// Receipt holds the balances of both accounts right after a transfer.
type Receipt struct {
	From, To int64
}

// Bank moves money between the accounts of a database.
type Bank struct {
	DB     *sql.DB
	Policy Policy
}

// Transfer carries out t, once, however often it is called with t's key.
func (b Bank) Transfer(ctx context.Context, t Transfer) (Receipt, error) {
	if t.Key == "" || t.From == t.To || t.Amount <= 0 {
		return Receipt{}, fmt.Errorf("%w: %+v", ErrInvalid, t)
	}
	var r Receipt
	err := run(ctx, b.DB, b.Policy, &sql.TxOptions{Isolation: sql.LevelSerializable}, func(tx *sql.Tx) (err error) {
		r, err = transfer(ctx, tx, t)
		return err
	})
	if err != nil {
		return Receipt{}, fmt.Errorf("transfer %q: %w", t.Key, err)
	}
	return r, nil
}

// transfer changes first and asks afterwards: a refusal rolls the changes back.
func transfer(ctx context.Context, tx *sql.Tx, t Transfer) (Receipt, error) {
	before, r, err := recorded(ctx, tx, t.Key)
	switch {
	case err == nil && before == t:
		return r, nil
	case err == nil:
		return Receipt{}, ErrKeyReused
	case !errors.Is(err, sql.ErrNoRows):
		return Receipt{}, err
	}

	// Always in the same order, so that two opposite transfers do not wait for each other.
	after := map[string]int64{}
	for _, id := range slices.Sorted(slices.Values([]string{t.From, t.To})) {
		change := t.Amount
		if id == t.From {
			change = -t.Amount
		}
		var balance int64
		err := tx.QueryRowContext(ctx, `UPDATE accounts SET balance = balance + $1 WHERE id = $2 RETURNING balance`, change, id).Scan(&balance)
		if errors.Is(err, sql.ErrNoRows) {
			return Receipt{}, fmt.Errorf("%w: %q", ErrNoAccount, id)
		}
		if err != nil {
			return Receipt{}, err
		}
		after[id] = balance
	}

	var total int64
	err = tx.QueryRowContext(ctx, `
		SELECT CAST(SUM(balance) AS BIGINT) FROM accounts
		WHERE owner = (SELECT owner FROM accounts WHERE id = $1)`, t.From).Scan(&total)
	if err != nil {
		return Receipt{}, err
	}
	if total < 0 {
		return Receipt{}, ErrFunds
	}

	r = Receipt{From: after[t.From], To: after[t.To]}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO transfers (key, source, destination, amount, source_after, dest_after)
		VALUES ($1, $2, $3, $4, $5, $6)`, t.Key, t.From, t.To, t.Amount, r.From, r.To)
	return r, err
}

// recorded returns the transfer of a key, or sql.ErrNoRows.
func recorded(ctx context.Context, tx *sql.Tx, key string) (t Transfer, r Receipt, err error) {
	t.Key = key
	err = tx.QueryRowContext(ctx, `
		SELECT source, destination, amount, source_after, dest_after FROM transfers WHERE key = $1`, key).
		Scan(&t.From, &t.To, &t.Amount, &r.From, &r.To)
	return t, r, err
}
