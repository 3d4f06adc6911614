// A program that does everything in its handlers is split into layers: the customers notice nothing, the layers nothing of each other.
//
//kata:level 2
//kata:minutes 90
//kata:engine real SQLite, net/http
package layered_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"modernc.org/sqlite"

	"github.com/roadkata/roadkata/stage3/architecture/layered"
	"github.com/roadkata/roadkata/stage3/architecture/layered/before"
	"github.com/roadkata/roadkata/stage3/architecture/layered/domain"
	"github.com/roadkata/roadkata/stage3/architecture/layered/service"
	"github.com/roadkata/roadkata/stage3/architecture/layered/sqlstore"
	"github.com/roadkata/roadkata/stage3/architecture/layered/web"
)

var errBoom = errors.New("boom: the disk is gone")

// Every request gets the answer that the old program gives, and leaves the same rows behind.
//
//kata:zh 每个请求得到的应答都与老程序相同，留在数据库里的行也相同。
func TestBehaviour(t *testing.T) {
	oldDB, newDB := openDB(t), openDB(t)
	older, newer := before.New(oldDB.DB), layered.New(newDB.DB)
	for _, c := range script() {
		want, got := c.send(t.Context(), older), c.send(t.Context(), newer)
		if got != want {
			t.Fatalf("%s = %s\nthe old program answers %s", c, got, want)
		}
		if got, want := newDB.dump(t), oldDB.dump(t); got != want {
			t.Fatalf("after %s the tables hold\n%s\nthe old program leaves\n%s", c, got, want)
		}
	}
}

// Domain and service import nothing of the outside, nor carry its struct tags; web and store know nothing of each other; nobody leans on the old program.
//
//kata:zh domain 和 service 不引入外部的东西，也不带外部的结构体标签；web 与存储互不知晓；没有谁依赖老程序。
func TestImports(t *testing.T) {
	if _, err := service.New(newMemory()).Place(t.Context(), "ada", []domain.Want{{SKU: "pen", Qty: 1}}); err != nil {
		t.Fatalf("Place of a pen = %v", err)
	}
	plain := []string{"cmp", "errors", "fmt", "iter", "maps", "math", "slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8"}
	mayImport(t, "domain", plain...)
	mayImport(t, "service", append(plain, "context", self+"/domain")...)
	for _, pkg := range []string{"domain", "service"} {
		for _, f := range parse(t, pkg) {
			ast.Inspect(f, func(n ast.Node) bool {
				if field, ok := n.(*ast.Field); ok && field.Tag != nil {
					t.Errorf("package %s has a struct tag %s: how a value looks outside is not its business", pkg, field.Tag.Value)
				}
				return true
			})
		}
	}

	top := imports(t, ".")
	for _, layer := range []string{"service", "sqlstore", "web"} {
		if !slices.Contains(top, self+"/"+layer) {
			t.Errorf("package layered does not import %s: New puts the layers together", layer)
		}
	}
	mayNotImport(t, "web", "database/sql", "database/sql/driver", "modernc.org/", self, self+"/sqlstore", self+"/before")
	mayNotImport(t, "sqlstore", "net/http", "encoding/json", self, self+"/web", self+"/before")
	mayNotImport(t, ".", self+"/before")
}

// The rules hold in the domain itself, without a store or a request.
//
//kata:zh 规则就在 domain 里成立，不需要存储，也不需要请求。
func TestRules(t *testing.T) {
	want := func(pairs ...any) (w []domain.Want) {
		for i := 0; i < len(pairs); i += 2 {
			w = append(w, domain.Want{SKU: pairs[i].(string), Qty: pairs[i+1].(int)})
		}
		return w
	}
	for _, c := range []struct {
		customer string
		wants    []domain.Want
		text     string
	}{
		{"", want("pen", 1), "customer is missing"},
		{"ada", nil, "no lines"},
		{"ada", want("pen", 0), `quantity of "pen" is not between 1 and 100`},
		{"ada", want("pen", 101), `quantity of "pen" is not between 1 and 100`},
		{"ada", want("pen", 1, "desk", 1, "pen", 2), `"pen" stands twice`},
	} {
		_, err := domain.NewOrder(c.customer, c.wants)
		refused(t, fmt.Sprintf("NewOrder(%q, %v)", c.customer, c.wants), err, domain.Invalid, c.text)
	}

	o, err := domain.NewOrder("ada", want("pen", 100, "desk", 1))
	if err != nil || o.Customer != "ada" || o.Status != domain.Placed || len(o.Lines) != 2 {
		t.Fatalf(`NewOrder("ada", 100 pens and a desk) = %+v, %v, want an order of two lines, placed`, o, err)
	}
	few := domain.Product{SKU: "pen", Price: 50, Stock: 99}
	refused(t, "Take of 100 pens of 99", o.Take(&few), domain.Conflict, `only 99 of "pen" left`)
	if few.Stock != 99 || o.Total != 0 || o.Lines[0].Price != 0 {
		t.Errorf("Take of 100 pens of 99 was refused, and left the product %+v and the order %+v, want both unchanged", few, o)
	}
	pens, desk := domain.Product{SKU: "pen", Price: 50, Stock: 100}, domain.Product{SKU: "desk", Price: 5001, Stock: 7}
	for _, step := range []struct {
		p            *domain.Product
		stock, total int
	}{{&pens, 0, 5000}, {&desk, 6, 9501}} { // 100.01 less 5 %, which is 5.00
		if err := o.Take(step.p); err != nil || step.p.Stock != step.stock || o.Total != int64(step.total) {
			t.Fatalf("Take of %s = %v; %d left, total %d; want nil, %d left, total %d", step.p.SKU, err, step.p.Stock, o.Total, step.stock, step.total)
		}
	}
	if o.Lines[0].Price != 50 || o.Lines[1].Price != 5001 {
		t.Errorf("after Take the lines are %+v, want the products' prices in them", o.Lines)
	}
	if err := o.Cancel(); err != nil || o.Status != domain.Cancelled {
		t.Fatalf("Cancel of a placed order = %v, status %s", err, o.Status)
	}
	if o.GiveBack(&desk); desk.Stock != 7 {
		t.Errorf("GiveBack of a desk to 6 leaves %d, want 7", desk.Stock)
	}
	for _, s := range []domain.Status{domain.Cancelled, domain.Shipped} {
		o.Status = s
		refused(t, fmt.Sprintf("Cancel of an order that is %s", s), o.Cancel(), domain.Conflict, "order is "+string(s))
		if o.Status != s {
			t.Errorf("a refused Cancel leaves the status %s, want %s", o.Status, s)
		}
	}
}

// With another store below them, service and web answer the same.
//
//kata:zh 换一个存储，上面的 service 和 web 照样给出同样的应答。
func TestSwap(t *testing.T) {
	oldDB, m := openDB(t), newMemory()
	older, newer := before.New(oldDB.DB), web.New(service.New(m))
	for _, c := range script() {
		want, got := c.send(t.Context(), older), c.send(t.Context(), newer)
		if got != want {
			t.Fatalf("on a store in memory: %s = %s\nthe old program answers %s", c, got, want)
		}
		if got, want := m.stock(), oldDB.stock(t); got != want {
			t.Fatalf("after %s the store in memory has the stock %s\nthe old program leaves %s", c, got, want)
		}
	}
}

// Each use case is one unit of work: nothing of it is done if any call of the store fails, and the failure comes back.
//
//kata:zh 每个用例是一个工作单元：对存储的任何一次调用失败，就什么都没做，而且错误会返回。
func TestUnitOfWork(t *testing.T) {
	for _, u := range useCases {
		m := newMemory()
		if err := u.run(t.Context(), service.New(m)); err != nil {
			t.Fatalf("%s = %v", u.name, err)
		}
		if m.units != 1 {
			t.Errorf("%s took %d units of work, want 1: whatever happens between two is seen by one half only", u.name, m.units)
		}
		if m.stray != "" {
			t.Errorf("%s called %s of a unit of work that was over", u.name, m.stray)
		}
		for n := 1; ; n++ {
			m := newMemory()
			was := fmt.Sprint(m.state)
			failed, calls := "", 0
			m.before = func(_ context.Context, call string) error {
				if calls++; calls == n {
					failed = call
					return errBoom
				}
				return nil
			}
			err := u.run(t.Context(), service.New(m))
			if failed == "" {
				break
			}
			if !errors.Is(err, errBoom) {
				t.Errorf("%s = %v, though the store's %s failed; want an error that is or wraps the store's", u.name, err, failed)
			}
			if now := fmt.Sprint(m.state); now != was {
				t.Errorf("%s, the store's %s failed: the store holds\n%s\nwant\n%s", u.name, failed, now, was)
			}
		}
	}
}

// The store's InTx is all or nothing, whatever call of the database fails, and when f fails or panics; it holds no connection afterwards.
//
//kata:zh 存储的 InTx 要么全做要么全不做，不管数据库的哪次调用失败，也不管 f 出错还是 panic；之后不占用任何连接。
func TestInTx(t *testing.T) {
	work := func(ctx context.Context, tx service.Tx) error {
		o, err := tx.Order(ctx, 1)
		if err != nil {
			return err
		}
		p, err := tx.Product(ctx, "pen")
		if err != nil {
			return err
		}
		p.Stock--
		if err := tx.SaveProduct(ctx, p); err != nil {
			return err
		}
		if again, err := tx.Product(ctx, "pen"); err != nil || again != p {
			return fmt.Errorf("SaveProduct(%+v), then Product = %+v, %w", p, again, err)
		}
		o.Status = domain.Cancelled
		if err := tx.SaveOrder(ctx, o); err != nil {
			return err
		}
		id, err := tx.AddOrder(ctx, o)
		if err != nil {
			return err
		}
		if again, err := tx.Order(ctx, id); err != nil || len(again.Lines) != len(o.Lines) {
			return fmt.Errorf("AddOrder(%+v), then Order(%d) = %+v, %w", o, id, again, err)
		}
		return nil
	}
	nothing := func(what string, d *database, was string) {
		t.Helper()
		if got := d.dump(t); got != was {
			t.Fatalf("%s: the tables hold\n%s\nwant as before\n%s", what, got, was)
		}
		if n := d.Stats().InUse; n != 0 {
			t.Fatalf("%s: %d connections are still in use, want 0", what, n)
		}
	}
	d := openDB(t)
	was := d.dump(t)
	store := sqlstore.New(d.DB)
	err := store.InTx(t.Context(), func(tx service.Tx) error {
		if err := work(t.Context(), tx); err != nil {
			t.Fatalf("in InTx: %v", err)
		}
		return errBoom
	})
	if !errors.Is(err, errBoom) {
		t.Errorf("f returned %v, InTx = %v, want f's error", errBoom, err)
	}
	nothing("f wrote, and returned an error", d, was)

	func() {
		defer func() {
			if p := recover(); p != "boom" {
				t.Errorf("f panicked with boom, InTx with %v", p)
			}
		}()
		store.InTx(t.Context(), func(tx service.Tx) error {
			if err := work(t.Context(), tx); err != nil {
				t.Fatalf("in InTx: %v", err)
			}
			panic("boom")
		})
	}()
	nothing("f wrote, and panicked", d, was)

	for n := 1; ; n++ {
		failed, calls := "", 0
		d.hook = func(call string) error {
			if calls++; calls == n {
				failed = call
				return errBoom
			}
			return nil
		}
		err := store.InTx(t.Context(), func(tx service.Tx) error { return work(t.Context(), tx) })
		d.hook = nil
		if failed == "" {
			if err != nil || d.dump(t) == was {
				t.Errorf("InTx = %v with a database that works; the tables hold\n%s", err, d.dump(t))
			}
			break
		}
		if err == nil {
			t.Fatalf("InTx = nil, though the database failed at: %s", failed)
		}
		nothing("the database failed at: "+failed, d, was)
	}
}

// What the driver says stays in the store: above it there are refusals of the domain, the end of the context, and failures that nobody can take apart.
//
//kata:zh 驱动的错误不出存储层：上面只有 domain 的拒绝、context 的结束，以及谁也拆不开的故障。
func TestStoreErrors(t *testing.T) {
	d := openDB(t)
	store := sqlstore.New(d.DB)
	calls := map[string]func(context.Context, service.Tx) error{
		`Product("pen")`: func(ctx context.Context, tx service.Tx) error { _, err := tx.Product(ctx, "pen"); return err },
		"Order(1)":       func(ctx context.Context, tx service.Tx) error { _, err := tx.Order(ctx, 1); return err },
		"SaveProduct": func(ctx context.Context, tx service.Tx) error {
			return tx.SaveProduct(ctx, domain.Product{SKU: "pen", Price: 1, Stock: 1})
		},
		"SaveOrder": func(ctx context.Context, tx service.Tx) error {
			return tx.SaveOrder(ctx, domain.Order{ID: 1, Status: domain.Shipped})
		},
		"AddOrder": func(ctx context.Context, tx service.Tx) error {
			_, err := tx.AddOrder(ctx, domain.Order{Customer: "eve", Lines: []domain.Line{{SKU: "pen", Qty: 1}}, Status: domain.Placed})
			return err
		},
	}
	in := func(f func(context.Context, service.Tx) error) error {
		return store.InTx(t.Context(), func(tx service.Tx) error { return f(t.Context(), tx) })
	}
	failure := func(what string, err error, text string) {
		t.Helper()
		_, foreign := errors.AsType[*sqlite.Error](err)
		refusal, refused := errors.AsType[*domain.Error](err)
		switch {
		case err == nil:
			t.Errorf("%s = nil, want a failure", what)
		case foreign || errors.Is(err, errBoom) || errors.Is(err, sql.ErrNoRows) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone):
			t.Errorf("%s = %v: the error of the driver or of database/sql can be reached from it", what, err)
		case refused:
			t.Errorf("%s = %v, a refusal %+v; the machinery failed", what, err, refusal)
		case !strings.Contains(err.Error(), text):
			t.Errorf("%s = %v, want the driver's text %q in it", what, err, text)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		d.hook = func(call string) error {
			if call == "begin" || call == "rollback" {
				return nil
			}
			return errBoom
		}
		failure(name+", the database fails", in(calls[name]), "boom")
		d.hook = nil
	}
	for _, at := range []string{"begin", "commit"} {
		d.hook = func(call string) error {
			if call == at {
				return errBoom
			}
			return nil
		}
		failure("InTx, the database fails at "+at, in(func(context.Context, service.Tx) error { return nil }), "boom")
	}
	d.hook = nil
	failure("SaveProduct with a stock of -1", in(func(ctx context.Context, tx service.Tx) error {
		return tx.SaveProduct(ctx, domain.Product{SKU: "pen", Price: 1, Stock: -1})
	}), "CHECK")

	for what, c := range map[string]struct {
		err  error
		text string
	}{
		`Product("nothing")`: {in(func(ctx context.Context, tx service.Tx) error { _, err := tx.Product(ctx, "nothing"); return err }), `no such product "nothing"`},
		"Order(99)":          {in(func(ctx context.Context, tx service.Tx) error { _, err := tx.Order(ctx, 99); return err }), "no such order"},
	} {
		refused(t, what, c.err, domain.NotFound, c.text)
		if errors.Is(c.err, sql.ErrNoRows) {
			t.Errorf("%s: sql.ErrNoRows can be reached from the error", what)
		}
	}

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for want, ctx := range map[error]context.Context{context.Canceled: gone, context.DeadlineExceeded: late} {
		if err := store.InTx(ctx, func(service.Tx) error { return nil }); !errors.Is(err, want) {
			t.Errorf("InTx with a context that has ended = %v, want an error that is %v", err, want)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		ctx, cancel := context.WithCancel(t.Context())
		err := store.InTx(ctx, func(tx service.Tx) error { cancel(); return calls[name](ctx, tx) })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s, the context ended before = %v, want an error that is context.Canceled", name, err)
		}
	}
}

// The web turns refusals into statuses, however deep they are wrapped, and tells customers nothing of failures.
//
//kata:zh web 把拒绝翻译成状态码，不管包裹了多少层；故障的细节一个字也不告诉客户。
func TestWebErrors(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		text   string
	}{
		{&domain.Error{Kind: domain.Invalid, Text: "no ink"}, 400, "no ink"},
		{&domain.Error{Kind: domain.NotFound, Text: "no pen"}, 404, "no pen"},
		{&domain.Error{Kind: domain.Conflict, Text: "no time"}, 409, "no time"},
		{fmt.Errorf("place: %w", &domain.Error{Kind: domain.Conflict, Text: "no time"}), 409, "no time"},
		{errors.Join(errBoom, fmt.Errorf("deep: %w", &domain.Error{Kind: domain.NotFound, Text: "no pen"})), 404, "no pen"},
		{errBoom, 500, "internal error"},
		{fmt.Errorf("read: %w", sql.ErrNoRows), 500, "internal error"},
	} {
		h := web.New(failing{c.err})
		for _, r := range []request{
			{"POST", "/orders", `{"customer":"ada","lines":[{"sku":"pen","qty":1}]}`}, {"GET", "/orders/7", ""}, {"POST", "/orders/7/cancel", ""},
		} {
			want := fmt.Sprintf("%d {\"error\":%q}", c.status, c.text)
			if got := r.send(t.Context(), h); got != want+" application/json " {
				t.Errorf("the shop returns %T %q: %s = %s, want %s", c.err, c.err, r, got, want)
			}
		}
	}
}

// The request's context goes all the way down to the store.
//
//kata:zh 请求的 context 一路传到存储。
func TestContext(t *testing.T) {
	type key struct{}
	for _, r := range []request{
		{"POST", "/orders", `{"customer":"ada","lines":[{"sku":"pen","qty":1}]}`}, {"GET", "/orders/1", ""}, {"POST", "/orders/2/cancel", ""},
	} {
		m := newMemory()
		m.before = func(ctx context.Context, call string) error {
			if ctx.Value(key{}) != "ada's" {
				t.Errorf("%s: the store's %s got a context that is not the request's", r, call)
			}
			return nil
		}
		r.send(context.WithValue(t.Context(), key{}, "ada's"), web.New(service.New(m)))
		if m.units == 0 {
			t.Errorf("%s did not reach the store", r)
		}
	}
}

func refused(t *testing.T, what string, err error, kind domain.Kind, text string) {
	t.Helper()
	names := map[domain.Kind]string{domain.Invalid: "Invalid", domain.NotFound: "NotFound", domain.Conflict: "Conflict"}
	got, ok := errors.AsType[*domain.Error](err)
	if !ok || got.Kind != kind || got.Text != text {
		t.Errorf("%s = %v, want a *domain.Error: %s, %s", what, err, names[kind], text)
	}
}

var useCases = []struct {
	name string
	run  func(context.Context, *service.Service) error
}{
	{"Place of a pen and a desk", func(ctx context.Context, s *service.Service) error {
		_, err := s.Place(ctx, "ada", []domain.Want{{SKU: "pen", Qty: 1}, {SKU: "desk", Qty: 1}})
		return err
	}},
	{"Order(1)", func(ctx context.Context, s *service.Service) error { _, err := s.Order(ctx, 1); return err }},
	{"Cancel(2)", func(ctx context.Context, s *service.Service) error { _, err := s.Cancel(ctx, 2); return err }},
}

type failing struct{ err error }

func (f failing) Place(context.Context, string, []domain.Want) (domain.Order, error) {
	return domain.Order{}, f.err
}
func (f failing) Order(context.Context, int64) (domain.Order, error)  { return domain.Order{}, f.err }
func (f failing) Cancel(context.Context, int64) (domain.Order, error) { return domain.Order{}, f.err }

// request is one request to the shop.
type request struct{ method, path, body string }

func (r request) String() string {
	body := r.body
	if len(body) > 120 {
		body = body[:120] + "…"
	}
	return strings.TrimSpace(r.method + " " + r.path + " " + body)
}

// send returns status, body, and the headers that matter.
func (r request) send(ctx context.Context, h http.Handler) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, r.method, r.path, strings.NewReader(r.body)))
	return fmt.Sprintf("%d %s %s %s", w.Code, strings.TrimSpace(w.Body.String()), w.Header().Get("Content-Type"), w.Header().Get("Location"))
}

// script is what the customers of the shop do, one after the other.
func script() []request {
	place := func(customer string, lines ...string) request {
		var all []string
		for _, l := range lines {
			sku, qty, _ := strings.Cut(l, " ")
			all = append(all, fmt.Sprintf(`{"sku":%q,"qty":%s}`, sku, qty))
		}
		return request{"POST", "/orders", fmt.Sprintf(`{"customer":%q,"lines":[%s]}`, customer, strings.Join(all, ","))}
	}
	get := func(id string) request { return request{"GET", "/orders/" + id, ""} }
	cancel := func(id string) request { return request{"POST", "/orders/" + id + "/cancel", ""} }
	raw := func(body string) request { return request{"POST", "/orders", body} }
	return []request{
		get("1"), cancel("1"), get("2"), // seeded: shipped, placed
		place("ada", "pen 2", "chair 1"), get("3"), // more than one line, discount rounded
		place("bob", "lamp 2"), place("bob", "desk 1"), // from 100.00 on; 99.99
		cancel("3"), cancel("3"), get("3"),
		place("ada", "pen 8", "desk 9"), get("6"), // the second line is refused: the first one's pens are still there
		place("eve", "pen 10"), place("eve", "pen 1"), cancel("6"), place("eve", "pen 1"),
		place(""), place("", "pen 1"), place("ada"), place("ada", "pen 0"), place("ada", "pen 101"), place("ada", "pen -1"),
		place("ada", "lamp 100"), place("ada", "pen 1", "desk 1", "pen 2"), place("ada", "unicorn 1"), place("ada", ` 1`),
		place("ada", "unicorn 1", "pen 0"), place("ada", "desk 9", "unicorn 1"), place("ada", "unicorn 1", "desk 9"), place("ada", "pen 1", "pen 0"),
		raw(""), raw("{"), raw("[]"), raw("null"), raw(`{"customer":"ada","lines":[{"sku":"pen","qty":"1"}]}`), raw(`{"customer":"ada","lines":[{"sku":"pen","qty":1.5}]}`),
		raw(`{"customer":"ada","lines":[{"sku":"pen","qty":1,"price":1}]}`), raw(`{"customer":"ada","lines":[{"sku":"pen","qty":1}]} and please hurry`),
		raw(`{"customer":"` + strings.Repeat("a", 1<<16) + `","lines":[{"sku":"pen","qty":1}]}`),
		get("99"), get("x"), get("-1"), get("99999999999999999999"), cancel("99"), cancel("x"),
		{"PUT", "/orders", ""}, {"GET", "/orders", ""}, {"GET", "/orders/1/cancel", ""}, {"GET", "/", ""},
		cancel("2"), get("2"),
	}
}

const self = "github.com/roadkata/roadkata/stage3/architecture/layered"

// parse returns the learner's files of one package.
func parse(t *testing.T, pkg string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(os.Getenv("ROADKATA_FILES"), pkg, "*.go"))
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
	if err != nil || len(names) == 0 {
		t.Fatalf("no Go files of package %s (%v)", pkg, err)
	}
	var all []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

func imports(t *testing.T, pkg string) (all []string) {
	t.Helper()
	for _, f := range parse(t, pkg) {
		for _, im := range f.Imports {
			if p, err := strconv.Unquote(im.Path.Value); err == nil {
				all = append(all, p)
			}
		}
	}
	return all
}

func mayImport(t *testing.T, pkg string, allowed ...string) {
	t.Helper()
	for _, p := range imports(t, pkg) {
		if !slices.Contains(allowed, p) {
			t.Errorf("package %s imports %s, which is outside", pkg, p)
		}
	}
}

// mayNotImport takes import paths, and prefixes that end in a slash.
func mayNotImport(t *testing.T, pkg string, not ...string) {
	t.Helper()
	for _, p := range imports(t, pkg) {
		for _, bad := range not {
			if p == bad || strings.HasSuffix(bad, "/") && strings.HasPrefix(p, bad) {
				t.Errorf("package %s imports %s", strings.Replace(pkg, ".", "layered", 1), p)
			}
		}
	}
}

// state is what a shop holds.
type state struct {
	Products map[string]domain.Product
	Orders   map[int64]domain.Order
}

func (s state) clone() state {
	c := state{maps.Clone(s.Products), map[int64]domain.Order{}}
	for id, o := range s.Orders {
		c.Orders[id] = cloned(o)
	}
	return c
}

func cloned(o domain.Order) domain.Order {
	o.Lines = slices.Clone(o.Lines)
	return o
}

// memory is a store in memory. It does what service.Store promises, and no more.
type memory struct {
	state
	units  int
	open   bool
	stray  string                                       // a call outside a unit of work
	before func(ctx context.Context, call string) error // sees every call first
}

func newMemory() *memory {
	m := &memory{state: state{map[string]domain.Product{}, map[int64]domain.Order{}}}
	for _, p := range seeds {
		m.Products[p.SKU] = p
	}
	for _, o := range seededOrders {
		m.Orders[o.ID] = cloned(o)
	}
	return m
}

func (m *memory) stock() string {
	var all []string
	for _, sku := range slices.Sorted(maps.Keys(m.Products)) {
		all = append(all, fmt.Sprintf("%s=%d", sku, m.Products[sku].Stock))
	}
	return strings.Join(all, " ")
}

func (m *memory) call(ctx context.Context, name string) error {
	if !m.open && m.stray == "" {
		m.stray = name
	}
	if m.before != nil {
		return m.before(ctx, name)
	}
	return nil
}

func (m *memory) InTx(ctx context.Context, f func(service.Tx) error) error {
	m.units++
	m.open = true
	defer func() { m.open = false }()
	if err := m.call(ctx, "InTx"); err != nil {
		return err
	}
	was := m.clone()
	err := f(m)
	if err == nil {
		err = m.call(ctx, "commit at the end of InTx")
	}
	if err != nil {
		m.state = was
	}
	return err
}

func (m *memory) Product(ctx context.Context, sku string) (domain.Product, error) {
	if err := m.call(ctx, "Product"); err != nil {
		return domain.Product{}, err
	}
	p, ok := m.Products[sku]
	if !ok {
		return domain.Product{}, &domain.Error{Kind: domain.NotFound, Text: fmt.Sprintf("no such product %q", sku)}
	}
	return p, nil
}

func (m *memory) SaveProduct(ctx context.Context, p domain.Product) error {
	if err := m.call(ctx, "SaveProduct"); err != nil {
		return err
	}
	if _, ok := m.Products[p.SKU]; ok {
		m.Products[p.SKU] = p
	}
	return nil
}

func (m *memory) Order(ctx context.Context, id int64) (domain.Order, error) {
	if err := m.call(ctx, "Order"); err != nil {
		return domain.Order{}, err
	}
	o, ok := m.Orders[id]
	if !ok {
		return domain.Order{}, &domain.Error{Kind: domain.NotFound, Text: "no such order"}
	}
	return cloned(o), nil
}

func (m *memory) AddOrder(ctx context.Context, o domain.Order) (int64, error) {
	if err := m.call(ctx, "AddOrder"); err != nil {
		return 0, err
	}
	o = cloned(o)
	o.ID = int64(len(m.Orders) + 1)
	m.Orders[o.ID] = o
	return o.ID, nil
}

func (m *memory) SaveOrder(ctx context.Context, o domain.Order) error {
	if err := m.call(ctx, "SaveOrder"); err != nil {
		return err
	}
	if is, ok := m.Orders[o.ID]; ok {
		is.Status = o.Status
		m.Orders[o.ID] = is
	}
	return nil
}

var seeds = []domain.Product{
	{SKU: "pen", Price: 150, Stock: 10}, {SKU: "desk", Price: 9999, Stock: 3}, {SKU: "lamp", Price: 5000, Stock: 5}, {SKU: "chair", Price: 10001, Stock: 4},
}

var seededOrders = []domain.Order{
	{ID: 1, Customer: "bob", Lines: []domain.Line{{SKU: "pen", Qty: 1, Price: 140}, {SKU: "lamp", Qty: 1, Price: 4000}, {SKU: "chair", Qty: 1, Price: 9}}, Total: 4149, Status: domain.Shipped},
	{ID: 2, Customer: "carol", Lines: []domain.Line{{SKU: "pen", Qty: 2, Price: 140}, {SKU: "desk", Qty: 1, Price: 9000}}, Total: 9280, Status: domain.Placed},
}

// database is the shop's database, behind a driver that can be made to fail.
type database struct {
	*sql.DB
	hook func(call string) error
}

func openDB(t *testing.T) *database {
	t.Helper()
	d := &database{}
	u := url.URL{Scheme: "file", Opaque: filepath.ToSlash(filepath.Join(t.TempDir(), "shop.db"))}
	u.RawQuery = "_pragma=synchronous(OFF)&_pragma=journal_mode(WAL)"
	d.DB = sql.OpenDB(connector{d, u.String()})
	t.Cleanup(func() { d.Close() })
	var b strings.Builder
	b.WriteString(before.Schema)
	for _, p := range seeds {
		fmt.Fprintf(&b, "INSERT INTO products VALUES ('%s', %d, %d);", p.SKU, p.Price, p.Stock)
	}
	for _, o := range seededOrders {
		fmt.Fprintf(&b, "INSERT INTO orders VALUES (%d, '%s', %d, '%s');", o.ID, o.Customer, o.Total, o.Status)
		for _, l := range o.Lines {
			fmt.Fprintf(&b, "INSERT INTO lines VALUES (%d, '%s', %d, %d);", o.ID, l.SKU, l.Qty, l.Price)
		}
	}
	if _, err := d.Exec(b.String()); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *database) all(t *testing.T, query string) string {
	t.Helper()
	rows, err := d.QueryContext(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func (d *database) stock(t *testing.T) string {
	t.Helper()
	return d.all(t, `SELECT sku || '=' || stock FROM products ORDER BY sku`)
}

func (d *database) dump(t *testing.T) string {
	t.Helper()
	return d.all(t, `SELECT sku || '=' || price || '/' || stock FROM products ORDER BY sku`) + "\n" +
		d.all(t, `SELECT id || ':' || customer || ':' || total || ':' || status FROM orders ORDER BY id`) + "\n" +
		d.all(t, `SELECT order_id || ':' || qty || '*' || sku || '*' || price FROM lines ORDER BY rowid`)
}

func (d *database) at(call string) error {
	if d.hook == nil {
		return nil
	}
	return d.hook(call)
}

type connector struct {
	d   *database
	dsn string
}

func (c connector) Driver() driver.Driver { return &sqlite.Driver{} }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	real, err := c.Driver().Open(c.dsn)
	if err != nil {
		return nil, err
	}
	return conn{real.(sqliteConn), c.d}, nil
}

type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
}

type conn struct {
	sqliteConn
	d *database
}

func (c conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.d.at("begin"); err != nil {
		return nil, err
	}
	real, err := c.sqliteConn.BeginTx(ctx, o)
	return transaction{real, c.d}, err
}

func (c conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := c.d.at("prepare " + query); err != nil {
		return nil, err
	}
	return c.sqliteConn.PrepareContext(ctx, query)
}

func (c conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.d.at(query); err != nil {
		return nil, err
	}
	return c.sqliteConn.ExecContext(ctx, query, args)
}

func (c conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.d.at(query); err != nil {
		return nil, err
	}
	real, err := c.sqliteConn.QueryContext(ctx, query, args)
	if err != nil {
		return nil, err
	}
	return rows{real, c.d, query}, nil
}

type rows struct {
	driver.Rows
	d     *database
	query string
}

func (r rows) Next(into []driver.Value) error {
	if err := r.d.at("the next row of " + r.query); err != nil {
		return err
	}
	return r.Rows.Next(into)
}

type transaction struct {
	driver.Tx
	d *database
}

func (x transaction) Commit() error {
	if err := x.d.at("commit"); err != nil {
		x.Tx.Rollback() // the connection must not keep what was not committed
		return err
	}
	return x.Tx.Commit()
}
