// Package store knows the prices.
package store

import (
	"slices"

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
	items := All()
	i := slices.IndexFunc(items, func(i Item) bool { return i.Name == name })
	if i < 0 {
		return Item{}, false
	}
	return items[i], true
}

func item(r rows.Row) Item {
	return Item{ID: uuid.Of(r.Name), Name: r.Name, Price: money.Amount(r.Cents)}
}
