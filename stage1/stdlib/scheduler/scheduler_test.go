package scheduler_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadkata/roadkata/stage1/stdlib/scheduler"
)

func ExampleParse() {
	s, err := scheduler.Parse("*/20 9-17 * * 1-5") // every 20 minutes, during office hours
	if err != nil {
		fmt.Println(err)
		return
	}
	t := time.Date(2026, time.July, 31, 17, 30, 0, 0, time.UTC) // a Friday
	for range 3 {
		t = s.Next(t)
		fmt.Println(t.Format("Mon 2 Jan 15:04"))
	}
	// Output:
	// Fri 31 Jul 17:40
	// Mon 3 Aug 09:00
	// Mon 3 Aug 09:20
}

func TestExampleRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fired []string
		s := scheduler.New(time.Now)
		err := s.Add("0 */6 * * *", time.UTC, func(_ context.Context, at time.Time) { fired = append(fired, at.Format("15:04")) })
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Hour) // in virtual time, from midnight on
		defer cancel()
		s.Run(ctx)
		if got, want := fmt.Sprint(fired), "[06:00 12:00 18:00 00:00]"; got != want {
			t.Errorf("a job every 6 hours fired at %s within a day, want %s", got, want)
		}
	})
}
