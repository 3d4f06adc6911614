// Command api prints receipts, or, without arguments, what there is.
package main

import (
	"fmt"
	"os"

	"example.com/shop/api/web"
	"example.com/shop/money/v2"
	"example.com/shop/store"
)

//go:generate go tool enumgen -out state_enum.go Open Paid Shipped

func main() {
	if len(os.Args) == 1 {
		for _, item := range store.All() {
			fmt.Println(item.Name)
		}
		return
	}
	var total money.Amount
	for _, name := range os.Args[1:] {
		item, ok := find(name)
		if !ok {
			fmt.Fprintf(os.Stderr, "no item %q\n", name)
			os.Exit(1)
		}
		total += item.Price
		fmt.Println(web.Line(item.Name, item.Price.String()))
	}
	fmt.Println(web.Line("total ("+Open.String()+")", total.String()))
}

func find(name string) (store.Item, bool) {
	for _, item := range store.All() {
		if item.Name == name {
			return item, true
		}
	}
	return store.Item{}, false
}
