// Begins before it looks at the name, and forgets the transaction that it has begun by then.
//
//kata:caught-by TestRollback
package wrapping

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/roadkata/roadkata/stage1/errors/wrapping/kvdb"
)

// What a caller may ask about any error of this package, by errors.Is.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("already exists")
	ErrInvalid  = errors.New("invalid")        // matches every *FieldError
	ErrStorage  = errors.New("storage failed") // any other failure of the store
)

// User is a person in the repository. It is stored as the row {"name": Name, "email": Email} under the key "user/" + ID.
type User struct {
	ID, Name, Email string
}

// Validate returns nil, or one *FieldError for each thing that is wrong, joined:
// the ID or the Name is empty, the Email has no @.
func (u User) Validate() error {
	// Each problem becomes an error only where there is one, so that Join sees no *FieldError that is nil.
	var problems []error
	if u.ID == "" {
		problems = append(problems, &FieldError{"id", "is empty"})
	}
	if err := validateName(u.Name); err != nil {
		problems = append(problems, err)
	}
	if !strings.Contains(u.Email, "@") {
		problems = append(problems, &FieldError{"email", "has no @"})
	}
	return errors.Join(problems...)
}

func validateName(name string) error {
	if name == "" {
		return &FieldError{"name", "is empty"}
	}
	return nil
}

// FieldError is a field of a user that cannot be accepted. It matches ErrInvalid.
type FieldError struct {
	Field   string // "id", "name" or "email"
	Problem string // "is empty" or "has no @"
}

// Error returns, for example, `email: has no @`.
func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// Is makes every FieldError match ErrInvalid, without ErrInvalid in the message.
func (e *FieldError) Is(target error) bool { return target == ErrInvalid }

// OpError is a failed operation of a Repo.
type OpError struct {
	Op  string // "find", "create", "rename" or "import": the method that was called
	ID  string // the user's
	Err error  // why
}

// Error returns, for example, `find user "u7": not found`.
func (e *OpError) Error() string { return fmt.Sprintf("%s user %q: %v", e.Op, e.ID, e.Err) }

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }

// opError wraps err at the package's border, the one place where the operation is named.
// It returns an error and not an *OpError: a nil *OpError in an error would not be nil any more.
func opError(op, id string, err error) error {
	if err == nil {
		return nil
	}
	return &OpError{op, id, err}
}

// Repo keeps users in a store. The errors of its methods are *OpErrors.
type Repo struct {
	db *kvdb.DB
}

// NewRepo returns a repository on db.
func NewRepo(db *kvdb.DB) *Repo {
	return &Repo{db: db}
}

// Find returns the user with the given id.
func (r *Repo) Find(ctx context.Context, id string) (User, error) {
	row, err := r.db.Get(ctx, key(id))
	if err != nil {
		return User{}, opError("find", id, translate(err))
	}
	return User{ID: id, Name: row["name"], Email: row["email"]}, nil
}

// Create validates u and stores it under an id that must be free.
func (r *Repo) Create(ctx context.Context, u User) error {
	return opError("create", u.ID, r.create(ctx, u))
}

func (r *Repo) create(ctx context.Context, u User) error {
	if err := u.Validate(); err != nil {
		return err
	}
	return translate(r.db.Insert(ctx, key(u.ID), kvdb.Row{"name": u.Name, "email": u.Email}))
}

// Rename gives a user another name: it reads and writes in one transaction, which it rolls back if it fails.
func (r *Repo) Rename(ctx context.Context, id, name string) error {
	return opError("rename", id, r.rename(ctx, id, name))
}

func (r *Repo) rename(ctx context.Context, id, name string) error {
	tx, err := r.db.Begin(ctx)
	if err != nil {
		return translate(err)
	}
	if err := validateName(name); err != nil {
		return err
	}
	if err := setName(ctx, tx, id, name); err != nil {
		// The rollback's failure stands beside the cause, it does not replace it.
		return errors.Join(translate(err), translate(tx.Rollback()))
	}
	// A failed commit ends the transaction too: there is nothing left to roll back.
	return translate(tx.Commit())
}

func setName(ctx context.Context, tx *kvdb.Tx, id, name string) error {
	row, err := tx.Get(ctx, key(id))
	if err != nil {
		return err
	}
	row["name"] = name
	return tx.Put(ctx, key(id), row)
}

// Import creates every user that can be created and returns the failures of the others, joined,
// in the order of users: one *OpError each, with the operation "import".
func (r *Repo) Import(ctx context.Context, users []User) error {
	var failures []error
	for _, u := range users {
		failures = append(failures, opError("import", u.ID, r.create(ctx, u)))
	}
	return errors.Join(failures...) // skips the nil ones
}

func key(id string) string { return "user/" + id }

// translate says in this package's words what the driver said in its own. It is the only
// place that knows the driver's errors, and none of them gets past it: a caller who could match
// them would break on the day we change the driver.
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kvdb.ErrNoKey):
		return ErrNotFound
	case isDuplicate(err):
		return ErrExists
	case errors.Is(err, context.Canceled):
		return context.Canceled // the caller's own doing, not the store's
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	default:
		return fmt.Errorf("%w: %v", ErrStorage, err) // %v keeps the text for the log and drops the identity
	}
}

// isDuplicate looks at every *kvdb.Error in the tree. errors.AsType stops at the first, whose code may be another.
func isDuplicate(err error) bool {
	if e, ok := err.(*kvdb.Error); ok && e.Code == kvdb.CodeDuplicate {
		return true
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return isDuplicate(e.Unwrap())
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), isDuplicate)
	}
	return false
}
