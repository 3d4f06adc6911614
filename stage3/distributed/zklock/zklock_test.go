package zklock_test

import (
	"context"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage3/distributed/zklock"
	"github.com/roadkata/roadkata/stage3/internal/kit/zktest"
)

func connect(t *testing.T, s *zktest.Server) *zklock.Client {
	t.Helper()
	cli, err := zklock.Connect(s.Link(t).Servers(), 20*time.Second)
	if err != nil {
		t.Fatalf("Connect: %v", err)
	}
	t.Cleanup(cli.Close)
	return cli
}

// One takes the lock, another waits for it.
func TestExampleLock(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := zktest.Start(t) // a small server in this process, or the one that ROADKATA_ZOOKEEPER_ADDR names
	name := s.Name("example")
	first, err := connect(t, s).Lock(ctx, name)
	if err != nil {
		t.Fatalf("Lock: %v", err)
	}
	second := make(chan *zklock.Hold)
	cli := connect(t, s)
	go func() {
		hold, err := cli.Lock(ctx, name)
		if err != nil {
			t.Errorf("Lock: %v", err)
		}
		second <- hold
	}()
	if err := first.Release(ctx); err != nil {
		t.Errorf("Release: %v", err)
	}
	hold := <-second
	if hold == nil {
		return
	}
	if hold.Token() <= first.Token() {
		t.Errorf("the second holder's token is %d, the first one's %d: want it to grow", hold.Token(), first.Token())
	}
	if err := hold.Release(ctx); err != nil {
		t.Errorf("Release: %v", err)
	}
}

// Two share the lock.
func TestExampleShared(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := zktest.Start(t)
	name := s.Name("example")
	for range 2 {
		hold, err := connect(t, s).RLock(ctx, name)
		if err != nil {
			t.Fatalf("RLock: %v", err)
		}
		defer hold.Release(ctx)
	}
}
