package app

import (
	"context"
	"fmt"

	"github.com/pyth-on/pyth-on/internal/jobqueue"
	"github.com/pyth-on/pyth-on/internal/postgres"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

// startJobs starts the background jobs. Call startJobs after all services have added
// their workers to s.jobs. When the server closes, the background jobs must end before
// the services that the jobs use.
func (s *Server) startJobs(ctx context.Context) (err error) {
	switch store := s.config.Accounts.store.(type) {
	case *sqlite.Store:
		err = jobqueue.Start(ctx, s.jobs, store.Jobs())
	case *postgres.Store:
		err = jobqueue.Start(ctx, s.jobs, store.Jobs())
	default:
		err = fmt.Errorf("no driver for background jobs in a store of the type %T", store)
	}
	if err == nil {
		s.onClose(s.jobs.Close)
	}
	return err
}
