// Package sqltuning: compares whole seconds with a fraction of one: the orders in the second of since itself are left out.
//
//kata:caught-by TestSameAnswers
package sqltuning

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
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
//
// The third serves two queries: the queue wants the pending orders by created and id, the revenue a day of the paid ones. With id before
// total the index has the queue's order, and total makes it cover the revenue.
func Indexes() []string {
	return []string{
		`CREATE INDEX customers_email ON customers (lower(email))`,
		`CREATE INDEX customers_country ON customers (country)`,
		`CREATE INDEX orders_status ON orders (status, created, id, total)`,
		`CREATE INDEX orders_customer ON orders (customer, created)`,
	}
}

const (
	byEmail = `SELECT id, email, country FROM customers WHERE lower(email) = lower($1) ORDER BY id`

	page = `
		SELECT id, customer, status, created, total FROM orders
		WHERE customer = $1 AND (created, id) < ($2, $3)
		ORDER BY created DESC, id DESC
		LIMIT $4`

	// A range of the column itself: an index cannot be searched for what a function makes of its columns.
	revenue = `
		SELECT COUNT(*), COALESCE(SUM(total), 0) FROM orders
		WHERE status = 'paid' AND created >= $1 AND created < $2`

	queue = `
		SELECT id, customer, status, created, total FROM orders
		WHERE status = 'pending'
		ORDER BY created, id
		LIMIT $1`

	// One look into the index for each customer of the country, instead of a list of all who have ordered.
	idle = `
		SELECT id FROM customers c
		WHERE country = $1 AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer = c.id AND o.created >= $2)
		ORDER BY id`
)

// Store answers the shop's questions. It may be used by several goroutines at once.
type Store struct {
	byEmail, page, revenue, queue, idle *sql.Stmt
}

// Open prepares the statements of a Store, in a database that has the indexes. (Without them the answers are the same.)
func Open(ctx context.Context, db *sql.DB) (*Store, error) {
	s := &Store{}
	for _, p := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&s.byEmail, byEmail}, {&s.page, page}, {&s.revenue, revenue}, {&s.queue, queue}, {&s.idle, idle},
	} {
		var err error
		if *p.stmt, err = db.PrepareContext(ctx, p.text); err != nil {
			return nil, errors.Join(fmt.Errorf("prepare %s: %w", p.text, err), s.Close())
		}
	}
	return s, nil
}

// Close closes the statements; not the database.
func (s *Store) Close() error {
	var errs []error
	for _, stmt := range []*sql.Stmt{s.byEmail, s.page, s.revenue, s.queue, s.idle} {
		if stmt != nil { // nil where Open got no further
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(errs...)
}

// list reads all rows of a query, which must not be many.
func list[T any](ctx context.Context, stmt *sql.Stmt, fields func(*T) []any, args ...any) ([]T, error) {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		var row T
		if err := rows.Scan(fields(&row)...); err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil { // Next is false for an error, too
		return nil, err
	}
	return all, nil
}

func orderFields(o *Order) []any { return []any{&o.ID, &o.Customer, &o.Status, &o.Created, &o.Total} }

// ByEmail returns what SlowByEmail does.
func (s *Store) ByEmail(ctx context.Context, email string) ([]Customer, error) {
	return list(ctx, s.byEmail, func(c *Customer) []any { return []any{&c.ID, &c.Email, &c.Country} }, email)
}

// Page returns the next orders of a customer, the newest first, at most limit of them, and the place behind the last.
func (s *Store) Page(ctx context.Context, customer int64, after Cursor, limit int) ([]Order, Cursor, error) {
	if after == (Cursor{}) {
		after = Cursor{math.MaxInt64, math.MaxInt64}
	}
	orders, err := list(ctx, s.page, orderFields, customer, after.Created, after.ID, limit)
	if err != nil || len(orders) < limit || limit == 0 {
		return orders, Cursor{}, err
	}
	last := orders[len(orders)-1]
	return orders, Cursor{last.Created, last.ID}, nil
}

// Revenue returns what SlowRevenue does, for the UTC day that holds t.
func (s *Store) Revenue(ctx context.Context, t time.Time) (r Revenue, err error) {
	y, m, d := t.UTC().Date()
	from, to := time.Date(y, m, d, 0, 0, 0, 0, time.UTC), time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
	err = s.revenue.QueryRowContext(ctx, from.Unix(), to.Unix()).Scan(&r.Orders, &r.Total)
	return r, err
}

// Queue returns what SlowQueue does.
func (s *Store) Queue(ctx context.Context, limit int) ([]Order, error) {
	return list(ctx, s.queue, orderFields, limit)
}

// Idle returns what SlowIdle does: the customers of a country without an order since then.
func (s *Store) Idle(ctx context.Context, country string, since time.Time) ([]int64, error) {
	return list(ctx, s.idle, func(id *int64) []any { return []any{id} }, country, float64(since.UnixMilli())/1000)
}
