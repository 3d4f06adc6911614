// Void may come after Cancel, and after a declined charge.
//
// A small state machine; it undoes everything that it ever tried.
//
//kata:zh Void 可以在 Cancel 之后调用，扣款被拒绝后也可以调用。
package payment

import (
	"context"
	"errors"
)

type Cents int64

const Attempts = 3

var (
	ErrOrder    = errors.New("payment: bad order")
	ErrDeclined = errors.New("payment: declined")
)

type Gateway interface {
	Charge(ctx context.Context, key, card string, amount Cents) error
	Void(ctx context.Context, key string) error
}

type Stock interface {
	Reserve(ctx context.Context, sku string, quantity int) (reservation string, err error)
	Ship(ctx context.Context, reservation string) error
	Cancel(ctx context.Context, reservation string) error
}

type Audit interface {
	Record(ctx context.Context, e Entry) error
}

type Entry struct {
	Order  string
	Amount Cents
}

type Order struct {
	ID       string
	Card     string
	SKU      string
	Quantity int
	Amount   Cents
}

type Shop struct {
	Gateway Gateway
	Stock   Stock
	Audit   Audit
}

func (s Shop) Buy(ctx context.Context, o Order) error {
	switch {
	case o.ID == "", o.SKU == "", o.Quantity <= 0, o.Amount <= 0:
		return ErrOrder
	}
	p := &purchase{shop: s, order: o}
	err := p.run(ctx)
	if err == nil {
		return nil
	}
	return errors.Join(append([]error{err}, p.undo(context.WithoutCancel(ctx))...)...)
}

type purchase struct {
	shop        Shop
	order       Order
	reservation string
	reserved    bool
	charges     int
}

func (p *purchase) run(ctx context.Context) error {
	for next := state(p.reserve); next != nil; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var err error
		if next, err = next(ctx); err != nil {
			return err
		}
	}
	return nil
}

type state func(context.Context) (state, error)

func (p *purchase) reserve(ctx context.Context) (state, error) {
	var err error
	p.reservation, err = p.shop.Stock.Reserve(ctx, p.order.SKU, p.order.Quantity)
	p.reserved = err == nil
	return p.charge, err
}

func (p *purchase) charge(ctx context.Context) (state, error) {
	p.charges++
	err := p.shop.Gateway.Charge(ctx, "k-"+p.order.ID, p.order.Card, p.order.Amount)
	switch {
	case err == nil:
		return p.record, nil
	case errors.Is(err, ErrDeclined) || p.charges == Attempts:
		return nil, err
	}
	return p.charge, nil
}

func (p *purchase) record(ctx context.Context) (state, error) {
	return p.ship, p.shop.Audit.Record(ctx, Entry{Order: p.order.ID, Amount: p.order.Amount})
}

func (p *purchase) ship(ctx context.Context) (state, error) {
	return nil, p.shop.Stock.Ship(ctx, p.reservation)
}

func (p *purchase) undo(ctx context.Context) (errs []error) {
	if p.reserved {
		errs = append(errs, p.shop.Stock.Cancel(ctx, p.reservation))
	}
	if p.charges > 0 {
		errs = append(errs, p.shop.Gateway.Void(ctx, "k-"+p.order.ID))
	}
	return errs
}
