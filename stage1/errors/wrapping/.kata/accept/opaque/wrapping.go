// Package wrapping keeps the driver's error inside a type that does not unwrap, and names the
// operation in one deferred call at the top of each method.
package wrapping

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/roadkata/roadkata/stage1/errors/wrapping/kvdb"
)

// What a caller may ask about any error of this package.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("already exists")
	ErrInvalid  = errors.New("invalid")
	ErrStorage  = errors.New("storage failed")
)

// User is a person in the repository.
type User struct {
	ID, Name, Email string
}

// Validate reports every wrong field.
func (u User) Validate() error {
	var all causes
	if u.ID == "" {
		all = append(all, &FieldError{Field: "id", Problem: "is empty"})
	}
	if u.Name == "" {
		all = append(all, &FieldError{Field: "name", Problem: "is empty"})
	}
	if !strings.ContainsRune(u.Email, '@') {
		all = append(all, &FieldError{Field: "email", Problem: "has no @"})
	}
	return all.err()
}

// FieldError is a wrong field.
type FieldError struct {
	Field   string
	Problem string
}

func (e *FieldError) Error() string { return fmt.Sprintf("%s: %s", e.Field, e.Problem) }

// Unwrap puts ErrInvalid on the chain; the message does not mention it.
func (e *FieldError) Unwrap() error { return ErrInvalid }

// OpError is a failed operation.
type OpError struct {
	Op  string
	ID  string
	Err error
}

func (e *OpError) Error() string { return fmt.Sprintf("%s user %q: %s", e.Op, e.ID, e.Err.Error()) }

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }

// causes are several errors in one.
type causes []error

func (c causes) Error() string {
	texts := make([]string, len(c))
	for i, err := range c {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (c causes) Unwrap() []error { return c }

// err returns c as an error, and no causes as nil: an empty slice in an error would not be nil.
func (c causes) err() error {
	if len(c) == 0 {
		return nil
	}
	return c
}

// storageError shows the driver's text. It has no Unwrap method, so the driver's error stays inside.
type storageError struct {
	driver error
}

func (e *storageError) Error() string        { return ErrStorage.Error() + ": " + e.driver.Error() }
func (e *storageError) Is(target error) bool { return target == ErrStorage }

// Repo keeps users in a store.
type Repo struct {
	db *kvdb.DB
}

// NewRepo returns a repository on db.
func NewRepo(db *kvdb.DB) *Repo { return &Repo{db: db} }

// Find returns the user with the given id.
func (r *Repo) Find(ctx context.Context, id string) (u User, err error) {
	defer named("find", id, &err)
	row, err := r.db.Get(ctx, "user/"+id)
	if err != nil {
		return User{}, own(err)
	}
	return User{id, row["name"], row["email"]}, nil
}

// Create stores a new user.
func (r *Repo) Create(ctx context.Context, u User) (err error) {
	defer named("create", u.ID, &err)
	return r.insert(ctx, u)
}

func (r *Repo) insert(ctx context.Context, u User) error {
	if err := u.Validate(); err != nil {
		return err
	}
	if err := r.db.Insert(ctx, "user/"+u.ID, kvdb.Row{"name": u.Name, "email": u.Email}); err != nil {
		return own(err)
	}
	return nil
}

// Rename gives a user another name.
func (r *Repo) Rename(ctx context.Context, id, name string) (err error) {
	defer named("rename", id, &err)
	if name == "" {
		return &FieldError{Field: "name", Problem: "is empty"}
	}
	tx, err := r.db.Begin(ctx)
	if err != nil {
		return own(err)
	}
	defer func() {
		// After a commit, this fails with ErrTxDone: then there was nothing to do.
		if failed := tx.Rollback(); failed != nil && !errors.Is(failed, kvdb.ErrTxDone) {
			err = causes{err, own(failed)}
		}
	}()
	row, err := tx.Get(ctx, "user/"+id)
	if err != nil {
		return own(err)
	}
	row["name"] = name
	if err := tx.Put(ctx, "user/"+id, row); err != nil {
		return own(err)
	}
	if err := tx.Commit(); err != nil {
		return own(err)
	}
	return nil
}

// Import creates what can be created.
func (r *Repo) Import(ctx context.Context, users []User) error {
	var all causes
	for _, u := range users {
		err := r.insert(ctx, u)
		named("import", u.ID, &err)
		if err != nil {
			all = append(all, err)
		}
	}
	return all.err()
}

// named says in *err, if there is one, which operation failed.
func named(op, id string, err *error) {
	if *err != nil {
		*err = &OpError{Op: op, ID: id, Err: *err}
	}
}

// own turns an error of the driver's into one of this package's.
func own(err error) error {
	for _, ctxErr := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, ctxErr) {
			return ctxErr
		}
	}
	if errors.Is(err, kvdb.ErrNoKey) {
		return ErrNotFound
	}
	if duplicate(err) {
		return ErrExists
	}
	return &storageError{err}
}

// duplicate searches the tree breadth first.
func duplicate(err error) bool {
	for queue := []error{err}; len(queue) > 0; queue = queue[1:] {
		if e, ok := queue[0].(*kvdb.Error); ok && e.Code == kvdb.CodeDuplicate {
			return true
		}
		switch e := queue[0].(type) {
		case interface{ Unwrap() error }:
			queue = append(queue, e.Unwrap())
		case interface{ Unwrap() []error }:
			queue = append(queue, e.Unwrap()...)
		}
	}
	return false
}
