// A context derived from ctx is as right as ctx itself.
//
// Every call has a deadline of its own.
//
//kata:zh 传递由 ctx 派生的 context 与传递 ctx 本身同样正确。
package payment

import (
	"context"
	"errors"
	"time"
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
	call, cancel := context.WithTimeout(ctx, patience)
	reservation, err := s.Stock.Reserve(call, o.SKU, o.Quantity)
	cancel()
	if err != nil {
		return err
	}
	charged, err := s.pay(ctx, o)
	if err == nil {
		err = step(ctx, func(ctx context.Context) error { return s.Stock.Ship(ctx, reservation) })
	}
	if err == nil {
		return nil
	}

	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if charged {
		err = errors.Join(err, s.Gateway.Void(undo, o.ID))
	}
	return errors.Join(err, s.Stock.Cancel(undo, reservation))
}

func (s Shop) pay(ctx context.Context, o Order) (charged bool, err error) {
	for range Attempts {
		err = step(ctx, func(ctx context.Context) error {
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
	return charged, step(ctx, func(ctx context.Context) error { return s.Audit.Record(ctx, Entry{Order: o.ID, Amount: o.Amount}) })
}

const patience = time.Minute

func step(ctx context.Context, f func(context.Context) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return f(ctx)
}
