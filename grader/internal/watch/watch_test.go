package watch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
)

func TestASaveChecksThatKataOnly(t *testing.T) {
	inBubble(t, func(d *desk) {
		d.save("b")
		d.sees("checking one/t/b", "failed one/t/b")
	})
}

func TestPassingMovesOn(t *testing.T) {
	inBubble(t, func(d *desk) {
		d.passing = map[string]bool{"one/t/a": true}
		d.save("a")
		d.sees("checking one/t/a", "passed one/t/a", "on to one/t/b", "checking one/t/b", "failed one/t/b")
		d.passing["one/t/c"] = true
		d.save("c")
		d.sees("checking one/t/c", "passed one/t/c", "on to one/t/b", "checking one/t/b", "failed one/t/b")
		d.passing["one/t/b"] = true
		d.save("b")
		d.sees("checking one/t/b", "passed one/t/b", "all passed")
	})
}

func TestAnEndlessLoopIsGivenUpOnTheNextSave(t *testing.T) {
	inBubble(t, func(d *desk) {
		d.endless = true
		d.save("a")
		d.sees("checking one/t/a")
		d.endless = false
		d.save("a")
		d.sees("gave up one/t/a", "checking one/t/a", "failed one/t/a")
		d.endless = true
		d.save("a")
		d.endless = false
		d.save("b") // another kata: its verdict does not wait either
		d.sees("checking one/t/a", "gave up one/t/a", "checking one/t/b", "failed one/t/b")
	})
}

func TestABurstOfEventsIsOneCheck(t *testing.T) {
	inBubble(t, func(d *desk) {
		for range 20 {
			d.write("a", d.text())
			d.source.wake()
			time.Sleep(debounce / 4)
		}
		d.settled()
		d.sees("checking one/t/a", "failed one/t/a")
	})
}

func TestEndlessEventsDoNotPutTheCheckOffForEver(t *testing.T) {
	inBubble(t, func(d *desk) {
		d.write("a", d.text())
		for range 5 * int(patience/debounce) {
			d.source.wake()
			time.Sleep(debounce / 2)
		}
		synctest.Wait()
		d.saw("checking one/t/a")
	})
}

func TestWhatEditorsLeaveIsNoSave(t *testing.T) {
	inBubble(t, func(d *desk) {
		for _, name := range []string{"4913", "a.go~", ".a.go.swp", ".#a.go", "#a.go#", "a.go___jb_tmp___", "a.go.bck", "a.test", "cpu.prof", ".kata/solution/a.go"} {
			d.must(os.MkdirAll(filepath.Dir(d.file("a", name)), 0o777))
			d.must(os.WriteFile(d.file("a", name), []byte("noise"), 0o666))
			d.source.wake()
		}
		d.settled()
		d.sees()
	})
}

func TestAnAtomicSaveIsOneCheck(t *testing.T) {
	inBubble(t, func(d *desk) {
		// vim with backups: the file moves away, a new one takes its place.
		d.must(os.Rename(d.file("a", "a.go"), d.file("a", "a.go~")))
		d.source.wake()
		time.Sleep(debounce + debounce/2) // the watch has looked once by then
		d.write("a", d.text())
		d.must(os.Remove(d.file("a", "a.go~")))
		d.source.wake()
		d.settled()
		d.sees("checking one/t/a", "failed one/t/a")
		// Others write beside and rename over.
		d.must(os.WriteFile(d.file("a", ".a.go.tmp"), []byte(d.text()), 0o666))
		d.must(os.Rename(d.file("a", ".a.go.tmp"), d.file("a", "a.go")))
		d.source.wake()
		d.settled()
		d.sees("checking one/t/a", "failed one/t/a")
	})
}

func TestAFileThatVanishesAndComesBack(t *testing.T) {
	inBubble(t, func(d *desk) {
		d.must(os.Remove(d.file("a", "a.go")))
		d.source.wake()
		d.settled()
		d.sees("checking one/t/a", "failed one/t/a") // the verdict says that it is missing
		d.save("a")
		d.sees("checking one/t/a", "failed one/t/a")
		d.must(os.Rename(d.file("a", ""), d.file("elsewhere", "")))
		d.source.wake()
		d.settled()
		d.must(os.Rename(d.file("elsewhere", ""), d.file("a", "")))
		d.source.wake()
		d.settled()
		d.sees("checking one/t/a", "failed one/t/a", "checking one/t/a", "failed one/t/a")
	})
}

func TestSeveralKatasSavedAtOnce(t *testing.T) {
	inBubble(t, func(d *desk) {
		d.write("a", d.text())
		d.save("c")
		d.sees("checking one/t/a one/t/c", "failed one/t/a one/t/c")
	})
}

func TestASaveWithoutAChangeIsCheckedToo(t *testing.T) {
	inBubble(t, func(d *desk) {
		later := time.Now().Add(time.Hour)
		d.must(os.Chtimes(d.file("a", "a.go"), later, later))
		d.source.wake()
		d.settled()
		d.sees("checking one/t/a", "failed one/t/a")
	})
}

func TestTwoSavesWithinOneTickOfTheFileSystemsClock(t *testing.T) {
	inBubble(t, func(d *desk) {
		now := time.Now()
		d.write("a", "package a // 1\n")
		d.must(os.Chtimes(d.file("a", "a.go"), now, now))
		d.source.wake()
		d.settled()
		d.sees("checking one/t/a", "failed one/t/a")
		d.write("a", "package a // 2\n")
		d.must(os.Chtimes(d.file("a", "a.go"), now, now))
		d.source.wake()
		d.settled()
		d.sees("checking one/t/a", "failed one/t/a")
	})
}

func TestNewFilesAndFolders(t *testing.T) {
	inBubble(t, func(d *desk) {
		sub := filepath.Join(d.dir, "one", "t", "a", "sub")
		d.must(os.Mkdir(sub, 0o777))
		d.must(os.WriteFile(filepath.Join(sub, "sub.go"), []byte("package sub\n"), 0o666))
		d.source.wake()
		d.settled()
		d.sees("checking one/t/a", "failed one/t/a")
		if !slices.Contains(d.source.followed(), sub) {
			t.Errorf("the new folder is not followed: %q", d.source.followed())
		}
	})
}

func TestAFailingCheckDoesNotEndTheWatch(t *testing.T) {
	inBubble(t, func(d *desk) {
		d.err = errors.New("no go command")
		d.save("a")
		d.sees("checking one/t/a", "error no go command")
		d.err = nil
		d.save("a")
		d.sees("checking one/t/a", "failed one/t/a")
	})
}

func TestKeys(t *testing.T) {
	inBubble(t, func(d *desk) {
		for _, k := range []Key{Again, Next, Hint} {
			d.keys <- k
			synctest.Wait()
		}
		d.sees("checking one/t/a", "failed one/t/a", "on to one/t/b", "checking one/t/b", "failed one/t/b", "hint one/t/b")
		d.keys <- Quit
		synctest.Wait()
		if !d.ended {
			t.Error("Run goes on after Quit")
		}
	})
	var got []Key
	keys := Keys(t.Context(), strings.NewReader("n\nwhat?\nH\n\nq\n"))
	for range 4 {
		got = append(got, <-keys)
	}
	if want := []Key{Next, Hint, Again, Quit}; !slices.Equal(got, want) {
		t.Errorf("Keys = %v, want %v", got, want)
	}
}

func TestRunLeavesNoCheckBehind(t *testing.T) {
	inBubble(t, func(d *desk) {
		d.endless = true
		d.save("a")
		d.cancel()
		synctest.Wait()
		if !d.ended {
			t.Error("Run goes on after its context")
		}
		d.sees("checking one/t/a", "gave up one/t/a")
	})
}

func TestPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, Poll(pollEvery))
		d.sees("checking one/t/a", "failed one/t/a")
		d.write("b", d.text())
		time.Sleep(pollEvery + 2*debounce)
		synctest.Wait()
		d.sees("checking one/t/b", "failed one/t/b")
		d.close()
	})
}

// The rest of the file looks at the real file system with its real events.

func TestNotifications(t *testing.T) {
	n, err := notify()
	if err != nil {
		t.Skipf("this file system does not notify: %v", err)
	}
	n.ticker.Stop() // no glances: the events alone must do
	d := newDesk(t, n)
	d.waitFor("failed one/t/a")
	a := d.file("a", "a.go")
	saves := map[string]func(){
		"truncate and write": func() { d.write("a", d.text()) },
		"write and rename": func() {
			d.must(os.WriteFile(d.file("a", "4913"), []byte(d.text()), 0o666))
			d.must(os.Rename(d.file("a", "4913"), a))
		},
		"rename away and write": func() {
			d.must(os.Rename(a, a+"~"))
			d.write("a", d.text())
		},
		"the folder is replaced": func() {
			d.must(os.Rename(d.file("a", ""), d.file("old", "")))
			d.must(os.CopyFS(d.file("a", ""), os.DirFS(d.file("old", ""))))
			d.must(os.RemoveAll(d.file("old", "")))
			d.write("a", d.text())
		},
		"a new folder": func() {
			d.must(os.MkdirAll(d.file("a", "sub"), 0o777))
			d.must(os.WriteFile(d.file("a", "sub/sub.go"), []byte(d.text()), 0o666))
		},
	}
	for _, name := range []string{"truncate and write", "write and rename", "rename away and write", "the folder is replaced", "truncate and write", "a new folder", "write and rename"} {
		saves[name]()
		if !d.waitFor("failed one/t/a") {
			t.Errorf("%s: no check followed", name)
		}
	}
	d.close()
}

func TestOpenHoldsToTheEnvironment(t *testing.T) {
	t.Setenv(PollEnv, "poll")
	s, note := Open(t.TempDir())
	defer s.Close()
	if _, ok := s.(*poller); !ok || note == "" {
		t.Errorf("Open with %s=poll = %T, %q; want a poller and the reason", PollEnv, s, note)
	}
}

// desk is a learner's place: a workspace of three katas, watched.
type desk struct {
	*testing.T
	dir    string
	source *fakeSource
	keys   chan Key
	cancel context.CancelFunc
	ended  bool
	done   chan struct{}

	passing map[string]bool
	endless bool
	err     error
	saves   int

	mu   sync.Mutex
	said []string
	news chan struct{}
}

func inBubble(t *testing.T, f func(d *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil)
		d.sees("checking one/t/a", "failed one/t/a")
		f(d)
		d.close()
	})
}

func newDesk(t *testing.T, s Source) *desk {
	t.Helper()
	d := &desk{T: t, dir: workspace(t), keys: make(chan Key), done: make(chan struct{}), news: make(chan struct{}, 100)}
	if s == nil {
		d.source = &fakeSource{changed: make(chan struct{}, 1)}
		s = d.source
	}
	c, err := course.Load(d.dir)
	d.must(err)
	d.dir = c.Root
	ctx, cancel := context.WithCancel(t.Context())
	d.cancel = cancel
	go func() {
		defer close(d.done)
		if err := Run(ctx, Options{Katas: c.Katas(), Check: d.check, View: d, Source: s, Keys: d.keys, Hint: d.hint}); err != nil {
			t.Errorf("Run: %v", err)
		}
		d.ended = true
		_ = s.Close()
	}()
	if d.source != nil {
		synctest.Wait()
	} else if _, polls := s.(*poller); polls {
		synctest.Wait()
	}
	return d
}

func (d *desk) close() {
	d.cancel()
	<-d.done
}

// check stands for the grader: it fails what is not passing.
func (d *desk) check(ctx context.Context, katas []*course.Kata) ([]grade.Kata, error) {
	if d.endless {
		<-ctx.Done()
		d.say("gave up " + paths(katas))
		return nil, ctx.Err()
	}
	var out []grade.Kata
	for _, k := range katas {
		v := grade.Kata{Path: k.Path, Status: grade.Failed}
		if d.passing[k.Path] {
			v.Status = grade.Passed
		}
		out = append(out, v)
	}
	return out, d.err
}

func (d *desk) hint(_ context.Context, k *course.Kata) error {
	d.say("hint " + k.Path)
	return nil
}

func (d *desk) Checking(katas []*course.Kata) { d.say("checking " + paths(katas)) }
func (d *desk) MovedOn(k *course.Kata)        { d.say("on to " + k.Path) }
func (d *desk) AllPassed()                    { d.say("all passed") }
func (d *desk) Failed(err error)              { d.say("error " + err.Error()) }

func (d *desk) Verdicts(verdicts []grade.Kata) {
	var names []string
	for _, v := range verdicts {
		names = append(names, v.Path)
	}
	d.say(string(verdicts[0].Status) + " " + strings.Join(names, " "))
}

func (d *desk) say(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.said = append(d.said, s)
	select {
	case d.news <- struct{}{}:
	default:
	}
}

// sees compares everything said since the last call. Whether an abandoned check
// or the announcement of the next is heard first is open.
func (d *desk) sees(want ...string) {
	d.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	got := slices.Clone(d.said)
	d.said = nil
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		d.Errorf("the watch said\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// saw asks that something has been said at least.
func (d *desk) saw(want string) {
	d.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.said, want) {
		d.Errorf("the watch said\n\t%s\nwant among it\n\t%s", strings.Join(d.said, "\n\t"), want)
	}
	d.said = nil
}

// waitFor waits until something is said, and forgets what came before.
func (d *desk) waitFor(what string) bool {
	limit := time.After(10 * time.Second)
	for {
		d.mu.Lock()
		i := slices.Index(d.said, what)
		if i >= 0 {
			d.said = nil
		}
		d.mu.Unlock()
		if i >= 0 {
			return true
		}
		select {
		case <-d.news:
		case <-limit:
			return false
		}
	}
}

func (d *desk) file(kata, name string) string { return filepath.Join(d.dir, "one", "t", kata, name) }

func (d *desk) text() string {
	d.saves++
	return "package p\n" + strings.Repeat("// a line\n", d.saves)
}

func (d *desk) write(kata, text string) {
	d.Helper()
	d.must(os.WriteFile(d.file(kata, kata+".go"), []byte(text), 0o666))
}

// save writes a kata's file and waits until the watch has dealt with it.
func (d *desk) save(kata string) {
	d.Helper()
	d.write(kata, d.text())
	d.source.wake()
	d.settled()
}

func (d *desk) settled() {
	time.Sleep(2 * patience)
	synctest.Wait()
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func paths(katas []*course.Kata) string {
	var out []string
	for _, k := range katas {
		out = append(out, k.Path)
	}
	return strings.Join(out, " ")
}

// fakeSource wakes when a test says so.
type fakeSource struct {
	changed chan struct{}
	mu      sync.Mutex
	dirs    []string
}

func (s *fakeSource) Changed() <-chan struct{} { return s.changed }
func (s *fakeSource) Close() error             { return nil }

func (s *fakeSource) Follow(dirs []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirs = dirs
}

func (s *fakeSource) followed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dirs
}

func (s *fakeSource) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func workspace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"one/go.mod": "module example.com/one\n\ngo 1.26.0\n",
		"one/roadmap.yaml": `title: {en: One, zh: 一}
goal: {en: Goal, zh: 目标}
topics:
  - id: t
    title: {en: T, zh: 题}
    items:
      - {id: i, title: {en: I, zh: 条目}, katas: [t/a, t/b, t/c]}
`,
	}
	for _, k := range []string{"a", "b", "c"} {
		stub := "package " + k + "\n"
		files["one/t/"+k+"/"+k+".go"] = stub
		files["one/t/"+k+"/.kata/stub/"+k+".go"] = stub
		files["one/t/"+k+"/.kata/intents_test.go"] = "package " + k + "_test\n"
	}
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
