package main

import (
	"errors"
	"testing"
)

// An amount that cannot be is a panic, whose value tells the runtime what happened.
func TestExampleCents(t *testing.T) {
	if got := (Order{ID: "o-1", Amount: 3, Currency: "USD"}).Cents(92); got != 276 {
		t.Errorf("Cents of 3 USD at 92 = %d, want 276", got)
	}
	defer func() {
		err, _ := recover().(error)
		if overflow := (*OverflowError)(nil); !errors.As(err, &overflow) {
			t.Errorf("Cents of 2e9 panics with %v, want an *OverflowError", err)
		}
	}()
	Order{ID: "o-2", Amount: 2e9, Currency: "USD"}.Cents(92)
}
