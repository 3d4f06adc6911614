// Shares one clock between its tests, and moves it without setting it back.
//
//kata:caught-by accepts/newest-first accepts/detailed-errors accepts/price-first
package unittests_test

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage1/engineering/unittests"
)

// ahead is how far the clock of all shops of this suite has been moved.
var ahead time.Duration

func noon() time.Time { return time.Date(2001, time.May, 4, 12, 0, 0, 0, time.UTC) }

func newShop() unittests.Shop {
	return unittests.Shop{
		Coupons: []unittests.Coupon{
			{Code: "TENTH", Percent: 10},
			{Code: "TODAY", Percent: 10, Expires: noon().Add(time.Nanosecond)},
		},
		Shipping:     4_90,
		FreeShipping: 50_00,
		Now:          func() time.Time { return noon().Add(ahead) },
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

// price is a receipt without what the contract leaves open: the order of the
// lines.
type price struct {
	lines                               map[string]unittests.Line
	subtotal, discount, shipping, total unittests.Cents
}

func lines(ls ...unittests.Line) map[string]unittests.Line {
	bySKU := make(map[string]unittests.Line, len(ls))
	for _, l := range ls {
		bySKU[l.SKU] = l
	}
	return bySKU
}

func check(t *testing.T, got unittests.Receipt, want price) {
	t.Helper()
	if gotLines := lines(got.Lines...); len(got.Lines) != len(want.lines) || !maps.Equal(gotLines, want.lines) {
		t.Errorf("Lines = %+v, want %+v in any order", got.Lines, want.lines)
	}
	for _, amount := range []struct {
		name      string
		got, want unittests.Cents
	}{
		{"Subtotal", got.Subtotal, want.subtotal},
		{"Discount", got.Discount, want.discount},
		{"Shipping", got.Shipping, want.shipping},
		{"Total", got.Total, want.total},
	} {
		if amount.got != amount.want {
			t.Errorf("%s = %d, want %d", amount.name, amount.got, amount.want)
		}
	}
}

func TestReceipt(t *testing.T) {
	for _, test := range []struct {
		name  string
		steps []step
		want  price
	}{
		{
			name: "empty cart is sent for nothing",
		},
		{
			name:  "a coupon counts up to its last instant",
			steps: []step{add("mug", 10_00, 1), apply("TODAY")},
			want: price{
				lines:    lines(unittests.Line{SKU: "mug", Unit: 10_00, Quantity: 1, Total: 10_00}),
				subtotal: 10_00, discount: 1_00, shipping: 4_90, total: 13_90,
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			cart := newShop().NewCart()
			run(t, cart, test.steps...)
			check(t, cart.Receipt(), test.want)
			if !t.Failed() { // pricing a cart does not change it
				check(t, cart.Receipt(), test.want)
			}
		})
	}
}

func TestCouponExpiresInTheCart(t *testing.T) {
	cart := newShop().NewCart()
	run(t, cart, add("mug", 10_00, 1), apply("TODAY"))

	ahead = time.Nanosecond

	if got := cart.Receipt().Discount; got != 0 {
		t.Errorf("Discount = %d after the coupon expired, want 0", got)
	}
}
