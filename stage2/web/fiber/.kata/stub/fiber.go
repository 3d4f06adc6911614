// Package fiber is the items API of a small shop, on Fiber.
package fiber

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/gofiber/fiber/v3"
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

// Store keeps the items; all processes of the shop share it. It keeps what it is given, and is safe for concurrent use.
type Store interface {
	List(ctx context.Context, after string, limit int) ([]Item, error) // at most limit items whose id is greater than after, by id
	Each(ctx context.Context, yield func(Item) error) error            // all items by id; an error of yield ends it
	Get(ctx context.Context, id string) (Item, error)                  // or ErrNotFound
	Create(ctx context.Context, it Item) (Item, error)                 // chooses the id
	Replace(ctx context.Context, it Item) error                        // or ErrNotFound
	Spend(ctx context.Context, holder string) (int, error)             // counts one more write, returns the holder's writes so far
}

// Entry is a line of the audit log: who has written what, in which request.
type Entry struct {
	Actor     string // who holds the API key
	Action    string // "create" or "replace"
	Item      string // its id
	RequestID string // the request's X-Request-Id
}

// Options configures the API.
type Options struct {
	Store     Store
	Keys      map[string]string // API key → who holds it
	BodyLimit int               // the longest request body in bytes; 0: 1 MiB
	Quota     int               // how many writes a holder may make; 0: as many as they like
	Use       []fiber.Handler   // the house's own middleware, run before every handler
	Audit     func(e Entry)     // told of every write that succeeded, keeps what it is told; nil: nobody is told
}

// New returns the API, ready to be served.
func New(o Options) *fiber.App {
	panic("TODO: an app that says no in one way, and its routes")
}

// Serve serves app on ln until ctx ends. Then it takes no more connections, and returns nil when all requests have been answered, or an
// error that is context.DeadlineExceeded if that has taken longer than grace. If ln fails before, Serve returns its error at once.
func Serve(ctx context.Context, ln net.Listener, app *fiber.App, grace time.Duration) error {
	panic("TODO: serve, and stop gracefully")
}
