package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
	"github.com/pyth-on/pyth-on/internal/audit"
	"github.com/pyth-on/pyth-on/internal/audit/log"
	"github.com/pyth-on/pyth-on/internal/ports"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/usage"
)

// jwtKeyBytes is the length, in bytes, of the key that signs JWTs.
const jwtKeyBytes = 32

// Accounts contains the account service and the audit log of a server.
type Accounts struct {
	// Admin manages users for administrators and for the operator at the command line.
	// It records its actions in the audit log.
	Admin pyth.AdminService

	store pyth.Store
	vault *vault.Vault
	// clock returns the current time. All servers that share the store use the same
	// clock.
	clock   func() time.Time
	service *account.Service
	log     *log.Log
	// portKey signs addresses of ports.
	portKey []byte
	// overrides contains the quotas of users that differ from the default quotas.
	overrides *usage.Overrides
	// remover deletes accounts. Both the API and the command line use it.
	remover *account.Remover
	// The channel "ended" receives users who were disabled or deleted.
	ended chan pyth.UserID
}

// OpenAccounts opens the accounts and the audit log in the store. It sets the fields
// Store, Vault, JWTKey, Issuer, Audience and Clock of the configuration. The caller
// must close the result.
func OpenAccounts(ctx context.Context, store pyth.Store, v *vault.Vault, config account.Config) (_ *Accounts, err error) {
	signing, err := v.ServerKey(ctx, "jwt", jwtKeyBytes)
	if errors.Is(err, vault.ErrDamaged) {
		// This error means that another server created the key after this server had
		// checked its root key.
		return nil, fmt.Errorf("%w: another server that uses the database has a different root key; give all servers the same root key", err)
	}
	if err != nil {
		return nil, err
	}
	portKey, err := v.ServerKey(ctx, "port", ports.KeyBytes)
	if err != nil {
		return nil, err
	}
	config.Store, config.Vault, config.JWTKey = store, v, signing
	clock := clockOf(store)
	config.Issuer, config.Audience, config.Clock = "pyth-on", "pyth-on", clock
	a := &Accounts{
		store: store, vault: v, clock: clock, portKey: portKey, overrides: usage.NewOverrides(store, clock), ended: make(chan pyth.UserID, maxEnded),
	}
	if a.service, err = account.New(config); err != nil {
		return nil, err
	}
	if a.log, err = openAudit(ctx, store, v); err != nil {
		return nil, err
	}
	a.remover = &account.Remover{Store: store, Audit: a.log}
	a.Admin = audit.Administration(&account.Administration{
		Accounts: a.service, Quotas: a.overrides, Remover: a.remover,
		Ended: func(user pyth.UserID) {
			select {
			case a.ended <- user:
			default:
			}
		},
	}, a.log)
	return a, nil
}

// maxEnded is the capacity of the channel "ended". If the channel is full, a disabled
// or deleted user is not sent to the channel. The enforcer then finds this user in its
// next periodic search.
const maxEnded = 64

// Count returns the numbers of users, disabled users and enabled administrators.
func (a *Accounts) Count(ctx context.Context) (pyth.UserCounts, error) {
	return a.store.CountUsers(ctx)
}

// SetupCode returns a new code for the registration of the first administrator. It
// returns "" if an enabled administrator exists.
func (a *Accounts) SetupCode(ctx context.Context) (string, error) {
	return a.service.CreateSetupCode(ctx)
}

// Close stores the times at which keys were last used. It also writes the audit entries
// that are still in memory and closes the audit log.
func (a *Accounts) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return errors.Join(a.service.SaveKeyUses(ctx), a.log.Close())
}

// closeTimeout is the time-out for the last writes when a server stops.
const closeTimeout = 10 * time.Second

// The method "shared" reports whether several servers can use the database at the same
// time.
func (a *Accounts) shared() bool { return isShared(a.store) }

// isShared reports whether several servers can use the store at the same time.
func isShared(store any) bool {
	_, ok := store.(pyth.SharedAuditStore)
	return ok
}

// openAudit opens the audit log for new entries. If the log is damaged, the returned
// error tells the operator what to do.
func openAudit(ctx context.Context, store pyth.AuditStore, keys log.Keys) (*log.Log, error) {
	seed, err := log.Seed(ctx, keys)
	if err != nil {
		return nil, err
	}
	defer clear(seed)
	shared, _ := store.(pyth.SharedAuditStore)
	l, err := log.Open(ctx, log.Config{Store: store, Shared: shared, Seed: seed, Clock: clockOf(store)})
	if errors.Is(err, log.ErrDamaged) {
		return nil, fmt.Errorf("%w; run `pyth-on audit verify` to find the damaged entries. The server does not extend a damaged log: "+
			"keep a copy as evidence, and restore the database from a backup", err)
	}
	return l, err
}

// pruneAudit removes the content of audit entries that were written before the
// given time.
func pruneAudit(ctx context.Context, l *log.Log, before time.Time, logger *slog.Logger) error {
	n, err := l.Prune(ctx, before)
	if n > 0 {
		logger.InfoContext(ctx, "audit log pruned", "entries", n)
	}
	return err
}
