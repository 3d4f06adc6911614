// Waits for real seconds, where a bubble of testing/synctest would take none.
//
//kata:caught-by accepts/early accepts/late accepts/wrapping
//kata:hangs
package lease_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	lease "github.com/roadkata/roadkata/stage1/engineering/synctest"
)

type store struct{ renewals, releases atomic.Int32 }

func (s *store) Renew(context.Context, time.Duration) error { s.renewals.Add(1); return nil }
func (s *store) Release(context.Context) error              { s.releases.Add(1); return nil }

func TestLeaseIsKept(t *testing.T) {
	var s store
	err := lease.Keep(t.Context(), &s, lease.MinTTL, func(ctx context.Context) error {
		time.Sleep(lease.MinTTL + time.Second)
		return ctx.Err()
	})
	if err != nil || s.renewals.Load() < 2 || s.releases.Load() != 1 {
		t.Errorf("Keep = %v with %d renewals and %d releases", err, s.renewals.Load(), s.releases.Load())
	}
}
