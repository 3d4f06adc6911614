// Package before is the shop as it was: one file that does everything. It works, its customers rely on it, and nobody dares to touch it.
// Read it; it is not yours to change or to import.
package before

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// Schema makes the tables. They stay as they are.
const Schema = `
CREATE TABLE products (
	sku   TEXT PRIMARY KEY,
	price INTEGER NOT NULL,                  -- in cents
	stock INTEGER NOT NULL CHECK (stock >= 0)
);
CREATE TABLE orders (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	customer TEXT NOT NULL,
	total    INTEGER NOT NULL,               -- in cents
	status   TEXT NOT NULL                   -- placed, shipped or cancelled; the warehouse sets shipped
);
CREATE TABLE lines (
	order_id INTEGER NOT NULL REFERENCES orders (id),
	sku      TEXT NOT NULL REFERENCES products (sku),
	qty      INTEGER NOT NULL,
	price    INTEGER NOT NULL,               -- of one piece, on the day of the order
	PRIMARY KEY (order_id, sku)
);`

type line struct {
	SKU   string `json:"sku"`
	Qty   int    `json:"qty"`
	Price int64  `json:"price"`
}

type order struct {
	ID       int64  `json:"id"`
	Customer string `json:"customer"`
	Lines    []line `json:"lines"`
	Total    int64  `json:"total"`
	Status   string `json:"status"`
}

type handler struct{ db *sql.DB }

// New is the shop on a database with the tables of Schema.
func New(db *sql.DB) http.Handler {
	h := handler{db}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", h.place)
	mux.HandleFunc("GET /orders/{id}", h.get)
	mux.HandleFunc("POST /orders/{id}/cancel", h.cancel)
	return mux
}

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
		fail(w, http.StatusBadRequest, "malformed body")
		return
	}
	if in.Customer == "" {
		fail(w, http.StatusBadRequest, "customer is missing")
		return
	}
	if len(in.Lines) == 0 {
		fail(w, http.StatusBadRequest, "no lines")
		return
	}
	seen := map[string]bool{}
	for _, l := range in.Lines {
		if l.Qty < 1 || l.Qty > 100 {
			fail(w, http.StatusBadRequest, fmt.Sprintf("quantity of %q is not between 1 and 100", l.SKU))
			return
		}
		if seen[l.SKU] {
			fail(w, http.StatusBadRequest, fmt.Sprintf("%q stands twice", l.SKU))
			return
		}
		seen[l.SKU] = true
	}

	tx, err := h.db.BeginTx(r.Context(), nil)
	if err != nil {
		fail(w, http.StatusInternalServerError, "internal error")
		return
	}
	defer tx.Rollback()
	o := order{Customer: in.Customer, Status: "placed"}
	for _, l := range in.Lines {
		var price int64
		var stock int
		err := tx.QueryRowContext(r.Context(), `SELECT price, stock FROM products WHERE sku = $1`, l.SKU).Scan(&price, &stock)
		if errors.Is(err, sql.ErrNoRows) {
			fail(w, http.StatusBadRequest, fmt.Sprintf("no such product %q", l.SKU))
			return
		}
		if err != nil {
			fail(w, http.StatusInternalServerError, "internal error")
			return
		}
		if stock < l.Qty {
			fail(w, http.StatusConflict, fmt.Sprintf("only %d of %q left", stock, l.SKU))
			return
		}
		if _, err := tx.ExecContext(r.Context(), `UPDATE products SET stock = $1 WHERE sku = $2`, stock-l.Qty, l.SKU); err != nil {
			fail(w, http.StatusInternalServerError, "internal error")
			return
		}
		o.Lines = append(o.Lines, line{l.SKU, l.Qty, price})
		o.Total += price * int64(l.Qty)
	}
	if o.Total >= 10000 {
		o.Total -= o.Total * 5 / 100
	}
	err = tx.QueryRowContext(r.Context(), `INSERT INTO orders (customer, total, status) VALUES ($1, $2, $3) RETURNING id`,
		o.Customer, o.Total, o.Status).Scan(&o.ID)
	if err != nil {
		fail(w, http.StatusInternalServerError, "internal error")
		return
	}
	for _, l := range o.Lines {
		_, err := tx.ExecContext(r.Context(), `INSERT INTO lines (order_id, sku, qty, price) VALUES ($1, $2, $3, $4)`, o.ID, l.SKU, l.Qty, l.Price)
		if err != nil {
			fail(w, http.StatusInternalServerError, "internal error")
			return
		}
	}
	if err := tx.Commit(); err != nil {
		fail(w, http.StatusInternalServerError, "internal error")
		return
	}
	w.Header().Set("Location", fmt.Sprintf("/orders/%d", o.ID))
	answer(w, http.StatusCreated, o)
}

func (h handler) get(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		fail(w, http.StatusNotFound, "no such order")
		return
	}
	tx, err := h.db.BeginTx(r.Context(), nil)
	if err != nil {
		fail(w, http.StatusInternalServerError, "internal error")
		return
	}
	defer tx.Rollback()
	o, ok := load(w, r, tx, id)
	if !ok {
		return
	}
	if err := tx.Commit(); err != nil {
		fail(w, http.StatusInternalServerError, "internal error")
		return
	}
	answer(w, http.StatusOK, o)
}

func (h handler) cancel(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		fail(w, http.StatusNotFound, "no such order")
		return
	}
	tx, err := h.db.BeginTx(r.Context(), nil)
	if err != nil {
		fail(w, http.StatusInternalServerError, "internal error")
		return
	}
	defer tx.Rollback()
	o, ok := load(w, r, tx, id)
	if !ok {
		return
	}
	if o.Status != "placed" {
		fail(w, http.StatusConflict, "order is "+o.Status)
		return
	}
	o.Status = "cancelled"
	if _, err := tx.ExecContext(r.Context(), `UPDATE orders SET status = $1 WHERE id = $2`, o.Status, o.ID); err != nil {
		fail(w, http.StatusInternalServerError, "internal error")
		return
	}
	for _, l := range o.Lines {
		if _, err := tx.ExecContext(r.Context(), `UPDATE products SET stock = stock + $1 WHERE sku = $2`, l.Qty, l.SKU); err != nil {
			fail(w, http.StatusInternalServerError, "internal error")
			return
		}
	}
	if err := tx.Commit(); err != nil {
		fail(w, http.StatusInternalServerError, "internal error")
		return
	}
	answer(w, http.StatusOK, o)
}

func load(w http.ResponseWriter, r *http.Request, tx *sql.Tx, id int64) (order, bool) {
	o := order{ID: id}
	err := tx.QueryRowContext(r.Context(), `SELECT customer, total, status FROM orders WHERE id = $1`, id).Scan(&o.Customer, &o.Total, &o.Status)
	if errors.Is(err, sql.ErrNoRows) {
		fail(w, http.StatusNotFound, "no such order")
		return order{}, false
	}
	if err != nil {
		fail(w, http.StatusInternalServerError, "internal error")
		return order{}, false
	}
	rows, err := tx.QueryContext(r.Context(), `SELECT sku, qty, price FROM lines WHERE order_id = $1 ORDER BY rowid`, id)
	if err != nil {
		fail(w, http.StatusInternalServerError, "internal error")
		return order{}, false
	}
	defer rows.Close()
	for rows.Next() {
		var l line
		if err := rows.Scan(&l.SKU, &l.Qty, &l.Price); err != nil {
			fail(w, http.StatusInternalServerError, "internal error")
			return order{}, false
		}
		o.Lines = append(o.Lines, l)
	}
	if err := rows.Err(); err != nil {
		fail(w, http.StatusInternalServerError, "internal error")
		return order{}, false
	}
	return o, true
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, status int, text string) {
	answer(w, status, map[string]string{"error": text})
}
