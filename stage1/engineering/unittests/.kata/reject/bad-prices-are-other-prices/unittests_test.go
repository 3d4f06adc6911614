// Tries a price that the line does not have, and none that no line may have.
//
//kata:caught-by catches/negative-price
package unittests_test

import (
	"errors"
	"maps"
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

func remove(sku string, quantity int) step {
	return step{"Remove " + sku, func(c *unittests.Cart) error { return c.Remove(sku, quantity) }, nil}
}

func apply(code string) step {
	return step{"Apply " + code, func(c *unittests.Cart) error { return c.Apply(code) }, nil}
}

func refused(s step, want error) step {
	s.want = want
	return s
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
			name:  "one SKU has one line",
			steps: []step{add("mug", 8_50, 1), add("tea", 3_00, 2), add("tea", 3_00, 1)},
			want: price{
				lines:    lines(unittests.Line{SKU: "mug", Unit: 8_50, Quantity: 1, Total: 8_50}, unittests.Line{SKU: "tea", Unit: 3_00, Quantity: 3, Total: 9_00}),
				subtotal: 17_50, shipping: 4_90, total: 22_40,
			},
		},
		{
			name:  "nine pieces are no volume",
			steps: []step{add("tea", 1_00, 9)},
			want: price{
				lines:    lines(unittests.Line{SKU: "tea", Unit: 1_00, Quantity: 9, Total: 9_00}),
				subtotal: 9_00, shipping: 4_90, total: 13_90,
			},
		},
		{
			name:  "ten pieces are",
			steps: []step{add("tea", 1_00, 6), add("tea", 1_00, 4)},
			want: price{
				lines:    lines(unittests.Line{SKU: "tea", Unit: 1_00, Quantity: 10, Total: 9_50}),
				subtotal: 9_50, shipping: 4_90, total: 14_40,
			},
		},
		{
			// 5 % of 30 and of 10 are 1.5 and 0.5.
			name:  "half a cent goes to the even one",
			steps: []step{add("nut", 3, 10), add("pin", 1, 10)},
			want: price{
				lines:    lines(unittests.Line{SKU: "nut", Unit: 3, Quantity: 10, Total: 28}, unittests.Line{SKU: "pin", Unit: 1, Quantity: 10, Total: 10}),
				subtotal: 38, shipping: 4_90, total: 5_28,
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
		{
			name:  "the last piece takes its line along",
			steps: []step{add("tea", 3_00, 2), add("mug", 8_50, 1), remove("tea", 1), remove("tea", 1)},
			want: price{
				lines:    lines(unittests.Line{SKU: "mug", Unit: 8_50, Quantity: 1, Total: 8_50}),
				subtotal: 8_50, shipping: 4_90, total: 13_40,
			},
		},
		{
			name:  "a coupon replaces the one before",
			steps: []step{add("mug", 10_00, 1), apply("TENTH"), apply("HALF")},
			want: price{
				lines:    lines(unittests.Line{SKU: "mug", Unit: 10_00, Quantity: 1, Total: 10_00}),
				subtotal: 10_00, discount: 5_00, shipping: 4_90, total: 9_90,
			},
		},
		{
			name:  "a coupon counts up to its last instant",
			steps: []step{add("mug", 10_00, 1), apply("TODAY")},
			want: price{
				lines:    lines(unittests.Line{SKU: "mug", Unit: 10_00, Quantity: 1, Total: 10_00}),
				subtotal: 10_00, discount: 1_00, shipping: 4_90, total: 13_90,
			},
		},
		{
			name:  "a coupon waits for its minimum",
			steps: []step{apply("FROM20"), add("mug", 10_00, 2)},
			want: price{
				lines:    lines(unittests.Line{SKU: "mug", Unit: 10_00, Quantity: 2, Total: 20_00}),
				subtotal: 20_00, discount: 2_00, shipping: 4_90, total: 22_90,
			},
		},
		{
			name:  "a coupon below its minimum does not count",
			steps: []step{add("mug", 10_00, 2), apply("FROM20"), remove("mug", 1)},
			want: price{
				lines:    lines(unittests.Line{SKU: "mug", Unit: 10_00, Quantity: 1, Total: 10_00}),
				subtotal: 10_00, shipping: 4_90, total: 14_90,
			},
		},
		{
			name:  "shipping is free from its threshold on",
			steps: []step{add("pot", 50_00, 1)},
			want: price{
				lines:    lines(unittests.Line{SKU: "pot", Unit: 50_00, Quantity: 1, Total: 50_00}),
				subtotal: 50_00, total: 50_00,
			},
		},
		{
			name:  "the coupon may cost the free shipping",
			steps: []step{add("pot", 50_00, 1), apply("TENTH")},
			want: price{
				lines:    lines(unittests.Line{SKU: "pot", Unit: 50_00, Quantity: 1, Total: 50_00}),
				subtotal: 50_00, discount: 5_00, shipping: 4_90, total: 49_90,
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

// TestRefused starts every case with the same cart, which must come through
// the refused call unchanged.
func TestRefused(t *testing.T) {
	for name, s := range map[string]step{
		"no SKU":                   refused(add("", 1_00, 1), unittests.ErrSKU),
		"no piece":                 refused(add("tea", 3_00, 0), unittests.ErrQuantity),
		"less than no piece":       refused(add("tea", 3_00, -1), unittests.ErrQuantity),
		"too many at once":         refused(add("mug", 8_50, unittests.MaxQuantity+1), unittests.ErrQuantity),
		"too many with what is in": refused(add("tea", 3_00, unittests.MaxQuantity-1), unittests.ErrQuantity),
		"another price":            refused(add("tea", 2_99, 1), unittests.ErrPrice),
		"remove an unknown SKU":    refused(remove("mug", 1), unittests.ErrSKU),
		"remove no piece":          refused(remove("tea", 0), unittests.ErrQuantity),
		"remove less than none":    refused(remove("tea", -1), unittests.ErrQuantity),
		"remove too many":          refused(remove("tea", 3), unittests.ErrQuantity),
		"unknown coupon":           refused(apply("NONE"), unittests.ErrCoupon),
		"expired coupon":           refused(apply("GONE"), unittests.ErrCoupon),
	} {
		t.Run(name, func(t *testing.T) {
			cart := newShop().NewCart()
			run(t, cart, add("tea", 3_00, 2), apply("HALF"), s)
			check(t, cart.Receipt(), price{
				lines:    lines(unittests.Line{SKU: "tea", Unit: 3_00, Quantity: 2, Total: 6_00}),
				subtotal: 6_00, discount: 3_00, shipping: 4_90, total: 7_90,
			})
		})
	}
}

func TestFullLine(t *testing.T) {
	cart := newShop().NewCart()
	run(t, cart, add("tea", 0, unittests.MaxQuantity-1), add("tea", 0, 1))
}

func TestCouponExpiresInTheCart(t *testing.T) {
	shop, now := newShop(), noon()
	shop.Now = func() time.Time { return now }
	cart := shop.NewCart()
	run(t, cart, add("mug", 10_00, 1), apply("TODAY"))

	now = noon().Add(time.Nanosecond)

	if got := cart.Receipt().Discount; got != 0 {
		t.Errorf("Discount = %d after the coupon expired, want 0", got)
	}
}

func TestReceiptIsTheCallersOwn(t *testing.T) {
	cart := newShop().NewCart()
	run(t, cart, add("tea", 3_00, 2))
	want := price{
		lines:    lines(unittests.Line{SKU: "tea", Unit: 3_00, Quantity: 2, Total: 6_00}),
		subtotal: 6_00, shipping: 4_90, total: 10_90,
	}

	before := cart.Receipt()
	run(t, cart, add("tea", 3_00, 1))
	check(t, before, want)

	run(t, cart, remove("tea", 1))
	scribbled := cart.Receipt()
	scribbled.Lines[0] = unittests.Line{}
	check(t, cart.Receipt(), want)
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
