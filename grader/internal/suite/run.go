package suite

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// outputLimit bounds what one process may print before it is killed; the
// beginning and the end are kept.
const (
	outputLimit = 16 << 20
	outputKept  = 256 << 10
)

// maxTimeouts is how many deadlines a pair may spend. A learner's endless loop
// must not cost a deadline for every intent.
const maxTimeouts = 3

func hasRaceReport(out string) bool { return strings.Contains(out, "WARNING: DATA RACE") }

// job runs the tests of one pair in as many processes as it takes.
type job struct {
	ctx     context.Context
	layout  *layout
	pair    *Pair
	prog    *program
	index   int // of the layout in the program
	tmp     string
	result  *Result
	expired int
}

// run runs all tests, then again those that a dead process kept from running,
// and those of a process with a race report one by one.
func (j *job) run(only []string) {
	tests := j.layout.names()
	j.result.Tests = tests
	tests = slices.DeleteFunc(slices.Clone(tests), func(t string) bool {
		if only != nil && !slices.Contains(only, t) {
			return true
		}
		in := j.pair.Kata.IntentByName(t)
		if j.pair.Examples || in == nil || in.Met() {
			return false
		}
		j.result.Unchecked = append(j.result.Unchecked, t+" ("+in.Needs+")")
		return true
	})
	began := time.Now()
	if j.pair.Alone {
		for _, t := range tests {
			j.process([]string{t})
		}
	} else {
		j.together(tests)
	}
	j.result.Seconds = time.Since(began).Seconds()
}

// together runs tests in one process and whatever it leaves in further ones.
func (j *job) together(tests []string) {
	for pending := tests; len(pending) > 0 && j.ctx.Err() == nil; {
		r := j.process(pending)
		if r.Exit.Error != "" || !r.anyStarted() || j.expired >= maxTimeouts {
			return // nothing more can be learned
		}
		var next, torn []string
		for _, t := range pending {
			switch {
			case !r.started(t):
				next = append(next, t)
			case !r.ended(t):
				torn = append(torn, t)
			}
		}
		if r.Racy() && len(pending) > 1 {
			// The detector blames whoever runs when it reports.
			r.Superseded = true
			ran := slices.DeleteFunc(slices.Clone(pending), func(t string) bool { return slices.Contains(next, t) })
			for _, t := range ran {
				j.process([]string{t})
			}
		} else if len(torn) > 1 {
			// Parallel tests died together: who was it?
			for _, t := range torn {
				j.process([]string{t})
			}
		}
		pending = next
	}
}

func (r *Process) anyStarted() bool {
	return slices.ContainsFunc(r.Events, func(e Event) bool { return e.Kind == Start })
}

// process runs tests in one process and appends the run.
func (j *job) process(tests []string) *Process {
	runs := &j.result.Runs
	*runs = append(*runs, j.start(tests))
	r := &(*runs)[len(*runs)-1]
	if r.Exit.Deadline {
		j.expired++
	}
	return r
}

func (j *job) start(tests []string) Process {
	r := Process{Asked: tests}
	fail := func(err error) Process {
		r.Exit = Exit{Code: -1, Error: err.Error()}
		return r
	}
	dir, err := os.MkdirTemp(j.tmp, "job")
	if err != nil {
		return fail(err)
	}
	defer removeAll(dir)
	records := filepath.Join(dir, "records")
	if err := os.WriteFile(records, nil, 0o600); err != nil {
		return fail(err)
	}
	scratch := filepath.Join(dir, "tmp")
	if err := os.Mkdir(scratch, 0o777); err != nil {
		return fail(err)
	}
	nonce := rand.Text()

	p := j.pair
	deadline := p.Deadline()
	if j.expired > 0 {
		deadline = max(deadline/4, 2*time.Second)
	}
	ctx, cancel := context.WithCancel(j.ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, j.prog.file, j.args(tests)...)
	cmd.Dir = p.Kata.Dir
	cmd.Env = j.env(records, nonce, scratch)
	out := &capped{limit: outputLimit, keep: outputKept, full: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, out
	ownGroup(cmd)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return fail(fmt.Errorf("start the test program: %w", err))
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	r.Exit, err = watchOver(cmd, ended, out.full, deadline)
	cancel()
	_ = killGroup(cmd) // children that outlived the program
	r.Seconds = time.Since(began).Seconds()
	r.Output = j.layout.plain(unwrap(out.String(), j.index))
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) && !r.Exit.Deadline && !r.Exit.Output && j.ctx.Err() == nil {
		r.Exit.Error = err.Error()
	}
	r.Events = readRecords(records, nonce)
	return r
}

// watchOver waits for the process, up to its deadline and output limit.
func watchOver(cmd *exec.Cmd, ended <-chan error, full <-chan struct{}, deadline time.Duration) (Exit, error) {
	timer := time.NewTimer(deadline)
	defer timer.Stop()
	var e Exit
	var err error
	select {
	case err = <-ended:
	case <-full:
		e.Output = true
		_ = killGroup(cmd)
		err = <-ended
	case <-timer.C:
		e.Deadline = true
		// The stacks say where it hangs; whoever ignores the question is killed.
		askForStacks(cmd)
		select {
		case err = <-ended:
		case <-full:
			_ = killGroup(cmd)
			err = <-ended
		case <-time.After(2 * time.Second):
			_ = killGroup(cmd)
			err = <-ended
		}
	}
	if cmd.ProcessState != nil {
		e.Code = cmd.ProcessState.ExitCode()
		e.Signal = signalName(cmd)
	}
	return e, err
}

func (j *job) args(tests []string) []string {
	p := j.pair
	var names []string
	for _, t := range tests {
		names = append(names, regexp.QuoteMeta(wrapped(j.index, t)))
	}
	// No -test.timeout: its timer would hide deadlocks from the runtime. The
	// deadline is ours.
	args := []string{"-test.v", "-test.timeout=0", "-test.paniconexit0", "-test.run=^(" + strings.Join(names, "|") + ")$"}
	if p.Count > 1 {
		args = append(args, "-test.count="+itoa(p.Count))
	}
	if p.Shuffle != "" {
		args = append(args, "-test.shuffle="+p.Shuffle)
	}
	return args
}

func (j *job) env(records, nonce, scratch string) []string {
	p := j.pair
	program := ""
	if p.Kata.Kind == course.Program {
		program = j.layout.programFile(filepath.Dir(j.prog.file))
	}
	return append(os.Environ(),
		envRecords+"="+records,
		envNonce+"="+nonce,
		envFiles+"="+p.Variant.Dir,
		envProgram+"="+program,
		"TMPDIR="+scratch, "TMP="+scratch, "TEMP="+scratch,
		"PWD="+p.Kata.Dir,
		// Otherwise every race-built process sleeps a second at exit.
		"GORACE=atexit_sleep_ms=0",
	)
}

// probe starts the program once without running anything: a package that does
// not let it come up must not take the others along.
func probe(ctx context.Context, prog *program, tmp string) bool {
	dir, err := os.MkdirTemp(tmp, "probe")
	if err != nil {
		return true // the jobs will say what is wrong
	}
	defer removeAll(dir)
	records := filepath.Join(dir, "records")
	if err := os.WriteFile(records, nil, 0o600); err != nil {
		return true
	}
	nonce := rand.Text()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, prog.file)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), envRecords+"="+records, envNonce+"="+nonce, envProbe+"=1")
	ownGroup(cmd)
	_ = cmd.Run()
	return len(readRecords(records, nonce)) > 0
}

// readRecords returns the events of a record file; lines without the nonce are
// somebody else's.
func readRecords(file, nonce string) []Event {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var events []Event
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != nonce {
			continue
		}
		e := Event{Kind: Kind(f[1])}
		if len(f) > 2 {
			e.Test = f[2]
		}
		e.Passed = slices.Contains(f, "passed=true")
		e.Failed = slices.Contains(f, "failed=true")
		e.Skipped = slices.Contains(f, "skipped=true")
		e.Returned = slices.Contains(f, "returned=true")
		events = append(events, e)
	}
	return events
}

// capped keeps the beginning and the end of what is written to it, and closes
// full when the limit is reached.
type capped struct {
	mu          sync.Mutex
	limit, keep int
	n           int
	head, tail  bytes.Buffer
	full        chan struct{}
}

func (c *capped) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.n
	c.n += len(p)
	rest := p
	if room := c.keep/2 - c.head.Len(); room > 0 {
		take := min(room, len(rest))
		c.head.Write(rest[:take])
		rest = rest[take:]
	}
	c.tail.Write(rest)
	if c.tail.Len() > c.keep {
		c.tail.Next(c.tail.Len() - c.keep/2)
	}
	if before <= c.limit && c.n > c.limit {
		close(c.full)
	}
	return len(p), nil
}

func (c *capped) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n <= c.head.Len()+c.tail.Len() {
		return c.head.String() + c.tail.String()
	}
	return c.head.String() + "\n… (output left out) …\n" + c.tail.String()
}

// removeAll removes a folder whatever rights a learner's program took from it.
func removeAll(dir string) {
	if os.RemoveAll(dir) == nil {
		return
	}
	_ = filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(p, 0o700)
		}
		return nil
	})
	_ = os.RemoveAll(dir)
}
