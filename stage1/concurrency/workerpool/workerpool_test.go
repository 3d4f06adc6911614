package workerpool_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/roadkata/roadkata/stage1/concurrency/workerpool"
)

func ExampleMap() {
	lengths, err := workerpool.Map(context.Background(), 2, []string{"Go", "gopher", "goroutine"},
		func(ctx context.Context, s string) (int, error) { return len(s), nil })
	fmt.Println(lengths, err)
	// Output: [2 6 9] <nil>
}

func TestExampleError(t *testing.T) {
	got, err := workerpool.Map(t.Context(), 2, []string{"1", "2", "drei", "4"},
		func(ctx context.Context, s string) (int, error) { return strconv.Atoi(s) })
	if got != nil || !errors.Is(err, strconv.ErrSyntax) {
		t.Errorf(`Map(ctx, 2, ["1" "2" "drei" "4"], strconv.Atoi) = %v, %v; want nil and the error of Atoi("drei")`, got, err)
	}
}
