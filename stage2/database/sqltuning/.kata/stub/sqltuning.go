// Package sqltuning makes the queries of a shop fast: by indexes, by saying the same in another way, and by asking for no more than is needed.
package sqltuning

import (
	"context"
	"database/sql"
	"time"
)

// Customer is a row of customers.
type Customer struct {
	ID             int64
	Email, Country string
}

// Order is a row of orders, without its note.
type Order struct {
	ID, Customer   int64
	Status         string
	Created, Total int64
}

// Cursor is a place in a customer's orders: behind this one. The zero Cursor is the beginning.
type Cursor struct {
	Created, ID int64
}

// Revenue is what a day has brought.
type Revenue struct {
	Orders, Total int64
}

// Indexes returns the statements that create the indexes, at most MaxIndexes of them.
func Indexes() []string {
	panic("TODO: CREATE INDEX …")
}

// Store answers the shop's questions. It may be used by several goroutines at once.
type Store struct{}

// Open prepares the statements of a Store, in a database that has the indexes. (Without them the answers are the same.)
func Open(ctx context.Context, db *sql.DB) (*Store, error) {
	panic("TODO: prepare each statement, once")
}

// Close closes the statements; not the database.
func (s *Store) Close() error {
	panic("TODO")
}

// ByEmail returns what SlowByEmail does.
func (s *Store) ByEmail(ctx context.Context, email string) ([]Customer, error) {
	panic("TODO: SlowByEmail, by an index")
}

// Page returns the next orders of a customer, the newest first, at most limit of them, and the place behind the last.
func (s *Store) Page(ctx context.Context, customer int64, after Cursor, limit int) ([]Order, Cursor, error) {
	panic("TODO: SlowPage, by a cursor instead of an offset")
}

// Revenue returns what SlowRevenue does, for the UTC day that holds t.
func (s *Store) Revenue(ctx context.Context, t time.Time) (Revenue, error) {
	panic("TODO: SlowRevenue, by an index that holds all that it asks for")
}

// Queue returns what SlowQueue does.
func (s *Store) Queue(ctx context.Context, limit int) ([]Order, error) {
	panic("TODO: SlowQueue, by an index that has the rows in order")
}

// Idle returns what SlowIdle does: the customers of a country without an order since then.
func (s *Store) Idle(ctx context.Context, country string, since time.Time) ([]int64, error) {
	panic("TODO: SlowIdle, looking only at the orders of that country's customers")
}
