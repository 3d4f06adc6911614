// Slow queries of a shop: the right indexes, few of them, and queries that can use them.
//
// 20,000 orders stand for two million: the statistics that the planner goes by are those of the data, a hundred times over.
//
//kata:level 2
//kata:minutes 90
//kata:engine real SQLite
//kata:timeout 40s
package sqltuning_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	shop "github.com/roadkata/roadkata/stage2/database/sqltuning"
	"github.com/roadkata/roadkata/stage2/internal/kit/sqltest"
)

const (
	customers = 2000
	countries = `'at', 'be', 'ch', 'de', 'dk', 'es', 'fi', 'fr', 'gr', 'hu', 'ie', 'it', 'lu', 'nl', 'no', 'pl', 'pt', 'ro', 'se', 'uk'`
)

var (
	day0 = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	// Ten orders a customer, one in about eight minutes, over 115 days; 6 % of them share their second with the one before.
	fill = shop.Schema + fmt.Sprintf(`
		WITH RECURSIVE country (i, name) AS (SELECT key, value FROM json_each(json_array(%s))),
			n (i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < %d)
		INSERT INTO customers
			SELECT n.i, CASE n.i %% 3 WHEN 0 THEN 'User' WHEN 1 THEN 'user' ELSE 'USER' END || (n.i / 2) || '@Example.org', name
			FROM n JOIN country ON country.i = n.i * 7 %% 20;
		UPDATE customers SET email = 'Élodie@example.org' WHERE id = 77;
		UPDATE customers SET email = 'élodie@example.org' WHERE id = 78;
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 20000)
		INSERT INTO orders
			SELECT i, 1 + i * 7919 %% %d,
				CASE WHEN i %% 50 = 7 THEN 'pending' WHEN i %% 10 = 3 THEN 'cancelled' WHEN i %% 3 = 0 THEN 'paid' ELSE 'shipped' END,
				%d + (i - (i %% 17 = 0)) * 500, 100 + i * 31 %% 9900, printf('note %%d', i)
			FROM n;
		-- One customer whose later orders have the smaller ids, one whose orders come four in a second, and the edges of a day.
		UPDATE orders SET customer = 9001, created = %d + (2000 - i) * 60 FROM (SELECT id AS i FROM orders WHERE id BETWEEN 500 AND 539) WHERE id = i;
		UPDATE orders SET customer = 9002, created = %d + id / 4 WHERE id BETWEEN 600 AND 639;
		UPDATE orders SET status = 'paid', created = %d WHERE id = 700;
		UPDATE orders SET status = 'paid', created = %d WHERE id = 701;
		UPDATE orders SET status = 'paid', created = %d WHERE id = 702;
		-- Before 1970: a clock was wrong.
		UPDATE orders SET status = 'paid', created = -1 WHERE id = 703;`,
		countries, customers, customers, day0.Unix(), day0.Unix(), day0.Unix(),
		day0.AddDate(0, 0, 40).Unix()-1, day0.AddDate(0, 0, 40).Unix(), day0.AddDate(0, 0, 41).Unix())
)

// The data are made once in a process, without and with indexes; each test has a copy.
var bareFile, tunedFile []byte

// world is a copy of the shop.
type world struct {
	*sqltest.Database
	pool *sql.DB
}

func copyOf(t *testing.T, data []byte) world {
	t.Helper()
	file := filepath.Join(t.TempDir(), "shop.db")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	w := world{Database: sqltest.OpenFile(t, file, `SELECT 1`)}
	w.pool = w.Open(t)
	w.pool.SetMaxOpenConns(1)
	return w
}

// bare is the shop without any index.
func bare(t *testing.T) world {
	t.Helper()
	if bareFile == nil {
		bareFile = sqltest.Build(t, fill)
	}
	return copyOf(t, bareFile)
}

// tuned is the shop with the learner's indexes, as large as the statistics say.
func tuned(t *testing.T) world {
	t.Helper()
	if tunedFile == nil {
		w := bare(t)
		for _, index := range shop.Indexes() {
			if _, err := w.Direct.ExecContext(t.Context(), index); err != nil {
				t.Fatalf("Indexes: %s: %v", index, err)
			}
		}
		w.grow(t)
		tunedFile = w.Bytes(t)
	}
	return copyOf(t, tunedFile)
}

// grow makes the statistics those of a hundred times the data. Connections that are opened afterwards go by them.
func (w world) grow(t *testing.T) {
	t.Helper()
	if _, err := w.Direct.ExecContext(t.Context(), `ANALYZE`); err != nil {
		t.Fatal(err)
	}
	type stat struct{ table, index, numbers string }
	rows, err := w.Direct.QueryContext(t.Context(), `SELECT tbl, COALESCE(idx, ''), stat FROM sqlite_stat1`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []stat
	for rows.Next() {
		var s stat
		if err := rows.Scan(&s.table, &s.index, &s.numbers); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		words := strings.Fields(s.numbers)
		for i, word := range words {
			if word != "1" && regexp.MustCompile(`^\d+$`).MatchString(word) {
				words[i] = word + "00"
			}
		}
		_, err := w.Direct.ExecContext(t.Context(), `UPDATE sqlite_stat1 SET stat = $1 WHERE tbl = $2 AND COALESCE(idx, '') = $3`, strings.Join(words, " "), s.table, s.index)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// open opens the learner's store; its calls are forgotten.
func (w world) store(t *testing.T) *shop.Store {
	t.Helper()
	s, err := shop.Open(t.Context(), w.pool)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	w.Reset()
	return s
}

// question is one call of the store.
type question struct {
	name string
	ask  func(ctx context.Context, s *shop.Store) (rows int, err error)
}

var (
	since     = day0.AddDate(0, 0, 80)
	questions = []question{
		{"ByEmail", func(ctx context.Context, s *shop.Store) (int, error) {
			got, err := s.ByEmail(ctx, "user40@example.org")
			return len(got), err
		}},
		{"Page, the first", func(ctx context.Context, s *shop.Store) (int, error) {
			got, _, err := s.Page(ctx, 9001, shop.Cursor{}, 10)
			return len(got), err
		}},
		{"Page, a later one", func(ctx context.Context, s *shop.Store) (int, error) {
			got, _, err := s.Page(ctx, 9001, shop.Cursor{Created: day0.Unix() + 1480*60, ID: 520}, 10)
			return len(got), err
		}},
		{"Revenue", func(ctx context.Context, s *shop.Store) (int, error) {
			_, err := s.Revenue(ctx, day0.AddDate(0, 0, 40))
			return 1, err
		}},
		{"Queue", func(ctx context.Context, s *shop.Store) (int, error) {
			got, err := s.Queue(ctx, 10)
			return len(got), err
		}},
		{"Idle", func(ctx context.Context, s *shop.Store) (int, error) {
			got, err := s.Idle(ctx, "de", since)
			return len(got), err
		}},
	}
)

// plan is what SQLite says of how it answers a query.
type plan struct {
	question, sql string
	steps         []string
}

func (p plan) String() string {
	return fmt.Sprintf("%s\n\tquery: %s\n\tplan:  %s", p.question, strings.Join(strings.Fields(p.sql), " "), strings.Join(p.steps, "\n\t       "))
}

// plans asks each question, and explains the queries that were sent for it.
func (w world) plans(t *testing.T) (all []plan) {
	t.Helper()
	s := w.store(t)
	for _, q := range questions {
		w.Reset()
		if _, err := q.ask(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", q.name, err)
		}
		seen := map[string]bool{}
		for _, c := range w.Calls() {
			if c.Kind != sqltest.Query && c.Kind != sqltest.Exec || seen[c.SQL] {
				continue
			}
			seen[c.SQL] = true
			all = append(all, explain(t, w.Direct, q.name, c))
		}
		if len(seen) == 0 {
			t.Fatalf("%s: no query reached the database", q.name)
		}
	}
	return all
}

func explain(t *testing.T, db *sql.DB, name string, c sqltest.Call) plan {
	t.Helper()
	p := plan{question: name, sql: c.SQL}
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+c.SQL, c.Args...)
	if err != nil {
		t.Fatalf("%s: EXPLAIN QUERY PLAN %s: %v", name, c.SQL, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		p.steps = append(p.steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return p
}

// fullScan is a step that reads a whole table or a whole index.
var fullScan = regexp.MustCompile(`^SCAN (\w+)( USING .*)?$`)

// No query reads a whole table or a whole index.
//
//kata:zh 没有查询会读完整张表或整个索引。
func TestNoFullScan(t *testing.T) {
	for _, p := range tuned(t).plans(t) {
		for _, step := range p.steps {
			scan := fullScan.FindStringSubmatch(step)
			if scan != nil && !slices.Contains(p.steps, "CO-ROUTINE "+scan[1]) && !slices.Contains(p.steps, "MATERIALIZE "+scan[1]) {
				t.Errorf("%q in the plan, want a SEARCH by an index: %v", step, p)
			}
		}
	}
}

// No query sorts in a temporary tree, and none builds an index of its own: the indexes have the rows in order.
//
//kata:zh 没有查询用临时 B 树排序，也不会临时建索引：索引里的顺序就是所要的顺序。
func TestNoSort(t *testing.T) {
	for _, p := range tuned(t).plans(t) {
		for _, step := range p.steps {
			for _, bad := range []string{"TEMP B-TREE", "AUTOMATIC"} {
				if strings.Contains(step, bad) {
					t.Errorf("%q in the plan, want the rows as an index has them: %v", step, p)
				}
			}
		}
	}
}

// Each search goes straight to what is asked for: a page starts at its cursor, a day reads that day, and the index alone answers for the revenue.
//
//kata:zh 每次查找直达所要的行：翻页从游标处开始，一天只读那一天，营收只靠索引就能回答。
func TestBoundedSearch(t *testing.T) {
	want := map[string]struct{ step, says string }{
		"Page, the first":   {`^SEARCH .*\(customer=\?`, "a search for the customer"},
		"Page, a later one": {`^SEARCH .*\(customer=\? AND \(?created(,|<)`, "a search for the customer that starts at the cursor's created"},
		"Revenue":           {`^SEARCH .* COVERING INDEX .*created>\? AND created<\?`, "a search for one day, by a covering index"},
		"Queue":             {`^SEARCH .*\(status=\?`, "a search for what is pending"},
		"Idle":              {`^SEARCH .*\(customer=\? AND created>\?`, "one look for each customer, at the orders since then"},
	}
	got := map[string][]plan{}
	for _, p := range tuned(t).plans(t) {
		got[p.question] = append(got[p.question], p)
	}
	for name, w := range want {
		step := regexp.MustCompile(w.step)
		if !slices.ContainsFunc(got[name], func(p plan) bool { return slices.ContainsFunc(p.steps, step.MatchString) }) {
			t.Errorf("want %s: %v", w.says, got[name])
		}
	}
}

// There are no more indexes than the shop can afford, nothing else is created, and each of them is used.
//
//kata:zh 索引数不超过商店负担得起的数目，除索引外什么都不建，并且每个索引都用得上。
func TestIndexes(t *testing.T) {
	list := shop.Indexes()
	if len(list) > shop.MaxIndexes {
		t.Errorf("Indexes returns %d statements, want at most %d", len(list), shop.MaxIndexes)
	}
	for _, index := range list {
		if !regexp.MustCompile(`(?is)^\s*(--[^\n]*\s+)*CREATE\s+INDEX\s[^;]*;?\s*$`).MatchString(index) {
			t.Errorf("Indexes returns %q, want one CREATE INDEX statement in each (none of them UNIQUE: other programs write here)", index)
		}
	}
	w := tuned(t)
	names := func(query string) (all []string) {
		rows, err := w.Direct.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				t.Fatal(err)
			}
			all = append(all, name)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return all
	}
	watcher, err := w.Direct.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	version := func() (v int64) { // another one after each change that others commit
		if err := watcher.QueryRowContext(t.Context(), `PRAGMA data_version`).Scan(&v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := version()
	plans := w.plans(t)
	if version() != before {
		t.Error("Open, or a question, writes to the database: want nothing created or changed but by Indexes")
	}
	indexes := names(`SELECT name FROM sqlite_schema WHERE type = 'index'`)
	if len(indexes) > shop.MaxIndexes {
		t.Errorf("the database has the indexes %v after Indexes and Open, want at most %d", indexes, shop.MaxIndexes)
	}
	if got := names(`SELECT type || ' ' || name FROM sqlite_schema WHERE type <> 'index' AND name NOT LIKE 'sqlite_%' ORDER BY name`); !slices.Equal(got, []string{"table customers", "table orders"}) {
		t.Errorf("the database has %v after Indexes and Open, want the tables as they were", got)
	}
	for _, index := range indexes {
		used := false
		for _, p := range plans {
			for _, step := range p.steps {
				used = used || slices.Contains(strings.Fields(step), index)
			}
		}
		if !used {
			t.Errorf("no query uses the index %s; it makes every write slower for nothing", index)
		}
	}
}

// ordersOf runs one of the slow queries.
func ordersOf(t *testing.T, db *sql.DB, query string, args ...any) (all []shop.Order) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var o shop.Order
		if err := rows.Scan(&o.ID, &o.Customer, &o.Status, &o.Created, &o.Total); err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// The answers are those of the slow queries, with the indexes and without.
//
//kata:zh 答案与慢查询的一模一样，有没有索引都是。
func TestSameAnswers(t *testing.T) {
	slow := bare(t)
	sameAnswers(t, true, slow.Direct, tuned(t).store(t))
	sameAnswers(t, false, slow.Direct, slow.store(t))
}

func sameAnswers(t *testing.T, indexed bool, slow *sql.DB, s *shop.Store) {
	t.Helper()
	ctx := t.Context()
	where := "with the indexes"
	if !indexed {
		where = "in a database without the indexes"
	}
	for _, email := range []string{"user40@example.org", "USER40@EXAMPLE.ORG", "User1000@Example.org", "nobody@example.org", "", "Élodie@example.org", "élodie@EXAMPLE.org", "ÉLODIE@example.org", "user%", "user_0@example.org"} {
		var want []shop.Customer
		rows, err := slow.QueryContext(ctx, shop.SlowByEmail, email)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var c shop.Customer
			if err := rows.Scan(&c.ID, &c.Email, &c.Country); err != nil {
				t.Fatal(err)
			}
			want = append(want, c)
		}
		rows.Close()
		if got, err := s.ByEmail(ctx, email); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: ByEmail(%q) = %v, %v, want %v", where, email, got, err, want)
		}
	}
	for _, c := range []struct {
		customer int64
		limit    int
	}{{9001, 15}, {9001, 40}, {1234, 100}, {9002, 100}, {1, 3}, {424242, 10}, {9001, math.MaxInt}} {
		after := shop.Cursor{}
		for offset := 0; ; offset += c.limit {
			want := ordersOf(t, slow, shop.SlowPage, c.customer, c.limit, offset)
			got, next, err := s.Page(ctx, c.customer, after, c.limit)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("%s: Page(%d, %+v, %d) = %v, %v, want %v", where, c.customer, after, c.limit, got, err, want)
			}
			if len(want) < c.limit {
				if next != (shop.Cursor{}) {
					t.Errorf("%s: Page(%d, %+v, %d) has %d orders and the cursor %+v, want the zero Cursor behind the last page", where, c.customer, after, c.limit, len(got), next)
				}
				break
			}
			last := want[len(want)-1]
			if end := (shop.Cursor{Created: last.Created, ID: last.ID}); next != end {
				t.Fatalf("%s: Page(%d, %+v, %d) ends with %+v and returns the cursor %+v, want %+v", where, c.customer, after, c.limit, last, next, end)
			}
			after = next
		}
	}
	east := time.FixedZone("UTC+9", 9*3600)
	for _, at := range []time.Time{
		day0, day0.Add(-time.Second), day0.AddDate(0, 0, 40), day0.AddDate(0, 0, 40).Add(24*time.Hour - 1), day0.AddDate(0, 0, 39).Add(5 * time.Hour),
		day0.AddDate(0, 0, 41), day0.AddDate(0, 0, 40).Add(3 * time.Hour).In(east), day0.AddDate(0, 0, 40).Add(20 * time.Hour).In(east), day0.AddDate(3, 0, 0),
		time.Unix(-1, 0), time.Unix(0, 0),
	} {
		var want shop.Revenue
		if err := slow.QueryRowContext(ctx, shop.SlowRevenue, at.UTC().Format(time.DateOnly)).Scan(&want.Orders, &want.Total); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Revenue(ctx, at); err != nil || got != want {
			t.Errorf("%s: Revenue(%v) = %+v, %v, want %+v, that of %s", where, at, got, err, want, at.UTC().Format(time.DateOnly))
		}
	}
	for _, limit := range []int{1, 10, 399, 1000, 0, -1, math.MaxInt} {
		want := ordersOf(t, slow, shop.SlowQueue, limit)
		if got, err := s.Queue(ctx, limit); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: Queue(%d) = %d orders, %v, want %d; the first that differs: %s", where, limit, len(got), err, len(want), differs(got, want))
		}
	}
	var last int64 // of an order: since is inclusive
	if err := slow.QueryRowContext(ctx, `SELECT MAX(created) FROM orders JOIN customers c ON c.id = customer WHERE country = 'uk'`).Scan(&last); err != nil {
		t.Fatal(err)
	}
	type idle struct {
		country string
		since   time.Time
	}
	idles := []idle{{"de", since}, {"uk", time.Unix(last, 0)}, {"uk", time.Unix(last, 999_999_999)}, {"uk", time.Unix(last+1, 0)}, {"fr", day0.Add(-time.Hour)}, {"xx", since}}
	if !indexed {
		idles = idles[4:] // the others would read all orders for each customer
	}
	for _, c := range idles {
		var want []int64
		rows, err := slow.QueryContext(ctx, shop.SlowIdle, c.country, c.since.Unix())
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				t.Fatal(err)
			}
			want = append(want, id)
		}
		rows.Close()
		if got, err := s.Idle(ctx, c.country, c.since); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: Idle(%q, %v) = %d customers, %v, want %d; the first that differs: %s", where, c.country, c.since, len(got), err, len(want), differs(got, want))
		}
	}
}

func differs[T comparable](got, want []T) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("none, want %v", want[i])
		case i >= len(want):
			return fmt.Sprintf("%v, want none", got[i])
		case got[i] != want[i]:
			return fmt.Sprintf("%v, want %v", got[i], want[i])
		}
	}
	return "none"
}

// While orders come and go, somebody who turns the pages sees each order that was there all the time once.
//
//kata:zh 翻页期间不断有订单增减，一直都在的订单也恰好各出现一次。
func TestStablePages(t *testing.T) {
	w := tuned(t)
	s := w.store(t)
	const limit = 3 // four orders share a second
	there := map[int64]int{}
	for id := int64(600); id < 640; id++ {
		there[id] = 0
	}
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := w.Direct.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	after := shop.Cursor{}
	for page := 1; ; page++ {
		orders, next, err := s.Page(t.Context(), 9002, after, limit)
		if err != nil {
			t.Fatalf("Page(9002, %+v, %d): %v", after, limit, err)
		}
		for _, o := range orders {
			if n, ok := there[o.ID]; ok {
				there[o.ID] = n + 1
			}
		}
		if next == (shop.Cursor{}) {
			break
		}
		if page > 20 {
			t.Fatalf("%d pages of %d, and no end of 40 orders: the last cursor is %+v", page, limit, next)
		}
		after = next
		exec(`INSERT INTO orders (customer, status, created, total, note) VALUES (9002, 'paid', $1, 1, ''), (9002, 'paid', $2, 1, '')`, day0.AddDate(1, 0, page).Unix(), next.Created)
		if page == 2 {
			exec(`DELETE FROM orders WHERE id IN (639, 638)`) // were on the first page
		}
		if page == 4 {
			exec(`DELETE FROM orders WHERE id = $1`, next.ID) // the cursor's own order
		}
	}
	var missed, repeated []int64
	for id := int64(600); id < 638; id++ {
		switch n := there[id]; {
		case n == 0:
			missed = append(missed, id)
		case n > 1:
			repeated = append(repeated, id)
		}
	}
	if missed != nil || repeated != nil {
		t.Errorf("turning the pages of 40 orders by %d, while others come and go: orders seen never: %v; more than once: %v; want each once", limit, missed, repeated)
	}
}

// Statements are prepared once, by Open; Close closes them, and so does an Open that fails.
//
//kata:zh 语句只由 Open 准备一次；Close 会把它们关掉，失败的 Open 也会。
func TestPrepared(t *testing.T) {
	w := tuned(t)
	s, err := shop.Open(t.Context(), w.pool)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	prepared := w.Count(sqltest.Prepare)
	w.Reset()
	for range 3 {
		for _, q := range questions {
			if _, err := q.ask(t.Context(), s); err != nil {
				t.Fatalf("%s: %v", q.name, err)
			}
		}
	}
	for _, c := range w.Calls() {
		if c.Kind == sqltest.Prepare {
			t.Fatalf("%s after Open, want all statements prepared by Open", c)
		}
		if !c.Prepared {
			t.Fatalf("%s is not prepared: the database parses and plans it each time", c)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if n := w.Statements(); n != 0 {
		t.Errorf("after Close %d prepared statements are open, want 0", n)
	}
	if err := w.pool.PingContext(t.Context()); err != nil {
		t.Errorf("after Close the database answers %v, want it open", err)
	}
	for n := 1; n <= prepared; n++ {
		w.Reset()
		boom := errors.New("out of memory")
		hook, _ := sqltest.Nth(n, boom, sqltest.Prepare)
		w.Before(hook)
		s, err := shop.Open(t.Context(), w.pool)
		if !errors.Is(err, boom) || s != nil {
			t.Fatalf("preparing statement %d fails: Open = %v, %v, want no store and that error", n, s, err)
		}
		if open := w.Statements(); open != 0 {
			t.Fatalf("preparing statement %d fails: Open leaves %d statements open, want 0", n, open)
		}
	}
}

// One call is one query, and reads no more rows than it returns.
//
//kata:zh 一次调用只发一条查询，读的行数不超过返回的行数。
func TestOneQuery(t *testing.T) {
	w := tuned(t)
	s := w.store(t)
	for _, q := range questions {
		w.Reset()
		read := 0
		w.After(func(_ context.Context, c sqltest.Call) error {
			if c.Kind == sqltest.Next {
				read++
			}
			return nil
		})
		rows, err := q.ask(t.Context(), s)
		if err != nil {
			t.Fatalf("%s: %v", q.name, err)
		}
		if n := w.Count(sqltest.Query, sqltest.Exec); n != 1 {
			t.Errorf("%s: %d queries, want 1", q.name, n)
		}
		if read > rows {
			t.Errorf("%s: %d rows read, for %d returned: leave the choice to the database", q.name, read, rows)
		}
	}
}

// An error of the database comes back, also in the middle of the rows; the end of the context is one, and no connection stays in use.
//
//kata:zh 数据库的错误会返回，哪怕出在读行的中途；context 结束也是如此；不会有连接一直被占用。
func TestErrors(t *testing.T) {
	w := tuned(t)
	ended, end := context.WithCancel(t.Context())
	end()
	if s, err := shop.Open(ended, w.pool); !errors.Is(err, context.Canceled) || s != nil {
		t.Fatalf("Open, with a context that has ended = %v, %v, want no store and context.Canceled", s, err)
	}
	s := w.store(t)
	boom := errors.New("disk I/O error")
	for _, q := range questions {
		for n := 1; ; n++ {
			w.Reset()
			hook, happened := sqltest.Nth(n, boom)
			w.Before(hook)
			rows, err := q.ask(t.Context(), s)
			if in := w.pool.Stats().InUse; in != 0 {
				t.Fatalf("%s: %d connections in use after the call, want 0", q.name, in)
			}
			if !happened() {
				if err != nil {
					t.Fatalf("%s: %v", q.name, err)
				}
				break
			}
			if !errors.Is(err, boom) {
				t.Fatalf("%s: the database fails with %q at step %d: %d rows and %v, want that error", q.name, boom, n, rows, err)
			}
		}
		w.Reset()
		ctx, cancel := context.WithCancel(t.Context())
		w.Before(func(inner context.Context, c sqltest.Call) error {
			if c.Kind != sqltest.Query {
				return nil
			}
			cancel()
			select {
			case <-inner.Done():
				return inner.Err()
			case <-time.After(time.Second):
				return errors.New("the query's context does not end with the caller's")
			}
		})
		if _, err := q.ask(ctx, s); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: the context ends while the query runs: %v, want context.Canceled", q.name, err)
		}
		cancel()
	}
}
