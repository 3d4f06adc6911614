// Many files.
//
//kata:zh 多个文件
package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The answer is the same, byte for byte, however the lines are spread over files and workers.
//
//kata:zh 无论日志行如何分布在文件和 worker 之间，答案逐字节相同。
func TestSameAnswerForManyFiles(t *testing.T) {
	dir := t.TempDir()
	var files []string
	var all strings.Builder
	for i := range 9 {
		var lines []string
		for j := range 16 {
			// In no file is /shared among the first ten, in all together it is the first.
			for n := range 12 {
				lines = append(lines, timed(fmt.Sprintf("/%d/%d", i, n), 100+i*i*1000+j*j))
			}
			if j < 4 {
				lines = append(lines, timed("/shared", 7_000_000*(9-i)))
			}
		}
		text := strings.Join(lines, "\n") + "\n"
		all.WriteString(text)
		if i%3 == 0 {
			text = compress(text)
		}
		path := filepath.Join(dir, fmt.Sprintf("%d.log", i))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	for _, command := range []string{"count -o json", "top -o json", "latency -o json -p 10,50,99,100"} {
		args := strings.Fields(command)
		want := run(t, all.String(), args...)
		if want.code != 0 || !strings.Contains(want.stdout, ":") {
			t.Fatalf("%s of one stream %s", command, want)
		}
		if args[0] == "top" && !strings.Contains(want.stdout, `"/shared"`) {
			t.Errorf("%s misses /shared, the most frequent path:\n%s", command, want.stdout)
		}
		for _, workers := range []string{"2", "50"} {
			got := run(t, "", append(append(slices.Clone(args), "-w", workers), files...)...)
			if got != want {
				t.Errorf("%s -w %s of nine files is not the answer for the same lines in one stream.\nGot %swant %s", command, workers, got, want)
			}
		}
	}
}

// As many files are read at the same time as there are workers.
//
//kata:zh 有多少个 worker，就同时读多少个文件。
func TestReadsFilesAtTheSameTime(t *testing.T) {
	if !posix() {
		return
	}
	a, b := newPipes(t)
	count := start(t, "count", "-o", "json", "-w", "2", a.path, b.path)
	// b is read to its end while there is nothing in a yet.
	if err := b.feed(count, line("/b")); err != nil {
		t.Fatalf("count -w 2 a b does not read b as long as nothing comes from a: %v", err)
	}
	if err := a.feed(count, line("/a")); err != nil {
		t.Errorf("count -w 2 a b does not read a: %v", err)
	}
	if got := count.result(); got.code != 0 || !strings.Contains(got.stdout, fmt.Sprint(2*piped)) {
		t.Errorf("count -w 2 of two times %d lines printed %s", piped, got)
	}
}

// Bad lines are reported in the order of the files, whichever is read first.
//
//kata:zh 无论先读完哪个文件，坏行按文件顺序报告。
func TestReportsInTheOrderOfTheFiles(t *testing.T) {
	if !posix() {
		return
	}
	a, b := newPipes(t)
	missing := a.path + ".missing"
	count := start(t, "count", "-o", "json", "-w", "2", a.path, missing, b.path)
	done := make(chan error, 1)
	go func() { done <- b.feed(count, "bad in b") }()
	select {
	case <-done:
	case <-time.After(time.Second): // so it reads a first, which is all right here
	}
	if err := a.feed(count, "bad in a"); err != nil {
		t.Errorf("count -w 2 a missing b does not read a: %v", err)
	}
	got := count.result()
	if positions, want := positions(got.stderr), []string{a.path + ":1", b.path + ":1"}; !slices.Equal(positions, want) {
		t.Errorf("count -w 2 a missing b, where a bad line in b is read before one in a: reported %q, want %q", positions, want)
	}
	if first, second, third := strings.Index(got.stderr, a.path+":1"), strings.Index(got.stderr, missing), strings.Index(got.stderr, b.path+":1"); second < first || third < second {
		t.Errorf("count -w 2 a missing b: want the message about the missing file between those about a and b; stderr:\n%s", got.stderr)
	}
}

// A file is open only while it is read.
//
//kata:zh 文件只在读取期间保持打开。
func TestOpensOnlyWhatItReads(t *testing.T) {
	if !posix() {
		return
	}
	dir := t.TempDir()
	var files []string
	for i := range 80 {
		files = append(files, write(t, dir, fmt.Sprintf("%d.log", i), line("/")))
	}
	args := append([]string{"count", "-o", "json", "-w", "4"}, files...)
	got := runCommand(t, args, nil, nil, "sh", append([]string{"-c", `ulimit -n 40; exec "$0" "$@"`, program(t)}, args...)...)
	if got.code != 0 || !strings.Contains(got.stdout, "80") {
		t.Errorf("count -w 4 of 80 files, where 40 may be open at once, printed %s", got)
	}
}

// A file that cannot be read is reported and does not keep the others from being counted.
//
//kata:zh 读不了的文件会被报告，且不影响统计其他文件。
func TestOneUnreadableFileStopsNoOther(t *testing.T) {
	dir := t.TempDir()
	good := write(t, dir, "good.log", line("/1"), line("/2"))
	more := write(t, dir, "more.log", line("/3"))
	zipped := compress(strings.Repeat(line("/z")+"\n", 1000))
	cut := filepath.Join(dir, "cut.gz")
	if err := os.WriteFile(cut, []byte(zipped[:len(zipped)-9]), 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(dir, "damaged.gz") // its checksum is wrong
	if err := os.WriteFile(damaged, []byte(zipped[:len(zipped)-8]+"\x00\x00\x00\x00"+zipped[len(zipped)-4:]), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing.log")
	for workers, unreadables := range map[string][]string{"1": {missing, dir, cut, damaged}, "3": {missing}} {
		for _, unreadable := range unreadables {
			args := []string{"top", "-o", "json", "-w", workers, good, unreadable, more}
			got := run(t, "", args...)
			for _, path := range []string{"/1", "/2", "/3"} {
				if !strings.Contains(got.stdout, `"`+path+`"`) {
					t.Errorf("%s does not list %s, which is in a readable file %s", commandLine(args), path, got)
				}
			}
			if (unreadable == cut || unreadable == damaged) && !strings.Contains(got.stdout, `"/z"`) {
				t.Errorf("%s does not list /z, which stands before the fault %s", commandLine(args), got)
			}
			if got.code != 1 || !strings.Contains(got.stderr, unreadable) {
				t.Errorf("%s: want exit code 1 and a message that names %s, got %s", commandLine(args), filepath.Base(unreadable), got)
			}
		}
	}
}

// —— helpers ——

// piped is how many lines a pipe is fed.
const piped = 2500

// pipe is a named pipe: the test decides when its reader gets on.
type pipe struct {
	path string
	f    *os.File
}

// newPipes makes two.
func newPipes(t *testing.T) (a, b *pipe) {
	t.Helper()
	dir := t.TempDir()
	a, b = &pipe{path: filepath.Join(dir, "a")}, &pipe{path: filepath.Join(dir, "b")}
	if out, err := exec.Command("mkfifo", a.path, b.path).CombinedOutput(); err != nil {
		t.Fatalf("mkfifo: %v: %s", err, out)
	}
	for _, p := range []*pipe{a, b} {
		f, err := os.OpenFile(p.path, os.O_RDWR, 0) // so that opening blocks nobody
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		p.f = f
	}
	return a, b
}

// feed writes first and then so many more good lines that a pipe holds only some of them, and closes it: when it
// returns, r has read the first.
func (p *pipe) feed(r *running, first string) error {
	p.f.SetWriteDeadline(time.Now().Add(bounded))
	stop := context.AfterFunc(r.ended, func() { p.f.SetWriteDeadline(time.Now()) })
	defer stop()
	_, err := p.f.WriteString(first + "\n" + strings.Repeat(line("/")+"\n", piped-1))
	if err != nil && r.ended.Err() != nil {
		err = fmt.Errorf("it ended %s", r.result())
	}
	return errors.Join(err, p.f.Close())
}

// running is the program, running beside the test.
type running struct {
	cmd       *exec.Cmd
	out, errs bytes.Buffer
	ended     context.Context // is done once the program is
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	ended, end := context.WithCancel(context.Background())
	r := &running{cmd: exec.Command(program(t), args...), ended: ended}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.errs
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer end()
		timer := time.AfterFunc(2*patience, func() { r.cmd.Process.Kill() })
		defer timer.Stop()
		r.cmd.Wait()
	}()
	t.Cleanup(func() {
		r.cmd.Process.Kill()
		<-ended.Done()
	})
	return r
}

// result waits for the end.
func (r *running) result() result {
	<-r.ended.Done()
	return result{r.out.String(), r.errs.String(), r.cmd.ProcessState.ExitCode()}
}
