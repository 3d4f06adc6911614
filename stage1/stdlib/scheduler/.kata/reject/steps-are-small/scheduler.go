// Takes the step for an int and refuses what is none, although a step may be of any size.
//
//kata:caught-by TestParse
package scheduler

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

// horizon is how far Next looks ahead. A 29 February that is a Monday may be 40 years away.
const horizon = 50

// patience is the longest wait between two looks at the clock, which may have been set in the meantime.
const patience = time.Minute

// Schedule is a set of minutes of the wall clock. Its zero value has none.
type Schedule struct {
	minute, hour, day, month, weekday set
	everyHour                         bool // the hour is *: it follows the time that passes, not the clock's face
}

// set holds small numbers.
type set uint64

func (s set) has(n int) bool { return s&(1<<n) != 0 }

// Parse reads "minute hour day month weekday".
func Parse(spec string) (Schedule, error) {
	fields := strings.Fields(spec)
	if len(fields) != 5 {
		return Schedule{}, fmt.Errorf("scheduler: %q has %d fields, want 5: minute hour day month weekday", spec, len(fields))
	}
	var s Schedule
	for i, f := range []struct {
		into   *set
		lo, hi int
	}{{&s.minute, 0, 59}, {&s.hour, 0, 23}, {&s.day, 1, 31}, {&s.month, 1, 12}, {&s.weekday, 0, 6}} {
		var err error
		if *f.into, err = parseField(fields[i], f.lo, f.hi); err != nil {
			return Schedule{}, fmt.Errorf("scheduler: %q, field %d: %w", spec, i+1, err)
		}
	}
	s.everyHour = fields[1] == "*"
	return s, nil
}

func parseField(field string, lo, hi int) (set, error) {
	var all set
	for part := range strings.SplitSeq(field, ",") {
		from, to, step := lo, hi, 1
		var err error
		if every, ok := strings.CutPrefix(part, "*/"); ok {
			step, err = number(every, 1, math.MaxInt)
			step = min(step, hi+1) // beyond the range already: no sum overflows
		} else if part != "*" {
			first, last, isRange := strings.Cut(part, "-")
			if from, err = number(first, lo, hi); err == nil {
				to = from
				if isRange {
					to, err = number(last, from, hi)
				}
			}
		}
		if err != nil {
			return 0, fmt.Errorf("%q: %w", part, err)
		}
		for n := from; n <= to; n += step {
			all |= 1 << n
		}
	}
	return all, nil
}

func number(s string, lo, hi int) (int, error) {
	if strings.Trim(s, "0123456789") != "" { // Atoi would take a sign
		return 0, fmt.Errorf("%q is no number", s)
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, err
	}
	if n < lo || n > hi {
		return 0, fmt.Errorf("%d is not between %d and %d", n, lo, hi)
	}
	return n, nil
}

// Next returns the first time after the given one at which the schedule fires, in the same location; the zero time
// if there is none within 50 years.
//
// Where clocks are set forward, times that do not exist fire together, at the moment of the change. Where they are set
// back, times that occur twice fire the first time. A schedule whose hour is * takes no notice of either.
func (s Schedule) Next(after time.Time) time.Time {
	at := after.Truncate(time.Minute).Add(time.Minute)
	limit := at.AddDate(horizon, 0, 0)
	// Between two changes of the offset the wall clock is as regular as UTC. So go from change to change.
	for at.Before(limit) {
		start, end := at.ZoneBounds()
		if !end.IsZero() && !end.After(at) { // on the last day of a leap year: golang.org/issue/81583
			end = at.Truncate(24 * time.Hour).Add(24 * time.Hour)
		}
		offset := offsetAt(at)
		if !s.everyHour && !start.IsZero() {
			before := offsetAt(start.Add(-1))
			if at.Equal(start) { // a gap, or nothing: from is after to if the clocks are set back
				if _, ok := s.find(wall(start, before), wall(start, offset)); ok {
					return start
				}
			}
			if again := start.Add(before - offset); at.Before(again) {
				at = again // all that was there before has had its turn
			}
		}
		if end.IsZero() || end.After(limit) {
			end = limit
		}
		if w, ok := s.find(wall(at, offset), wall(end, offset)); ok {
			return w.Add(-offset).In(after.Location())
		}
		// Zone files also have bounds that change no offset, at any second.
		at = end.Add(time.Minute - 1).Truncate(time.Minute)
	}
	return time.Time{}
}

// find returns the first matching minute in [from, to), all of them readings of a wall clock, kept as if in UTC.
func (s Schedule) find(from, to time.Time) (time.Time, bool) {
	for w := from; w.Before(to); {
		y, m, d := w.Date()
		switch {
		case !s.month.has(int(m)):
			w = time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
		case !s.day.has(d) || !s.weekday.has(int(w.Weekday())):
			w = time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
		case !s.hour.has(w.Hour()):
			w = time.Date(y, m, d, w.Hour()+1, 0, 0, 0, time.UTC)
		case !s.minute.has(w.Minute()):
			w = w.Add(time.Minute)
		default:
			return w, true
		}
	}
	return time.Time{}, false
}

// wall is what a clock with this offset shows at t.
func wall(t time.Time, offset time.Duration) time.Time { return t.UTC().Add(offset) }

func offsetAt(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// Scheduler runs jobs by their schedules.
type Scheduler struct {
	now     func() time.Time
	entries []entry
}

type entry struct {
	schedule Schedule
	loc      *time.Location
	job      func(ctx context.Context, at time.Time)
}

// New returns a scheduler without jobs that reads the wall clock by now.
func New(now func() time.Time) *Scheduler { return &Scheduler{now: now} }

// Add adds a job: at each time of the schedule, in location loc, job is called with that time. It must not be called
// after Run.
func (s *Scheduler) Add(spec string, loc *time.Location, job func(ctx context.Context, at time.Time)) error {
	schedule, err := Parse(spec)
	if err != nil {
		return err
	}
	s.entries = append(s.entries, entry{schedule, loc, job})
	return nil
}

// Run runs the jobs until ctx ends, then waits for those that still run.
func (s *Scheduler) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, e := range s.entries {
		wg.Go(func() { s.run(ctx, e) })
	}
	wg.Wait()
	<-ctx.Done() // also if no job has any time left to fire
}

// run calls one job, in its own goroutine: so it cannot overlap itself.
func (s *Scheduler) run(ctx context.Context, e entry) {
	due := e.schedule.Next(s.now().In(e.loc))
	for !due.IsZero() && s.wait(ctx, due) {
		e.job(ctx, due)
		// From now on, or from the time just served if the clock was set back meanwhile: nothing fires twice, and what
		// was missed is not made up for.
		from := s.now().In(e.loc)
		if from.Before(due) {
			from = due
		}
		due = e.schedule.Next(from)
	}
}

// wait waits until the clock shows due, and reports false if ctx has ended before.
func (s *Scheduler) wait(ctx context.Context, due time.Time) bool {
	for ctx.Err() == nil {
		left := due.Sub(s.now())
		if left <= 0 {
			return true
		}
		timer := time.NewTimer(min(left, patience))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	return false
}
