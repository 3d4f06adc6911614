package broadcast_test

import (
	"slices"
	"testing"

	"github.com/roadkata/roadkata/stage1/concurrency/broadcast"
)

func TestExampleEveryone(t *testing.T) {
	hub := broadcast.New[string]()
	a, b := hub.Subscribe(8, broadcast.DropOldest), hub.Subscribe(8, broadcast.DropNewest)
	hub.Publish("hello")
	hub.Publish("bye")
	hub.Close()

	for name, sub := range map[string]*broadcast.Subscription[string]{"a": a, "b": b} {
		var got []string
		for v := range sub.C() {
			got = append(got, v)
		}
		if want := []string{"hello", "bye"}; !slices.Equal(got, want) {
			t.Errorf("subscriber %s received %q, want %q", name, got, want)
		}
	}
}

func TestExampleSlow(t *testing.T) {
	hub := broadcast.New[int]()
	defer hub.Close()
	slow := hub.Subscribe(2, broadcast.DropOldest)
	for v := 1; v <= 5; v++ {
		hub.Publish(v) // does not wait for anybody
	}
	if a, b := <-slow.C(), <-slow.C(); a != 4 || b != 5 {
		t.Errorf("a buffer of 2, DropOldest, 1 to 5 published: received %d and %d, want 4 and 5", a, b)
	}
	if n := slow.Dropped(); n != 3 {
		t.Errorf("Dropped() = %d, want 3", n)
	}
}
