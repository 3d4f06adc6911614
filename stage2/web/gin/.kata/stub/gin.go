// Package gin is the items API of a small shop, on Gin.
package gin

import (
	"context"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"
)

// ErrNotFound is what a Store answers for an item that it does not have.
var ErrNotFound = errors.New("no such item")

// Supplier is where an item comes from.
type Supplier struct {
	Name string `json:"name"`
}

// Item is what the shop sells.
type Item struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Price    int       `json:"price"` // in cents
	Tags     []string  `json:"tags"`  // never null in an answer
	Supplier *Supplier `json:"supplier,omitempty"`
}

// Store keeps the items. It is safe for concurrent use.
type Store interface {
	List(ctx context.Context, after string, limit int) ([]Item, error) // at most limit items whose id is greater than after, by id
	Get(ctx context.Context, id string) (Item, error)                  // or ErrNotFound
	Create(ctx context.Context, it Item) (Item, error)                 // chooses the id
	Replace(ctx context.Context, it Item) error                        // or ErrNotFound
}

// Entry is a line of the audit log: who has written what, from where.
type Entry struct {
	Actor     string // who holds the API key
	Action    string // "create" or "replace"
	Item      string // its id
	Client    string // the client's address
	RequestID string // the request's X-Request-Id
}

// Options configures the API.
type Options struct {
	Store          Store
	Keys           map[string]string // API key → who holds it
	TrustedProxies []string          // addresses and CIDR ranges that X-Forwarded-For is believed from; none: nobody
	BodyLimit      int64             // the longest request body in bytes; 0: 1 MiB
	Use            []gin.HandlerFunc // the house's own middleware, run for every request, also where no route matches

	Audit func(ctx context.Context, e Entry) // told of every write that succeeded, in the background; nil: nobody is told
	Go    func(task func())                  // runs background work, at once or long after the answer; nil: go task()
}

// New returns the API. It fails if TrustedProxies holds what is neither an address nor a range.
func New(o Options) (http.Handler, error) {
	panic("TODO: an engine, its routes, and one way to say no")
}
