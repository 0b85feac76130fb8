package app

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
	"github.com/pyth-on/pyth-on/internal/api"
	"github.com/pyth-on/pyth-on/internal/backup"
	"github.com/pyth-on/pyth-on/internal/host/disk"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
	"github.com/pyth-on/pyth-on/internal/sqlite"
)

// EphemeralConfig configures an Ephemeral.
type EphemeralConfig struct {
	// CacheDir is the directory for images. If it is "", Ephemeral uses the user's cache
	// directory.
	CacheDir string
	Node     NodeConfig
	Packages PackageConfig
	Limits   pyth.ExecutionLimits
	// Version is the version of this program.
	Version  string
	Progress Progress
	Logger   *slog.Logger
}

// Ephemeral is a server for one user on this machine. It has no listener: callers in
// this process call its handler. All its data, such as sessions and packages, is deleted
// at the end. Only the images stay in the cache directory.
type Ephemeral struct {
	// Handler serves the API.
	Handler http.Handler
	// APIKey is the key of the only user.
	APIKey string

	closers []func() error
}

// ephemeralEmail is the e-mail address of the only user of an Ephemeral. The domain
// "invalid" never exists (RFC 2606).
const ephemeralEmail = "local@pyth-on.invalid"

// NewEphemeral builds missing images and starts the server. The caller must close the
// result. If the process is killed, the next Ephemeral removes the data.
func NewEphemeral(ctx context.Context, c *EphemeralConfig) (_ *Ephemeral, err error) {
	cache, err := cacheDir(c.CacheDir)
	if err != nil {
		return nil, err
	}
	if err := c.Node.CheckRoom(cache); err != nil {
		return nil, err
	}
	e := &Ephemeral{}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	data, err := e.openData(cache)
	if err != nil {
		return nil, err
	}
	accounts, monitor, err := e.openAccounts(ctx, data, c.Logger)
	if err != nil {
		return nil, err
	}
	server, err := NewServer(ctx, &ServerConfig{
		Data: data, Disk: monitor, Accounts: accounts, ImageDir: cache,
		Node: c.Node, Pool: ephemeralPool(), Network: NetworkConfig{Egress: "off"}, Packages: c.Packages, Limits: c.Limits,
		// No model is configured, but the time-out must be valid.
		Model:    ModelConfig{Timeout: time.Minute},
		Async:    AsyncConfig{MaxAsync: 1, MaxAsyncSize: 1},
		API:      api.Config{Version: c.Version, StartedAt: time.Now()},
		Progress: c.Progress, Logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}
	e.onClose(server.Close)
	user, err := accounts.service.Register(ctx, ephemeralEmail, rand.Text(), "")
	if err != nil {
		return nil, fmt.Errorf("create the local user: %w", err)
	}
	maintained, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.onClose(func() error {
		server.Handler.Drain()
		stop()
		return nil
	})
	server.Maintain(maintained)
	e.Handler, e.APIKey = server.Handler, user.APIKey
	return e, nil
}

// ephemeralPool returns the settings of the pool of a single user. Only one sandbox
// waits for a program, because a person's machine has other work.
func ephemeralPool() PoolConfig {
	return PoolConfig{
		Warm: 1, MaxQueued: 64, MaxQueuedOfUser: 64, MaxSessionsOfUser: 20, SessionIdle: 10 * time.Minute, SandboxIdle: 2 * time.Minute,
		SandboxRuns: 1000, Rollback: "on", RollbackRuns: 100, RollbackCPU: 10 * time.Second,
	}
}

func (e *Ephemeral) onClose(f func() error) { e.closers = append(e.closers, f) }

// openData locks a directory in the cache directory for the data of this process. It
// removes the data of a killed process.
func (e *Ephemeral) openData(cache string) (*Directory, error) {
	slot, err := openSlot(filepath.Join(cache, "run"))
	if err != nil {
		return nil, err
	}
	e.onClose(slot.Close)
	path := slot.Join("data")
	remove := func() error { return os.RemoveAll(path) }
	if err := remove(); err != nil {
		return nil, fmt.Errorf("remove the data of a killed process: %w", err)
	}
	e.onClose(remove)
	data, _, err := OpenDirectory(path, 0)
	if err != nil {
		return nil, err
	}
	e.onClose(data.Close)
	return data, nil
}

// openAccounts creates a database whose root key exists only in the memory of this
// process.
func (e *Ephemeral) openAccounts(ctx context.Context, data *Directory, logger *slog.Logger) (*Accounts, *disk.Monitor, error) {
	store, err := sqlite.Open(ctx, data.Join(backup.DatabaseName))
	if err != nil {
		return nil, nil, err
	}
	e.onClose(store.Close)
	monitor := disk.NewMonitor(data.Path, logger)
	store.OnDiskFailure(monitor.Failed)
	monitor.CheckDatabase(store.CheckWrite)
	key := make([]byte, 32)
	_, _ = rand.Read(key) // rand.Read never fails.
	keeper, err := vault.NewSettingKeeper([]byte(base64.StdEncoding.EncodeToString(key)))
	if err != nil {
		return nil, nil, err
	}
	accounts, err := OpenAccounts(ctx, store, vault.New(keeper, store), account.Config{})
	if err != nil {
		return nil, nil, err
	}
	e.onClose(accounts.Close)
	return accounts, monitor, nil
}

// Close ends all runs and sessions, and deletes the data.
func (e *Ephemeral) Close() error {
	var errs []error
	for _, f := range slices.Backward(e.closers) {
		errs = append(errs, f())
	}
	e.closers = nil
	return errors.Join(errs...)
}
