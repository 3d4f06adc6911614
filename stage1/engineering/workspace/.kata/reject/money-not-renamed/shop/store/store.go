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

// Find returns the item with the given name. It came with v1.4.0.
func Find(name string) (Item, bool) {
	for _, r := range rows.All() {
		if r.Name == name {
			return item(r), true
		}
	}
	return Item{}, false
}

func item(r rows.Row) Item {
	return Item{ID: uuid.Of(r.Name), Name: r.Name, Price: money.Amount(r.Cents)}
}
