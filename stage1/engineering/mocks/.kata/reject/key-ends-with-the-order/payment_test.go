// Knows what a key looks like, although the contract leaves that open.
//
//kata:caught-by accepts/own-keys
package payment_test

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/mock/gomock"

	payment "github.com/roadkata/roadkata/stage1/engineering/mocks"
	"github.com/roadkata/roadkata/stage1/engineering/mocks/paymock"
)

var errNoAnswer = errors.New("no answer")

var mug = payment.Order{ID: "A-17", Card: "4111", SKU: "mug", Quantity: 2, Amount: 30_00}

// Mocks are strict: a call that no test expects fails it.
type mocks struct {
	gateway *paymock.MockGateway
	stock   *paymock.MockStock
	audit   *paymock.MockAudit
	shop    payment.Shop
}

func newMocks(t *testing.T) *mocks {
	ctrl := gomock.NewController(t)
	m := &mocks{paymock.NewMockGateway(ctrl), paymock.NewMockStock(ctrl), paymock.NewMockAudit(ctrl), payment.Shop{}}
	m.shop = payment.Shop{Gateway: m.gateway, Stock: m.stock, Audit: m.audit}
	return m
}

// Contexts and keys are left open by the contract, hence gomock.Any. What it
// says of them has tests of its own.

func (m *mocks) reserve() *gomock.Call {
	return m.stock.EXPECT().Reserve(gomock.Any(), mug.SKU, mug.Quantity).Return("shelf 9", nil)
}

func (m *mocks) charge(err error) *gomock.Call {
	return m.gateway.EXPECT().Charge(gomock.Any(), gomock.Cond(func(key string) bool { return strings.HasSuffix(key, mug.ID) }), mug.Card, mug.Amount).Return(err)
}

func (m *mocks) record(err error) *gomock.Call {
	return m.audit.EXPECT().Record(gomock.Any(), payment.Entry{Order: mug.ID, Amount: mug.Amount}).Return(err)
}

func (m *mocks) ship(err error) *gomock.Call {
	return m.stock.EXPECT().Ship(gomock.Any(), "shelf 9").Return(err)
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
	gomock.InOrder(m.reserve(), m.charge(nil), m.record(nil), m.ship(nil))

	wantErrors(t, m.shop.Buy(t.Context(), mug))
}

func TestChargeIsTriedAgain(t *testing.T) {
	m := newMocks(t)
	gomock.InOrder(m.reserve(), m.charge(errNoAnswer), m.charge(errNoAnswer), m.charge(nil), m.record(nil), m.ship(nil))

	wantErrors(t, m.shop.Buy(t.Context(), mug))
}
