package saga_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/roadkata/roadkata/stage3/distributed/saga"
)

// A trip: the flight is booked, the hotel is full, so the flight is cancelled.
func TestExample(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)

	var calls []string
	says := func(err error) saga.Action {
		return func(_ context.Context, c saga.Call) error {
			calls = append(calls, c.Key)
			return err
		}
	}
	trip := saga.Definition{
		Name: "trip",
		Before: [][]saga.Step{
			{{Name: "flight", Do: says(nil), Undo: says(nil)}},
			{{Name: "hotel", Do: says(fmt.Errorf("no room: %w", saga.ErrRefused)), Undo: says(nil)}},
		},
		Pivot: saga.Step{Name: "charge", Do: says(nil)},
	}
	o, err := saga.New(t.Context(), db, saga.Policy{Attempts: 3}, trip)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := o.Start(t.Context(), "7", "trip", nil); got != saga.Undone || err != nil {
		t.Errorf("Start, the hotel is full = %q, %v, want undone", got, err)
	}
	if want := []string{"7/flight", "7/hotel", "7/flight/undo"}; !slices.Equal(calls, want) {
		t.Errorf("Start, the hotel is full, made the calls %q, want %q", calls, want)
	}
}
