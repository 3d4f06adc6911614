module example.com/shop/money/v2

go 1.25.0
