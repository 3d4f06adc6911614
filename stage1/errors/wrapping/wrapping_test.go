package wrapping_test

import (
	"context"
	"errors"
	"testing"

	"github.com/roadkata/roadkata/stage1/errors/wrapping"
	"github.com/roadkata/roadkata/stage1/errors/wrapping/kvdb"
)

func TestExampleNotFound(t *testing.T) {
	repo := wrapping.NewRepo(kvdb.Open())

	_, err := repo.Find(context.Background(), "u7")

	if !errors.Is(err, wrapping.ErrNotFound) {
		t.Errorf("Find of a missing user: errors.Is(err, ErrNotFound) = false; err: %v", err)
	}
	if op, ok := errors.AsType[*wrapping.OpError](err); !ok || op.Op != "find" || op.ID != "u7" {
		t.Errorf("Find of a missing user: want an *OpError with Op find and ID u7 in the chain; err: %v", err)
	}
	if errors.Is(err, kvdb.ErrNoKey) {
		t.Errorf("Find of a missing user: the driver's ErrNoKey is in the chain; err: %v", err)
	}
	if got, want := err.Error(), `find user "u7": not found`; got != want {
		t.Errorf("Find of a missing user: message %q, want %q", got, want)
	}
}

func TestExampleCreate(t *testing.T) {
	repo := wrapping.NewRepo(kvdb.Open())
	ada := wrapping.User{ID: "u1", Name: "Ada", Email: "ada@example.com"}

	if err := repo.Create(context.Background(), ada); err != nil {
		t.Fatalf("Create(%+v) = %v, want nil", ada, err)
	}
	if err := repo.Create(context.Background(), ada); !errors.Is(err, wrapping.ErrExists) {
		t.Errorf("Create(%+v) again = %v, want an error that matches ErrExists", ada, err)
	}
	if got, err := repo.Find(context.Background(), "u1"); err != nil || got != ada {
		t.Errorf("Find(u1) = %+v, %v, want %+v, nil", got, err, ada)
	}
}
