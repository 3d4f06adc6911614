package budget_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage1/stdlib/budget"
)

// The budget of a request reaches the service behind, less what the one in front keeps for itself.
func TestExampleTwoHops(t *testing.T) {
	stock := httptest.NewServer(budget.Handler("stock", time.Hour, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		deadline, _ := r.Context().Deadline()
		if left := time.Until(deadline); left > 50*time.Second || budget.Whose(r.Context()) != budget.Caller {
			t.Errorf("stock has %v left, by the deadline of %q; want 50s at most, by that of %q", left, budget.Whose(r.Context()), budget.Caller)
		}
	})))
	defer stock.Close()

	ctx, cancel := budget.With(t.Context(), "shop", time.Minute)
	defer cancel()
	client := http.Client{Transport: budget.Transport(10*time.Second, http.DefaultTransport)}
	req, err := http.NewRequestWithContext(ctx, "GET", stock.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

func TestExampleSpent(t *testing.T) {
	ctx, cancel := budget.With(t.Context(), "shop", 0)
	defer cancel()
	var spent *budget.SpentError
	if err := context.Cause(ctx); !errors.As(err, &spent) || spent.Whose != "shop" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf(`With(ctx, "shop", 0) has the cause %v, want a *SpentError of "shop"`, err)
	}
}
