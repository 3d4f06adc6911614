// Knows one error of reading a body, its length: one that breaks off gets no answer, which Gin makes a 200.
//
//kata:caught-by TestEnvelope
package gin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-playground/validator/v10"
)

// ErrNotFound is what a Store answers for an item that it does not have.
var ErrNotFound = errors.New("no such item")

// Supplier is where an item comes from.
type Supplier struct {
	Name string `json:"name" validate:"required,max=50"`
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

// body is what a client sends of an item. Price is a pointer, since a price of zero is not a missing price.
type body struct {
	Name     string    `json:"name" validate:"required,max=50"`
	Price    *int      `json:"price" validate:"required,min=0,max=1000000"`
	Tags     []string  `json:"tags" validate:"max=5,dive,required,max=20"`
	Supplier *Supplier `json:"supplier"`
}

// FieldError is one thing that is wrong with a request.
type FieldError struct {
	Field string `json:"field"`
	Rule  string `json:"rule"`
}

type api struct {
	Options
	validate *validator.Validate
}

// actorKey is where authenticate leaves who calls.
const actorKey = "actor"

// New returns the API. It fails if TrustedProxies holds what is neither an address nor a range.
func New(o Options) (http.Handler, error) {
	if o.BodyLimit == 0 {
		o.BodyLimit = 1 << 20
	}
	if o.Go == nil {
		o.Go = func(task func()) { go task() }
	}
	// A validator of our own: names registered with gin's would change every other engine of the program.
	a := &api{Options: o, validate: validator.New(validator.WithRequiredStructEnabled())}
	a.validate.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		return name
	})

	e := gin.New()
	// Gin trusts everybody unless told otherwise.
	if err := e.SetTrustedProxies(o.TrustedProxies); err != nil {
		return nil, err
	}
	e.RemoteIPHeaders = []string{"X-Forwarded-For"}
	e.RedirectTrailingSlash = false
	e.HandleMethodNotAllowed = true
	e.Use(gin.CustomRecovery(func(c *gin.Context, _ any) {
		fail(c, http.StatusInternalServerError, "internal")
	}))
	e.Use(o.Use...)
	e.NoRoute(func(c *gin.Context) { fail(c, http.StatusNotFound, "not_found") })
	e.NoMethod(func(c *gin.Context) { fail(c, http.StatusMethodNotAllowed, "method_not_allowed") })

	items := e.Group("/v1/items")
	items.GET("", a.list)
	items.GET("/:id", a.get)
	writes := items.Group("", a.authenticate)
	writes.POST("", a.create)
	writes.PUT("/:id", a.replace)
	return e, nil
}

// fail answers with the envelope, and lets no later handler run.
func fail(c *gin.Context, status int, code string, fields ...FieldError) {
	failure := gin.H{"code": code, "message": strings.ToLower(http.StatusText(status))}
	if len(fields) > 0 {
		failure["fields"] = fields
	}
	c.AbortWithStatusJSON(status, gin.H{"error": failure})
}

// failStore answers with what the client may know of an error of the store.
func failStore(c *gin.Context, err error) {
	if errors.Is(err, ErrNotFound) {
		fail(c, http.StatusNotFound, "not_found")
		return
	}
	c.Error(err) // for the house's logging; the client sees nothing of it
	fail(c, http.StatusInternalServerError, "internal")
}

// authenticate lets only holders of a key pass.
func (a *api) authenticate(c *gin.Context) {
	key, ok := strings.CutPrefix(c.GetHeader("Authorization"), "Bearer ")
	actor := ""
	if ok {
		actor, ok = a.Keys[key]
	}
	if !ok {
		c.Header("WWW-Authenticate", "Bearer")
		fail(c, http.StatusUnauthorized, "unauthorized")
		return
	}
	c.Set(actorKey, actor)
}

func (a *api) list(c *gin.Context) {
	limit := 20
	if text, ok := c.GetQuery("limit"); ok {
		n, err := strconv.Atoi(text)
		rule := ""
		switch {
		case err != nil:
			rule = "type"
		case n < 1:
			rule = "min"
		case n > 100:
			rule = "max"
		}
		if rule != "" {
			fail(c, http.StatusUnprocessableEntity, "invalid", FieldError{"limit", rule})
			return
		}
		limit = n
	}
	// One more than asked for tells whether there is a next page.
	found, err := a.Store.List(c.Request.Context(), c.Query("after"), limit+1)
	if err != nil {
		failStore(c, err)
		return
	}
	answer := gin.H{}
	if len(found) > limit {
		found = found[:limit]
		answer["next"] = found[limit-1].ID
	}
	items := make([]Item, len(found))
	for i, it := range found {
		items[i] = shown(it)
	}
	answer["items"] = items
	c.JSON(http.StatusOK, answer)
}

func (a *api) get(c *gin.Context) {
	it, err := a.Store.Get(c.Request.Context(), c.Param("id"))
	if err != nil {
		failStore(c, err)
		return
	}
	c.JSON(http.StatusOK, shown(it))
}

func (a *api) create(c *gin.Context) {
	it, ok := a.bind(c)
	if !ok {
		return
	}
	it, err := a.Store.Create(c.Request.Context(), it)
	if err != nil {
		failStore(c, err)
		return
	}
	a.audit(c, "create", it.ID)
	c.Header("Location", "/v1/items/"+it.ID)
	c.JSON(http.StatusCreated, shown(it))
}

func (a *api) replace(c *gin.Context) {
	it, ok := a.bind(c)
	if !ok {
		return
	}
	it.ID = c.Param("id")
	if err := a.Store.Replace(c.Request.Context(), it); err != nil {
		failStore(c, err)
		return
	}
	a.audit(c, "replace", it.ID)
	c.JSON(http.StatusOK, shown(it))
}

// shown is an item as clients see it.
func shown(it Item) Item {
	if it.Tags == nil {
		it.Tags = []string{}
	}
	return it
}

// audit tells the log. The task may run when c already serves another request, hence the copy; and when the request's
// context has ended, hence the context without its cancellation.
func (a *api) audit(c *gin.Context, action, id string) {
	if a.Audit == nil {
		return
	}
	cp := c.Copy()
	a.Go(func() {
		a.Audit(context.WithoutCancel(cp.Request.Context()), Entry{
			Actor:     cp.GetString(actorKey),
			Action:    action,
			Item:      id,
			Client:    cp.ClientIP(),
			RequestID: cp.GetHeader("X-Request-Id"),
		})
	})
}

// bind reads an item from the request. If it reports false, the request has been answered.
func (a *api) bind(c *gin.Context) (Item, bool) {
	if mt, _, err := mime.ParseMediaType(c.GetHeader("Content-Type")); err != nil || mt != "application/json" {
		fail(c, http.StatusUnsupportedMediaType, "unsupported_media_type")
		return Item{}, false
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, a.BodyLimit))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			fail(c, http.StatusRequestEntityTooLarge, "too_large")
		}
		return Item{}, false
	}
	var b body
	if err := decode(data, strict(c), &b); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
			fail(c, http.StatusUnprocessableEntity, "invalid", FieldError{wrong.Field, "type"})
		} else if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			fail(c, http.StatusUnprocessableEntity, "invalid", FieldError{strings.Trim(name, `"`), "unknown"})
		} else {
			fail(c, http.StatusBadRequest, "invalid_json")
		}
		return Item{}, false
	}
	if err := a.validate.Struct(b); err != nil {
		var fields []FieldError
		wrong, _ := errors.AsType[validator.ValidationErrors](err)
		for _, w := range wrong {
			_, path, _ := strings.Cut(w.Namespace(), ".") // without the name of the Go type
			fields = append(fields, FieldError{path, w.Tag()})
		}
		fail(c, http.StatusUnprocessableEntity, "invalid", fields...)
		return Item{}, false
	}
	return Item{Name: b.Name, Price: *b.Price, Tags: b.Tags, Supplier: b.Supplier}, true
}

// strict reports whether the client has asked for unknown fields to be refused.
func strict(c *gin.Context) bool {
	for _, line := range c.Request.Header.Values("Prefer") {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), "handling=strict") {
				return true
			}
		}
	}
	return false
}

// decode reads exactly one JSON value. Gin's own switch for unknown fields is one for the whole program.
func decode(data []byte, strict bool, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the value")
	}
	return nil
}
