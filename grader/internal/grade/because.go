package grade

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/roadkata/roadkata/grader/internal/suite"
)

// because explains the end of a process that did not come to its own end. The
// text of a program is used to explain, never to decide whether something passed.
func because(p *suite.Process) Because {
	switch {
	case p.Exit.Output:
		return Because{Output, "it printed more than 16 MB and was stopped"}
	case p.Exit.Deadline:
		if what := blockedOn(p.Output); what != "" {
			return Because{Deadlock, "it did not come back: " + what}
		}
		return Because{Timeout, "it did not come back before the deadline; is there an endless loop?"}
	}
	if lineWith(p.Output, "deadlock: main bubble goroutine has exited but blocked goroutines remain") != "" {
		return Because{Leak, "goroutines are left blocked after the call has returned"}
	}
	if line := lineWith(p.Output, "fatal error: all goroutines are asleep - deadlock!", "deadlock: all goroutines in bubble are blocked"); line != "" {
		return Because{Deadlock, strings.TrimSuffix(clean(line), " [recovered, repanicked]")}
	}
	if strings.Contains(p.Output, "panic: unexpected call to os.Exit(0) during test") {
		return Because{Exit, "the code called os.Exit(0)"}
	}
	if line := lineWith(p.Output, "panic: ", "fatal error: "); line != "" {
		return Because{Panic, strings.TrimSuffix(clean(line), " [recovered, repanicked]")}
	}
	if p.Racy() {
		return Because{Race, raceReport(p.Output)}
	}
	if p.Exit.Signal != "" {
		return Because{Exit, "the process was ended by a signal: " + p.Exit.Signal}
	}
	return Because{Exit, fmt.Sprintf("the process ended with status %d before the test did; does the code call os.Exit?", p.Exit.Code)}
}

// failedBecause explains an intent whose end was recorded as failed.
func failedBecause(in *Intent, p *suite.Process, e suite.Event) *Because {
	died := !p.Finished() && lastEvent(p, in.Name)
	if !e.Returned && died {
		b := because(p)
		return &b
	}
	if len(p.Asked) == 1 && p.Racy() || slices.ContainsFunc(in.Output, func(l string) bool { return strings.Contains(l, "race detected during execution of test") }) {
		return &Because{Race, raceReport(p.Output)}
	}
	text := message(in.Output)
	switch {
	case strings.Contains(text, "found unexpected goroutines"):
		return &Because{Leak, "goroutines are left running"}
	case strings.Contains(text, "deadlock:"):
		return &Because{Deadlock, text}
	case text == "":
		text = "the test failed without a message"
	}
	return &Because{Assertion, text}
}

func lastEvent(p *suite.Process, test string) bool {
	return len(p.Events) > 0 && p.Events[len(p.Events)-1].Test == test
}

// notRun explains why an intent never started.
func notRun(p *suite.Process, r *suite.Result) *Because {
	ready := slices.ContainsFunc(p.Events, func(e suite.Event) bool { return e.Kind == suite.Ready })
	if !ready {
		b := because(p)
		return &Because{b.Kind, "the program did not reach its first test (func init? a package variable?): " + b.Text}
	}
	for i := range r.Runs {
		if r.Runs[i].Exit.Deadline {
			return &Because{Timeout, "not run: other intents used up the time"}
		}
	}
	b := because(p)
	return &Because{b.Kind, "not run: " + b.Text}
}

var marker = regexp.MustCompile(`^\x16?=== (RUN|PAUSE|CONT|NAME)\s+(\S+)`)
var endMarker = regexp.MustCompile(`^\x16?\s*--- (PASS|FAIL|SKIP): (\S+)`)

// outputOf returns the lines that were printed while test ran, for display.
func outputOf(output, test string) []string {
	out := []string{}
	mine := false
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\r\n")
		if m := marker.FindStringSubmatch(line); m != nil {
			mine = m[2] == test || strings.HasPrefix(m[2], test+"/")
			continue
		}
		if m := endMarker.FindStringSubmatch(line); m != nil {
			mine = m[2] == test || strings.HasPrefix(m[2], test+"/")
			continue
		}
		if !mine || line == "PASS" || line == "FAIL" || strings.HasPrefix(line, "exit status ") {
			continue
		}
		out = append(out, clean(line))
	}
	out = withoutOurs(out)
	for len(out) > 0 && strings.TrimSpace(out[len(out)-1]) == "" {
		out = out[:len(out)-1]
	}
	if len(out) > 200 {
		out = append(out[:150:150], append([]string{"…"}, out[len(out)-49:]...)...)
	}
	return out
}

// tailOf adds the panic or the stacks of a dead process to the lines of the test.
func tailOf(output string, lines []string) []string {
	if slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "panic: ") || strings.HasPrefix(l, "fatal error: ") }) {
		return lines
	}
	for _, start := range []string{"panic: ", "fatal error: ", "SIGQUIT: "} {
		if i := strings.Index(output, start); i >= 0 {
			for line := range strings.Lines(output[i:]) {
				lines = append(lines, clean(strings.TrimRight(line, "\r\n")))
				if len(lines) > 120 {
					break
				}
			}
			return withoutOurs(lines)
		}
	}
	return lines
}

// withoutOurs drops stack frames of the wrapper and of package testing: a call
// and the position below it.
func withoutOurs(lines []string) []string {
	out := lines[:0:0]
	for i := 0; i < len(lines); i++ {
		if i+1 < len(lines) {
			if m := stackPosition.FindStringSubmatch(lines[i+1]); m != nil && isOurs(m[1]) {
				i++
				continue
			}
		}
		out = append(out, lines[i])
	}
	return out
}

func isOurs(file string) bool {
	file = strings.ReplaceAll(file, `\`, "/")
	return strings.Contains(file, "/.kata-run/") || strings.HasSuffix(file, "/src/testing/testing.go") || strings.HasSuffix(file, "/src/runtime/panic.go") ||
		strings.HasSuffix(file, "/src/runtime/synctest.go") || strings.HasSuffix(file, "/src/testing/synctest/synctest.go")
}

var testPosition = regexp.MustCompile(`^\s+[^\s:]+\.go:\d+: (.*)$`)

// message is the first thing that the test said: t.Errorf's text with its
// continuation lines, or testify's Error and Messages.
func message(lines []string) string {
	for i, l := range lines {
		m := testPosition.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		if strings.TrimSpace(m[1]) == "" {
			if t := testify(lines[i+1:]); t != "" {
				return t
			}
		}
		text := []string{strings.TrimSpace(m[1])}
		for _, more := range lines[i+1:] {
			if !strings.HasPrefix(more, "        ") || testPosition.MatchString(more) || len(text) > 30 {
				break
			}
			text = append(text, strings.TrimPrefix(more, "        "))
		}
		return strings.TrimSpace(strings.Join(text, "\n"))
	}
	return ""
}

// testify gathers the parts of testify's report that a learner needs.
func testify(lines []string) string {
	var text []string
	field := ""
	for _, l := range lines {
		t := strings.TrimSpace(l)
		if testPosition.MatchString(l) || t == "" && field == "" {
			break
		}
		name, rest, ok := strings.Cut(t, ":")
		if ok && slices.Contains([]string{"Error Trace", "Error", "Test", "Messages"}, name) {
			field, t = name, strings.TrimSpace(rest)
		}
		if (field == "Error" || field == "Messages") && t != "" {
			text = append(text, t)
		}
	}
	return strings.Join(text, "\n")
}

func raceReport(out string) string {
	i := strings.Index(out, "WARNING: DATA RACE")
	if i < 0 {
		return "the race detector ended the process"
	}
	rep := out[i:]
	if j := strings.Index(rep, "=================="); j >= 0 {
		rep = rep[:j]
	}
	var lines []string
	for line := range strings.Lines(rep) {
		if len(lines) == 30 {
			break
		}
		lines = append(lines, clean(strings.TrimRight(line, "\r\n")))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

var goroutineHead = regexp.MustCompile(`(?m)^goroutine \d+ (?:gp=\S+ m=\S+ (?:mp=\S+ )?)?\[([^\]]+)\]`)

// blockedOn says what the goroutines of a stack dump wait for, if none of them runs.
func blockedOn(out string) string {
	i := strings.Index(out, "SIGQUIT: ")
	if i < 0 {
		return ""
	}
	waits := map[string]int{}
	for _, m := range goroutineHead.FindAllStringSubmatch(out[i:], -1) {
		state, _, _ := strings.Cut(m[1], ",")
		switch {
		case state == "running", state == "runnable", strings.HasPrefix(state, "syscall"):
			return ""
		case strings.HasPrefix(state, "chan"), strings.HasPrefix(state, "select"), strings.HasPrefix(state, "sync."), strings.HasPrefix(state, "semacquire"):
			waits[state]++
		}
	}
	var parts []string
	for _, s := range sortedKeys(waits) {
		parts = append(parts, fmt.Sprintf("%d in %s", waits[s], s))
	}
	if len(parts) == 0 {
		return ""
	}
	return "all goroutines wait (" + strings.Join(parts, ", ") + ")"
}

func sortedKeys(m map[string]int) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func lineWith(out string, starts ...string) string {
	for line := range strings.Lines(out) {
		for _, s := range starts {
			if i := strings.Index(line, s); i >= 0 && (i == 0 || s != "panic: " && s != "fatal error: ") {
				return strings.TrimSpace(line)
			}
		}
	}
	return ""
}

// stackPosition is a line of a stack: a file, a line, perhaps an offset. The
// runtime indents it by a tab, the race detector by spaces.
var stackPosition = regexp.MustCompile(`^(?:\t| {6})(\S.*\.go):(\d+)`)

// learnerPosition finds the first position of a stack that lies in the kata's
// folder and not on the author's side.
func learnerPosition(kata string, lines []string) string {
	for _, l := range lines {
		m := stackPosition.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		file := strings.ReplaceAll(m[1], `\`, "/")
		i := strings.Index(file, "/"+kata+"/")
		if i < 0 || strings.Contains(file[i:], "/.kata/") && !strings.Contains(file[i:], "/.kata/solution/") {
			continue
		}
		return file[i+1:] + ":" + m[2]
	}
	return ""
}

var escape = regexp.MustCompile(`\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-_])`)

// clean strips control sequences: what a learner's program prints is data.
func clean(line string) string {
	line = escape.ReplaceAllString(line, "")
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, line)
}
