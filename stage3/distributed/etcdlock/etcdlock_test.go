package etcdlock_test

import (
	"context"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage3/distributed/etcdlock"
	"github.com/roadkata/roadkata/stage3/internal/kit/etcdtest"
)

// One takes the lock, another waits for it.
func TestExampleLock(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cli := etcdtest.Start(t).Client(t).Client // three real members, in this process
	first, err := etcdlock.Acquire(ctx, cli, "example", time.Minute)
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	second := make(chan *etcdlock.Lock)
	go func() {
		l, err := etcdlock.Acquire(ctx, cli, "example", time.Minute)
		if err != nil {
			t.Errorf("Acquire: %v", err)
		}
		second <- l
	}()
	if err := first.Release(ctx); err != nil {
		t.Errorf("Release: %v", err)
	}
	l := <-second
	if l == nil {
		return
	}
	if l.Token() <= first.Token() {
		t.Errorf("the second holder's token is %d, the first one's %d: want it to grow", l.Token(), first.Token())
	}
	if err := l.Release(ctx); err != nil {
		t.Errorf("Release: %v", err)
	}
}

// A leader proclaims what others read.
func TestExampleElection(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cli := etcdtest.Start(t).Client(t).Client
	term, err := etcdlock.Campaign(ctx, cli, "example", "10.0.0.1:8080", time.Minute)
	if err != nil {
		t.Fatalf("Campaign: %v", err)
	}
	leader, err := etcdlock.Current(ctx, cli, "example")
	if err != nil || leader.Value != "10.0.0.1:8080" {
		t.Errorf("Current = %+v, %v; want the value 10.0.0.1:8080", leader, err)
	}
	if err := term.Resign(ctx); err != nil {
		t.Errorf("Resign: %v", err)
	}
}
