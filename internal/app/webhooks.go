package app

import (
	"context"

	"github.com/pyth-on/pyth-on/internal/jobqueue"
	"github.com/pyth-on/pyth-on/internal/webhook"
)

// openWebhooks opens the service that sends events of runs to webhooks. Webhooks and
// programs may connect to the same addresses. For this reason, the setting that
// disables the network of programs also disables webhooks.
func (s *Server) openWebhooks() {
	s.webhooks = webhook.New(webhook.Config{
		Store: s.config.Accounts.store, Vault: s.config.Accounts.vault, Network: s.network.proxy, Insert: s.jobs.Insert,
		Clock: s.config.Accounts.clock, Logger: s.config.Logger, Disabled: s.network.policy.Off,
		Observer: s.metrics.webhooks,
	})
	jobqueue.Add(s.jobs, s.webhooks.Worker())
}

// maintainWebhooks starts goroutines that send deliveries and delete old deliveries.
// The goroutines end when ctx ends.
func (s *Server) maintainWebhooks(ctx context.Context) {
	go s.webhooks.Run(ctx)
	s.deletePeriodically(ctx, "old webhook deliveries not deleted", s.webhooks.Prune)
}
