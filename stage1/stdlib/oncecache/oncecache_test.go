package oncecache_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadkata/roadkata/stage1/stdlib/oncecache"
)

func ExampleCache() {
	cities := oncecache.New(time.Minute, func(_ context.Context, zip string) (string, error) {
		fmt.Println("loading", zip)
		return "city of " + zip, nil
	})
	for range 2 {
		fmt.Println(cities.Get(context.Background(), "8001"))
	}
	// Output:
	// loading 8001
	// city of 8001 <nil>
	// city of 8001 <nil>
}

func TestExampleCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loads int
		c := oncecache.New(time.Minute, func(context.Context, string) (int, error) {
			time.Sleep(time.Second)
			loads++
			return 42, nil
		})
		var crowd sync.WaitGroup
		for range 10 {
			crowd.Go(func() {
				if got, err := c.Get(t.Context(), "answer"); got != 42 || err != nil {
					t.Errorf(`Get(ctx, "answer") = %v, %v; want 42, nil`, got, err)
				}
			})
		}
		crowd.Wait()
		if loads != 1 {
			t.Errorf("10 asked for one key at once: %d loads, want 1", loads)
		}
	})
}
