package main

import (
	"context"
	"log/slog"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
	"github.com/pyth-on/pyth-on/internal/audit"
)

// newAccounts makes the service of accounts; the configuration lacks what comes
// of the store.
func newAccounts(ctx context.Context, store *accountStore, config account.Config) (*account.Service, error) {
	signing, err := store.vault.ServerKey(ctx, "jwt", 32)
	if err != nil {
		return nil, err
	}
	config.Store, config.Vault, config.JWTKey = store, store.vault, signing
	config.Issuer, config.Audience, config.Clock = "pyth-on", "pyth-on", now
	return account.New(config)
}

// operatorAccounts makes the service for commands of the operator, who may make
// accounts whatever --registration says.
func operatorAccounts(ctx context.Context, store *accountStore, log *audit.Log) (pyth.AccountService, error) {
	accounts, err := newAccounts(ctx, store, account.Config{Registration: account.RegistrationOpen})
	if err != nil {
		return nil, err
	}
	return audit.Accounts(accounts, log), nil
}

// warnOfNobody logs that nobody can use the server.
func (c *serveCommand) warnOfNobody(ctx context.Context, store pyth.KeyStore, logger *slog.Logger) error {
	if c.Registration != string(account.RegistrationClosed) {
		return nil
	}
	users, err := store.DataKeys(ctx, "", 1) // Each user has one.
	if err == nil && len(users) == 0 {
		logger.Warn("registration is closed and there is no account, so nobody can use this server",
			"hint", "make one, while it runs, with `pyth-on users create EMAIL --data-dir="+c.DataDir+"`")
	}
	return err
}
