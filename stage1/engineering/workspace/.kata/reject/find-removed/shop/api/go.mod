module example.com/shop/api

go 1.25.0

tool example.com/dev/enumgen

ignore ./web/node_modules

require (
	example.com/shop/money/v2 v2.1.0
	example.com/shop/store v1.4.0
)

require (
	example.com/dep/uuid v1.1.0 // indirect
	example.com/dev/enumgen v1.2.0 // indirect
)
