package fiber_test

import (
	"context"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	shop "github.com/roadkata/roadkata/stage2/web/fiber"
)

// oneItem is a store that holds one item.
type oneItem struct{ shop.Store }

func (oneItem) Get(_ context.Context, id string) (shop.Item, error) {
	if id != "i1" {
		return shop.Item{}, shop.ErrNotFound
	}
	return shop.Item{ID: "i1", Name: "lamp", Price: 1900}, nil
}

func TestExampleGet(t *testing.T) {
	app := shop.New(shop.Options{Store: oneItem{}})
	for path, want := range map[string]string{
		"/v1/items/i1": `{"id":"i1","name":"lamp","price":1900,"tags":[]}`,
		"/v1/items/i2": `"code":"not_found"`,
		"/v1/nothing":  `"code":"not_found"`,
	} {
		resp, err := app.Test(httptest.NewRequest("GET", path, nil))
		if err != nil {
			t.Fatalf("GET %s: %v", path, err)
		}
		body, _ := io.ReadAll(resp.Body)
		if got := string(body); !strings.Contains(got, want) {
			t.Errorf("GET %s = %d %s, want it to hold %s", path, resp.StatusCode, got, want)
		}
	}
}
