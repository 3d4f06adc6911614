package priority_test

import (
	"context"
	"io"
	"slices"
	"testing"

	"github.com/roadkata/roadkata/stage1/concurrency/priority"
)

// filled returns a closed channel that still holds values.
func filled(values ...string) <-chan string {
	c := make(chan string, len(values))
	for _, v := range values {
		c <- v
	}
	close(c)
	return c
}

func TestExampleNext(t *testing.T) {
	lanes := priority.New(filled("h1", "h2", "h3", "h4", "h5"), filled("l1", "l2", "l3"), 2)
	var got []string
	for {
		v, err := lanes.Next(context.Background())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("Next() = %v", err)
		}
		got = append(got, v)
	}
	// After two high values in a row it is a low one's turn.
	if want := []string{"h1", "h2", "l1", "h3", "h4", "l2", "h5", "l3"}; !slices.Equal(got, want) {
		t.Errorf("k = 2: got %q, want %q", got, want)
	}
}
