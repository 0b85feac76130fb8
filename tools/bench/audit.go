package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/audit/log"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

// auditPage is the path of the latest 50 audit log entries. 50 is the default size of a
// page.
const auditPage = "/api/v1/audit?limit=50"

// auditLog measures how fast a server returns pages of a short and of a long audit log.
// To fill the long log, it stops the server and writes the entries directly to the
// database.
func (b *bench) auditLog(ctx context.Context) error {
	var tenant *account
	if err := b.serve(ctx, b.auditData, coldFlags(), func(s *server) (err error) {
		tenant, err = s.register(ctx)
		return err
	}); err != nil {
		return err
	}
	// The registration of the account has already written one entry. So add 49 entries
	// to fill a page of 50.
	if err := b.fillAudit(ctx, pyth.UserID(tenant.id), 49); err != nil {
		return err
	}
	if err := b.timeAudit(ctx, tenant, []string{auditPage}, []*series{b.results.auditFew}); err != nil {
		return err
	}
	b.progress.step(fmt.Sprintf("Writing %d audit entries", b.plan.auditEntries))
	if err := b.fillAudit(ctx, pyth.UserID(tenant.id), b.plan.auditEntries-50); err != nil {
		return err
	}
	b.results.auditEntries = b.plan.auditEntries
	return b.timeAudit(ctx, tenant,
		[]string{auditPage, auditPage + "&action=user.login"},
		[]*series{b.results.auditMany, b.results.auditRare})
}

func (b *bench) timeAudit(ctx context.Context, tenant *account, paths []string, to []*series) error {
	return b.serve(ctx, b.auditData, coldFlags(), func(s *server) error {
		again := &account{api: s.api, id: tenant.id, key: tenant.key}
		subjects := make([]subject, len(paths))
		for i, path := range paths {
			subjects[i] = subject{to[i], repeatN(100, again.get(path))}
		}
		n := b.plan.latencyRounds
		return alternate(ctx, n, b.progress.rounds("Pages of the audit log", n), subjects...)
	})
}

// auditWriters is the number of goroutines that write entries at the same time. Many
// writers are faster, because their entries share transactions.
const auditWriters = 512

// fillAudit adds n entries about the user to the audit log. One of every 100,000
// entries is a failed login. The other entries are runs.
func (b *bench) fillAudit(ctx context.Context, user pyth.UserID, n int) (err error) {
	store, err := sqlite.Open(ctx, filepath.Join(b.auditData, "pyth-on.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	keeper, err := vault.OpenFileKeeper(filepath.Join(b.auditData, "root.key"))
	if err != nil {
		return err
	}
	seed, err := log.Seed(ctx, vault.New(keeper, store))
	if err != nil {
		return err
	}
	l, err := log.Open(ctx, log.Config{Store: store, Seed: seed, Clock: time.Now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	ctx = pyth.WithOrigin(ctx, &pyth.Origin{Credential: pyth.CredentialAPIKey, KeyPrefix: "pyapi_x7Qd", IP: "192.0.2.7", UserAgent: "curl/8.5.0", RequestID: "4f2c9a"})
	failed := make([]error, auditWriters)
	var wg sync.WaitGroup
	for w := range auditWriters {
		wg.Go(func() {
			for i := w; i < n && failed[w] == nil; i += auditWriters {
				failed[w] = errors.Join(ctx.Err(), l.Record(ctx, auditEvent(user, i)))
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

func auditEvent(user pyth.UserID, i int) *pyth.AuditEvent {
	if i%100_000 == 0 {
		return &pyth.AuditEvent{User: user, Action: pyth.ActionUserLogin, Outcome: pyth.AuditDenied}
	}
	return &pyth.AuditEvent{
		User: user, Action: pyth.ActionCodeExecuted, Outcome: pyth.AuditSuccess,
		Details: map[string]any{
			"executionId": fmt.Sprintf("01a2167a-e95e-7383-96fe-%012x", i), "language": "python", "status": "succeeded", "exitCode": 0, "wallMs": 2,
			"codeSha256": "c2d6e9060cbe8dee44279258cc8677d7a20ec16eeeccfedd09b840283efd3685",
		},
	}
}
