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

// InTx runs f in a transaction of the database. It is rolled back if f fails or panics. Besides what f returns, no error of database/sql or of the driver comes out
// but as text; the end of a context does come out.
func (s *Store) InTx(ctx context.Context, f func(tx service.Tx) error) error {
	t, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return translate(ctx, "begin", err)
	}
	// Does nothing after a commit; also runs when f panics.
	defer t.Rollback()
	if err := f(tx{t}); err != nil {
		return err
	}
	if err := t.Commit(); err != nil {
		return translate(ctx, "commit", err)
	}
	return nil
}

type tx struct{ *sql.Tx }

func (t tx) Product(ctx context.Context, sku string) (domain.Product, error) {
	p := domain.Product{SKU: sku}
	err := t.QueryRowContext(ctx, `SELECT price, stock FROM products WHERE sku = $1`, sku).Scan(&p.Price, &p.Stock)
	if errors.Is(err, sql.ErrNoRows) {
		return domain.Product{}, &domain.Error{Kind: domain.NotFound, Text: fmt.Sprintf("no such product %q", sku)}
	}
	if err != nil {
		return domain.Product{}, translate(ctx, "read product", err)
	}
	return p, nil
}

func (t tx) SaveProduct(ctx context.Context, p domain.Product) error {
	_, err := t.ExecContext(ctx, `UPDATE products SET price = $1, stock = $2 WHERE sku = $3`, p.Price, p.Stock, p.SKU)
	return translate(ctx, "save product", err)
}

func (t tx) Order(ctx context.Context, id int64) (domain.Order, error) {
	o := domain.Order{ID: id}
	err := t.QueryRowContext(ctx, `SELECT customer, total, status FROM orders WHERE id = $1`, id).Scan(&o.Customer, &o.Total, &o.Status)
	if errors.Is(err, sql.ErrNoRows) {
		return domain.Order{}, &domain.Error{Kind: domain.NotFound, Text: "no such order"}
	}
	if err != nil {
		return domain.Order{}, translate(ctx, "read order", err)
	}
	rows, err := t.QueryContext(ctx, `SELECT sku, qty, price FROM lines WHERE order_id = $1 ORDER BY rowid`, id)
	if err != nil {
		return domain.Order{}, translate(ctx, "read lines", err)
	}
	defer rows.Close()
	for rows.Next() {
		var l domain.Line
		if err := rows.Scan(&l.SKU, &l.Qty, &l.Price); err != nil {
			return domain.Order{}, translate(ctx, "read line", err)
		}
		o.Lines = append(o.Lines, l)
	}
	if err := rows.Err(); err != nil {
		return domain.Order{}, translate(ctx, "read lines", err)
	}
	return o, nil
}

func (t tx) AddOrder(ctx context.Context, o domain.Order) (int64, error) {
	var id int64
	err := t.QueryRowContext(ctx, `INSERT INTO orders (customer, total, status) VALUES ($1, $2, $3) RETURNING id`, o.Customer, o.Total, o.Status).Scan(&id)
	if err != nil {
		return 0, translate(ctx, "add order", err)
	}
	for _, l := range o.Lines {
		_, err := t.ExecContext(ctx, `INSERT INTO lines (order_id, sku, qty, price) VALUES ($1, $2, $3, $4)`, id, l.SKU, l.Qty, l.Price)
		if err != nil {
			return 0, translate(ctx, "add line", err)
		}
	}
	return id, nil
}

func (t tx) SaveOrder(ctx context.Context, o domain.Order) error {
	_, err := t.ExecContext(ctx, `UPDATE orders SET status = $1 WHERE id = $2`, o.Status, o.ID)
	return translate(ctx, "save order", err)
}

// translate takes the driver's error out of reach: what callers can match becomes part of what the store promises. The end of the context is the callers' own, also
// where database/sql says only that the transaction is over.
func translate(ctx context.Context, doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	default:
		return fmt.Errorf("%s: %v", doing, err)
	}
}
