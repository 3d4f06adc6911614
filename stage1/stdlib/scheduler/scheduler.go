// Package scheduler runs jobs at times of the wall clock: a subset of cron, in any time zone.
package scheduler

import (
	"context"
	"time"
)

// Schedule is a set of minutes of the wall clock. Its zero value has none.
type Schedule struct {
	// TODO: what it needs to remember
}

// Parse reads "minute hour day month weekday".
func Parse(spec string) (Schedule, error) {
	panic("TODO: Parse")
}

// Next returns the first time after the given one at which the schedule fires, in the same location; the zero time
// if there is none within 50 years.
//
// Where clocks are set forward, times that do not exist fire together, at the moment of the change. Where they are set
// back, times that occur twice fire the first time. A schedule whose hour is * takes no notice of either.
func (s Schedule) Next(after time.Time) time.Time {
	panic("TODO: Schedule.Next")
}

// Scheduler runs jobs by their schedules.
type Scheduler struct {
	// TODO: what it needs to remember
}

// New returns a scheduler without jobs that reads the wall clock by now.
func New(now func() time.Time) *Scheduler {
	panic("TODO: New")
}

// Add adds a job: at each time of the schedule, in location loc, job is called with that time. It must not be called
// after Run.
func (s *Scheduler) Add(spec string, loc *time.Location, job func(ctx context.Context, at time.Time)) error {
	panic("TODO: Scheduler.Add")
}

// Run runs the jobs until ctx ends, then waits for those that still run.
func (s *Scheduler) Run(ctx context.Context) {
	panic("TODO: Scheduler.Run")
}
