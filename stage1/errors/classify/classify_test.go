package classify_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/roadkata/roadkata/stage1/errors/classify"
)

func TestExampleMark(t *testing.T) {
	cause := errors.New("pq: no rows in table orders, user=svc password=hunter2")
	err := fmt.Errorf("load order: %w", classify.Mark(cause, classify.NotFound, "no such order"))

	if got := classify.Of(err); got != classify.NotFound {
		t.Errorf("Of(%v) = %v, want %v", err, got, classify.NotFound)
	}

	w := httptest.NewRecorder()
	classify.Respond(w, err)
	if w.Code != 404 {
		t.Errorf("Respond: status %d, want 404", w.Code)
	}
	if got, want := w.Body.String(), `{"code":"not_found","message":"no such order"}`+"\n"; got != want {
		t.Errorf("Respond: body %q, want %q", got, want)
	}
}

func TestExampleContext(t *testing.T) {
	ctx := context.Background()
	if err := fmt.Errorf("call: %w", context.DeadlineExceeded); !classify.Retryable(ctx, err) {
		t.Errorf("Retryable(%v) = false, want true", err)
	}
	if err := fmt.Errorf("call: %w", context.Canceled); classify.Retryable(ctx, err) {
		t.Errorf("Retryable(%v) = true, want false", err)
	}
}
