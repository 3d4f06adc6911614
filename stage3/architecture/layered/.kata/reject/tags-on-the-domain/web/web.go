// Package web is the shop's HTTP side: requests in, JSON out. It decides nothing.
package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

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
	h := handler{orders}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", h.place)
	mux.HandleFunc("GET /orders/{id}", one(orders.Order))
	mux.HandleFunc("POST /orders/{id}/cancel", one(orders.Cancel))
	return mux
}

type handler struct{ orders Orders }

// The wire's own types: the domain may change without the customers' noticing, and the other way round.
type (
	order struct {
		ID       int64         `json:"id"`
		Customer string        `json:"customer"`
		Lines    []domain.Line `json:"lines"`
		Total    int64         `json:"total"`
		Status   domain.Status `json:"status"`
	}
)

func (h handler) place(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Customer string `json:"customer"`
		Lines    []struct {
			SKU string `json:"sku"`
			Qty int    `json:"qty"`
		} `json:"lines"`
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		answer(w, http.StatusBadRequest, problem("malformed body"))
		return
	}
	var wants []domain.Want
	for _, l := range in.Lines {
		wants = append(wants, domain.Want{SKU: l.SKU, Qty: l.Qty})
	}
	o, err := h.orders.Place(r.Context(), in.Customer, wants)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Location", fmt.Sprintf("/orders/%d", o.ID))
	answer(w, http.StatusCreated, onWire(o))
}

// one serves what takes the id of an order and returns that order.
func one(f func(context.Context, int64) (domain.Order, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
		if err != nil {
			answer(w, http.StatusNotFound, problem("no such order"))
			return
		}
		o, err := f(r.Context(), id)
		if err != nil {
			fail(w, err)
			return
		}
		answer(w, http.StatusOK, onWire(o))
	}
}

func onWire(o domain.Order) order {
	out := order{ID: o.ID, Customer: o.Customer, Total: o.Total, Status: o.Status}
	out.Lines = o.Lines
	return out
}

// fail tells the customer what is the customer's business, and no more.
func fail(w http.ResponseWriter, err error) {
	status, text := http.StatusInternalServerError, "internal error"
	if refusal, ok := errors.AsType[*domain.Error](err); ok {
		switch refusal.Kind {
		case domain.Invalid:
			status, text = http.StatusBadRequest, refusal.Text
		case domain.NotFound:
			status, text = http.StatusNotFound, refusal.Text
		case domain.Conflict:
			status, text = http.StatusConflict, refusal.Text
		}
	}
	answer(w, status, problem(text))
}

func problem(text string) map[string]string { return map[string]string{"error": text} }

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // a customer who has gone away needs no answer
}
