// One function tells one story, in plain calls; the stories run in parallel.
package unittests_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/roadkata/roadkata/stage1/engineering/unittests"
)

type till struct {
	*Cart
	t     *testing.T
	clock *time.Time
}

func open(t *testing.T, coupons ...Coupon) till {
	t.Parallel()
	clock := time.Date(1999, time.December, 31, 23, 59, 0, 0, time.UTC)
	shop := Shop{
		Coupons:      coupons,
		Shipping:     500,
		FreeShipping: 10000,
		Now:          func() time.Time { return clock },
	}
	return till{shop.NewCart(), t, &clock}
}

func (c till) put(sku string, unit Cents, quantity int) {
	c.t.Helper()
	c.wants(nil, c.Add(sku, unit, quantity))
}

func (c till) wants(want, got error) {
	c.t.Helper()
	if !errors.Is(got, want) {
		c.t.Fatalf("error %v, want %v", got, want)
	}
}

// says compares the receipt, lines sorted by SKU, with what it should be.
func (c till) says(subtotal, discount, shipping Cents, lines ...Line) {
	c.t.Helper()
	r := c.Receipt()
	got := slices.SortedFunc(slices.Values(r.Lines), func(a, b Line) int { return strings.Compare(a.SKU, b.SKU) })
	if !slices.Equal(got, lines) {
		c.t.Errorf("lines %+v, want %+v", got, lines)
	}
	if r.Subtotal != subtotal || r.Discount != discount || r.Shipping != shipping || r.Total != subtotal-discount+shipping {
		c.t.Errorf("receipt %+v, want subtotal %d, discount %d, shipping %d", r, subtotal, discount, shipping)
	}
}

func TestNothingCostsNothing(t *testing.T) {
	open(t).says(0, 0, 0)
}

func TestVolumeStartsAtTen(t *testing.T) {
	c := open(t)
	c.put("bolt", 20, 9)
	c.says(180, 0, 500, Line{"bolt", 20, 9, 180})
	c.put("bolt", 20, 1)
	c.says(190, 0, 500, Line{"bolt", 20, 10, 190})
}

func TestHalfCentsGoToTheEvenCentLineByLine(t *testing.T) {
	c := open(t)
	c.put("a", 1, 10)
	c.put("b", 5, 10)
	c.says(10+48, 0, 500, Line{"a", 1, 10, 10}, Line{"b", 5, 10, 48})
}

func TestLineHoldsNinetyNine(t *testing.T) {
	c := open(t)
	c.wants(ErrQuantity, c.Add("x", 1, 100))
	c.says(0, 0, 0)
	c.put("x", 1, 99)
	c.wants(ErrQuantity, c.Add("x", 1, 1))
	c.says(94, 0, 500, Line{"x", 1, 99, 94})
}

func TestBadCallsChangeNothing(t *testing.T) {
	c := open(t, Coupon{Code: "TEN", Percent: 10})
	c.put("x", 100, 2)
	c.wants(nil, c.Apply("TEN"))

	c.wants(ErrSKU, c.Add("", 100, 1))
	c.wants(ErrQuantity, c.Add("x", 100, 0))
	c.wants(ErrPrice, c.Add("x", 99, 1))
	c.wants(ErrPrice, c.Add("y", -1, 1))
	c.wants(ErrSKU, c.Remove("y", 1))
	c.wants(ErrQuantity, c.Remove("x", 3))
	c.wants(ErrQuantity, c.Remove("x", 0))
	c.wants(ErrCoupon, c.Apply("ten"))

	c.says(200, 20, 500, Line{"x", 100, 2, 200})
}

func TestRemovedLineIsGone(t *testing.T) {
	c := open(t)
	c.put("x", 100, 2)
	c.wants(nil, c.Remove("x", 2))
	c.says(0, 0, 0)
	c.wants(ErrSKU, c.Remove("x", 1))
	c.put("x", 200, 1)
	c.says(200, 0, 500, Line{"x", 200, 1, 200})
}

func TestCouponCountsUntilItExpires(t *testing.T) {
	expires := time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	c := open(t, Coupon{Code: "OLD", Percent: 10, Expires: expires})
	c.put("x", 100, 1)
	c.wants(nil, c.Apply("OLD"))
	c.says(100, 10, 500, Line{"x", 100, 1, 100})

	*c.clock = expires
	c.says(100, 0, 500, Line{"x", 100, 1, 100})
	c.wants(ErrCoupon, c.Apply("OLD"))
}

func TestCouponMinimumFollowsTheCart(t *testing.T) {
	c := open(t, Coupon{Code: "MIN", Percent: 50, MinSubtotal: 200})
	c.wants(nil, c.Apply("MIN"))
	c.put("x", 100, 2)
	c.says(200, 100, 500, Line{"x", 100, 2, 200})
	c.wants(nil, c.Remove("x", 1))
	c.says(100, 0, 500, Line{"x", 100, 1, 100})
}

func TestFreeShippingAfterTheCoupon(t *testing.T) {
	c := open(t, Coupon{Code: "ONE", Percent: 1})
	c.put("x", 10000, 1)
	c.says(10000, 0, 0, Line{"x", 10000, 1, 10000})
	c.wants(nil, c.Apply("ONE"))
	c.says(10000, 100, 500, Line{"x", 10000, 1, 10000})
}

func TestReceiptIsACopy(t *testing.T) {
	c := open(t)
	c.put("x", 100, 1)
	c.Receipt().Lines[0].Quantity = 50
	c.says(100, 0, 500, Line{"x", 100, 1, 100})
}

func TestCartsAreApart(t *testing.T) {
	t.Parallel()
	shop := Shop{Coupons: []Coupon{{Code: "ALL", Percent: 100}}, Now: time.Now}
	a, b := shop.NewCart(), shop.NewCart()
	if err := errors.Join(a.Add("x", 100, 1), b.Add("x", 100, 1), a.Apply("ALL")); err != nil {
		t.Fatal(err)
	}
	if got, want := [2]Cents{a.Receipt().Total, b.Receipt().Total}, [2]Cents{0, 100}; got != want {
		t.Errorf("totals with and without a coupon: %v, want %v", got, want)
	}
}
