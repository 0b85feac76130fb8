package sqlite

import (
	"database/sql"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
)

// Jobs returns the driver that stores background jobs in this database. The store has
// only one connection that writes, and the driver uses this connection. Therefore no
// other connection can lock the database and make a job fail.
func (s *Store) Jobs() riverdriver.Driver[*sql.Tx] { return riversqlite.New(s.writer) }
