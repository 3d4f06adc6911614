// Package wrapping is a repository of users whose errors callers can act on.
package wrapping

import (
	"context"
	"errors"

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
	panic("TODO: report every wrong field")
}

// FieldError is a field of a user that cannot be accepted. It matches ErrInvalid.
type FieldError struct {
	Field   string // "id", "name" or "email"
	Problem string // "is empty" or "has no @"
}

// Error returns, for example, `email: has no @`.
func (e *FieldError) Error() string {
	panic("TODO: the field and its problem")
}

// OpError is a failed operation of a Repo.
type OpError struct {
	Op  string // "find", "create", "rename" or "import": the method that was called
	ID  string // the user's
	Err error  // why
}

// Error returns, for example, `find user "u7": not found`.
func (e *OpError) Error() string {
	panic("TODO: the operation, the user and the cause")
}

// Unwrap returns the cause.
func (e *OpError) Unwrap() error {
	panic("TODO: the cause")
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
	panic("TODO: get the user's row")
}

// Create validates u and stores it under an id that must be free.
func (r *Repo) Create(ctx context.Context, u User) error {
	panic("TODO: validate and insert the user")
}

// Rename gives a user another name: it reads and writes in one transaction, which it rolls back if it fails.
func (r *Repo) Rename(ctx context.Context, id, name string) error {
	panic("TODO: change the name in a transaction")
}

// Import creates every user that can be created and returns the failures of the others, joined,
// in the order of users: one *OpError each, with the operation "import".
func (r *Repo) Import(ctx context.Context, users []User) error {
	panic("TODO: create what can be created, report the rest")
}
