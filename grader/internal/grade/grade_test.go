package grade_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
	"github.com/roadkata/roadkata/grader/internal/suite"
)

func kata(intents ...string) *course.Kata {
	k := &course.Kata{Path: "s/t/k", Kind: course.Library}
	for _, in := range intents {
		k.Intents = append(k.Intents, course.Intent{Name: in, At: "s/t/k/.kata/intents_test.go:1"})
	}
	return k
}

func start(test string) suite.Event { return suite.Event{Kind: suite.Start, Test: test} }

func end(test string, e suite.Event) suite.Event {
	e.Kind, e.Test = suite.End, test
	return e
}

var (
	ready   = suite.Event{Kind: suite.Ready}
	done    = suite.Event{Kind: suite.Done}
	passed  = suite.Event{Passed: true, Returned: true}
	failed  = suite.Event{Failed: true, Returned: true}
	aborted = suite.Event{Failed: true}
	skipped = suite.Event{Skipped: true}
)

// What one process recorded, and the verdict on TestA.
func TestVerdicts(t *testing.T) {
	ab := []string{"TestA", "TestB"}
	okB := []suite.Event{start("TestB"), end("TestB", passed)}
	for _, tc := range []struct {
		name   string
		p      suite.Process
		status grade.Status
		reason grade.Reason
		text   string
	}{
		{"passed", suite.Process{Asked: ab, Events: append([]suite.Event{ready, start("TestA"), end("TestA", passed), start("TestB"), end("TestB", passed)}, done)},
			grade.Passed, "", ""},
		{"a printed pass is no record", suite.Process{Asked: ab, Events: []suite.Event{ready, start("TestA")}, Output: "--- PASS: TestA (0.00s)\nPASS\n"},
			grade.Failed, grade.Exit, "status 0 before the test did"},
		{"assertion", suite.Process{Asked: ab, Exit: suite.Exit{Code: 1}, Events: append(append([]suite.Event{ready, start("TestA"), end("TestA", failed)}, okB...), done),
			Output: "=== RUN   TestA\n    intents_test.go:9: F() = 1, want 2\n        of three\n--- FAIL: TestA (0.00s)\n=== RUN   TestB\n--- PASS: TestB (0.00s)\n"},
			grade.Failed, grade.Assertion, "F() = 1, want 2\nof three"},
		{"testify", suite.Process{Asked: ab, Exit: suite.Exit{Code: 1}, Events: append(append([]suite.Event{ready, start("TestA"), end("TestA", aborted)}, okB...), done),
			Output: "=== RUN   TestA\n    intents_test.go:9: \n        \tError Trace:\t/x/intents_test.go:9\n        \tError:      \tNot equal: \n        \t            \texpected: 1\n        \tTest:       \tTestA\n        \tMessages:   \tafter Close\n"},
			grade.Failed, grade.Assertion, "Not equal:\nexpected: 1\nafter Close"},
		{"panic", suite.Process{Asked: ab, Exit: suite.Exit{Code: 2}, Events: []suite.Event{ready, start("TestA"), end("TestA", aborted)},
			Output: "=== RUN   TestA\n--- FAIL: TestA (0.00s)\npanic: boom [recovered, repanicked]\n\ngoroutine 7 [running]:\nk.F()\n\t/w/s/t/k/k.go:12 +0x1\n"},
			grade.Failed, grade.Panic, "panic: boom"},
		{"panic of a goroutine", suite.Process{Asked: ab, Exit: suite.Exit{Code: 2}, Events: []suite.Event{ready, start("TestA")}, Output: "panic: boom\n"},
			grade.Failed, grade.Panic, "panic: boom"},
		{"deadlock", suite.Process{Asked: ab, Exit: suite.Exit{Code: 2}, Events: []suite.Event{ready, start("TestA")}, Output: "fatal error: all goroutines are asleep - deadlock!\n"},
			grade.Failed, grade.Deadlock, "asleep"},
		{"leak", suite.Process{Asked: ab, Exit: suite.Exit{Code: 2}, Events: []suite.Event{ready, start("TestA"), end("TestA", aborted)}, Output: "panic: deadlock: main bubble goroutine has exited but blocked goroutines remain\n"},
			grade.Failed, grade.Leak, "left blocked"},
		{"timeout", suite.Process{Asked: ab, Exit: suite.Exit{Code: 2, Deadline: true}, Events: []suite.Event{ready, start("TestA")}, Output: "SIGQUIT: quit\ngoroutine 1 [running]:\n"},
			grade.Failed, grade.Timeout, "endless loop"},
		{"blocked until the deadline", suite.Process{Asked: ab, Exit: suite.Exit{Code: 2, Deadline: true}, Events: []suite.Event{ready, start("TestA")},
			Output: "SIGQUIT: quit\ngoroutine 1 [chan receive, 1 minutes]:\n\ngoroutine 7 gp=0x1 m=nil [sync.Mutex.Lock]:\n"},
			grade.Failed, grade.Deadlock, "1 in chan receive, 1 in sync.Mutex.Lock"},
		{"os.Exit(0)", suite.Process{Asked: ab, Exit: suite.Exit{Code: 2}, Events: []suite.Event{ready, start("TestA"), end("TestA", aborted)}, Output: "panic: unexpected call to os.Exit(0) during test\n"},
			grade.Failed, grade.Exit, "os.Exit(0)"},
		{"signal", suite.Process{Asked: ab, Exit: suite.Exit{Code: -1, Signal: "killed"}, Events: []suite.Event{ready, start("TestA")}},
			grade.Failed, grade.Exit, "signal: killed"},
		{"flood", suite.Process{Asked: ab, Exit: suite.Exit{Code: -1, Output: true}, Events: []suite.Event{ready, start("TestA")}},
			grade.Failed, grade.Output, "printed more"},
		{"skip", suite.Process{Asked: ab, Events: append(append([]suite.Event{ready, start("TestA"), end("TestA", skipped)}, okB...), done)},
			grade.Failed, grade.Skip, "no pass"},
		{"init", suite.Process{Asked: ab, Exit: suite.Exit{Code: 3}},
			grade.NotRun, grade.Exit, "did not reach its first test"},
		{"the second of three rounds", suite.Process{Asked: []string{"TestA"}, Exit: suite.Exit{Code: 1}, Events: []suite.Event{ready, start("TestA"), end("TestA", passed), start("TestA"), end("TestA", failed), start("TestA"), end("TestA", passed), done},
			Output: "=== RUN   TestA\n    x_test.go:1: second\n"},
			grade.Failed, grade.Assertion, "second"},
		{"race, alone", suite.Process{Asked: []string{"TestA"}, Exit: suite.Exit{Code: 66}, Events: []suite.Event{ready, start("TestA"), end("TestA", passed), done}, Output: "==================\nWARNING: DATA RACE\nRead at 0x1\n==================\n"},
			grade.Failed, grade.Race, "WARNING: DATA RACE\nRead at 0x1"},
		{"the grader's fault", suite.Process{Asked: ab, Exit: suite.Exit{Error: "no such file"}},
			grade.Broken, grade.Grader, "no such file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := grade.Grade(kata("TestA"), []*suite.Result{{Tests: ab, Runs: []suite.Process{tc.p}}}, nil)
			in := k.Intents[0]
			require.Equal(t, tc.status, in.Status)
			if tc.status == grade.Passed {
				require.Equal(t, grade.Passed, k.Status, k.Problems)
				return
			}
			require.NotEqual(t, grade.Passed, k.Status)
			require.Equal(t, tc.reason, in.Because.Kind)
			require.Contains(t, in.Because.Text, tc.text)
		})
	}
}

func TestPositionOfAPanic(t *testing.T) {
	out := "=== RUN   TestA\npanic: boom\n\ngoroutine 7 [running]:\nk.helper()\n\t/w/s/t/k/.kata/intents_test.go:3 +0x1\nk.F()\n\t/w/s/t/k/k.go:12 +0x1\n"
	k := grade.Grade(kata("TestA"), []*suite.Result{{Tests: []string{"TestA"}, Runs: []suite.Process{{Asked: []string{"TestA"}, Exit: suite.Exit{Code: 2}, Events: []suite.Event{ready, start("TestA")}, Output: out}}}}, nil)
	require.Equal(t, "s/t/k/k.go:12", k.Intents[0].At)
}

// A program that ends badly after its last intent has not passed.
func TestAfterTheLastIntent(t *testing.T) {
	for _, p := range []suite.Process{
		{Asked: []string{"TestA"}, Exit: suite.Exit{Code: 2}, Events: []suite.Event{ready, start("TestA"), end("TestA", passed)}, Output: "panic: late\n"},
		{Asked: []string{"TestA"}, Exit: suite.Exit{Code: 0}, Events: []suite.Event{ready, start("TestA"), end("TestA", passed)}},
		{Asked: []string{"TestA"}, Exit: suite.Exit{Code: 1}, Events: []suite.Event{ready, start("TestA"), end("TestA", passed), done}},
	} {
		k := grade.Grade(kata("TestA"), []*suite.Result{{Tests: []string{"TestA"}, Runs: []suite.Process{p}}}, nil)
		require.Equal(t, grade.Failed, k.Status)
		require.Contains(t, k.Problems[0].Text, "after the last intent")
	}
}

// A race that shows only when all run together fails the kata, and no intent.
func TestUnattributedRace(t *testing.T) {
	together := suite.Process{Asked: []string{"TestA"}, Superseded: true, Exit: suite.Exit{Code: 66}, Events: []suite.Event{ready, start("TestA"), end("TestA", failed), done}, Output: "WARNING: DATA RACE\n"}
	alone := suite.Process{Asked: []string{"TestA"}, Events: []suite.Event{ready, start("TestA"), end("TestA", passed), done}}
	k := grade.Grade(kata("TestA"), []*suite.Result{{Tests: []string{"TestA"}, Runs: []suite.Process{together, alone}}}, nil)
	require.Equal(t, grade.Passed, k.Intents[0].Status)
	require.Equal(t, grade.Failed, k.Status)
	require.Equal(t, "race", k.Problems[0].Kind)
}

func TestSubjects(t *testing.T) {
	k := kata("accepts/plain", "catches/late")
	k.Kind = course.Tests
	k.Subjects = []course.Subject{{Name: "plain", Right: true}, {Name: "late"}}
	pair := func(i int) *suite.Pair { return &suite.Pair{Kata: k, Subject: &k.Subjects[i]} }
	process := func(e suite.Event, exit int) []suite.Process {
		return []suite.Process{{Asked: []string{"TestX"}, Exit: suite.Exit{Code: exit}, Events: []suite.Event{ready, start("TestX"), end("TestX", e), done}}}
	}
	tests := []string{"TestX"}
	for _, tc := range []struct {
		name           string
		right, wrong   *suite.Result
		accepts, catch grade.Status
		why            grade.Reason
	}{
		{"accepted and caught", &suite.Result{Tests: tests, Runs: process(passed, 0)}, &suite.Result{Tests: tests, Runs: process(failed, 1)}, grade.Passed, grade.Passed, ""},
		{"slips through", &suite.Result{Tests: tests, Runs: process(passed, 0)}, &suite.Result{Tests: tests, Runs: process(passed, 0)}, grade.Passed, grade.Failed, grade.Accepted},
		{"catches everything", &suite.Result{Tests: tests, Runs: process(failed, 1)}, &suite.Result{Tests: tests, Runs: process(failed, 1)}, grade.Failed, grade.NotRun, grade.Refused},
		{"a skip catches nothing", &suite.Result{Tests: tests, Runs: process(passed, 0)}, &suite.Result{Tests: tests, Runs: process(skipped, 0)}, grade.Passed, grade.Failed, grade.Accepted},
		{"no test at all", &suite.Result{}, &suite.Result{}, grade.Failed, grade.NotRun, grade.Refused},
		{"does not compile", &suite.Result{Compile: []course.Problem{{Kind: "compile", Text: "x"}}}, &suite.Result{Compile: []course.Problem{{Kind: "compile", Text: "x"}}}, grade.NotRun, grade.NotRun, grade.Compile},
		{"the subject does not compile", &suite.Result{Faults: []course.Problem{{Kind: "suite", Text: "x"}}}, &suite.Result{Tests: tests, Runs: process(failed, 1)}, grade.Broken, grade.NotRun, grade.Refused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.right.Pair, tc.wrong.Pair = pair(0), pair(1)
			got := grade.Grade(k, []*suite.Result{tc.right, tc.wrong}, nil)
			require.Equal(t, tc.accepts, got.Intents[0].Status)
			require.Equal(t, tc.catch, got.Intents[1].Status)
			if tc.why != "" {
				require.Equal(t, tc.why, got.Intents[1].Because.Kind)
			}
			if len(tc.right.Compile) > 0 {
				require.Len(t, got.Problems, 1, "one error is told once, not for every subject")
			}
		})
	}
}

func TestItems(t *testing.T) {
	a, b := &course.Kata{Path: "a"}, &course.Kata{Path: "b", Engine: course.Engine{Kind: "simulated"}}
	for _, tc := range []struct {
		item   course.Item
		status map[string]grade.Status
		want   grade.Status
	}{
		{course.Item{Planned: []string{"x"}}, nil, grade.Planned},
		{course.Item{Katas: []*course.Kata{a, b}}, nil, grade.Open},
		{course.Item{Katas: []*course.Kata{a, b}}, map[string]grade.Status{"a": grade.Passed, "b": grade.Failed}, grade.Partial},
		{course.Item{Katas: []*course.Kata{a, b}}, map[string]grade.Status{"a": grade.Passed, "b": grade.Passed}, grade.Passed},
		{course.Item{Katas: []*course.Kata{a}, Planned: []string{"x"}}, map[string]grade.Status{"a": grade.Passed}, grade.Partial},
		{course.Item{Katas: []*course.Kata{a}}, map[string]grade.Status{"a": grade.Broken}, grade.Open},
	} {
		require.Equal(t, tc.want, grade.ItemStatus(&tc.item, tc.status).Status)
	}
	require.True(t, grade.ItemStatus(&course.Item{Katas: []*course.Kata{b}}, nil).Simulated)
	require.False(t, grade.ItemStatus(&course.Item{Katas: []*course.Kata{a, b}}, nil).Simulated)
}

func TestExitCode(t *testing.T) {
	with := func(s ...grade.Status) *grade.Report {
		var ks []grade.Kata
		for _, x := range s {
			ks = append(ks, grade.Kata{Status: x})
		}
		return grade.Assemble(nil, ks)
	}
	require.Equal(t, 0, with(grade.Passed).ExitCode())
	require.Equal(t, 1, with(grade.Passed, grade.Untouched).ExitCode())
	require.Equal(t, 1, with(grade.Failed).ExitCode())
	require.Equal(t, 3, with(grade.Failed, grade.Broken).ExitCode())
}

// What a learner's program prints is data: no control sequence reaches a terminal.
func TestOutputIsCleaned(t *testing.T) {
	p := suite.Process{Asked: []string{"TestA"}, Exit: suite.Exit{Code: 1}, Events: []suite.Event{ready, start("TestA"), end("TestA", failed), done},
		Output: "=== RUN   TestA\n\x1b[2J\x1b]0;title\x07red\x1b[31m\r\x08\n    x_test.go:1: bad\n"}
	k := grade.Grade(kata("TestA"), []*suite.Result{{Tests: []string{"TestA"}, Runs: []suite.Process{p}}}, nil)
	require.Equal(t, []string{"red", "    x_test.go:1: bad"}, k.Intents[0].Output)
}

// The grader's own words come in both languages, with what they quote; what a
// suite says stays as it is.
func TestSay(t *testing.T) {
	for en, zh := range map[string]string{
		"the process ended with status 7 before the test did; does the code call os.Exit?":           "测试还没结束，进程就以状态码 7 退出了；代码里是不是调用了 os.Exit？",
		"not run: the code called os.Exit(0)":                                                        "未运行：代码调用了 os.Exit(0)",
		"TestX fails on a right implementation when the tests run in another order: F() = 100%s, no": "测试换一种顺序运行时，TestX 在正确的实现上失败：F() = 100%s, no",
		"F() = 1, want 2": "F() = 1, want 2",
	} {
		require.Equal(t, zh, grade.Say(en, "zh"))
		require.Equal(t, en, grade.Say(en, "en"))
	}
}
