package layered_test

import (
	"database/sql"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/roadkata/roadkata/stage3/architecture/layered"
	"github.com/roadkata/roadkata/stage3/architecture/layered/before"
)

// Ada orders two pens, and the fourth pen is not there any more. The program as it was and yours answer alike.
func TestExample(t *testing.T) {
	for name, shop := range map[string]func(*sql.DB) http.Handler{"before": before.New, "layered": layered.New} {
		db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "shop.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(before.Schema + `INSERT INTO products VALUES ('pen', 150, 3)`); err != nil {
			t.Fatal(err)
		}
		handler := shop(db)
		for _, want := range []struct {
			status int
			body   string
		}{
			{201, `{"id":1,"customer":"ada","lines":[{"sku":"pen","qty":2,"price":150}],"total":300,"status":"placed"}`},
			{409, `{"error":"only 1 of \"pen\" left"}`},
		} {
			const order = `{"customer": "ada", "lines": [{"sku": "pen", "qty": 2}]}`
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest("POST", "/orders", strings.NewReader(order)))
			if got := strings.TrimSpace(w.Body.String()); w.Code != want.status || got != want.body {
				t.Errorf("%s: POST /orders %s = %d %s, want %d %s", name, order, w.Code, got, want.status, want.body)
			}
		}
	}
}
