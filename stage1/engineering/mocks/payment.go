// Package payment sells things: it reserves them, charges a card, puts that on
// record and ships.
//
// This documentation is the contract. A test suite for the package must
// accept everything that the contract leaves open, and nothing that it
// forbids. The implementation below is one right answer of many.
package payment

//go:generate go run go.uber.org/mock/mockgen@v0.6.0 -source=payment.go -destination=paymock/paymock.go -package=paymock

import (
	"context"
	"errors"
)

// Cents is an amount of money.
type Cents int64

// Attempts is how often a charge is tried.
const Attempts = 3

var (
	// ErrOrder says that an order makes no sense. Nothing was called.
	ErrOrder = errors.New("payment: bad order")
	// ErrDeclined comes from a Gateway: the bank said no, nothing was charged.
	ErrDeclined = errors.New("payment: declined")
)

// A Gateway talks to a bank.
type Gateway interface {
	// Charge takes amount from card, once for each key: with a key that has been
	// charged before it takes nothing more and returns nil. After an error that
	// matches ErrDeclined nothing was charged; after any other nobody knows.
	Charge(ctx context.Context, key, card string, amount Cents) error
	// Void gives back what was charged under key. If that is nothing, it does
	// nothing and returns nil.
	Void(ctx context.Context, key string) error
}

// Stock is a warehouse.
type Stock interface {
	// Reserve puts pieces aside. After an error there is no reservation.
	Reserve(ctx context.Context, sku string, quantity int) (reservation string, err error)
	// Ship sends what is reserved. After an error nothing was sent, and the
	// reservation still stands.
	Ship(ctx context.Context, reservation string) error
	// Cancel gives up a reservation.
	Cancel(ctx context.Context, reservation string) error
}

// An Audit keeps the record of all charges.
type Audit interface {
	Record(ctx context.Context, e Entry) error
}

// An Entry says that an order was charged.
type Entry struct {
	Order  string
	Amount Cents
}

// An Order is one purchase. It is bad if ID or SKU is empty, or Quantity or
// Amount less than 1.
type Order struct {
	ID       string // unique
	Card     string
	SKU      string
	Quantity int
	Amount   Cents
}

// A Shop sells what is in Stock.
type Shop struct {
	Gateway Gateway
	Stock   Stock
	Audit   Audit
}

// Buy carries an order out. These steps come one after the other:
//
//   - Reserve the goods.
//   - Charge the card. If the outcome is unknown, try again at once, Attempts
//     times in all, with the same key. A declined charge is not tried again. No
//     two orders have the same key; apart from that the keys are open.
//   - Record the charge.
//   - Ship the reservation.
//
// If a step fails for good, or ctx has ended before a step or an attempt
// begins, Buy goes no further and undoes what was done: if a charge may have
// happened, it calls Void; if there is a reservation, it calls Cancel. Each is
// called once, even if the other fails, in any order. Void may be called after
// a declined charge too.
//
// The steps are called with ctx or a context derived from it. What is undone
// is called with a context that has the values of ctx and has not ended.
//
// Buy returns nil if the goods were shipped. Otherwise the error matches, by
// errors.Is, the one of the step that failed (of a charge: of its last
// attempt), or context.Cause(ctx) if that is why Buy stopped, and besides the
// errors of Void and Cancel. An attempt that is not repeated because ctx has
// ended counts as such a stop: the error matches context.Cause(ctx).
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

// pay charges the order and records it. It reports whether money may have
// been taken.
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

// step calls f unless ctx has ended.
func step(ctx context.Context, f func() error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return f()
}
