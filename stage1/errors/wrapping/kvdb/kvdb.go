// Package kvdb is the store under the repository of this kata: rows by key, with transactions, in memory.
//
// It stands for a database driver. Its errors are its own affair: they come wrapped, a context's end
// among them, and the next version may report the same failure in another way. The package is given; there
// is nothing to edit here.
package kvdb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
)

// ErrNoKey is the cause of a get of a key that is not there.
var ErrNoKey = errors.New("no such key")

// ErrTxDone is the cause of any use of a transaction that is over.
var ErrTxDone = errors.New("transaction is over")

// A Code tells kinds of failure apart.
type Code int

const (
	// CodeOther is any failure without a code of its own.
	CodeOther Code = iota
	// CodeDuplicate is an insert of a key that is taken.
	CodeDuplicate
)

// Error is a failure of the driver. It may come wrapped in other errors.
type Error struct {
	Op   string // "get", "insert", "begin", "tx get", "tx put", "commit" or "rollback"
	Key  string // empty where no key is concerned
	Code Code
	Err  error
}

// Error returns, for example, `kvdb: get "user/u7": no such key`.
func (e *Error) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("kvdb: %s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("kvdb: %s %q: %v", e.Op, e.Key, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Row is one stored record.
type Row map[string]string

// DB is an open store, safe for concurrent use.
type DB struct {
	// Fault, if set, is asked before every operation, with the names that Error.Op uses.
	// An error that it returns is the result of that operation.
	Fault func(op, key string) error

	mu   sync.Mutex
	rows map[string]Row
}

// Open returns an empty store.
func Open() *DB {
	return &DB{rows: map[string]Row{}}
}

// Get returns the row under key.
func (db *DB) Get(ctx context.Context, key string) (Row, error) {
	if err := db.check(ctx, "get", key); err != nil {
		return nil, err
	}
	return db.row("get", key)
}

// Insert stores row under a key that must be free.
func (db *DB) Insert(ctx context.Context, key string, row Row) error {
	if err := db.check(ctx, "insert", key); err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if _, taken := db.rows[key]; taken {
		return &Error{Op: "insert", Key: key, Code: CodeDuplicate, Err: errors.New("duplicate key")}
	}
	db.rows[key] = maps.Clone(row)
	return nil
}

// Begin starts a transaction. It must be ended by Commit or Rollback.
func (db *DB) Begin(ctx context.Context) (*Tx, error) {
	if err := db.check(ctx, "begin", ""); err != nil {
		return nil, err
	}
	return &Tx{db: db, writes: map[string]Row{}}, nil
}

func (db *DB) check(ctx context.Context, op, key string) error {
	if db.Fault != nil {
		if err := db.Fault(op, key); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return &Error{Op: op, Key: key, Err: err}
	}
	return nil
}

func (db *DB) row(op, key string) (Row, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	row, ok := db.rows[key]
	if !ok {
		return nil, &Error{Op: op, Key: key, Err: ErrNoKey}
	}
	return maps.Clone(row), nil
}

// Tx is a transaction. Its writes show in the store once it is committed. It is for one goroutine.
type Tx struct {
	db     *DB
	writes map[string]Row
	done   bool
}

// Get returns the row under key.
func (tx *Tx) Get(ctx context.Context, key string) (Row, error) {
	if err := tx.check(ctx, "tx get", key); err != nil {
		return nil, err
	}
	if row, ok := tx.writes[key]; ok {
		return maps.Clone(row), nil
	}
	return tx.db.row("tx get", key)
}

// Put stores row under key, whether the key is free or taken.
func (tx *Tx) Put(ctx context.Context, key string, row Row) error {
	if err := tx.check(ctx, "tx put", key); err != nil {
		return err
	}
	tx.writes[key] = maps.Clone(row)
	return nil
}

// Commit makes the writes visible. The transaction is over afterwards, even if Commit fails.
func (tx *Tx) Commit() error {
	err := tx.check(context.Background(), "commit", "")
	tx.done = true
	if err != nil {
		return err
	}
	tx.db.mu.Lock()
	defer tx.db.mu.Unlock()
	maps.Copy(tx.db.rows, tx.writes)
	return nil
}

// Rollback drops the writes and ends the transaction. On one that is over it fails with ErrTxDone.
func (tx *Tx) Rollback() error {
	err := tx.check(context.Background(), "rollback", "")
	tx.done = true
	return err
}

func (tx *Tx) check(ctx context.Context, op, key string) error {
	if tx.done {
		return &Error{Op: op, Key: key, Err: ErrTxDone}
	}
	return tx.db.check(ctx, op, key)
}
