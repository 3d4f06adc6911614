// Package layered puts the shop together: the only place that knows all of its layers.
package layered

import (
	"database/sql"
	"net/http"
)

// New is the shop on a database with the tables of before.Schema. To its customers it is the program in package before.
func New(db *sql.DB) http.Handler {
	panic("TODO: a store, the service on it, the web on that")
}
