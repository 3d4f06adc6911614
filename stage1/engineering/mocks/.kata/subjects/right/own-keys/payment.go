// A key may have any form, and an error may say more than its cause.
//
// A deferred function undoes what a list of steps has done.
//
//kata:zh 幂等键可以是任何形式，错误也可以比原因说得更多。
package payment

import (
	"context"
	"errors"
	"fmt"
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

func (s Shop) Buy(ctx context.Context, o Order) (err error) {
	if o.ID == "" || o.SKU == "" || o.Quantity < 1 || o.Amount < 1 {
		return fmt.Errorf("buy %+v: %w", o, ErrOrder)
	}
	var undo []func(context.Context) error
	defer func() {
		if err == nil {
			return
		}
		ctx := context.WithoutCancel(ctx)
		for i := len(undo) - 1; i >= 0; i-- {
			err = errors.Join(err, undo[i](ctx))
		}
	}()

	key := fmt.Sprintf("payment/v1/%q", o.ID)
	reservation, attempts := "", 0
	steps := []struct {
		name string
		do   func() (again bool, err error)
	}{
		{"reserve", func() (_ bool, err error) {
			reservation, err = s.Stock.Reserve(ctx, o.SKU, o.Quantity)
			if err == nil {
				undo = append(undo, func(ctx context.Context) error { return s.Stock.Cancel(ctx, reservation) })
			}
			return false, err
		}},
		{"charge", func() (bool, error) {
			err := s.Gateway.Charge(ctx, key, o.Card, o.Amount)
			if attempts == 0 && !errors.Is(err, ErrDeclined) {
				undo = append(undo, func(ctx context.Context) error { return s.Gateway.Void(ctx, key) })
			}
			attempts++
			return attempts < Attempts && err != nil && !errors.Is(err, ErrDeclined), err
		}},
		{"record", func() (bool, error) {
			return false, s.Audit.Record(ctx, Entry{Order: o.ID, Amount: o.Amount})
		}},
		{"ship", func() (bool, error) { return false, s.Stock.Ship(ctx, reservation) }},
	}
	for _, step := range steps {
		for again := true; again; {
			if ctx.Err() != nil {
				return fmt.Errorf("%s: %w", step.name, context.Cause(ctx))
			}
			if again, err = step.do(); err != nil && !again {
				return fmt.Errorf("%s: %w", step.name, err)
			}
		}
	}
	return nil
}
