package check

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/roadkata/roadkata/grader/internal/course"
	"github.com/roadkata/roadkata/grader/internal/grade"
	"github.com/roadkata/roadkata/grader/internal/suite"
)

// Cache remembers verdicts by the content of everything that they rest on. Build
// ids would not do: a change two imports away leaves a suite's id as it was.
type Cache struct {
	dir string
}

// NewCache returns a cache that keeps its entries in dir, which need not exist.
func NewCache(dir string) *Cache { return &Cache{dir: dir} }

// load returns the remembered verdict for key, or false. Damaged entries count
// as absent.
func (c *Cache) load(key string) (grade.Kata, bool) {
	var k grade.Kata
	if c == nil || key == "" {
		return k, false
	}
	data, err := os.ReadFile(c.file(key))
	if err != nil || json.Unmarshal(data, &k) != nil || k.Path == "" {
		return grade.Kata{}, false
	}
	k.Cached = true
	return k, true
}

// store remembers k unless its verdict may change by itself. A full or read-only
// disk is no reason to fail a check.
func (c *Cache) store(key string, k grade.Kata) {
	if c == nil || key == "" || !lasting(k) {
		return
	}
	data, err := json.Marshal(k)
	if err != nil || os.MkdirAll(c.dir, 0o777) != nil {
		return
	}
	tmp, err := os.CreateTemp(c.dir, "new*")
	if err != nil {
		return
	}
	_, werr := tmp.Write(data)
	cerr := tmp.Close()
	if werr != nil || cerr != nil || os.Rename(tmp.Name(), c.file(key)) != nil {
		_ = os.Remove(tmp.Name())
	}
}

func (c *Cache) file(key string) string { return filepath.Join(c.dir, key+".json") }

// lasting reports whether a verdict would come out the same tomorrow: deadlines
// and faults of the machine may not.
func lasting(k grade.Kata) bool {
	if k.Status == grade.Broken {
		return false
	}
	for _, in := range k.Intents {
		if in.Because != nil && (in.Because.Kind == grade.Timeout || in.Because.Kind == grade.Deadlock || in.Because.Kind == grade.Output || in.Because.Kind == grade.Grader) {
			return false
		}
	}
	return !slices.ContainsFunc(k.Problems, func(p course.Problem) bool { return p.Kind == "race" || p.Kind == "build" })
}

// keys computes content hashes; what many katas share is read once.
type keys struct {
	common string
	shared map[string]string // folder or file → hash
}

func newKeys(noRace bool) *keys {
	h := sha256.New()
	fmt.Fprintln(h, grade.Schema, executable(), toolchain(), noRace, suite.RaceAvailable())
	for _, e := range slices.Sorted(slices.Values(os.Environ())) {
		name, _, _ := strings.Cut(e, "=")
		// Addresses of servers change what a suite runs against; how we speak does not.
		ours := strings.HasPrefix(name, "ROADKATA_") && name != "ROADKATA_LANG" && name != "ROADKATA_WATCH"
		if ours || slices.Contains([]string{"CGO_ENABLED", "GOEXPERIMENT", "GOAMD64", "GODEBUG", "GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GOTOOLCHAIN"}, name) {
			fmt.Fprintln(h, e)
		}
	}
	return &keys{common: hex.EncodeToString(h.Sum(nil)), shared: map[string]string{}}
}

// of returns the key of a variant, or "" if something cannot be read.
func (ks *keys) of(v *course.Variant) string {
	k := v.Kata
	stage, _, _ := strings.Cut(k.Path, "/")
	h := sha256.New()
	fmt.Fprintln(h, ks.common, k.Path, k.Root, v.ID())
	for _, p := range []string{
		filepath.Join(k.Root, stage, "internal"),
		filepath.Join(k.ModuleDir, "internal"),
		filepath.Join(k.ModuleDir, "go.mod"),
		filepath.Join(k.ModuleDir, "go.sum"),
	} {
		sum, ok := ks.shared[p]
		if !ok {
			sum = hashTree(p)
			ks.shared[p] = sum
		}
		fmt.Fprintln(h, sum)
	}
	fmt.Fprintln(h, hashTree(k.Dir))
	for _, rel := range slices.Sorted(maps.Keys(v.Files)) {
		fmt.Fprintln(h, rel)
		if hashFile(h, v.Files[rel]) != nil {
			return ""
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// hashTree hashes all regular files below root, or root itself; absence is a
// content too. Author's variants are left out: no check of a learner's files
// reads them.
func hashTree(root string) string {
	h := sha256.New()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := course.RelTo(root, p)
		if d.IsDir() {
			if slices.Contains([]string{".kata/accept", ".kata/reject"}, rel) {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			fmt.Fprintln(h, "irregular", rel, d.Type())
			return nil
		}
		fmt.Fprintln(h, rel)
		return hashFile(h, p)
	})
	if err != nil {
		fmt.Fprintln(h, err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func hashFile(h hash.Hash, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(h, f)
	fmt.Fprintln(h, "\x00", n)
	return err
}

// executable hashes the grader itself: another grader may judge otherwise.
var executable = sync.OnceValue(func() string {
	name, err := os.Executable()
	if err != nil {
		return ""
	}
	h := sha256.New()
	if hashFile(h, name) != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
})

// toolchain names the Go installation without running it.
var toolchain = sync.OnceValue(func() string {
	name, err := exec.LookPath("go")
	if err != nil {
		return "none"
	}
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	version, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "..", "VERSION"))
	var stamp string
	if fi, err := os.Stat(name); err == nil {
		stamp = fmt.Sprint(fi.Size(), fi.ModTime().UnixNano())
	}
	return name + " " + string(version) + stamp
})
