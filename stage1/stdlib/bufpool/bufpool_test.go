package bufpool_test

import (
	"fmt"
	"testing"

	"github.com/roadkata/roadkata/stage1/stdlib/bufpool"
)

func ExamplePool() {
	pool := bufpool.New(64 << 10)
	b := pool.Get()
	defer b.Release()
	b.WriteString("Hello, ")
	b.Write([]byte("gopher"))
	fmt.Printf("%s, %d bytes\n", b.Bytes(), b.Len())
	// Output: Hello, gopher, 13 bytes
}

func TestExampleUseAfterRelease(t *testing.T) {
	b := bufpool.New(64 << 10).Get()
	b.Release()
	defer func() {
		if recover() == nil {
			t.Error("WriteString on a released buffer did not panic")
		}
	}()
	b.WriteString("too late")
}
