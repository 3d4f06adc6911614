// Package web is the shop's HTTP side: requests in, JSON out. It decides nothing.
package web

import (
	"context"
	"net/http"

	"github.com/roadkata/roadkata/stage3/architecture/layered/domain"
)

// Orders is what the web side needs of the shop. Its errors may wrap a *domain.Error.
type Orders interface {
	Place(ctx context.Context, customer string, wants []domain.Want) (domain.Order, error)
	Order(ctx context.Context, id int64) (domain.Order, error)
	Cancel(ctx context.Context, id int64) (domain.Order, error)
}

// New serves the shop.
func New(orders Orders) http.Handler {
	panic("TODO: POST /orders, GET /orders/{id}, POST /orders/{id}/cancel")
}
