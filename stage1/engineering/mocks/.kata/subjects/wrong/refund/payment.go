// What was charged is given back if the order fails later.
//
// The bug: Void is called only if the charge itself failed.
//
//kata:zh 收款之后订单失败，要把钱退回去。
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
	if o.ID == "" || o.SKU == "" || o.Quantity < 1 || o.Amount < 1 {
		return ErrOrder
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	reservation, err := s.Stock.Reserve(ctx, o.SKU, o.Quantity)
	if err != nil {
		return err
	}
	charged, err := s.pay(ctx, o)
	if err == nil {
		charged = false
		err = step(ctx, func() error { return s.Stock.Ship(ctx, reservation) })
	}
	if err == nil {
		return nil
	}

	undo := context.WithoutCancel(ctx)
	if charged {
		err = errors.Join(err, s.Gateway.Void(undo, o.ID))
	}
	return errors.Join(err, s.Stock.Cancel(undo, reservation))
}

func (s Shop) pay(ctx context.Context, o Order) (charged bool, err error) {
	for range Attempts {
		err = step(ctx, func() error {
			charged = true
			return s.Gateway.Charge(ctx, o.ID, o.Card, o.Amount)
		})
		if errors.Is(err, ErrDeclined) {
			return false, err
		}
		if err == nil {
			break
		}
	}
	if err != nil {
		return charged, err
	}
	return charged, step(ctx, func() error { return s.Audit.Record(ctx, Entry{Order: o.ID, Amount: o.Amount}) })
}

func step(ctx context.Context, f func() error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return f()
}
