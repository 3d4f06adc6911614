package publication_test

import (
	"errors"
	"testing"

	"github.com/roadkata/roadkata/stage1/memory/publication"
)

func TestExampleUpdate(t *testing.T) {
	s := publication.New(&publication.Config{Version: 1, Limits: map[string]int{"acme": 10}})
	before := s.Load()

	err := s.Update(func(c *publication.Config) error {
		c.Version++
		c.Limits["acme"] = 20
		return nil
	})
	if err != nil {
		t.Fatalf("Update(f) = %v, want nil", err)
	}
	if now := s.Load(); now.Version != 2 || now.Limits["acme"] != 20 {
		t.Errorf("after Update: Load() = version %d with limit %d, want version 2 with 20", now.Version, now.Limits["acme"])
	}
	if before.Version != 1 || before.Limits["acme"] != 10 {
		t.Errorf("what was loaded before is now version %d with limit %d, want version 1 with 10", before.Version, before.Limits["acme"])
	}
}

func TestExampleRefused(t *testing.T) {
	s := publication.New(&publication.Config{Version: 1})
	bad := errors.New("version 2 is bad")
	err := s.Update(func(c *publication.Config) error {
		c.Version = 2
		return bad
	})
	if err != bad || s.Load().Version != 1 {
		t.Errorf("Update(f) = %v, then version %d; want the error of f, and version 1 still", err, s.Load().Version)
	}
}
