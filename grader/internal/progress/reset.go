package progress

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/roadkata/roadkata/grader/internal/course"
)

// Reset puts the pristine stub of k back; done is false if it was there already.
// The learner's files are kept in the folder backup ("" if there were none): all
// of them, before the first is replaced.
func (s *Store) Reset(k *course.Kata, now time.Time) (backup string, done bool, err error) {
	yours := k.Yours()
	if yours.Untouched() {
		return "", false, nil
	}
	if backup, err = s.backup(k, yours.Files, now); err != nil {
		return "", false, fmt.Errorf("keep a copy of your files before the stub of %s comes back (nothing was changed): %w", k.Path, err)
	}
	for _, rel := range slices.Sorted(maps.Keys(yours.Files)) {
		if k.Stub[rel] == "" {
			err = errors.Join(err, os.Remove(yours.Files[rel]))
		}
	}
	for _, rel := range slices.Sorted(maps.Keys(k.Stub)) {
		err = errors.Join(err, copyFile(k.Stub[rel], filepath.Join(k.Dir, filepath.FromSlash(rel))))
	}
	if err != nil {
		return backup, false, fmt.Errorf("put the stub of %s back (a copy of your files: %s): %w", k.Path, backup, err)
	}
	return backup, true, nil
}

func (s *Store) backup(k *course.Kata, files map[string]string, now time.Time) (string, error) {
	if len(files) == 0 {
		return "", nil
	}
	if err := s.makeDir(); err != nil {
		return "", err
	}
	dir, err := freshDir(filepath.Join(s.dir, "backup", now.Format("20060102-150405")))
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, filepath.FromSlash(k.Path))
	for rel, file := range files {
		if err := copyFile(file, filepath.Join(dir, filepath.FromSlash(rel))); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// freshDir makes dir, or one beside it with a number: two resets in a second
// must not share one.
func freshDir(dir string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return "", err
	}
	try := dir
	for n := 2; ; n++ {
		err := os.Mkdir(try, 0o777)
		if err == nil || !errors.Is(err, fs.ErrExist) {
			return try, err
		}
		try = fmt.Sprintf("%s-%d", dir, n)
	}
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	fi, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	return replaceFile(to, data, fi.Mode().Perm()|0o200)
}
