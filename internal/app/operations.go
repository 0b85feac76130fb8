package app

import (
	"context"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
	"github.com/pyth-on/pyth-on/internal/host/process"
)

// enforceInterval is the time between two searches for users whom another server has
// disabled or deleted. The page docs/administration.md states this time.
const enforceInterval = 2 * time.Second

// enforcer returns the service that ends the runs and sessions of disabled users and
// deleted users.
func (s *Server) enforcer() *account.Enforcer {
	return &account.Enforcer{
		Store: s.config.Accounts.store, Activities: []account.LiveActivity{s.records, s.sessions},
		Ended: s.config.Accounts.ended, Interval: enforceInterval,
		Failed: func(err error) {
			s.config.Logger.Error("could not end the runs and sessions of disabled or deleted users", "error", err)
		},
	}
}

// operations implements pyth.OperationsService.
type operations struct{ server *Server }

var _ pyth.OperationsService = (*operations)(nil)

// ActiveExecutions returns the runs of all users that have not ended.
func (o *operations) ActiveExecutions(ctx context.Context, after pyth.ExecutionID, limit int) ([]*pyth.ActiveExecution, pyth.ExecutionID, error) {
	records, err := o.server.records.ActiveExecutions(ctx, after, limit+1)
	if err != nil {
		return nil, "", err
	}
	var next pyth.ExecutionID
	if len(records) > limit {
		records = records[:limit]
		next = records[limit-1].ID
	}
	emails := map[pyth.UserID]string{}
	all := make([]*pyth.ActiveExecution, len(records))
	for i, r := range records {
		if _, known := emails[r.User]; !known {
			if emails[r.User], err = o.email(ctx, r.User); err != nil {
				return nil, "", err
			}
		}
		all[i] = &pyth.ActiveExecution{ExecutionRecord: *r, Email: emails[r.User]}
	}
	return all, next, nil
}

// email returns the e-mail address of the user. It returns "" if the account was
// deleted.
func (o *operations) email(ctx context.Context, user pyth.UserID) (string, error) {
	u, err := o.server.config.Accounts.store.User(ctx, user)
	if pyth.ErrorCode(err) == pyth.CodeNotFound {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return u.Email, nil
}

// CancelExecution cancels a run of any user.
func (o *operations) CancelExecution(ctx context.Context, _ pyth.UserID, id pyth.ExecutionID) (*pyth.ActiveExecution, error) {
	r, err := o.server.records.CancelAny(ctx, id)
	if err != nil {
		return nil, err
	}
	email, err := o.email(ctx, r.User)
	return &pyth.ActiveExecution{ExecutionRecord: r.ExecutionRecord, Email: email}, err
}

// Overview returns the state of the server.
func (o *operations) Overview(ctx context.Context) (*pyth.Overview, error) {
	s, store := o.server, o.server.config.Accounts.store
	out := &pyth.Overview{Database: "sqlite", Runtimes: map[pyth.Runtime]string{}, Workers: -1}
	if isShared(store) {
		out.Database = "postgresql"
	}
	var err error
	if out.Users, err = store.CountUsers(ctx); err != nil {
		return nil, err
	}
	stats, err := store.Stats(ctx)
	if err != nil {
		return nil, err
	}
	out.QueuedExecutions, out.DatabaseBytes = stats.Queued, stats.DatabaseBytes
	p := s.machine.pool.Stats()
	out.Pool = pyth.PoolOverview{
		Running: p.Running, Waiting: p.Queued, Warm: p.Warm, Idle: p.Idle, Booting: p.Booting, Users: p.Tenants,
		Sessions: p.Sessions, Reservations: p.Reserved, ReservedMemoryBytes: p.ReservedBytes,
	}
	out.LastBackupAt = s.backups.LastBackup()
	// Ignore the error. Even if the server cannot write to the disk, the free space is
	// known.
	space, _ := s.config.Disk.State()
	out.DiskFreeBytes, out.DiskTotalBytes = space.FreeBytes, space.TotalBytes
	for runtime, version := range s.machine.versions {
		if version != "" {
			out.Runtimes[runtime] = version
		}
	}
	if s.fleet != nil {
		out.Workers = len(s.fleet.Stats().Workers)
	}
	out.ProcessMemoryBytes = process.ResidentBytes()
	return out, nil
}
