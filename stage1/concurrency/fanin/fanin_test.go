package fanin_test

import (
	"cmp"
	"context"
	"slices"
	"testing"

	"github.com/roadkata/roadkata/stage1/concurrency/fanin"
)

// channel returns a closed channel that still holds values.
func channel(values ...int) <-chan int {
	c := make(chan int, len(values))
	for _, v := range values {
		c <- v
	}
	close(c)
	return c
}

func TestExampleMerge(t *testing.T) {
	var got []int
	for v := range fanin.Merge(context.Background(), channel(1, 2, 3), nil, channel(10, 20)) {
		got = append(got, v)
	}
	slices.Sort(got) // they may come in any order
	if want := []int{1, 2, 3, 10, 20}; !slices.Equal(got, want) {
		t.Errorf("Merge of [1 2 3], nil and [10 20] gave %v, want %v in any order", got, want)
	}
}

func TestExampleMergeOrdered(t *testing.T) {
	var got []int
	for v := range fanin.MergeOrdered(context.Background(), cmp.Compare[int], channel(1, 4, 5), channel(2, 3, 6)) {
		got = append(got, v)
	}
	if want := []int{1, 2, 3, 4, 5, 6}; !slices.Equal(got, want) {
		t.Errorf("MergeOrdered of [1 4 5] and [2 3 6] gave %v, want %v", got, want)
	}
}
