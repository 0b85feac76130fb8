package sqlite

import (
	"database/sql"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
)

// Jobs returns the driver that stores background jobs in this database. The store has
// only one connection that writes, and the driver uses this connection. Therefore a job
// never fails because another connection has locked the database.
func (s *Store) Jobs() riverdriver.Driver[*sql.Tx] { return riversqlite.New(s.writer) }
