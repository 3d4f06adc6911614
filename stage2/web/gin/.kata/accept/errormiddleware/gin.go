// Package gin is the items API of a small shop, on Gin: handlers leave errors in the context, and one middleware answers them;
// items are bound and checked by Gin itself.
package gin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/gin-gonic/gin/binding"
	"github.com/go-playground/validator/v10"
)

// ErrNotFound is what a Store answers for an item that it does not have.
var ErrNotFound = errors.New("no such item")

// Supplier is where an item comes from.
type Supplier struct {
	Name string `json:"name" binding:"required,max=50"`
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

type input struct {
	Name     string    `json:"name" binding:"required,max=50"`
	Price    *int      `json:"price" binding:"required,min=0,max=1000000"`
	Tags     []string  `json:"tags" binding:"max=5,dive,required,max=20"`
	Supplier *Supplier `json:"supplier"`
}

type query struct {
	Limit *int   `form:"limit" json:"limit" binding:"omitempty,min=1,max=100"`
	After string `form:"after" json:"after"`
}

// problem is an error that knows its answer.
type problem struct {
	status int
	code   string
	fields []gin.H
}

func (p *problem) Error() string { return p.code }

func invalid(field, rule string) *problem {
	return &problem{422, "invalid", []gin.H{{"field": field, "rule": rule}}}
}

// jsonNames teaches Gin's validator to name fields as JSON does; it is one for the program, so once is enough.
var jsonNames sync.Once

// New returns the API. It fails if TrustedProxies holds what is neither an address nor a range.
func New(o Options) (http.Handler, error) {
	jsonNames.Do(func() {
		binding.Validator.Engine().(*validator.Validate).RegisterTagNameFunc(func(f reflect.StructField) string {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			return name
		})
	})
	if o.BodyLimit == 0 {
		o.BodyLimit = 1 << 20
	}
	e := gin.New(func(e *gin.Engine) {
		e.RedirectTrailingSlash = false
		e.HandleMethodNotAllowed = true
		e.ForwardedByClientIP = len(o.TrustedProxies) > 0
		e.RemoteIPHeaders = []string{"X-Forwarded-For"}
	})
	if err := e.SetTrustedProxies(o.TrustedProxies); err != nil {
		return nil, err
	}
	e.Use(answerErrors)
	e.Use(o.Use...)
	e.NoRoute(raise(func(*gin.Context) error { return &problem{status: 404, code: "not_found"} }))
	e.NoMethod(raise(func(*gin.Context) error { return &problem{status: 405, code: "method_not_allowed"} }))

	s := &server{o}
	v1 := e.Group("/v1")
	v1.GET("/items", raise(s.list))
	v1.GET("/items/:id", raise(s.get))
	v1.POST("/items", raise(s.key), raise(s.sized), raise(s.create))
	v1.PUT("/items/:id", raise(s.key), raise(s.sized), raise(s.replace))
	return e, nil
}

// raise makes a handler of a function that may fail.
func raise(h func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := h(c); err != nil {
			c.Error(err)
			c.Abort()
		}
	}
}

// answerErrors answers for whatever handler failed, or panicked.
func answerErrors(c *gin.Context) {
	defer func() {
		if r := recover(); r != nil {
			c.Error(fmt.Errorf("panic: %v", r))
			c.Abort()
		}
		last := c.Errors.Last()
		if last == nil || c.Writer.Written() {
			return
		}
		p := &problem{status: 500, code: "internal"}
		if !errors.As(last.Err, &p) && errors.Is(last.Err, ErrNotFound) {
			p = &problem{status: 404, code: "not_found"}
		}
		c.JSON(p.status, gin.H{"error": gin.H{"code": p.code, "message": http.StatusText(p.status), "fields": p.fields}})
	}()
	c.Next()
}

type server struct{ Options }

func (s *server) key(c *gin.Context) error {
	scheme, key, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	holder, known := s.Keys[key]
	if scheme != "Bearer" || !known {
		c.Header("WWW-Authenticate", "Bearer")
		return &problem{status: 401, code: "unauthorized"}
	}
	c.Set("holder", holder)
	return nil
}

// sized refuses what is not JSON, and cuts what is too long.
func (s *server) sized(c *gin.Context) error {
	if mt, _, err := mime.ParseMediaType(c.GetHeader("Content-Type")); err != nil || mt != binding.MIMEJSON {
		return &problem{status: 415, code: "unsupported_media_type"}
	}
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, s.BodyLimit)
	return nil
}

func (s *server) bind(c *gin.Context) (it Item, err error) {
	var in input
	if err := c.ShouldBindBodyWithJSON(&in); err != nil {
		return it, refusal(err)
	}
	data := c.MustGet(gin.BodyBytesKey).([]byte)
	if !json.Valid(data) {
		return it, &problem{status: 400, code: "invalid_json"}
	}
	if prefers := strings.Join(c.Request.Header.Values("Prefer"), ","); slices.Contains(strings.Split(strings.ReplaceAll(prefers, " ", ""), ","), "handling=strict") {
		var all map[string]json.RawMessage
		json.Unmarshal(data, &all)
		for name := range all {
			if !slices.Contains([]string{"name", "price", "tags", "supplier"}, name) {
				return it, invalid(name, "unknown")
			}
		}
	}
	return Item{Name: in.Name, Price: *in.Price, Tags: append([]string{}, in.Tags...), Supplier: in.Supplier}, nil
}

// refusal says what an error of Gin's binding means for the client.
func refusal(err error) error {
	var (
		fields validator.ValidationErrors
		wrong  *json.UnmarshalTypeError
		long   *http.MaxBytesError
	)
	switch {
	case errors.As(err, &fields):
		p := &problem{status: 422, code: "invalid"}
		for _, f := range fields {
			_, path, _ := strings.Cut(f.Namespace(), ".")
			p.fields = append(p.fields, gin.H{"field": path, "rule": f.Tag()})
		}
		return p
	case errors.As(err, &long):
		return &problem{status: 413, code: "too_large"}
	case errors.As(err, &wrong):
		return invalid(wrong.Field, "type")
	}
	return &problem{status: 400, code: "invalid_json"}
}

func (s *server) create(c *gin.Context) error {
	it, err := s.bind(c)
	if err == nil {
		it, err = s.Store.Create(c.Request.Context(), it)
	}
	if err == nil {
		c.Header("Location", "/v1/items/"+it.ID)
		c.JSON(http.StatusCreated, it)
		s.tell(c.Copy(), "create", it.ID)
	}
	return err
}

func (s *server) replace(c *gin.Context) error {
	it, err := s.bind(c)
	if err != nil {
		return err
	}
	it.ID = c.Param("id")
	if err := s.Store.Replace(c.Request.Context(), it); err != nil {
		return err
	}
	c.JSON(http.StatusOK, it)
	s.tell(c.Copy(), "replace", it.ID)
	return nil
}

func (s *server) tell(c *gin.Context, action, id string) {
	task := func() {
		s.Audit(context.WithoutCancel(c.Request.Context()), Entry{c.GetString("holder"), action, id, c.ClientIP(), c.GetHeader("X-Request-Id")})
	}
	switch {
	case s.Audit == nil:
	case s.Go == nil:
		go task()
	default:
		s.Go(task)
	}
}

func (s *server) get(c *gin.Context) error {
	it, err := s.Store.Get(c.Request.Context(), c.Param("id"))
	if err == nil {
		c.JSON(http.StatusOK, listed(it))
	}
	return err
}

func (s *server) list(c *gin.Context) error {
	var q query
	if text, given := c.GetQuery("limit"); given && text == "" {
		return invalid("limit", "type")
	}
	if err := c.ShouldBindQuery(&q); err != nil {
		if p, ok := refusal(err).(*problem); ok && p.status == 422 {
			return p
		}
		return invalid("limit", "type")
	}
	limit := 20
	if q.Limit != nil {
		limit = *q.Limit
	}
	items, err := s.Store.List(c.Request.Context(), q.After, limit+1)
	if err != nil {
		return err
	}
	page := struct {
		Items []Item `json:"items"`
		Next  string `json:"next,omitempty"`
	}{Items: []Item{}}
	for i, it := range items {
		if i == limit {
			page.Next = items[i-1].ID
			break
		}
		page.Items = append(page.Items, listed(it))
	}
	c.JSON(http.StatusOK, page)
	return nil
}

func listed(it Item) Item {
	it.Tags = append([]string{}, it.Tags...)
	return it
}
