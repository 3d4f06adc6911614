// Package sqlstore keeps the shop in SQLite.
package sqlstore

import (
	"context"
	"database/sql"

	"github.com/roadkata/roadkata/stage3/architecture/layered/service"
)

// Store is a service.Store on a database with the shop's tables.
type Store struct {
	db *sql.DB
}

// New is a store on db.
func New(db *sql.DB) *Store { return &Store{db} }

// InTx runs f in a transaction of the database. It is rolled back if f fails or panics. Besides what f returns, no error of database/sql or of the driver comes out
// but as text; the end of a context does come out.
func (s *Store) InTx(ctx context.Context, f func(tx service.Tx) error) error {
	panic("TODO: begin, run, commit or roll back")
}
