package main

import "fmt"

// Order is the body of a message.
type Order struct {
	ID       string `json:"order"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// OverflowError says that an amount is larger than the company's books can hold.
type OverflowError struct{ Amount int64 }

func (e *OverflowError) Error() string { return fmt.Sprintf("amount %d overflows", e.Amount) }

// Cents returns the amount at a rate in cents. It panics with an *OverflowError if the amount cannot be: whoever wrote it is broken, and nobody
// knows what else is.
func (o Order) Cents(rate int64) int64 {
	if o.Amount > 1e9 || o.Amount < -1e9 {
		panic(&OverflowError{o.Amount})
	}
	return o.Amount * rate
}
