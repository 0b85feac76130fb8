package postgres

import (
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// Jobs returns the driver that stores background jobs in this database. The package
// jobqueue uses the driver.
func (s *Store) Jobs() riverdriver.Driver[pgx.Tx] { return riverpgxv5.New(s.pool) }
