package watch

import (
	"crypto/sha256"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// snapshot is what a kata's folder looked like: the learner's files, and the Go
// files that were given. What editors and runs leave beside them (4913, *~,
// .*.swp, test binaries, logs) is none of these and so never counts as a save.
type snapshot struct {
	files map[string]entry // by name below the kata's folder
	dirs  []string         // folders in which they may stand
}

type entry struct {
	size int64
	time time.Time
	sum  [sha256.Size]byte // only of a file that was written just now
	hot  bool
}

// coarse is how far apart two writes must be to have different times on every
// file system. Younger files are compared by content, too.
const coarse = 3 * time.Second

// take looks at k's folder; before is the last look at it.
func take(k *course.Kata, before snapshot) snapshot {
	s := snapshot{files: map[string]entry{}}
	hidden := hiddenFolders(k)
	_ = filepath.WalkDir(k.Dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // a folder that is being replaced; it comes back
		}
		rel := course.RelTo(k.Dir, p)
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") && p != k.Dir && !hidden[rel] {
				return fs.SkipDir
			}
			s.dirs = append(s.dirs, p)
			return nil
		}
		if k.Stub[rel] != "" || path.Ext(rel) == ".go" && !strings.HasPrefix(d.Name(), ".") {
			s.add(rel, p, before.files[rel])
		}
		return nil
	})
	for rel, p := range k.Yours().Files { // those that //kata:files lets the learner add
		if _, ok := s.files[rel]; !ok {
			s.add(rel, p, before.files[rel])
		}
	}
	return s
}

// hiddenFolders are those that the learner's files stand in, such as .github.
func hiddenFolders(k *course.Kata) map[string]bool {
	out := map[string]bool{}
	for rel := range k.Stub {
		for d := path.Dir(rel); d != "."; d = path.Dir(d) {
			out[d] = true
		}
	}
	return out
}

func (s *snapshot) add(rel, file string, before entry) {
	fi, err := os.Stat(file)
	if err != nil || !fi.Mode().IsRegular() {
		return
	}
	e := entry{size: fi.Size(), time: fi.ModTime(), hot: time.Since(fi.ModTime()) < coarse}
	if e.hot || before.hot {
		text, err := os.ReadFile(file)
		if err != nil {
			return
		}
		e.sum = sha256.Sum256(text)
	}
	s.files[rel] = e
}

// differs reports whether a file was written, has come or gone since before.
func (s snapshot) differs(before snapshot) bool {
	if len(s.files) != len(before.files) {
		return true
	}
	for rel, e := range s.files {
		old, ok := before.files[rel]
		if !ok || e.size != old.size || !e.time.Equal(old.time) || old.hot && e.sum != old.sum {
			return true
		}
	}
	return false
}

// lacks reports whether a file of before's is gone.
func (s snapshot) lacks(before snapshot) bool {
	for rel := range before.files {
		if _, ok := s.files[rel]; !ok {
			return true
		}
	}
	return false
}

// ancestors are the folders from the workspace down to the kata's: where one of
// them is replaced, as git does when it changes branches, the parent hears it.
func ancestors(k *course.Kata) []string {
	var out []string
	for d := k.Dir; d != k.Root && d != filepath.Dir(d); d = filepath.Dir(d) {
		out = append(out, filepath.Dir(d))
	}
	slices.Reverse(out)
	return out
}
