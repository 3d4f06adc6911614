module example.com/shop/api

go 1.25.0

require (
	example.com/shop/money v1.9.0
	example.com/shop/store v1.3.0
)

replace (
	example.com/shop/money => ../money
	example.com/shop/store => ../store
)
