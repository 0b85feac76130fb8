package main

import (
	"fmt"
	"log/slog"

	"github.com/pyth-on/pyth-on/internal/account"
	"github.com/pyth-on/pyth-on/internal/api"
	"github.com/pyth-on/pyth-on/internal/app"
	"github.com/pyth-on/pyth-on/internal/listen"
)

// reloadServer returns a function that prepares new settings for a running server. The
// parameter "certificates" is nil if the server uses no certificate files.
func reloadServer(server *app.Server, certificates *listen.Certificates, level *slog.LevelVar) prepareReload {
	return func(next *commands) (func(), error) {
		live, err := next.Serve.live()
		if err == nil && certificates != nil {
			err = certificates.Reload()
		}
		return func() {
			level.Set(next.Serve.LogLevel)
			server.Reconfigure(live)
		}, err
	}
}

// reloadWorker returns a function that prepares new settings for a running worker.
func reloadWorker(worker *app.Worker, level *slog.LevelVar) prepareReload {
	return func(next *commands) (func(), error) {
		return func() {
			level.Set(next.Worker.LogLevel)
			worker.Reconfigure(app.PoolConfig(next.Worker.poolFlags))
		}, nil
	}
}

// The method "live" returns the settings that can change while the server runs.
func (c *serveCommand) live() (live app.LiveConfig, err error) {
	if live.Accounts, err = c.policy(); err != nil {
		return live, err
	}
	live.API, err = c.liveAPI()
	live.Pool = app.PoolConfig(c.poolFlags)
	return live, err
}

func (c *serveCommand) policy() (account.Policy, error) {
	invites, err := lines(c.InvitesFile)
	if err != nil {
		return account.Policy{}, err
	}
	return account.Policy{
		TokenTTL: c.TokenTTL, RefreshTTL: c.RefreshTTL, Registration: account.Registration(c.Registration), Invites: invites,
	}, nil
}

func (c *serveCommand) liveAPI() (api.LiveConfig, error) {
	if err := api.CheckOrigins(c.CORSOrigins); err != nil {
		return api.LiveConfig{}, fmt.Errorf("--cors-origins: %w", err)
	}
	live := api.LiveConfig{TrustedProxies: c.TrustedProxies, Origins: c.CORSOrigins}
	if c.RateLimit == "on" {
		live.RateLimits = api.DefaultRateLimits()
	}
	return live, nil
}
