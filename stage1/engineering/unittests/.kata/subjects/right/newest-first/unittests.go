// A cart may list its lines newest first.
//
// It keeps a log of what happened and replays it for every receipt.
//
//kata:zh 购物车可以按从新到旧的顺序列出各行。
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

// A Cart is the log of the calls that it accepted.
type Cart struct {
	shop   Shop
	events []event
}

type event struct {
	sku      string
	unit     Cents
	quantity int
	coupon   *Coupon
}

func (c *Cart) Add(sku string, unit Cents, quantity int) error {
	line, found := c.line(sku)
	switch {
	case sku == "":
		return ErrSKU
	case quantity < 1 || quantity > MaxQuantity-line.Quantity:
		return ErrQuantity
	case unit < 0 || found && unit != line.Unit:
		return ErrPrice
	}
	c.events = append(c.events, event{sku: sku, unit: unit, quantity: quantity})
	return nil
}

func (c *Cart) Remove(sku string, quantity int) error {
	line, found := c.line(sku)
	switch {
	case !found:
		return ErrSKU
	case quantity < 1 || quantity > line.Quantity:
		return ErrQuantity
	}
	c.events = append(c.events, event{sku: sku, unit: line.Unit, quantity: -quantity})
	return nil
}

func (c *Cart) Apply(code string) error {
	i := slices.IndexFunc(c.shop.Coupons, func(coupon Coupon) bool { return coupon.Code == code })
	if i < 0 || !c.valid(c.shop.Coupons[i]) {
		return ErrCoupon
	}
	coupon := c.shop.Coupons[i]
	c.events = append(c.events, event{coupon: &coupon})
	return nil
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
	lines, coupon := c.replay()
	r := Receipt{Lines: lines}
	for i, line := range lines {
		lines[i].Total = line.Unit * Cents(line.Quantity)
		if line.Quantity >= VolumeFrom {
			lines[i].Total -= percent(VolumePercent, lines[i].Total)
		}
		r.Subtotal += lines[i].Total
	}
	if coupon != nil && r.Subtotal >= coupon.MinSubtotal && c.valid(*coupon) {
		r.Discount = percent(coupon.Percent, r.Subtotal)
	}
	if len(lines) != 0 && r.Subtotal-r.Discount < c.shop.FreeShipping {
		r.Shipping = c.shop.Shipping
	}
	r.Total = r.Subtotal - r.Discount + r.Shipping
	return r
}

func (c *Cart) replay() ([]Line, *Coupon) {
	var lines []Line
	var coupon *Coupon
	for _, e := range c.events {
		if e.coupon != nil {
			coupon = e.coupon
			continue
		}
		i := slices.IndexFunc(lines, func(l Line) bool { return l.SKU == e.sku })
		if i < 0 {
			lines = slices.Insert(lines, 0, Line{SKU: e.sku, Unit: e.unit, Quantity: e.quantity})
			continue
		}
		lines[i].Quantity += e.quantity
		if lines[i].Quantity == 0 {
			lines = slices.Delete(lines, i, i+1)
		}
	}
	return lines, coupon
}

func (c *Cart) line(sku string) (Line, bool) {
	lines, _ := c.replay()
	for _, line := range lines {
		if line.SKU == sku {
			return line, true
		}
	}
	return Line{}, false
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
