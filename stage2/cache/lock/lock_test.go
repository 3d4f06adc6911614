package lock_test

import (
	"context"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage2/cache/lock"
	"github.com/roadkata/roadkata/stage2/internal/kit/redistest"
)

// counter is a store that hands out tokens and does nothing else.
type counter int64

func (c *counter) Fence(context.Context) (int64, error) {
	*c++
	return int64(*c), nil
}

// One holds the lock, another waits in vain, and then not.
func TestExampleLock(t *testing.T) {
	s := redistest.Start(t)
	var store counter
	first, err := lock.Acquire(t.Context(), s.Client(t).Client, &store, "report", time.Minute)
	if err != nil {
		t.Fatalf("Acquire of a free lock = %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := lock.Acquire(ctx, s.Client(t).Client, &store, "report", time.Minute); err == nil {
		t.Error("Acquire of a lock that is held, for 100ms = nil, want an error")
	}
	if err := first.Release(t.Context()); err != nil {
		t.Errorf("Release = %v", err)
	}
	second, err := lock.Acquire(t.Context(), s.Client(t).Client, &store, "report", time.Minute)
	if err != nil {
		t.Fatalf("Acquire of a lock that was released = %v", err)
	}
	if second.Token() <= first.Token() {
		t.Errorf("tokens %d, then %d: the second holder's is to be the greater one", first.Token(), second.Token())
	}
	second.Release(t.Context())
}
