// Starts the listener and forgets it: a server that serves nobody waits for its end as if all were well.
//
//kata:caught-by TestStop
package fiber

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"
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

// FieldError is one thing that is wrong with a request.
type FieldError struct {
	Field string `json:"field"`
	Rule  string `json:"rule"`
}

// failure is an error that knows its answer.
type failure struct {
	status int
	code   string
	fields []FieldError
}

func (f *failure) Error() string { return f.code }

func fail(status int, code string, fields ...FieldError) error {
	return &failure{status, code, fields}
}

type api struct{ Options }

// holderKey is where authenticate leaves who calls.
const holderKey = "holder"

// New returns the API, ready to be served. Whatever the app remembers between requests lies in the store: under prefork each process
// has an app of its own, and the next request may reach another one.
func New(o Options) *fiber.App {
	if o.BodyLimit == 0 {
		o.BodyLimit = 1 << 20
	}
	a := &api{o}
	app := fiber.New(fiber.Config{
		BodyLimit:     o.BodyLimit,
		CaseSensitive: true,
		StrictRouting: true,
		ErrorHandler:  answer,
	})
	// Fiber recovers from nothing by itself: a panic would end the process.
	app.Use(recover.New())
	for _, h := range o.Use {
		app.Use(h)
	}
	app.Get("/v1/items", a.list)
	app.Get("/v1/items/:id", a.get)
	app.Post("/v1/items", a.authenticate, a.create)
	app.Put("/v1/items/:id", a.authenticate, a.replace)
	app.Get("/v1/export", a.export)
	return app
}

// Serve serves app on ln until ctx ends. Then it takes no more connections, and returns nil when all requests have been answered, or an
// error that is context.DeadlineExceeded if that has taken longer than grace. If ln fails before, Serve returns its error at once.
func Serve(ctx context.Context, ln net.Listener, app *fiber.App, grace time.Duration) error {
	go app.Listener(ln, fiber.ListenConfig{DisableStartupMessage: true})
	<-ctx.Done()
	err := app.ShutdownWithTimeout(grace)
	ln.Close()
	return err
}

// answer is the one place where refusals are answered, Fiber's own among them.
func answer(c fiber.Ctx, err error) error {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = &failure{status: http.StatusInternalServerError, code: "internal"}
		if errors.Is(err, ErrNotFound) {
			f = &failure{status: http.StatusNotFound, code: "not_found"}
		}
		if e, ok := errors.AsType[*fiber.Error](err); ok {
			switch e.Code {
			case http.StatusNotFound:
				f = &failure{status: e.Code, code: "not_found"}
			case http.StatusMethodNotAllowed:
				f = &failure{status: e.Code, code: "method_not_allowed"}
			case http.StatusRequestEntityTooLarge:
				f = &failure{status: e.Code, code: "too_large"}
			default:
				f = &failure{status: e.Code, code: "bad_request"}
			}
		}
	}
	type envelope struct {
		Code    string       `json:"code"`
		Message string       `json:"message"`
		Fields  []FieldError `json:"fields,omitempty"`
	}
	message := strings.ToLower(http.StatusText(f.status))
	return c.Status(f.status).JSON(fiber.Map{"error": envelope{f.code, message, f.fields}})
}

// authenticate lets only holders of a key pass.
func (a *api) authenticate(c fiber.Ctx) error {
	key, ok := strings.CutPrefix(c.Get("Authorization"), "Bearer ")
	holder, known := a.Keys[key]
	if !ok || !known {
		c.Set("WWW-Authenticate", "Bearer")
		return fail(http.StatusUnauthorized, "unauthorized")
	}
	c.Locals(holderKey, holder)
	return c.Next()
}

func (a *api) list(c fiber.Ctx) error {
	limit := 20
	if c.Request().URI().QueryArgs().Has("limit") {
		n, err := strconv.Atoi(c.Query("limit"))
		switch {
		case err != nil:
			return fail(http.StatusUnprocessableEntity, "invalid", FieldError{"limit", "type"})
		case n < 1:
			return fail(http.StatusUnprocessableEntity, "invalid", FieldError{"limit", "min"})
		case n > 100:
			return fail(http.StatusUnprocessableEntity, "invalid", FieldError{"limit", "max"})
		}
		limit = n
	}
	// One more than asked for tells whether there is a next page.
	found, err := a.Store.List(c.Context(), c.Query("after"), limit+1)
	if err != nil {
		return err
	}
	page := fiber.Map{}
	if len(found) > limit {
		found = found[:limit]
		page["next"] = found[limit-1].ID
	}
	items := make([]Item, len(found))
	for i, it := range found {
		items[i] = shown(it)
	}
	page["items"] = items
	return c.JSON(page)
}

func (a *api) get(c fiber.Ctx) error {
	it, err := a.Store.Get(c.Context(), c.Params("id"))
	if err != nil {
		return err
	}
	return c.JSON(shown(it))
}

func (a *api) create(c fiber.Ctx) error {
	it, err := a.bind(c)
	if err != nil {
		return err
	}
	if it, err = a.Store.Create(c.Context(), it); err != nil {
		return err
	}
	a.audit(c, "create", it.ID)
	c.Set("Location", "/v1/items/"+it.ID)
	return c.Status(http.StatusCreated).JSON(shown(it))
}

func (a *api) replace(c fiber.Ctx) error {
	it, err := a.bind(c)
	if err != nil {
		return err
	}
	// The store keeps the id, and what Params returns is gone with the request.
	it.ID = strings.Clone(c.Params("id"))
	if err := a.Store.Replace(c.Context(), it); err != nil {
		return err
	}
	a.audit(c, "replace", it.ID)
	return c.JSON(shown(it))
}

// export streams all items, one JSON object a line. The stream is written when the handler has returned and c belongs to another
// request, so all that it needs of this one is taken out before.
func (a *api) export(c fiber.Ctx) error {
	ctx, tag := c.Context(), strings.Clone(c.Query("tag"))
	c.Set("Content-Type", "application/x-ndjson")
	return c.SendStreamWriter(func(w *bufio.Writer) {
		lines := json.NewEncoder(w)
		// The answer has begun: of an error of the store, nothing can be told any more.
		_ = a.Store.Each(ctx, func(it Item) error {
			if tag != "" && !slices.Contains(it.Tags, tag) {
				return nil
			}
			if err := lines.Encode(shown(it)); err != nil {
				return err
			}
			return w.Flush() // fails when the client has left
		})
	})
}

// shown is an item as clients see it.
func shown(it Item) Item {
	if it.Tags == nil {
		it.Tags = []string{}
	}
	return it
}

func (a *api) audit(c fiber.Ctx, action, id string) {
	if a.Audit == nil {
		return
	}
	holder, _ := c.Locals(holderKey).(string)
	a.Audit(Entry{Actor: holder, Action: action, Item: id, RequestID: strings.Clone(c.Get("X-Request-Id"))})
}

// bind reads an item that may be written.
func (a *api) bind(c fiber.Ctx) (Item, error) {
	if mt, _, err := mime.ParseMediaType(c.Get("Content-Type")); err != nil || mt != "application/json" {
		return Item{}, fail(http.StatusUnsupportedMediaType, "unsupported_media_type")
	}
	var in struct {
		Name     string    `json:"name"`
		Price    *int      `json:"price"` // a price of zero is not a missing price
		Tags     []string  `json:"tags"`
		Supplier *Supplier `json:"supplier"`
	}
	d := json.NewDecoder(bytes.NewReader(c.BodyRaw()))
	err := d.Decode(&in)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return Item{}, fail(http.StatusUnprocessableEntity, "invalid", FieldError{wrong.Field, "type"})
	}
	if err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = errors.New("something follows the object")
		}
	}
	if err != nil {
		return Item{}, fail(http.StatusBadRequest, "invalid_json")
	}

	var wrong []FieldError
	text := func(field, s string, limit int) {
		if s == "" {
			wrong = append(wrong, FieldError{field, "required"})
		} else if utf8.RuneCountInString(s) > limit {
			wrong = append(wrong, FieldError{field, "max"})
		}
	}
	text("name", in.Name, 50)
	switch {
	case in.Price == nil:
		wrong = append(wrong, FieldError{"price", "required"})
	case *in.Price < 0:
		wrong = append(wrong, FieldError{"price", "min"})
	case *in.Price > 1_000_000:
		wrong = append(wrong, FieldError{"price", "max"})
	}
	if len(in.Tags) > 5 {
		wrong = append(wrong, FieldError{"tags", "max"})
	} else {
		for i, tag := range in.Tags {
			text("tags["+strconv.Itoa(i)+"]", tag, 20)
		}
	}
	if in.Supplier != nil {
		text("supplier.name", in.Supplier.Name, 50)
	}
	if len(wrong) > 0 {
		return Item{}, fail(http.StatusUnprocessableEntity, "invalid", wrong...)
	}
	if err := a.spend(c); err != nil {
		return Item{}, err
	}
	return Item{Name: in.Name, Price: *in.Price, Tags: in.Tags, Supplier: in.Supplier}, nil
}

// spend counts a write against its holder's quota.
func (a *api) spend(c fiber.Ctx) error {
	if a.Quota == 0 {
		return nil
	}
	holder, _ := c.Locals(holderKey).(string)
	n, err := a.Store.Spend(c.Context(), holder)
	if err == nil && n > a.Quota {
		err = fail(http.StatusTooManyRequests, "quota")
	}
	return err
}
