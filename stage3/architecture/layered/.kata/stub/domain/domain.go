// Package domain is what the shop sells and by which rules. It knows of no database, no HTTP and no JSON.
package domain

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
	panic("TODO: check the form of the order")
}

// Take takes the pieces of p's line from p's stock, sets the line's price and the order's total. It is refused as Conflict, and changes nothing, if too few are left.
func (o *Order) Take(p *Product) error {
	panic("TODO: stock, price, total, discount")
}

// Cancel cancels an order that is placed; others refuse with Conflict, and stay as they are.
func (o *Order) Cancel() error {
	panic("TODO: only what is placed can be cancelled")
}

// GiveBack puts the pieces of p's line back into p's stock.
func (o *Order) GiveBack(p *Product) {
	panic("TODO: the pieces go back")
}
