// Package layered puts the shop together: the only place that knows all of its layers.
package layered

import (
	"database/sql"
	"net/http"

	"github.com/roadkata/roadkata/stage3/architecture/layered/service"
	"github.com/roadkata/roadkata/stage3/architecture/layered/sqlstore"
	"github.com/roadkata/roadkata/stage3/architecture/layered/web"
)

// New is the shop on a database with the tables of before.Schema. To its customers it is the program in package before.
func New(db *sql.DB) http.Handler {
	return web.New(service.New(sqlstore.New(db)))
}
