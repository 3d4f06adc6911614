// Package store knows the prices.
package store

import (
	"example.com/dep/uuid"

	"example.com/shop/money/v2"
	"example.com/shop/store/internal/rows"
)

// Item is something to buy.
type Item struct {
	ID    string
	Name  string
	Price money.Amount
}

// All returns every item.
func All() []Item {
	var items []Item
	for _, r := range rows.All() {
		items = append(items, item(r))
	}
	return items
}

func item(r rows.Row) Item {
	return Item{ID: uuid.Of(r.Name), Name: r.Name, Price: money.Amount(r.Cents)}
}
