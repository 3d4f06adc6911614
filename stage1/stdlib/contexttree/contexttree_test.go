package contexttree_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/roadkata/roadkata/stage1/stdlib/contexttree"
)

func ExampleWithCancelCause() {
	server, stop := contexttree.WithCancelCause(context.Background())
	request, cancel := contexttree.WithTimeout(server, time.Minute)
	defer cancel()

	stop(errors.New("the server stops"))
	fmt.Println(request.Err())
	fmt.Println(contexttree.Cause(request))
	// Output:
	// context canceled
	// the server stops
}

func TestExampleChildLeavesParentAlone(t *testing.T) {
	parent, stop := contexttree.WithCancelCause(t.Context())
	defer stop(nil)
	_, cancel := contexttree.WithTimeout(parent, time.Minute)
	cancel()
	if err := parent.Err(); err != nil {
		t.Errorf("a child was cancelled, and parent.Err() = %v, want nil", err)
	}
}
