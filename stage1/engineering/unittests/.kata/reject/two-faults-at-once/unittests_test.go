// Breaks two rules in one call and wants a certain one of the two errors.
//
//kata:caught-by accepts/price-first
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

// TestRefused starts every case with the same cart, which must come through
// the refused call unchanged.
func TestRefused(t *testing.T) {
	for name, s := range map[string]step{
		"no SKU":                   refused(add("", 1_00, 1), unittests.ErrSKU),
		"no piece":                 refused(add("tea", -1, 0), unittests.ErrQuantity),
		"less than no piece":       refused(add("tea", 3_00, -1), unittests.ErrQuantity),
		"too many at once":         refused(add("mug", 8_50, unittests.MaxQuantity+1), unittests.ErrQuantity),
		"too many with what is in": refused(add("tea", 3_00, unittests.MaxQuantity-1), unittests.ErrQuantity),
		"negative price":           refused(add("mug", -1, 1), unittests.ErrPrice),
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
