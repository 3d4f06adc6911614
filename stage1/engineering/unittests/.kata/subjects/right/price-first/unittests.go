// A cart may look at the price before the quantity, and have an empty slice where it has no lines.
//
// It keeps the subtotal up to date with every change.
//
//kata:zh 购物车可以先检查单价再检查数量，没有行时可以返回空切片而不是 nil。
package unittests

import (
	"errors"
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
	return &Cart{shop: s}
}

type Cart struct {
	shop     Shop
	lines    []*Line
	subtotal Cents
	percent  int
	minimum  Cents
	expires  time.Time
}

func (c *Cart) Add(sku string, unit Cents, quantity int) error {
	line := c.line(sku)
	if unit < 0 || line != nil && line.Unit != unit {
		return ErrPrice
	}
	have := 0
	if line != nil {
		have = line.Quantity
	}
	if quantity < 1 || quantity > MaxQuantity-have {
		return ErrQuantity
	}
	if sku == "" {
		return ErrSKU
	}
	if line == nil {
		line = &Line{SKU: sku, Unit: unit}
		c.lines = append(c.lines, line)
	}
	c.change(line, quantity)
	return nil
}

func (c *Cart) Remove(sku string, quantity int) error {
	if quantity < 1 {
		return ErrQuantity
	}
	line := c.line(sku)
	if line == nil {
		return ErrSKU
	}
	if quantity > line.Quantity {
		return ErrQuantity
	}
	c.change(line, -quantity)
	c.lines = slices.DeleteFunc(c.lines, func(l *Line) bool { return l.Quantity == 0 })
	return nil
}

func (c *Cart) Apply(code string) error {
	for _, coupon := range c.shop.Coupons {
		if coupon.Code == code && (coupon.Expires.IsZero() || coupon.Expires.After(c.shop.Now())) {
			c.percent, c.minimum, c.expires = coupon.Percent, coupon.MinSubtotal, coupon.Expires
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
	r := Receipt{Lines: make([]Line, len(c.lines)), Subtotal: c.subtotal}
	for i, line := range c.lines {
		r.Lines[i] = *line
	}
	if c.subtotal >= c.minimum && (c.expires.IsZero() || c.expires.After(c.shop.Now())) {
		r.Discount = percent(c.percent, c.subtotal)
	}
	goods := r.Subtotal - r.Discount
	if len(c.lines) > 0 && goods < c.shop.FreeShipping {
		r.Shipping = c.shop.Shipping
	}
	r.Total = goods + r.Shipping
	return r
}

func (c *Cart) change(line *Line, by int) {
	before := line.Total
	line.Quantity += by
	line.Total = line.Unit * Cents(line.Quantity)
	if line.Quantity >= VolumeFrom {
		line.Total -= percent(VolumePercent, line.Total)
	}
	c.subtotal += line.Total - before
}

func (c *Cart) line(sku string) *Line {
	for _, line := range c.lines {
		if line.SKU == sku {
			return line
		}
	}
	return nil
}

func percent(p int, amount Cents) Cents {
	hundredths := amount * Cents(p)
	whole, rest := hundredths/100, hundredths%100
	if rest > 50 || rest == 50 && whole%2 == 1 {
		whole++
	}
	return whole
}
