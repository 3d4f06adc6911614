// Package service is what the shop does: its use cases. It says what it needs of a store, and does not know which store that is.
package service

import (
	"context"
	"errors"

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
	var placed domain.Order
	err := s.store.InTx(ctx, func(tx Tx) error {
		o, err := domain.NewOrder(customer, wants)
		if err != nil {
			return err
		}
		for _, w := range wants {
			p, err := tx.Product(ctx, w.SKU)
			// To the store it is not there; to whoever orders, the order is wrong.
			if refusal, ok := errors.AsType[*domain.Error](err); ok && refusal.Kind == domain.NotFound {
				return &domain.Error{Kind: domain.Invalid, Text: refusal.Text}
			}
			if err != nil {
				return err
			}
			if err := o.Take(&p); err != nil {
				return err
			}
			if err := tx.SaveProduct(ctx, p); err != nil {
				return err
			}
		}
		o.ID, err = tx.AddOrder(ctx, o)
		placed = o
		return err
	})
	if err != nil {
		return domain.Order{}, err
	}
	return placed, nil
}

// Order returns an order.
func (s *Service) Order(ctx context.Context, id int64) (domain.Order, error) {
	var found domain.Order
	err := s.store.InTx(ctx, func(tx Tx) (err error) {
		found, err = tx.Order(ctx, id)
		return err
	})
	if err != nil {
		return domain.Order{}, err
	}
	return found, nil
}

// Cancel cancels an order, and puts its pieces back into the stock.
func (s *Service) Cancel(ctx context.Context, id int64) (domain.Order, error) {
	var cancelled domain.Order
	err := s.store.InTx(ctx, func(tx Tx) error {
		o, err := tx.Order(ctx, id)
		if err != nil {
			return err
		}
		if err := o.Cancel(); err != nil {
			return err
		}
		if err := tx.SaveOrder(ctx, o); err != nil {
			return err
		}
		for _, l := range o.Lines {
			p, err := tx.Product(ctx, l.SKU)
			if err != nil {
				return err
			}
			o.GiveBack(&p)
			if err := tx.SaveProduct(ctx, p); err != nil {
				return err
			}
		}
		cancelled = o
		return nil
	})
	if err != nil {
		return domain.Order{}, err
	}
	return cancelled, nil
}
