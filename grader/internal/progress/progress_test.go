package progress

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roadkata/roadkata/grader/internal/grade"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 123, time.UTC)

func verdict(path string, s grade.Status, unchecked ...string) grade.Kata {
	return grade.Kata{Path: path, Status: s, Unchecked: unchecked}
}

func update(t *testing.T, s *Store, change func(*State)) {
	t.Helper()
	if err := s.Update(change); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func load(t *testing.T, s *Store) *State {
	t.Helper()
	st, err := s.Load()
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return st
}

func write(t *testing.T, s *Store, text string) {
	t.Helper()
	if err := os.MkdirAll(s.Dir(), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.file(), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestLoadTouchesNothing(t *testing.T) {
	s := At(t.TempDir())
	load(t, s)
	if _, err := os.Stat(s.Dir()); !os.IsNotExist(err) {
		t.Errorf("after Load of nothing, Stat(%s) = %v, want not to exist", s.Dir(), err)
	}
}

func TestPassedAtStays(t *testing.T) {
	s := At(t.TempDir())
	update(t, s, func(st *State) { st.Record(verdict("a/b/c", grade.Passed, "race"), noon) })
	if k := load(t, s).Kata("a/b/c"); k.Status != grade.Passed || len(k.Unchecked) != 1 || !k.PassedAt.Equal(noon.Truncate(time.Second)) {
		t.Fatalf("after a pass: %+v", k)
	}
	update(t, s, func(st *State) { st.Record(verdict("a/b/c", grade.Failed), noon.Add(time.Hour)) })
	update(t, s, func(st *State) { st.Record(verdict("a/b/c", grade.Passed), noon.Add(2*time.Hour)) })
	k := load(t, s).Kata("a/b/c")
	if !k.PassedAt.Equal(noon.Truncate(time.Second)) || !k.CheckedAt.Equal(noon.Add(2*time.Hour).Truncate(time.Second)) || k.Unchecked != nil {
		t.Errorf("after pass, fail, pass: %+v, want the first pass kept and the last check's time", k)
	}
	update(t, s, func(st *State) { st.Restarted("a/b/c", noon) })
	if k := load(t, s).Kata("a/b/c"); k.Status != grade.Untouched || k.PassedAt.IsZero() {
		t.Errorf("after Restarted: %+v, want untouched with passed_at kept", k)
	}
}

func TestWhatLeavesNoTrace(t *testing.T) {
	st := &State{}
	st.Record(verdict("a", grade.Broken), noon)
	st.Record(verdict("b", grade.Untouched), noon)
	st.Restarted("c", noon)
	if len(st.katas) != 0 {
		t.Errorf("broken, untouched and a reset of an unknown kata left %v, want nothing", st.katas)
	}
}

func TestHintsOnlyGrow(t *testing.T) {
	st := &State{}
	st.TakeHints("a", 2)
	st.TakeHints("a", 1)
	if n := st.Kata("a").Hints; n != 2 {
		t.Errorf("TakeHints(2), TakeHints(1): %d hints, want 2", n)
	}
}

func TestUnknownFieldsAreKept(t *testing.T) {
	s := At(t.TempDir())
	write(t, s, `{"schema":"roadkata.progress/v9","streak":{"days":7},"katas":{"a":{"status":"failed","mood":"grim","hints":"many"}}}`)
	update(t, s, func(st *State) { st.Record(verdict("a", grade.Passed), noon) })
	data, err := os.ReadFile(s.file())
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Schema string
		Streak struct{ Days int }
		Katas  map[string]map[string]any
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got.Schema != "roadkata.progress/v9" || got.Streak.Days != 7 || got.Katas["a"]["mood"] != "grim" || got.Katas["a"]["hints"] != "many" || got.Katas["a"]["status"] != "passed" {
		t.Errorf("after an update by this version the file holds\n%s\nwant the unknown fields and the later schema kept", data)
	}
}

func TestNewerFormIsLeftAlone(t *testing.T) {
	s := At(t.TempDir())
	text := `{"schema":"roadkata.progress/v2","katas":[{"path":"a"}]}`
	write(t, s, text)
	err := s.Update(func(st *State) { st.Record(verdict("a", grade.Passed), noon) })
	var newer *NewerError
	if !errors.As(err, &newer) {
		t.Errorf("Update of a newer form: %v, want a NewerError", err)
	}
	if data, _ := os.ReadFile(s.file()); string(data) != text {
		t.Errorf("the newer file was changed to %s", data)
	}
}

func TestDamagedIsKeptAndSaved(t *testing.T) {
	whole := `{"schema":"roadkata.progress/v1","katas":{"a":{"status":"passed","passed_at":"2026-01-02T12:00:00Z"},"b":{"hints":3},"c":{"status":"failed"}}}`
	for _, c := range []struct {
		name, text string
		saved      []string
	}{
		{"cut off", whole[:len(whole)-12], []string{"a", "b"}},
		{"merge conflict", strings.Replace(whole, `"c":`, "<<<<<<< HEAD\n\"c\":", 1), []string{"a", "b"}},
		{"one bad entry", strings.Replace(whole, `{"hints":3}`, `7`, 1), []string{"a", "c"}},
		{"empty", "", nil},
		{"null", "null", nil},
		{"a list", "[]", nil},
		{"katas is a list", `{"schema":"roadkata.progress/v1","katas":[]}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := At(t.TempDir())
			write(t, s, c.text)
			st, err := s.Load()
			var damaged *DamagedError
			if !errors.As(err, &damaged) {
				t.Fatalf("Load: %v, want a DamagedError", err)
			}
			for _, p := range c.saved {
				if _, ok := st.katas[p]; !ok {
					t.Errorf("Load lost %s; saved %v", p, st.katas)
				}
			}
			if damaged.Saved != len(c.saved) {
				t.Errorf("DamagedError.Saved = %d, want %d", damaged.Saved, len(c.saved))
			}
			if data, _ := os.ReadFile(damaged.Kept); string(data) != c.text || !strings.HasSuffix(damaged.Kept, ".damaged") {
				t.Errorf("%s holds %q, want the damaged text", damaged.Kept, data)
			}
			if again := load(t, s); len(again.katas) != len(c.saved) {
				t.Errorf("the second Load found %d entries, want %d and no warning", len(again.katas), len(c.saved))
			}
		})
	}
}

func TestSecondDamageGetsANameOfItsOwn(t *testing.T) {
	s := At(t.TempDir())
	kept := map[string]bool{}
	for i := range 3 {
		write(t, s, fmt.Sprint("{ broken", i))
		_, err := s.Load()
		var damaged *DamagedError
		if !errors.As(err, &damaged) {
			t.Fatalf("Load %d: %v, want a DamagedError", i, err)
		}
		kept[damaged.Kept] = true
	}
	if len(kept) != 3 {
		t.Errorf("three damaged files were kept as %v, want three names", kept)
	}
}

func TestReadOnly(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o555); err != nil {
		t.Fatal(err)
	}
	if err := At(root).Update(func(st *State) { st.TakeHints("a", 1) }); err == nil {
		t.Error("Update on a read-only disk: nil, want a warning")
	}
}

// A file where the folder should be is refused for root, too.
func TestCannotKeep(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, DirName), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	called := false
	err := At(root).Update(func(*State) { called = true })
	if err == nil || !called {
		t.Errorf("Update where .grader is a file: err %v, change called %t; want a warning and the call", err, called)
	}
}

// Graders in one process and in several lose nothing of each other's.
func TestSeveralGraders(t *testing.T) {
	const procs, each = 3, 8
	if root := os.Getenv("PROGRESS_TEST_ROOT"); root != "" {
		addKatas(At(root), os.Getenv("PROGRESS_TEST_NAME"), each)
		return
	}
	root := t.TempDir()
	var wg sync.WaitGroup
	for i := range procs {
		name := fmt.Sprintf("p%d", i)
		wg.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run=^TestSeveralGraders$")
			cmd.Env = append(os.Environ(), "PROGRESS_TEST_ROOT="+root, "PROGRESS_TEST_NAME="+name)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		})
		wg.Go(func() { addKatas(At(root), "g"+name, each) })
	}
	wg.Wait()
	st := load(t, At(root))
	if want := procs * 2 * each; len(st.katas) != want {
		t.Errorf("%d graders recorded %d katas, want %d", procs*2, len(st.katas), want)
	}
	if left, _ := filepath.Glob(filepath.Join(root, DirName, ".progress.json-*")); len(left) > 0 {
		t.Errorf("temporary files left over: %v", left)
	}
}

func addKatas(s *Store, name string, n int) {
	for i := range n {
		if err := s.Update(func(st *State) { st.TakeHints(fmt.Sprintf("%s/%d", name, i), 1) }); err != nil {
			panic(err)
		}
	}
}
