package supervisor_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadkata/roadkata/stage1/concurrency/supervisor"
)

// In a synctest bubble time is virtual: these tests take no time at all.

func TestExampleStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var starts []time.Duration
		err := supervisor.Run(context.Background(), supervisor.Config{
			Timeout:    10 * time.Second,
			MinBackoff: time.Second,
			MaxBackoff: time.Minute,
			ResetAfter: time.Hour,
		}, func(ctx context.Context, beat func()) error {
			starts = append(starts, time.Since(begin))
			if len(starts) == 3 {
				return nil // done
			}
			<-ctx.Done() // no beat: after 10 s the supervisor gives up on this run
			return ctx.Err()
		})

		if err != nil {
			t.Errorf("Run() = %v, want nil", err)
		}
		// 10 s silence + 1 s, then 10 s silence + 2 s.
		if want := []time.Duration{0, 11 * time.Second, 23 * time.Second}; !slices.Equal(starts, want) {
			t.Errorf("the worker was started at %v, want %v", starts, want)
		}
	})
}

func TestExampleBeating(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		supervisor.Run(context.Background(), supervisor.Config{
			Timeout:    10 * time.Second,
			MinBackoff: time.Second,
			MaxBackoff: time.Minute,
			ResetAfter: time.Hour,
		}, func(ctx context.Context, beat func()) error {
			runs++
			for range 100 {
				time.Sleep(9 * time.Second)
				beat()
			}
			return nil
		})
		if runs != 1 {
			t.Errorf("a worker that beats every 9 s of 10 was run %d times, want 1", runs)
		}
	})
}
