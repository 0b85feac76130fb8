package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/audit"
)

// openAudit opens the audit log for writing.
func openAudit(ctx context.Context, store pyth.AuditStore, keys audit.Keys) (*audit.Log, error) {
	seed, err := audit.Seed(ctx, keys)
	if err != nil {
		return nil, err
	}
	defer clear(seed)
	log, err := audit.Open(ctx, audit.Config{Store: store, Seed: seed, Clock: now})
	if errors.Is(err, audit.ErrDamaged) {
		return nil, fmt.Errorf("%w; `pyth-on audit verify` tells where. This server will not go on from such a log: "+
			"keep a copy as evidence, and restore the database from the backup", err)
	}
	return log, err
}

// pruneAudit drops what entries say that are older than the retention.
func pruneAudit(ctx context.Context, log *audit.Log, retention time.Duration, logger *slog.Logger) error {
	n, err := log.Prune(ctx, now().Add(-retention))
	if n > 0 {
		logger.Info("dropped what old entries of the audit log said", "entries", n)
	}
	return err
}
