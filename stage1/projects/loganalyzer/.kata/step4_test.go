// Follow.
//
//kata:zh 跟踪
package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What is in the file comes first, and what is appended comes as soon as it is there.
//
//kata:zh 先输出文件中已有的内容，追加的内容一到即输出。
func TestFollowsAppends(t *testing.T) {
	log := write(t, t.TempDir(), "access.log", line("/1"), "bad", line("/2"))
	f := follow(t, log)
	f.expect("/1", "/2")
	for i := 3; i < 6; i++ {
		path := fmt.Sprintf("/%d", i)
		appendTo(t, log, line(path)+"\n")
		f.expect(path)
	}

	// Much at once: more than any buffer holds.
	var many []string
	var text strings.Builder
	agent := strings.Repeat("A", 3000)
	for i := range 200 {
		many = append(many, fmt.Sprintf("/many/%d", i))
		text.WriteString(combined(many[i], agent) + "\n")
	}
	appendTo(t, log, text.String())
	f.expect(many...)

	// A line that is too long is a bad one here, too.
	appendTo(t, log, combined("/long", strings.Repeat("A", 1<<20))+"\n"+line("/next")+"\n")
	f.expect("/next")
	f.expectReports(":2", ":207")
}

// A line that is written in pieces is read as one.
//
//kata:zh 分几次写入的一行按一行读取。
func TestFollowWaitsForTheRestOfALine(t *testing.T) {
	log := write(t, t.TempDir(), "access.log", line("/1"))
	f := follow(t, log)
	f.expect("/1")
	// The second piece ends where the line could, but amid its size.
	for _, piece := range []string{`203.0.113.7 - - [10/Oct/2025`, `:13:55:36 +0000] "GET /in-pieces HTTP/1.1" 200 1`, `0 "-" "test"`, "\n"} {
		size := appendTo(t, log, piece)
		f.awaitRead(log, size)
	}
	f.expect("/in-pieces")
	appendTo(t, log, line("/3")+"\n")
	f.expect("/3")
	f.expectReports()
}

// When the file is renamed and a new one appears, the old one is read to its end, then the new one from its start.
//
//kata:zh 文件被改名并出现新文件时，先读完旧文件，再从头读新文件。
func TestFollowsRotation(t *testing.T) {
	dir := t.TempDir()
	log := write(t, dir, "access.log", line("/start"))
	f := follow(t, log)
	f.expect("/start")
	for i := range 2 {
		// All at once, as far as the program can see.
		f.stop()
		appendTo(t, log, line(fmt.Sprintf("/old-%d", i))+"\n")
		rename(t, log, filepath.Join(dir, fmt.Sprintf("access.log.%d", i)))
		write(t, dir, "access.log", line(fmt.Sprintf("/new-%d", i)))
		f.cont()
		f.expect(fmt.Sprintf("/old-%d", i), fmt.Sprintf("/new-%d", i))
	}

	// For a while there is no new one, and the server still writes to the old one, at last without a newline.
	old := filepath.Join(dir, "access.log.old")
	rename(t, log, old)
	appendTo(t, old, line("/late")+"\n")
	f.expect("/late")
	appendTo(t, old, line("/last"))
	write(t, dir, "access.log", line("/fresh"))
	f.expect("/last", "/fresh")
	f.expectReports()
}

// When the file is truncated in place, reading starts over at its start.
//
//kata:zh 文件被原地截断后，从头开始读。
func TestFollowsTruncation(t *testing.T) {
	log := write(t, t.TempDir(), "access.log", line("/1"), line("/2"))
	f := follow(t, log)
	f.expect("/1", "/2")
	for i := range 2 {
		// The truncation comes amid a line, whose other half nobody will see.
		appendTo(t, log, line("/3")+"\n"+line("/half")[:40])
		f.expect("/3")
		// All at once, as far as the program can see.
		f.stop()
		if err := os.Truncate(log, 0); err != nil { // as copytruncate does
			t.Fatal(err)
		}
		appendTo(t, log, line(fmt.Sprintf("/after-%d", i))+"\nbad\n"+line("/more")+"\n")
		f.cont()
		f.expect(fmt.Sprintf("/after-%d", i), "/more")
		appendTo(t, log, line("/and-more")+"\n")
		f.expect("/and-more")
	}
	f.expectReports(":2", ":2")
}

// A file that is not there yet is waited for.
//
//kata:zh 文件还不存在时等待它出现。
func TestFollowWaitsForTheFile(t *testing.T) {
	dir := t.TempDir()
	f := follow(t, filepath.Join(dir, "access.log"))
	select {
	case <-f.ended:
		t.Fatalf("follow of a file that is not there yet ended with %v\n%s", f.cmd.ProcessState, indent("stderr", f.stderr.String()))
	case <-time.After(200 * time.Millisecond): // time to find nothing; too short does no harm
	}
	write(t, dir, "access.log", line("/1"))
	f.expect("/1")
	f.expectReports()
}

// Lines are numbered from the start of the file that they are in.
//
//kata:zh 行号从所在文件的开头算起。
func TestFollowNumbersEachFileAnew(t *testing.T) {
	dir := t.TempDir()
	log := write(t, dir, "access.log", line("/1"), line("/2"), "bad", line("/4"))
	f := follow(t, log)
	f.expect("/1", "/2", "/4")
	rename(t, log, log+".1")
	write(t, dir, "access.log", line("/1"), "bad", line("/3"))
	f.expect("/1", "/3")
	f.expectReports(":3", ":2")
}

// On SIGINT or SIGTERM what has been written so far is printed, and the exit code is 0.
//
//kata:zh 收到 SIGINT 或 SIGTERM 时打印此前写入的内容，并以 0 退出。
func TestFollowStopsOnASignal(t *testing.T) {
	if !posix() {
		return
	}
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		log := write(t, t.TempDir(), "access.log", line("/1"))
		f := followEach(t, log, 500*time.Millisecond) // it is the signal that makes it look
		f.expect("/1")
		f.stop()
		appendTo(t, log, line("/2")+"\n"+line("/half")[:40])
		if err := f.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		f.cont()
		f.expect("/2")
		select {
		case <-f.ended:
		case <-time.After(bounded):
			t.Fatalf("follow does not end on %v", sig)
		}
		if code := f.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("follow ended on %v with %v, want exit code 0", sig, f.cmd.ProcessState)
		}
		for more := range f.lines {
			t.Errorf("after %v follow still printed %s", sig, more)
		}
		f.expectReports()
	}
}

// An interrupt ends the other commands at once: they print no half of an answer.
//
//kata:zh 中断会立即结束其他命令，不打印半截答案。
func TestInterruptEndsTheOtherCommands(t *testing.T) {
	if !posix() {
		return
	}
	for _, command := range []string{"count", "top", "latency"} {
		cmd := exec.Command(program(t), command, "-o", "json")
		var out bytes.Buffer
		cmd.Stdout = &out
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Far more than a pipe holds: when it is written, the program is reading.
		if _, err := io.WriteString(stdin, strings.Repeat(line("/")+"\n", 2000)); err != nil {
			t.Errorf("%s does not read its stdin: %v", command, err)
		}
		cmd.Process.Signal(os.Interrupt)
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case <-ended:
		case <-time.After(bounded):
			cmd.Process.Kill()
			<-ended
			t.Fatalf("%s, waiting for more input, does not end on an interrupt", command)
		}
		stdin.Close()
		if out.Len() > 0 || cmd.ProcessState.ExitCode() == 0 {
			t.Errorf("%s, interrupted, ended with %v and printed %q; want no answer and no exit code 0", command, cmd.ProcessState, out.String())
		}
	}
}

// —— helpers ——

// bounded is how long a test waits for what a wrong program never does.
const bounded = 3 * time.Second

// follower is the program, following a file.
type follower struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  chan string   // what it prints; closed at its end
	ended  chan struct{} // closed once it has ended and all is in lines
	stderr *lockedBuffer
}

func follow(t *testing.T, path string) *follower {
	t.Helper()
	return followEach(t, path, 5*time.Millisecond)
}

func followEach(t *testing.T, path string, poll time.Duration) *follower {
	t.Helper()
	f := &follower{
		t: t, lines: make(chan string, 1000), ended: make(chan struct{}), stderr: &lockedBuffer{},
		cmd: exec.Command(program(t), "follow", path, "--poll", poll.String()),
	}
	f.cmd.Stderr = f.stderr
	stdout, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(f.ended)
		scanner := bufio.NewScanner(stdout)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			f.lines <- scanner.Text()
		}
		f.cmd.Wait()
		close(f.lines)
	}()
	t.Cleanup(func() {
		f.cmd.Process.Kill()
		<-f.ended
	})
	return f
}

// expect waits for the records of paths, and no others before them.
func (f *follower) expect(want ...string) {
	f.t.Helper()
	for i, path := range want {
		select {
		case text, ok := <-f.lines:
			if !ok {
				f.t.Fatalf("follow ended (%v), want a record of %s\n%s", f.cmd.ProcessState, path, indent("stderr", f.stderr.String()))
			}
			if got := paths(f.t, text); len(got) != 1 || got[0] != path {
				f.t.Fatalf("follow printed %s, want a record of %s\n%s", text, path, indent("stderr", f.stderr.String()))
			}
		case <-time.After(bounded):
			f.t.Fatalf("follow does not print %s, the last of %d lines\n%s", path, i+1, indent("stderr", f.stderr.String()))
		}
	}
}

// expectReports ends the program and checks which lines it reported as bad, by the ends of their positions.
func (f *follower) expectReports(want ...string) {
	f.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(bounded); len(positions(f.stderr.String())) < len(want) && time.Now().Before(deadline); {
		<-tick.C
	}
	f.cmd.Process.Kill()
	<-f.ended
	got := positions(f.stderr.String())
	ok := len(got) == len(want)
	for i := range want {
		ok = ok && strings.HasSuffix(got[i], want[i])
	}
	if !ok {
		f.t.Errorf("bad lines were reported at %q, want %q; stderr:\n%s", got, want, f.stderr.String())
	}
}

// stop stops the program until cont lets it go on.
func (f *follower) stop() {
	f.t.Helper()
	f.signal(19, 17)
}

func (f *follower) cont() {
	f.t.Helper()
	f.signal(18, 19)
}

// signal sends the signal of a number, which is one on Linux and another on the other systems; syscall does not
// have these two by name on every system.
func (f *follower) signal(linux, others syscall.Signal) {
	f.t.Helper()
	if !posix() {
		return
	}
	sig := others
	if runtime.GOOS == "linux" {
		sig = linux
	}
	if err := f.cmd.Process.Signal(sig); err != nil {
		f.t.Fatalf("cannot send %v to the program: %v", sig, err)
	}
}

// awaitRead gives the program time to read a file up to size, where one can see how far it is. It may take longer:
// that makes the test weaker, not wrong.
func (f *follower) awaitRead(path string, size int64) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 40 {
		dir := fmt.Sprintf("/proc/%d/", f.cmd.Process.Pid)
		fds, _ := os.ReadDir(dir + "fd")
		for _, fd := range fds {
			if name, _ := os.Readlink(dir + "fd/" + fd.Name()); name == path {
				info, _ := os.ReadFile(dir + "fdinfo/" + fd.Name())
				if strings.HasPrefix(string(info), fmt.Sprintf("pos:\t%d\n", size)) {
					return
				}
			}
		}
		<-tick.C
	}
}

// appendTo appends text to a file and returns its new size.
func appendTo(t *testing.T, path, text string) int64 {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// lockedBuffer may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
