package sqlite

import (
	"database/sql"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
)

// Jobs returns the driver that stores background jobs in this database. It shares the
// connection that writes, so that jobs and other writes cannot fail because of each
// other's locks.
func (s *Store) Jobs() riverdriver.Driver[*sql.Tx] { return riversqlite.New(s.writer) }
