// Wants the lines in the order in which they were added, which the contract leaves open.
//
//kata:caught-by accepts/newest-first
package unittests_test

import (
	"errors"
	"slices"
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

func run(t *testing.T, c *unittests.Cart, steps ...step) {
	t.Helper()
	for i, s := range steps {
		if err := s.do(c); !errors.Is(err, s.want) {
			t.Fatalf("step %d, %s: error %v, want %v", i+1, s.name, err, s.want)
		}
	}
}

type price struct {
	lines                               []unittests.Line
	subtotal, discount, shipping, total unittests.Cents
}

func lines(ls ...unittests.Line) []unittests.Line { return ls }

func check(t *testing.T, got unittests.Receipt, want price) {
	t.Helper()
	if !slices.Equal(got.Lines, want.lines) {
		t.Errorf("Lines = %+v, want %+v", got.Lines, want.lines)
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
			name:  "one SKU has one line",
			steps: []step{add("mug", 8_50, 1), add("tea", 3_00, 2), add("tea", 3_00, 1)},
			want: price{
				lines:    lines(unittests.Line{SKU: "mug", Unit: 8_50, Quantity: 1, Total: 8_50}, unittests.Line{SKU: "tea", Unit: 3_00, Quantity: 3, Total: 9_00}),
				subtotal: 17_50, shipping: 4_90, total: 22_40,
			},
		},
		{
			// 5 % of 50 and of 10 are 2.5 and 0.5: 2 and 0, while 5 % of 60 are 3.
			name:  "every line is rounded for itself",
			steps: []step{add("nut", 5, 10), add("pin", 1, 10)},
			want: price{
				lines:    lines(unittests.Line{SKU: "nut", Unit: 5, Quantity: 10, Total: 48}, unittests.Line{SKU: "pin", Unit: 1, Quantity: 10, Total: 10}),
				subtotal: 58, shipping: 4_90, total: 5_48,
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
