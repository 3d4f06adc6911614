module example.com/shop/money

go 1.25.0
