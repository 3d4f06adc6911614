// Package transactions moves money between accounts. The first statement of a transfer writes: it claims the key, and with it, on SQLite, the right to
// write at all. Errors are told apart by their methods, not by their types.
package transactions

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
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
	var lite interface{ Code() int }
	var pg interface{ SQLState() string }
	switch {
	case errors.As(err, &lite):
		return lite.Code()%256 == 5 // SQLITE_BUSY and its extended codes
	case errors.As(err, &pg):
		return pg.SQLState() == "40001" || pg.SQLState() == "40P01"
	default:
		return false
	}
}

// Run runs f in a transaction, as if there were no others at the same time, and commits if f returns nil. What is retryable is run again, from the beginning.
// When f panics or leaves its goroutine, the transaction is rolled back.
func Run(ctx context.Context, db *sql.DB, p Policy, f func(tx *sql.Tx) error) error {
	for n := 1; ; n++ {
		err := once(ctx, db, f)
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
func once(ctx context.Context, db *sql.DB, f func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
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
	err := Run(ctx, b.DB, b.Policy, func(tx *sql.Tx) (err error) {
		r, err = transfer(ctx, tx, t)
		return err
	})
	if err != nil {
		return Receipt{}, fmt.Errorf("transfer %q: %w", t.Key, err)
	}
	return r, nil
}

// transfer claims the key, and moves money only if the claim is new. A refusal rolls the claim back.
func transfer(ctx context.Context, tx *sql.Tx, t Transfer) (r Receipt, err error) {
	claim, err := tx.ExecContext(ctx, `
		INSERT INTO transfers (key, source, destination, amount, source_after, dest_after)
		VALUES ($1, $2, $3, $4, 0, 0) ON CONFLICT (key) DO NOTHING`, t.Key, t.From, t.To, t.Amount)
	if err != nil {
		return Receipt{}, err
	}
	if n, err := claim.RowsAffected(); err != nil {
		return Receipt{}, err
	} else if n == 0 {
		return recorded(ctx, tx, t)
	}

	owner, balance, total, err := account(ctx, tx, t.From)
	if err != nil {
		return Receipt{}, err
	}
	other, theirs, _, err := account(ctx, tx, t.To)
	if err != nil {
		return Receipt{}, err
	}
	if owner != other {
		total -= t.Amount
	}
	if total < 0 {
		return Receipt{}, ErrFunds
	}
	r = Receipt{From: balance - t.Amount, To: theirs + t.Amount}
	_, err = tx.ExecContext(ctx, `
		UPDATE accounts SET balance = CASE id WHEN $1 THEN CAST($2 AS BIGINT) ELSE CAST($3 AS BIGINT) END WHERE id IN ($1, $4)`,
		t.From, r.From, r.To, t.To)
	if err != nil {
		return Receipt{}, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE transfers SET source_after = $1, dest_after = $2 WHERE key = $3`, r.From, r.To, t.Key)
	return r, err
}

// account returns an account, and what all accounts of its owner hold.
func account(ctx context.Context, tx *sql.Tx, id string) (owner string, balance, total int64, err error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT id, owner, balance FROM accounts WHERE owner = (SELECT owner FROM accounts WHERE id = $1)`, id)
	if err != nil {
		return "", 0, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var other string
		var holds int64
		if err := rows.Scan(&other, &owner, &holds); err != nil {
			return "", 0, 0, err
		}
		if other == id {
			balance = holds
		}
		total += holds
	}
	if err := rows.Err(); err != nil {
		return "", 0, 0, err
	}
	if owner == "" {
		return "", 0, 0, fmt.Errorf("%w: %q", ErrNoAccount, id)
	}
	return owner, balance, total, nil
}

// recorded returns the receipt of a transfer that was carried out before.
func recorded(ctx context.Context, tx *sql.Tx, t Transfer) (r Receipt, err error) {
	before := Transfer{Key: t.Key}
	err = tx.QueryRowContext(ctx, `
		SELECT source, destination, amount, source_after, dest_after FROM transfers WHERE key = $1`, t.Key).
		Scan(&before.From, &before.To, &before.Amount, &r.From, &r.To)
	if err != nil {
		return Receipt{}, err
	}
	if before != t {
		return Receipt{}, ErrKeyReused
	}
	return r, nil
}
