// Package transactions moves money between accounts, in transactions that are run again when the database asks for it.
package transactions

import (
	"context"
	"database/sql"
	"errors"
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
	panic("TODO: SQLite's BUSY in all its forms; PostgreSQL's 40001 and 40P01; nothing else")
}

// Run runs f in a transaction, as if there were no others at the same time, and commits if f returns nil. What is retryable is run again, from the beginning.
// When f panics or leaves its goroutine, the transaction is rolled back.
func Run(ctx context.Context, db *sql.DB, p Policy, f func(tx *sql.Tx) error) error {
	panic("TODO: begin, run, commit; again if the database asks for it")
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
	panic("TODO: all of it in one transaction")
}
