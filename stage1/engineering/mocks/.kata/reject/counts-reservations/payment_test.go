// Counts what is reserved and what is given back, and does not see when.
//
//kata:caught-by catches/reserve-first
package payment_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.uber.org/mock/gomock"

	payment "github.com/roadkata/roadkata/stage1/engineering/mocks"
	"github.com/roadkata/roadkata/stage1/engineering/mocks/paymock"
)

// This file uses two kinds of doubles. Mocks, where the calls are what the
// contract speaks of: their number, their order, their arguments. A fake bank,
// where it speaks of what is true afterwards: who paid how much.

var (
	errNoAnswer = errors.New("no answer")
	errVoid     = errors.New("void failed")
	errCancel   = errors.New("cancel failed")
)

var mug = payment.Order{ID: "A-17", Card: "4111", SKU: "mug", Quantity: 2, Amount: 30_00}

// Mocks are strict: a call that no test expects fails it.
type mocks struct {
	gateway *paymock.MockGateway
	stock   *paymock.MockStock
	audit   *paymock.MockAudit
	shop    payment.Shop
	held    int
}

func newMocks(t *testing.T) *mocks {
	ctrl := gomock.NewController(t)
	m := &mocks{paymock.NewMockGateway(ctrl), paymock.NewMockStock(ctrl), paymock.NewMockAudit(ctrl), payment.Shop{}, 0}
	m.shop = payment.Shop{Gateway: m.gateway, Stock: m.stock, Audit: m.audit}
	t.Cleanup(func() {
		if m.held != 0 {
			t.Errorf("%d reservations are left", m.held)
		}
	})
	return m
}

// Contexts and keys are left open by the contract, hence gomock.Any. What it
// says of them has tests of its own.

func (m *mocks) reserve() *gomock.Call {
	return m.stock.EXPECT().Reserve(gomock.Any(), mug.SKU, mug.Quantity).Return("shelf 9", nil).MaxTimes(1).
		Do(func(context.Context, string, int) { m.held++ })
}

func (m *mocks) charge(err error) *gomock.Call {
	return m.gateway.EXPECT().Charge(gomock.Any(), gomock.Any(), mug.Card, mug.Amount).Return(err)
}

func (m *mocks) record(err error) *gomock.Call {
	return m.audit.EXPECT().Record(gomock.Any(), payment.Entry{Order: mug.ID, Amount: mug.Amount}).Return(err)
}

func (m *mocks) ship(err error) *gomock.Call {
	return m.stock.EXPECT().Ship(gomock.Any(), "shelf 9").Return(err).
		Do(func(context.Context, string) {
			if err == nil {
				m.held--
			}
		})
}

func (m *mocks) void(err error) *gomock.Call {
	return m.gateway.EXPECT().Void(gomock.Any(), gomock.Any()).Return(err)
}

func (m *mocks) cancel(err error) *gomock.Call {
	return m.stock.EXPECT().Cancel(gomock.Any(), "shelf 9").Return(err).MaxTimes(1).
		Do(func(context.Context, string) { m.held-- })
}

func wantErrors(t *testing.T, got error, want ...error) {
	t.Helper()
	for _, w := range want {
		if !errors.Is(got, w) {
			t.Errorf("Buy = %v, want an error that matches %v", got, w)
		}
	}
	if len(want) == 0 && got != nil {
		t.Errorf("Buy = %v, want nil", got)
	}
}

func TestSteps(t *testing.T) {
	m := newMocks(t)
	m.reserve()
	m.charge(nil)
	gomock.InOrder(m.record(nil), m.ship(nil))

	wantErrors(t, m.shop.Buy(t.Context(), mug))
}

func TestChargeIsTriedAgain(t *testing.T) {
	m := newMocks(t)
	m.reserve()
	gomock.InOrder(m.charge(errNoAnswer), m.charge(errNoAnswer), m.charge(nil), m.record(nil), m.ship(nil))

	wantErrors(t, m.shop.Buy(t.Context(), mug))
}

func TestChargeFailsForGood(t *testing.T) {
	m := newMocks(t)
	errLast := errors.New("still no answer")
	last := m.charge(errLast)
	m.reserve()
	gomock.InOrder(m.charge(errNoAnswer), m.charge(errNoAnswer), last)
	m.void(nil).After(last)
	m.cancel(nil).After(last)

	wantErrors(t, m.shop.Buy(t.Context(), mug), errLast)
}

func TestDeclined(t *testing.T) {
	for name, before := range map[string]int{"at once": 0, "after an unknown outcome": 1} {
		t.Run(name, func(t *testing.T) {
			m := newMocks(t)
			declined := m.charge(fmt.Errorf("card expired: %w", payment.ErrDeclined))
			m.reserve()
			for range before {
				declined.After(m.charge(errNoAnswer))
			}
			m.void(nil).MaxTimes(1).After(declined) // open
			m.cancel(nil).After(declined)

			wantErrors(t, m.shop.Buy(t.Context(), mug), payment.ErrDeclined)
		})
	}
}

func TestRecordFails(t *testing.T) {
	m := newMocks(t)
	m.reserve()
	m.charge(nil)
	failed := m.record(errNoAnswer)
	m.void(nil).After(failed)
	m.cancel(nil).After(failed)

	wantErrors(t, m.shop.Buy(t.Context(), mug), errNoAnswer)
}

func TestShipFails(t *testing.T) {
	for name, undone := range map[string]struct{ void, cancel error }{
		"and all is undone":         {nil, nil},
		"and the money stays":       {errVoid, nil},
		"and the reservation stays": {nil, errCancel},
		"and nothing can be undone": {errVoid, errCancel},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMocks(t)
			m.reserve()
			m.charge(nil)
			m.record(nil)
			failed := m.ship(errNoAnswer)
			m.void(undone.void).After(failed)
			m.cancel(undone.cancel).After(failed)

			err := m.shop.Buy(t.Context(), mug)

			wantErrors(t, err, errNoAnswer)
			for _, want := range []error{undone.void, undone.cancel} {
				if want != nil {
					wantErrors(t, err, want)
				}
			}
		})
	}
}

func TestBadOrders(t *testing.T) {
	for name, spoil := range map[string]func(*payment.Order){
		"no ID":             func(o *payment.Order) { o.ID = "" },
		"no SKU":            func(o *payment.Order) { o.SKU = "" },
		"no piece":          func(o *payment.Order) { o.Quantity = 0 },
		"nothing to pay":    func(o *payment.Order) { o.Amount = 0 },
		"less than nothing": func(o *payment.Order) { o.Amount = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			bad := mug
			spoil(&bad)
			wantErrors(t, newMocks(t).shop.Buy(t.Context(), bad), payment.ErrOrder)
		})
	}
}

// customer is a key of the caller's context.
type customer struct{}

// wantContext checks the context that a double is called with.
func wantContext(t *testing.T, call string, ctx context.Context, ended bool) {
	t.Helper()
	if ctx.Value(customer{}) != "Ann" {
		t.Errorf("%s: the context lacks the caller's values", call)
	}
	if got := ctx.Err() != nil; got != ended {
		t.Errorf("%s: the context has ended: %v, want %v", call, got, ended)
	}
}

// TestContextEnds ends the caller's context inside of one step and looks at
// what each call can see of it.
func TestContextEnds(t *testing.T) {
	errStop := errors.New("customer left")
	for _, during := range []string{"Buy", "Charge", "Charge, without an answer"} {
		t.Run("during "+during, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), customer{}, "Ann"))
			step := func(call string, ctx context.Context) {
				wantContext(t, call, ctx, false)
				if call == during {
					cancel(errStop)
					wantContext(t, call, ctx, true)
				}
			}
			m := newMocks(t)
			switch during {
			case "Record":
				m.record(nil).Do(func(ctx context.Context, _ payment.Entry) { step("Record", ctx) })
				fallthrough
			case "Charge":
				m.charge(nil).Do(func(ctx context.Context, _, _ string, _ payment.Cents) { step("Charge", ctx) })
			case "Charge, without an answer":
				m.charge(errNoAnswer).Do(func(ctx context.Context, _, _ string, _ payment.Cents) { step(during, ctx) })
			}
			if during == "Buy" {
				cancel(errStop)
			} else {
				m.reserve().Do(func(ctx context.Context, _ string, _ int) { step("Reserve", ctx) })
				m.cancel(nil).Do(func(ctx context.Context, _ string) { wantContext(t, "Cancel", ctx, false) })
			}
			if during != "Buy" && during != "Reserve" {
				m.void(nil).Do(func(ctx context.Context, _ string) { wantContext(t, "Void", ctx, false) })
			}

			wantErrors(t, m.shop.Buy(ctx, mug), errStop)
		})
	}
}

// A bank is a fake: it keeps the accounts, and gives no answer to the first
// calls of Charge although it takes the money.
type bank struct {
	silent int
	paid   map[string]payment.Cents // by key
}

func (b *bank) Charge(_ context.Context, key, _ string, amount payment.Cents) error {
	if _, again := b.paid[key]; !again {
		b.paid[key] = amount
	}
	if b.silent > 0 {
		b.silent--
		return errNoAnswer
	}
	return nil
}

func (b *bank) Void(_ context.Context, key string) error {
	delete(b.paid, key)
	return nil
}

func (b *bank) balance() (sum payment.Cents) {
	for _, amount := range b.paid {
		sum += amount
	}
	return sum
}

// open is a shop in which only the bank can fail.
func (b *bank) open(t *testing.T) payment.Shop {
	b.paid = make(map[string]payment.Cents)
	m := newMocks(t)
	m.stock.EXPECT().Reserve(gomock.Any(), gomock.Any(), gomock.Any()).Return("shelf 9", nil).AnyTimes()
	m.stock.EXPECT().Ship(gomock.Any(), gomock.Any()).AnyTimes()
	m.stock.EXPECT().Cancel(gomock.Any(), gomock.Any()).AnyTimes()
	m.audit.EXPECT().Record(gomock.Any(), gomock.Any()).AnyTimes()
	m.shop.Gateway = b
	return m.shop
}

func TestLostAnswersCostNothing(t *testing.T) {
	for silent, want := range []payment.Cents{mug.Amount, mug.Amount, mug.Amount, 0} {
		b := bank{silent: silent}
		err := b.open(t).Buy(t.Context(), mug)
		if bought := err == nil; bought != (want > 0) || b.balance() != want {
			t.Errorf("with %d lost answers Buy = %v and the bank has %d, want %d", silent, err, b.balance(), want)
		}
	}
}

func TestTwoOrdersArePaidTwice(t *testing.T) {
	var b bank
	shop := b.open(t)
	other := mug
	other.ID = "A-18"

	wantErrors(t, shop.Buy(t.Context(), mug))
	wantErrors(t, shop.Buy(t.Context(), other))

	if want := mug.Amount + other.Amount; b.balance() != want {
		t.Errorf("the bank has %d after two orders on one card, want %d", b.balance(), want)
	}
}
