package semaphore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/roadkata/roadkata/stage1/stdlib/semaphore"
)

func ExampleSemaphore() {
	memory := semaphore.New(512) // megabytes
	fmt.Println(memory.Acquire(context.Background(), 300))
	fmt.Println(memory.TryAcquire(300))
	memory.Release(300)
	fmt.Println(memory.TryAcquire(300))
	// Output:
	// <nil>
	// false
	// true
}

func TestExampleTooHeavy(t *testing.T) {
	if err := semaphore.New(3).Acquire(t.Context(), 4); !errors.Is(err, semaphore.ErrTooHeavy) {
		t.Errorf("New(3).Acquire(ctx, 4) = %v, want ErrTooHeavy", err)
	}
}

func TestExampleWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := semaphore.New(2)
		s.Acquire(t.Context(), 2)
		served := false
		go func() {
			s.Acquire(t.Context(), 1)
			served = true
		}()
		synctest.Wait()
		if served {
			t.Error("Acquire(ctx, 1) did not wait although all weight was held")
		}
		s.Release(1)
		synctest.Wait()
		if !served {
			t.Error("Acquire(ctx, 1) still waits after Release(1)")
		}
	})
}
