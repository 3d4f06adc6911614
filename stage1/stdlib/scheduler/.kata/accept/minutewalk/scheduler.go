// Package scheduler runs jobs at times of the wall clock: a subset of cron, in any time zone.
package scheduler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
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

// number reads digits as a number of lo to hi. What is larger than any int counts as the largest.
func number(s string, lo, hi int) (int, error) {
	if strings.Trim(s, "0123456789") != "" { // Atoi would take a sign
		return 0, fmt.Errorf("%q is no number", s)
	}
	n, err := strconv.Atoi(s)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, err
	}
	if n < lo || n > hi {
		return 0, fmt.Errorf("%d is not between %d and %d", n, lo, hi)
	}
	return n, nil
}

// Next walks minute by minute through real time, and by hours where the day is out of the question.
func (s Schedule) Next(after time.Time) time.Time {
	t := after.Truncate(time.Minute).Add(time.Minute)
	for limit := t.AddDate(horizon, 0, 0); t.Before(limit); {
		if !s.everyHour && s.swallowed(t) || s.shows(t.Date()) && s.reads(t) && (s.everyHour || !repeated(t)) {
			return t
		}
		step := time.Minute
		next := t.Add(time.Hour)
		if !s.shows(t.Date()) && !s.shows(next.Date()) && t.Minute() == 0 && offsetAt(t) == offsetAt(next) {
			step = time.Hour
		}
		t = t.Add(step)
	}
	return time.Time{}
}

func (s Schedule) shows(_ int, m time.Month, d int) bool { return s.month.has(int(m)) && s.day.has(d) }

func (s Schedule) reads(t time.Time) bool {
	return s.weekday.has(int(t.Weekday())) && s.hour.has(t.Hour()) && s.minute.has(t.Minute())
}

// swallowed reports whether the clock jumps at t, over a minute that matches.
func (s Schedule) swallowed(t time.Time) bool {
	before := t.Add(-time.Minute)
	jump := offsetAt(t) - offsetAt(before)
	face := before.UTC().Add(offsetAt(before))
	for ; jump > 0; jump -= time.Minute {
		face = face.Add(time.Minute)
		if s.shows(face.Date()) && s.reads(face) {
			return true
		}
	}
	return false
}

// repeated reports whether the clock has shown the same before it was set back.
func repeated(t time.Time) bool {
	start, _ := t.ZoneBounds()
	return !start.IsZero() && t.Before(start.Add(offsetAt(start.Add(-time.Second))-offsetAt(start)))
}

func offsetAt(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// Scheduler runs jobs by their schedules.
type Scheduler struct {
	now  func() time.Time
	jobs []*job
}

type job struct {
	Schedule
	call func(context.Context, time.Time)
	due  time.Time
	busy bool
}

// New returns a scheduler without jobs that reads the wall clock by now.
func New(now func() time.Time) *Scheduler { return &Scheduler{now: now} }

// Add adds a job.
func (s *Scheduler) Add(spec string, loc *time.Location, call func(ctx context.Context, at time.Time)) error {
	schedule, err := Parse(spec)
	if err == nil {
		s.jobs = append(s.jobs, &job{Schedule: schedule, call: call, due: time.Time{}.In(loc)})
	}
	return err
}

// Run is the one loop that looks at the clock; jobs tell it when they are done.
func (s *Scheduler) Run(ctx context.Context) {
	done := make(chan *job)
	running := 0
	for _, j := range s.jobs {
		j.due = j.Next(s.now().In(j.due.Location()))
	}
	for ctx.Err() == nil {
		now, pause := s.now(), patience
		for _, j := range s.jobs {
			if j.due.IsZero() {
				continue
			}
			if !j.due.After(now) {
				at := j.due
				j.due = j.Next(now.In(at.Location()))
				if !j.busy {
					j.busy = true
					running++
					go func() { j.call(ctx, at); done <- j }()
				}
			}
			if !j.due.IsZero() {
				pause = min(pause, j.due.Sub(now))
			}
		}
		select {
		case j := <-done:
			j.busy = false
			running--
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	for ; running > 0; running-- {
		<-done
	}
}
