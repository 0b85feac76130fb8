package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	pyth "github.com/pyth-on/pyth-on"
	"github.com/pyth-on/pyth-on/internal/account"
	"github.com/pyth-on/pyth-on/internal/postgres"
	"github.com/pyth-on/pyth-on/internal/secret"
	"github.com/pyth-on/pyth-on/internal/secret/vault"
)

type keysCommands struct {
	Rotate keysRotateCommand `cmd:"" help:"Replace the root key, even while the server runs. If the command is interrupted, run it again."`
	Verify keysVerifyCommand `cmd:"" help:"Check that all encrypted data can be decrypted."`
}

type keysFlags struct {
	serverFlags
	rootKeyFlags
}

type keysRotateCommand struct{ keysFlags }

func (c *keysRotateCommand) Run() (err error) {
	ctx, stop := untilSignal()
	defer stop()
	store, err := c.serverFlags.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	lock := flock.New(filepath.Join(c.DataDir, "keys.lock"), flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	if err != nil {
		return err
	}
	if !locked {
		return errors.New("another rotation is running")
	}
	defer lock.Close()
	keeper, err := c.keeper(ctx, c.DataDir, store)
	if err != nil {
		return err
	}
	if shared, ok := store.(*postgres.Store); ok {
		unlock, err := lockShared(ctx, shared, keeper)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	total := 0
	const step = "Encrypting keys with the new root key"
	progress := newProgress(os.Stderr)
	if err := vault.Rotate(ctx, keeper, store, func(done int) {
		total = done
		progress.step(step, done, 0)
	}); err != nil {
		return fmt.Errorf("%w; no data is lost; run the command again to continue", err)
	}
	progress.step(step, total, total)
	fmt.Fprintf(os.Stdout, "%d keys are encrypted with the new root key.\n", total)
	if _, setting := keeper.(*vault.SettingKeeper); setting {
		fmt.Fprintf(os.Stdout, "Remove the old key from %s, and restart the server.\n", rootKeyVariable)
	}
	fmt.Fprintln(os.Stdout, "Keep the old root key for older backups of the database.")
	return nil
}

// lockShared prepares the rotation of the root key that several servers share. It
// returns an error if the servers cannot get the new root key, or if another rotation
// is already running.
func lockShared(ctx context.Context, store *postgres.Store, keeper vault.Rotator) (unlock func() error, err error) {
	if file, ok := keeper.(*vault.FileKeeper); ok {
		rotating, err := file.Rotating()
		if err != nil {
			return nil, err
		}
		if !rotating {
			return nil, errors.New("other servers of the same database would not have the new root key that this command creates; " +
				"first give the new root key to all servers, as the page PostgreSQL of the documentation describes")
		}
	}
	unlock, ok, err := store.LockRotation(ctx)
	if err == nil && !ok {
		err = errors.New("another rotation is running")
	}
	return unlock, err
}

type keysVerifyCommand struct{ keysFlags }

func (c *keysVerifyCommand) Run() (err error) {
	ctx, stop := untilSignal()
	defer stop()
	store, err := c.openToRead(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	keeper, err := c.keeper(ctx, c.DataDir, store)
	if err != nil {
		return err
	}
	v := &verification{store: store, vault: vault.New(keeper, store), progress: newProgress(os.Stderr)}
	if err := v.all(ctx); err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "%d users' keys, %d API keys and %d secrets: %d damaged\n", v.users, v.apiKeys, v.secrets, v.damaged)
	if file, ok := keeper.(*vault.FileKeeper); ok {
		if rotating, err := file.Rotating(); err != nil {
			return err
		} else if rotating {
			fmt.Fprintln(os.Stdout, "A rotation of the root key was not finished: run `pyth-on keys rotate`.")
		}
	}
	if v.damaged > 0 {
		return exitCode(1)
	}
	return nil
}

// verification checks that the root key can decrypt all encrypted values in the
// database. It counts all values, and it counts the values that the root key cannot
// decrypt.
type verification struct {
	store    pyth.Store
	vault    *vault.Vault
	progress *progress

	users, apiKeys, secrets, damaged int
}

const verifyAtOnce = 100

func (v *verification) all(ctx context.Context) error {
	for after := pyth.UserID(""); ; {
		keys, err := v.store.DataKeys(ctx, after, verifyAtOnce)
		if err != nil || len(keys) == 0 {
			return err
		}
		for _, k := range keys {
			if err := v.user(ctx, k.UserID); err != nil {
				return err
			}
		}
		after = keys[len(keys)-1].UserID
		v.progress.step("Decrypting users' data", v.users, 0)
	}
}

func (v *verification) user(ctx context.Context, user pyth.UserID) error {
	v.users++
	opener, err := v.vault.Opener(ctx, user)
	if errors.Is(err, vault.ErrDamaged) {
		v.reportDamage("the key of user %s", user)
		return nil
	}
	if err != nil {
		return err
	}
	sealed, err := v.store.SealedSecrets(ctx, user)
	if err != nil {
		return err
	}
	for _, s := range sealed {
		v.secrets++
		value, err := opener.Open(secret.Label(s.Name, s.Version), s.Sealed)
		clear(value)
		if err != nil {
			v.reportDamage("secret %s of user %s", s.Name, user)
		}
	}
	for after := pyth.KeyID(""); ; {
		keys, err := v.store.APIKeys(ctx, user, after, verifyAtOnce)
		if err != nil || len(keys) == 0 {
			return err
		}
		for _, k := range keys {
			if after = k.ID; k.Sealed == nil {
				continue
			}
			v.apiKeys++
			key, err := opener.Open(account.KeyLabel(k.ID), k.Sealed)
			clear(key)
			if err != nil {
				v.reportDamage("API key %s of user %s", k.ID, user)
			}
		}
	}
}

func (v *verification) reportDamage(format string, args ...any) {
	v.damaged++
	fmt.Fprintf(os.Stdout, "damaged: "+format+"\n", args...)
}
