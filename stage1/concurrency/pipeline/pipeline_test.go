package pipeline_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/roadkata/roadkata/stage1/concurrency/pipeline"
)

// count yields 1, 2, 3, … as long as somebody wants more.
func count(ctx context.Context, yield func(int) bool) error {
	for n := 1; yield(n); n++ {
	}
	return nil
}

func TestExampleLine(t *testing.T) {
	p := pipeline.New(context.Background())
	numbers := pipeline.Source(p, func(ctx context.Context, yield func(int) bool) error {
		for n := 1; n <= 5 && yield(n); n++ {
		}
		return nil
	})
	squares := pipeline.Stage(p, numbers, func(ctx context.Context, n int) (int, error) { return n * n, nil })
	var got []int
	pipeline.Sink(p, squares, func(ctx context.Context, n int) error {
		got = append(got, n)
		return nil
	})

	if err := p.Wait(); err != nil {
		t.Errorf("Wait() = %v, want nil", err)
	}
	if want := []int{1, 4, 9, 16, 25}; !slices.Equal(got, want) {
		t.Errorf("the sink received %v, want %v", got, want)
	}
}

func TestExampleFailure(t *testing.T) {
	p := pipeline.New(context.Background())
	tooBig := errors.New("too big")
	small := pipeline.Stage(p, pipeline.Source(p, count), func(ctx context.Context, n int) (int, error) {
		if n > 3 {
			return 0, tooBig // stops the endless source
		}
		return n, nil
	})
	var got []int
	pipeline.Sink(p, small, func(ctx context.Context, n int) error {
		got = append(got, n)
		return nil
	})

	if err := p.Wait(); err != tooBig {
		t.Errorf("Wait() = %v, want %v", err, tooBig)
	}
	if want := []int{1, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("the sink received %v, want %v: all that came before the failure", got, want)
	}
}
