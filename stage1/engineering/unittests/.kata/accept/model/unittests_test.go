// Random calls, always the same ones, on two carts at once; after each call
// the receipt is held against a model that is too simple to be wrong.
package unittests_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage1/engineering/unittests"
)

// The shop's clock starts at the zero time.
var start time.Time

var units = map[string]unittests.Cents{"free": 0, "one": 1, "three": 3, "five": 5, "dear": 2_00}

func coupons() map[string]unittests.Coupon {
	return map[string]unittests.Coupon{
		"A": {Code: "A", Percent: 10},
		"B": {Code: "B", Percent: 25, MinSubtotal: 3_00},
		"C": {Code: "C", Percent: 50, Expires: start.Add(3 * time.Hour)},
		"D": {Code: "D", Percent: 7, Expires: start.Add(9 * time.Hour)},
	}
}

// A model has the contract's words for state: pieces by SKU, and a coupon.
type model struct {
	pieces map[string]int
	coupon string
}

// A half is exact in binary, and so is the quotient that ends in one.
func rounded(percent int, of unittests.Cents) unittests.Cents {
	return unittests.Cents(math.RoundToEven(float64(percent) * float64(of) / 100))
}

func (m *model) receipt(shop unittests.Shop) (r unittests.Receipt) {
	for sku, n := range m.pieces {
		total := units[sku] * unittests.Cents(n)
		if n >= unittests.VolumeFrom {
			total -= rounded(unittests.VolumePercent, total)
		}
		r.Lines = append(r.Lines, unittests.Line{SKU: sku, Unit: units[sku], Quantity: n, Total: total})
		r.Subtotal += total
	}
	c, ok := coupons()[m.coupon]
	if ok && r.Subtotal >= c.MinSubtotal && (c.Expires.IsZero() || shop.Now().Before(c.Expires)) {
		r.Discount = rounded(c.Percent, r.Subtotal)
	}
	if len(m.pieces) > 0 && r.Subtotal-r.Discount < shop.FreeShipping {
		r.Shipping = shop.Shipping
	}
	r.Total = r.Subtotal - r.Discount + r.Shipping
	return r
}

func same(a, b unittests.Receipt) bool {
	if len(a.Lines) != len(b.Lines) || a.Subtotal != b.Subtotal || a.Discount != b.Discount || a.Shipping != b.Shipping || a.Total != b.Total {
		return false
	}
	count := map[unittests.Line]int{}
	for i := range a.Lines {
		count[a.Lines[i]]++
		count[b.Lines[i]]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func pick[V any](r *rand.Rand, keys ...V) V { return keys[r.IntN(len(keys))] }

func TestAgainstTheModel(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		now := start
		shop := unittests.Shop{Shipping: 50, FreeShipping: 4_00, Now: func() time.Time { return now }}
		for _, c := range coupons() {
			shop.Coupons = append(shop.Coupons, c)
		}
		carts := [2]*unittests.Cart{shop.NewCart(), shop.NewCart()}
		models := [2]*model{{pieces: map[string]int{}}, {pieces: map[string]int{}}}
		var kept, keptWant unittests.Receipt

		for range 60 {
			i := r.IntN(2)
			cart, m := carts[i], models[i]
			var got, want error
			switch r.IntN(10) {
			case 0, 1, 2, 3:
				sku := pick(r, "free", "one", "three", "five", "dear")
				n := pick(r, -1, 0, 1, 2, 9, 10, 10, 90, 100)
				got = cart.Add(sku, units[sku], n)
				if n < 1 || m.pieces[sku]+n > unittests.MaxQuantity {
					want = unittests.ErrQuantity
				} else {
					m.pieces[sku] += n
				}
			case 4, 5:
				sku := pick(r, "free", "one", "three", "five", "dear")
				have := m.pieces[sku]
				n := pick(r, 1, 1, have, have, have+1, 0)
				got = cart.Remove(sku, n)
				switch {
				case have == 0 && n < 1:
					continue // two rules broken at once: the contract leaves the error open
				case have == 0:
					want = unittests.ErrSKU
				case n < 1 || n > have:
					want = unittests.ErrQuantity
				case n == have:
					delete(m.pieces, sku)
				default:
					m.pieces[sku] -= n
				}
			case 6, 7:
				code := pick(r, "A", "B", "B", "C", "D", "E")
				got = cart.Apply(code)
				if c, ok := coupons()[code]; !ok || !c.Expires.IsZero() && !now.Before(c.Expires) {
					want = unittests.ErrCoupon
				} else {
					m.coupon = code
				}
			case 8:
				got, want = cart.Add("debt", -1, 1), unittests.ErrPrice
			case 9:
				now = now.Add(time.Hour)
			}
			if !errors.Is(got, want) {
				t.Fatalf("seed %d: error %v, want %v", seed, got, want)
			}
			for j := range carts {
				if got, want := carts[j].Receipt(), models[j].receipt(shop); !same(got, want) {
					t.Fatalf("seed %d: receipt %+v, want %+v", seed, got, want)
				}
			}
			if !same(kept, keptWant) {
				t.Fatalf("seed %d: an old receipt became %+v, was %+v", seed, kept, keptWant)
			}
			kept, keptWant = cart.Receipt(), m.receipt(shop)
		}
	}
}
