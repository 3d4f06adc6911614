// Package unittests prices shopping carts.
//
// This documentation is the contract. A test suite for the package must
// accept everything that the contract leaves open, and nothing that it
// forbids. The implementation below is one right answer of many.
package unittests

import (
	"errors"
	"time"
)

// Cents is an amount of money. Nobody buys so much that it overflows.
type Cents int64

const (
	// MaxQuantity is the number of pieces that one line may hold.
	MaxQuantity = 99
	// VolumeFrom is the quantity from which on a line gets VolumePercent off.
	VolumeFrom = 10
	// VolumePercent is the discount of a line that holds VolumeFrom pieces or more.
	VolumePercent = 5
)

// Callers recognise an error with errors.Is; its text and its type are open.
// A call that breaks several rules reports at least one of them; which one
// is open as well.
var (
	ErrSKU      = errors.New("unittests: empty or unknown SKU")
	ErrQuantity = errors.New("unittests: quantity out of range")
	ErrPrice    = errors.New("unittests: bad unit price")
	ErrCoupon   = errors.New("unittests: unknown or expired coupon")
)

// A Coupon takes a percentage off the subtotal of a cart.
type Coupon struct {
	Code        string    // not empty, unique in its shop
	Percent     int       // 1 to 100
	MinSubtotal Cents     // the coupon counts while the subtotal is at least this
	Expires     time.Time // first instant at which the coupon no longer counts; zero: never
}

// A Shop is what all carts of a shop have in common.
type Shop struct {
	Coupons      []Coupon
	Shipping     Cents            // the fee for sending a cart
	FreeShipping Cents            // goods of this worth or more, after the coupon, are sent free of charge
	Now          func() time.Time // the shop's clock, never nil; may be asked at any time and any number of times
}

// NewCart returns an empty cart. Carts have nothing in common but their shop.
func (s Shop) NewCart() *Cart {
	return &Cart{shop: s}
}

// A Cart collects lines, one for each SKU, and at most one coupon. A call
// that returns an error leaves the cart as it was. A cart is not meant for
// concurrent use.
type Cart struct {
	shop   Shop
	lines  []Line
	coupon *Coupon
}

// Add puts quantity pieces into the cart. A SKU that is already there gets
// that many more pieces.
//
// The error is ErrSKU if sku is empty; ErrQuantity if quantity is less than 1
// or the line would hold more than MaxQuantity; ErrPrice if unit is negative
// or not the unit price that the line already has.
func (c *Cart) Add(sku string, unit Cents, quantity int) error {
	if sku == "" {
		return ErrSKU
	}
	if quantity < 1 || quantity > MaxQuantity {
		return ErrQuantity
	}
	if unit < 0 {
		return ErrPrice
	}
	i := c.find(sku)
	if i < 0 {
		c.lines = append(c.lines, Line{SKU: sku, Unit: unit, Quantity: quantity})
		return nil
	}
	if c.lines[i].Quantity+quantity > MaxQuantity {
		return ErrQuantity
	}
	if c.lines[i].Unit != unit {
		return ErrPrice
	}
	c.lines[i].Quantity += quantity
	return nil
}

// Remove takes quantity pieces out of the cart. A line without pieces is gone.
//
// The error is ErrSKU if the cart has no line for sku; ErrQuantity if quantity
// is less than 1 or more than the line holds.
func (c *Cart) Remove(sku string, quantity int) error {
	i := c.find(sku)
	if i < 0 {
		return ErrSKU
	}
	if quantity < 1 || quantity > c.lines[i].Quantity {
		return ErrQuantity
	}
	c.lines[i].Quantity -= quantity
	if c.lines[i].Quantity == 0 {
		c.lines = append(c.lines[:i], c.lines[i+1:]...)
	}
	return nil
}

// Apply makes the shop's coupon with this code the coupon of the cart, in
// place of the one before. The subtotal does not matter yet.
//
// The error is ErrCoupon if the shop has no such coupon or it has expired.
func (c *Cart) Apply(code string) error {
	for _, coupon := range c.shop.Coupons {
		if coupon.Code == code && c.valid(coupon) {
			c.coupon = &coupon
			return nil
		}
	}
	return ErrCoupon
}

// A Receipt is the price of a cart at one moment. It is the caller's own:
// neither does it change with the cart, nor the cart with it.
type Receipt struct {
	Lines    []Line // one for each SKU in the cart, in any order; for an empty cart of length 0, nil or not
	Subtotal Cents  // the sum of the lines' totals
	Discount Cents  // what the coupon takes off the subtotal; 0 without a coupon that counts
	Shipping Cents  // the shop's fee; 0 if the cart is empty or Subtotal-Discount reaches FreeShipping
	Total    Cents  // Subtotal - Discount + Shipping
}

// A Line is one SKU of a cart.
type Line struct {
	SKU      string
	Unit     Cents
	Quantity int
	Total    Cents // Unit * Quantity, less the volume discount
}

// Receipt prices the cart and does not change it.
//
// A percentage is rounded to whole cents, half a cent to the even one: 0.5 to
// 0, 1.5 to 2. That happens once for each line with a volume discount and
// once for the coupon. Whether the coupon counts is decided by the subtotal
// and the clock at the time of this call.
func (c *Cart) Receipt() Receipt {
	var r Receipt
	for _, line := range c.lines {
		line.Total = line.Unit * Cents(line.Quantity)
		if line.Quantity >= VolumeFrom {
			line.Total -= percent(VolumePercent, line.Total)
		}
		r.Lines = append(r.Lines, line)
		r.Subtotal += line.Total
	}
	if c.coupon != nil && c.valid(*c.coupon) && r.Subtotal >= c.coupon.MinSubtotal {
		r.Discount = percent(c.coupon.Percent, r.Subtotal)
	}
	if len(c.lines) > 0 && r.Subtotal-r.Discount < c.shop.FreeShipping {
		r.Shipping = c.shop.Shipping
	}
	r.Total = r.Subtotal - r.Discount + r.Shipping
	return r
}

func (c *Cart) find(sku string) int {
	for i, line := range c.lines {
		if line.SKU == sku {
			return i
		}
	}
	return -1
}

func (c *Cart) valid(coupon Coupon) bool {
	return coupon.Expires.IsZero() || c.shop.Now().Before(coupon.Expires)
}

// percent returns p percent of amount, half a cent rounded to the even cent.
func percent(p int, amount Cents) Cents {
	hundredths := amount * Cents(p)
	whole, rest := hundredths/100, hundredths%100
	if rest > 50 || rest == 50 && whole%2 == 1 {
		whole++
	}
	return whole
}
