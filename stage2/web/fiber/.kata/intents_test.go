// The items API of a shop, on Fiber.
//
//kata:level 2
//kata:minutes 75
//kata:engine real fiber 3.1 over in-memory connections
package fiber_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp/fasthttputil"

	shop "github.com/roadkata/roadkata/stage2/web/fiber"
)

const lamp = `{"name":"lamp","price":1900}`

type traceKey struct{}

// memory is a store that keeps what it is given.
type memory struct {
	mu     sync.Mutex
	items  []shop.Item // by id
	spent  map[string]int
	writes int
	traces []any  // what the calls' contexts hold
	err    error  // if set, every call fails with it
	panic  string // if set, every call panics with it
	upsert bool   // Replace creates what is not there
	each   func(yield func(shop.Item) error) error
	get    func()
}

func (m *memory) called(ctx context.Context) error {
	m.traces = append(m.traces, ctx.Value(traceKey{}))
	if m.panic != "" {
		panic(m.panic)
	}
	return m.err
}

func (m *memory) List(ctx context.Context, after string, limit int) ([]shop.Item, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.called(ctx); err != nil {
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

func (m *memory) Each(ctx context.Context, yield func(shop.Item) error) error {
	m.mu.Lock()
	m.traces = append(m.traces, ctx.Value(traceKey{}))
	m.mu.Unlock()
	return m.each(yield)
}

func (m *memory) Get(ctx context.Context, id string) (shop.Item, error) {
	if m.get != nil {
		m.get()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.called(ctx); err != nil {
		return shop.Item{}, err
	}
	for _, it := range m.items {
		if it.ID == id {
			return it, nil
		}
	}
	return shop.Item{}, fmt.Errorf("memory: get: %w", shop.ErrNotFound)
}

func (m *memory) Create(ctx context.Context, it shop.Item) (shop.Item, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.called(ctx); err != nil {
		return shop.Item{}, err
	}
	m.writes++
	it.ID = fmt.Sprintf("i%03d", len(m.items)+1)
	m.items = append(m.items, it)
	return it, nil
}

func (m *memory) Replace(ctx context.Context, it shop.Item) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.called(ctx); err != nil {
		return err
	}
	for i := range m.items {
		if m.items[i].ID == it.ID {
			m.writes++
			m.items[i] = it
			return nil
		}
	}
	if m.upsert {
		m.items = append(m.items, it)
		return nil
	}
	return fmt.Errorf("memory: replace: %w", shop.ErrNotFound)
}

func (m *memory) Spend(ctx context.Context, holder string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.called(ctx); err != nil {
		return 0, err
	}
	if m.spent == nil {
		m.spent = map[string]int{}
	}
	m.spent[strings.Clone(holder)]++
	return m.spent[holder], nil
}

// site is an app behind a listener in memory.
type site struct {
	ln     *fasthttputil.InmemoryListener
	client *http.Client
}

func options(o shop.Options) shop.Options {
	if o.Keys == nil {
		o.Keys = map[string]string{"k-ada": "ada", "k-bob": "bob"}
	}
	return o
}

// open serves an app until the test ends.
func open(t *testing.T, o shop.Options) *site {
	t.Helper()
	app := shop.New(options(o))
	s := &site{ln: fasthttputil.NewInmemoryListener()}
	s.client = s.browser(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		app.Listener(s.ln, fiber.ListenConfig{DisableStartupMessage: true})
	}()
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		s.ln.Close()
		<-done
	})
	return s
}

// browser returns a client that asks one thing after the other, on one connection.
func (s *site) browser(t *testing.T) *http.Client {
	transport := &http.Transport{
		DialContext:        func(context.Context, string, string) (net.Conn, error) { return s.ln.Dial() },
		DisableCompression: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
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

// do sends one of Ada's requests, with headers as "Name: value".
func do(t *testing.T, c *http.Client, method, path, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequest(method, "http://shop"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer k-ada")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if r.Header.Set(name, value); value == "" {
			r.Header.Del(name)
		}
	}
	what := method + " " + path
	if body != "" && len(body) < 100 {
		what += " " + body
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: reading the answer: %v", what, err)
	}
	return answer{what, resp.StatusCode, resp.Header, string(data)}
}

// The shop is the same as ever: items, pages that end, and all that is wrong with an item listed at once.
//
//kata:zh 还是那家商店：商品、有尽头的分页，商品的所有错误一次列全。
func TestItems(t *testing.T) {
	store := &memory{}
	s := open(t, shop.Options{Store: store})
	a := do(t, s.client, "POST", "/v1/items", lamp)
	if want := `{"id":"i001","name":"lamp","price":1900,"tags":[]}`; a.status != 201 || a.body != want || a.header.Get("Location") != "/v1/items/i001" {
		t.Errorf("%v with Location %q, want 201 %s and /v1/items/i001", a, a.header.Get("Location"), want)
	}
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
	} {
		a := do(t, s.client, "PUT", "/v1/items/i001", c.body)
		if got := a.refused(t, 422, "invalid"); !slices.Equal(got, c.want) {
			t.Errorf("%v\n\tlists %q, want %q", a, got, c.want)
		}
	}
	a = do(t, s.client, "PUT", "/v1/items/i001", `{"name":"`+strings.Repeat("é", 50)+`","price":0,"tags":["a"],"supplier":{"name":"x"}}`)
	if a.status != 200 {
		t.Errorf("%v, want 200: 50 characters and a price of zero are within the limits", a)
	}
	for i := range 39 {
		store.items = append(store.items, shop.Item{ID: fmt.Sprintf("i%03d", i+2), Name: "lamp"})
	}
	for _, limit := range []int{20, 40, 39} {
		var ids []string
		after, pages := "", 0
		for more := true; more; pages++ {
			var p struct {
				Items []shop.Item
				Next  string
			}
			path := fmt.Sprintf("/v1/items?limit=%d&after=%s", limit, after)
			do(t, s.client, "GET", path, "").into(t, &p)
			if len(p.Items) > limit || len(p.Items) == 0 || pages > 40 {
				t.Fatalf("GET %s shows %d items on page %d, want 1 to %d", path, len(p.Items), pages+1, limit)
			}
			for _, it := range p.Items {
				ids = append(ids, it.ID)
			}
			after, more = p.Next, p.Next != ""
		}
		if len(ids) != 40 || len(slices.Compact(slices.Clone(ids))) != 40 || pages != (40+limit-1)/limit {
			t.Errorf("40 items by %d: %d pages with %q, want each item once", limit, pages, ids)
		}
	}
	for query, want := range map[string]string{"0": "limit min", "101": "limit max", "ten": "limit type"} {
		a := do(t, s.client, "GET", "/v1/items?limit="+query, "")
		if got := a.refused(t, 422, "invalid"); !slices.Equal(got, []string{want}) {
			t.Errorf("%v lists %q, want [%q]", a, got, want)
		}
	}
}

// Every refusal is in the same envelope, Fiber's own too, and a failure or a panic inside tells nothing of its cause.
//
//kata:zh 每种拒绝都用同一个信封，包括 Fiber 自己发出的；内部的故障或 panic 不透露原因。
func TestEnvelope(t *testing.T) {
	store := &memory{items: []shop.Item{{ID: "i001", Name: "lamp"}}}
	s := open(t, shop.Options{Store: store})
	for _, path := range []string{"/", "/v1/items/", "/V1/items", "/v1/items/i001/", "/v1/items/i001/x", "/v1/items/i999"} {
		do(t, s.client, "GET", path, "").refused(t, 404, "not_found")
	}
	for _, c := range []struct {
		method, path string
		allow        []string
	}{
		{"DELETE", "/v1/items", []string{"GET", "POST"}},
		{"PATCH", "/v1/items/i001", []string{"GET", "PUT"}},
	} {
		a := do(t, s.client, c.method, c.path, "", "Authorization: ")
		a.refused(t, 405, "method_not_allowed")
		for _, m := range c.allow {
			if got := a.header.Get("Allow"); !strings.Contains(got, m) {
				t.Errorf("%v: Allow = %q, want %q in it", a, got, c.allow)
			}
		}
	}
	for _, auth := range []string{"", "Bearer k-eve", "Basic k-ada", "Bearer "} {
		a := do(t, s.client, "PUT", "/v1/items/i001", lamp, "Authorization: "+auth)
		if a.refused(t, 401, "unauthorized"); a.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%v with WWW-Authenticate: %q, want Bearer", a, a.header.Get("WWW-Authenticate"))
		}
	}
	for _, ct := range []string{"", "text/plain", "application/jsonx"} {
		do(t, s.client, "PUT", "/v1/items/i001", lamp, "Content-Type: "+ct).refused(t, 415, "unsupported_media_type")
	}
	for _, body := range []string{`{`, lamp + `{}`, lamp + ` x`} {
		do(t, s.client, "PUT", "/v1/items/i001", body).refused(t, 400, "invalid_json")
	}
	if store.writes > 0 {
		t.Errorf("after nothing but refusals, the store has been written %d times, want never", store.writes)
	}
	for _, ct := range []string{"application/json; charset=utf-8", "Application/JSON"} {
		if a := do(t, s.client, "PUT", "/v1/items/i001", lamp, "Content-Type: "+ct); a.status != 200 {
			t.Errorf("%v with Content-Type: %s, want 200", a, ct)
		}
	}
	const secret = "dial tcp 10.1.2.3:5432: password authentication failed"
	for _, broken := range []*memory{{err: errors.New(secret)}, {panic: secret}} {
		s := open(t, shop.Options{Store: broken})
		for _, c := range [][3]string{{"GET", "/v1/items", ""}, {"GET", "/v1/items/i001", ""}, {"POST", "/v1/items", lamp}, {"PUT", "/v1/items/i001", lamp}} {
			a := do(t, s.client, c[0], c[1], c[2])
			if a.refused(t, 500, "internal"); strings.Contains(a.body, "10.1.2.3") {
				t.Errorf("%v: the answer tells the client what went wrong inside", a)
			}
		}
	}
}

// What the audit and the store keep stays what it was, whatever requests come after.
//
//kata:zh 审计和存储留下的内容保持原样，不管之后来了什么请求。
func TestKept(t *testing.T) {
	var (
		mu   sync.Mutex
		told []shop.Entry
	)
	store := &memory{upsert: true}
	s := open(t, shop.Options{Store: store, Audit: func(e shop.Entry) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, e)
	}})
	const clients, each = 4, 10
	name := func(client, i int) string { return fmt.Sprintf("%c%02d", 'a'+client, i) }
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			b := s.browser(t)
			for i := range each {
				id := name(client, i)
				r, _ := http.NewRequest("PUT", "http://shop/v1/items/"+id, strings.NewReader(`{"name":"n-`+id+`","price":1,"tags":["t-`+id+`"]}`))
				r.Header.Set("Authorization", "Bearer k-bob")
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("X-Request-Id", "r-"+id)
				resp, err := b.Do(r)
				if err != nil {
					t.Errorf("PUT /v1/items/%s: %v", id, err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 {
					t.Errorf("PUT /v1/items/%s = %d, want 200", id, resp.StatusCode)
					return
				}
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	byID := map[string]shop.Item{}
	for _, it := range store.items {
		byID[it.ID] = it
	}
	entries := map[shop.Entry]bool{}
	for _, e := range told {
		entries[e] = true
	}
	for client := range clients {
		for i := range each {
			id := name(client, i)
			if it, ok := byID[id]; !ok || it.Name != "n-"+id || len(it.Tags) != 1 || it.Tags[0] != "t-"+id {
				t.Fatalf("after %d requests on %d connections, the store's item %q is %+v (found: %v), want the name n-%s and the tag t-%s; it holds %q",
					clients*each, clients, id, it, ok, id, id, ids(store.items))
			}
			if want := (shop.Entry{Actor: "bob", Action: "replace", Item: id, RequestID: "r-" + id}); !entries[want] {
				t.Fatalf("after %d requests on %d connections, the audit has no entry %+v any more; it holds\n\t%+v", clients*each, clients, want, told)
			}
		}
	}
}

func ids(items []shop.Item) (ids []string) {
	for _, it := range items {
		ids = append(ids, it.ID)
	}
	return ids
}

// Too long a body is refused as soon as that is known, in the envelope, also where no length is announced.
//
//kata:zh 请求体过长，一知道就拒绝，用信封答复；没有声明长度的也一样。
func TestBodyLimit(t *testing.T) {
	s := open(t, shop.Options{Store: &memory{}, BodyLimit: 200})
	exact := lamp[:1] + strings.Repeat(" ", 200-len(lamp)) + lamp[1:]
	if a := do(t, s.client, "POST", "/v1/items", exact); a.status != 201 {
		t.Errorf("%v with a body of 200 bytes, want 201: the limit is 200", a)
	}
	head := "POST /v1/items HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer k-ada\r\nContent-Type: application/json\r\n"
	refused := func(s *site, what, request string) {
		t.Helper()
		conn, err := s.ln.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		io.WriteString(conn, request)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("POST /v1/items with %s: no answer (%v), want 413", what, err)
		}
		body, _ := io.ReadAll(resp.Body)
		answer{"POST /v1/items with " + what, resp.StatusCode, resp.Header, string(body)}.refused(t, 413, "too_large")
	}
	for _, c := range []struct{ what, request string }{
		{"201 bytes", head + "Content-Length: 201\r\n\r\n" + exact + " "},
		{"201 bytes in chunks", head + "Transfer-Encoding: chunked\r\n\r\n64\r\n" + exact[:100] + "\r\n65\r\n" + exact[100:] + " \r\n0\r\n\r\n"},
		{"a gigabyte announced, of which nothing is sent", head + "Content-Length: 1000000000\r\n\r\n"},
	} {
		refused(s, c.what+" and a limit of 200", c.request)
	}

	s = open(t, shop.Options{Store: &memory{}})
	million := strings.Repeat(" ", 1<<20-len(lamp))
	if a := do(t, s.client, "POST", "/v1/items", lamp+million); a.status != 201 {
		t.Errorf("a POST of 1 MiB = %d, want 201: without a BodyLimit, the limit is 1 MiB", a.status)
	}
	refused(s, "1 MiB and a byte announced, of which nothing is sent", head+fmt.Sprintf("Content-Length: %d\r\n\r\n", 1<<20+1))
}

// Processes that share a store are one shop: quotas count together, and what one has written the other shows; two shops share nothing.
//
//kata:zh 共用一个存储的几个进程就是一家商店：配额合在一起算，一个写了另一个就看得到；两家商店之间什么都不共用。
func TestProcesses(t *testing.T) {
	shared := &memory{}
	a := open(t, shop.Options{Store: shared, Quota: 4})
	b := open(t, shop.Options{Store: shared, Quota: 4})
	other := open(t, shop.Options{Store: &memory{items: []shop.Item{{ID: "i001", Name: "other"}}}, Quota: 4})

	shows := func(s *site, who, name string) {
		t.Helper()
		var it shop.Item
		got := do(t, s.client, "GET", "/v1/items/i001", "")
		if got.into(t, &it); it.Name != name {
			t.Errorf("%s: %v, want the name %q, which is what its store holds", who, got, name)
		}
	}
	write := func(s *site, who, method, path, name string, status int, key string) {
		t.Helper()
		got := do(t, s.client, method, path, `{"name":"`+name+`","price":1}`, "Authorization: Bearer "+key)
		got.what = who + ": " + got.what
		if status == 429 {
			got.refused(t, 429, "quota")
		} else if got.status != status {
			t.Errorf("%v, want %d", got, status)
		}
	}
	write(a, "process 1", "POST", "/v1/items", "one", 201, "k-ada")
	shows(a, "process 1", "one")
	shows(b, "process 2", "one")
	write(a, "process 1, an item without a name,", "PUT", "/v1/items/i001", "", 422, "k-ada")
	write(b, "process 2", "PUT", "/v1/items/i001", "two", 200, "k-ada")
	shows(a, "process 1", "two")
	write(a, "process 1", "PUT", "/v1/items/i001", "three", 200, "k-ada")
	shows(b, "process 2", "three")
	write(b, "process 2", "PUT", "/v1/items/i001", "four", 200, "k-ada")
	write(a, "process 1, Ada's fifth write of four,", "PUT", "/v1/items/i001", "five", 429, "k-ada")
	write(b, "process 2, Ada's sixth write of four,", "PUT", "/v1/items/i001", "six", 429, "k-ada")
	shows(a, "process 1", "four")
	write(b, "process 2, Bob's first write,", "PUT", "/v1/items/i001", "bob's", 200, "k-bob")
	shared.mu.Lock()
	if spent := shared.spent["ada"]; spent != 6 {
		t.Errorf("Ada has made 4 writes, and tried 2 more over her quota and one that was not valid: Spend was called %d times for her, want 6", spent)
	}
	shared.mu.Unlock()
	shows(other, "another shop", "other")
	write(other, "another shop, Ada's first write there,", "PUT", "/v1/items/i001", "mine", 200, "k-ada")
	shows(a, "process 1", "bob's")
}

// watched tells when a listener is closed.
type watched struct {
	net.Listener
	once   sync.Once
	closed chan struct{}
}

func (w *watched) Close() error {
	w.once.Do(func() { close(w.closed) })
	return w.Listener.Close()
}

// failing is a listener that fails.
type failing struct {
	net.Listener
	err error
}

func (f failing) Accept() (net.Conn, error) { return nil, f.err }

// Serve stops gracefully: no new connections, every request in hand is answered, idle ones hold nothing up, and grace is the limit.
//
//kata:zh Serve 平稳停机：不接新连接，手里的请求都答复，空闲连接不碍事，宽限期就是上限。
func TestStop(t *testing.T) {
	type served struct {
		ln      *watched
		stop    context.CancelFunc
		done    chan error
		entered chan struct{}
		release chan struct{}
		browser *http.Client
		answer  chan int // status of the request in hand, 0 if it failed
	}
	start := func(grace time.Duration) *served {
		s := &served{done: make(chan error, 1), entered: make(chan struct{}, 1), release: make(chan struct{}), answer: make(chan int, 1)}
		store := &memory{items: []shop.Item{{ID: "i001", Name: "lamp"}}}
		store.get = func() { s.entered <- struct{}{}; <-s.release }
		ln := fasthttputil.NewInmemoryListener()
		s.ln = &watched{Listener: ln, closed: make(chan struct{})}
		var ctx context.Context
		ctx, s.stop = context.WithCancel(context.Background())
		app := shop.New(options(shop.Options{Store: store}))
		go func() { s.done <- shop.Serve(ctx, s.ln, app, grace) }()
		site := &site{ln: ln}
		s.browser = site.browser(t)
		idle := site.browser(t)
		if a := do(t, idle, "GET", "/v1/items", ""); a.status != 200 {
			t.Fatalf("%v, want 200", a)
		}
		go func() {
			resp, err := s.browser.Get("http://shop/v1/items/i001")
			if err != nil {
				s.answer <- 0
				return
			}
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if err != nil {
				s.answer <- 0
				return
			}
			s.answer <- resp.StatusCode
		}()
		<-s.entered
		s.stop()
		return s
	}

	s := start(time.Minute)
	select {
	case <-s.ln.closed:
	case <-time.After(2 * time.Second):
		close(s.release)
		t.Fatal("2 s after its context has ended, Serve has not closed the listener")
	}
	select {
	case err := <-s.done:
		close(s.release)
		t.Fatalf("Serve returned %v with a request in hand, want it to wait for the answer", err)
	case <-time.After(50 * time.Millisecond): // for the mistake; right code waits for the request
	}
	close(s.release)
	if status := <-s.answer; status != 200 {
		t.Errorf("the request that was in hand when Serve had to stop was answered %d, want 200", status)
	}
	select {
	case err := <-s.done:
		if err != nil {
			t.Errorf("Serve, after all requests were answered = %v, want nil", err)
		}
	case <-time.After(2 * time.Second):
		t.Fatal("2 s after the last request was answered, Serve has not returned; an idle connection is open")
	}

	s = start(30 * time.Millisecond)
	select {
	case err := <-s.done:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Serve, with a grace of 30 ms and a request that does not end = %v, want context.DeadlineExceeded", err)
		}
	case <-time.After(2 * time.Second):
		t.Error("Serve, with a grace of 30 ms and a request that does not end, has not returned after 2 s")
	}
	close(s.release)
	<-s.answer

	early := &watched{Listener: fasthttputil.NewInmemoryListener(), closed: make(chan struct{})}
	ended, end := context.WithCancel(context.Background())
	end()
	stopped := make(chan error, 1)
	go func() {
		stopped <- shop.Serve(ended, early, shop.New(options(shop.Options{Store: &memory{}})), time.Second)
	}()
	select {
	case err := <-stopped:
		if err != nil {
			t.Errorf("Serve, with a context that has ended already = %v, want nil", err)
		}
		select {
		case <-early.closed:
		default:
			t.Error("Serve, with a context that has ended already, has returned and left the listener open")
			early.Close()
		}
	case <-time.After(2 * time.Second):
		early.Close()
		t.Fatal("Serve, with a context that has ended already, has not returned after 2 s")
	}

	broken := errors.New("too many open files")
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		done <- shop.Serve(ctx, failing{fasthttputil.NewInmemoryListener(), broken}, shop.New(options(shop.Options{Store: &memory{}})), time.Second)
	}()
	select {
	case err := <-done:
		if !errors.Is(err, broken) {
			t.Errorf("Serve with a listener that fails = %v, want its error, %v", err, broken)
		}
	case <-time.After(2 * time.Second):
		t.Error("Serve with a listener that fails has not returned after 2 s, want its error at once")
	}
}

// The export is a stream: each item is sent when it is there, from its own request, and the store is let go when the client leaves.
//
//kata:zh 导出是流式的：有一件发一件，只按自己那个请求来；客户端一走就放开存储。
func TestExport(t *testing.T) {
	var (
		feed  = make(chan shop.Item)
		ended = make(chan int, 1) // how many items were taken after the client had left
		left  = make(chan struct{})
	)
	store := &memory{items: []shop.Item{{ID: "i001", Name: "lamp"}}}
	store.each = func(yield func(shop.Item) error) error {
		for it := range feed {
			if err := yield(it); err != nil {
				ended <- 0
				return err
			}
		}
		<-left
		const many = 10000
		for i := range many {
			if err := yield(shop.Item{ID: "i900", Name: "late", Tags: []string{"red"}}); err != nil {
				ended <- i
				return err
			}
		}
		ended <- many
		return nil
	}
	s := open(t, shop.Options{Store: store})
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	r, _ := http.NewRequestWithContext(ctx, "GET", "http://shop/v1/export?tag=red", nil)
	lines := make(chan string)
	go func() {
		defer close(lines)
		resp, err := s.client.Do(r)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		if ct := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || !strings.HasPrefix(ct, "application/x-ndjson") {
			t.Errorf("GET /v1/export = %d, %q, want 200, application/x-ndjson", resp.StatusCode, ct)
		}
		sc := bufio.NewScanner(resp.Body)
		for sc.Scan() {
			select {
			case lines <- sc.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	send := func(it shop.Item) bool {
		select {
		case feed <- it:
			return true
		case <-time.After(5 * time.Second):
			t.Errorf("GET /v1/export does not take the item %s from the store", it.ID)
			return false
		}
	}
	expect := func(id string) bool {
		select {
		case line := <-lines:
			var it map[string]json.RawMessage
			if err := json.NewDecoder(bytes.NewBufferString(line)).Decode(&it); err != nil || string(it["id"]) != `"`+id+`"` || string(it["tags"]) != `["red"]` {
				t.Errorf("GET /v1/export?tag=red shows the line %q, want the item %s", line, id)
				return false
			}
			return true
		case <-time.After(2 * time.Second):
			t.Errorf("GET /v1/export?tag=red: the store has handed out the item %s 2 s ago, and the client has not seen it", id)
			return false
		}
	}
	red := []string{"red"}
	ok := send(shop.Item{ID: "i001", Name: "a", Tags: red}) && expect("i001")
	// Others are served meanwhile, so what the export's handler had in hand is theirs now.
	for range 4 {
		do(t, s.client, "GET", "/v1/items?after=nothing-at-all", "")
	}
	ok = ok && send(shop.Item{ID: "i002", Name: "b", Tags: []string{"blue"}}) && send(shop.Item{ID: "i003", Name: "c", Tags: red}) && expect("i003")
	close(feed)
	leave()
	close(left)
	if !ok {
		return
	}
	select {
	case n := <-ended:
		if n >= 10000 {
			t.Errorf("GET /v1/export: the client has left, and %d items more were taken from the store, want it to be let go", n)
		}
	case <-time.After(5 * time.Second):
		t.Error("GET /v1/export: the client has left, and the store is not let go")
	}
}

// The store gets the request's context, with what the house's middleware has put there, and the export keeps it to its end.
//
//kata:zh 存储得到的是请求的 context，带着公司中间件放进去的值；导出自始至终都用它。
func TestContext(t *testing.T) {
	store := &memory{items: []shop.Item{{ID: "i001", Name: "lamp"}}}
	store.each = func(yield func(shop.Item) error) error { return yield(shop.Item{ID: "i001", Name: "lamp"}) }
	s := open(t, shop.Options{Store: store, Quota: 100, Use: []fiber.Handler{func(c fiber.Ctx) error {
		c.SetContext(context.WithValue(c.Context(), traceKey{}, "trace-"+strings.Clone(c.Get("X-Request-Id"))))
		return c.Next()
	}}})
	for i, c := range [][3]string{
		{"GET", "/v1/items", ""}, {"GET", "/v1/items/i001", ""}, {"POST", "/v1/items", lamp}, {"PUT", "/v1/items/i001", lamp}, {"GET", "/v1/export", ""},
	} {
		store.mu.Lock()
		store.traces = nil
		store.mu.Unlock()
		id := fmt.Sprint(i)
		a := do(t, s.client, c[0], c[1], c[2], "X-Request-Id: "+id)
		store.mu.Lock()
		traces := slices.Clone(store.traces)
		store.mu.Unlock()
		if len(traces) == 0 {
			t.Errorf("%v: the store has not been asked", a)
		}
		for _, got := range traces {
			if got != "trace-"+id {
				t.Errorf("%v: the store was called with a context that holds the trace %v, want the one of the request, trace-%s", a, got, id)
			}
		}
	}
}
