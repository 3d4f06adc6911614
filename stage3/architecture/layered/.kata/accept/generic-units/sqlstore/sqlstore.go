// Package sqlstore keeps the shop in SQLite.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/roadkata/roadkata/stage3/architecture/layered/domain"
	"github.com/roadkata/roadkata/stage3/architecture/layered/service"
)

// Store is a service.Store on a database with the shop's tables.
type Store struct {
	db *sql.DB
}

// New is a store on db.
func New(db *sql.DB) *Store { return &Store{db} }

// storeError carries the text of the driver's error, and nothing else of it.
type storeError struct{ text string }

func (e storeError) Error() string { return e.text }

// InTx runs f in a transaction of the database. It is rolled back if f fails or panics. Besides what f returns, no error of database/sql or of the driver comes out
// but as text; the end of a context does come out.
func (s *Store) InTx(ctx context.Context, f func(tx service.Tx) error) (err error) {
	t, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return ended(ctx, err)
	}
	u := &unit{tx: t}
	done := false
	defer func() {
		if !done {
			t.Rollback()
		}
	}()
	if err := f(u); err != nil {
		return err
	}
	done = true // a commit ends the transaction, also if it fails
	return ended(ctx, t.Commit())
}

// ended is what a caller may know of err: the end of ctx, or a text.
func ended(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := ctx.Err(); cause != nil {
		return errors.Join(cause, storeError{err.Error()})
	}
	return storeError{"store: " + err.Error()}
}

type unit struct{ tx *sql.Tx }

// query calls row for each row.
func (u *unit) query(ctx context.Context, row func(*sql.Rows) error, statement string, args ...any) (n int, err error) {
	rows, err := u.tx.QueryContext(ctx, statement, args...)
	if err != nil {
		return 0, ended(ctx, err)
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		if err := row(rows); err != nil {
			return n, ended(ctx, err)
		}
	}
	return n, ended(ctx, rows.Err())
}

func (u *unit) exec(ctx context.Context, statement string, args ...any) error {
	_, err := u.tx.ExecContext(ctx, statement, args...)
	return ended(ctx, err)
}

func (u *unit) Product(ctx context.Context, sku string) (p domain.Product, err error) {
	p.SKU = sku
	n, err := u.query(ctx, func(r *sql.Rows) error { return r.Scan(&p.Price, &p.Stock) }, `SELECT price, stock FROM products WHERE sku = ?`, sku)
	if err == nil && n == 0 {
		err = &domain.Error{Kind: domain.NotFound, Text: fmt.Sprintf("no such product %q", sku)}
	}
	return p, err
}

func (u *unit) SaveProduct(ctx context.Context, p domain.Product) error {
	return u.exec(ctx, `INSERT INTO products VALUES (?, ?, ?) ON CONFLICT (sku) DO UPDATE SET price = excluded.price, stock = excluded.stock`, p.SKU, p.Price, p.Stock)
}

// Order reads the order and its lines at once.
func (u *unit) Order(ctx context.Context, id int64) (o domain.Order, err error) {
	o.ID = id
	n, err := u.query(ctx, func(r *sql.Rows) error {
		var sku sql.NullString
		var qty, price sql.NullInt64
		err := r.Scan(&o.Customer, &o.Total, &o.Status, &sku, &qty, &price)
		if sku.Valid {
			o.Lines = append(o.Lines, domain.Line{SKU: sku.String, Qty: int(qty.Int64), Price: price.Int64})
		}
		return err
	}, `SELECT customer, total, status, sku, qty, price FROM orders LEFT JOIN lines ON order_id = id WHERE id = ? ORDER BY lines.rowid`, id)
	if err == nil && n == 0 {
		err = &domain.Error{Kind: domain.NotFound, Text: "no such order"}
	}
	return o, err
}

func (u *unit) AddOrder(ctx context.Context, o domain.Order) (id int64, err error) {
	result, err := u.tx.ExecContext(ctx, `INSERT INTO orders (customer, total, status) VALUES (?, ?, ?)`, o.Customer, o.Total, string(o.Status))
	if err == nil {
		id, err = result.LastInsertId()
	}
	if err != nil {
		return 0, ended(ctx, err)
	}
	for _, l := range o.Lines {
		if err := u.exec(ctx, `INSERT INTO lines VALUES (?, ?, ?, ?)`, id, l.SKU, l.Qty, l.Price); err != nil {
			return 0, err
		}
	}
	return id, nil
}

func (u *unit) SaveOrder(ctx context.Context, o domain.Order) error {
	return u.exec(ctx, `UPDATE orders SET status = ? WHERE id = ?`, string(o.Status), o.ID)
}
