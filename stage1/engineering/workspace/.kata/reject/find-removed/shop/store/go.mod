module example.com/shop/store

go 1.25.0

require (
	example.com/dep/uuid v1.1.0
	example.com/shop/money/v2 v2.1.0
)
