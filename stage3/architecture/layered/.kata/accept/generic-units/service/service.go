// Package service is what the shop does: its use cases. It says what it needs of a store, and does not know which store that is.
package service

import (
	"context"
	"errors"
	"fmt"

	"github.com/roadkata/roadkata/stage3/architecture/layered/domain"
)

// Store keeps products and orders.
type Store interface {
	// InTx runs f as one unit of work: if f returns nil and InTx does, everything that f did is done, else nothing.
	// An error of f comes back, or is wrapped.
	InTx(ctx context.Context, f func(tx Tx) error) error
}

// Tx is a unit of work. It is used in InTx's f, by one goroutine.
type Tx interface {
	// Product returns a product; if there is none, a *domain.Error, NotFound, `no such product "<sku>"`.
	Product(ctx context.Context, sku string) (domain.Product, error)
	// SaveProduct stores what changed of a product that is there.
	SaveProduct(ctx context.Context, p domain.Product) error
	// Order returns an order, its lines as they were ordered; if there is none, a *domain.Error, NotFound, `no such order`.
	Order(ctx context.Context, id int64) (domain.Order, error)
	// AddOrder stores a new order, and returns the ID that it got.
	AddOrder(ctx context.Context, o domain.Order) (int64, error)
	// SaveOrder stores the status of an order that is there. Nothing else of an order changes.
	SaveOrder(ctx context.Context, o domain.Order) error
}

// Service is the shop.
type Service struct {
	store Store
}

// New is a shop on a store.
func New(store Store) *Service { return &Service{store} }

// Place places an order, and takes its pieces from the stock. An unknown product makes the order Invalid.
func (s *Service) Place(ctx context.Context, customer string, wants []domain.Want) (domain.Order, error) {
	order, err := domain.NewOrder(customer, wants)
	if err != nil {
		return domain.Order{}, fmt.Errorf("place: %w", err)
	}
	return unit(ctx, s.store, func(tx Tx) (domain.Order, error) {
		o := order
		o.Lines = append([]domain.Line(nil), order.Lines...) // another run starts afresh
		for i := range o.Lines {
			p, err := known(tx.Product(ctx, o.Lines[i].SKU))
			if err == nil {
				err = o.Take(&p)
			}
			if err == nil {
				err = tx.SaveProduct(ctx, p)
			}
			if err != nil {
				return o, fmt.Errorf("line %d: %w", i+1, err)
			}
		}
		var err error
		o.ID, err = tx.AddOrder(ctx, o)
		return o, err
	})
}

// Order returns an order.
func (s *Service) Order(ctx context.Context, id int64) (domain.Order, error) {
	return unit(ctx, s.store, func(tx Tx) (domain.Order, error) { return tx.Order(ctx, id) })
}

// Cancel cancels an order, and puts its pieces back into the stock.
func (s *Service) Cancel(ctx context.Context, id int64) (domain.Order, error) {
	return unit(ctx, s.store, func(tx Tx) (domain.Order, error) {
		o, err := tx.Order(ctx, id)
		if err != nil {
			return o, err
		}
		if err := o.Cancel(); err != nil {
			return o, fmt.Errorf("order %d: %w", id, err)
		}
		for _, l := range o.Lines {
			p, err := tx.Product(ctx, l.SKU)
			if err != nil {
				return o, err
			}
			o.GiveBack(&p)
			if err := tx.SaveProduct(ctx, p); err != nil {
				return o, fmt.Errorf("give back %q: %w", l.SKU, err)
			}
		}
		return o, tx.SaveOrder(ctx, o)
	})
}

// unit runs f as one unit of work, and returns its result only if it was done.
func unit[R any](ctx context.Context, store Store, f func(Tx) (R, error)) (R, error) {
	var result, none R
	err := store.InTx(ctx, func(tx Tx) error {
		r, err := f(tx)
		result = r
		return err
	})
	if err != nil {
		return none, err
	}
	return result, nil
}

// known makes an order for an unknown product invalid.
func known(p domain.Product, err error) (domain.Product, error) {
	if refusal := new(domain.Error); errors.As(err, &refusal) && refusal.Kind == domain.NotFound {
		return p, &domain.Error{Kind: domain.Invalid, Text: refusal.Text}
	}
	return p, err
}
