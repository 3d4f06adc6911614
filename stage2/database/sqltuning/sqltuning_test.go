package sqltuning_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/roadkata/roadkata/stage2/database/sqltuning"
)

// A small shop: the answers are right, and the plan of the slow queue uses an index.
func TestExample(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "shop.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.Exec(sqltuning.Schema + `
		INSERT INTO customers VALUES (1, 'Ada@example.org', 'uk'), (2, 'bob@example.org', 'uk');
		INSERT INTO orders VALUES (1, 1, 'paid', 1777593600, 500, ''), (2, 1, 'pending', 1777593600, 700, '')`)
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range sqltuning.Indexes() {
		if _, err := db.Exec(index); err != nil {
			t.Fatalf("%s: %v", index, err)
		}
	}
	s, err := sqltuning.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()

	if got, err := s.ByEmail(t.Context(), "ada@EXAMPLE.org"); err != nil || len(got) != 1 || got[0].ID != 1 {
		t.Errorf("ByEmail = %v, %v, want Ada", got, err)
	}
	orders, cursor, err := s.Page(t.Context(), 1, sqltuning.Cursor{}, 1)
	if want := (sqltuning.Cursor{Created: 1777593600, ID: 2}); err != nil || len(orders) != 1 || orders[0].ID != 2 || cursor != want {
		t.Errorf("Page = %v, %v, %v, want order 2 and %v", orders, cursor, err, want)
	}
	day := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	if got, err := s.Revenue(t.Context(), day); err != nil || got != (sqltuning.Revenue{Orders: 1, Total: 500}) {
		t.Errorf("Revenue(%v) = %v, %v, want one order of 500", day, got, err)
	}

	var id, parent, unused int
	var plan string
	if err := db.QueryRow(`EXPLAIN QUERY PLAN `+sqltuning.SlowQueue, 10).Scan(&id, &parent, &unused, &plan); err != nil {
		t.Fatal(err)
	}
	t.Logf("SlowQueue, with your indexes: %s", plan)
}
