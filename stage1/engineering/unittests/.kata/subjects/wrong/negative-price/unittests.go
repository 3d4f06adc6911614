// No price is negative.
//
// The bug: a new line takes any price.
//
//kata:zh 单价不得为负。
package unittests

import (
	"errors"
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
	return &Cart{shop: s}
}

type Cart struct {
	shop   Shop
	lines  []Line
	coupon *Coupon
}

func (c *Cart) Add(sku string, unit Cents, quantity int) error {
	if sku == "" {
		return ErrSKU
	}
	if quantity < 1 || quantity > MaxQuantity {
		return ErrQuantity
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

func (c *Cart) Apply(code string) error {
	for _, coupon := range c.shop.Coupons {
		if coupon.Code == code && c.valid(coupon) {
			c.coupon = &coupon
			return nil
		}
	}
	return ErrCoupon
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

func percent(p int, amount Cents) Cents {
	hundredths := amount * Cents(p)
	whole, rest := hundredths/100, hundredths%100
	if rest > 50 || rest == 50 && whole%2 == 1 {
		whole++
	}
	return whole
}
