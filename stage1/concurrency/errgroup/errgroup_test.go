package errgroup_test

import (
	"context"
	"errors"
	"testing"

	"github.com/roadkata/roadkata/stage1/concurrency/errgroup"
)

func TestExampleFirstError(t *testing.T) {
	g, ctx := errgroup.WithContext(context.Background())
	boom := errors.New("boom")

	g.Go(func() error { return boom })
	g.Go(func() error {
		<-ctx.Done() // the other task's failure ends this one
		return ctx.Err()
	})

	if err := g.Wait(); err != boom {
		t.Errorf("Wait() = %v, want %v: the first error", err, boom)
	}
	if cause := context.Cause(ctx); cause != boom {
		t.Errorf("context.Cause(ctx) = %v, want %v", cause, boom)
	}
}

func TestExampleLimit(t *testing.T) {
	var g errgroup.Group
	g.SetLimit(1)

	release := make(chan struct{})
	g.Go(func() error { <-release; return nil })
	if g.TryGo(func() error { return nil }) {
		t.Error("TryGo() = true with the only slot taken, want false")
	}
	close(release)

	if err := g.Wait(); err != nil {
		t.Errorf("Wait() = %v, want nil", err)
	}
}
