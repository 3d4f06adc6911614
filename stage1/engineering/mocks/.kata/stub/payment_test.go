package payment_test

import (
	"testing"

	"go.uber.org/mock/gomock"

	payment "github.com/roadkata/roadkata/stage1/engineering/mocks"
	"github.com/roadkata/roadkata/stage1/engineering/mocks/paymock"
)

// TestBuy is yours to replace: any names, any number of tests and helpers.
func TestBuy(t *testing.T) {
	ctrl := gomock.NewController(t)
	shop := payment.Shop{
		Gateway: paymock.NewMockGateway(ctrl),
		Stock:   paymock.NewMockStock(ctrl),
		Audit:   paymock.NewMockAudit(ctrl),
	}

	t.Fatalf("TODO: say what the contract wants of %T.Buy", shop)
}
