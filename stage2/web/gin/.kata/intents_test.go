// The items API of a shop, on Gin.
//
//kata:level 2
//kata:minutes 75
//kata:engine real gin 1.12 over httptest
package gin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gin-gonic/gin"

	shop "github.com/roadkata/roadkata/stage2/web/gin"
)

const lamp = `{"name":"lamp","price":1900}`

// memory is a store that counts how often it is asked.
type memory struct {
	mu    sync.Mutex
	items []shop.Item // by id
	calls int
	err   error  // if set, every call fails with it
	panic string // if set, every call panics with it
}

func (m *memory) called() error {
	m.calls++
	if m.panic != "" {
		panic(m.panic)
	}
	return m.err
}

func (m *memory) List(_ context.Context, after string, limit int) ([]shop.Item, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.called(); err != nil {
		return nil, err
	}
	var found []shop.Item
	for _, it := range m.items {
		if it.ID > after && len(found) < limit {
			found = append(found, it)
		}
	}
	return found, nil
}

func (m *memory) Get(_ context.Context, id string) (shop.Item, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.called(); err != nil {
		return shop.Item{}, err
	}
	for _, it := range m.items {
		if it.ID == id {
			return it, nil
		}
	}
	return shop.Item{}, fmt.Errorf("memory: get %q: %w", id, shop.ErrNotFound)
}

func (m *memory) Create(_ context.Context, it shop.Item) (shop.Item, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.called(); err != nil {
		return shop.Item{}, err
	}
	it.ID = fmt.Sprintf("i%03d", len(m.items)+1)
	m.items = append(m.items, it)
	return it, nil
}

func (m *memory) Replace(_ context.Context, it shop.Item) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.called(); err != nil {
		return err
	}
	for i := range m.items {
		if m.items[i].ID == it.ID {
			m.items[i] = it
			return nil
		}
	}
	return fmt.Errorf("memory: replace %q: %w", it.ID, shop.ErrNotFound)
}

// answer is a response, read.
type answer struct {
	what   string
	status int
	header http.Header
	body   string
}

func (a answer) String() string { return fmt.Sprintf("%s = %d %s", a.what, a.status, a.body) }

// into unmarshals the body, which is one JSON value.
func (a answer) into(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%v: the body is not one JSON value: %v", a, err)
	}
	if ct := a.header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
		t.Errorf("%v: Content-Type = %q, want application/json", a, ct)
	}
}

// refused fails unless the answer is an envelope of this status and code, and returns its fields as "field rule", sorted.
func (a answer) refused(t *testing.T, status int, code string) []string {
	t.Helper()
	var envelope struct {
		Error struct {
			Code, Message string
			Fields        []struct{ Field, Rule string }
		}
	}
	a.into(t, &envelope)
	if a.status != status || envelope.Error.Code != code || envelope.Error.Message == "" {
		t.Errorf("%v, want %d and an envelope with the code %q and a message", a, status, code)
	}
	var fields []string
	for _, f := range envelope.Error.Fields {
		fields = append(fields, f.Field+" "+f.Rule)
	}
	slices.Sort(fields)
	return fields
}

func serve(t *testing.T, o shop.Options) http.Handler {
	t.Helper()
	gin.SetMode(gin.TestMode)
	if o.Keys == nil {
		o.Keys = map[string]string{"k-ada": "ada", "k-bob": "bob"}
	}
	h, err := shop.New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return h
}

// request is one of Ada's, with headers as "Name: value".
func request(method, path, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer k-ada")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if value == "" {
			r.Header.Del(name)
		} else if r.Header.Get(name) != "" && name == "X-Forwarded-For" {
			r.Header.Add(name, value)
		} else {
			r.Header.Set(name, value)
		}
	}
	return r
}

func do(h http.Handler, r *http.Request) answer {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return answer{r.Method + " " + r.URL.String(), rec.Code, rec.Result().Header, rec.Body.String()}
}

// post sends a body, and names it in what is said of the answer.
func post(h http.Handler, body string, headers ...string) answer {
	a := do(h, request("POST", "/v1/items", body, headers...))
	if len(body) < 100 {
		a.what += " " + body
	}
	return a
}

// Everything that is wrong with an item is listed at once, by its JSON path; zero and the limits themselves are fine.
//
//kata:zh 商品的所有错误一次列全，按 JSON 路径指明；零值和恰在界上的值没有错。
func TestFields(t *testing.T) {
	store := &memory{}
	h := serve(t, shop.Options{Store: store})
	long := strings.Repeat("é", 51)
	for _, c := range []struct {
		body string
		want []string
	}{
		{`{}`, []string{"name required", "price required"}},
		{`{"name":"","price":-1,"tags":["ok",""],"supplier":{}}`, []string{"name required", "price min", "supplier.name required", "tags[1] required"}},
		{`{"name":"` + long + `","price":1000001,"tags":["` + long + `"],"supplier":{"name":"` + long + `"}}`,
			[]string{"name max", "price max", "supplier.name max", "tags[0] max"}},
		{`{"name":"lamp","price":1,"tags":["a","b","c","d","e","f"]}`, []string{"tags max"}},
		{`{"name":"lamp","price":"12"}`, []string{"price type"}},
		{`{"name":"lamp","price":1,"supplier":{"name":7}}`, []string{"supplier.name type"}},
	} {
		a := post(h, c.body)
		if got := a.refused(t, 422, "invalid"); !slices.Equal(got, c.want) {
			t.Errorf("%v\n\tlists %q, want %q", a, got, c.want)
		}
	}
	if store.calls > 0 {
		t.Errorf("the store was asked %d times for items that are not valid, want 0", store.calls)
	}
	fine := `{"name":"` + strings.Repeat("é", 50) + `","price":0,"tags":["a","b","c","d","` + strings.Repeat("é", 20) + `"],"supplier":{"name":"x"}}`
	if a := post(h, fine); a.status != 201 {
		t.Errorf("%v %s: want 201: 50 characters, a price of zero and 5 tags are within the limits", a, fine)
	}
	if a := post(h, `{"name":"lamp","price":1000000}`); a.status != 201 {
		t.Errorf("%v: want 201: the limit itself is a good price", a)
	}
}

// Unknown fields are refused where the client asks for strict handling, and only there.
//
//kata:zh 客户端要求严格处理时拒绝未知字段，也只在那时拒绝。
func TestUnknownFields(t *testing.T) {
	h := serve(t, shop.Options{Store: &memory{}})
	const odd = `{"name":"lamp","price":1,"colour":"red"}`
	if a := post(h, odd); a.status != 201 {
		t.Errorf("%v: want 201: nobody has asked for strict handling", a)
	}
	for _, prefer := range []string{"handling=strict", "return=minimal, handling=strict"} {
		a := post(h, odd, "Prefer: "+prefer)
		if got := a.refused(t, 422, "invalid"); !slices.Equal(got, []string{"colour unknown"}) {
			t.Errorf("%v with Prefer: %s lists %q, want [\"colour unknown\"]", a, prefer, got)
		}
		if a := post(h, lamp, "Prefer: "+prefer); a.status != 201 {
			t.Errorf("%v with Prefer: %s: want 201", a, prefer)
		}
	}
	if a := post(h, odd, "Prefer: handling=lenient"); a.status != 201 {
		t.Errorf("%v with Prefer: handling=lenient, after a strict request: want 201", a)
	}

	// What is ignored has no effect either: an id is not the client's to choose.
	store := &memory{}
	h = serve(t, shop.Options{Store: store})
	const mine = `{"id":"mine","name":"lamp","price":1900}`
	want := `{"id":"i001","name":"lamp","price":1900,"tags":[]}`
	if a := post(h, mine); a.status != 201 || a.body != want || a.header.Get("Location") != "/v1/items/i001" {
		t.Errorf("%v with Location %q, want 201 %s and /v1/items/i001", a, a.header.Get("Location"), want)
	}
	for _, r := range []*http.Request{request("PUT", "/v1/items/i001", mine), request("GET", "/v1/items/i001", "")} {
		if a := do(h, r); a.status != 200 || a.body != want {
			t.Errorf("%v, want 200 %s", a, want)
		}
	}
}

// After a refusal nothing more runs: the store is not asked, and there is one answer.
//
//kata:zh 拒绝之后什么都不再执行：不问存储，答复只有一个。
func TestAbort(t *testing.T) {
	store := &memory{items: []shop.Item{{ID: "i001", Name: "lamp", Price: 1}}}
	told := 0
	h := serve(t, shop.Options{
		Store: store,
		Audit: func(context.Context, shop.Entry) { told++ },
		Go:    func(task func()) { task() },
	})
	for _, auth := range []string{"", "Bearer k-eve", "Basic k-ada", "k-ada", "Bearer "} {
		for _, r := range []*http.Request{
			request("POST", "/v1/items", lamp, "Authorization: "+auth),
			request("PUT", "/v1/items/i001", lamp, "Authorization: "+auth),
		} {
			a := do(h, r)
			a.what += " with Authorization: " + auth
			a.refused(t, 401, "unauthorized")
			if got := a.header.Get("WWW-Authenticate"); got != "Bearer" {
				t.Errorf("%v: WWW-Authenticate = %q, want Bearer", a, got)
			}
		}
	}
	for _, r := range []*http.Request{
		request("POST", "/v1/items", `{"name":`),
		request("PUT", "/v1/items/i001", `{"name":"lamp"}`),
		request("PUT", "/v1/items/i001", lamp, "Content-Type: text/plain"),
		request("GET", "/v1/items?limit=0", ""),
	} {
		a := do(h, r)
		var one any
		a.into(t, &one)
		if a.status < 400 {
			t.Errorf("%v, want a refusal", a)
		}
	}
	if store.calls > 0 || told > 0 {
		t.Errorf("after nothing but refusals, the store was asked %d times and the audit told %d times, want never", store.calls, told)
	}
	if a := do(h, request("PUT", "/v1/items/i009", lamp)); a.status != 404 || told > 0 {
		t.Errorf("%v, and the audit was told %d times; want 404, and nobody told", a, told)
	}
	store.err = errors.New("disk full")
	if a := post(h, lamp); a.status != 500 || told > 0 {
		t.Errorf("%v, where the store fails, and the audit was told %d times; want 500, and nobody told", a, told)
	}
	store.err = nil
	if a := do(h, request("GET", "/v1/items/i001", "", "Authorization: ")); a.status != 200 {
		t.Errorf("%v without a key, want 200: reading needs none", a)
	}
}

// unsized hides the length of a body.
type unsized struct{ io.Reader }

// Every refusal is in the same envelope: no such path, no such method, another content type, too long a body, no JSON.
//
//kata:zh 每种拒绝都用同一个信封：没有这个路径、没有这个方法、内容类型不对、请求体过长、不是 JSON。
func TestEnvelope(t *testing.T) {
	seen := 0
	h := serve(t, shop.Options{Store: &memory{}, BodyLimit: 200, Use: []gin.HandlerFunc{func(*gin.Context) { seen++ }}})
	for _, path := range []string{"/", "/v1", "/v1/items/", "/V1/items", "/v1/items/i001/x", "/v1/items/i001", "/v1//items"} {
		do(h, request("GET", path, "")).refused(t, 404, "not_found")
	}
	for _, c := range []struct {
		method, path string
		allow        []string
	}{
		{"DELETE", "/v1/items", []string{"GET", "POST"}},
		{"PATCH", "/v1/items/i001", []string{"GET", "PUT"}},
	} {
		a := do(h, request(c.method, c.path, "", "Authorization: "))
		a.refused(t, 405, "method_not_allowed")
		for _, m := range c.allow {
			if got := a.header.Get("Allow"); !strings.Contains(got, m) {
				t.Errorf("%v: Allow = %q, want %q in it", a, got, c.allow)
			}
		}
	}
	if seen != 9 {
		t.Errorf("of 9 requests that no route serves, the middleware in Use has seen %d, want all", seen)
	}
	for _, ct := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"} {
		a := post(h, lamp, "Content-Type: "+ct)
		a.what += " with Content-Type: " + ct
		a.refused(t, 415, "unsupported_media_type")
	}
	for _, ct := range []string{"application/json; charset=utf-8", "Application/JSON"} {
		if a := post(h, lamp, "Content-Type: "+ct); a.status != 201 {
			t.Errorf("%v with Content-Type: %s, want 201", a, ct)
		}
	}
	exact := lamp[:1] + strings.Repeat(" ", 200-len(lamp)) + lamp[1:]
	if a := post(h, exact); a.status != 201 {
		t.Errorf("%v with a body of %d bytes, want 201: the limit is 200", a, len(exact))
	}
	post(h, exact+" ").refused(t, 413, "too_large")
	chunked := request("POST", "/v1/items", lamp)
	chunked.Body, chunked.ContentLength = io.NopCloser(unsized{strings.NewReader(exact + " ")}), -1
	a := do(h, chunked)
	a.what += " with 201 bytes of unknown length"
	a.refused(t, 413, "too_large")
	for _, body := range []string{`{`, `lamp`, lamp + `{}`, lamp + ` x`} {
		post(h, body).refused(t, 400, "invalid_json")
	}
	post(h, "", "Content-Type: application/json").refused(t, 400, "invalid_json")
	for _, arrived := range []string{lamp[:10], lamp} {
		cut := request("POST", "/v1/items", lamp)
		cut.Body = io.NopCloser(io.MultiReader(strings.NewReader(arrived), iotest.ErrReader(io.ErrUnexpectedEOF)))
		cut.ContentLength = 150
		a := do(h, cut)
		a.what += fmt.Sprintf(" with a body that breaks off after %d of 150 bytes", len(arrived))
		a.refused(t, 400, "invalid_json")
	}

	h = serve(t, shop.Options{Store: &memory{}})
	mebibyte := lamp + strings.Repeat(" ", 1<<20-len(lamp))
	if a := post(h, mebibyte); a.status != 201 {
		t.Errorf("a POST of 1 MiB = %d, want 201: without a BodyLimit, the limit is 1 MiB", a.status)
	}
	if a := post(h, mebibyte+" "); a.status != 413 {
		t.Errorf("a POST of 1 MiB and a byte = %d, want 413: without a BodyLimit, the limit is 1 MiB", a.status)
	}
}

type traceKey struct{}

// Background work sees its own request, also when Gin has given the same context to another one and the client is gone.
//
//kata:zh 后台工作看到的始终是自己的请求，哪怕 Gin 已把同一个 context 给了别的请求、客户端也已离开。
func TestBackground(t *testing.T) {
	var (
		tasks   []func()
		told    []shop.Entry
		ctxs    []context.Context
		current *gin.Context
	)
	h := serve(t, shop.Options{
		Store: &memory{},
		Use:   []gin.HandlerFunc{func(c *gin.Context) { current = c }},
		Audit: func(ctx context.Context, e shop.Entry) { told, ctxs = append(told, e), append(ctxs, ctx) },
		Go:    func(task func()) { tasks = append(tasks, task) },
	})

	// The pool may lose a context to the garbage collector, then another one takes its part.
	recycled := false
	for attempt := 0; attempt < 20 && !recycled; attempt++ {
		tasks = nil
		ctx, leave := context.WithCancel(context.WithValue(context.Background(), traceKey{}, "trace-1"))
		r := request("POST", "/v1/items", lamp, "X-Request-Id: r-1")
		r.RemoteAddr = "192.0.2.1:1000"
		if a := do(h, r.WithContext(ctx)); a.status != 201 {
			leave()
			t.Fatalf("%v, want 201", a)
		}
		leave()
		first := current
		for i := 0; i < 200 && !recycled; i++ {
			other := request("PUT", "/v1/items/i001", lamp, "Authorization: Bearer k-bob", "X-Request-Id: r-2")
			other.RemoteAddr = "192.0.2.2:1000"
			do(h, other)
			recycled = current == first
		}
	}
	if !recycled {
		t.Fatal("in 20 rounds of 200 requests, Gin never handed a context out again: are all requests served by one engine?")
	}
	if len(tasks) < 2 {
		t.Fatalf("after a POST and at least one PUT, Go was handed %d tasks, want one for each write", len(tasks))
	}
	for _, task := range tasks {
		task()
	}
	if len(told) != len(tasks) {
		t.Fatalf("%d background tasks told the audit %d times, want once each", len(tasks), len(told))
	}
	want := shop.Entry{Actor: "ada", Action: "create", Item: told[0].Item, Client: "192.0.2.1", RequestID: "r-1"}
	if told[0] != want || told[0].Item == "" {
		t.Errorf("the audit of a POST, written after its context was handed out again, is\n\t%+v, want\n\t%+v", told[0], want)
	}
	want = shop.Entry{Actor: "bob", Action: "replace", Item: "i001", Client: "192.0.2.2", RequestID: "r-2"}
	if last := told[len(told)-1]; last != want {
		t.Errorf("the audit of a PUT is\n\t%+v, want\n\t%+v", last, want)
	}
	if err := ctxs[0].Err(); err != nil {
		t.Errorf("the audit's context has ended with its request (%v), want one that lives on", err)
	}
	if got := ctxs[0].Value(traceKey{}); got != "trace-1" {
		t.Errorf("the audit's context holds the trace %v, want the request's own, trace-1", got)
	}

	heard := make(chan shop.Entry, 1)
	h = serve(t, shop.Options{Store: &memory{}, Audit: func(_ context.Context, e shop.Entry) { heard <- e }})
	post(h, lamp)
	select {
	case <-heard:
	case <-time.After(2 * time.Second):
		t.Error("without Options.Go, the audit has heard nothing of a POST for 2 s")
	}
}

// The client's address is the nearest one that is not a trusted proxy; what the client itself claims counts nothing.
//
//kata:zh 客户端地址是最近的、不属于可信代理的那个；客户端自己声称的不算数。
func TestClient(t *testing.T) {
	for _, c := range []struct {
		trusted []string
		remote  string
		headers []string
		want    string
	}{
		{nil, "203.0.113.9:1", []string{"X-Forwarded-For: 6.6.6.6"}, "203.0.113.9"},
		{nil, "127.0.0.1:1", []string{"X-Forwarded-For: 6.6.6.6", "X-Real-Ip: 6.6.6.6"}, "127.0.0.1"},
		{[]string{"10.0.0.0/8"}, "203.0.113.9:1", []string{"X-Forwarded-For: 6.6.6.6"}, "203.0.113.9"},
		{[]string{"10.0.0.0/8"}, "10.0.0.7:1", []string{"X-Forwarded-For: 198.51.100.4"}, "198.51.100.4"},
		{[]string{"10.0.0.0/8"}, "10.0.0.7:1", []string{"X-Forwarded-For: 6.6.6.6, 198.51.100.4, 10.0.0.9"}, "198.51.100.4"},
		{[]string{"10.0.0.0/8"}, "10.0.0.7:1", []string{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 198.51.100.4"}, "198.51.100.4"},
		{[]string{"10.0.0.0/8"}, "10.0.0.7:1", []string{"X-Real-Ip: 6.6.6.6"}, "10.0.0.7"},
		{[]string{"10.0.0.7", "2001:db8::/32"}, "[2001:db8::1]:1", []string{"X-Forwarded-For: 198.51.100.4, 10.0.0.7"}, "198.51.100.4"},
	} {
		var got shop.Entry
		h := serve(t, shop.Options{
			Store:          &memory{},
			TrustedProxies: c.trusted,
			Audit:          func(_ context.Context, e shop.Entry) { got = e },
			Go:             func(task func()) { task() },
		})
		r := request("POST", "/v1/items", lamp, c.headers...)
		r.RemoteAddr = c.remote
		do(h, r)
		if got.Client != c.want {
			t.Errorf("a request from %s with %q, trusted proxies %q: the client is %q, want %q", c.remote, c.headers, c.trusted, got.Client, c.want)
		}
	}
	if _, err := shop.New(shop.Options{Store: &memory{}, TrustedProxies: []string{"10.0.0.0/99"}}); err == nil {
		t.Error(`New with the trusted proxy "10.0.0.0/99" = nil error, want one`)
	}
}

// Pages show every item once; the last one names no next, and an empty one is an empty list.
//
//kata:zh 逐页读去，每件商品恰好出现一次；末页没有 next，空页是空列表。
func TestPages(t *testing.T) {
	store := &memory{}
	h := serve(t, shop.Options{Store: store})
	page := func(query string) (ids []string, next string, has bool) {
		t.Helper()
		a := do(h, request("GET", "/v1/items"+query, ""))
		var p map[string]json.RawMessage
		a.into(t, &p)
		var items []map[string]json.RawMessage
		if err := json.Unmarshal(p["items"], &items); a.status != 200 || err != nil || items == nil {
			t.Fatalf("%v, want 200 and a list of items, which is never null", a)
		}
		for _, it := range items {
			if string(it["tags"]) == "null" || it["tags"] == nil {
				t.Errorf("%v: want every item's tags to be a list, never null", a)
			}
			var id string
			json.Unmarshal(it["id"], &id)
			ids = append(ids, id)
		}
		json.Unmarshal(p["next"], &next)
		_, has = p["next"]
		return ids, next, has
	}
	if ids, _, has := page(""); len(ids) != 0 || has {
		t.Errorf("of an empty shop, GET /v1/items shows %q, has a next: %v; want no items and no next", ids, has)
	}
	for i := range 40 {
		store.items = append(store.items, shop.Item{ID: fmt.Sprintf("i%03d", i+1), Name: "lamp"})
	}
	for _, c := range []struct {
		query string
		limit int
	}{{"?", 20}, {"?limit=40", 40}, {"?limit=100", 100}, {"?limit=39", 39}, {"?limit=8", 8}, {"?limit=1", 1}} {
		var seen []string
		after := ""
		for pages := 1; ; pages++ {
			ids, next, has := page(c.query + "&after=" + after)
			seen = append(seen, ids...)
			if len(ids) > c.limit || len(ids) == 0 {
				t.Fatalf("GET /v1/items%s&after=%s shows %d items, want 1 to %d", c.query, after, len(ids), c.limit)
			}
			if !has {
				if want := (40 + c.limit - 1) / c.limit; pages != want {
					t.Errorf("GET /v1/items%s: 40 items took %d pages, want %d", c.query, pages, want)
				}
				break
			}
			if next <= after || pages > 40 {
				t.Fatalf("GET /v1/items%s&after=%s: next = %q, which leads nowhere", c.query, after, next)
			}
			after = next
		}
		if len(seen) != 40 || len(slices.Compact(slices.Clone(seen))) != 40 || !slices.IsSorted(seen) {
			t.Errorf("GET /v1/items%s, page by page, shows %q, want each of the 40 items once", c.query, seen)
		}
	}
	for query, want := range map[string]string{"0": "limit min", "-3": "limit min", "101": "limit max", "ten": "limit type", "": "limit type"} {
		a := do(h, request("GET", "/v1/items?limit="+query, ""))
		if got := a.refused(t, 422, "invalid"); !slices.Equal(got, []string{want}) {
			t.Errorf("%v lists %q, want [%q]", a, got, want)
		}
	}
}

// A failure of the store, or a panic, is 500 in the envelope, and tells nothing of its cause.
//
//kata:zh 存储故障或 panic 都是信封里的 500，不透露原因。
func TestInternal(t *testing.T) {
	const secret = "dial tcp 10.1.2.3:5432: password authentication failed"
	for _, store := range []*memory{{err: errors.New(secret)}, {panic: secret}} {
		how := "fails"
		if store.panic != "" {
			how = "panics"
		}
		h := serve(t, shop.Options{Store: store})
		for _, r := range []*http.Request{
			request("GET", "/v1/items", ""),
			request("GET", "/v1/items/i001", ""),
			request("POST", "/v1/items", lamp),
			request("PUT", "/v1/items/i001", lamp),
		} {
			a := do(h, r)
			a.what += ", where the store " + how + ","
			if a.refused(t, 500, "internal"); strings.Contains(a.body, "10.1.2.3") {
				t.Errorf("%v: the answer tells the client what went wrong inside", a)
			}
		}
	}
}
