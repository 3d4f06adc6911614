// The intents of scheduler.
//
//kata:level 3
//kata:minutes 75
//kata:engine real Go runtime
package scheduler_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // zones, also where the system has none

	"github.com/roadkata/roadkata/stage1/stdlib/scheduler"
)

// What is no schedule is an error, from Parse and from Add; what is one is none.
//
//kata:zh 不是时间表的字符串，Parse 和 Add 都返回错误；是时间表的不出错。
func TestParse(t *testing.T) {
	for _, spec := range []string{
		"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *", "* * * 13 *", "* * * * 7",
		"-1 * * * *", "+5 * * * *", "5- * * * *", "9-5 * * * *", "1-60 * * * *", "1,,2 * * * *", ", * * * *", "*/0 * * * *", "*/ * * * *",
		"*/-5 * * * *", "5/10 * * * *", "1-5/2 * * * *", "** * * * *", "x * * * *", "* * * JAN *", "1-2-3 * * * *", "99999999999999999999 * * * *", "*5 * * * *",
	} {
		if _, err := scheduler.Parse(spec); err == nil {
			t.Errorf("Parse(%q) returned no error", spec)
		}
		if err := scheduler.New(time.Now).Add(spec, time.UTC, func(context.Context, time.Time) {}); err == nil {
			t.Errorf("Add(%q, UTC, job) returned no error", spec)
		}
	}
	for _, spec := range []string{"* * * * *", "0 0 1 1 0", "59 23 31 12 6", "00 07 * * *", "*/100 * * * *", "*/99999999999999999999 * * * *", "1,5-5,*/20 * * * *", " 5\t4  * * * "} {
		if _, err := scheduler.Parse(spec); err != nil {
			t.Errorf("Parse(%q) = %v, want no error", spec, err)
		}
	}
}

// Next is the first matching minute strictly after the given time, in its location, and the zero time if there is none.
//
//kata:zh Next 是严格晚于给定时间的第一个匹配的分钟，时区不变；没有则为零值时间。
func TestNext(t *testing.T) {
	check(t, "UTC", []nextCase{
		{"* * * * *", "2025-01-01T10:00:00Z", "2025-01-01T10:01:00Z 2025-01-01T10:02:00Z"},
		{"* * * * *", "2025-01-01T10:00:59.999Z", "2025-01-01T10:01:00Z"},
		{"0 10 * * *", "2025-01-01T09:59:59Z", "2025-01-01T10:00:00Z 2025-01-02T10:00:00Z"},
		{"5 3 * * *", "2025-01-01T01:30:00Z", "2025-01-01T03:05:00Z"},
		{"*/25 * * * *", "2025-01-01T10:00:00Z", "2025-01-01T10:25:00Z 2025-01-01T10:50:00Z 2025-01-01T11:00:00Z"},
		{"5,50-52 0-2 * * *", "2025-01-01T02:05:00Z", "2025-01-01T02:50:00Z 2025-01-01T02:51:00Z 2025-01-01T02:52:00Z 2025-01-02T00:05:00Z"},
		{"0 0 31 * *", "2025-01-31T00:00:00Z", "2025-03-31T00:00:00Z 2025-05-31T00:00:00Z"},
		{"0 0 29 2 *", "2025-01-01T00:00:00Z", "2028-02-29T00:00:00Z 2032-02-29T00:00:00Z"},
		{"0 0 */10 * *", "2025-01-01T00:00:00Z", "2025-01-11T00:00:00Z 2025-01-21T00:00:00Z 2025-01-31T00:00:00Z 2025-02-01T00:00:00Z"},
		{"0 0 * * 0", "2025-01-01T00:00:00Z", "2025-01-05T00:00:00Z 2025-01-12T00:00:00Z"},
		{"0 12 13 * 5", "2025-01-01T00:00:00Z", "2025-06-13T12:00:00Z 2026-02-13T12:00:00Z"}, // both the day and the weekday
		{"0 0 29 2 1", "2025-01-01T00:00:00Z", "2044-02-29T00:00:00Z"},
		{"0 0 30 2 *", "2025-01-01T00:00:00Z", "0001-01-01T00:00:00Z"},
		{"*/1073741825 */23 * * *", "2025-01-01T00:00:00Z", "2025-01-01T23:00:00Z 2025-01-02T00:00:00Z"},
		{"0 0 */9223372036854775807 * *", "2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z 2025-03-01T00:00:00Z"},
		{"59 23 31 12 *", "2025-12-31T23:59:00Z", "2026-12-31T23:59:00Z"},
	})
	check(t, "Asia/Kathmandu", []nextCase{
		{"0 9 * * *", "2025-01-01T09:00:30+05:45", "2025-01-02T09:00:00+05:45"},
		{"30 */12 * * *", "2025-01-01T09:00:00+05:45", "2025-01-01T12:30:00+05:45 2025-01-02T00:30:00+05:45"},
	})
	check(t, "Europe/Berlin", []nextCase{ // on the last day of a leap year Time.ZoneBounds may lead nowhere: golang.org/issue/81583
		{"30 2 * * *", "2028-12-30T05:00:00+01:00", "2028-12-31T02:30:00+01:00 2029-01-01T02:30:00+01:00"},
		{"30 2 * * *", "2040-12-30T05:00:00+01:00", "2040-12-31T02:30:00+01:00 2041-01-01T02:30:00+01:00"},
		{"0 0 30 2 *", "2026-01-01T00:00:00+01:00", "0001-01-01T00:00:00Z"},
	})
	checkIn(t, bent(t), []nextCase{ // what begins at 15:14:07 has the same offset
		{"*/9 * * * *", "2038-01-19T15:00:00+12:00", "2038-01-19T15:09:00+12:00 2038-01-19T15:18:00+12:00"},
		{"14,15 15 * * *", "2038-01-19T15:00:00+12:00", "2038-01-19T15:14:00+12:00 2038-01-19T15:15:00+12:00 2038-01-20T15:14:00+12:00"},
	})
}

// Times that the clock skips when it is set forward fire once, at the moment of the change.
//
//kata:zh 时钟拨快时被跳过的时刻，在拨动的那一刻触发一次。
func TestGap(t *testing.T) {
	check(t, "Europe/Berlin", []nextCase{ // 2025-03-30: 02:00 becomes 03:00
		{"30 2 * * *", "2025-03-29T12:00:00+01:00", "2025-03-30T03:00:00+02:00 2025-03-31T02:30:00+02:00"},
		{"30 2 * * *", "2025-03-30T01:59:59+01:00", "2025-03-30T03:00:00+02:00"},
		{"30 2 * * *", "2025-03-30T03:00:00+02:00", "2025-03-31T02:30:00+02:00"},
		{"0,15,30 2,3 * * *", "2025-03-30T01:00:00+01:00", "2025-03-30T03:00:00+02:00 2025-03-30T03:15:00+02:00 2025-03-30T03:30:00+02:00"},
		{"30 2 * * 1", "2025-03-29T12:00:00+01:00", "2025-03-31T02:30:00+02:00"}, // that day is a Sunday
		{"59 1 * * *", "2025-03-30T01:58:00+01:00", "2025-03-30T01:59:00+01:00 2025-03-31T01:59:00+02:00"},
	})
	check(t, "America/Sao_Paulo", []nextCase{ // 2017-10-15: the day begins at 01:00
		{"30 0 * * *", "2017-10-14T00:30:00-03:00", "2017-10-15T01:00:00-02:00 2017-10-16T00:30:00-02:00"},
	})
	check(t, "Australia/Lord_Howe", []nextCase{ // 2025-10-05: 02:00 becomes 02:30
		{"15 2 * * *", "2025-10-04T12:00:00+10:30", "2025-10-05T02:30:00+11:00 2025-10-06T02:15:00+11:00"},
		{"45 2 * * *", "2025-10-04T12:00:00+10:30", "2025-10-05T02:45:00+11:00"},
	})
	check(t, "Pacific/Apia", []nextCase{ // 2011-12-30 did not take place
		{"0 12 30 12 *", "2011-12-01T00:00:00-10:00", "2011-12-31T00:00:00+14:00 2012-12-30T12:00:00+14:00"},
	})
}

// Times that occur twice when the clock is set back fire the first time only.
//
//kata:zh 时钟拨慢时出现两次的时刻，只在第一次触发。
func TestRepeat(t *testing.T) {
	check(t, "Europe/Berlin", []nextCase{ // 2025-10-26: 03:00 becomes 02:00
		{"30 2 * * *", "2025-10-25T12:00:00+02:00", "2025-10-26T02:30:00+02:00 2025-10-27T02:30:00+01:00"},
		{"30 2 * * *", "2025-10-26T02:10:00+01:00", "2025-10-27T02:30:00+01:00"},
		{"0 2,3 * * *", "2025-10-26T01:00:00+02:00", "2025-10-26T02:00:00+02:00 2025-10-26T03:00:00+01:00"},
		{"*/30 1-3 * * *", "2025-10-26T01:30:00+02:00", "2025-10-26T02:00:00+02:00 2025-10-26T02:30:00+02:00 2025-10-26T03:00:00+01:00"},
	})
	check(t, "Australia/Lord_Howe", []nextCase{ // 2025-04-06: 02:00 becomes 01:30
		{"45 1 * * *", "2025-04-05T12:00:00+11:00", "2025-04-06T01:45:00+11:00 2025-04-07T01:45:00+10:30"},
		{"15 2 * * *", "2025-04-06T01:45:00+11:00", "2025-04-06T02:15:00+10:30"},
		{"15 1 * * *", "2025-04-05T12:00:00+11:00", "2025-04-06T01:15:00+11:00 2025-04-07T01:15:00+10:30"},
	})
}

// A schedule whose hour is * follows the time that passes: skipped times do not fire, repeated ones fire twice.
//
//kata:zh 小时为 * 的时间表跟随流逝的时间：被跳过的时刻不触发，重复的时刻触发两次。
func TestEveryHour(t *testing.T) {
	check(t, "Europe/Berlin", []nextCase{
		{"15 * * * *", "2025-03-30T01:00:00+01:00", "2025-03-30T01:15:00+01:00 2025-03-30T03:15:00+02:00"},
		{"*/30 * * * *", "2025-03-30T01:30:00+01:00", "2025-03-30T03:00:00+02:00 2025-03-30T03:30:00+02:00"},
		{"*/30 * * * *", "2025-10-26T02:00:00+02:00", "2025-10-26T02:30:00+02:00 2025-10-26T02:00:00+01:00 2025-10-26T02:30:00+01:00 2025-10-26T03:00:00+01:00"},
	})
}

// A job is called when the clock shows its time, with that time, however late the one before was done.
//
//kata:zh 时钟走到预定时间时调用任务，并传入该时间；上一次何时做完都不影响。
func TestNoDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		berlin := zone(t, "Europe/Berlin")
		clock := newClock(time.Date(2025, 6, 1, 7, 58, 17, 300_000_000, berlin).UTC()) // a clock without a zone of its own
		var got []string
		run(t, clock, 10*time.Minute, func(s *scheduler.Scheduler) {
			add(t, s, "*/2 8 * * *", berlin, func(_ context.Context, at time.Time) {
				got = append(got, at.Format(time.RFC3339)+" "+clock.now().Sub(at).String())
				time.Sleep(37 * time.Second)
			})
			time.Sleep(3 * time.Minute) // Run is called at 08:01:17.3, and 08:00 is over
		})
		var want []string
		for _, m := range []string{"02", "04", "06", "08", "10"} {
			want = append(want, "2025-06-01T08:"+m+":00+02:00 0s")
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("a job every 2 minutes from 8 o'clock in Berlin, which takes 37s, was called with times and delays\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// A job that takes long does not overlap itself: times that pass meanwhile are left out. Other jobs are not held up.
//
//kata:zh 耗时长的任务不会与自己重叠：期间经过的时刻被略过。其他任务不受拖累。
func TestNoOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := newClock(time.Date(2025, 6, 1, 8, 0, 0, 0, time.UTC))
		var long []string
		var quick, running atomic.Int64
		run(t, clock, 10*time.Minute+30*time.Second, func(s *scheduler.Scheduler) {
			add(t, s, "* * * * *", time.UTC, func(_ context.Context, at time.Time) {
				if running.Add(1) > 1 {
					t.Errorf("a job was called at %s while it was still running", at.Format("15:04"))
				}
				long = append(long, at.Format("15:04"))
				time.Sleep(3*time.Minute + 30*time.Second)
				running.Add(-1)
			})
			add(t, s, "* * * * *", time.UTC, func(context.Context, time.Time) { quick.Add(1) })
		})
		if got, want := fmt.Sprint(long), "[08:01 08:05 08:09]"; got != want {
			t.Errorf("a job of 3m30s, every minute, was called at %s, want %s", got, want)
		}
		if n := quick.Load(); n != 10 {
			t.Errorf("beside it, a quick job, every minute, was called %d times in 10m30s, want 10", n)
		}
	})
}

// When its context ends, Run tells the jobs, starts no more of them, and returns when all have returned.
//
//kata:zh context 结束时，Run 会通知各任务，不再启动新的，并在全部返回之后才返回。
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := newClock(time.Date(2025, 6, 1, 8, 0, 0, 0, time.UTC))
		start := time.Now()
		var told time.Duration
		var calls, ended int
		run(t, clock, 90*time.Second, func(s *scheduler.Scheduler) {
			add(t, s, "* * * * *", time.UTC, func(ctx context.Context, at time.Time) {
				calls++
				select {
				case <-ctx.Done():
				case <-time.After(time.Hour):
				}
				told = time.Since(start)
				time.Sleep(5 * time.Minute) // it takes its time to clean up, beyond its next time
				ended++
			})
		})
		if told != 90*time.Second {
			t.Errorf("Run's context ended after 1m30s, that of a running job after %v", told)
		}
		if took := time.Since(start); took != 6*time.Minute+30*time.Second || ended != 1 {
			t.Errorf("Run's context ended after 1m30s, the job that was running 5m after that: Run returned after %v, want 6m30s", took)
		}
		time.Sleep(time.Hour)
		if calls != 1 {
			t.Errorf("the job was called %d times, want 1: none after the end of Run's context", calls)
		}

		start = time.Now()
		run(t, clock, time.Hour, func(s *scheduler.Scheduler) {
			add(t, s, "0 0 30 2 *", time.UTC, func(context.Context, time.Time) { t.Error("a job was called on 30 February") })
		})
		if took := time.Since(start); took != time.Hour {
			t.Errorf("Run with a job that has no time at all returned after %v, want 1h, when its context ended", took)
		}
	})
}

// A clock that is set back makes no job fire a second time, and none before the clock shows its time.
//
//kata:zh 时钟被拨回去，任务不会再触发一次，也不会在时钟走到预定时间之前触发。
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := newClock(time.Date(2025, 6, 1, 8, 30, 0, 0, time.UTC))
		var got []string
		time.AfterFunc(40*time.Minute, func() { clock.set(-30 * time.Minute) })                // 09:10 becomes 08:40
		time.AfterFunc(119*time.Minute+30*time.Second, func() { clock.set(-2 * time.Second) }) // 09:59:30 becomes 09:59:28
		run(t, clock, 210*time.Minute, func(s *scheduler.Scheduler) {
			add(t, s, "0 * * * *", time.UTC, func(_ context.Context, at time.Time) {
				got = append(got, at.Format("15:04"))
				if now := clock.now(); now.Before(at) {
					t.Errorf("the clock was set back, by 30m at 09:10 and by 2s at 09:59:30: a job for %s was called when it showed %s",
						at.Format("15:04:05"), now.Format("15:04:05"))
				}
			})
		})
		if want := "[09:00 10:00 11:00]"; fmt.Sprint(got) != want {
			t.Errorf("the clock was set back by 30m at 09:10 and by 2s at 09:59:30: an hourly job was called with %v, want %s", got, want)
		}
	})
}

// A clock that is set forward is noticed within a minute; what it has skipped fires once, with the first of the times.
//
//kata:zh 时钟被往前拨，一分钟之内就会发现；跳过的多个时刻只触发一次，传入其中最早的。
func TestClockSetForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := newClock(time.Date(2025, 6, 1, 8, 2, 30, 0, time.UTC))
		var got []string
		var after time.Duration
		start := time.Now()
		time.AfterFunc(10*time.Minute, func() { clock.set(3 * time.Hour) }) // 08:12:30 becomes 11:12:30
		run(t, clock, 70*time.Minute, func(s *scheduler.Scheduler) {
			add(t, s, "0 * * * *", time.UTC, func(_ context.Context, at time.Time) {
				if len(got) == 0 {
					after = time.Since(start) - 10*time.Minute
				}
				got = append(got, at.Format("15:04"))
			})
		})
		if want := "[09:00 12:00]"; fmt.Sprint(got) != want {
			t.Errorf("the clock was set from 08:12:30 to 11:12:30: an hourly job was called with %v, want %s", got, want)
		}
		if after < 0 || after > time.Minute {
			t.Errorf("the clock was set forward beyond the time of a job, which was called %v later, want 1m at most", after)
		}
	})
}

type nextCase struct{ spec, after, want string }

// check asks for as many next times as are wanted, each after the one before.
func check(t *testing.T, name string, cases []nextCase) {
	t.Helper()
	checkIn(t, zone(t, name), cases)
}

func checkIn(t *testing.T, loc *time.Location, cases []nextCase) {
	t.Helper()
	for _, c := range cases {
		s, err := scheduler.Parse(c.spec)
		if err != nil {
			t.Errorf("Parse(%q) = %v", c.spec, err)
			continue
		}
		at, err := time.Parse(time.RFC3339, c.after)
		if err != nil {
			t.Fatal(err)
		}
		at = at.In(loc)
		for want := range strings.FieldsSeq(c.want) {
			got := next(t, c.spec, s, at)
			if got.Format(time.RFC3339Nano) != want {
				t.Errorf("%q in %s: Next(%s) = %s, want %s", c.spec, loc, at.Format(time.RFC3339Nano), got.Format(time.RFC3339Nano), want)
				break
			}
			at = got
		}
	}
}

// next calls Next, which ends also where nothing matches.
func next(t *testing.T, spec string, s scheduler.Schedule, at time.Time) time.Time {
	t.Helper()
	found := make(chan time.Time, 1)
	go func() { found <- s.Next(at) }()
	select {
	case got := <-found:
		return got
	case <-time.After(10 * time.Second):
		t.Fatalf("%q in %s: Next(%s) has not returned after 10s", spec, at.Location(), at.Format(time.RFC3339Nano))
		return time.Time{}
	}
}

// bent is a zone whose file bounds a stretch of time where no offset changes, amid a minute, as several real ones do.
func bent(t *testing.T) *time.Location {
	t.Helper()
	header := func(times, types, names byte) string {
		return "TZif2" + strings.Repeat("\x00", 15+4*3+3) + string([]byte{times, 0, 0, 0, types, 0, 0, 0, names})
	}
	file := header(0, 0, 0) + header(1, 1, 4) +
		"\x00\x00\x00\x00\x7f\xff\xff\xff" + "\x00" + // 2038-01-19 03:14:07 in UTC: from there on, type 0
		"\x00\x00\xa8\xc0" + "\x00" + "\x00" + "+12\x00" + // type 0: 12 hours, no summer time, name 0
		"\n<+12>-12\n"
	loc, err := time.LoadLocationFromTZData("Test/Bent", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// clock is a wall clock that can be set. It runs as fast as virtual time.
type clock struct {
	mu    sync.Mutex
	shown time.Time
	start time.Time
}

func newClock(shown time.Time) *clock { return &clock{shown: shown, start: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown.Add(time.Since(c.start))
}

func (c *clock) set(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown = c.shown.Add(by)
}

func add(t *testing.T, s *scheduler.Scheduler, spec string, loc *time.Location, job func(context.Context, time.Time)) {
	t.Helper()
	if err := s.Add(spec, loc, job); err != nil {
		t.Fatalf("Add(%q) = %v", spec, err)
	}
}

// run runs a scheduler for d, and then until it returns.
func run(t *testing.T, clock *clock, d time.Duration, prepare func(*scheduler.Scheduler)) {
	t.Helper()
	s := scheduler.New(clock.now)
	prepare(s)
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	s.Run(ctx)
}
