// Package domain is what the shop sells and by which rules. It knows of no database, no HTTP and no JSON.
package domain

import "fmt"

// Kind says what sort of refusal an Error is.
type Kind int

// The refusals.
const (
	Invalid  Kind = iota + 1 // what was asked for makes no sense
	NotFound                 // it is not there
	Conflict                 // it makes sense, but not now
)

// Error is a refusal. Every layer understands it; any other error is a failure of the machinery.
type Error struct {
	Kind Kind
	Text string // for the customer
}

// Error returns the text.
func (e *Error) Error() string { return e.Text }

// Product is what the shop sells.
type Product struct {
	SKU   string
	Price int64 // in cents
	Stock int
}

// Want is what a customer asks for.
type Want struct {
	SKU string
	Qty int
}

// Status is the state of an order.
type Status string

// The states of an order.
const (
	Placed    Status = "placed"
	Shipped   Status = "shipped"
	Cancelled Status = "cancelled"
)

// Line is one product of an order. Its price is that of the day of the order.
type Line struct {
	SKU   string
	Qty   int
	Price int64
}

// Order is what a customer has ordered.
type Order struct {
	ID       int64 // 0 until it is stored
	Customer string
	Lines    []Line
	Total    int64
	Status   Status
}

// NewOrder is an order whose lines have no prices yet: Take gives them. It is refused as Invalid if the customer is missing, if there are no lines, if a quantity is not
// between 1 and 100, or if a product stands twice.
func NewOrder(customer string, wants []Want) (Order, error) {
	if customer == "" {
		return Order{}, refuse(Invalid, "customer is missing")
	}
	if len(wants) == 0 {
		return Order{}, refuse(Invalid, "no lines")
	}
	o := Order{Customer: customer, Status: Placed}
	seen := map[string]bool{}
	for _, w := range wants {
		if w.Qty < 1 || w.Qty > 100 {
			return Order{}, refuse(Invalid, "quantity of %q is not between 1 and 100", w.SKU)
		}
		if seen[w.SKU] {
			return Order{}, refuse(Invalid, "%q stands twice", w.SKU)
		}
		seen[w.SKU] = true
		o.Lines = append(o.Lines, Line{SKU: w.SKU, Qty: w.Qty})
	}
	return o, nil
}

// Take takes the pieces of p's line from p's stock, sets the line's price and the order's total. It is refused as Conflict, and changes nothing, if too few are left.
func (o *Order) Take(p *Product) error {
	for i := range o.Lines {
		l := &o.Lines[i]
		if l.SKU != p.SKU {
			continue
		}
		if p.Stock < l.Qty {
			return refuse(Conflict, "only %d of %q left", p.Stock, p.SKU)
		}
		p.Stock -= l.Qty
		l.Price = p.Price
	}
	o.Total = total(o.Lines)
	return nil
}

// Cancel cancels an order that is placed; others refuse with Conflict, and stay as they are.
func (o *Order) Cancel() error {
	if o.Status != Placed {
		return refuse(Conflict, "order is %s", o.Status)
	}
	o.Status = Cancelled
	return nil
}

// GiveBack puts the pieces of p's line back into p's stock.
func (o *Order) GiveBack(p *Product) {
	for _, l := range o.Lines {
		if l.SKU == p.SKU {
			p.Stock += l.Qty
		}
	}
}

// total is the sum of the lines, less 5 % from 100.00 on.
func total(lines []Line) int64 {
	var sum int64
	for _, l := range lines {
		sum += l.Price * int64(l.Qty)
	}
	if sum >= 10000 {
		sum -= sum * 5 / 100
	}
	return sum
}

func refuse(k Kind, format string, args ...any) *Error {
	return &Error{k, fmt.Sprintf(format, args...)}
}
