// Package wrapping has sentinels that are constants of a string type, and several causes by fmt.Errorf with several %w.
package wrapping

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/roadkata/roadkata/stage1/errors/wrapping/kvdb"
)

type sentinel string

func (s sentinel) Error() string { return string(s) }

// What a caller may ask about any error of this package. Nobody can assign to a constant.
const (
	ErrNotFound = sentinel("not found")
	ErrExists   = sentinel("already exists")
	ErrInvalid  = sentinel("invalid")
	ErrStorage  = sentinel("storage failed")
)

// User is a person in the repository.
type User struct {
	ID, Name, Email string
}

// Validate reports every wrong field.
func (u User) Validate() error {
	var err error
	for _, check := range []struct {
		bad            bool
		field, problem string
	}{
		{u.ID == "", "id", "is empty"},
		{u.Name == "", "name", "is empty"},
		{!strings.Contains(u.Email, "@"), "email", "has no @"},
	} {
		if check.bad {
			err = both(err, &FieldError{check.field, check.problem})
		}
	}
	return err
}

// FieldError is a wrong field.
type FieldError struct {
	Field   string
	Problem string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// Is makes a FieldError match ErrInvalid.
func (e *FieldError) Is(target error) bool { return target == ErrInvalid }

// OpError is a failed operation.
type OpError struct {
	Op  string
	ID  string
	Err error
}

func (e *OpError) Error() string { return fmt.Sprintf("%s user %q: %v", e.Op, e.ID, e.Err) }

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }

// Repo keeps users in a store.
type Repo struct {
	db *kvdb.DB
}

// NewRepo returns a repository on db.
func NewRepo(db *kvdb.DB) *Repo { return &Repo{db: db} }

// Find returns the user with the given id.
func (r *Repo) Find(ctx context.Context, id string) (User, error) {
	row, err := r.db.Get(ctx, "user/"+id)
	if err = failed("find", id, err); err != nil {
		return User{}, err
	}
	return User{id, row["name"], row["email"]}, nil
}

// Create stores a new user.
func (r *Repo) Create(ctx context.Context, u User) error { return r.create(ctx, "create", u) }

// create is Create under the name of whoever was called.
func (r *Repo) create(ctx context.Context, op string, u User) error {
	if err := u.Validate(); err != nil {
		return &OpError{op, u.ID, err}
	}
	return failed(op, u.ID, r.db.Insert(ctx, "user/"+u.ID, kvdb.Row{"name": u.Name, "email": u.Email}))
}

// Rename gives a user another name.
func (r *Repo) Rename(ctx context.Context, id, name string) error {
	if name == "" {
		return &OpError{"rename", id, &FieldError{"name", "is empty"}}
	}
	tx, err := r.db.Begin(ctx)
	if err != nil {
		return failed("rename", id, err)
	}
	row, err := tx.Get(ctx, "user/"+id)
	if err == nil {
		row["name"] = name
		err = tx.Put(ctx, "user/"+id, row)
	}
	if err == nil {
		return failed("rename", id, tx.Commit())
	}
	err = reason(err)
	if undo := tx.Rollback(); undo != nil {
		err = both(err, reason(undo))
	}
	return &OpError{"rename", id, err}
}

// Import creates what can be created.
func (r *Repo) Import(ctx context.Context, users []User) (err error) {
	for _, u := range users {
		if failure := r.create(ctx, "import", u); failure != nil {
			err = both(err, failure)
		}
	}
	return err
}

func both(first, second error) error {
	if first == nil {
		return second
	}
	return fmt.Errorf("%w; %w", first, second)
}

// failed is the OpError for a failure of the driver's, if there is one.
func failed(op, id string, driver error) error {
	if driver == nil {
		return nil
	}
	return &OpError{op, id, reason(driver)}
}

func reason(driver error) error {
	if errors.Is(driver, context.Canceled) {
		return context.Canceled
	}
	if errors.Is(driver, context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	if errors.Is(driver, kvdb.ErrNoKey) {
		return ErrNotFound
	}
	if taken(driver) {
		return ErrExists
	}
	return fmt.Errorf("%w: %s", ErrStorage, driver)
}

// taken looks for the code at every depth: an outer error of the driver's may have another one.
func taken(driver error) bool {
	if many, ok := driver.(interface{ Unwrap() []error }); ok {
		for _, err := range many.Unwrap() {
			if taken(err) {
				return true
			}
		}
		return false
	}
	e, ok := driver.(*kvdb.Error)
	return driver != nil && (ok && e.Code == kvdb.CodeDuplicate || taken(errors.Unwrap(driver)))
}
