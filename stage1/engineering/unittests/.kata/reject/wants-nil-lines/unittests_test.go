// Wants nil for the lines of an empty cart, where the contract promises a length.
//
//kata:caught-by accepts/price-first
package unittests_test

import (
	"errors"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage1/engineering/unittests"
)

// noon is now in every shop of this suite, and long past outside of it: an
// implementation that asks another clock than its shop's is caught. It is no
// variable, so that no test can move it for the others.
func noon() time.Time { return time.Date(2001, time.May, 4, 12, 0, 0, 0, time.UTC) }

// newShop returns a shop of the test's own, so that no test can disturb another.
func newShop() unittests.Shop {
	return unittests.Shop{
		Coupons: []unittests.Coupon{
			{Code: "TENTH", Percent: 10},
			{Code: "HALF", Percent: 50},
			{Code: "FROM20", Percent: 10, MinSubtotal: 20_00},
			{Code: "TODAY", Percent: 10, Expires: noon().Add(time.Nanosecond)},
			{Code: "GONE", Percent: 10, Expires: noon()},
		},
		Shipping:     4_90,
		FreeShipping: 50_00,
		Now:          noon,
	}
}

// A step is one call on a cart, and the error that the contract wants of it.
type step struct {
	name string
	do   func(*unittests.Cart) error
	want error
}

func add(sku string, unit unittests.Cents, quantity int) step {
	return step{"Add " + sku, func(c *unittests.Cart) error { return c.Add(sku, unit, quantity) }, nil}
}

func apply(code string) step {
	return step{"Apply " + code, func(c *unittests.Cart) error { return c.Apply(code) }, nil}
}

func run(t *testing.T, c *unittests.Cart, steps ...step) {
	t.Helper()
	for i, s := range steps {
		if err := s.do(c); !errors.Is(err, s.want) {
			t.Fatalf("step %d, %s: error %v, want %v", i+1, s.name, err, s.want)
		}
	}
}

func TestEmptyReceipt(t *testing.T) {
	if got := newShop().NewCart().Receipt(); got.Lines != nil {
		t.Errorf("Lines = %#v, want nil", got.Lines)
	}
}

func TestCartsShareNothing(t *testing.T) {
	shop := newShop()
	mine, yours := shop.NewCart(), shop.NewCart()
	run(t, mine, add("mug", 10_00, 1), apply("HALF"))
	run(t, yours, add("mug", 10_00, 1))

	if got := yours.Receipt().Discount; got != 0 {
		t.Errorf("Discount = %d in a cart without a coupon, while another cart has one; want 0", got)
	}
	if got := mine.Receipt().Discount; got != 5_00 {
		t.Errorf("Discount = %d in the cart with the coupon, want 500", got)
	}
}
