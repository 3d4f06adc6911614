package lease_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	lease "github.com/roadkata/roadkata/stage1/engineering/synctest"
)

// TestRetry is yours to replace: any names, any number of tests and helpers.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		policy := lease.Policy{Attempts: 3, Base: time.Hour, Max: time.Hour}
		err := lease.Retry(t.Context(), policy, func(context.Context) error { return context.DeadlineExceeded })

		t.Fatalf("TODO: after %v of virtual time Retry returned %v; say what the contract wants", time.Since(start), err)
	})
}
