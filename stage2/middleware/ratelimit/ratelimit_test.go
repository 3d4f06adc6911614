package ratelimit_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadkata/roadkata/stage2/internal/kit/redistest"
	"github.com/roadkata/roadkata/stage2/middleware/ratelimit"
)

// Two requests a minute, each of which comes back after half of one.
func TestExampleBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // in here, time passes when everybody waits for it
		b := ratelimit.NewBucket(ratelimit.Policy{Name: "demo", Limit: 2, Window: time.Minute})
		for i, want := range []bool{true, true, false} {
			if d, _ := b.Take(t.Context(), "ada"); d.Allowed != want {
				t.Errorf("request %d of a client that may send 2 a minute: allowed %v, want %v", i+1, d.Allowed, want)
			}
		}
		time.Sleep(30 * time.Second)
		if d, _ := b.Take(t.Context(), "ada"); !d.Allowed {
			t.Error("half a minute later, one more request is not allowed")
		}
	})
}

// The middleware over a window in Redis.
func TestExampleMiddleware(t *testing.T) {
	rdb := redistest.Start(t).Client(t).Client
	limit := ratelimit.Middleware(ratelimit.Options{Limiter: ratelimit.NewWindow(rdb, ratelimit.Policy{Name: "demo", Limit: 1, Window: time.Minute})})
	h := limit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	for i, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != want {
			t.Errorf("request %d of a client that may send 1 a minute = %d, want %d", i+1, w.Code, want)
		}
	}
}
