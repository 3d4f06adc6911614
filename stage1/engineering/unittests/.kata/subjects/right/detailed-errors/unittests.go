// A cart may wrap its errors and say what went wrong.
//
// It keeps a map of lines and sorts them for every receipt.
//
//kata:zh 购物车可以包装错误，说明出了什么问题。
package unittests

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

type Cents int64

const (
	MaxQuantity   = 99
	VolumeFrom    = 10
	VolumePercent = 5
)

var (
	ErrSKU      = errors.New("unittests: empty or unknown SKU")
	ErrQuantity = errors.New("unittests: quantity out of range")
	ErrPrice    = errors.New("unittests: bad unit price")
	ErrCoupon   = errors.New("unittests: unknown or expired coupon")
)

type Coupon struct {
	Code        string
	Percent     int
	MinSubtotal Cents
	Expires     time.Time
}

type Shop struct {
	Coupons      []Coupon
	Shipping     Cents
	FreeShipping Cents
	Now          func() time.Time
}

func (s Shop) NewCart() *Cart {
	return &Cart{shop: s, lines: make(map[string]Line)}
}

type Cart struct {
	shop   Shop
	lines  map[string]Line
	coupon Coupon
}

func (c *Cart) Add(sku string, unit Cents, quantity int) error {
	line, found := c.lines[sku]
	if !found {
		line = Line{SKU: sku, Unit: unit}
	}
	if sku == "" {
		return fmt.Errorf("add: %w", ErrSKU)
	}
	if quantity < 1 || quantity > MaxQuantity-line.Quantity {
		return fmt.Errorf("add %d of %q to %d: %w", quantity, sku, line.Quantity, ErrQuantity)
	}
	if unit < 0 || unit != line.Unit {
		return fmt.Errorf("add %q at %d: %w", sku, unit, ErrPrice)
	}
	line.Quantity += quantity
	c.lines[sku] = line
	return nil
}

func (c *Cart) Remove(sku string, quantity int) error {
	line, found := c.lines[sku]
	if !found {
		return fmt.Errorf("remove %q: %w", sku, ErrSKU)
	}
	if quantity < 1 || quantity > line.Quantity {
		return fmt.Errorf("remove %d of %d of %q: %w", quantity, line.Quantity, sku, ErrQuantity)
	}
	line.Quantity -= quantity
	c.lines[sku] = line
	if line.Quantity == 0 {
		delete(c.lines, sku)
	}
	return nil
}

func (c *Cart) Apply(code string) error {
	now := c.shop.Now()
	for _, coupon := range c.shop.Coupons {
		if coupon.Code != code {
			continue
		}
		if expired(coupon, now) {
			return fmt.Errorf("apply %q, expired %v: %w", code, coupon.Expires, ErrCoupon)
		}
		c.coupon = coupon
		return nil
	}
	return fmt.Errorf("apply %q: %w", code, ErrCoupon)
}

type Receipt struct {
	Lines    []Line
	Subtotal Cents
	Discount Cents
	Shipping Cents
	Total    Cents
}

type Line struct {
	SKU      string
	Unit     Cents
	Quantity int
	Total    Cents
}

func (c *Cart) Receipt() Receipt {
	now := c.shop.Now()
	var r Receipt
	for _, sku := range slices.Sorted(maps.Keys(c.lines)) {
		line := c.lines[sku]
		line.Total = line.Unit * Cents(line.Quantity)
		if line.Quantity >= VolumeFrom {
			line.Total -= percent(VolumePercent, line.Total)
		}
		r.Lines = append(r.Lines, line)
		r.Subtotal += line.Total
	}
	if r.Subtotal >= c.coupon.MinSubtotal && !expired(c.coupon, now) {
		r.Discount = percent(c.coupon.Percent, r.Subtotal)
	}
	if r.Lines != nil && r.Subtotal-r.Discount < c.shop.FreeShipping {
		r.Shipping = c.shop.Shipping
	}
	r.Total = r.Subtotal - r.Discount + r.Shipping
	return r
}

func expired(coupon Coupon, now time.Time) bool {
	return !coupon.Expires.IsZero() && !now.Before(coupon.Expires)
}

func percent(p int, amount Cents) Cents {
	hundredths := amount * Cents(p)
	whole, rest := hundredths/100, hundredths%100
	if rest > 50 || rest == 50 && whole%2 == 1 {
		whole++
	}
	return whole
}
